use crate::fixture::*;
use alloy_primitives::{B256, Bytes, U256};
use types::spec::REBUILD_FEE_DAYS;
use types::{
    abi::{BUCKETS, Batch, IBuckets, IMiners, ITerritories, IVolumes, MINERS, Root, RootUpdate, TERRITORIES, VOLUMES},
    segment::segment_id,
    spec::StorageSpec,
};

const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

fn net() -> (Net, u64) {
    let mut net = Net::formed();
    let territory = net.territory(100 << 30, 30);
    (net, territory)
}

#[track_caller]
fn refused<E: alloy_sol_types::SolError>(net: &mut Net, batch: Batch) -> E {
    let before = net.world.clone();
    let result = net.try_commit(ALICE, vec![batch], Vec::new());
    assert!(net.world == before, "a refused commit changes nothing");
    refusal(result)
}

#[test]
fn appends_stripes_behind_the_log() {
    let (mut net, territory) = net();
    let lengths = [5, 8 << 20, 300_000, 262_144, 262_145];
    let columns = [64 << 10, 2 << 20, 76 << 10, 64 << 10, 68 << 10];
    let batch = net.full_batch(1, territory, 7, &lengths);
    net.commit(vec![batch.clone()]);
    let leaves = net.leaves(1);
    let now = net.world.block.timestamp_ms;
    let mut offset = 0;
    for (index, leaf) in leaves.iter().enumerate() {
        let stripe = &batch.stripes[index];
        assert_eq!(leaf.segment, segment_id(net.spec.profile, stripe.length, &stripe.fragmentsRoot));
        assert_eq!((leaf.offset, leaf.fragmentBytes, leaf.length), (offset, columns[index], lengths[index]));
        assert_eq!((leaf.committedAtMs, leaf.termEndMs), (now, now + net.spec.term_min_ms));
        let position = IVolumes::positionOfCall { volume: 1, segment: leaf.segment };
        assert_eq!(net.view(VOLUMES, &position) as usize, index + 1);
        offset += columns[index];
    }
    let hashes: Vec<B256> = leaves.iter().map(leaf_hash).collect();
    let volume = net.volume(1);
    assert_eq!((volume.stripeCount, volume.columnBytes, volume.stripesRoot), (5, offset, log_root(&hashes)));
    assert_eq!(net.account(territory).bytesUsed, offset * 8);
    assert!(net.events::<IVolumes::Appended>().iter().all(|event| event.missing == Bytes::from_static(&[0])));
    assert!(net.view(VOLUMES, &IVolumes::isSequenceUsedCall { territory, sequence: 7 }));
    assert!(!net.view(VOLUMES, &IVolumes::isSequenceUsedCall { territory, sequence: 8 }));
    let nowhere = IVolumes::positionOfCall { volume: 1, segment: B256::ZERO };
    assert_eq!(net.view(VOLUMES, &nowhere), 0);
}

#[test]
fn takes_deposits_and_the_rebuild_of_skipped_seats() {
    let (mut net, territory) = net();
    let degraded = net.batch(1, territory, 0, stripes(0, &[8 << 20, 1]), &[0, 1, 2, 4, 5, 7]);
    let column = U256::from((2u64 << 20) + (64 << 10));
    let rebuild = column * U256::from(2 * REBUILD_FEE_DAYS * net.spec.price_per_byte_day);
    let due = net.spec.stripe_deposit * U256::from(2) + rebuild;
    let price = net.view(VOLUMES, &IVolumes::commitPriceCall { batches: vec![degraded.clone()] });
    assert_eq!(price, due);

    let call = IVolumes::commitCall { batches: vec![degraded], roots: Vec::new() };
    let paid = due - U256::from(1);
    let short = net.try_pay(ALICE, VOLUMES, paid, &call);
    assert_eq!(refusal::<IVolumes::Underpaid, _>(short), IVolumes::Underpaid { due, paid });
    let funds = net.world.balance(ALICE);
    net.pay(ALICE, VOLUMES, due + U256::from(1_000), &call);
    assert_eq!(net.world.balance(ALICE), funds - due);
    assert_eq!(net.world.balance(VOLUMES), due);
    let missing: Vec<Bytes> = net.events::<IVolumes::Appended>().into_iter().map(|event| event.missing).collect();
    assert_eq!(missing, [Bytes::from_static(&[0b0100_1000]), Bytes::from_static(&[0b0100_1000])]);
}

