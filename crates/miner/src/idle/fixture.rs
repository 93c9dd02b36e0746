//! Set up small idle spaces on disks in memory, and say what must be in them.

use crate::idle::{IdleLayout, IdleRecovery, IdleSpace, MemoryUnits, PlotConfig, PlotStatus, UnitPlace};
use alloy_primitives::B256;
use proofs::idle::{Plotter, Progress};
use std::{sync::Arc, time::Duration};
use store::{MemoryDisk, Store, StoreConfig};
use types::{merkle::Tree, spec::StorageSpec};

/// Slots of a lot: three units of four slots of 8 KiB.
pub(crate) const LOT_SLOTS: u32 = 12;
pub(crate) const UNIT_SLOTS: u32 = 4;
pub(crate) const LOT_UNITS: u32 = 3;
pub(crate) const SLOT_BYTES: u64 = 8 << 10;
pub(crate) const UNIT_BYTES: u64 = 32 << 10;
pub(crate) const CAPACITY_BYTES: u64 = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn layout() -> IdleLayout {
    let (slot_bytes, lot_slots, unit_slots, unit_layers) = (SLOT_BYTES, LOT_SLOTS, UNIT_SLOTS, 3);
    let storage = StorageSpec { slot_bytes, lot_slots, unit_slots, unit_layers, ..StorageSpec::devnet() };
    IdleLayout::new(77, 5, &storage).expect("sizes that fit")
}

pub(crate) fn beacon(lot: u32) -> B256 {
    B256::repeat_byte(lot as u8 + 1)
}

pub(crate) fn config() -> PlotConfig {
    PlotConfig { threads: 2, headroom_bytes: 0, retry_pause: Duration::from_millis(1), nice: 0 }
}

/// The disks of a miner.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) disk: MemoryDisk,
    pub(crate) files: MemoryUnits,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { disk: MemoryDisk::new(4 << 30), files: MemoryUnits::default() }
    }

    pub(crate) async fn open(&self) -> (IdleSpace, IdleRecovery, Store) {
        let store_config = StoreConfig { capacity_bytes: CAPACITY_BYTES };
        let (store, _) = Store::open(self.disk.clone(), store_config).expect("the disk works");
        let opened = IdleSpace::open(layout(), Arc::new(self.files.clone()), store.clone()).await;
        let (space, recovery) = opened.expect("the disks work");
        (space, recovery, store)
    }

    /// An idle space with these lots.
    pub(crate) async fn with_lots(&self, lots: &[u32]) -> (IdleSpace, Store) {
        let (space, _, store) = self.open().await;
        for lot in lots {
            space.add_lot(*lot, beacon(*lot)).await.expect("a new lot");
        }
        (space, store)
    }

    /// An idle space with these lots, plotted.
    pub(crate) async fn plotted(&self, lots: &[u32]) -> (IdleSpace, Store) {
        let (space, store) = self.with_lots(lots).await;
        plot(&space).await;
        (space, store)
    }

    /// What is left after a power cut.
    pub(crate) fn after_crash(&self, seed: u64) -> Self {
        Self { disk: self.disk.after_crash(seed), files: self.files.after_crash(seed) }
    }
}

/// Waits until the status is as wanted.
pub(crate) async fn wait_for(space: &IdleSpace, wanted: impl FnMut(&PlotStatus) -> bool) -> PlotStatus {
    let mut status = space.status();
    let status = tokio::time::timeout(DEADLINE, status.wait_for(wanted)).await;
    status.expect("it takes too long").expect("the space is there").clone()
}

/// Plots all there is.
pub(crate) async fn plot(space: &IdleSpace) {
    let plotting = space.plot(config()).expect("threads");
    wait_for(space, |status| status.units_done == status.units_total).await;
    plotting.stop().await;
}

/// What a unit of a lot holds.
pub(crate) fn content(place: UnitPlace) -> Vec<u8> {
    let layout = layout();
    let mut content = vec![0; layout.shape().bytes()];
    let unit = layout.unit_id(place, beacon(place.lot));
    Plotter::new(layout.shape()).plot(&unit, &mut content, &Progress::default()).expect("a unit's buffer");
    content
}

/// What a slot of a lot holds.
pub(crate) fn slot_content(lot: u32, slot: u32) -> Vec<u8> {
    let unit = content(UnitPlace { lot, unit: slot / UNIT_SLOTS });
    unit.chunks(SLOT_BYTES as usize).nth((slot % UNIT_SLOTS) as usize).expect("a slot of the unit").to_vec()
}

/// The idle root that a lot must have.
pub(crate) fn idle_root(lot: u32) -> B256 {
    let root = |unit| B256::from(*blake3::hash(&content(UnitPlace { lot, unit })).as_bytes());
    Tree::new(&(0..LOT_UNITS).map(root).collect::<Vec<_>>()).root()
}
