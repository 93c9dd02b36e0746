use crate::{
    fixture::*,
    internal::IMembers,
    volumes::{phase, reason},
};
use alloy_primitives::{Address, Bytes, U256};
use types::{
    Profile,
    abi::{AUDITS, Acknowledgement, IMiners, IModule, IPolicies, IVolumes, MINERS, POLICIES, VOLUMES},
    repair::Help,
    spec::{RepairSpec, StorageSpec},
};

const GRACE: u64 = 120_000;

/// Twenty miners with four lots each, one volume, and 3 MiB in each of its columns.
pub fn net() -> (Net, u64) {
    net_with(StorageSpec { open_target: 1, ..StorageSpec::devnet() })
}

pub fn net_with(spec: StorageSpec) -> (Net, u64) {
    let mut net = Net::new(spec);
    net.add_miners(20, 4);
    net.form();
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, territory, 0, &[8 << 20, 4 << 20]);
    net.commit(vec![batch]);
    assert_eq!(net.volume(1).columnBytes, 3 << 20);
    (net, territory)
}

pub fn seat(net: &mut Net, seat: u16) -> IVolumes::Seat {
    net.view(VOLUMES, &IVolumes::seatOfCall { volume: 1, seat })
}

pub fn health(net: &mut Net) -> IVolumes::Health {
    net.view(VOLUMES, &IVolumes::healthCall { volume: 1 })
}

pub fn operator(net: &Net, miner: u32) -> Address {
    net.operators[miner as usize - 1]
}

/// As audits do.
pub fn lose(net: &mut Net, seat: u16, reason: u8) {
    lose_in(net, 1, seat, reason);
}

fn lose_in(net: &mut Net, volume: u32, seat: u16, reason: u8) {
    let lot = net.volume(volume).lots[usize::from(seat)];
    assert!(net.call(AUDITS, VOLUMES, &verdict(volume, seat, lot, reason)));
}

fn verdict(volume: u32, seat: u16, lot: u32, reason: u8) -> IMembers::declareLostCall {
    IMembers::declareLostCall { volume, seat, lot, reason, onTrialOnly: false }
}

/// Lets blocks pass, with the beacons that are waited for.
pub fn blocks(net: &mut Net, count: usize) {
    for _ in 0..count {
        let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        net.block(beacon);
    }
}

pub fn wait(net: &mut Net, ms: u64) {
    net.world.block.timestamp_ms += ms;
    blocks(net, 8);
}

fn try_progress(net: &mut Net, from: u32, seat: u16, watermark: u64) -> crate::Result<()> {
    let from = operator(net, from);
    net.try_call(from, VOLUMES, &IVolumes::progressCall { volume: 1, seat, watermark }).map(drop)
}

/// The newcomer says that it has everything.
pub fn finish(net: &mut Net, seat_number: u16) {
    let seat = seat(net, seat_number);
    let newcomer = if seat.state == phase::HANDING_OVER { seat.successor } else { seat.miner };
    let bytes =
        net.volume(1).columnBytes.min(if seat.state == phase::HANDING_OVER { u64::MAX } else { seat.targetBytes });
    try_progress(net, newcomer, seat_number, bytes).expect("the newcomer may");
}

fn rebuild_price(net: &Net, bytes: u64) -> U256 {
    net.spec.rebuild_price(bytes).expect("fits")
}

fn acknowledge(net: &mut Net, seat_number: u16, helper: u16, bytes: u64) -> Acknowledgement {
    let members = net.volume(1);
    let (lot, newcomer) = (members.lots[usize::from(seat_number)], members.miners[usize::from(seat_number)]);
    let help = Help {
        chain_id: CHAIN_ID,
        volume: 1,
        seat: seat_number,
        lot,
        helper_seat: helper,
        helper: members.miners[usize::from(helper)],
        bytes,
    };
    let signature = net.keys[newcomer as usize - 1].sign(&help.message()).to_bytes();
    Acknowledgement {
        volume: 1,
        seat: seat_number,
        helper,
        totalBytes: bytes,
        signature: Bytes::copy_from_slice(&signature),
    }
}

