use super::{books::Unit, fixture::*, *};
use proofs::{
    chunk::{self, CHUNK_BYTES},
    idle::{Graph, Progress},
    pledge::{self, Walks},
};
use std::io::ErrorKind;
use store::{Change, Store};
use types::merkle;

mod crash;

fn place(lot: u32, unit: u32) -> UnitPlace {
    UnitPlace { lot, unit }
}

/// Every slot of a lot that is held must be as the proofs say.
fn check(space: &IdleSpace, lot: u32, held: std::ops::Range<u32>) {
    for slot in 0..LOT_SLOTS {
        let read = space.read_slot(lot, slot, Verify::Hash);
        if held.contains(&slot) {
            assert_eq!(read, Ok(slot_content(lot, slot)), "slot {slot}");
        } else {
            assert_eq!(read, Err(SlotError::GivenUp { lot, slot }));
        }
    }
    assert_eq!(space.idle_root(lot), Some(idle_root(lot)));
}

fn check_opening(space: &IdleSpace, lot: u32, slot: u32, number: u64) {
    let ChunkOpening { unit_root, unit_path, chunk, chunk_path } = space.open_chunk(lot, slot, number).unwrap();
    let unit = slot / UNIT_SLOTS;
    assert_eq!(merkle::root_of(&unit_root, unit.into(), &unit_path), Some(idle_root(lot)));
    let index = u64::from(slot % UNIT_SLOTS) * SLOT_BYTES / CHUNK_BYTES as u64 + number;
    assert!(chunk::verify(chunk::Hash::Plain, &unit_root, UNIT_BYTES, index, &chunk, &chunk_path));
    assert_eq!(chunk, slot_content(lot, slot)[number as usize * CHUNK_BYTES..][..CHUNK_BYTES]);
}

#[tokio::test]
async fn slots_roots_and_openings_are_those_of_the_proofs() {
    let (space, _) = Machine::new().plotted(&[7, 9]).await;
    assert_eq!(space.lots(), [7, 9]);
    for lot in [7, 9] {
        check(&space, lot, 0..LOT_SLOTS);
        for slot in 0..LOT_SLOTS {
            check_opening(&space, lot, slot, u64::from(slot) % 8);
        }
    }
    let mut part = [0; 100];
    space.read(9, 5, 8000, &mut part).unwrap();
    assert_eq!(part, slot_content(9, 5)[8000..8100]);
    let status = wait_for(&space, |_| true).await;
    assert_eq!((status.units_total, status.units_done, status.lot, status.trouble), (6, 6, None, None));
    assert_eq!((status.idle_bytes, status.bytes_per_second, status.left), (6 * UNIT_BYTES, 0, None));
}

#[tokio::test]
async fn what_there_is_not_is_refused_in_words() {
    let (space, _) = Machine::new().with_lots(&[1]).await;
    let mut part = [0; 2];
    assert_eq!(space.read(2, 0, 0, &mut part), Err(SlotError::UnknownLot(2)));
    assert_eq!(space.read(1, LOT_SLOTS, 0, &mut part), Err(SlotError::OutOfRange));
    assert_eq!(space.read(1, 0, SLOT_BYTES - 1, &mut part), Err(SlotError::OutOfRange));
    assert_eq!(space.read(1, 0, u64::MAX, &mut part), Err(SlotError::OutOfRange));
    assert_eq!(space.read(1, 5, 0, &mut part), Err(SlotError::NotPlotted(place(1, 1))));
    assert_eq!(space.unit(1, 2), Err(SlotError::NotPlotted(place(1, 2))));
    assert_eq!(space.unit(1, LOT_UNITS), Err(SlotError::OutOfRange));
    assert_eq!(space.open_chunk(1, 0, 8), Err(SlotError::OutOfRange));
    assert_eq!((space.idle_root(1), space.idle_root(2)), (None, None));
    assert_eq!(space.give_way(2, 0).await, Err(IdleError::UnknownLot(2)));
    assert_eq!(space.refill(2).await, Err(IdleError::UnknownLot(2)));
    assert_eq!(space.add_lot(1, beacon(1)).await, Ok(()));
    assert_eq!(space.add_lot(1, beacon(2)).await, Err(IdleError::Beacon(1)));
}

