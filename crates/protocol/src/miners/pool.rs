//! Draw operators by their free lots.
//!
//! # Design
//! A Fenwick tree over miner numbers, each weighted with its free lots: node `i` holds the weight of miners
//! `i - lowbit(i) + 1 ..= i`, so that a change, a draw and a new miner each touch O(log miners) slots. Sums of the
//! weights and of their squares stand beside it, for the effective number of operators (Σc)² / Σc².
//!
//! Between the choice of a beacon's view and its seed the pool is frozen: nothing that happens then may change the draw,
//! or a proposer could try orders of transactions until friends are drawn. New lots wait; withdrawals are refused.

use super::record::Tally;
use crate::{
    Checked, Ledger, Result, layout,
    storage::{Mapping, Slot},
};
use alloy_primitives::{B256, U256};
use types::{
    abi::IMiners,
    hash::{derive, domain},
    packed,
};

/// Most miners that may wait for a draw to end.
pub const WAITING_MAX: u32 = 64;
/// Miners let in at the start of one block.
pub const ADMITTED_PER_BLOCK_MAX: u32 = 16;
/// Tries of a draw for each seat.
pub const TRIES_PER_SEAT: u64 = 8;

packed! {
    /// Sums over the pool.
    pub struct Sums {
        /// Σc.
        weight: u64,
        /// Σc².
        squares: u128,
        /// Miners with a weight.
        operators: u32,
        /// Whether a draw is pending.
        frozen: bool,
    }
}

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
        sums: Slot<Sums>,
        nodes: Mapping<u32, Slot<u64>>,
        queue: Slot<Queue>,
        waiting: Mapping<u64, Slot<u32>>,
    }
}

/// The largest power of two that divides `index`.
fn lowbit(index: u32) -> u32 {
    index & index.wrapping_neg()
}

impl Pool {
    /// Makes room for miner `index`, the next one, with no weight.
    pub fn append(&self, ledger: &mut dyn Ledger, index: u32) -> Result<()> {
        let floor = index.saturating_sub(lowbit(index));
        let (mut sum, mut node) = (0u64, index.saturating_sub(1));
        while node > floor {
            sum = sum.plus(self.nodes.at(ledger, &node)?.get(ledger)?)?;
            node = node.saturating_sub(lowbit(node));
        }
        Ok(self.nodes.at(ledger, &index)?.set(ledger, sum)?)
    }