fn claim(net: &mut Net, acknowledgements: Vec<Acknowledgement>) -> crate::Result<()> {
    net.try_call(MALLORY, VOLUMES, &IVolumes::claimHelpCall { acknowledgements }).map(drop)
}

#[test]
fn a_silent_member_is_replaced_after_its_grace() {
    let (mut net, _) = net();
    let before = net.volume(1);
    let lost = before.miners[3];
    lose(&mut net, 3, reason::SILENT);
    assert_eq!((health(&mut net).live, health(&mut net).lost), (7, Bytes::from(vec![8])));
    wait(&mut net, GRACE - 20_000);
    assert_eq!(seat(&mut net, 3).state, phase::LOST, "it may still return");
    wait(&mut net, 20_000);
    let rebuilt = seat(&mut net, 3);
    let newcomer = rebuilt.miner;
    assert_eq!((rebuilt.state, rebuilt.targetBytes, rebuilt.watermark), (phase::REBUILDING, 3 << 20, 0));
    assert!(!before.miners.contains(&newcomer), "a distinct operator");
    assert_eq!(net.volume(1).miners[3], newcomer);
    let standing = net.view(MINERS, &IMiners::standingCall { id: newcomer });
    assert_eq!(standing.rebuilds, 1);
    // The lost lot is gone for good; its collateral pays, and what is left is its operator's.
    let gone = net.view(MINERS, &IMiners::lotCall { id: before.lots[3] });
    assert_eq!((gone.state, gone.volume), (2, 0));
    let left = &net.events::<IMiners::LotLeft>()[0];
    let price = rebuild_price(&net, 3 << 20);
    assert_eq!((left.miner, left.forfeited, left.returned), (lost, price, net.spec.lot_collateral - price));
    assert_eq!(rebuilt.payLeft, price);

    let too_far: IVolumes::InvalidWatermark = refusal(try_progress(&mut net, newcomer, 3, (3 << 20) + 1));
    assert_eq!(too_far.target, 3 << 20);
    let _: IVolumes::NotHolder = refusal(try_progress(&mut net, lost, 3, 1));
    try_progress(&mut net, newcomer, 3, 1 << 20).expect("its own seat");
    let _: IVolumes::InvalidWatermark = refusal(try_progress(&mut net, newcomer, 3, 1 << 20));
    assert_eq!((seat(&mut net, 3).watermark, health(&mut net).live), (1 << 20, 7));
    finish(&mut net, 3);
    assert_eq!((seat(&mut net, 3).state, health(&mut net).live), (phase::SETTLING, 8));
    assert_eq!(net.view(MINERS, &IMiners::standingCall { id: newcomer }).rebuilds, 0);
    wait(&mut net, GRACE);
    let funds = net.world.balance(operator(&net, newcomer));
    net.call(MALLORY, VOLUMES, &IVolumes::settleCall { volume: 1, seat: 3 });
    assert_eq!(net.world.balance(operator(&net, newcomer)), funds + price, "it did the work itself");
    assert_eq!(seat(&mut net, 3).state, phase::WHOLE);
}

#[test]
fn who_returns_in_time_is_taken_back_and_pays_nothing() {
    let (mut net, _) = net();
    let member = net.volume(1).miners[0];
    let from = operator(&net, member);
    let rejoin = IVolumes::rejoinCall { volume: 1, seat: 0 };
    let _: IVolumes::SeatBusy = refusal(net.try_call(from, VOLUMES, &rejoin));
    lose(&mut net, 0, reason::SILENT);
    let _: IVolumes::NotHolder = refusal(net.try_call(MALLORY, VOLUMES, &rejoin));
    net.call(from, VOLUMES, &rejoin);
    assert_eq!((seat(&mut net, 0).state, health(&mut net).live), (phase::WHOLE, 8));
    wait(&mut net, 2 * GRACE);
    assert_eq!(net.volume(1).miners[0], member, "the timer finds nothing to do");
    // Not while its replacement is being drawn: who is drawn may not depend on it.
    lose(&mut net, 0, reason::SILENT);
    net.world.block.timestamp_ms += GRACE;
    net.block(None);
    assert!(net.target().is_some());
    let drawn: IVolumes::SeatBusy = refusal(net.try_call(from, VOLUMES, &rejoin));
    assert_eq!(drawn.state, phase::LOST);
    blocks(&mut net, 8);
    let _: IVolumes::NotHolder = refusal(net.try_call(from, VOLUMES, &rejoin));
    // Whoever was shown to have lost its column does not return.
    lose(&mut net, 1, reason::FAULTY);
    let faulty = net.volume(1).miners[1];
    let faulty = operator(&net, faulty);
    let never = net.try_call(faulty, VOLUMES, &IVolumes::rejoinCall { volume: 1, seat: 1 });
    assert_eq!(refusal::<IVolumes::NoReturn, _>(never).reason, reason::FAULTY);
}

