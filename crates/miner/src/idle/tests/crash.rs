//! Cut the power at every step of a life of two lots.

use super::*;
use std::collections::BTreeSet;

/// What must be true after the crash.
#[derive(Default)]
struct Acknowledged {
    lots: BTreeSet<u32>,
    /// Slots that read as plotted.
    held: BTreeSet<(u32, u32)>,
    /// Slots that were given up.
    given_up: BTreeSet<(u32, u32)>,
    removed: BTreeSet<u32>,
}

/// Plots until all is done; an error if something is in the way.
async fn plot_or_fail(space: &IdleSpace) -> Result<(), ()> {
    let plotting = space.plot(config()).expect("threads");
    let status = wait_for(space, |status| status.units_done == status.units_total || status.trouble.is_some()).await;
    plotting.stop().await;
    if status.trouble.is_some() { Err(()) } else { Ok(()) }
}

/// Lives until the end or the crash. `intent` are slots that an operation in hand may or may not have changed.
async fn live(space: &IdleSpace, known: &mut Acknowledged, intent: &mut BTreeSet<(u32, u32)>) -> Result<(), ()> {
    for lot in [1, 2] {
        space.add_lot(lot, beacon(lot)).await.map_err(drop)?;
        known.lots.insert(lot);
    }
    plot_or_fail(space).await?;
    intent.extend((0..5).map(|slot| (1, slot)));
    space.give_way(1, 5 * SLOT_BYTES).await.map_err(drop)?;
    known.given_up.extend(std::mem::take(intent));
    intent.extend(std::mem::take(&mut known.given_up));
    space.refill(1).await.map_err(drop)?;
    plot_or_fail(space).await?;
    intent.clear();
    intent.extend((0..LOT_SLOTS).map(|slot| (2, slot)));
    known.lots.remove(&2);
    space.remove_lot(2).await.map_err(drop)?;
    known.removed.insert(2);
    intent.extend((0..6).map(|slot| (1, slot)));
    space.give_way(1, 6 * SLOT_BYTES).await.map_err(drop)?;
    known.given_up.extend((0..6).map(|slot| (1, slot)));
    Ok(())
}

/// Slots of units that were acknowledged.
fn held(space: &IdleSpace) -> BTreeSet<(u32, u32)> {
    let all = space.lots().into_iter().flat_map(|lot| (0..LOT_SLOTS).map(move |slot| (lot, slot)));
    let is_held = |(lot, slot): &(u32, u32)| {
        let unit = space.0.books.lock().unit(place(*lot, slot / UNIT_SLOTS));
        matches!(unit, Some(Unit::Held(_))) && space.read_slot(*lot, *slot, Verify::Hash).is_ok()
    };
    all.filter(is_held).collect()
}

/// Lets a machine live until a crash, and looks at what is left. Returns whether it crashed.
async fn crash(cut: impl FnOnce(&Machine), seed: u64) -> bool {
    let machine = Machine::new();
    let (space, _, store) = machine.open().await;
    cut(&machine);
    let (mut known, mut intent) = (Acknowledged::default(), BTreeSet::new());
    let is_crashed = live(&space, &mut known, &mut intent).await.is_err();
    known.held = held(&space).difference(&intent).copied().collect();
    // What failed first takes the other with it.
    machine.disk.crash_after(machine.disk.steps());
    machine.files.crash_after(machine.files.steps());
    let survivor = machine.after_crash(seed);
    drop((space, store));

    let (space, recovery, store) = survivor.open().await;
    let lots: BTreeSet<u32> = space.lots().into_iter().collect();
    assert!(known.lots.is_subset(&lots) && known.removed.is_disjoint(&lots));
    for (lot, slot) in known.held {
        assert_eq!(space.read_slot(lot, slot, Verify::Hash), Ok(slot_content(lot, slot)), "lot {lot}, slot {slot}");
    }
    for (lot, slot) in known.given_up {
        assert_eq!(space.read_slot(lot, slot, Verify::Trust), Err(SlotError::GivenUp { lot, slot }));
    }
    // No garbage: files are those of acknowledged units, none longer than it should be.
    assert_eq!(survivor.files.remove_unfinished().unwrap(), 0);
    for (at, bytes) in survivor.files.list().unwrap() {
        let kept = space.0.books.lock().file_bytes_kept(at);
        assert!(bytes == kept || bytes < kept && recovery.damaged.contains(&at), "{at:?}: {bytes} of {kept}");
    }
    assert_eq!(store.free_bytes().unwrap(), CAPACITY_BYTES - space.0.books.lock().bytes());
    // And it goes on.
    plot(&space).await;
    for lot in lots {
        let given_up = space.0.books.lock().record(lot).unwrap().given_up;
        check(&space, lot, given_up..LOT_SLOTS);
    }
    is_crashed
}

#[tokio::test]
async fn a_crash_of_the_files_at_any_step_loses_nothing_acknowledged() {
    let mut step = 0;
    while crash(|machine| machine.files.crash_after(machine.files.steps() + step), step).await {
        step += 1;
    }
    // Three for each unit, more for what is cut; those at the end are only warned of.
    assert!(step >= 3 * 8, "{step} steps");
}

#[tokio::test]
async fn a_crash_of_the_index_at_any_step_loses_nothing_acknowledged() {
    let mut step = 0;
    while crash(|machine| machine.disk.crash_after(machine.disk.steps() + step), step).await {
        step += 1;
    }
    assert!(step > 30, "{step} steps");
}

#[tokio::test]
async fn a_crash_at_the_end_with_any_seed_keeps_the_outcome() {
    for seed in 0..16 {
        assert!(!crash(|_| (), seed).await);
    }
}
