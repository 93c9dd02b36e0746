//! Run a storage miner: read its configuration, register, hold fragments, serve them.

mod file;
mod retire;
mod status;

pub use file::{MinerFile, Operator};
pub use retire::retire;
pub use status::show;

use crate::{
    cli::RoleArgs,
    config,
    nodes::{Chain, Nodes},
    supervised::{DataLock, Ending},
};
use anyhow::{Context, Result, ensure};
use client::{ChainApi, ChainError};
use miner::{
    Keys, Miner, MinerConfig, MinerHandle,
    idle::{FileUnits, IdleConfig, PlotConfig},
};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};
use store::{FileDisk, Store, StoreConfig};
use transport::{PeerConfig, PeerTransport, Serving};
use types::{ChainSpec, Endpoint, ReceiptKey};
use zeroize::Zeroizing;

/// Pause before nodes that do not answer are asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Domains of the keys that come from a miner's secret.
const TRANSPORT_KEY_CONTEXT: &str = "cess miner transport key v1";
const RECEIPT_KEY_CONTEXT: &str = "cess miner receipt key v1";

/// Runs until a signal arrives.
pub async fn run(arguments: RoleArgs) -> Result<()> {
    let path = &arguments.config;
    let file: MinerFile = config::read(path)?;
    config::start_log(&file.log)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let data = dir.join(&file.data);
    let _lock = DataLock::take(&data)?;
    let ending = Ending::watch(arguments.supervised)?;
    let ending = ending.wait();
    tokio::pin!(ending);
    let running = tokio::select! {
        started = start(&file, dir, &data) => started?,
        () = &mut ending => return Ok(()),
    };
    let Running { mut handle, serving, transport } = running;
    tracing::info!(address = %file.listen, "serving peers");
    let result = tokio::select! {
        error = handle.ended() => Err(error.into()),
        () = &mut ending => Ok(()),
    };
    tracing::info!("stopping");
    drop(serving);
    transport.close().await;
    result
}

/// A miner at work.
struct Running {
    handle: MinerHandle,
    serving: Serving,
    transport: PeerTransport,
}

async fn start(file: &MinerFile, dir: &Path, data: &Path) -> Result<Running> {
    let secret = secret(&data.join("miner.key"))?;
    let operator = file.operator.unlock(dir).await?;
    let receipt = ReceiptKey::derive(&blake3::derive_key(RECEIPT_KEY_CONTEXT, &*secret));
    let chain: Arc<dyn ChainApi> = Arc::new(Nodes::new(&file.nodes, believed(file, dir, data)?)?);
    let spec = wait_for_spec(&*chain).await?;

    let store_config = StoreConfig { capacity_bytes: file.capacity_bytes(&spec.storage) };
    let disk = FileDisk::open(data).with_context(|| format!("{} cannot be used", data.display()))?;
    let (store, recovery) = tokio::task::spawn_blocking(move || Store::open(disk, store_config)).await??;
    if !recovery.lost.is_empty() {
        tracing::error!(fragments = recovery.lost.len(), "fragments are missing on disk");
    }
    let transport = bind(file, &secret, &spec).await?;
    let (region, network, lots) = (file.region.clone(), file.network, file.lots);
    let (endpoint, repair) = (endpoint(file, &transport)?, file.repair());
    let config = MinerConfig { region, network, lots, endpoint, repair };
    let keys = Keys { operator, receipt };
    let idle = idle(file, data, &spec)?;
    let handle = Miner::start_with_idle(config, chain, Arc::new(transport.clone()), store, keys, idle).await?;
    let serving = transport.serve(handle.service());
    Ok(Running { handle, serving, transport })
}

/// What is filled with idle content.
fn idle(file: &MinerFile, data: &Path, spec: &ChainSpec) -> Result<IdleConfig> {
    let files = FileUnits::open(data).with_context(|| format!("{} cannot be used", data.display()))?;
    let default = PlotConfig::new(file.staging_bytes(&spec.storage));
    let plot = PlotConfig { threads: file.plot_threads.unwrap_or(default.threads), ..default };
    Ok(IdleConfig { files: Arc::new(files), plot, lots_max: file.plot_lots })
}

/// The chain that is believed: the configured one, or what is kept of the node that answered first.
fn believed(file: &MinerFile, dir: &Path, data: &Path) -> Result<Chain> {
    let Some(genesis) = &file.genesis else { return Ok(Chain::Pinned(data.join("chain.toml"))) };
    let path = dir.join(genesis);
    let spec = ChainSpec::from_toml(&config::read_text(&path)?).with_context(|| path.display().to_string())?;
    Ok(Chain::Known(Arc::new(spec)))
}

async fn bind(file: &MinerFile, secret: &[u8; 32], spec: &ChainSpec) -> Result<PeerTransport> {
    let fragment_bytes_max = spec.storage.slot_bytes;
    let config = PeerConfig { relay: file.relay.clone(), tcp: file.tcp, fragment_bytes_max, ..PeerConfig::default() };
    let key = blake3::derive_key(TRANSPORT_KEY_CONTEXT, secret);
    Ok(PeerTransport::bind(key, file.listen, config).await?)
}

/// Where peers reach the miner: as configured, or where it listens.
fn endpoint(file: &MinerFile, transport: &PeerTransport) -> Result<Endpoint> {
    let local = transport::Transport::local_id(transport);
    if !file.announce.is_empty() {
        return Ok(Endpoint::new(local, file.announce.clone(), file.relay.clone())?.with_tcp(file.tcp));
    }
    let unspecified = file.listen.ip().is_unspecified();
    ensure!(!unspecified || file.relay.is_some(), "peers cannot reach {}: set `announce` or `relay`", file.listen);
    Ok(transport.local_endpoint()?)
}

/// The chain's specification, as soon as a node answers.
pub async fn wait_for_spec(chain: &dyn ChainApi) -> Result<Arc<ChainSpec>> {
    let mut told = false;
    loop {
        match chain.spec().await {
            Ok(spec) => return Ok(spec),
            Err(error @ ChainError::Unreachable { .. }) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "waiting for a node");
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The secret that the miner's own keys come from; made at the first start.
fn secret(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let context = || format!("the miner's secret {} cannot be used", path.display());
    match fs::File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let secret = Zeroizing::new(rand::random::<[u8; 32]>());
            writeln!(file, "{}", hex::encode(*secret)).and_then(|()| file.sync_all()).with_context(context)?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => config::read_key(path),
        Err(error) => Err(error).with_context(context),
    }
}

#[cfg(test)]
mod tests;