#[test]
fn audits_alone_declare_others_lost() {
    let (mut net, _) = net();
    let lot = net.volume(1).lots[0];
    let call = verdict(1, 0, lot, reason::SILENT);
    for from in [ALICE, MINERS, VOLUMES, crate::SYSTEM] {
        let _: IModule::UnknownSelector = refusal(net.try_call(from, VOLUMES, &call));
    }
    for (seat, reason) in [(8, 1), (0, 0), (0, 5)] {
        assert!(net.try_call(AUDITS, VOLUMES, &verdict(1, seat, lot, reason)).is_err());
    }
    // A verdict on a lot that does not hold the seat, or on a newcomer where there is none.
    let early = IMembers::declareLostCall { onTrialOnly: true, ..call.clone() };
    for nothing in [verdict(1, 0, lot + 1, reason::FAULTY), early] {
        assert!(!net.call(AUDITS, VOLUMES, &nothing));
    }
    lose(&mut net, 0, reason::SILENT);
    assert!(!net.call(AUDITS, VOLUMES, &call), "it is known");
    // Who may return may not once it is known to have nothing.
    lose(&mut net, 0, reason::FAULTY);
    assert_eq!((seat(&mut net, 0).state, seat(&mut net, 0).reason), (phase::LOST, reason::FAULTY));
    assert!(!net.call(AUDITS, VOLUMES, &verdict(1, 0, lot, reason::FAULTY)));
}

/// Lazy where nothing is written: a sealed volume waits for its trigger, an urgent one for nothing.
#[test]
fn triggers_follow_the_state_of_the_volume() {
    let (mut net, _) = net_with(StorageSpec { open_target: 1, lot_slots: 2, ..StorageSpec::devnet() });
    let sealed = health(&mut net);
    assert!((sealed.full, sealed.paused, sealed.trigger) == (true, false, 6));
    lose(&mut net, 0, reason::SILENT);
    wait(&mut net, 2 * GRACE);
    assert_eq!(seat(&mut net, 0).state, phase::LOST, "seven of eight live are enough");
    lose(&mut net, 1, reason::SILENT);
    blocks(&mut net, 8);
    let states = |net: &mut Net| [0, 1, 2].map(|number| seat(net, number).state);
    let expected = [phase::REBUILDING, phase::LOST, phase::WHOLE];
    assert_eq!(states(&mut net), expected, "at six the first is replaced; the second still has its grace");
    lose(&mut net, 2, reason::SILENT);
    blocks(&mut net, 8);
    assert_eq!(states(&mut net), [phase::REBUILDING; 3], "with five live nobody waits");
    for seat in 0..3 {
        finish(&mut net, seat);
    }
    assert_eq!(health(&mut net).live, 8);
}

#[test]
fn a_volume_with_too_few_live_members_takes_no_writes_until_it_is_repaired() {
    let (mut net, territory) = net();
    lose(&mut net, 0, reason::SILENT);
    lose(&mut net, 1, reason::SILENT);
    let batch = net.batch(1, territory, 1, stripes(1, &[1]), &[2, 3, 4, 5, 6, 7]);
    net.commit(vec![batch]);
    lose(&mut net, 2, reason::SILENT);
    assert!(health(&mut net).paused && !net.volume(1).open);
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [0u32; 0]);
    let batch = net.batch(1, territory, 2, stripes(2, &[1]), &[0, 1, 2, 3, 4, 5, 6]);
    let _: IVolumes::VolumeClosed = refusal(net.try_commit(ALICE, vec![batch], Vec::new()));
    blocks(&mut net, 12);
    // Writers have another volume meanwhile.
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [2]);
    for seat in 0..3 {
        finish(&mut net, seat);
    }
    assert!(!health(&mut net).paused && net.volume(1).open);
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [2, 1]);
    assert_eq!(net.events::<IVolumes::Resumed>().len(), 1);
    let batch = net.full_batch(1, territory, 3, &[1]);
    net.commit(vec![batch]);
}

