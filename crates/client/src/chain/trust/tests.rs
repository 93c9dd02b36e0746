use super::*;
use alloy_primitives::Bytes;
use serde::Deserialize;
use std::sync::OnceLock;
use types::{
    BucketId, Profile, ReceiptPublicKey,
    layout::{
        Query, Words,
        buckets::BucketQuery,
        miners::ContactQuery,
        territories::TerritoryQuery,
        volumes::{LogQuery, SeatsQuery},
    },
    proof::ProvedEntry,
    state::decode_slot,
};

/// Two proofs of a devnet, of different blocks, for the same slots: `crates/cess/tests/e2e/proofs.rs` recorded them.
#[derive(Clone, Deserialize)]
pub(crate) struct Recorded {
    genesis: String,
    volume: u32,
    miner: u32,
    bucket: BucketId,
    timestamp_ms: u64,
    pub(crate) older: StateProof,
    pub(crate) newer: StateProof,
}

impl Recorded {
    pub(crate) fn spec(&self) -> ChainSpec {
        ChainSpec::from_toml(&self.genesis).expect("a specification")
    }

    pub(crate) fn keys(&self) -> Vec<StateKey> {
        self.newer.entries.iter().map(|entry| entry.key()).collect()
    }

    fn position(&self, key: StateKey) -> usize {
        self.keys().iter().position(|known| *known == key).expect("it was asked for")
    }
}

pub(crate) fn recorded() -> Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    let read = || serde_json::from_str(include_str!("../../../../../vectors/light.json")).expect("two proofs");
    RECORDED.get_or_init(read).clone()
}

/// A moment after the newer block.
pub(crate) fn then_ms() -> u64 {
    recorded().timestamp_ms + 1_000
}

pub(crate) fn trust() -> Trust {
    Trust::with_clock(Arc::new(recorded().spec()), then_ms).expect("a committee's key")
}

/// What is said to a proof that was tampered with.
fn verdict(change: impl FnOnce(&mut StateProof)) -> Result<Proved, Distrust> {
    let recorded = recorded();
    let mut proof = recorded.newer.clone();
    change(&mut proof);
    trust().check(&recorded.keys(), &proof, 0)
}

fn flip(bytes: &mut Bytes, at: usize) {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    *bytes = changed.into();
}

#[test]
fn records_of_a_real_chain_are_read_from_its_proof() {
    let recorded = recorded();
    let trust = trust();
    let proved = trust.check(&recorded.keys(), &recorded.newer, 0).expect("the committee signed it");
    assert_eq!((trust.height(), proved.timestamp_ms), (proved.height, recorded.timestamp_ms));
    let mut words = Words::default();
    for (key, value) in recorded.keys().into_iter().zip(&proved.values) {
        words.insert(key, value.as_ref().map(decode_slot).unwrap_or_default());
    }
    let seats = SeatsQuery { volume: recorded.volume, profile: Profile::Devnet }.read(&words);
    let seats = seats.expect("all slots").expect("it has formed");
    assert_eq!((seats.miners.len(), seats.stripe_count, seats.open), (8, 1, true));
    assert!(seats.miners.contains(&recorded.miner));
    let log = LogQuery { volume: recorded.volume, stripe_count: 1 }.read(&words).expect("all slots");
    assert_eq!(log.stripe_count, 1);
    let contact = ContactQuery(recorded.miner).read(&words).expect("all slots");
    assert!(ReceiptPublicKey::from_bytes(&contact.receipt_key).is_ok());
    let endpoint = types::Endpoint::decode(&contact.endpoint).expect("an endpoint");
    assert!(endpoint.takes_tcp() && endpoint.addresses().len() == 1 && endpoint.relay().is_none());
    assert_eq!(proved.values.last(), Some(&None), "there is no ninth volume");
    let territory = TerritoryQuery(1).read(&words).expect("all slots").expect("it was bought");
    let bucket = BucketQuery(recorded.bucket).read(&words).expect("all slots").expect("it was created");
    assert_eq!((bucket.owner, bucket.territory, bucket.version), (territory.owner, 1, 1));
}

#[test]
fn other_members_of_a_volume_are_caught() {
    let recorded = recorded();
    let seats = SeatsQuery { volume: recorded.volume, profile: Profile::Devnet };
    let position = recorded.position(StateKey::Slot(SeatsQuery::MODULE, seats.slots()[1]));
    let lie = Err(Distrust::Light(LightError::Entry { position }));
    for byte in 0..32 {
        let altered = verdict(|proof| flip(proof.entries[position].value.as_mut().expect("members"), byte));
        assert_eq!(altered, lie);
    }
    assert_eq!(verdict(|proof| proof.entries[position].value = None), lie);
    // The true words of something else, with their proof.
    let other = verdict(|proof| {
        let donor = proof.entries[0].clone();
        proof.entries[position].value = donor.value;
        proof.entries[position].proof = donor.proof;
    });
    assert_eq!(other, lie);
}

