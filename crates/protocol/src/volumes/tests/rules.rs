//! Run the attacks behind the rules of the specification, and see them fail.

use crate::{fixture::*, storage::Layout, volumes::record::Storage};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use types::{
    ReceiptKey,
    abi::{Batch, IMiners, ITerritories, IVolumes, MINERS, VOLUMES},
    spec::StorageSpec,
};

const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

fn net() -> (Net, u64) {
    let mut net = Net::formed();
    let territory = net.territory(100 << 30, 30);
    (net, territory)
}

fn refused<E: alloy_sol_types::SolError>(net: &mut Net, batch: Batch) -> E {
    refusal(net.try_commit(ALICE, vec![batch], Vec::new()))
}

/// A writer floods a volume's log with stripes of a byte, to use up its leaves before its bytes at no cost.
#[test]
fn e2_tiny_stripes_are_billed_at_the_shortest_fragment() {
    let (mut net, territory) = net();
    for sequence in 0..3 {
        let batch = net.full_batch(1, territory, sequence, &[1; 64]);
        net.commit(vec![batch]);
    }
    let billed = net.account(territory).bytesUsed;
    assert_eq!(billed, 3 * 64 * 8 * (64 << 10));
    // At this rate the column is full no later than the log.
    let public_lot = 64u64 << 30;
    assert!(public_lot / (64 << 10) <= 1 << types::merkle::LOG_DEPTH);
    let deposits = net.spec.stripe_deposit * U256::from(3 * 64);
    assert_eq!(net.world.balance(VOLUMES), deposits);
}

/// A writer keeps receipts until the members have dropped the staged bytes, or has them sign for ever.
#[test]
fn e3_receipts_do_not_outlive_the_staged_bytes() {
    let (mut net, territory) = net();
    let batch = net.full_batch(1, territory, 0, &[1]);
    net.world.block.height = batch.expiresAtHeight + 1;
    let expired: IVolumes::ReceiptsExpired = refused(&mut net, batch.clone());
    assert_eq!(expired.expiresAtHeight, batch.expiresAtHeight);
    // Claiming a later expiry than the members signed is another message.
    let prolonged = Batch { expiresAtHeight: batch.expiresAtHeight + 5, ..batch.clone() };
    let _: IVolumes::InvalidSignature = refused(&mut net, prolonged);

    let mut long = net.full_batch(1, territory, 1, &[1]);
    long.expiresAtHeight = net.world.block.height + net.spec.receipt_expiry_max_blocks + 1;
    let keys: Vec<ReceiptKey> =
        net.volume(1).miners.iter().map(|miner| net.keys[*miner as usize - 1].clone()).collect();
    long.signature = sign(&long, net.spec.profile, &keys.iter().collect::<Vec<_>>());
    let too_long: IVolumes::ReceiptsTooLong = refused(&mut net, long.clone());
    assert_eq!(too_long.expiresAtHeight, long.expiresAtHeight);

    net.world.block.height += 1;
    net.commit(vec![long]);
    net.world.block.height = batch.expiresAtHeight;
    net.commit(vec![batch]);
}

/// A proposer who sees the beacon coming tries orders of transactions (pledges, registrations, withdrawals) until the
/// draw favours friends.
#[test]
fn e4_nothing_after_the_freeze_changes_the_draw() {
    let mut net = Net::new(StorageSpec { open_target: 1, ..StorageSpec::devnet() });
    net.add_miners(12, 3);
    net.block(None);
    let target = net.target().expect("a draw is pending");
    assert!(target.1 > net.world.block.view, "the seed cannot be known when the pool is frozen");

    let draw = |mut net: Net, grind: &dyn Fn(&mut Net)| {
        grind(&mut net);
        while net.target() == Some(target) {
            let beacon = (net.world.block.view >= target.1).then(|| beacon(target));
            net.block(beacon);
        }
        let volume = net.volume(1);
        (volume.lots, volume.miners)
    };
    let honest = draw(net.clone(), &|_| {});
    let attacks: [&dyn Fn(&mut Net); 5] = [
        &|net| net.pledge(1, 200),
        &|net| (1..=12).for_each(|miner| net.pledge(miner, miner * 3)),
        &|net| net.add_miners(6, 50),
        &|net| net.add_miners(5, 0),
        &|net| {
            for operator in net.operators.clone() {
                let leave = net.try_call(operator, MINERS, &IMiners::retireCall {});
                let _: IMiners::DrawPending = refusal(leave);
            }
        },
    ];
    for attack in attacks {
        assert_eq!(draw(net.clone(), attack), honest);
    }
    // A seed of another view, which a proposer could have picked, is ignored.
    let mut other = net.clone();
    for view in [target.1 - 1, target.1 + 1] {
        other.block(Some(beacon((target.0, view))));
        assert_eq!(other.target(), Some(target));
    }
    let mut next = net.clone();
    next.block(Some(beacon((target.0 + 1, target.1))));
    assert_eq!(next.target(), Some(target));
}