/// Two volumes wait for newcomers, and few miners are free: the one nearer to its end is served first.
#[test]
fn the_worst_volume_is_repaired_first() {
    let mut net = Net::formed_with(StorageSpec { open_target: 2, ..StorageSpec::devnet() });
    net.form();
    net.add_miners(2, 4);
    let lose = |net: &mut Net, volume, seat| lose_in(net, volume, seat, reason::FAULTY);
    // The draw for formation is over; the next one takes what is worst.
    lose(&mut net, 1, 0);
    for seat in 0..3 {
        lose(&mut net, 2, seat);
    }
    blocks(&mut net, 1);
    assert_eq!(net.events::<IVolumes::Replacing>()[0].volumes, [2, 1]);
}

#[test]
fn a_miner_takes_over_one_column_at_a_time() {
    let (mut net, _) = net();
    for seat in 0..3 {
        lose(&mut net, seat, reason::FAULTY);
    }
    blocks(&mut net, 8);
    let mut newcomers: Vec<u32> = net.volume(1).miners[..3].to_vec();
    newcomers.dedup();
    assert_eq!(newcomers.len(), 3);
    // All others are busy: the volume waits for another grace, and is served then.
    let (mut net, _) = small();
    for seat in 0..2 {
        lose(&mut net, seat, reason::FAULTY);
    }
    blocks(&mut net, 8);
    let states = [0, 1].map(|number| seat(&mut net, number).state);
    assert!(states.contains(&phase::REBUILDING) && states.contains(&phase::LOST), "{states:?}");
    let served = states.iter().position(|state| *state == phase::REBUILDING).unwrap() as u16;
    let missing = net.events::<IVolumes::NoNewcomer>().pop().expect("it is said");
    assert_eq!((missing.volume, missing.seats), (1, 1));
    assert!(missing.againMs > net.world.block.timestamp_ms);
    finish(&mut net, served);
    net.add_miner(4);
    wait(&mut net, GRACE);
    assert_eq!(seat(&mut net, 1 - served).state, phase::REBUILDING);
}

/// Nine miners: eight members and one more.
fn small() -> (Net, u64) {
    let mut net = Net::formed();
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, territory, 0, &[1]);
    net.commit(vec![batch]);
    (net, territory)
}

#[test]
fn who_misses_the_deadline_pays_a_rebuild_and_another_is_drawn() {
    let (mut net, _) = net();
    lose(&mut net, 5, reason::FAULTY);
    blocks(&mut net, 8);
    let first = seat(&mut net, 5);
    try_progress(&mut net, first.miner, 5, 2 << 20).expect("a part");
    let deadline = net.spec.repair.deadline_ms;
    wait(&mut net, deadline);
    let second = seat(&mut net, 5);
    assert_eq!((second.state, second.reason, second.watermark), (phase::REBUILDING, reason::MISSED, 0));
    assert_ne!(second.miner, first.miner);
    let price = rebuild_price(&net, 3 << 20);
    let left = net.events::<IMiners::LotLeft>();
    assert_eq!((left[1].miner, left[1].forfeited), (first.miner, price));
    assert_eq!(second.payLeft, price + price, "what the first did not earn is there for the second");
    assert_eq!(net.view(MINERS, &IMiners::standingCall { id: first.miner }).rebuilds, 0);
}

