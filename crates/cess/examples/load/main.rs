//! Load a devnet with transactions and measure: how many per second, and how long until each is final.
//!
//! ```sh
//! cargo run --release --package cess --example load -- --devnet DIR --kind transfer --seconds 30
//! ```

mod chain;
mod observer;
mod senders;

use anyhow::{Context, Result, ensure};
use chain::{Node, nodes};
use clap::{Parser, ValueEnum};
use observer::Observer;
use senders::Sender;
use serde_json::json;
use std::{
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Transactions on their way at most: the pool holds 20,000.
const IN_FLIGHT_MAX: usize = 8_000;
/// Transactions of one request when it is about throughput.
const BATCH: usize = 100;
/// Accounts that send; each keeps its transactions in order at one node.
const SENDERS: usize = 256;
/// Ticks per second at a fixed rate.
const TICKS: u64 = 100;
/// Signed in advance per second of load: more than any chain takes on such a machine.
const PREPARED_PER_SECOND: usize = 8_000;

/// What to do.
#[derive(Parser)]
struct Options {
    /// Folder of the devnet
    #[arg(long)]
    devnet: PathBuf,
    /// What the transactions do
    #[arg(long, value_enum)]
    kind: Kind,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Transactions per second; as many as go if absent
    #[arg(long)]
    rate: Option<u64>,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Send a coin.
    Transfer,
    /// Send a token.
    Erc20,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (nodes, funder) = nodes(&options.devnet)?;
    let wanted = options.rate.unwrap_or(PREPARED_PER_SECOND as u64) * options.seconds;
    let senders = senders::prepare(&nodes, &funder, options.kind, SENDERS, usize::try_from(wanted)?).await?;
    let observer = Arc::new(Observer::start(nodes[0].clone()).await?);
    let started = Instant::now();
    match options.rate {
        None => flood(&nodes, senders, &observer, started + Duration::from_secs(options.seconds)).await?,
        Some(rate) => drip(&nodes, senders, &observer, rate, options.seconds).await?,
    }
    let sent_for = started.elapsed();
    observer.wait_for_all().await?;
    let figures = observer.figures(started, sent_for);
    ensure!(figures.finalised > 0, "no transaction was finalised");
    let line = json!({
        "finalised": figures.finalised,
        "per_second": figures.per_second,
        "finality_p50_ms": figures.p50.as_secs_f64() * 1e3,
        "finality_p99_ms": figures.p99.as_secs_f64() * 1e3,
    });
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Sends as fast as the network takes it, within a bound of transactions on their way.
async fn flood(nodes: &[Node], senders: Vec<Sender>, observer: &Arc<Observer>, until: Instant) -> Result<()> {
    let mut tasks = JoinSet::new();
    let mut shares: Vec<Vec<Sender>> = nodes.iter().map(|_| Vec::new()).collect();
    for (index, sender) in senders.into_iter().enumerate() {
        shares[index % nodes.len()].push(sender);
    }
    for (node, share) in nodes.iter().cloned().zip(shares) {
        let observer = observer.clone();
        tasks.spawn(async move {
            let mut share = share;
            let count = share.len();
            for turn in 0.. {
                if Instant::now() >= until {
                    return Ok(());
                }
                let batch = share[turn % count].take(BATCH);
                if batch.is_empty() {
                    return Ok(());
                }
                observer.make_room(batch.len(), IN_FLIGHT_MAX).await;
                observer.sent(&batch);
                node.send_batch(&batch).await?;
            }
            Ok::<(), anyhow::Error>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

/// Sends single transactions at a fixed rate.
async fn drip(
    nodes: &[Node],
    mut senders: Vec<Sender>,
    observer: &Arc<Observer>,
    rate: u64,
    seconds: u64,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / TICKS));
    let mut sent = 0;
    for tick in 1..=seconds * TICKS {
        ticks.tick().await;
        while sent < tick * rate / TICKS {
            let index = usize::try_from(sent)? % senders.len();
            sent += 1;
            // One after the other for each sender: its next transaction leaves long after this one has arrived.
            let transaction = senders[index].take(1).pop().context("too few transactions were prepared")?;
            let (node, observer) = (nodes[index % nodes.len()].clone(), observer.clone());
            tasks.spawn(async move {
                observer.sent(std::slice::from_ref(&transaction));
                node.send(&transaction).await
            });
        }
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}
