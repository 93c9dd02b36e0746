//! Show the walks that check a pledge, by plotting the units that they lie in once more.

use crate::idle::{IdleSpace, SlotError, UnitPlace};
use alloy_primitives::B256;
use proofs::{
    idle::{Plotter, Progress},
    pledge::{ProveError, Sample, Walks, sample, seed},
};
use std::{collections::BTreeMap, ops::Range};

/// Lots that one beacon checks together: `count` of them from lot `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The first lot.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Walks cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalksError {
    /// A lot is not this miner's, or not plotted.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The walks make no sense, or plotting was stopped.
    #[error(transparent)]
    Prove(#[from] ProveError),
}

impl IdleSpace {
    /// Shows the walks with these numbers that `beacon` asks of a batch of lots, in their order. Each unit concerned is
    /// plotted once, in the caller's `rayon` pool: seconds for large units. The disk is not read.
    pub fn walks(
        &self,
        batch: Batch,
        beacon: &B256,
        numbers: Range<u32>,
        progress: &Progress,
    ) -> Result<Vec<Vec<u8>>, WalksError> {
        let layout = self.0.layout;
        let (shape, lot_units) = (layout.shape(), layout.lot_units());
        let seed = seed(beacon, layout.miner(), batch.first, batch.count);
        let units = u64::from(batch.count) * u64::from(lot_units);
        let mut asked: BTreeMap<UnitPlace, Vec<(usize, Sample)>> = BTreeMap::new();
        for (index, number) in numbers.clone().enumerate() {
            let sample = sample(shape, &seed, units, number);
            let (lot, unit) = (sample.unit / u64::from(lot_units), sample.unit % u64::from(lot_units));
            // Both are below 2^32, as `sample.unit` is below `units`.
            let place = UnitPlace { lot: batch.first.saturating_add(lot as u32), unit: unit as u32 };
            asked.entry(place).or_default().push((index, sample));
        }
        let graph = self.0.graph();
        let walks = Walks::new(shape, graph.clone(), lot_units);
        let mut plotter = Plotter::with_graph(shape, graph);
        let mut content = vec![0; shape.bytes()];
        let mut shown = vec![Vec::new(); numbers.len()];
        for (place, samples) in asked {
            let (beacon, tree) = self.known(place)?;
            let (indices, samples): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
            let unit = layout.unit_id(place, beacon);
            let proofs = walks.prove(&mut plotter, &unit, &samples, &tree, &mut content, progress)?;
            indices.into_iter().zip(proofs).for_each(|(index, proof)| shown[index] = proof);
        }
        Ok(shown)
    }

    fn known(&self, place: UnitPlace) -> Result<(B256, types::merkle::Tree), SlotError> {
        let record = self.0.books.lock().record(place.lot).ok_or(SlotError::UnknownLot(place.lot))?;
        let tree = self.tree(place.lot).ok_or(SlotError::NotPlotted(place))?;
        Ok((record.beacon, tree))
    }
}