#[test]
fn helpers_are_paid_what_the_newcomer_acknowledged_and_never_more_than_there_is() {
    let (mut net, _) = net();
    lose(&mut net, 0, reason::FAULTY);
    blocks(&mut net, 8);
    let (newcomer, price) = (seat(&mut net, 0).miner, seat(&mut net, 0).payLeft);
    let members = net.volume(1).miners;
    let funds = |net: &Net, seat: usize| net.world.balance(operator(net, members[seat]));
    let before: Vec<U256> = (0..8).map(|seat| funds(&net, seat)).collect();
    let third = acknowledge(&mut net, 0, 4, 1 << 20);
    claim(&mut net, vec![third.clone()]).expect("signed by the newcomer");
    assert_eq!(funds(&net, 4), before[4] + price / U256::from(3));
    // Once only; amounts are totals.
    let again: IVolumes::InvalidAcknowledgement = refusal(claim(&mut net, vec![third.clone()]));
    assert_eq!(again.position, U256::ZERO);
    // Changed, for oneself, or by somebody else's signature.
    let mut forged = vec![
        Acknowledgement { totalBytes: 2 << 20, ..third.clone() },
        Acknowledgement { helper: 5, ..third.clone() },
        acknowledge(&mut net, 0, 0, 1),
        acknowledge(&mut net, 0, 5, (3 << 20) + 1),
    ];
    forged.push(Acknowledgement { signature: Bytes::from(vec![0; 96]), ..acknowledge(&mut net, 0, 5, 1) });
    for forged in forged {
        let _: IVolumes::InvalidAcknowledgement = refusal(claim(&mut net, vec![forged]));
    }
    // A newcomer that signs away more than there is gives away its own rest, and no wei beyond.
    let all = (1..8).map(|helper| acknowledge(&mut net, 0, helper, 3 << 20)).collect();
    claim(&mut net, all).expect("signed");
    let paid: U256 = (1..8).map(|seat| funds(&net, seat) - before[seat]).fold(U256::ZERO, |sum, paid| sum + paid);
    assert_eq!((paid, seat(&mut net, 0).payLeft), (price, U256::ZERO));
    // Without the column it pays a rebuild all the same: what a friend got for nothing, it lost.
    let deadline = net.spec.repair.deadline_ms;
    wait(&mut net, deadline);
    let lost = net.events::<IMiners::LotLeft>().pop().unwrap();
    assert_eq!((lost.miner, lost.forfeited), (newcomer, price));
    let stale: IVolumes::InvalidAcknowledgement = refusal(claim(&mut net, vec![third]));
    assert_eq!(stale.position, U256::ZERO, "another newcomer signed it");
}

#[test]
fn pay_waits_for_audits_before_it_is_settled() {
    let (mut net, _) = net();
    lose(&mut net, 0, reason::FAULTY);
    blocks(&mut net, 8);
    let price = seat(&mut net, 0).payLeft;
    // It claims to have everything and has nothing.
    finish(&mut net, 0);
    let settle = IVolumes::settleCall { volume: 1, seat: 0 };
    let early: IVolumes::NothingToSettle = refusal(net.try_call(MALLORY, VOLUMES, &settle));
    assert!(early.fromMs > net.world.block.timestamp_ms);
    lose(&mut net, 0, reason::FAULTY);
    blocks(&mut net, 8);
    assert_eq!(seat(&mut net, 0).payLeft, price + price, "found out before it was paid");
}

/// A miner joins, earns, and leaves when its data becomes a burden; others pay for the rebuild.
#[test]
fn e15_an_early_exit_costs_the_repair_that_it_causes() {
    let (mut net, _) = net();
    let member = net.volume(1).miners[2];
    let from = operator(&net, member);
    let funds = net.world.balance(from);
    net.call(from, MINERS, &IMiners::retireCall {});
    assert_eq!(net.world.balance(from), funds + net.spec.lot_collateral * U256::from(3), "the free lots");
    let stranger = net.try_call(MALLORY, VOLUMES, &IVolumes::leaveCall { volume: 1, seat: 2 });
    let _: IVolumes::NotHolder = refusal(stranger);
    net.call(from, VOLUMES, &IVolumes::leaveCall { volume: 1, seat: 2 });
    assert_eq!(net.view(MINERS, &IMiners::minerCall { id: member }).collateral, net.spec.lot_collateral);
    blocks(&mut net, 8);
    let price = rebuild_price(&net, 3 << 20);
    assert_eq!(net.world.balance(from), funds + net.spec.lot_collateral * U256::from(4) - price);
    assert_eq!(seat(&mut net, 2).payLeft, price);
    assert_eq!(net.view(MINERS, &IMiners::minerCall { id: member }).lots, 0);
    // The collateral of a lot covers its rebuild in every chain.
    let full = rebuild_price(&net, net.spec.lot_bytes());
    assert!(full <= net.spec.lot_collateral);
}