#[test]
fn the_commit_price_names_what_is_wrong() {
    let (mut net, territory) = net();
    let good = net.full_batch(1, territory, 0, &[1]);
    let mut ask = |batch: Batch| net.try_call(BOB, VOLUMES, &IVolumes::commitPriceCall { batches: vec![batch] });
    let _: IVolumes::UnknownVolume = refusal(ask(Batch { volume: 2, ..good.clone() }));
    let _: IVolumes::InvalidBatch = refusal(ask(Batch { signers: Bytes::new(), ..good.clone() }));
    let _: IVolumes::InvalidBatch = refusal(ask(Batch { stripes: Vec::new(), ..good.clone() }));
    let _: IVolumes::InvalidStripe = refusal(ask(Batch { stripes: stripes(0, &[0]), ..good.clone() }));
    assert!(ask(good).is_ok());
}

#[test]
fn refuses_malformed_batches() {
    let (mut net, territory) = net();
    let good = net.full_batch(1, territory, 0, &[1, 2]);
    let signers = |bytes: &'static [u8]| Batch { signers: Bytes::from_static(bytes), ..good.clone() };
    let many = net.full_batch(1, territory, 0, &[1; 65]);
    for batch in
        [signers(&[]), signers(&[255, 0]), signers(&[255; 40]), Batch { stripes: vec![], ..good.clone() }, many]
    {
        let _: IVolumes::InvalidBatch = refused(&mut net, batch);
    }
    for (position, lengths) in [(0, [0, 1]), (1, [1, (8 << 20) + 1]), (1, [1, u64::MAX])] {
        let batch = net.full_batch(1, territory, 0, &lengths);
        assert_eq!(refused::<IVolumes::InvalidStripe>(&mut net, batch).position, U256::from(position));
    }
    let unknown: IVolumes::UnknownVolume = refused(&mut net, Batch { volume: 2, ..good.clone() });
    assert_eq!(unknown.volume, 2);
    let _: IVolumes::InvalidBatch = refusal(net.try_commit(ALICE, Vec::new(), Vec::new()));
    let _: IVolumes::InvalidBatch = refusal(net.try_commit(ALICE, vec![good.clone(); 65], Vec::new()));
    let _: IVolumes::InvalidBatch = refusal(net.try_commit(ALICE, Vec::new(), vec![RootUpdate::default(); 65]));
    net.commit(vec![good]);
}

#[test]
fn bitmaps_may_not_name_seats_that_do_not_exist() {
    use crate::volumes::signers::Signers;
    assert!(Signers::parse(&[0xff; 5], 40).is_ok());
    assert!(Signers::parse(&[0xff, 0xff, 0xff, 0xff, 0xff, 1], 40).is_err());
    assert!(Signers::parse(&[0, 0b1000], 11).is_err());
    assert!(Signers::parse(&[0, 0b0100], 11).is_ok());
    let all = Signers::parse(&[0xff; 32], 256).unwrap_or_else(|_| panic!("256 seats fit"));
    assert_eq!((all.count(), all.missing()), (256, U256::ZERO));
}

#[test]
fn refuses_signatures_of_anything_else() {
    let (mut net, territory) = net();
    let good = net.full_batch(1, territory, 0, &[1, 2]);
    let other = |change: fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch
    };
    let bad = [
        other(|batch| batch.sequence += 1),
        other(|batch| batch.expiresAtHeight += 1),
        other(|batch| batch.stripes.swap(0, 1)),
        other(|batch| batch.stripes[0].length += 1),
        other(|batch| batch.stripes.truncate(1)),
        // One signer fewer than the aggregate has.
        other(|batch| batch.signers = Bytes::from_static(&[0x7f])),
        other(|batch| batch.signature = Bytes::new()),
        other(|batch| batch.signature = batch.signature.slice(..95)),
        other(|batch| batch.signature = vec![0; 96].into()),
        // The point at infinity.
        other(|batch| batch.signature = [&[0xc0][..], &[0; 95]].concat().into()),
    ];
    for batch in bad {
        let _: IVolumes::InvalidSignature = refused(&mut net, batch);
    }
    net.commit(vec![good]);
}

