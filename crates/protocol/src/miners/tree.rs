//! Find the holder of a lot by its number among the free ones, and keep sums over them.
//!
//! # Design
//! A Fenwick tree over places, each weighted with free lots: node `i` holds the weight of the places
//! `i - lowbit(i) + 1 ..= i`, so that a change, a draw and a new place each touch O(log places) slots. Sums of the
//! weights and of their squares stand beside it, for the effective number of operators (Σc)² / Σc².

use crate::{
    Checked, Ledger, Result, layout,
    storage::{Mapping, Slot},
};
use alloy_primitives::U256;
use types::packed;

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

layout! {
    /// Weights by place, from 1 on.
    pub struct Tree {
        sums: Slot<Sums>,
        nodes: Mapping<u32, Slot<u64>>,
    }
}

/// The largest power of two that divides `index`.
fn lowbit(index: u32) -> u32 {
    index & index.wrapping_neg()
}

impl Tree {
    /// Makes room for place `index`, the next one, with no weight.
    pub fn append(&self, ledger: &mut dyn Ledger, index: u32) -> Result<()> {
        let floor = index.saturating_sub(lowbit(index));
        let (mut sum, mut node) = (0u64, index.saturating_sub(1));
        while node > floor {
            sum = sum.plus(self.nodes.at(ledger, &node)?.get(ledger)?)?;
            node = node.saturating_sub(lowbit(node));
        }
        Ok(self.nodes.at(ledger, &index)?.set(ledger, sum)?)
    }

    /// Changes the weight of `place` in a tree of `size` places.
    pub fn set_weight(&self, ledger: &mut dyn Ledger, size: u32, place: u32, from: u32, to: u32) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let sums = self.sums.get(ledger)?;
        self.sums.set(ledger, sums.changed(from, to)?)?;
        let mut index = place;
        while index <= size {
            let node = self.nodes.at(ledger, &index)?;
            let weight = node.get(ledger)?.plus(to.into())?.minus(from.into())?;
            node.set(ledger, weight)?;
            let Some(next) = index.checked_add(lowbit(index)) else { break };
            index = next;
        }
        Ok(())
    }

    /// The place that holds lot number `ticket`.
    pub fn holder(&self, ledger: &mut dyn Ledger, size: u32, ticket: u64) -> Result<u32> {
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
    pub(super) fn changed(self, from: u32, to: u32) -> Result<Self> {
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
    pub fn can_seat(self, seats: u16, factor: u32) -> Result<bool> {
        let sum = U256::from(self.weight);
        let needed = U256::from(self.squares).times(U256::from(factor))?.times(U256::from(seats))?;
        Ok(self.operators >= u32::from(seats) && sum.times(sum)? >= needed)
    }

    /// What is left without a part.
    pub fn without(self, part: &Self) -> Result<Self> {
        Ok(Self {
            weight: self.weight.minus(part.weight)?,
            squares: self.squares.minus(part.squares)?,
            operators: self.operators.minus(part.operators)?,
            ..self
        })
    }

    /// Both together.
    pub fn with(self, other: &Self) -> Result<Self> {
        Ok(Self {
            weight: self.weight.plus(other.weight)?,
            squares: self.squares.plus(other.squares)?,
            operators: self.operators.plus(other.operators)?,
            ..self
        })
    }

    /// (Σc)² / Σc², rounded down.
    pub fn effective(self) -> u32 {
        let sum = U256::from(self.weight);
        let squared = sum.checked_mul(sum).unwrap_or_default();
        squared.checked_div(U256::from(self.squares)).map_or(0, |effective| effective.saturating_to())
    }
}

#[cfg(test)]
pub(super) mod tests;
