//! Run an S3 gateway for an account's buckets: `cess gateway`.

mod file;
mod key;
mod status;

pub use file::{CacheFile, GatewayFile, Owner};
pub use key::make_key;

use crate::{
    cli::{GatewayCommand, Globals, RoleArgs},
    config,
    devnet::Folder,
    miner::wait_for_spec,
    nodes::{Chain, Nodes},
    supervised::{DataLock, Ending},
};
use anyhow::{Context, Result};
use cache::Cache;
use client::{ChainApi, Client, ClientConfig, Keys};
use gateway::{
    keys::KeyFile,
    metrics::Metrics,
    network::Buckets,
    server::{Server, ServerLimits},
    service::{Service, ServiceConfig},
};
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use transport::{PeerConfig, PeerTransport};
use types::ChainSpec;

/// The gateway of a devnet.
pub const DEVNET_ROLE: &str = "gateway-0";
/// Time between two looks at what lifecycle rules expire, as a share of a day.
const SWEEPS_PER_DAY: u32 = 24;
/// Shortest time between two of them.
const SWEEP_PAUSE_MIN: Duration = Duration::from_secs(2);

/// Runs until a signal arrives.
pub async fn run(arguments: RoleArgs) -> Result<()> {
    let file: GatewayFile = config::read(&arguments.config)?;
    config::start_log(&file.log)?;
    let dir = folder(&arguments.config);
    let data = dir.join(&file.data);
    let _lock = DataLock::take(&data)?;
    let ending = Ending::watch(arguments.supervised)?;
    let ending = ending.wait();
    tokio::pin!(ending);
    let running = tokio::select! {
        started = start(&file, &dir, &data) => started?,
        () = &mut ending => return Ok(()),
    };
    let Running { server, service, metrics, transport, cache } = running;
    tracing::info!(address = %file.listen, "serving S3");
    let (stop, stopped) = tokio::sync::watch::channel(());
    let watching = tokio::spawn(status::serve(TcpListener::bind(file.metrics).await?, metrics.clone(), stopped));
    let sweeping = tokio::spawn(sweep(service, metrics, Duration::from_secs(file.lifecycle_day_s)));
    server.run(&mut ending).await;
    tracing::info!("stopping");
    sweeping.abort();
    drop(stop);
    watching.await?;
    transport.close().await;
    cache.close().await;
    Ok(())
}

/// A gateway at work.
struct Running {
    server: Server<Buckets>,
    service: Service<Buckets>,
    metrics: Arc<Metrics>,
    transport: PeerTransport,
    cache: Arc<Cache>,
}

async fn start(file: &GatewayFile, dir: &Path, data: &Path) -> Result<Running> {
    let keys = file.owner.unlock(dir).await?;
    let access = access_keys(data, &keys);
    let chain: Arc<dyn ChainApi> = Arc::new(Nodes::new(&file.nodes, believed(file, dir, data)?)?);
    wait_for_spec(&*chain).await?;
    let address = (Ipv4Addr::UNSPECIFIED, 0).into();
    let transport = PeerTransport::bind(rand::random(), address, PeerConfig::default()).await?;
    let mut client_config = ClientConfig::default();
    client_config.store.page_folder = Some(data.join("pages"));
    let cache = file.cache.open(data).await?;
    client_config.cache = Some(cache.clone());
    let client = Client::new(chain, Arc::new(transport.clone()), keys, client_config).await?;
    let config = ServiceConfig { region: file.region.clone(), lifecycle_day_ms: file.lifecycle_day_s * 1000 };
    let service = Service::new(Buckets::new(client, file.billing()), access, config);
    let metrics = Arc::new(Metrics::new(Some(cache.clone())));
    let limits = ServerLimits { connections_max: file.connections_max, ..ServerLimits::default() };
    let tls = file.tls.as_ref().map(|tls| tls.load(dir)).transpose()?;
    let server = Server::bind(file.listen, service.clone(), metrics.clone(), limits, tls).await?;
    Ok(Running { server, service, metrics, transport, cache })
}

/// The chain that is believed: the configured one, or what is kept of the node that answered first.
fn believed(file: &GatewayFile, dir: &Path, data: &Path) -> Result<Chain> {
    let Some(genesis) = &file.genesis else { return Ok(Chain::Pinned(data.join("chain.toml"))) };
    let path = dir.join(genesis);
    let spec = ChainSpec::from_toml(&config::read_text(&path)?).with_context(|| path.display().to_string())?;
    Ok(Chain::Known(Arc::new(spec)))
}

async fn sweep(service: Service<Buckets>, metrics: Arc<Metrics>, day: Duration) {
    loop {
        tokio::time::sleep((day / SWEEPS_PER_DAY).max(SWEEP_PAUSE_MIN)).await;
        metrics.expired(service.sweep().await);
    }
}

/// Does what `cess gateway …` says beside running one.
pub async fn show(command: GatewayCommand, globals: &Globals) -> Result<()> {
    match command {
        GatewayCommand::Key(command) => key::run(command, globals).await,
        GatewayCommand::Status { config } => status::show(&read(config, globals)?.0, globals.json).await,
    }
}

/// The configuration that is named, or that of the devnet's gateway; and its folder.
fn read(config: Option<PathBuf>, globals: &Globals) -> Result<(GatewayFile, PathBuf)> {
    let path = match config {
        Some(path) => path,
        None => Folder::of_running(globals).context("name the gateway with --config FILE")?.config(DEVNET_ROLE),
    };
    Ok((config::read(&path)?, folder(&path)))
}

fn folder(config: &Path) -> PathBuf {
    config.parent().unwrap_or(Path::new(".")).into()
}

/// The file of the access keys in a gateway's data folder.
pub fn access_keys(data: &Path, keys: &Keys) -> KeyFile {
    KeyFile::new(&data.join("access-keys.json"), &keys.storage)
}

#[cfg(test)]
mod tests;