#[test]
fn only_the_owner_of_a_paid_territory_with_room_commits() {
    let (mut net, territory) = net();
    let small = net.territory(8 * (64 << 10), 1);
    let good = net.full_batch(1, territory, 0, &[1]);
    let foreign = net.try_commit(BOB, vec![good], Vec::new());
    assert_eq!(refusal::<ITerritories::NotTerritoryOwner, _>(foreign).caller, BOB);
    let unknown = net.full_batch(1, 99, 0, &[1]);
    let _: ITerritories::UnknownTerritory = refused(&mut net, unknown);
    let full = net.full_batch(1, small, 0, &[1, 1]);
    let full: ITerritories::TerritoryFull = refused(&mut net, full);
    assert_eq!((full.bytesFree, full.bytesNeeded), (8 << 16, 16 << 16));

    // Paid for exactly the minimum term: good in this millisecond, not in the next.
    let last = net.full_batch(1, small, 0, &[1]);
    net.world.block.timestamp_ms += 1;
    let expired: ITerritories::TerritoryExpired = refused(&mut net, last.clone());
    assert_eq!(expired.paidUntilMs, net.world.block.timestamp_ms - 1 + net.spec.term_min_ms);
    net.world.block.timestamp_ms -= 1;
    net.commit(vec![last]);
}

#[test]
fn a_segment_is_live_once_in_a_volume() {
    let (mut net, territory) = net();
    let first = net.full_batch(1, territory, 0, &[1, 2]);
    let again = net.batch(1, territory, 1, first.stripes.clone(), &ALL);
    let twice = net.batch(1, territory, 2, [first.stripes.clone(), first.stripes.clone()].concat(), &ALL);
    let segment = segment_id(net.spec.profile, 1, &first.stripes[0].fragmentsRoot);
    assert_eq!(refused::<IVolumes::SegmentAlreadyLive>(&mut net, twice).segment, segment);
    net.commit(vec![first]);
    assert_eq!(refused::<IVolumes::SegmentAlreadyLive>(&mut net, again).segment, segment);
}

#[test]
fn a_volume_closes_when_no_full_stripe_fits() {
    let spec = StorageSpec { lot_slots: 3, open_target: 2, ..StorageSpec::devnet() };
    let mut net = Net::formed_with(spec);
    net.form();
    let territory = net.territory(100 << 30, 30);
    let first = net.full_batch(1, territory, 0, &[8 << 20, 8 << 20]);
    net.commit(vec![first]);
    assert!(net.volume(1).open);
    let too_much = net.full_batch(1, territory, 1, &[8 << 20, 1]);
    let full: IVolumes::VolumeFull = refused(&mut net, too_much);
    assert_eq!((full.bytesFree, full.bytesNeeded), (2 << 20, (2 << 20) + (64 << 10)));
    let last = net.full_batch(1, territory, 2, &[1]);
    net.commit(vec![last]);
    assert!(!net.volume(1).open);
    assert_eq!(net.events::<IVolumes::Filled>(), [IVolumes::Filled { volume: 1 }]);
    let late = net.full_batch(1, territory, 3, &[1]);
    assert_eq!(refused::<IVolumes::VolumeClosed>(&mut net, late).volume, 1);
    let lease = IVolumes::leaseCall { territory, volumes: vec![1], columnBytes: 1, untilMs: START_MS + 1_000_000 };
    let _: IVolumes::VolumeClosed = refusal(net.try_call(ALICE, VOLUMES, &lease));
    // The list of open volumes stays right, and the place is filled again.
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [2]);
    net.form();
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [2, 3]);
    let fills = net.full_batch(3, territory, 4, &[8 << 20, 8 << 20, 8 << 20]);
    let fills_too = net.full_batch(2, territory, 5, &[8 << 20, 8 << 20, 8 << 20]);
    net.commit(vec![fills, fills_too]);
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }), [0u32; 0]);
}

