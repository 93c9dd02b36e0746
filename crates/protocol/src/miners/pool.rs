//! Weigh operators by their free lots, everywhere and by region.
//!
//! # Design
//! Every operator stands in up to three [`Tree`]s: that of the world, that of its country, and that of its subdivision if
//! it declared one. So the regions that a policy names are sources to draw from, at whatever share of the whole.
//!
//! Between the choice of a beacon's view and its seed the pool is frozen: nothing that happens then may change the draw,
//! or a proposer could try orders of transactions until friends are drawn. New lots wait; withdrawals are refused.

use super::{
    record::Tally,
    tree::{Sums, Tree},
};
use crate::{
    Checked, Ledger, Result, layout,
    storage::{Mapping, Slot},
};
use types::{abi::IMiners, packed};

/// New lots are refused while so many miners wait for a draw to end.
pub const WAITING_MAX: u32 = 64;
/// Miners let in at the start of one block.
pub const ADMITTED_PER_BLOCK_MAX: u32 = 16;

packed! {
    /// The queue of miners whose new lots wait, by running numbers.
    pub struct Queue {
        first: u64,
        end: u64,
    }
}

layout! {
    /// The weights of all miners.
    pub struct Pool {
        world: Tree,
        queue: Slot<Queue>,
        waiting: Mapping<u64, Slot<u32>>,
        /// By the six bytes of a country or subdivision as a number.
        regions: Mapping<u64, Region>,
    }
}

layout! {
    /// The weights of the miners of a region, by their places in it.
    pub struct Region {
        tree: Tree,
        size: Slot<u32>,
        miners: Mapping<u32, Slot<u32>>,
    }
}

impl Region {
    /// Makes room for a miner with no weight, and returns its place.
    pub fn append(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<u32> {
        let place = self.size.get(ledger)?.plus(1)?;
        self.size.set(ledger, place)?;
        self.tree.append(ledger, place)?;
        self.miners.at(ledger, &place)?.set(ledger, miner)?;
        Ok(place)
    }
}

impl Pool {
    /// Whether a draw is pending.
    pub fn is_frozen(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        Ok(self.world.sums.get(ledger)?.frozen)
    }

    /// Says which weight counts for a miner that now has `free` ripe lots: all of them, or what counted before while a draw
    /// is pending; then the miner waits.
    pub fn offer(&self, ledger: &mut dyn Ledger, miner: u32, tally: &Tally, free: u32) -> Result<u32> {
        if !self.is_frozen(ledger)? {
            return Ok(free);
        }
        let waits_already = tally.weight < tally.ripe();
        if !waits_already {
            let queue = self.queue.get(ledger)?;
            if queue.end.saturating_sub(queue.first) >= u64::from(WAITING_MAX) {
                return Err(IMiners::DrawPending {}.into());
            }
            self.enqueue(ledger, miner)?;
        }
        Ok(tally.weight)
    }

    /// Has a miner's weight looked at when no draw is pending any more.
    pub fn enqueue(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<()> {
        let queue = self.queue.get(ledger)?;
        self.waiting.at(ledger, &queue.end)?.set(ledger, miner)?;
        Ok(self.queue.set(ledger, Queue { end: queue.end.plus(1)?, ..queue })?)
    }

    /// Refuses while a draw is pending.
    pub fn require_thawed(&self, ledger: &mut dyn Ledger) -> Result<()> {
        if self.is_frozen(ledger)? { Err(IMiners::DrawPending {}.into()) } else { Ok(()) }
    }

    /// Takes the first miner out of the queue; nothing while the pool is frozen.
    pub fn next_waiting(&self, ledger: &mut dyn Ledger) -> Result<Option<u32>> {
        let queue = self.queue.get(ledger)?;
        if queue.first == queue.end || self.is_frozen(ledger)? {
            return Ok(None);
        }
        let slot = self.waiting.at(ledger, &queue.first)?;
        let miner = slot.get(ledger)?;
        slot.set(ledger, 0)?;
        self.queue.set(ledger, Queue { first: queue.first.plus(1)?, ..queue })?;
        Ok(Some(miner))
    }

    /// Freezes the pool if nobody waits and no draw is pending.
    pub fn freeze(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        let queue = self.queue.get(ledger)?;
        let sums = self.world.sums.get(ledger)?;
        let ready = queue.first == queue.end && !sums.frozen;
        if ready {
            self.world.sums.set(ledger, Sums { frozen: true, ..sums })?;
        }
        Ok(ready)
    }

    /// Ends a draw.
    pub fn thaw(&self, ledger: &mut dyn Ledger) -> Result<()> {
        let sums = self.world.sums.get(ledger)?;
        Ok(self.world.sums.set(ledger, Sums { frozen: false, ..sums })?)
    }
}

#[cfg(test)]
mod tests;
