use super::lot::*;
use crate::{
    opening::{Content, Opening, OpeningError, Shown, Target, open, verify},
    response::{Responses, Source},
};
use alloy_primitives::B256;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

pub struct Case {
    pub target: Target,
    pub opening: Vec<u8>,
    pub shown: Shown,
}

pub struct World {
    pub lots: Lots,
    pub root: B256,
    pub cases: Vec<Case>,
}

/// Every entry, opened at two chunks if it is deep.
pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let lots = (0..=u8::MAX)
        .map(Lots::new)
        .find(|lots| wanted(lots).map(|(_, kind)| kind).collect::<BTreeSet<_>>().len() == 8);
    let lots = lots.expect("some beacon covers every kind");
    let Ok(responses) = Responses::collect(&lots.round, &lots);
    let root = responses.root();
    let mut cases = Vec::new();
    for (target, _) in wanted(&lots) {
        let Ok(opening) = open(&lots.round, &lots, &responses, &target);
        let opening = opening.expect("the lots fit together").encode();
        let duty = lots.duty(target.place.lot);
        let shown = verify(&lots.round, &duty, &root, &target, &opening).unwrap_or_else(|e| panic!("{e} {target:?}"));
        cases.push(Case { target, opening, shown });
    }
    World { lots, root, cases }
});

/// All that may be asked, with its kind.
fn wanted(lots: &Lots) -> impl Iterator<Item = (Target, (u8, bool))> {
    let deep_chunks = [0, 100, 255];
    let all = (0..lots.round.entries()).flat_map(move |index| deep_chunks.map(|chunk| (index, chunk)));
    all.filter_map(|(index, chunk)| {
        let target = Target::new(&lots.round, |lot| lots.duty(lot), index, chunk)?;
        Some((target, (lots.kind(target.place, target.chunk), target.is_deep)))
    })
}

fn check(target: &Target, opening: &[u8]) -> Result<Shown, OpeningError> {
    let duty = WORLD.lots.duty(target.place.lot);
    verify(&WORLD.lots.round, &duty, &WORLD.root, target, opening)
}

fn kind(case: &Case) -> (u8, bool) {
    let kind = match case.shown {
        Shown::Stripe(..) => 0,
        Shown::NotOwed(_) | Shown::Absent => 1,
        Shown::Unfilled => 2,
        Shown::Idle => 3,
    };
    (kind, case.target.is_deep)
}

/// One case of each kind of content and response.
pub fn kinds() -> BTreeMap<(u8, bool), &'static Case> {
    WORLD.cases.iter().map(|case| (kind(case), case)).collect()
}

#[test]
fn every_kind_of_content_opens() {
    assert_eq!(kinds().len(), 8, "{:?}", kinds().keys());
    for case in &WORLD.cases {
        if let Shown::Stripe(index, leaf) = case.shown {
            let position = u64::from(case.target.place.slot) * 256 * KIB + case.target.chunk * KIB;
            assert!((leaf.offset..leaf.offset + leaf.fragment_bytes).contains(&position), "{index}");
        }
    }
    // Slots with several fragments, the slot in which the log ended, and the lot that owes nothing.
    let covered = |slot| WORLD.cases.iter().filter(|c| c.target.place.lot == 0 && c.target.place.slot == slot).count();
    assert!((0..8).all(|slot| covered(slot) > 0));
    assert!(WORLD.cases.iter().all(|case| case.target.place.lot < 2));
}

#[test]
fn every_flipped_bit_is_refused() {
    for case in kinds().values() {
        for bit in 0..case.opening.len() * 8 {
            let mut bad = case.opening.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&case.target, &bad).is_err(), "{:?} bit {bit}", kind(case));
        }
    }
}

#[test]
fn truncated_and_extended_openings_are_refused() {
    for case in kinds().values() {
        for length in 0..case.opening.len() {
            assert!(check(&case.target, &case.opening[..length]).is_err());
        }
        for extra in [vec![0], vec![0; 32], vec![1; 5_000]] {
            assert!(check(&case.target, &[&case.opening[..], &extra].concat()).is_err());
        }
    }
}