#[test]
fn a_log_without_room_takes_nothing_more() {
    use crate::{storage::Word, volumes::record::Head};
    let (mut net, territory) = net();
    // Two stripes below the full log, as if 2^20 - 2 tiny ones had been committed.
    let (key, word) = head_slot(&net);
    let head = Head { stripe_count: (1 << 20) - 2, ..Head::decode(word) };
    net.world.storage.insert(key, head.encode());
    let three = net.full_batch(1, territory, 0, &[1, 1, 1]);
    let _: IVolumes::VolumeFull = refused(&mut net, three);
    let two = net.full_batch(1, territory, 1, &[1, 1]);
    net.commit(vec![two]);
    let volume = net.volume(1);
    assert_eq!((volume.open, volume.stripeCount), (false, 1 << 20));
}

/// Where the head of volume 1 is.
fn head_slot(net: &Net) -> ((alloy_primitives::Address, U256), U256) {
    let preimage = [B256::with_last_byte(1), B256::with_last_byte(3)].concat();
    let key = (VOLUMES, U256::from_be_bytes(alloy_primitives::keccak256(preimage).0));
    (key, net.world.storage[&key])
}

#[test]
fn slots_are_where_the_specification_says() {
    let (mut net, territory) = net();
    let batch = net.batch(1, territory, 300, stripes(0, &[1]), &[0, 1, 2, 3, 4, 5]);
    net.commit(vec![batch]);
    net.call(
        ALICE,
        VOLUMES,
        &IVolumes::leaseCall { territory, volumes: vec![1], columnBytes: 77, untilMs: START_MS + 99_000 },
    );
    let ((_, base), head) = head_slot(&net);
    let volume = net.volume(1);
    let at = |position: U256| net.world.storage.get(&(VOLUMES, position)).copied().unwrap_or_default();
    let entry = |key: U256, base: U256| -> U256 {
        alloy_primitives::keccak256([key.to_be_bytes::<32>(), base.to_be_bytes::<32>()].concat()).into()
    };
    let n = |number: u64| U256::from(number);
    // profile, open, policy, stripes, position in the list, column, full, subsidised
    assert_eq!(head, n(1) << 8 | n(1) << 48 | n(64 << 10) << 112 | n(1) << 184);
    assert_eq!(at(n(1)), n(1), "volumes");
    assert_eq!(at(entry(n(0), n(2))), n(1), "open volumes of policy 0");
    let leaf = leaf_hash(&net.leaves(1)[0]);
    assert_eq!(at(base + n(1)), U256::from_be_bytes(types::merkle::leaf(&leaf).0), "frontier");
    let lanes = |list: &[u32]| list.iter().rev().fold(U256::ZERO, |word, lane| word << 32 | U256::from(*lane));
    assert_eq!(at(base + n(21)), lanes(&volume.lots));
    assert_eq!(at(base + n(21 + 32)), lanes(&volume.miners));
    let segment = net.leaves(1)[0].segment;
    assert_eq!(at(entry(segment.into(), base + n(85))), n(1), "position");
    assert_eq!(at(entry(n(0), base + n(87))), n(0b1100_0000), "missing");
    assert_eq!(at(entry(n(1), entry(n(territory), n(4)))), n(77) | n(START_MS + 99_000) << 64, "lease");
    assert_eq!(at(entry(n(1), entry(n(territory), n(5)))), n(1) << 44, "sequence 300");
    let release = net.release_of(1, 0);
    net.call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 1, stripes: vec![release] });
    let at = |position: U256| net.world.storage.get(&(VOLUMES, position)).copied().unwrap_or_default();
    assert_eq!(at(entry(n(0), base + n(86))), n(1), "released");
    assert_eq!(at(entry(n(0), base + n(87))), n(0), "missing");
    assert_eq!(at(entry(segment.into(), base + n(85))), n(0), "position");
}

