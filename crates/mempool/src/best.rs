//! Offer transactions one by one, the best payer first.

use crate::{
    pool::Pool,
    ranking::{Cursor, Tip},
    sender::Entry,
};
use alloy_primitives::Address;
use parking_lot::Mutex;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashSet, VecDeque},
    sync::Arc,
};
use types::Transaction;

/// Transactions looked up under one lock.
const CHUNK: usize = 64;

/// Transactions in the order in which a block should take them: by what they pay the proposer at the base fee, and each
/// sender's by nonce. Taking `n` costs O(n log n), however many there are.
///
/// The pool is locked only briefly now and then; what enters or leaves meanwhile may or may not be seen, but a nonce is
/// never offered before the one below it, nor twice.
#[derive(Debug)]
pub struct Best {
    pool: Arc<Mutex<Pool>>,
    walk: Walk,
    ready: VecDeque<Arc<Transaction>>,
}

impl Best {
    pub(crate) fn new(pool: Arc<Mutex<Pool>>, base_fee: u64) -> Self {
        pool.lock().set_base_fee(base_fee);
        Self { pool, walk: Walk::new(base_fee), ready: VecDeque::new() }
    }
}

impl Iterator for Best {
    type Item = Arc<Transaction>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            let pool = self.pool.lock();
            let walk = &mut self.walk;
            self.ready.extend(std::iter::from_fn(|| walk.next(&pool)).take(CHUNK));
        }
        self.ready.pop_front()
    }
}

/// The decisions of [`Best`], apart from the lock.
#[derive(Debug)]
pub(crate) struct Walk {
    base_fee: u64,
    heads: Cursor,
    /// Transactions whose predecessor has been offered.
    successors: BinaryHeap<Candidate>,
    /// Senders of which something has been offered.
    offered: HashSet<Address>,
}

#[derive(Debug)]
struct Candidate {
    score: (Tip, Reverse<u64>),
    transaction: Arc<Transaction>,
}

impl Walk {
    pub fn new(base_fee: u64) -> Self {
        Self { base_fee, heads: Cursor::default(), successors: BinaryHeap::new(), offered: HashSet::new() }
    }

    pub fn next(&mut self, pool: &Pool) -> Option<Arc<Transaction>> {
        let transaction = self.next_head(pool).or_else(|| self.successors.pop().map(|next| next.transaction))?;
        self.offered.insert(transaction.sender());
        let successor = pool.executable(transaction.sender(), transaction.nonce() + 1);
        self.successors.extend(successor.and_then(|entry| self.candidate(entry)));
        Some(transaction)
    }

    /// The next sender's first transaction, if it pays more than every successor that waits.
    fn next_head(&mut self, pool: &Pool) -> Option<Arc<Transaction>> {
        loop {
            let mut cursor = self.heads;
            let (rank, address) = pool.heads().next(&mut cursor)?;
            let score = rank.score(self.base_fee);
            if matches!(score.0, Tip::Short(_)) || self.successors.peek().is_some_and(|next| next.score > score) {
                return None;
            }
            self.heads = cursor;
            if !self.offered.contains(&address) {
                return pool.head(address).map(|entry| entry.transaction.clone());
            }
        }
    }

    fn candidate(&self, entry: &Entry) -> Option<Candidate> {
        let score = entry.rank.score(self.base_fee);
        let pays = !matches!(score.0, Tip::Short(_));
        pays.then(|| Candidate { score, transaction: entry.transaction.clone() })
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.cmp(&other.score)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.score == other.score
    }
}

impl Eq for Candidate {}
