//! Order transactions by what they pay, while the base fee moves.
//!
//! # Design
//! A transaction pays `min(priority fee, max fee − base fee)`, so a new base fee changes the key of every entry. But it
//! changes their order only where an entry passes from one side of the `min` to the other: among those bound by their
//! priority fee the order is that of the priority fee, among those bound by the max fee it is that of the max fee.
//! Two ordered maps and the thresholds `max fee − priority fee` at which an entry changes sides make a new base fee
//! cost O(entries that cross), instead of O(pool) per block.

use alloy_primitives::Address;
use std::{cmp::Reverse, collections::BTreeMap, ops::Bound};
use types::LaneCall;

/// What an entry is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub max_fee: u128,
    pub priority_fee: u128,
    /// What it does in the audit lane, where it pays nothing.
    pub lane: Option<LaneCall>,
    /// Arrival: the earlier of two that pay the same goes first.
    pub order: u64,
}

/// What an entry pays at a base fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tip {
    /// Not even the base fee: its max fee.
    Short(u128),
    /// This much per gas to the proposer.
    Pays(u128),
    /// Nothing, in the audit lane, which comes first.
    Lane(LaneCall),
}

impl Rank {
    pub fn tip(&self, base_fee: u64) -> Tip {
        if let Some(call) = self.lane {
            return Tip::Lane(call);
        }
        match self.max_fee.checked_sub(u128::from(base_fee)) {
            Some(rest) => Tip::Pays(rest.min(self.priority_fee)),
            None => Tip::Short(self.max_fee),
        }
    }

    /// Order of preference at a base fee: greater is better.
    pub fn score(&self, base_fee: u64) -> (Tip, Reverse<u64>) {
        (self.tip(base_fee), Reverse(self.order))
    }

    /// The highest base fee at which the priority fee is paid in full.
    fn threshold(&self) -> u128 {
        self.max_fee - self.priority_fee
    }
}

/// An entry and its sender.
pub(crate) type Ranked = (Rank, Address);

/// A fee, and the arrival that breaks ties.
type Key = (u128, Reverse<u64>);
/// The order in the audit lane.
type LaneKey = (LaneCall, Reverse<u64>);

/// Where an iteration has got to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    by_priority: Option<Key>,
    by_fee: Option<Key>,
    lane: Option<LaneKey>,
}

/// One entry per sender, best first.
#[derive(Debug)]
pub(crate) struct Ranking {
    base_fee: u64,
    /// Entries that pay their whole priority fee.
    by_priority: BTreeMap<Key, Ranked>,
    /// Entries that pay what their max fee leaves above the base fee, or less than it.
    by_fee: BTreeMap<Key, Ranked>,
    thresholds: BTreeMap<(u128, u64), Ranked>,
    /// Entries of the audit lane.
    lane: BTreeMap<LaneKey, Ranked>,
}

impl Ranking {
    pub fn new(base_fee: u64) -> Self {
        Self {
            base_fee,
            by_priority: BTreeMap::new(),
            by_fee: BTreeMap::new(),
            thresholds: BTreeMap::new(),
            lane: BTreeMap::new(),
        }
    }

    pub fn insert(&mut self, rank: Rank, address: Address) {
        if let Some(call) = rank.lane {
            self.lane.insert((call, Reverse(rank.order)), (rank, address));
            return;
        }
        self.thresholds.insert((rank.threshold(), rank.order), (rank, address));
        self.place(rank, address);
    }

    pub fn remove(&mut self, rank: Rank) {
        if let Some(call) = rank.lane {
            self.lane.remove(&(call, Reverse(rank.order)));
            return;
        }
        self.thresholds.remove(&(rank.threshold(), rank.order));
        self.displace(rank);
    }

    /// Moves the entries that change sides.
    pub fn set_base_fee(&mut self, base_fee: u64) {
        let (low, high) = (self.base_fee.min(base_fee), self.base_fee.max(base_fee));
        let crossing: Vec<_> =
            self.thresholds.range((u128::from(low), 0)..(u128::from(high), 0)).map(|(_, entry)| *entry).collect();
        crossing.iter().for_each(|(rank, _)| self.displace(*rank));
        self.base_fee = base_fee;
        crossing.into_iter().for_each(|(rank, address)| self.place(rank, address));
    }

    /// The best entry after `cursor`; advances it.
    pub fn next(&self, cursor: &mut Cursor) -> Option<Ranked> {
        let lane = cursor.lane.map_or(Bound::Unbounded, Bound::Excluded);
        if let Some((key, entry)) = self.lane.range((Bound::Unbounded, lane)).next_back() {
            cursor.lane = Some(*key);
            return Some(*entry);
        }
        let (by_priority, by_fee) = self.peek(cursor);
        let pays = |entry: Option<Ranked>| entry.map(|(rank, _)| rank.score(self.base_fee));
        if pays(by_priority) >= pays(by_fee) {
            let (rank, address) = by_priority?;
            cursor.by_priority = Some((rank.priority_fee, Reverse(rank.order)));
            Some((rank, address))
        } else {
            let (rank, address) = by_fee?;
            cursor.by_fee = Some((rank.max_fee, Reverse(rank.order)));
            Some((rank, address))
        }
    }

    /// The entry that pays least.
    pub fn worst(&self) -> Option<Ranked> {
        let by_priority = self.by_priority.first_key_value().map(|(_, entry)| *entry);
        let by_fee = self.by_fee.first_key_value().map(|(_, entry)| *entry);
        let lane = self.lane.first_key_value().map(|(_, entry)| *entry);
        by_priority.into_iter().chain(by_fee).chain(lane).min_by_key(|(rank, _)| rank.score(self.base_fee))
    }

    fn peek(&self, cursor: &Cursor) -> (Option<Ranked>, Option<Ranked>) {
        let below = |map: &BTreeMap<Key, Ranked>, key: Option<Key>| {
            let end = key.map_or(Bound::Unbounded, Bound::Excluded);
            map.range((Bound::Unbounded, end)).next_back().map(|(_, entry)| *entry)
        };
        (below(&self.by_priority, cursor.by_priority), below(&self.by_fee, cursor.by_fee))
    }

    fn pays_priority(&self, rank: &Rank) -> bool {
        rank.threshold() >= u128::from(self.base_fee)
    }

    fn place(&mut self, rank: Rank, address: Address) {
        let order = Reverse(rank.order);
        if self.pays_priority(&rank) {
            self.by_priority.insert((rank.priority_fee, order), (rank, address));
        } else {
            self.by_fee.insert((rank.max_fee, order), (rank, address));
        }
    }

    fn displace(&mut self, rank: Rank) {
        let order = Reverse(rank.order);
        if self.pays_priority(&rank) {
            self.by_priority.remove(&(rank.priority_fee, order));
        } else {
            self.by_fee.remove(&(rank.max_fee, order));
        }
    }
}

#[cfg(test)]
mod tests;