#[test]
fn an_opening_fits_one_entry_slot_and_chunk() {
    for case in kinds().values() {
        let target = case.target;
        for other in &WORLD.cases {
            let same = other.target == target || other.opening == case.opening;
            assert!(same || check(&target, &other.opening).is_err(), "{target:?} {:?}", other.target);
        }
        let place = target.place;
        let wrong = [
            Target { index: target.index ^ 1, ..target },
            Target { index: u64::MAX, ..target },
            Target { chunk: target.chunk ^ 1, ..target },
            Target { chunk: u64::MAX, ..target },
            Target { is_deep: !target.is_deep, ..target },
            Target { place: crate::round::Place { slot: place.slot ^ 1, ..place }, ..target },
            Target { place: crate::round::Place { slot: u32::MAX, ..place }, ..target },
            Target { place: crate::round::Place { lot: place.lot ^ 1, ..place }, ..target },
            Target { place: crate::round::Place { lot: 2, ..place }, ..target },
        ];
        for wrong in wrong {
            // One chunk of zeros is like the next; which one a light response covers follows from beacon A.
            let is_zeros = matches!(case.shown, Shown::NotOwed(_) | Shown::Unfilled);
            if is_zeros && !target.is_deep && wrong.chunk == target.chunk ^ 1 {
                continue;
            }
            assert!(check(&wrong, &case.opening).is_err(), "{target:?} {wrong:?}");
        }
        let duty = WORLD.lots.duty(place.lot);
        let round = WORLD.lots.round;
        for other in [
            crate::round::Round { miner: 4, ..round },
            crate::round::Round { beacon: B256::ZERO, ..round },
            crate::round::Round { lots: 200, ..round },
        ] {
            assert!(verify(&other, &duty, &WORLD.root, &target, &case.opening).is_err());
        }
        assert!(verify(&round, &duty, &B256::ZERO, &target, &case.opening).is_err());
    }
}

#[test]
fn a_path_is_neither_longer_nor_shorter_than_its_tree() {
    let case = kinds()[&(0, true)];
    let right = Opening::decode(&case.opening).unwrap();
    let changes: [fn(&mut Opening); 5] = [
        |opening| opening.response_path.push(B256::ZERO),
        |opening| opening.deep_path.truncate(1),
        |opening| opening.deep_path.push(B256::ZERO),
        |opening| stripe(opening).path.push(types::merkle::EMPTY[3]),
        |opening| stripe(opening).path.truncate(1),
    ];
    for change in changes {
        let mut bad = right.clone();
        change(&mut bad);
        assert!(check(&case.target, &bad.encode()).is_err());
    }
}

/// A newcomer owes no stripe that it has not taken over whole: zeros are accepted for those, and nothing else.
#[test]
fn what_a_newcomer_has_not_taken_over_reads_as_zeros() {
    let mut world = Lots::new(WORLD.lots.round.beacon[0]);
    let leaves = world.leaves.clone();
    // The last byte of the second stripe is missing, and the fourth begins the rest.
    let (from, to) = (leaves[1].offset + leaves[1].fragment_bytes - 1, leaves[3].offset);
    world.set_gap(from, to);
    let absent = |index: usize| (1..3).contains(&index);
    let Ok(responses) = Responses::collect(&world.round, &world);
    let root = responses.root();
    let (mut shown_absent, mut refused) = (0, 0);
    for (target, _) in wanted(&world).filter(|(target, _)| target.place.lot == 0) {
        let Ok(opening) = open(&world.round, &world, &responses, &target);
        let opening = opening.expect("the lot fits together");
        let shown = verify(&world.round, &world.duty(0), &root, &target, &opening.encode()).expect("it is honest");
        let index = match &opening.content {
            Content::Stripe(stripe, _) | Content::NotOwed(stripe) => stripe.index as usize,
            _ => continue,
        };
        assert_eq!(shown == Shown::Absent, absent(index), "{index}");
        shown_absent += u32::from(absent(index));
        // The bytes themselves are refused, although the log has them.
        let full = WORLD.cases.iter().find(|case| case.target == target).expect("the same entries");
        if absent(index) && matches!(full.shown, Shown::Stripe(..)) {
            let result = verify(&world.round, &world.duty(0), &WORLD.root, &target, &full.opening);
            assert_eq!(result, Err(OpeningError::WrongKind));
            refused += 1;
        }
    }
    assert!(shown_absent > 0 && refused > 0);
}

fn stripe(opening: &mut Opening) -> &mut crate::opening::Stripe {
    match &mut opening.content {
        Content::Stripe(stripe, _) | Content::NotOwed(stripe) => stripe,
        _ => panic!("a stripe"),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..5_000),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        at in any::<prop::sample::Index>(),
    ) {
        let case = &WORLD.cases[at.index(WORLD.cases.len())];
        prop_assert!(check(&case.target, &bytes).is_err());
        let mut edited = case.opening.clone();
        for (place, byte) in edits {
            let place = place.index(edited.len());
            edited[place] = byte;
        }
        prop_assert_eq!(check(&case.target, &edited).is_ok(), edited == case.opening);
        if let Ok(opening) = Opening::decode(&bytes) {
            prop_assert_eq!(opening.encode(), bytes);
        }
    }
}