#[test]
fn e15_a_graceful_exit_ends_with_the_hand_over_and_costs_nothing() {
    let (mut net, territory) = net();
    let leaver = net.volume(1).miners[2];
    let (from, lot) = (operator(&net, leaver), net.volume(1).lots[2]);
    net.call(from, MINERS, &IMiners::retireCall {});
    let funds = net.world.balance(from);
    let hand_over = IVolumes::handOverCall { volume: 1, seat: 2 };
    net.call(from, VOLUMES, &hand_over);
    let _: IVolumes::SeatBusy = refusal(net.try_call(from, VOLUMES, &hand_over));
    assert_eq!((seat(&mut net, 2).state, health(&mut net).live), (phase::LEAVING, 8));
    blocks(&mut net, 8);
    let state = seat(&mut net, 2);
    assert_eq!((state.state, state.miner, state.lot), (phase::HANDING_OVER, leaver, lot));
    assert!(!net.volume(1).miners.contains(&state.successor));
    // The old holder signs until the end, and the successor needs what is written meanwhile.
    let batch = net.full_batch(1, territory, 1, &[4 << 20]);
    net.commit(vec![batch]);
    try_progress(&mut net, state.successor, 2, 3 << 20).expect("what was there at first");
    assert_eq!(seat(&mut net, 2).state, phase::HANDING_OVER);
    assert_eq!(net.world.balance(from), funds, "nothing is returned before");
    finish(&mut net, 2);
    assert_eq!((net.volume(1).miners[2], seat(&mut net, 2).state), (state.successor, phase::WHOLE));
    assert_eq!(net.world.balance(from), funds + net.spec.lot_collateral);
    assert_eq!(net.view(MINERS, &IMiners::minerCall { id: leaver }).collateral, U256::ZERO);
    let batch = net.full_batch(1, territory, 2, &[1]);
    net.commit(vec![batch]);
}

#[test]
fn a_hand_over_that_fails_is_drawn_again_or_becomes_a_repair() {
    let (mut net, _) = net();
    let leaver = net.volume(1).miners[2];
    let from = operator(&net, leaver);
    net.call(from, VOLUMES, &IVolumes::handOverCall { volume: 1, seat: 2 });
    blocks(&mut net, 8);
    let first = seat(&mut net, 2);
    let deadline = net.spec.repair.deadline_ms;
    wait(&mut net, deadline);
    let second = seat(&mut net, 2);
    assert_eq!((second.state, second.miner), (phase::HANDING_OVER, leaver));
    assert_ne!((second.successorLot, second.watermark), (first.successorLot, 3 << 20));
    let freed = net.events::<IMiners::LotLeft>().pop().unwrap();
    assert_eq!((freed.miner, freed.forfeited), (first.successor, U256::ZERO), "nobody's fault");
    // The leaver stops serving: the successor becomes the newcomer, with what it has, and the leaver pays.
    try_progress(&mut net, second.successor, 2, 1 << 20).expect("a part");
    lose(&mut net, 2, reason::SILENT);
    let rebuilt = seat(&mut net, 2);
    assert_eq!((rebuilt.state, rebuilt.miner, rebuilt.watermark), (phase::REBUILDING, second.successor, 1 << 20));
    assert_eq!(rebuilt.payLeft, rebuild_price(&net, 3 << 20));
    assert_eq!(health(&mut net).live, 7);
    finish(&mut net, 2);
    assert_eq!(health(&mut net).live, 8);
}

/// E16 across a real replacement: see also `rules`.
#[test]
fn e16_the_newcomers_receipts_count_from_the_moment_it_holds_the_seat() {
    let (mut net, territory) = net();
    let with_old = net.full_batch(1, territory, 1, &[1]);
    let without = net.batch(1, territory, 2, stripes(2, &[1]), &[0, 1, 2, 4, 5, 6, 7]);
    lose(&mut net, 3, reason::FAULTY);
    blocks(&mut net, 8);
    let refused = net.try_commit(ALICE, vec![with_old], Vec::new());
    let _: IVolumes::InvalidSignature = refusal(refused);
    net.commit(vec![without]);
    let with_new = net.full_batch(1, territory, 3, &[1]);
    net.commit(vec![with_new]);
    assert_eq!(seat(&mut net, 3).targetBytes, 3 << 20, "what it signs itself it need not take over");
}