#[tokio::test]
async fn the_walks_of_a_pledge_pass() {
    let (space, _) = Machine::new().plotted(&[7, 8]).await;
    let (batch, seed) = (Batch { first: 7, count: 2 }, B256::repeat_byte(3));
    let walks = space.walks(batch, &seed, 0..20, &Progress::default()).unwrap();
    let layout = layout();
    let judge = Walks::new(layout.shape(), Arc::new(Graph::new(layout.shape())), LOT_UNITS);
    for (number, walk) in (0..).zip(&walks) {
        let sample = pledge::sample(layout.shape(), &pledge::seed(&seed, 5, 7, 2), 2 * 3, number);
        let at = place(7 + sample.unit as u32 / LOT_UNITS, sample.unit as u32 % LOT_UNITS);
        let unit = layout.unit_id(at, beacon(at.lot));
        assert_eq!(judge.verify(&unit, &idle_root(at.lot), &sample, walk), Ok(()));
    }
    let unknown = space.walks(Batch { first: 9, count: 1 }, &seed, 0..1, &Progress::default());
    assert_eq!(unknown, Err(WalksError::Slot(SlotError::UnknownLot(9))));
}

#[tokio::test]
async fn plotting_resumes_at_the_unit() {
    let machine = Machine::new();
    let (space, store) = machine.with_lots(&[1, 2]).await;
    let plotting = space.plot(config()).unwrap();
    wait_for(&space, |status| status.units_done >= 2).await;
    plotting.stop().await;
    let done = wait_for(&space, |_| true).await.units_done;
    let steps = machine.files.steps();
    drop((space, store));
    let (space, recovery, _) = machine.open().await;
    assert_eq!((recovery, wait_for(&space, |_| true).await.units_done), (IdleRecovery::default(), done));
    plot(&space).await;
    // Three steps for each unit that was not done, one for the look for unfinished files.
    assert_eq!(machine.files.steps(), steps + 1 + 3 * (6 - done));
    for lot in [1, 2] {
        check(&space, lot, 0..LOT_SLOTS);
    }
}

#[tokio::test]
async fn idle_content_gives_way_and_the_rest_stays_openable() {
    let machine = Machine::new();
    let (space, store) = machine.plotted(&[1, 2]).await;
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 6 * UNIT_BYTES));
    assert_eq!(space.give_way(1, SLOT_BYTES - 1).await, Ok(0));
    // One unit and a slot of the next.
    assert_eq!(space.give_way(1, 6 * SLOT_BYTES - 1).await, Ok(5 * SLOT_BYTES));
    assert_eq!(space.give_way(1, 2 * SLOT_BYTES).await, Ok(0), "it does not come back");
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 6 * UNIT_BYTES + 5 * SLOT_BYTES));
    let lengths: Vec<_> = machine.files.list().unwrap().into_iter().filter(|(at, _)| at.lot == 1).collect();
    assert_eq!(lengths, [(place(1, 1), 3 * SLOT_BYTES), (place(1, 2), UNIT_BYTES)]);
    check(&space, 1, 5..LOT_SLOTS);
    check_opening(&space, 1, 5, 7);
    assert_eq!(space.unit(1, 0).unwrap().slots.len(), 4, "known though given up");
    check(&space, 2, 0..LOT_SLOTS);

    drop((space, store));
    let (space, recovery, store) = machine.open().await;
    assert_eq!(recovery, IdleRecovery::default());
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 6 * UNIT_BYTES + 5 * SLOT_BYTES));
    check(&space, 1, 5..LOT_SLOTS);
    assert_eq!(space.give_way(1, u64::MAX).await, Ok(7 * SLOT_BYTES));
    check(&space, 1, 0..0);
    assert!(machine.files.list().unwrap().iter().all(|(at, _)| at.lot == 2));
}

#[tokio::test]
async fn what_gave_way_before_it_was_plotted_is_never_written() {
    let machine = Machine::new();
    let (space, store) = machine.with_lots(&[1]).await;
    space.give_way(1, 5 * SLOT_BYTES).await.unwrap();
    plot(&space).await;
    check(&space, 1, 5..LOT_SLOTS);
    assert_eq!(machine.files.list().unwrap(), [(place(1, 1), 3 * SLOT_BYTES), (place(1, 2), UNIT_BYTES)]);
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 7 * SLOT_BYTES));
}

#[tokio::test]
async fn a_lot_that_left_its_volume_is_filled_again() {
    let machine = Machine::new();
    let (space, store) = machine.plotted(&[1]).await;
    space.give_way(1, 5 * SLOT_BYTES).await.unwrap();
    space.refill(1).await.unwrap();
    assert_eq!(wait_for(&space, |_| true).await.units_done, 1);
    assert_eq!(space.read_slot(1, 0, Verify::Trust), Err(SlotError::Damaged(place(1, 0))));
    assert_eq!(space.read_slot(1, 5, Verify::Hash), Ok(slot_content(1, 5)), "what was held is readable meanwhile");
    plot(&space).await;
    check(&space, 1, 0..LOT_SLOTS);
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 3 * UNIT_BYTES));
}

