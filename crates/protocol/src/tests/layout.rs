//! Hold what readers without a ledger read from slots (`types::layout`) against what the modules answer.

use super::vectors::scenario;
use crate::fixture::*;
use alloy_primitives::{Address, B256, Bytes};
use types::{
    Profile,
    abi::{BUCKETS, IBuckets, IMiners, ITerritories, IVolumes, MINERS, TERRITORIES, VOLUMES},
    bucket::bucket_id,
    layout::{
        Missing, Query, Words,
        buckets::BucketQuery,
        miners::{ContactQuery, MinerQuery, OperatorQuery},
        territories::TerritoryQuery,
        volumes::{
            CountQuery, Lease, LeaseQuery, LogQuery, OpenQuery, PositionQuery, SeatQuery, SeatsQuery, SequenceQuery,
            VolumeQuery,
        },
    },
    state::StateKey,
};

/// Reads a record from the bare slots, and how often there were more to be read.
fn read<Q: Query>(net: &Net, query: &Q) -> (Q::Record, usize) {
    let mut words = Words::default();
    let mut wanted: Vec<_> = query.slots().into_iter().map(|slot| StateKey::Slot(Q::MODULE, slot)).collect();
    for rounds in 0..4 {
        for key in wanted {
            let StateKey::Slot(address, slot) = key else { panic!("queries ask for slots") };
            words.insert(key, net.world.storage.get(&(address, slot)).copied().unwrap_or_default());
        }
        match query.read(&words) {
            Ok(record) => return (record, rounds),
            Err(Missing(keys)) => wanted = keys,
        }
    }
    panic!("it never has enough")
}

/// Reads a record whose slots are guessed at once.
fn guessed<Q: Query>(net: &Net, query: &Q) -> Q::Record {
    let (record, rounds) = read(net, query);
    assert_eq!(rounds, 0, "more slots than were asked for");
    record
}

fn seats(volume: u32) -> SeatsQuery {
    SeatsQuery { volume, profile: Profile::Devnet }
}

#[test]
fn volumes_read_from_slots_are_what_the_module_answers() {
    let mut net = scenario();
    assert_eq!(guessed(&net, &VolumeQuery(seats(1))), Some(net.volume(1)));
    assert_eq!(guessed(&net, &VolumeQuery(seats(2))), None);
    assert_eq!(guessed(&net, &seats(1)).expect("it has formed").miners, net.volume(1).miners);
    assert_eq!(guessed(&net, &CountQuery), net.view(VOLUMES, &IVolumes::volumeCountCall {}));
    let open = net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 });
    assert!(!open.is_empty());
    assert_eq!(guessed(&net, &OpenQuery { policy: 0 }), open);
    for (stripe_count, rounds) in [(3, 0), (2, 1), (7, 0), (0, 1)] {
        let (log, read_again) = read(&net, &LogQuery { volume: 1, stripe_count });
        assert_eq!((log.stripe_count, log.root), (3, net.volume(1).stripesRoot));
        assert_eq!(read_again, rounds, "after a guess of {stripe_count} stripes");
    }
}

#[test]
fn seats_read_from_slots_are_what_the_module_answers_whatever_goes_on_there() {
    let mut net = scenario();
    let check = |net: &mut Net| {
        for seat in 0..8 {
            let answered = net.view(VOLUMES, &IVolumes::seatOfCall { volume: 1, seat });
            assert_eq!(guessed(net, &SeatQuery { volume: 1, seat }), answered);
        }
        (0..8).map(|seat| guessed(net, &SeatQuery { volume: 1, seat }).state).collect::<Vec<_>>()
    };
    assert_eq!(check(&mut net), [0; 8]);
    for seat in [2, 5] {
        let miner = net.volume(1).miners[usize::from(seat)];
        let operator = net.operators[miner as usize - 1];
        if seat == 2 {
            net.call(operator, VOLUMES, &IVolumes::handOverCall { volume: 1, seat });
        } else {
            net.call(operator, VOLUMES, &IVolumes::leaveCall { volume: 1, seat });
        }
    }
    assert_eq!(check(&mut net), [0, 0, 3, 0, 0, 1, 0, 0]);
    assert_eq!(guessed(&net, &SeatQuery { volume: 9, seat: 0 }).miner, 0);
}

#[test]
fn leases_positions_and_sequences_are_found() {
    let mut net = scenario();
    let lease = net.view(VOLUMES, &IVolumes::leaseOfCall { territory: 1, volume: 1 });
    let expected = Lease { column_bytes: lease.columnBytes, until_ms: lease.untilMs };
    assert!(expected.until_ms > 0);
    assert_eq!(guessed(&net, &LeaseQuery { territory: 1, volume: 1 }), expected);
    assert_eq!(guessed(&net, &LeaseQuery { territory: 2, volume: 1 }), Lease::default());
    for (index, leaf) in (1..).zip(net.leaves(1)) {
        assert_eq!(guessed(&net, &PositionQuery { volume: 1, segment: leaf.segment }), index);
        assert_eq!(guessed(&net, &PositionQuery { volume: 2, segment: leaf.segment }), 0);
    }
    let used = |sequence| guessed(&net, &SequenceQuery { territory: 1, sequence });
    assert_eq!([0, 1, 2, 256, 257].map(used), [true, true, false, false, false]);
}

#[test]
fn miners_read_from_slots_are_what_the_module_answers() {
    let mut net = scenario();
    for id in 1..=3 {
        let record = net.view(MINERS, &IMiners::minerCall { id });
        assert_eq!(guessed(&net, &OperatorQuery(record.operator)), id);
        assert_eq!(guessed(&net, &ContactQuery(id)).endpoint, record.endpoint);
        assert_eq!(guessed(&net, &MinerQuery(id)), Some(record));
    }
    assert_eq!(guessed(&net, &MinerQuery(1_000)), None);
    assert_eq!(guessed(&net, &OperatorQuery(Address::ZERO)), 0);
    let operator = net.view(MINERS, &IMiners::minerCall { id: 1 }).operator;
    let addresses = (1..=4).map(|port| ([0xfd00, 0, 0, 0, 0, 0, 0, 1], port).into()).collect();
    let relay = Some(format!("https://{}.example.org", "r".repeat(100)));
    let long = types::Endpoint::new(B256::ZERO, addresses, relay).unwrap().encode();
    net.call(operator, MINERS, &IMiners::setEndpointCall { endpoint: Bytes::from(long.clone()) });
    let (contact, rounds) = read(&net, &ContactQuery(1));
    assert_eq!((contact.endpoint.to_vec(), rounds), (long, 1));
}

#[test]
fn territories_and_buckets_read_from_slots_are_what_the_modules_answer() {
    let mut net = scenario();
    let territory = net.view(TERRITORIES, &ITerritories::territoryCall { id: 1 });
    assert_eq!(guessed(&net, &TerritoryQuery(1)), Some(territory));
    assert_eq!(guessed(&net, &TerritoryQuery(2)), None);
    let id = bucket_id(ALICE, &B256::ZERO);
    assert_eq!(guessed(&net, &BucketQuery(id)), Some(net.view(BUCKETS, &IBuckets::bucketCall { id })));
    assert_eq!(guessed(&net, &BucketQuery(B256::ZERO)), None);
    let writers = vec![Address::repeat_byte(1), Address::repeat_byte(2)];
    net.call(ALICE, BUCKETS, &IBuckets::setWritersCall { bucket: id, writers });
    assert_eq!(read(&net, &BucketQuery(id)), (Some(net.view(BUCKETS, &IBuckets::bucketCall { id })), 1));
}
