use super::*;
use crate::staging::Account;
use alloy_primitives::B256;

const VOLUME: u32 = 7;

fn leaf(number: u8) -> StripeLeaf {
    StripeLeaf {
        segment: B256::repeat_byte(number),
        territory: 1,
        offset: 0,
        fragment_bytes: 100,
        length: 1,
        committed_at_ms: 2,
        term_end_ms: 3,
    }
}

fn key(number: u8) -> FragmentKey {
    FragmentKey { segment: B256::repeat_byte(number), volume: VOLUME }
}

fn appended(index: u32, number: u8) -> Event {
    Event::Appended { volume: VOLUME, index, leaf: leaf(number), unsigned: Default::default() }
}

fn released(index: u32, number: u8) -> Event {
    Event::Released { volume: VOLUME, index, segment: B256::repeat_byte(number) }
}

fn held(number: u8, hold_until_height: u64) -> HashMap<FragmentKey, Held> {
    HashMap::from([(key(number), Held { bytes: 100, hold_until_height })])
}

/// A member of the volume that has these fragments staged, at height 100.
fn member(staged: &[u8]) -> State {
    let mut state = State { miner: 1, height: 100, ..State::default() };
    let formed = Event::Formed { volume: VOLUME, seat: 2, profile: Profile::Devnet };
    let step = state.plan(&[formed], &HashMap::new());
    state.apply(step);
    staged.iter().for_each(|number| state.staging.restore(key(*number), 1, 100, 0));
    state
}

fn follow(state: &mut State, events: &[Event], held: &HashMap<FragmentKey, Held>) -> Vec<Change> {
    let step = state.plan(events, held);
    let fragments = |change: &Change| !matches!(change, Change::Note { .. });
    let changes = step.changes.iter().filter(|change| fragments(change)).cloned().collect();
    state.apply(step);
    changes
}

#[test]
fn a_staged_fragment_is_kept_when_its_stripe_is_appended() {
    let mut state = member(&[1]);
    assert_eq!(follow(&mut state, &[appended(0, 1)], &HashMap::new()), [Change::Keep(key(1))]);
    assert!(!state.staging.is_staged(&key(1)) && state.missing.is_empty());
    assert_eq!(state.volumes[&VOLUME].stripe_count(), 1);
}

/// The receipt came too late for the commit: rounds want zeros, and the chain has to hear that it is here after all.
#[test]
fn a_fragment_that_was_not_signed_for_is_kept_and_left_to_repair() {
    let mut state = member(&[1]);
    let unsigned = |bits: u8| Event::Appended { volume: VOLUME, index: 0, leaf: leaf(1), unsigned: vec![bits].into() };
    let step = state.plan(&[unsigned(1 << 2)], &HashMap::new());
    assert!(step.changes.contains(&Change::Keep(key(1))) && step.missing_keys().is_empty());
    assert!(step.changes.contains(&notes::put_missing(VOLUME, 0, leaf(1).segment)));
    state.apply(step);
    assert_eq!(state.missed(&key(1)), Some(0));
    assert!(!state.staging.is_staged(&key(1)));
    // Released before it was healed, it goes like any other.
    assert_eq!(follow(&mut state, &[released(0, 1)], &held(1, 99)), [Change::Remove(key(1))]);
    assert_eq!(state.missed(&key(1)), None);

    let mut other = member(&[1]);
    follow(&mut other, &[unsigned(1 << 3)], &HashMap::new());
    assert_eq!(other.missed(&key(1)), None, "that was another seat");
}

#[test]
fn a_stripe_without_its_fragment_is_missing_until_it_is_released() {
    let mut state = member(&[]);
    assert_eq!(follow(&mut state, &[appended(0, 1)], &HashMap::new()), []);
    assert_eq!(state.missed(&key(1)), Some(0));
    follow(&mut state, &[released(0, 1)], &HashMap::new());
    assert_eq!(state.missed(&key(1)), None);
}

