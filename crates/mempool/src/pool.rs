//! Decide what the pool keeps and in which order it offers it.

use crate::{
    MempoolConfig, PoolError,
    check::check,
    ranking::Ranking,
    sender::{Entry, Sender},
};
use alloy_primitives::{Address, B256};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};
use types::{Transaction, state::Account};

/// Blocks whose changed accounts are remembered: a caller may have read an account just before.
const RECENT_BLOCKS: usize = 8;
/// How long a call in the audit lane keeps its place at least: it bounds how often all nodes broadcast another for nothing.
const LANE_PATIENCE_MS: u64 = 500;

/// Where a new transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All lower nonces are there.
    Executable,
    /// It waits for a lower nonce.
    Gapped,
}

/// A transaction entered the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The transaction.
    pub hash: B256,
    /// The transaction that it replaced.
    pub replaced: Option<B256>,
    /// Whether it can be executed already.
    pub placement: Placement,
}

/// How full the pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Transactions without a gap below them.
    pub executable_count: usize,
    /// Transactions that wait for a lower nonce.
    pub gapped_count: usize,
    /// Bytes of all transactions.
    pub size_bytes: usize,
    /// Accounts with transactions.
    pub sender_count: usize,
    /// Base fee of the next block, wei.
    pub base_fee: u64,
}

/// The state machine behind [`Mempool`](crate::Mempool).
#[derive(Debug)]
pub(crate) struct Pool {
    config: MempoolConfig,
    base_fee_floor: u64,
    base_fee: u64,
    senders: HashMap<Address, Sender>,
    by_hash: HashMap<B256, (Address, u64)>,
    by_arrival: BTreeMap<u64, B256>,
    next_order: u64,
    size_bytes: usize,
    executable_count: usize,
    /// Transactions of the audit lane.
    lane_count: usize,
    /// Next transaction of every sender that has one.
    heads: Ranking,
    /// Highest nonces, where they are executable.
    executable_tails: Ranking,
    /// Highest nonces, where they are not.
    gapped_tails: Ranking,
    recent: VecDeque<HashMap<Address, Account>>,
}

impl Pool {
    pub fn new(config: MempoolConfig, base_fee_floor: u64) -> Self {
        Self {
            config,
            base_fee_floor,
            base_fee: base_fee_floor,
            senders: HashMap::new(),
            by_hash: HashMap::new(),
            by_arrival: BTreeMap::new(),
            next_order: 0,
            size_bytes: 0,
            executable_count: 0,
            lane_count: 0,
            heads: Ranking::new(base_fee_floor),
            executable_tails: Ranking::new(base_fee_floor),
            gapped_tails: Ranking::new(base_fee_floor),
            recent: VecDeque::new(),
        }
    }

    /// Takes a transaction whose sender's account was `account` when the caller last looked.
    pub fn add(&mut self, transaction: Arc<Transaction>, account: &Account, now_ms: u64) -> Result<Added, PoolError> {
        let hash = transaction.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        check(&transaction, &self.config, self.base_fee_floor)?;
        self.expire(now_ms);
        let address = transaction.sender();
        let account = self.newest(address, account);
        self.update(address, &account);
        let entry = Entry::new(transaction, self.next_order, now_ms);
        self.admit(address, &account, &entry)?;
        self.next_order += 1;
        let nonce = entry.transaction.nonce();
        let replaced = self.insert(&account, entry);
        if let Err(full) = self.evict(hash) {
            replaced.into_iter().for_each(|old| drop(self.insert(&account, old)));
            return Err(full);
        }
        self.trim_sender(address);
        let executable = self.executable(address, nonce).is_some();
        let placement = if executable { Placement::Executable } else { Placement::Gapped };
        Ok(Added { hash, replaced: replaced.map(|old| old.transaction.hash()), placement })
    }

