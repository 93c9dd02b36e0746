use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn round(lots: u32, lot_slots: u32) -> Round {
    let shape = Shape { slot_bytes: 2 << 20, lot_slots, unit_slots: 4, light_divisor: 16, deep_divisor: 64 };
    Round { shape, beacon: B256::repeat_byte(5), miner: 7, lots }
}

proptest! {
    #[test]
    fn the_coverage_is_a_permutation(lots in 1..40u32, lot_slots in 1..60u32, seed in any::<u64>()) {
        let whole = Shape { light_divisor: 1, ..round(1, lot_slots).shape };
        let round = Round { shape: whole, beacon: derive("t", &[&seed.to_be_bytes()]), ..round(lots, lot_slots) };
        let places: BTreeSet<(u32, u32)> = round
            .all()
            .filter_map(|entry| match entry {
                Entry::Deep(place) | Entry::Light(place) => Some((place.lot, place.slot)),
                Entry::Fresh(_) => None,
            })
            .collect();
        prop_assert_eq!(places.len() as u64, u64::from(lots) * u64::from(lot_slots));
        prop_assert!(places.iter().all(|(lot, slot)| *lot < lots && *slot < lot_slots));
    }

    #[test]
    fn one_entry_is_found_without_the_others(lots in 0..40u32, index in 0..3_000u64) {
        let round = round(lots, 100);
        let all: Vec<Entry> = round.all().collect();
        prop_assert_eq!(all.len() as u64, round.entries());
        prop_assert_eq!(round.entry(index), all.get(index as usize).copied());
        prop_assert!(round.deep() <= round.covered());
    }

    #[test]
    fn fresh_places_hold_fresh_bytes(from in 0..1u64 << 28, length in 0..1u64 << 28, lot in any::<u32>()) {
        let round = round(9, 128);
        let end = (from + length).min(128 * (2 << 20));
        match round.fresh_place(lot, from, end) {
            Some(place) => {
                let start = u64::from(place.slot) * (2 << 20);
                prop_assert!(start < end && start + (2 << 20) > from);
            }
            None => prop_assert!(from >= end),
        }
    }
}

#[test]
fn rounds_and_miners_cover_different_places() {
    let places = |round: Round| -> BTreeSet<(u32, u32)> {
        round
            .all()
            .filter_map(|entry| match entry {
                Entry::Deep(place) | Entry::Light(place) => Some((place.lot, place.slot)),
                Entry::Fresh(_) => None,
            })
            .collect()
    };
    let one = round(16, 128);
    let others = [Round { miner: 8, ..one }, Round { beacon: B256::repeat_byte(6), ..one }, Round { lots: 17, ..one }];
    for other in others {
        let common = places(one).intersection(&places(other)).count();
        // A sixteenth of a sixteenth, give or take.
        assert!(common < 40, "{common}");
    }
}

/// Every place is covered equally often, over many beacons.
#[test]
fn coverage_is_even() {
    let mut hits = vec![0u32; 4 * 25];
    for seed in 0..2_000u64 {
        let round = Round { beacon: derive("t", &[&seed.to_be_bytes()]), ..round(4, 25) };
        for entry in round.all() {
            if let Entry::Deep(place) | Entry::Light(place) = entry {
                hits[(place.lot * 25 + place.slot) as usize] += 1;
            }
        }
    }
    // 7 of 100 places in each of 2,000 rounds: 140 each, with a deviation of 11.4.
    assert!(hits.iter().all(|hits| (85..195).contains(hits)), "{hits:?}");
}

#[test]
fn extreme_sizes_are_survived() {
    let huge = round(u32::MAX, u32::MAX);
    let last = huge.entries() - 1;
    assert_eq!(huge.entry(last), Some(Entry::Fresh(u32::MAX - 1)));
    assert_eq!(huge.entry(last + 1), None);
    assert!(huge.entry(huge.covered() - 1).is_some());
    let none = round(0, 128);
    assert_eq!((none.entries(), none.entry(0), none.all().count()), (0, None, 0));
}
