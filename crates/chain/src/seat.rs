//! Put one validator together: pool, application, engine, archive and gossip, over any network and runtime.

use crate::{
    application::{App, AppConfig},
    block::Block,
    engine::{self, Channels, EngineConfig},
    gossip,
    indexer::Indexer,
    node::{Node, NodeInner},
    seeds::Seeds,
    state,
    validator::RunError,
    wall::Wall,
};
use archive::{Archive, ArchiveConfig};
use commonware_codec::Encode;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Supervisor};
use commonware_storage::Context as StorageContext;
use execution::{Executor, next_base_fee};
use light::consensus::{PublicKey, Scheme, encode_public_key, namespace};
use mempool::{Mempool, MempoolConfig};
use rand_core::CryptoRng;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use types::ChainSpec;

/// Final blocks on their way to the archive.
const FINALS_MAX: usize = 64;

/// What a seat is made of.
pub struct SeatConfig<P, B, S, R> {
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// The consensus identity.
    pub me: PublicKey,
    /// Signs and verifies votes.
    pub scheme: Scheme,
    /// The clock that timestamps come from.
    pub wall: Wall,
    /// Names the partitions on disk.
    pub prefix: String,
    /// Folder of the archive.
    pub archive: PathBuf,
    /// Recent heights whose state can be read.
    pub history_blocks: u64,
    /// Peers that may be asked.
    pub peers: P,
    /// Cuts off peers that misbehave.
    pub blocker: B,
    /// The engine's channels.
    pub channels: Channels<S, R>,
    /// The channel of transactions.
    pub transactions: (S, R),
}

/// Starts a seat and waits until its state is open. The handle ends when consensus does; everything ends with `context`.
pub async fn start<E, P, B, S, R>(context: E, config: SeatConfig<P, B, S, R>) -> Result<(Node<E>, Handle<()>), RunError>
where
    E: StorageContext + Spawner + Clock + Metrics + Supervisor + CryptoRng,
    P: Provider<PublicKey = PublicKey> + Clone,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let SeatConfig { spec, me, scheme, wall, prefix, archive, history_blocks, .. } = config;
    let seat = spec.validators.iter().find(|validator| validator.public_key == encode_public_key(&me));
    let seat = seat.ok_or_else(|| RunError::Config("this validator's key is not in the specification".into()))?;

    let executor = Executor::new(spec.clone());
    let genesis = Block::genesis(&spec, state::empty_commitment::<E>());
    let archive = Archive::open_with(archive, &spec, ArchiveConfig { history_blocks, ..ArchiveConfig::default() })?;
    Indexer::begin(&archive, &genesis)?;
    let tip = archive.tip().and_then(|tip| archive.header(tip.height).ok().flatten());
    let base_fee = tip.map_or(spec.base_fee_min, |(_, header)| next_base_fee(&header, &spec));
    let pool = Mempool::new(MempoolConfig::for_chain(&spec), base_fee);

    let seeds = Seeds::default();
    let group = *scheme.identity();
    let (finals_in, finals) = mpsc::channel(FINALS_MAX);
    let (applied_in, applied) = watch::channel(None);
    let app = App::new(AppConfig {
        spec: spec.clone(),
        executor: executor.clone(),
        genesis: genesis.clone(),
        beneficiary: seat.beneficiary,
        wall,
        pool: pool.clone(),
        seeds: seeds.clone(),
        verifier: Scheme::certificate_verifier(&namespace(spec.chain_id), group),
        finals: finals_in,
        applied: applied_in,
    });
    let (submitted_in, submitted) = mpsc::channel(gossip::QUEUE_MAX);
    let (peers, blocker) = (config.peers, config.blocker);
    let heartbeat = Duration::from_millis(spec.heartbeat_ms);
    let engine = EngineConfig { me, scheme, genesis, app, seeds, heartbeat, prefix, peers, blocker };
    let engine = engine::start(context.child("validator"), engine, config.channels).await;

    let indexer = Indexer {
        spec: spec.clone(),
        executor: executor.clone(),
        archive: archive.clone(),
        pool: pool.clone(),
        marshal: engine.marshal.clone(),
    };
    context.child("indexer").spawn(|context| indexer.run(context, finals));
    let (gossip_pool, gossip_archive) = (pool.clone(), archive.clone());
    context
        .child("gossip")
        .spawn(|context| gossip::run(context, gossip_pool, gossip_archive, submitted, config.transactions));
    let inner = NodeInner {
        spec,
        clock: context.child("node"),
        archive,
        pool,
        executor,
        marshal: engine.marshal,
        databases: engine.databases,
        applied,
        submitted: submitted_in,
        group_key: group.encode().to_vec().into(),
    };
    Ok((Node { inner: Arc::new(inner) }, engine.handle))
}