#[tokio::test]
async fn a_lot_that_is_let_go_leaves_nothing() {
    let machine = Machine::new();
    let (space, store) = machine.plotted(&[1, 2]).await;
    space.remove_lot(1).await.unwrap();
    space.remove_lot(3).await.unwrap();
    assert_eq!(space.read_slot(1, 0, Verify::Trust), Err(SlotError::UnknownLot(1)));
    assert!(machine.files.list().unwrap().iter().all(|(at, _)| at.lot == 2));
    assert_eq!(store.free_bytes(), Ok(CAPACITY_BYTES - 3 * UNIT_BYTES));
    assert_eq!(crate::notes::all(&store, record::unit_keys()).await.unwrap().len(), 3);
    drop((space, store));
    let (space, recovery, _) = machine.open().await;
    assert_eq!((space.lots(), recovery), (vec![2], IdleRecovery::default()));
    check(&space, 2, 0..LOT_SLOTS);
}

#[tokio::test]
async fn rot_and_loss_are_found_and_plotted_again() {
    let machine = Machine::new();
    let (space, store) = machine.plotted(&[1, 2]).await;
    space.give_way(2, 5 * SLOT_BYTES).await.unwrap();
    // Slot 1 of unit 0 lies third in its file.
    machine.files.rot(place(1, 0), 2 * SLOT_BYTES as usize + 17);
    machine.files.lose(place(2, 2));
    assert_eq!(space.read_slot(1, 2, Verify::Hash), Ok(slot_content(1, 2)));
    assert_ne!(space.read_slot(1, 1, Verify::Trust), Ok(slot_content(1, 1)));
    let mut found = IdleScrub::default();
    let mut after = None;
    loop {
        let page = space.scrub(after, 2).unwrap();
        found.checked_count += page.checked_count;
        found.damaged.extend(page.damaged);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.damaged, [place(1, 0), place(2, 2)]);
    assert_eq!(found.checked_count, 1 + 4 + 4 + 3);
    assert_eq!(space.open_chunk(1, 1, 0), Err(SlotError::Damaged(place(1, 0))));
    assert_eq!(space.idle_root(1), Some(idle_root(1)), "what was committed to stays");
    plot(&space).await;
    check(&space, 1, 0..LOT_SLOTS);
    check(&space, 2, 5..LOT_SLOTS);

    machine.files.lose(place(1, 2));
    drop((space, store));
    let (space, recovery, _) = machine.open().await;
    assert_eq!(recovery, IdleRecovery { damaged: vec![place(1, 2)], ..IdleRecovery::default() });
    plot(&space).await;
    check(&space, 1, 0..LOT_SLOTS);
}

#[tokio::test]
async fn damaged_units_come_before_new_ones() {
    let machine = Machine::new();
    let (space, _) = machine.plotted(&[8]).await;
    space.add_lot(3, beacon(3)).await.unwrap();
    machine.files.lose(place(8, 1));
    assert_eq!(space.read_slot(8, 5, Verify::Trust), Err(SlotError::Damaged(place(8, 1))));
    let next = space.0.books.lock().next().map(|job| job.place);
    assert_eq!(next, Some(place(8, 1)));
}

#[tokio::test]
async fn the_space_given_bounds_fragments_and_idle_content_together() {
    let machine = Machine::new();
    let (space, store) = machine.with_lots(&[1]).await;
    // Room for one unit and what is to stay free.
    let headroom_bytes = CAPACITY_BYTES - 2 * UNIT_BYTES + 1;
    let plotting = space.plot(PlotConfig { headroom_bytes, ..config() }).unwrap();
    let full = wait_for(&space, |status| status.trouble.is_some()).await;
    assert!(matches!(full.trouble, Some(Trouble::Full { .. })));
    let status = wait_for(&space, |status| status.units_done == 1).await;
    assert_eq!((status.units_total, store.free_bytes()), (3, Ok(CAPACITY_BYTES - UNIT_BYTES)));
    // The log grows: what gives way makes room for the rest of the plot.
    space.give_way(1, 11 * SLOT_BYTES).await.unwrap();
    let status = wait_for(&space, |status| status.units_done == 3 && status.trouble.is_none()).await;
    assert_eq!((status.idle_bytes, store.free_bytes()), (SLOT_BYTES, Ok(CAPACITY_BYTES - SLOT_BYTES)));
    plotting.stop().await;
    check(&space, 1, 11..LOT_SLOTS);
}

