//! Run a validator: its runtime, its mesh, its engine, and whatever serves it.

use crate::{
    dealer::signer,
    indexer::IndexerError,
    network::{self, NetworkError},
    node::Node,
    seat::{self, SeatConfig},
    wall::Wall,
};
use alloy_primitives::Bytes;
use archive::ArchiveError;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::{Signer as _, bls12381::primitives::group::Share};
use commonware_runtime::{
    Handle, Runner as _,
    tokio::{Config, Context, Runner},
};
use commonware_utils::{TryCollect as _, ordered::Set};
use futures::future::{BoxFuture, Either, select};
use light::consensus::{PublicKey, Scheme, decode_public_key, decode_sharing, namespace};
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
    /// Its share of the group's secret.
    pub share: Bytes,
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
    /// A peer of the specification cannot be reached.
    #[error(transparent)]
    Network(#[from] NetworkError),
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
    let scheme = scheme(&config.spec, &config.share)?;
    let runtime = Config::new()
        .with_storage_directory(config.data.join("consensus"))
        .with_worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16))
        .with_tcp_nodelay(Some(true));
    Runner::new(runtime).start(|context| async move {
        let (node, engine) = start(context, config, scheme).await?;
        match select(serve(node), engine).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(RunError::Stopped),
        }
    })
}

/// The signing scheme of the seat that holds `share`.
pub(crate) fn scheme(spec: &ChainSpec, share: &[u8]) -> Result<Scheme, RunError> {
    let bad = |what: &str, error: &dyn std::fmt::Display| RunError::Config(format!("{what}: {error}"));
    let keys = spec.validators.iter().map(|validator| decode_public_key(&validator.public_key));
    let keys: Vec<PublicKey> = keys.collect::<Result<_, _>>().map_err(|error| bad("a validator's key", &error))?;
    let committee: Set<PublicKey> = keys.into_iter().try_collect().map_err(|error| bad("the committee", &error))?;
    let sharing = decode_sharing(&spec.sharing).map_err(|error| bad("the committee's sharing", &error))?;
    let share = Share::decode(Copying(share)).map_err(|error| bad("this validator's share", &error))?;
    if sharing.total().get() as usize != committee.len() {
        return Err(RunError::Config("the sharing is for another number of validators".into()));
    }
    Scheme::signer(&namespace(spec.chain_id), committee, sharing, share)
        .ok_or_else(|| RunError::Config("this validator's share is not one of the committee's".into()))
}

async fn start(context: Context, config: ValidatorConfig, scheme: Scheme) -> Result<(Node, Handle<()>), RunError> {
    let key = signer(&config.key);
    let me = key.public_key();
    let mesh = network::start(&context, &config.spec, key, config.listen)?;
    let seat = SeatConfig {
        spec: config.spec,
        me,
        scheme,
        wall: Wall::default(),
        prefix: "validator".into(),
        archive: config.data.join("archive"),
        history_blocks: config.history_blocks,
        peers: mesh.oracle.clone(),
        blocker: mesh.oracle,
        channels: mesh.engine,
        transactions: mesh.transactions,
    };
    seat::start(context, seat).await
}
