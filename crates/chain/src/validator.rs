//! Run a validator: its runtime, its mesh, its engine, and whatever serves it.

use crate::{
    epochs::FirstError,
    identity::signer,
    indexer::IndexerError,
    network,
    node::Node,
    seat::{self, SeatConfig},
    wall::Wall,
};
use alloy_primitives::{Address, Bytes};
use archive::ArchiveError;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::bls12381::primitives::group::Share;
use commonware_glue::dkg::network::AddressableManager;
use commonware_runtime::{
    Handle, Runner as _,
    tokio::{Config, Context, Runner},
};
use futures::future::{BoxFuture, Either, select};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use types::ChainSpec;

/// What a validator is started with.
#[derive(Clone)]
pub struct ValidatorConfig {
    /// Folder of everything it keeps.
    pub data: PathBuf,
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Ed25519 seed of its identity.
    pub key: [u8; 32],
    /// The share of the group's secret that the first committee's key generation gave it; nothing later, and for all
    /// others. It is kept with the other secrets from then on.
    pub share: Option<Bytes>,
    /// Receiver of the priority fees of its blocks.
    pub beneficiary: Address,
    /// Where the committee reaches it.
    pub listen: SocketAddr,
    /// Recent heights whose state can be read.
    pub history_blocks: u64,
}

/// A validator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The specification or the keys do not fit.
    #[error("{0}")]
    Config(String),
    /// The specification's committee cannot begin.
    #[error(transparent)]
    First(#[from] FirstError),
    /// The archive cannot be opened.
    #[error("cannot open the archive: {0}")]
    Archive(#[from] ArchiveError),
    /// The archive cannot be begun.
    #[error(transparent)]
    Indexer(#[from] IndexerError),
    /// Consensus ended, which it never does by itself.
    #[error("consensus stopped; see the log, then start the validator again")]
    Stopped,
}

/// Runs a validator on this thread until `serve` returns.
pub fn run<F, Fut>(config: ValidatorConfig, serve: F) -> Result<(), RunError>
where
    F: FnOnce(Node) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    run_boxed(config, Box::new(|node| Box::pin(serve(node))))
}

/// What serves a node, behind a pointer: so the whole engine is compiled here once, not by everyone who runs it.
type Serve = Box<dyn FnOnce(Node) -> BoxFuture<'static, ()> + Send>;

fn run_boxed(config: ValidatorConfig, serve: Serve) -> Result<(), RunError> {
    let share = config.share.as_ref().map(|share| Share::decode(Copying(share))).transpose();
    let share = share.map_err(|error| RunError::Config(format!("this validator's share: {error}")))?;
    let runtime = Config::new()
        .with_storage_directory(config.data.join("consensus"))
        .with_worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16))
        .with_tcp_nodelay(Some(true));
    Runner::new(runtime).start(|context| async move {
        let (node, engine) = start(context, config, share).await?;
        match select(serve(node), engine).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(RunError::Stopped),
        }
    })
}

async fn start(
    context: Context,
    config: ValidatorConfig,
    share: Option<Share>,
) -> Result<(Node, Handle<()>), RunError> {
    let signer = signer(&config.key);
    let mesh = network::start(&context, &config.spec, signer.clone(), config.listen);
    let seat = SeatConfig {
        spec: config.spec,
        signer,
        share,
        beneficiary: config.beneficiary,
        wall: Wall::default(),
        prefix: "validator".into(),
        archive: config.data.join("archive"),
        history_blocks: config.history_blocks,
        manager: AddressableManager::new(mesh.oracle.clone()),
        blocker: mesh.oracle,
        channels: mesh.engine,
        transactions: mesh.transactions,
    };
    seat::start(context, seat).await
}
