//! Run a chain of one node without consensus, for trying wallets and tools against the RPC server.
//!
//! ```text
//! cargo run --release -p rpc --example solo -- --data /tmp/solo --listen 127.0.0.1:8545
//! ```
//! It prints one line of JSON: the URL and a funded account's private key. Nothing is final in any sense that matters:
//! there is no committee, and proofs are empty.

mod chain;

use anyhow::Context;
use chain::{FUNDED_KEY, Solo, spec};
use clap::Parser;
use rpc::RpcConfig;
use std::{io::Write, net::SocketAddr, path::PathBuf, sync::Arc};

#[derive(Parser)]
struct Arguments {
    /// Folder of the archive.
    #[arg(long)]
    data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8545")]
    listen: SocketAddr,
    /// Longest time between blocks.
    #[arg(long, default_value_t = 1_000)]
    heartbeat_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let solo = Arc::new(Solo::open(&arguments.data, spec()).context("cannot open the archive")?);
    let server = solo.serve(RpcConfig::new(arguments.listen)).await.context("cannot serve")?;
    let url = format!("http://{}", server.local_address());
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "url": url, "private_key": FUNDED_KEY }))?;
    tokio::select! {
        ended = solo.run(std::time::Duration::from_millis(arguments.heartbeat_ms)) => ended.context("no block")?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    server.stop().await;
    Ok(())
}