#[test]
fn what_is_not_there_cannot_be_made_up() {
    let position = recorded().keys().len() - 1;
    let lie = Err(Distrust::Light(LightError::Entry { position }));
    assert_eq!(verdict(|proof| proof.entries[position].value = proof.entries[0].value.clone()), lie);
    assert_eq!(
        verdict(|proof| proof.entries[position] =
            ProvedEntry { slot: proof.entries[position].slot, ..proof.entries[0].clone() }),
        lie
    );
    // Nor can what is there be denied with the proof of what is not.
    let denied = verdict(|proof| {
        let absent = proof.entries[position].clone();
        proof.entries[0].value = None;
        proof.entries[0].proof = absent.proof;
    });
    assert_eq!(denied, Err(Distrust::Light(LightError::Entry { position: 0 })));
}

#[test]
fn another_root_of_a_bucket_is_caught() {
    let recorded = recorded();
    for slot in BucketQuery(recorded.bucket).slots() {
        let position = recorded.position(StateKey::Slot(BucketQuery::MODULE, slot));
        // Also the root of an earlier block, which was true then.
        let older = &recorded.older.entries[position];
        let earlier = verdict(|proof| proof.entries[position] = older.clone());
        let moved = older.proof != recorded.newer.entries[position].proof;
        assert_eq!(earlier.is_err(), moved);
        let altered = verdict(|proof| flip(proof.entries[position].value.as_mut().expect("a record"), 31));
        assert_eq!(altered, Err(Distrust::Light(LightError::Entry { position })));
    }
}

#[test]
fn forged_certificates_are_caught() {
    let recorded = recorded();
    for at in 0..recorded.newer.certificate.len() {
        let forged = verdict(|proof| flip(&mut proof.certificate, at));
        assert!(matches!(forged, Err(Distrust::Light(_))), "byte {at}: {forged:?}");
    }
    let others = verdict(|proof| proof.certificate = recorded.older.certificate.clone());
    assert_eq!(others, Err(Distrust::Light(LightError::OtherBlock)));
    assert!(verdict(|proof| proof.certificate = Bytes::new()).is_err());
    // A header that claims another state, or to be younger.
    for change in [|header: &mut Header| header.state_root.0[0] ^= 1, |header: &mut Header| header.timestamp_ms += 1] {
        let altered = verdict(|proof| {
            let mut header = Header::decode(&proof.header).expect("a header");
            change(&mut header);
            proof.header = header.encode().into();
        });
        assert_eq!(altered, Err(Distrust::Light(LightError::OtherBlock)));
    }
    let elsewhere = ChainSpec { chain_id: recorded.spec().chain_id + 1, ..recorded.spec() };
    let elsewhere = Trust::with_clock(Arc::new(elsewhere), then_ms).expect("a committee's key");
    let verdict = elsewhere.check(&recorded.keys(), &recorded.newer, 0);
    assert_eq!(verdict, Err(Distrust::Light(LightError::Unsigned)));
}

#[test]
fn truncated_proofs_are_caught() {
    let count = recorded().keys().len();
    for position in 0..count {
        let cut = verdict(|proof| {
            let bytes = &mut proof.entries[position].proof;
            *bytes = bytes.slice(..bytes.len() - 1);
        });
        assert_eq!(cut, Err(Distrust::Light(LightError::Entry { position })));
    }
    assert_eq!(verdict(|proof| drop(proof.entries.pop())), Err(Distrust::OtherEntries));
    assert_eq!(verdict(|proof| proof.entries.swap(0, 1)), Err(Distrust::OtherEntries));
    assert_eq!(verdict(|proof| proof.entries.clear()), Err(Distrust::OtherEntries));
}

#[test]
fn what_is_older_than_what_was_seen_does_not_count() {
    let recorded = recorded();
    let trust = trust();
    let older = trust.check(&recorded.keys(), &recorded.older, 0).expect("nothing newer was seen");
    let newer = trust.check(&recorded.keys(), &recorded.newer, trust.height()).expect("it is newer");
    assert!(newer.height > older.height);
    let again = trust.check(&recorded.keys(), &recorded.older, trust.height());
    assert_eq!(again, Err(Distrust::Behind { height: older.height, seen: newer.height }));
    assert_eq!(trust.height(), newer.height);
    // A question that was put before the newer block was seen may be answered with the older one.
    assert_eq!(trust.check(&recorded.keys(), &recorded.older, older.height), Ok(older));
}

#[test]
fn what_is_too_old_by_the_clock_does_not_count() {
    let recorded = recorded();
    let at = |clock: fn() -> u64| Trust::with_clock(Arc::new(recorded.spec()), clock).expect("a committee's key");
    let just = at(|| self::recorded().timestamp_ms + AGE_MAX_MS);
    assert!(just.check(&recorded.keys(), &recorded.newer, 0).is_ok());
    let late = at(|| self::recorded().timestamp_ms + AGE_MAX_MS + 1);
    assert_eq!(late.check(&recorded.keys(), &recorded.newer, 0), Err(Distrust::Old { age_s: 30 }));
    assert_eq!(late.height(), 0);
    // Who reads what was stored may want it all the same, but nothing older than what was seen.
    late.allow_old();
    let proved = late.check(&recorded.keys(), &recorded.newer, 0).expect("age does not matter");
    let older = late.check(&recorded.keys(), &recorded.older, late.height());
    assert!(matches!(older, Err(Distrust::Behind { seen, .. }) if seen == proved.height), "{older:?}");
}