/// The draw of newcomers is as closed to grinding as that of volumes.
#[test]
fn e4_nothing_after_the_freeze_changes_who_replaces() {
    let (mut net, _) = net();
    lose(&mut net, 0, reason::FAULTY);
    net.block(None);
    let target = net.target().expect("a draw is pending");
    let draw = |mut net: Net, grind: &dyn Fn(&mut Net)| {
        grind(&mut net);
        while net.target() == Some(target) {
            let beacon = (net.world.block.view >= target.1).then(|| beacon(target));
            net.block(beacon);
        }
        net.volume(1).miners[0]
    };
    let honest = draw(net.clone(), &|_| {});
    let attacks: [&dyn Fn(&mut Net); 5] = [
        &|net| net.pledge(1, 200),
        &|net| net.add_miners(6, 50),
        &|net| lose(net, 5, reason::FAULTY),
        &|net| {
            for from in net.operators.clone() {
                let drains = net.try_call(from, MINERS, &IMiners::setDrainingCall { draining: true });
                let _: IMiners::DrawPending = refusal(drains);
            }
        },
        &|net| {
            let from = net.volume(1).miners[6];
            let from = operator(net, from);
            net.call(from, VOLUMES, &IVolumes::handOverCall { volume: 1, seat: 6 });
        },
    ];
    for attack in attacks {
        assert_eq!(draw(net.clone(), attack), honest);
    }
}

#[test]
fn replacements_obey_the_policy_and_its_caps() {
    let repair = RepairSpec { cap_divisor: 4, ..RepairSpec::default() };
    let mut net = Net::new(StorageSpec { open_target: 1, repair, ..StorageSpec::devnet() });
    for index in 0..20u32 {
        net.add_miner_in(4, code(["DE", "FR", "US", "JP", "BR"][index as usize % 5]), index % 10);
    }
    net.form();
    let regions = |net: &mut Net| {
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for id in net.volume(1).miners {
            let standing = net.view(MINERS, &IMiners::standingCall { id });
            *counts.entry(standing.region).or_default() += 1;
            *counts.entry(code(&format!("{}", standing.network))).or_default() += 1;
        }
        counts
    };
    assert!(regions(&mut net).values().all(|count| *count <= 2));
    for round in 0..12u16 {
        lose(&mut net, round % 8, reason::FAULTY);
        wait(&mut net, GRACE);
        assert_eq!(seat(&mut net, round % 8).state, phase::WHOLE, "an empty column is there at once");
        assert!(regions(&mut net).values().all(|count| *count <= 2));
    }
}

#[test]
fn draining_takes_no_new_memberships() {
    let (mut net, _) = net();
    let members = net.volume(1).miners;
    let outsiders: Vec<u32> = (1..=20).filter(|miner| !members.contains(miner)).collect();
    let (stays, drains) = outsiders.split_last().unwrap();
    for miner in drains {
        net.call(operator(&net, *miner), MINERS, &IMiners::setDrainingCall { draining: true });
    }
    let twice = net.try_call(operator(&net, drains[0]), MINERS, &IMiners::setDrainingCall { draining: true });
    assert_eq!(refusal::<IMiners::DrainingUnchanged, _>(twice).miner, drains[0]);
    // What is pledged meanwhile drains as well.
    net.pledge(drains[0], 50);
    lose(&mut net, 0, reason::FAULTY);
    lose(&mut net, 1, reason::FAULTY);
    wait(&mut net, GRACE);
    let states = [0, 1].map(|number| seat(&mut net, number));
    let newcomers: Vec<u32> =
        states.iter().filter(|seat| seat.state == phase::REBUILDING).map(|seat| seat.miner).collect();
    assert_eq!(newcomers, [*stays], "the only one that may be drawn, and once");
    net.call(operator(&net, drains[0]), MINERS, &IMiners::setDrainingCall { draining: false });
    wait(&mut net, GRACE);
    assert!([0, 1].iter().all(|number| seat(&mut net, *number).state == phase::REBUILDING));
    assert!(net.volume(1).miners[..2].contains(&drains[0]));
}

