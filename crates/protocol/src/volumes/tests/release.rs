use crate::{
    fixture::*,
    territories::{DAY_MS, GRACE_MS, NOTICE_AHEAD_MS},
};
use alloy_primitives::{B256, U256};
use types::abi::{ITerritories, IVolumes, Release, TERRITORIES, VOLUMES};

const STRIPE: u64 = 8 << 16;

/// A territory with five tiny stripes.
fn net() -> (Net, u64) {
    let mut net = Net::formed();
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, territory, 0, &[1, 2, 3, 4, 5]);
    net.commit(vec![batch]);
    (net, territory)
}

fn release(stripes: Vec<Release>) -> IVolumes::releaseCall {
    IVolumes::releaseCall { volume: 1, stripes }
}

#[test]
fn returns_the_deposit_and_after_the_term_the_quota() {
    let (mut net, territory) = net();
    net.world.block.timestamp_ms += net.spec.term_min_ms;
    let stripes = vec![net.release_of(1, 3), net.release_of(1, 0)];
    let funds = net.world.balance(ALICE);
    net.call(ALICE, VOLUMES, &release(stripes));
    assert_eq!(net.world.balance(ALICE), funds + net.spec.stripe_deposit * U256::from(2));
    assert_eq!(net.world.balance(VOLUMES), net.spec.stripe_deposit * U256::from(3));
    assert_eq!(net.account(territory).bytesUsed, 3 * STRIPE);
    for (index, gone) in [(0, true), (1, false), (3, true), (4, false)] {
        assert_eq!(net.view(VOLUMES, &IVolumes::isReleasedCall { volume: 1, index }), gone);
        let segment = net.leaves(1)[index as usize].segment;
        let position = net.view(VOLUMES, &IVolumes::positionOfCall { volume: 1, segment });
        assert_eq!(position, if gone { 0 } else { index + 1 });
    }
    let events: Vec<_> = net.events::<IVolumes::Released>().iter().map(|event| event.index).collect();
    assert_eq!(events, [3, 0]);
    let volume = net.volume(1);
    assert_eq!((volume.stripeCount, volume.columnBytes), (5, 5 << 16), "the log keeps its shape");
}

#[test]
fn quota_released_early_comes_back_after_the_term() {
    let (mut net, territory) = net();
    let stripes = vec![net.release_of(1, 1), net.release_of(1, 2)];
    net.call(ALICE, VOLUMES, &release(stripes));
    assert_eq!(net.account(territory).bytesUsed, 5 * STRIPE);
    let day = ((net.world.block.timestamp_ms + net.spec.term_min_ms) / DAY_MS) as u32;
    let reclaim = ITerritories::reclaimCall { territory, day };
    net.world.block.timestamp_ms = u64::from(day + 1) * DAY_MS - 1;
    let early = net.try_call(ALICE, TERRITORIES, &reclaim);
    let _: ITerritories::NothingToReclaim = refusal(early);
    net.world.block.timestamp_ms += 1;
    net.call(MALLORY, TERRITORIES, &reclaim);
    assert_eq!(net.account(territory).bytesUsed, 3 * STRIPE);
    assert_eq!(net.events::<ITerritories::Reclaimed>(), [ITerritories::Reclaimed { territory, size: 2 * STRIPE }]);
    let again = net.try_call(ALICE, TERRITORIES, &reclaim);
    let _: ITerritories::NothingToReclaim = refusal(again);
}

#[test]
fn strangers_may_only_after_the_grace() {
    let (mut net, territory) = net();
    let stripes = vec![net.release_of(1, 0)];
    let end = net.account(territory).paidUntilMs;
    let notice = ITerritories::giveNoticeCall { territory };
    let early: ITerritories::NoticeTooEarly = refusal(net.try_call(BOB, TERRITORIES, &notice));
    assert_eq!(early.fromMs, end - NOTICE_AHEAD_MS);
    net.world.block.timestamp_ms = end + 2 * GRACE_MS;
    let unnoticed = net.try_call(BOB, VOLUMES, &release(stripes.clone()));
    let _: IVolumes::ReleaseNotAllowed = refusal(unnoticed);
    let over = net.world.block.timestamp_ms + GRACE_MS;
    net.call(BOB, TERRITORIES, &notice);
    assert_eq!(
        net.events::<ITerritories::Expiring>(),
        [ITerritories::Expiring { territory, paidUntilMs: end, releasableFromMs: over }]
    );
    assert_eq!(net.view(TERRITORIES, &ITerritories::releasableFromCall { territory }), over);
    let again: ITerritories::NoticeGiven = refusal(net.try_call(BOB, TERRITORIES, &notice));
    assert_eq!(again.releasableFromMs, over);
    for time in [net.world.block.timestamp_ms, over] {
        net.world.block.timestamp_ms = time;
        let error = net.try_call(BOB, VOLUMES, &release(stripes.clone()));
        let error: IVolumes::ReleaseNotAllowed = refusal(error);
        assert_eq!(error, IVolumes::ReleaseNotAllowed { territory, caller: BOB });
    }
    net.world.block.timestamp_ms = over + 1;
    let funds = net.world.balance(BOB);
    net.call(BOB, VOLUMES, &release(stripes));
    assert_eq!(net.world.balance(BOB), funds + net.spec.stripe_deposit);
    assert_eq!(net.account(territory).bytesUsed, 4 * STRIPE);
}

