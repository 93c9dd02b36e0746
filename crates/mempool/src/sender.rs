//! Keep one account's transactions in the order of their nonces.

use crate::{check::cost_max, ranking::Rank};
use alloy_consensus::Transaction as _;
use alloy_primitives::U256;
use std::{collections::BTreeMap, sync::Arc};
use types::{Transaction, state::Account};

/// A transaction with what the pool asks of it often.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub transaction: Arc<Transaction>,
    pub rank: Rank,
    pub cost_max: U256,
    pub added_ms: u64,
}

impl Entry {
    pub fn new(transaction: Arc<Transaction>, order: u64, added_ms: u64) -> Self {
        let envelope = transaction.envelope();
        let (max_fee, priority_fee) = (envelope.max_fee_per_gas(), envelope.priority_fee_or_price());
        let rank = Rank { max_fee, priority_fee, lane: transaction.lane(), order };
        Self { cost_max: cost_max(&transaction), rank, added_ms, transaction }
    }

    pub fn size_bytes(&self) -> usize {
        self.transaction.raw().len()
    }
}

/// An account with its transactions; those from `nonce` to before `executable_end` have no gap.
#[derive(Debug)]
pub(crate) struct Sender {
    nonce: u64,
    balance: U256,
    queue: BTreeMap<u64, Entry>,
    executable_end: u64,
    cost_max: U256,
}

impl Sender {
    pub fn new(account: &Account) -> Self {
        Self {
            nonce: account.nonce,
            balance: account.balance,
            queue: BTreeMap::new(),
            executable_end: account.nonce,
            cost_max: U256::ZERO,
        }
    }

    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    pub fn balance(&self) -> U256 {
        self.balance
    }

    /// Whether the account is as known.
    pub fn is_at(&self, account: &Account) -> bool {
        self.nonce == account.nonce && self.balance == account.balance
    }

    /// What all transactions may cost together. Exact: nothing enters that would lift it above the balance.
    pub fn cost_max(&self) -> U256 {
        self.cost_max
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn get(&self, nonce: u64) -> Option<&Entry> {
        self.queue.get(&nonce)
    }

    /// The first nonce without a transaction.
    pub fn executable_end(&self) -> u64 {
        self.executable_end
    }

    pub fn executable_count(&self) -> usize {
        (self.executable_end - self.nonce) as usize
    }

    pub fn gapped_count(&self) -> usize {
        self.queue.len() - self.executable_count()
    }

    /// Transactions of the audit lane.
    pub fn lane_count(&self) -> usize {
        self.queue.values().filter(|entry| entry.rank.lane.is_some()).count()
    }

    /// The next transaction to execute.
    pub fn head(&self) -> Option<&Entry> {
        self.queue.get(&self.nonce)
    }

    /// The highest nonce, and whether it can be executed.
    pub fn tail(&self) -> Option<(&Entry, bool)> {
        self.queue.last_key_value().map(|(nonce, entry)| (entry, *nonce < self.executable_end))
    }

    /// Puts a transaction in; returns the one with the same nonce.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.cost_max = self.cost_max.saturating_add(entry.cost_max);
        let replaced = self.queue.insert(entry.transaction.nonce(), entry);
        if let Some(old) = &replaced {
            self.cost_max = self.cost_max.saturating_sub(old.cost_max);
        }
        self.extend();
        replaced
    }

    /// Takes a transaction out; later ones wait until the nonce is there again.
    pub fn remove(&mut self, nonce: u64) -> Option<Entry> {
        let entry = self.queue.remove(&nonce)?;
        self.cost_max = self.cost_max.saturating_sub(entry.cost_max);
        self.executable_end = self.executable_end.min(nonce.max(self.nonce));
        Some(entry)
    }

    /// Follows the account; returns the transactions it has left behind or can no longer pay for.
    pub fn update(&mut self, account: &Account) -> Vec<Entry> {
        let kept = self.queue.split_off(&account.nonce);
        let mut dropped: Vec<Entry> = std::mem::replace(&mut self.queue, kept).into_values().collect();
        dropped.extend(self.queue.extract_if(.., |_, entry| entry.cost_max > account.balance).map(|(_, entry)| entry));
        self.nonce = account.nonce;
        self.balance = account.balance;
        self.executable_end = account.nonce;
        let dropped_cost = dropped.iter().fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.cost_max));
        self.cost_max = self.cost_max.saturating_sub(dropped_cost);
        self.extend();
        dropped
    }

    fn extend(&mut self) {
        let ready = self.queue.range(self.executable_end..).zip(self.executable_end..);
        self.executable_end += ready.take_while(|((nonce, _), expected)| *nonce == expected).count() as u64;
    }
}
