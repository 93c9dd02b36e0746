use super::{
    buckets::BucketQuery,
    miners::{Contact, ContactQuery},
    territories::TerritoryQuery,
    volumes::{Log, LogQuery, SeatsQuery},
    *,
};
use crate::{
    Profile,
    abi::{MINERS, TERRITORIES, VOLUMES},
    merkle::Frontier,
};
use alloy_primitives::B256;
use serde_json::Value;

/// The words of a network after a few transactions, by what they hold.
fn pinned() -> Vec<(String, StateKey, U256)> {
    let text = include_str!("../../../../vectors/protocol.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let word = |value: &Value| -> U256 { value.as_str().unwrap().parse().unwrap() };
    let rows = vectors["slots"].as_array().unwrap().iter().map(|row| {
        let address: Address = row["address"].as_str().unwrap().parse().unwrap();
        (row["name"].as_str().unwrap().to_owned(), StateKey::Slot(address, word(&row["slot"])), word(&row["value"]))
    });
    rows.collect()
}

fn slot_of(name: &str) -> U256 {
    let rows = pinned();
    let (_, key, _) = rows.iter().find(|(row, ..)| row == name).unwrap();
    let StateKey::Slot(_, slot) = key else { panic!("a slot") };
    *slot
}

/// Everything pinned, and zero where a query asks for more.
fn answer<Q: Query>(query: &Q) -> Q::Record {
    let mut words = Words::default();
    for (_, key, word) in pinned() {
        words.insert(key, word);
    }
    loop {
        match query.read(&words) {
            Ok(record) => return record,
            Err(Missing(keys)) => keys.into_iter().for_each(|key| words.insert(key, U256::ZERO)),
        }
    }
}

#[test]
fn queries_ask_for_the_pinned_slots() {
    let first = |slots: Vec<U256>, index: usize| slots[index];
    assert_eq!(first(TerritoryQuery(1).slots(), 0), slot_of("territories: title of 1"));
    assert_eq!(first(TerritoryQuery(1).slots(), 1), slot_of("territories: quota of 1"));
    assert_eq!(first(miners::MinerQuery(1).slots(), 0), slot_of("miners: identity of 1"));
    assert_eq!(first(miners::MinerQuery(1).slots(), 1), slot_of("miners: tally of 1"));
    let seats = SeatsQuery { volume: 1, profile: Profile::Devnet };
    assert_eq!(seats.slots(), [slot_of("volumes: head of 1"), slot_of("volumes: first miners of 1")]);
    let log = LogQuery { volume: 1, stripe_count: 1 };
    assert_eq!(log.slots(), [slot_of("volumes: head of 1"), slot_of("volumes: frontier of 1, height 0")]);
    assert_eq!(volumes::VolumeQuery(seats).slots().last(), Some(&slot_of("volumes: first lots of 1")));
    let lease = volumes::LeaseQuery { territory: 1, volume: 1 };
    assert_eq!(lease.slots(), [slot_of("volumes: lease of territory 1 in volume 1")]);
}

#[test]
fn records_say_what_the_pinned_words_say() {
    let territory = answer(&TerritoryQuery(1)).expect("it exists");
    assert_eq!(territory.bytesBought, 1 << 30);
    assert_eq!(answer(&TerritoryQuery(2)), None);
    let seats = answer(&SeatsQuery { volume: 1, profile: Profile::Devnet }).expect("it has formed");
    assert_eq!((seats.profile, seats.open, seats.stripe_count, seats.miners.len()), (Profile::Devnet, true, 3, 8));
    assert_eq!(answer(&SeatsQuery { volume: 2, profile: Profile::Devnet }), None);
    assert_eq!(
        answer(&LogQuery { volume: 9, stripe_count: 3 }),
        Log { stripe_count: 0, root: Frontier::default().root() }
    );
    assert_eq!(answer(&BucketQuery(B256::ZERO)), None);
}

#[test]
fn what_is_not_known_is_named() {
    let missing = |slots: Vec<U256>, module: Address| {
        Missing(slots.into_iter().map(|slot| StateKey::Slot(module, slot)).collect())
    };
    let mut words = Words::default();
    let territory = TerritoryQuery(7);
    assert_eq!(territory.read(&words), Err(missing(territory.slots()[..1].to_vec(), TERRITORIES)));
    let log = LogQuery { volume: 1, stripe_count: 0 };
    let head = volumes::Head { stripe_count: 5, ..Default::default() };
    words.insert(StateKey::Slot(VOLUMES, log.slots()[0]), word::Word::encode(head));
    let entries = LogQuery { stripe_count: 5, ..log }.slots();
    assert_eq!(log.read(&words), Err(missing(entries[1..].to_vec(), VOLUMES)));
}

#[test]
fn short_and_long_byte_strings_are_read() {
    let query = ContactQuery(1);
    let slots = query.slots();
    let read = |head: U256, text: &[U256]| {
        let mut words = Words::default();
        let given = [U256::ZERO, U256::ZERO, head].into_iter().chain(text.iter().copied());
        slots.iter().zip(given).for_each(|(slot, word)| words.insert(StateKey::Slot(MINERS, *slot), word));
        query.read(&words).map(|Contact { endpoint, .. }| endpoint.to_vec())
    };
    let short = U256::from_be_slice(&[&[7; 3][..], &[0; 28], &[6]].concat());
    assert_eq!(read(short, &[]), Ok(vec![7; 3]));
    let word = U256::from_be_bytes([9; 32]);
    assert_eq!(read(U256::from(2 * 33 + 1), &[word, word]), Ok(vec![9; 33]));
    assert_eq!(read(U256::from(2 * 65 + 1), &[word, word]).map_err(|Missing(keys)| keys.len()), Err(1));
    // A head that nobody writes asks for no more than the longest endpoint.
    assert_eq!(read(U256::MAX, &[word, word]).map_err(|Missing(keys)| keys.len()), Err(6));
}