/// A writer promises one budget to the members of every volume, fills all their disks and commits nothing.
#[test]
fn e9_a_budget_is_leased_once() {
    let mut net = Net::formed_with(StorageSpec { open_target: 2, ..StorageSpec::devnet() });
    net.form();
    let column = 16 << 20;
    let territory = net.territory(column * 8, 30);
    let until = net.world.block.timestamp_ms + 1_000;
    let lease = |volumes: &[u32]| IVolumes::leaseCall {
        territory,
        volumes: volumes.to_vec(),
        columnBytes: column,
        untilMs: until,
    };
    let _: ITerritories::TerritoryFull = refusal(net.try_call(ALICE, VOLUMES, &lease(&[1, 2])));
    let _: ITerritories::TerritoryFull = refusal(net.try_call(ALICE, VOLUMES, &lease(&[1, 1])));
    net.call(ALICE, VOLUMES, &lease(&[1]));
    let second: ITerritories::TerritoryFull = refusal(net.try_call(ALICE, VOLUMES, &lease(&[2])));
    assert_eq!(second.bytesFree, 0);
    // Nor does it pay for a commit elsewhere.
    let elsewhere = net.full_batch(2, territory, 0, &[1]);
    let _: ITerritories::TerritoryFull = refused(&mut net, elsewhere);
    let here = net.full_batch(1, territory, 0, &[1]);
    net.commit(vec![here]);
    // A lease that was used up is gone: what it gave is used quota now.
    let account = net.account(territory);
    assert_eq!((account.bytesUsed, account.bytesLeased), (8 << 16, (column - (1 << 16)) * 8));
}

/// A writer commits with few honest holders; or members sign without storing, and the rest are fewer than k.
#[test]
fn e10_fewer_signers_than_the_write_quorum_are_refused() {
    let (mut net, territory) = net();
    for count in 0..6 {
        let batch = net.batch(1, territory, 0, stripes(0, &[1]), &ALL[..count]);
        let missing: IVolumes::QuorumMissing = refused(&mut net, batch);
        assert_eq!((missing.signed, missing.needed), (U256::from(count), U256::from(6)));
    }
    // One key signs for six seats.
    let mut forged = net.batch(1, territory, 0, stripes(0, &[1]), &ALL[..6]);
    let first = net.volume(1).miners[0] as usize;
    let one = net.keys[first - 1].clone();
    forged.signature = sign(&forged, net.spec.profile, &[&one; 6]);
    let _: IVolumes::InvalidSignature = refused(&mut net, forged);
    // Five sign, and the bitmap says six.
    let mut forged = net.batch(1, territory, 0, stripes(0, &[1]), &ALL[..5]);
    forged.signers = bitmap(8, &ALL[..6]);
    let _: IVolumes::InvalidSignature = refused(&mut net, forged);
    // A miner that is no member signs.
    let mut forged = net.batch(1, territory, 0, stripes(0, &[1]), &ALL[..6]);
    let members = net.volume(1).miners;
    let outsider = (1..=9).find(|miner| !members.contains(miner)).expect("nine miners, eight seats");
    let keys: Vec<ReceiptKey> =
        members[..5].iter().chain([&outsider]).map(|miner| net.keys[*miner as usize - 1].clone()).collect();
    forged.signature = sign(&forged, net.spec.profile, &keys.iter().collect::<Vec<_>>());
    let _: IVolumes::InvalidSignature = refused(&mut net, forged);

    let quorum = net.batch(1, territory, 0, stripes(0, &[1]), &ALL[2..]);
    net.commit(vec![quorum]);
}