#[test]
fn roots_change_with_the_stripes_or_not_at_all() {
    let (mut net, territory) = net();
    let create =
        IBuckets::createCall { tag: B256::ZERO, territory, policy: 0, profile: 0, flags: 0, sealedName: Bytes::new() };
    let bucket = net.call(ALICE, BUCKETS, &create);
    let root = Root { segment: B256::repeat_byte(1), volume: 1, offset: 2, length: 3, pageHash: B256::repeat_byte(4) };
    let update = |expected: u64| RootUpdate { bucket, expectedVersion: expected, root: root.clone() };

    let batch = net.full_batch(1, territory, 0, &[1]);
    let before = net.world.clone();
    let lost = net.try_commit(ALICE, vec![batch.clone()], vec![update(0), update(0)]);
    let _: IBuckets::VersionChanged = refusal(lost);
    assert!(net.world == before, "neither stripes nor roots");
    let mut bad = batch.clone();
    bad.sequence = 1;
    let _: IVolumes::InvalidSignature = refusal(net.try_commit(ALICE, vec![bad], vec![update(0)]));
    assert!(net.world == before);

    net.try_commit(ALICE, vec![batch], vec![update(0), update(1)]).expect("both happen");
    let known = net.view(BUCKETS, &IBuckets::bucketCall { id: bucket });
    assert_eq!((known.version, known.root), (2, root.clone()));

    // The writer is who called commit, not the module.
    let mine = net.try_commit(BOB, Vec::new(), vec![update(2)]);
    assert_eq!(refusal::<IBuckets::NotWriter, _>(mine).caller, BOB);
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: vec![BOB] });
    net.try_commit(BOB, Vec::new(), vec![update(2)]).expect("a writer may");
}

#[test]
fn several_batches_go_into_several_volumes() {
    let mut net = Net::formed_with(StorageSpec::devnet());
    net.form();
    let territory = net.territory(100 << 30, 30);
    let batches = vec![net.full_batch(1, territory, 0, &[1, 2]), net.full_batch(2, territory, 1, &[3])];
    net.commit(batches);
    let third = net.full_batch(1, territory, 2, &[4]);
    net.commit(vec![third]);
    assert_eq!((net.volume(1).stripeCount, net.volume(2).stripeCount), (3, 1));
    let hashes: Vec<B256> = net.leaves(1).iter().map(leaf_hash).collect();
    assert_eq!(net.volume(1).stripesRoot, log_root(&hashes));
}

#[test]
fn money_goes_only_where_it_belongs() {
    let (mut net, territory) = net();
    let batch = net.full_batch(1, territory, 0, &[1]);
    let (territories, miners) = (net.world.balance(TERRITORIES), net.world.balance(MINERS));
    net.commit(vec![batch]);
    assert_eq!((net.world.balance(TERRITORIES), net.world.balance(MINERS)), (territories, miners));
    assert_eq!(net.world.balance(VOLUMES), net.spec.stripe_deposit);
    let each = net.spec.lot_collateral * U256::from(4);
    assert!((1..=9).all(|id| net.view(MINERS, &IMiners::minerCall { id }).collateral == each));
}

/// What `commit` costs, without the transaction's own price. Bounds, so that a change that makes it dearer is seen.
#[test]
fn gas_grows_with_the_stripes() {
    use alloy_sol_types::SolCall;
    let (mut net, territory) = net();
    let mut sequence = 0;
    let mut used = |count: usize| {
        let batch = net.full_batch(1, territory, sequence, &vec![1; count]);
        sequence += 1;
        let call = IVolumes::commitCall { batches: vec![batch], roots: Vec::new() };
        let response = net.raw(ALICE, VOLUMES, U256::from(FUNDS / 10), &call.abi_encode());
        response.result.expect("the commit succeeds");
        response.gas_used
    };
    used(1);
    let (one, sixteen, many) = (used(1), used(16), used(64));
    assert!(one < 290_000 && sixteen < 750_000 && many < 2_050_000, "{one} {sixteen} {many}");
    assert!((many - sixteen) / 48 > 25_000, "work that is not paid for: {many} {sixteen}");
}