/// Notice before the end starts no grace before the end; an extension makes the notice void.
#[test]
fn the_grace_runs_from_the_end_of_what_was_paid() {
    let (mut net, territory) = net();
    let stripes = vec![net.release_of(1, 0)];
    let end = net.account(territory).paidUntilMs;
    net.world.block.timestamp_ms = end - NOTICE_AHEAD_MS;
    net.call(BOB, TERRITORIES, &ITerritories::giveNoticeCall { territory });
    assert_eq!(net.view(TERRITORIES, &ITerritories::releasableFromCall { territory }), end + GRACE_MS);
    let extend = ITerritories::extendCall { territory, daysCount: 1 };
    net.pay(ALICE, TERRITORIES, U256::from(FUNDS / 4), &extend);
    assert_eq!(net.view(TERRITORIES, &ITerritories::releasableFromCall { territory }), 0);
    net.world.block.timestamp_ms = end + 10 * GRACE_MS;
    let _: IVolumes::ReleaseNotAllowed = refusal(net.try_call(BOB, VOLUMES, &release(stripes)));
}

#[test]
fn the_new_owner_of_a_territory_has_its_stripes() {
    let (mut net, territory) = net();
    net.call(ALICE, TERRITORIES, &ITerritories::transferCall { territory, to: BOB });
    let stripes = vec![net.release_of(1, 0)];
    let error = net.try_call(ALICE, VOLUMES, &release(stripes.clone()));
    let _: IVolumes::ReleaseNotAllowed = refusal(error);
    net.call(BOB, VOLUMES, &release(stripes));
}

#[test]
fn a_stripe_is_released_once() {
    let (mut net, _) = net();
    let stripe = net.release_of(1, 2);
    let twice = net.try_call(ALICE, VOLUMES, &release(vec![stripe.clone(), stripe.clone()]));
    let _: IVolumes::AlreadyReleased = refusal(twice);
    net.call(ALICE, VOLUMES, &release(vec![stripe.clone()]));
    let again = net.try_call(ALICE, VOLUMES, &release(vec![stripe]));
    assert_eq!(refusal::<IVolumes::AlreadyReleased, _>(again), IVolumes::AlreadyReleased { volume: 1, index: 2 });
}

#[test]
fn only_what_the_log_has_is_released() {
    let (mut net, territory) = net();
    let good = net.release_of(1, 2);
    let change = |change: &dyn Fn(&mut Release)| {
        let mut stripe = good.clone();
        change(&mut stripe);
        stripe
    };
    let bad = [
        change(&|stripe| stripe.index = 3),
        change(&|stripe| stripe.index = 5),
        change(&|stripe| stripe.index = u32::MAX),
        change(&|stripe| stripe.leaf.territory += 1),
        change(&|stripe| stripe.leaf.fragmentBytes *= 2),
        change(&|stripe| stripe.leaf.termEndMs = 0),
        change(&|stripe| stripe.leaf.segment = B256::ZERO),
        change(&|stripe| stripe.path[0] = B256::ZERO),
        change(&|stripe| stripe.path[19] = B256::ZERO),
    ];
    for stripe in bad {
        let index = stripe.index;
        let error = net.try_call(ALICE, VOLUMES, &release(vec![stripe]));
        assert_eq!(refusal::<IVolumes::NotInLog, _>(error), IVolumes::NotInLog { volume: 1, index });
    }
    assert_eq!(net.account(territory).bytesUsed, 5 * STRIPE);
    let _: IVolumes::InvalidBatch = refusal(net.try_call(ALICE, VOLUMES, &release(Vec::new())));
    let _: IVolumes::InvalidBatch = refusal(net.try_call(ALICE, VOLUMES, &release(vec![good.clone(); 65])));
    let unknown = net.try_call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 2, stripes: vec![good] });
    let _: IVolumes::UnknownVolume = refusal(unknown);
}

#[test]
fn a_released_segment_may_be_committed_again() {
    let (mut net, territory) = net();
    let stripe = net.release_of(1, 0);
    net.call(ALICE, VOLUMES, &release(vec![stripe]));
    let again = net.batch(1, territory, 1, vec![stripes(0, &[1]).remove(0)], &[0, 1, 2, 3, 4, 5, 6, 7]);
    net.commit(vec![again]);
    let segment = net.leaves(1)[0].segment;
    assert_eq!(net.view(VOLUMES, &IVolumes::positionOfCall { volume: 1, segment }), 6);
}