    /// Follows a block: what it included is gone, what it changed is known, and the next base fee counts.
    pub fn on_block(
        &mut self,
        included: &[Arc<Transaction>],
        changed: &[(Address, Account)],
        base_fee: u64,
        now_ms: u64,
    ) {
        for transaction in included {
            self.include(transaction);
        }
        for (address, account) in changed {
            self.update(*address, account);
        }
        self.recent.push_back(changed.iter().copied().collect());
        if self.recent.len() > RECENT_BLOCKS {
            self.recent.pop_front();
        }
        self.set_base_fee(base_fee);
        self.expire(now_ms);
    }

    /// Takes transactions out, such as those that a block's builder found invalid.
    pub fn remove(&mut self, hashes: &[B256]) {
        for hash in hashes {
            if let Some(entry) = self.take(hash) {
                self.trim_sender(entry.transaction.sender());
            }
        }
    }

    pub fn get(&self, hash: &B256) -> Option<&Arc<Transaction>> {
        let (address, nonce) = self.by_hash.get(hash)?;
        self.senders.get(address)?.get(*nonce).map(|entry| &entry.transaction)
    }

    pub fn pending_nonce(&self, address: Address) -> Option<u64> {
        self.senders.get(&address).map(Sender::executable_end)
    }

    pub fn status(&self) -> PoolStatus {
        PoolStatus {
            executable_count: self.executable_count,
            gapped_count: self.by_hash.len() - self.executable_count,
            size_bytes: self.size_bytes,
            sender_count: self.senders.len(),
            base_fee: self.base_fee,
        }
    }

    /// All transactions in the order of their arrival.
    pub fn contents(&self) -> Vec<Arc<Transaction>> {
        self.by_arrival.values().filter_map(|hash| self.get(hash)).cloned().collect()
    }

    pub fn set_base_fee(&mut self, base_fee: u64) {
        if base_fee != self.base_fee {
            self.base_fee = base_fee;
            for ranking in [&mut self.heads, &mut self.executable_tails, &mut self.gapped_tails] {
                ranking.set_base_fee(base_fee);
            }
        }
    }

    pub(crate) fn heads(&self) -> &Ranking {
        &self.heads
    }

    pub(crate) fn head(&self, address: Address) -> Option<&Entry> {
        self.senders.get(&address)?.head()
    }

    /// A transaction that can be executed once those before it are.
    pub(crate) fn executable(&self, address: Address, nonce: u64) -> Option<&Entry> {
        let sender = self.senders.get(&address)?;
        if nonce < sender.executable_end() { sender.get(nonce) } else { None }
    }

    /// The newest state of an account among what the caller, the pool and the last blocks say. A nonce only grows; of
    /// equal nonces the greater balance is taken, and execution has the last word.
    fn newest(&self, address: Address, account: &Account) -> Account {
        let known = self.senders.get(&address).map(|sender| (sender.nonce(), sender.balance()));
        let recent = self.recent.iter().rev().find_map(|block| block.get(&address));
        let others = known.into_iter().chain(recent.map(|account| (account.nonce, account.balance)));
        let (nonce, balance) = others.fold((account.nonce, account.balance), Ord::max);
        Account { nonce, balance, code_hash: account.code_hash }
    }

    /// The rules that depend on what else the sender has in the pool.
    fn admit(&self, address: Address, account: &Account, entry: &Entry) -> Result<(), PoolError> {
        let nonce = entry.transaction.nonce();
        if nonce < account.nonce {
            return Err(PoolError::NonceTooLow { transaction: nonce, account: account.nonce });
        }
        let sender = self.senders.get(&address);
        let replaced = sender.and_then(|sender| sender.get(nonce));
        if let Some(old) = replaced {
            check_replacement(old, entry)?;
        }
        let queued = sender.map(Sender::cost_max).unwrap_or_default();
        let queued = queued.saturating_sub(replaced.map(|old| old.cost_max).unwrap_or_default());
        if account.balance.checked_sub(queued).is_none_or(|free| free < entry.cost_max) {
            let (balance, cost) = (account.balance, entry.cost_max);
            return Err(PoolError::InsufficientFunds { balance, cost, queued });
        }
        if entry.rank.lane.is_some() && replaced.is_none_or(|old| old.rank.lane.is_none()) {
            let (count, of_sender) = (self.lane_count, sender.map_or(0, Sender::lane_count));
            if count >= self.config.lane_transactions_max || of_sender >= self.config.lane_per_sender_max {
                return Err(PoolError::LaneFull { count, of_sender });
            }
        }
        if replaced.is_some() { Ok(()) } else { self.check_room(sender, account, nonce) }
    }