    /// Changes the weight of `miner` in a pool of `size` miners.
    pub fn set_weight(&self, ledger: &mut dyn Ledger, size: u32, miner: u32, from: u32, to: u32) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let sums = self.sums.get(ledger)?;
        self.sums.set(ledger, sums.changed(from, to)?)?;
        let mut index = miner;
        while index <= size {
            let node = self.nodes.at(ledger, &index)?;
            let weight = node.get(ledger)?.plus(to.into())?.minus(from.into())?;
            node.set(ledger, weight)?;
            let Some(next) = index.checked_add(lowbit(index)) else { break };
            index = next;
        }
        Ok(())
    }

    /// Takes a miner's new lots, so that it has `free`, now or after the draw that is pending; returns the weight that
    /// counts meanwhile.
    pub fn offer(&self, ledger: &mut dyn Ledger, size: u32, miner: u32, tally: &Tally, free: u32) -> Result<u32> {
        if !self.sums.get(ledger)?.frozen {
            self.set_weight(ledger, size, miner, tally.weight, free)?;
            return Ok(free);
        }
        let waits_already = tally.weight < tally.free;
        if !waits_already {
            self.enqueue(ledger, miner)?;
        }
        Ok(tally.weight)
    }

    fn enqueue(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<()> {
        let queue = self.queue.get(ledger)?;
        if queue.end.saturating_sub(queue.first) >= u64::from(WAITING_MAX) {
            return Err(IMiners::DrawPending {}.into());
        }
        self.waiting.at(ledger, &queue.end)?.set(ledger, miner)?;
        Ok(self.queue.set(ledger, Queue { end: queue.end.plus(1)?, ..queue })?)
    }

    /// Takes a miner out, unless a draw is pending.
    pub fn withdraw(&self, ledger: &mut dyn Ledger, size: u32, miner: u32, weight: u32) -> Result<()> {
        if self.sums.get(ledger)?.frozen {
            return Err(IMiners::DrawPending {}.into());
        }
        self.set_weight(ledger, size, miner, weight, 0)
    }

    /// Takes the first miner out of the queue; nothing while the pool is frozen.
    pub fn next_waiting(&self, ledger: &mut dyn Ledger) -> Result<Option<u32>> {
        let queue = self.queue.get(ledger)?;
        if queue.first == queue.end || self.sums.get(ledger)?.frozen {
            return Ok(None);
        }
        let slot = self.waiting.at(ledger, &queue.first)?;
        let miner = slot.get(ledger)?;
        slot.set(ledger, 0)?;
        self.queue.set(ledger, Queue { first: queue.first.plus(1)?, ..queue })?;
        Ok(Some(miner))
    }

    /// Freezes the pool if nobody waits and `seats` operators can be drawn from an effective `factor × seats`.
    pub fn freeze(&self, ledger: &mut dyn Ledger, seats: u16, factor: u32) -> Result<bool> {
        let queue = self.queue.get(ledger)?;
        let sums = self.sums.get(ledger)?;
        let ready = queue.first == queue.end && !sums.frozen && sums.can_seat(seats, factor)?;
        if ready {
            self.sums.set(ledger, Sums { frozen: true, ..sums })?;
        }
        Ok(ready)
    }

    /// Ends a draw.
    pub fn thaw(&self, ledger: &mut dyn Ledger) -> Result<()> {
        let sums = self.sums.get(ledger)?;
        Ok(self.sums.set(ledger, Sums { frozen: false, ..sums })?)
    }

    /// Distinct miners for `seats` seats, in the order in which they were drawn; nothing if the tries did not suffice.
    pub fn draw(
        &self,
        ledger: &mut dyn Ledger,
        size: u32,
        seats: u16,
        policy: u32,
        seed: &[u8],
    ) -> Result<Option<Vec<u32>>> {
        let weight = self.sums.get(ledger)?.weight;
        let mut drawn = Vec::with_capacity(seats.into());
        for attempt in 0..TRIES_PER_SEAT.times(seats.into())? {
            let Some(ticket) = ticket(ledger, seed, policy, attempt, weight)? else { break };
            let miner = self.holder(ledger, size, ticket)?;
            if !drawn.contains(&miner) {
                drawn.push(miner);
            }
            if drawn.len() == usize::from(seats) {
                return Ok(Some(drawn));
            }
        }
        Ok(None)
    }

    /// The miner that holds lot number `ticket` of the pool.
    fn holder(&self, ledger: &mut dyn Ledger, size: u32, ticket: u64) -> Result<u32> {
        let (mut before, mut rest) = (0u32, ticket);
        let mut step = size.checked_ilog2().map_or(0, |bits| 1u32.wrapping_shl(bits));
        while step > 0 {
            let index = before | step;
            if index <= size {
                let weight = self.nodes.at(ledger, &index)?.get(ledger)?;
                if let Some(left) = rest.checked_sub(weight) {
                    (before, rest) = (index, left);
                }
            }
            step >>= 1;
        }
        before.plus(1)
    }
}

impl Sums {
    fn changed(self, from: u32, to: u32) -> Result<Self> {
        let (from, to) = (u64::from(from), u64::from(to));
        let square = |weight: u64| u128::from(weight).times(weight.into());
        let operators = self.operators.plus((to > 0).into())?.minus((from > 0).into())?;
        Ok(Self {
            weight: self.weight.plus(to)?.minus(from)?,
            squares: self.squares.plus(square(to)?)?.minus(square(from)?)?,
            operators,
            ..self
        })
    }

    /// Whether (Σc)² / Σc² ≥ factor × seats, and as many operators as seats have a free lot.
    fn can_seat(self, seats: u16, factor: u32) -> Result<bool> {
        let sum = U256::from(self.weight);
        let needed = U256::from(self.squares).times(U256::from(factor))?.times(U256::from(seats))?;
        Ok(self.operators >= u32::from(seats) && sum.times(sum)? >= needed)
    }
}

/// A number below `weight` from the beacon; nothing for an empty pool. The bias is below 2^-64.
fn ticket(ledger: &mut dyn Ledger, seed: &[u8], policy: u32, attempt: u64, weight: u64) -> Result<Option<u64>> {
    ledger.charge_hashes(1, seed.len().saturating_add(12))?;
    let hash: B256 = derive(domain::FORMATION, &[seed, &policy.to_be_bytes(), &attempt.to_be_bytes()]);
    let number = hash.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).unwrap_or_default();
    Ok(number.checked_rem(weight.into()).and_then(|rest| u64::try_from(rest).ok()))
}

#[cfg(test)]
pub(crate) mod tests;