#[test]
fn the_frontier_has_every_leaf_in_order() {
    let mut state = member(&[1]);
    follow(&mut state, &[appended(0, 1), appended(1, 2), appended(0, 9), appended(2, 3)], &HashMap::new());
    let mut expected = Frontier::default();
    for number in 1..=3 {
        expected.push(&leaf(number).hash()).unwrap();
    }
    assert_eq!(state.volumes[&VOLUME].frontier.root(), expected.root());
}

#[test]
fn a_gap_breaks_the_log_and_nothing_after_it_counts() {
    let mut state = member(&[1, 2]);
    let changes = follow(&mut state, &[appended(0, 1), appended(2, 2), appended(3, 3)], &HashMap::new());
    assert_eq!(changes, [Change::Keep(key(1))]);
    let log = &state.volumes[&VOLUME];
    assert!(log.is_broken);
    assert_eq!(log.stripe_count(), 1);
    assert!(state.staging.is_staged(&key(2)));
}

#[test]
fn a_released_fragment_goes() {
    let mut state = member(&[1]);
    follow(&mut state, &[appended(0, 1)], &HashMap::new());
    assert_eq!(follow(&mut state, &[released(0, 1)], &held(1, 99)), [Change::Remove(key(1))]);
}

#[test]
fn e3_a_released_fragment_under_another_receipt_stays_and_may_be_committed_again() {
    let mut state = member(&[1]);
    follow(&mut state, &[appended(0, 1)], &HashMap::new());
    assert_eq!(follow(&mut state, &[released(0, 1)], &held(1, 100)), [Change::Return(key(1))]);
    assert!(state.staging.expire(100, |_| true, 9).is_empty());
    let payer = Account { territory: 1, volume: VOLUME };
    assert_eq!(state.staging.bytes(payer), 0, "it takes nothing of a lease that it was drawn from");
    assert_eq!(follow(&mut state, &[appended(1, 1)], &HashMap::new()), [Change::Keep(key(1))]);
    assert!(state.missing.is_empty());
}

#[test]
fn append_release_and_append_in_one_block_come_out_right() {
    let mut state = member(&[1]);
    let events = [appended(0, 1), released(0, 1), appended(1, 1)];
    let changes = follow(&mut state, &events, &held(1, 500));
    assert_eq!(changes, [Change::Keep(key(1)), Change::Return(key(1)), Change::Keep(key(1))]);
    assert!(!state.staging.is_staged(&key(1)) && state.missing.is_empty());

    let mut state = member(&[1]);
    let changes = follow(&mut state, &events, &held(1, 99));
    assert_eq!(changes, [Change::Keep(key(1)), Change::Remove(key(1))]);
    assert_eq!(state.missed(&key(1)), Some(1), "what was let go is missed, not believed to be here");
    assert!(!state.staging.is_staged(&key(1)));
}

#[test]
fn events_of_other_volumes_mean_nothing() {
    let mut state = member(&[1]);
    let other = Event::Appended { volume: 8, index: 0, leaf: leaf(1), unsigned: Default::default() };
    let elsewhere = Event::Released { volume: 8, index: 0, segment: B256::repeat_byte(1) };
    assert_eq!(follow(&mut state, &[other, elsewhere], &HashMap::new()), []);
    assert!(state.staging.is_staged(&key(1)));
}

#[test]
fn one_step_carries_leaves_fragments_and_logs_together() {
    let state = member(&[1]);
    let step = state.plan(&[appended(0, 1), appended(1, 2)], &HashMap::new());
    let notes = step.changes.iter().filter(|change| matches!(change, Change::Note { .. })).count();
    assert_eq!(notes, 4, "two leaves, one missing fragment, one log");
    assert_eq!(step.missing_keys(), [(key(2), 1)]);
    assert_eq!(state.volumes[&VOLUME].stripe_count(), 0, "planning changes nothing");
}