    fn check_room(&self, sender: Option<&Sender>, account: &Account, nonce: u64) -> Result<(), PoolError> {
        let executable_end = sender.map_or(account.nonce, Sender::executable_end);
        if nonce == executable_end {
            let limit = self.config.executable_per_sender_max;
            let count = sender.map_or(0, Sender::executable_count);
            return if count < limit { Ok(()) } else { Err(PoolError::SenderLimit { limit }) };
        }
        let limit = self.config.gapped_per_sender_max;
        if sender.map_or(0, Sender::gapped_count) < limit {
            return Ok(());
        }
        Err(PoolError::TooManyGapped { transaction: nonce, account: executable_end, limit })
    }

    /// Lets `change` work on a known sender and keeps counts and rankings true to it.
    fn change<T>(&mut self, address: Address, change: impl FnOnce(&mut Sender) -> T) -> Option<T> {
        let mut sender = self.senders.remove(&address)?;
        self.unlist(&sender);
        let result = change(&mut sender);
        if !sender.is_empty() {
            self.list(address, &sender);
            self.senders.insert(address, sender);
        }
        Some(result)
    }

    /// Puts a transaction in, with its entries in the indexes; returns the one with the same nonce.
    fn insert(&mut self, account: &Account, entry: Entry) -> Option<Entry> {
        let (address, nonce) = (entry.transaction.sender(), entry.transaction.nonce());
        let hash = entry.transaction.hash();
        self.by_hash.insert(hash, (address, nonce));
        self.by_arrival.insert(entry.rank.order, hash);
        self.size_bytes += entry.size_bytes();
        self.lane_count += usize::from(entry.rank.lane.is_some());
        self.senders.entry(address).or_insert_with(|| Sender::new(account));
        let replaced = self.change(address, |sender| sender.insert(entry)).flatten();
        replaced.inspect(|old| self.forget(old))
    }

    fn list(&mut self, address: Address, sender: &Sender) {
        self.executable_count += sender.executable_count();
        if let Some(head) = sender.head() {
            self.heads.insert(head.rank, address);
        }
        if let Some((tail, executable)) = sender.tail() {
            let rank = tail.rank;
            self.tails(executable).insert(rank, address);
        }
    }

    fn unlist(&mut self, sender: &Sender) {
        self.executable_count -= sender.executable_count();
        if let Some(head) = sender.head() {
            self.heads.remove(head.rank);
        }
        if let Some((tail, executable)) = sender.tail() {
            let rank = tail.rank;
            self.tails(executable).remove(rank);
        }
    }

    fn tails(&mut self, executable: bool) -> &mut Ranking {
        if executable { &mut self.executable_tails } else { &mut self.gapped_tails }
    }

    /// Takes one transaction out, with its entries in the indexes.
    fn take(&mut self, hash: &B256) -> Option<Entry> {
        let (address, nonce) = *self.by_hash.get(hash)?;
        let entry = self.change(address, |sender| sender.remove(nonce))??;
        self.forget(&entry);
        Some(entry)
    }

    fn forget(&mut self, entry: &Entry) {
        self.by_hash.remove(&entry.transaction.hash());
        self.by_arrival.remove(&entry.rank.order);
        self.size_bytes -= entry.size_bytes();
        self.lane_count -= usize::from(entry.rank.lane.is_some());
    }