/// Puts another miner on a seat, as a repair will.
fn replace(net: &mut Net, seat: usize, miner: u32) {
    let mut members = net.volume(1).miners;
    members[seat] = miner;
    let volumes = U256::from(3);
    let base: U256 = keccak256([B256::with_last_byte(1), B256::from(volumes)].concat()).into();
    let position = base + U256::from(21 + 32);
    let word = members.iter().rev().fold(U256::ZERO, |word, lane| word << 32 | U256::from(*lane));
    net.world.storage.insert((VOLUMES, position), word);
    assert_eq!(Storage::at(U256::ZERO).volumes.position(), volumes);
    assert_eq!(net.volume(1).miners, members);
}

/// Receipts of a member that has left count for nothing; those of the others stay good although a seat changed.
#[test]
fn e16_a_receipt_counts_for_the_present_holder_of_its_seat() {
    let (mut net, territory) = net();
    let members = net.volume(1).miners;
    let spare = (1..=9).find(|miner| !members.contains(miner)).expect("nine miners, eight seats");
    let with_old = net.full_batch(1, territory, 0, &[1]);
    let without = net.batch(1, territory, 1, stripes(1, &[1]), &[0, 1, 2, 4, 5, 6, 7]);
    replace(&mut net, 3, spare);
    let _: IVolumes::InvalidSignature = refused(&mut net, with_old);
    net.commit(vec![without]);
    let with_new = net.full_batch(1, territory, 2, &[1]);
    net.commit(vec![with_new]);
}

/// Receipts are used again after the members have released what they were for, or for another payer, volume or chain.
#[test]
fn e17_receipts_are_used_once() {
    let (mut net, territory) = net();
    let batch = net.full_batch(1, territory, 5, &[1]);
    net.commit(vec![batch.clone()]);
    let replay: IVolumes::SequenceUsed = refused(&mut net, batch.clone());
    assert_eq!(replay, IVolumes::SequenceUsed { territory, sequence: 5 });
    // Also when the segment is no longer live.
    let stripe = net.release_of(1, 0);
    net.call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 1, stripes: vec![stripe] });
    let _: IVolumes::SequenceUsed = refused(&mut net, batch.clone());
    // Also twice in one commit.
    let fresh = net.full_batch(1, territory, 6, &[1]);
    let twice = net.try_commit(ALICE, vec![fresh.clone(), fresh.clone()], Vec::new());
    let _: IVolumes::SequenceUsed = refusal(twice);
    // Another sequence, territory or chain makes another message.
    let second = net.territory(1 << 30, 30);
    for changed in [Batch { sequence: 7, ..fresh.clone() }, Batch { territory: second, ..fresh.clone() }] {
        let _: IVolumes::InvalidSignature = refused(&mut net, changed);
    }
    net.world.block.chain_id += 1;
    let _: IVolumes::InvalidSignature = refused(&mut net, fresh.clone());
    net.world.block.chain_id -= 1;
    // The other territory has sequences of its own, and order does not matter.
    for (territory, sequence) in
        [(second, 5), (territory, u64::MAX), (territory, 0), (territory, 255), (territory, 256)]
    {
        let batch = net.batch(1, territory, sequence, stripes(sequence ^ territory << 40, &[1]), &ALL);
        net.commit(vec![batch.clone()]);
        let _: IVolumes::SequenceUsed = refused(&mut net, batch);
    }
}

/// The point at infinity is a signature of the empty set, and no one else's.
#[test]
fn an_aggregate_of_nobody_is_refused() {
    let (mut net, territory) = net();
    let mut batch = net.full_batch(1, territory, 0, &[1]);
    batch.signers = bitmap(8, &[]);
    batch.signature = Bytes::from([&[0xc0][..], &[0; 95]].concat());
    let _: IVolumes::QuorumMissing = refused(&mut net, batch);
}