/// An adversary pledges many lots just before seats are filled, or tries times until its lots come in early.
#[test]
fn e5_a_flood_of_new_lots_is_not_drawn_at_once() {
    const DAY: u64 = 24 * 3_600_000;
    let repair = RepairSpec { eligibility_delay_ms: 30 * DAY, ..RepairSpec::default() };
    let mut net =
        Net::new(StorageSpec { open_target: 1, effective_operators_factor: 0, repair, ..StorageSpec::devnet() });
    net.add_miners(12, 1);
    blocks(&mut net, 12);
    assert_eq!(net.view(VOLUMES, &IVolumes::volumeCountCall {}), 0, "they are all young");
    let days = |net: &mut Net, days: u64| {
        for _ in 0..days * 24 {
            net.world.block.timestamp_ms += DAY / 24;
            blocks(net, 2);
        }
    };
    days(&mut net, 61);
    blocks(&mut net, 8);
    assert_eq!(net.view(VOLUMES, &IVolumes::volumeCountCall {}), 1, "nobody waits for more than twice the mean");
    let members = net.volume(1).miners;
    let flood: Vec<u32> = (0..7).map(|_| net.add_miner_in(4, code("FR"), 1)).collect();
    for seat in 0..4 {
        lose(&mut net, seat, reason::FAULTY);
    }
    wait(&mut net, GRACE);
    let now = net.volume(1).miners;
    assert!(now.iter().all(|miner| !flood.contains(miner)), "{now:?}");
    assert!(now.iter().any(|miner| !members.contains(miner)), "the old ones were drawn: {now:?}");
    // They come in one after the other.
    days(&mut net, 30);
    let rule = IPolicies::Policy { allowed: vec![code("FR")], ..net.view(POLICIES, &IPolicies::policyCall { id: 0 }) };
    let few = net.try_pay(ALICE, POLICIES, U256::from(FUNDS / 1_000), &IPolicies::createCall { rule });
    let few: IPolicies::TooFewOperators = refusal(few);
    assert!((1..7).contains(&few.found), "some, and not all, after the mean: {}", few.found);
}

/// Adversaries stay and honest members churn, so lots that wait to be drawn are more and more theirs.
#[test]
fn e6_few_lots_stay_free() {
    let repair = RepairSpec { free_lots_max_percent: 20, ..RepairSpec::default() };
    let mut net = Net::new(StorageSpec { open_target: 1, repair, ..StorageSpec::devnet() });
    net.add_miners(16, 4);
    for _ in 0..60 {
        blocks(&mut net, 1);
    }
    let free: u32 = (1..=16).map(|id| net.view(MINERS, &IMiners::minerCall { id }).lotsFree).sum();
    assert!(free <= 64 / 5, "{free} of 64");
    assert!(net.view(VOLUMES, &IVolumes::volumeCountCall {}) > 1);
}

#[test]
fn the_work_of_a_repair_fits_a_system_call() {
    let spec = StorageSpec { profile: Profile::Wide, open_target: 1, ..StorageSpec::devnet() };
    let mut net = Net::new(spec);
    net.add_miners(250, 2);
    net.form();
    let territory = net.territory(1 << 38, 30);
    let batch = net.full_batch(1, territory, 0, &[1 << 20]);
    net.commit(vec![batch]);
    for seat in 0..48 {
        lose(&mut net, seat, reason::FAULTY);
    }
    let mut most = 0;
    for _ in 0..16 {
        let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        most = most.max(net.block(beacon).gas_used);
    }
    assert_eq!(net.events::<IVolumes::SeatDrawn>().len(), 48);
    // All of them miss their deadline at once.
    net.world.block.timestamp_ms += net.spec.repair.deadline_ms;
    for _ in 0..12 {
        let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        most = most.max(net.block(beacon).gas_used);
    }
    assert!(net.events::<IVolumes::SeatDrawn>().len() > 60);
    assert!(most < 10_000_000, "{most} gas of 30,000,000");
}
