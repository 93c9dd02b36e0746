use super::*;
use crate::idle::fixture::{LOT_SLOTS, LOT_UNITS, SLOT_BYTES, UNIT_BYTES, UNIT_SLOTS, layout};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Add(u32),
    Remove(u32),
    GiveUp(u32, u32),
    Take,
    PutBack(prop::sample::Index),
    Set(UnitPlace, u8),
    Damage(UnitPlace),
}

fn act() -> impl Strategy<Value = Act> {
    let lot = || 0..3u32;
    let place = || (lot(), 0..LOT_UNITS).prop_map(|(lot, unit)| UnitPlace { lot, unit });
    prop_oneof![
        lot().prop_map(Act::Add),
        lot().prop_map(Act::Remove),
        (lot(), 0..=LOT_SLOTS).prop_map(|(lot, slots)| Act::GiveUp(lot, slots)),
        Just(Act::Take),
        any::<prop::sample::Index>().prop_map(Act::PutBack),
        (place(), 0..4u8).prop_map(|(place, unit)| Act::Set(place, unit)),
        place().prop_map(Act::Damage),
    ]
}

fn perform(books: &mut Books, act: Act) {
    let root = B256::repeat_byte(1);
    match act {
        Act::Add(lot) if books.record(lot).is_none() => books.add(lot, LotRecord { beacon: root, given_up: 0 }),
        Act::Add(_) => {}
        Act::Remove(lot) => drop(books.remove(lot)),
        Act::GiveUp(lot, slots) => drop(books.give_up(lot, slots)),
        Act::Take => {
            if let Some(job) = books.next() {
                books.take(job.place);
            }
        }
        Act::PutBack(index) if !books.in_hand.is_empty() => {
            let place = books.in_hand.iter().nth(index.index(books.in_hand.len())).copied();
            books.put_back(place.expect("within the set"));
        }
        Act::PutBack(_) => {}
        Act::Set(place, unit) => {
            let units = [Unit::New, Unit::Held(root), Unit::Damaged(root), Unit::Wrong(root)];
            books.set(place, units[usize::from(unit)]);
        }
        Act::Damage(place) => books.damage(place),
    }
}

/// What follows from lots and units alone.
fn check(books: &Books) {
    let places: Vec<_> = books.lots().flat_map(|lot| books.places(lot)).collect();
    let given_up = |place: &UnitPlace| books.record(place.lot).expect("a lot").given_up;
    let first = |place: &UnitPlace| given_up(place).saturating_sub(place.unit * UNIT_SLOTS).min(UNIT_SLOTS);
    let file_bytes = |place: &UnitPlace| u64::from(UNIT_SLOTS - first(place)) * SLOT_BYTES;
    let unit = |place: &UnitPlace| books.unit(*place).expect("a unit");
    let held_bytes: u64 = places.iter().filter(|place| unit(place) != Unit::New).map(file_bytes).sum();
    assert_eq!(books.bytes(), held_bytes + books.in_hand.len() as u64 * UNIT_BYTES);
    let is_due = |place: &&UnitPlace| match unit(place) {
        Unit::New => true,
        Unit::Damaged(_) => file_bytes(place) > 0,
        Unit::Held(_) | Unit::Wrong(_) => false,
    };
    let due = places.iter().filter(is_due).filter(|place| !books.in_hand.contains(place));
    let due: BTreeSet<_> = due.map(|place| (unit(place) == Unit::New, *place)).collect();
    assert_eq!(books.todo, due);
    assert_eq!(books.units_left(), (due.len() + books.in_hand.len()) as u64);
}

proptest! {
    #[test]
    fn counts_follow_from_lots_and_units(acts in prop::collection::vec(act(), 0..60)) {
        let mut books = Books::new(layout());
        for act in acts {
            perform(&mut books, act);
            check(&books);
        }
    }
}

#[test]
fn lots_are_plotted_one_after_the_other() {
    let mut books = Books::new(layout());
    let record = LotRecord { beacon: B256::ZERO, given_up: 0 };
    [9, 4].into_iter().for_each(|lot| books.add(lot, record));
    let mut order = Vec::new();
    while let Some(job) = books.next() {
        assert_eq!((job.known, books.current_lot()), (None, Some(job.place.lot)));
        order.push((job.place.lot, job.place.unit));
        books.take(job.place);
        books.set(job.place, Unit::Held(B256::ZERO));
        books.put_back(job.place);
    }
    assert_eq!(order, [(4, 0), (4, 1), (4, 2), (9, 0), (9, 1), (9, 2)]);
    assert_eq!((books.units_left(), books.current_lot()), (0, None));
    assert_eq!(books.roots(4).map(|roots| roots.len()), Some(3));
}
