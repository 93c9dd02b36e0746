use super::*;
use crate::{SYSTEM, errors, fixture::*};
use alloy_primitives::keccak256;
use alloy_sol_types::SolCall;
use types::abi::BUCKETS;

const TAG: B256 = B256::repeat_byte(0x7a);

fn create(territory: u64) -> IBuckets::createCall {
    IBuckets::createCall { tag: TAG, territory, policy: 0, profile: 0, flags: 1, sealedName: b"sealed".into() }
}

fn root(number: u8) -> Root {
    Root {
        segment: B256::repeat_byte(number),
        volume: 3,
        offset: 1 << 40,
        length: 65_536,
        pageHash: B256::repeat_byte(number + 1),
    }
}

fn change(bucket: B256, expected: u64, number: u8) -> IBuckets::updateCall {
    IBuckets::updateCall { change: RootUpdate { bucket, expectedVersion: expected, root: root(number) } }
}

fn read(net: &mut Net, id: B256) -> IBuckets::Bucket {
    net.view(BUCKETS, &IBuckets::bucketCall { id })
}

fn net() -> (Net, B256) {
    let mut net = Net::new(StorageSpec::devnet());
    let territory = net.territory(1 << 30, 30);
    let bucket = net.call(ALICE, BUCKETS, &create(territory));
    (net, bucket)
}

#[test]
fn creates_a_bucket_under_its_owner_and_tag() {
    let (mut net, bucket) = net();
    assert_eq!(bucket, bucket_id(ALICE, &TAG));
    let known = read(&mut net, bucket);
    assert_eq!((known.owner, known.territory, known.policy, known.profile, known.flags), (ALICE, 1, 0, 0, 1));
    assert_eq!((known.version, known.root, known.writers.len()), (0, Root::default(), 0));
    let event = IBuckets::Created { bucket, owner: ALICE, tag: TAG, territory: 1, sealedName: b"sealed".into() };
    assert_eq!(net.events::<IBuckets::Created>(), [event]);
}

#[test]
fn creating_names_what_is_wrong() {
    let (mut net, bucket) = net();
    let exists = net.try_call(ALICE, BUCKETS, &create(1));
    assert_eq!(refusal::<IBuckets::BucketExists, _>(exists).bucket, bucket);
    let other = IBuckets::createCall { tag: B256::ZERO, ..create(1) };
    let bad = [
        IBuckets::createCall { profile: 1, ..other.clone() },
        IBuckets::createCall { profile: 9, ..other.clone() },
        IBuckets::createCall { flags: 2, ..other.clone() },
        IBuckets::createCall { sealedName: vec![0; 513].into(), ..other.clone() },
    ];
    for call in bad {
        let _: IBuckets::InvalidBucket = refusal(net.try_call(ALICE, BUCKETS, &call));
    }
    let unknown = IBuckets::createCall { territory: 2, ..other.clone() };
    let unknown = net.try_call(ALICE, BUCKETS, &unknown);
    assert_eq!(refusal::<ITerritories::UnknownTerritory, _>(unknown).territory, 2);
    let foreign = net.try_call(BOB, BUCKETS, &other);
    assert_eq!(refusal::<ITerritories::NotTerritoryOwner, _>(foreign).caller, BOB);
    let longest = IBuckets::createCall { sealedName: vec![0; 512].into(), ..other };
    net.call(ALICE, BUCKETS, &longest);
}

#[test]
fn the_root_changes_only_from_the_expected_version() {
    let (mut net, bucket) = net();
    net.call(ALICE, BUCKETS, &change(bucket, 0, 1));
    net.call(ALICE, BUCKETS, &change(bucket, 1, 2));
    let known = read(&mut net, bucket);
    assert_eq!((known.version, known.root), (2, root(2)));
    let lost = net.try_call(ALICE, BUCKETS, &change(bucket, 1, 3));
    let lost: IBuckets::VersionChanged = refusal(lost);
    assert_eq!(lost, IBuckets::VersionChanged { bucket, expected: 1, current: 2 });
    let unknown = net.try_call(ALICE, BUCKETS, &change(B256::ZERO, 0, 3));
    assert_eq!(refusal::<IBuckets::UnknownBucket, _>(unknown).bucket, B256::ZERO);
    let events = net.events::<IBuckets::RootChanged>();
    assert_eq!(events[1], IBuckets::RootChanged { bucket, version: 2, root: root(2) });
}

