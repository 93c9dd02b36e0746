//! Note when transactions were sent and when they were seen in a final block.

use crate::{chain::Node, senders::Signed};
use alloy_primitives::{B256, U64};
use anyhow::{Result, bail};
use jsonrpsee::rpc_params;
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// How long the network may take to finish what it was given.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one poll for a block waits.
const POLL_MS: u64 = 10_000;

/// Follows the chain beside the senders.
pub struct Observer {
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<B256, Instant>,
    /// When each transaction was seen as final, and how long that took.
    finalised: Vec<(Instant, Duration)>,
}

/// What was measured.
pub struct Figures {
    /// Transactions in final blocks.
    pub finalised: usize,
    /// Of these, per second while there was load.
    pub per_second: f64,
    /// Median time to finality.
    pub p50: Duration,
    /// 99th percentile of it.
    pub p99: Duration,
}

#[derive(Deserialize)]
struct Status {
    height: u64,
}

#[derive(Deserialize)]
struct Block {
    transactions: Vec<B256>,
}

impl Observer {
    /// Follows from the newest block on.
    pub async fn start(node: Node) -> Result<Self> {
        let status: Status = node.ask("cess_status", rpc_params![]).await?;
        let seen = Arc::<Seen>::default();
        tokio::spawn(follow(node, status.height, seen.clone()));
        Ok(Self { seen })
    }

    /// Notes that these leave now.
    pub fn sent(&self, transactions: &[Signed]) {
        let now = Instant::now();
        self.lock().waiting.extend(transactions.iter().map(|transaction| (transaction.hash, now)));
    }

    /// Waits until `count` more may be on their way.
    pub async fn make_room(&self, count: usize, in_flight_max: usize) {
        while self.lock().waiting.len() + count > in_flight_max {
            // The timeout covers a change between the look and the wait.
            let _ = tokio::time::timeout(Duration::from_millis(50), self.seen.changed.notified()).await;
        }
    }

    /// Waits until everything sent is final.
    pub async fn wait_for_all(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.lock().waiting.is_empty() {
            if Instant::now() > deadline {
                bail!("{} transactions are in no block", self.lock().waiting.len());
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), self.seen.changed.notified()).await;
        }
        Ok(())
    }

    /// Sums up. The rate is that of the time in which transactions were sent.
    pub fn figures(&self, started: Instant, sent_for: Duration) -> Figures {
        let inner = self.lock();
        let during = inner.finalised.iter().filter(|(at, _)| *at <= started + sent_for).count();
        let mut times: Vec<Duration> = inner.finalised.iter().map(|(_, time)| *time).collect();
        times.sort();
        let percentile = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        Figures {
            finalised: times.len(),
            per_second: during as f64 / sent_for.as_secs_f64(),
            p50: percentile(50),
            p99: percentile(99),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.seen.inner.lock().expect("nobody panics with the lock")
    }
}

async fn follow(node: Node, mut height: u64, seen: Arc<Seen>) {
    loop {
        let newest: Result<Status> = node.ask("cess_waitHeight", rpc_params![height, POLL_MS]).await;
        let newest = match newest {
            Ok(status) => status.height,
            Err(error) => return eprintln!("the chain cannot be followed: {error:#}"),
        };
        while height < newest {
            height += 1;
            let block: Result<Block> = node.ask("eth_getBlockByNumber", rpc_params![U64::from(height), false]).await;
            let now = Instant::now();
            match block {
                Ok(block) => {
                    let mut inner = seen.inner.lock().expect("nobody panics with the lock");
                    for hash in block.transactions {
                        if let Some(sent) = inner.waiting.remove(&hash) {
                            inner.finalised.push((now, now - sent));
                        }
                    }
                }
                Err(error) => return eprintln!("block {height} cannot be read: {error:#}"),
            }
            seen.changed.notify_waiters();
        }
    }
}