    fn include(&mut self, transaction: &Transaction) {
        let address = transaction.sender();
        let next = transaction.nonce().saturating_add(1);
        if let Some(sender) = self.senders.get(&address).filter(|sender| sender.nonce() < next) {
            let account = Account { nonce: next, balance: sender.balance(), ..Account::default() };
            self.update(address, &account);
        }
    }

    fn update(&mut self, address: Address, account: &Account) {
        if self.senders.get(&address).is_none_or(|sender| sender.is_at(account)) {
            return;
        }
        let dropped = self.change(address, |sender| sender.update(account)).unwrap_or_default();
        dropped.iter().for_each(|entry| self.forget(entry));
        self.trim_sender(address);
    }

    /// Drops a sender's highest nonces beyond its limits, which a gap opened or closed can bring about.
    fn trim_sender(&mut self, address: Address) {
        while let Some(sender) = self.senders.get(&address) {
            let excess = sender.gapped_count() > self.config.gapped_per_sender_max
                || sender.executable_count() > self.config.executable_per_sender_max;
            let Some((tail, _)) = sender.tail().filter(|_| excess) else { return };
            let hash = tail.transaction.hash();
            self.take(&hash);
        }
    }

    /// Makes room by dropping what pays least; if that is the new transaction, everything else stays as it was.
    fn evict(&mut self, added: B256) -> Result<(), PoolError> {
        let mut evicted = Vec::new();
        while self.by_hash.len() > self.config.transactions_max || self.size_bytes > self.config.bytes_max {
            let Some((account, hash)) = self.worst() else { break };
            let entry = self.take(&hash);
            if hash == added {
                evicted.into_iter().rev().for_each(|(account, entry)| drop(self.insert(&account, entry)));
                return Err(PoolError::Full);
            }
            evicted.extend(entry.map(|entry| (account, entry)));
        }
        Ok(())
    }

    /// The transaction to give up first, with its sender's account: one that waits for a lower nonce, if there is any.
    fn worst(&self) -> Option<(Account, B256)> {
        let (_, address) = self.gapped_tails.worst().or_else(|| self.executable_tails.worst())?;
        let sender = self.senders.get(&address)?;
        let (tail, _) = sender.tail()?;
        let account = Account { nonce: sender.nonce(), balance: sender.balance(), ..Account::default() };
        Some((account, tail.transaction.hash()))
    }

    fn expire(&mut self, now_ms: u64) {
        while let Some(hash) = self.oldest_expired(now_ms) {
            self.remove(&[hash]);
        }
    }

    fn oldest_expired(&self, now_ms: u64) -> Option<B256> {
        let (_, hash) = self.by_arrival.first_key_value()?;
        let (address, nonce) = self.by_hash.get(hash)?;
        let entry = self.senders.get(address)?.get(*nonce)?;
        (entry.added_ms.saturating_add(self.config.expiry_ms) <= now_ms).then_some(*hash)
    }
}

/// A replacement offers a tenth more on both fees: each one costs all nodes another broadcast. A call in the audit lane,
/// which pays nothing, gives way to another of its sender after a while: one that fails would hold the nonce for good.
fn check_replacement(old: &Entry, new: &Entry) -> Result<(), PoolError> {
    let is_in_lane = old.rank.lane.is_some() && new.rank.lane.is_some();
    if is_in_lane && new.added_ms >= old.added_ms.saturating_add(LANE_PATIENCE_MS) {
        return Ok(());
    }
    let raised = |fee: u128| fee.saturating_add(fee.div_ceil(10).max(1));
    let (max_fee_needed, priority_fee_needed) = (raised(old.rank.max_fee), raised(old.rank.priority_fee));
    let (max_fee, priority_fee) = (new.rank.max_fee, new.rank.priority_fee);
    if max_fee >= max_fee_needed && priority_fee >= priority_fee_needed {
        return Ok(());
    }
    Err(PoolError::ReplacementUnderpriced { max_fee, max_fee_needed, priority_fee, priority_fee_needed })
}

#[cfg(test)]
mod tests;