#[test]
fn writers_may_set_the_root_and_nothing_else() {
    let (mut net, bucket) = net();
    let stranger = net.try_call(BOB, BUCKETS, &change(bucket, 0, 1));
    assert_eq!(refusal::<IBuckets::NotWriter, _>(stranger), IBuckets::NotWriter { bucket, caller: BOB });
    let most: Vec<_> = (1..=15).map(Address::with_last_byte).chain([BOB]).collect();
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: most.clone() });
    assert_eq!(read(&mut net, bucket).writers, most);
    net.call(BOB, BUCKETS, &change(bucket, 0, 1));

    let too_many = [most.clone(), vec![ALICE]].concat();
    let too_many = net.try_call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: too_many });
    assert_eq!(refusal::<IBuckets::TooManyWriters, _>(too_many).count, U256::from(17));
    let denied = [
        net.raw(BOB, BUCKETS, U256::ZERO, &IBuckets::setWritersCall { bucket, writers: vec![] }.abi_encode()),
        net.raw(BOB, BUCKETS, U256::ZERO, &IBuckets::setTerritoryCall { bucket, territory: 1 }.abi_encode()),
        net.raw(BOB, BUCKETS, U256::ZERO, &IBuckets::removeCall { bucket }.abi_encode()),
    ];
    for response in denied {
        let error: IBuckets::NotBucketOwner = refusal(response.result);
        assert_eq!(error, IBuckets::NotBucketOwner { bucket, caller: BOB });
    }
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: vec![MALLORY] });
    let _: IBuckets::NotWriter = refusal(net.try_call(BOB, BUCKETS, &change(bucket, 1, 2)));
    net.call(MALLORY, BUCKETS, &change(bucket, 1, 2));
    assert_eq!(net.events::<IBuckets::WritersChanged>().len(), 2);
}

#[test]
fn moves_to_another_territory_of_the_owner() {
    let (mut net, bucket) = net();
    let territory = net.territory(1, 1);
    net.call(ALICE, BUCKETS, &IBuckets::setTerritoryCall { bucket, territory });
    assert_eq!(read(&mut net, bucket).territory, territory);
    let unknown = net.try_call(ALICE, BUCKETS, &IBuckets::setTerritoryCall { bucket, territory: 9 });
    let _: ITerritories::UnknownTerritory = refusal(unknown);
}

#[test]
fn removing_leaves_nothing_behind() {
    let (mut net, bucket) = net();
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: vec![BOB, MALLORY] });
    net.call(ALICE, BUCKETS, &change(bucket, 0, 1));
    net.call(ALICE, BUCKETS, &IBuckets::removeCall { bucket });
    assert!(net.world.storage.keys().all(|(module, _)| *module != BUCKETS));
    assert_eq!(net.events::<IBuckets::Removed>(), [IBuckets::Removed { bucket, owner: ALICE }]);
    let gone = net.try_call(ALICE, BUCKETS, &IBuckets::bucketCall { id: bucket });
    let _: IBuckets::UnknownBucket = refusal(gone);
    assert_eq!(net.call(ALICE, BUCKETS, &create(1)), bucket);
}

#[test]
fn only_volumes_may_write_for_others() {
    let (mut net, bucket) = net();
    let call = IBucketRoots::updateForCall {
        writer: ALICE,
        bucket,
        expectedVersion: 0,
        segment: B256::ZERO,
        volume: 0,
        offset: 0,
        length: 0,
        pageHash: B256::ZERO,
    };
    for from in [ALICE, MALLORY, SYSTEM, TERRITORIES, BUCKETS] {
        let error = net.raw(from, BUCKETS, U256::ZERO, &call.abi_encode()).result.expect_err("refused");
        assert!(error.decode::<errors::UnknownSelector>().is_some(), "{error:?}");
    }
}

#[test]
fn slots_are_where_the_specification_says() {
    let (mut net, bucket) = net();
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket, writers: vec![BOB, MALLORY] });
    net.call(ALICE, BUCKETS, &change(bucket, 0, 1));
    let base: U256 = keccak256([bucket, B256::ZERO].concat()).into();
    let slot = |index: u64| B256::from(net.world.storage[&(BUCKETS, base + U256::from(index))]);
    let mut deed = ALICE.into_word();
    deed[11] = 1; // territory 1, below policy 0
    assert_eq!(slot(0), deed);
    let mut state = B256::ZERO;
    (state[31], state[30], state[29], state[21]) = (0, 1, 1, 2); // profile, flags, version, writers
    state[20] = 3; // volume
    state[9..17].copy_from_slice(&(1u64 << 40).to_be_bytes());
    state[5..9].copy_from_slice(&65_536u32.to_be_bytes());
    assert_eq!(slot(1), state);
    assert_eq!((slot(2), slot(3)), (root(1).segment, root(1).pageHash));
    assert_eq!((slot(4), slot(5)), (BOB.into_word(), MALLORY.into_word()));
}