#[tokio::test]
async fn a_disk_that_refuses_is_tried_again() {
    for failure in [ErrorKind::StorageFull, ErrorKind::Other] {
        let machine = Machine::new();
        let (space, _) = machine.with_lots(&[1]).await;
        machine.files.fail(Some(failure));
        let plotting = space.plot(config()).unwrap();
        let status = wait_for(&space, |status| status.trouble.is_some()).await;
        assert!(matches!(status.trouble, Some(Trouble::Disk(_))));
        machine.files.fail(None);
        wait_for(&space, |status| status.units_done == 3 && status.trouble.is_none()).await;
        plotting.stop().await;
        check(&space, 1, 0..LOT_SLOTS);
    }
}

#[tokio::test]
async fn plotting_on_a_broken_disk_can_be_stopped() {
    let machine = Machine::new();
    let (space, _) = machine.with_lots(&[1]).await;
    machine.files.fail(Some(ErrorKind::Other));
    let forever = std::time::Duration::from_secs(1 << 20);
    let plotting = space.plot(PlotConfig { retry_pause: forever, ..config() }).unwrap();
    wait_for(&space, |status| status.trouble.is_some()).await;
    plotting.stop().await;
    assert_eq!(wait_for(&space, |_| true).await.units_done, 0);
    assert_eq!(space.0.books.lock().units_left(), 3);
}

#[tokio::test]
async fn a_store_that_fails_ends_plotting() {
    let machine = Machine::new();
    let (space, _) = machine.with_lots(&[1]).await;
    machine.disk.crash_after(machine.disk.steps());
    let plotting = space.plot(config()).unwrap();
    let status = wait_for(&space, |status| status.trouble.is_some()).await;
    assert!(matches!(status.trouble, Some(Trouble::Stopped(_))));
    plotting.stop().await;
    assert_eq!(space.0.books.lock().units_left(), 3);
}

#[tokio::test]
async fn more_lots_wake_plotting_up() {
    let (space, _) = Machine::new().with_lots(&[]).await;
    let plotting = space.plot(config()).unwrap();
    for lot in [4, 5] {
        space.add_lot(lot, beacon(lot)).await.unwrap();
        wait_for(&space, |status| status.units_done == u64::from(lot - 3) * 3).await;
        check(&space, lot, 0..LOT_SLOTS);
    }
    plotting.stop().await;
}

/// Puts notes of another first plot in place of a unit's.
async fn forge(store: &Store, at: UnitPlace, root: B256, slots: usize) {
    let hashes = proofs::idle::UnitHashes { root, slots: vec![B256::repeat_byte(6); slots] };
    let note: Change = record::put_unit(at, &hashes);
    store.update(vec![note]).await.unwrap();
}

#[tokio::test]
async fn a_unit_that_comes_out_otherwise_is_told_and_not_tried_for_ever() {
    let machine = Machine::new();
    let (space, store) = machine.with_lots(&[1]).await;
    let wrong = B256::repeat_byte(5);
    forge(&store, place(1, 0), wrong, UNIT_SLOTS as usize).await;
    drop((space, store));
    let (space, recovery, _) = machine.open().await;
    assert_eq!(recovery.damaged, [place(1, 0)]);
    let mut unequal = space.status();
    let plotting = space.plot(config()).unwrap();
    unequal.wait_for(|status| status.units_done >= 1).await.unwrap();
    wait_for(&space, |status| status.units_done == 3).await;
    plotting.stop().await;
    assert_eq!(space.0.books.lock().unit(place(1, 0)), Some(Unit::Wrong(wrong)));
    assert!(space.read_slot(1, 0, Verify::Hash).is_err());
}

#[tokio::test]
async fn notes_of_another_chain_are_refused() {
    for (at, slots) in [(place(1, 0), 5), (place(2, 0), 4), (place(1, LOT_UNITS), 4)] {
        let machine = Machine::new();
        let (space, store) = machine.with_lots(&[1]).await;
        forge(&store, at, B256::ZERO, slots).await;
        let opened = IdleSpace::open(layout(), Arc::new(machine.files.clone()), store.clone()).await;
        assert_eq!(opened.map(drop), Err(IdleError::Notes));
        drop((space, store));
    }
}

#[tokio::test]
async fn a_folder_of_the_file_system_holds_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let disk = store::FileDisk::open(folder.path()).unwrap();
    let (store, _) = Store::open(disk, store::StoreConfig { capacity_bytes: CAPACITY_BYTES }).unwrap();
    let open = || {
        let files = FileUnits::open(folder.path()).unwrap();
        IdleSpace::open(layout(), Arc::new(files), store.clone())
    };
    let (space, _) = open().await.unwrap();
    space.add_lot(1, beacon(1)).await.unwrap();
    plot(&space).await;
    space.give_way(1, 5 * SLOT_BYTES).await.unwrap();
    drop(space);
    let (space, recovery) = open().await.unwrap();
    assert_eq!(recovery, IdleRecovery::default());
    check(&space, 1, 5..LOT_SLOTS);
}
