//! Put one validator together: pool, application, engine, archive and gossip, over any network and runtime.

use crate::{
    application::{App, AppConfig},
    block::Block,
    engine::{self, Channels, EngineConfig},
    epochs::{Candidates, Schemes, Secrets, first_epoch},
    gossip,
    indexer::Indexer,
    node::{Node, NodeInner},
    seeds::Seeds,
    state,
    validator::RunError,
    wall::Wall,
};
use alloy_primitives::Address;
use archive::{Archive, ArchiveConfig};
use commonware_codec::Encode;
use commonware_cryptography::{bls12381::primitives::group::Share, ed25519};
use commonware_glue::dkg::network::{Addresses, Manager};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_runtime::{Clock, Handle, Metrics, Network, Spawner, Supervisor};
use commonware_storage::Context as StorageContext;
use execution::{Executor, next_base_fee};
use light::consensus::{PublicKey, Scheme, namespace};
use mempool::{Mempool, MempoolConfig};
use rand_core::CryptoRng;
use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use types::ChainSpec;

/// Final blocks on their way to the archive.
const FINALS_MAX: usize = 64;

/// What a seat is made of.
pub struct SeatConfig<M, B, S, R> {
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// The consensus identity.
    pub signer: ed25519::PrivateKey,
    /// The share of the group's secret that it begins with, where it has one.
    pub share: Option<Share>,
    /// Receiver of the priority fees of its blocks.
    pub beneficiary: Address,
    /// The clock that timestamps come from.
    pub wall: Wall,
    /// Names the partitions on disk.
    pub prefix: String,
    /// Folder of the archive.
    pub archive: PathBuf,
    /// Recent heights whose state can be read.
    pub history_blocks: u64,
    /// Connects this validator to those of each epoch.
    pub manager: M,
    /// Cuts off peers that misbehave.
    pub blocker: B,
    /// The engine's channels.
    pub channels: Channels<S, R>,
    /// The channel of transactions.
    pub transactions: (S, R),
}

/// Starts a seat and waits until its state is open. The handle ends when consensus does; everything ends with `context`.
pub async fn start<E, M, B, S, R>(context: E, config: SeatConfig<M, B, S, R>) -> Result<(Node<E>, Handle<()>), RunError>
where
    E: StorageContext + Spawner + Clock + Network + Metrics + Supervisor + CryptoRng,
    M: Manager<PublicKey = PublicKey, Directory = Addresses<PublicKey>> + Clone,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let SeatConfig { spec, signer, share, beneficiary, wall, prefix, archive, history_blocks, .. } = config;
    let first = first_epoch(&spec)?;
    // As long as the program runs: the library asks for that.
    let namespace: &'static [u8] = Box::leak(namespace(spec.chain_id).into_boxed_slice());
    let secrets = Secrets::open(context.child("secrets"), &prefix).await;
    if let Some(share) = share {
        secrets.begin(share).await;
    }

    let executor = Executor::new(spec.clone());
    let genesis = Block::genesis(&spec, state::empty_commitment::<E>(), first.clone());
    let archive = Archive::open_with(archive, &spec, ArchiveConfig { history_blocks, ..ArchiveConfig::default() })?;
    Indexer::begin(&archive, &genesis)?;
    let tip = archive.tip().and_then(|tip| archive.header(tip.height).ok().flatten());
    let base_fee = tip.map_or(spec.base_fee_min, |(_, header)| next_base_fee(&header, &spec));
    let pool = Mempool::new(MempoolConfig::for_chain(&spec), base_fee);

    let seeds = Seeds::default();
    let group = *first.output.public().public();
    let schemes = Schemes::new(namespace);
    let (finals_in, finals) = mpsc::channel(FINALS_MAX);
    let (applied_in, applied) = watch::channel(None);
    let app = App::new(AppConfig {
        spec: spec.clone(),
        executor: executor.clone(),
        genesis: genesis.clone(),
        beneficiary,
        wall,
        pool: pool.clone(),
        seeds: seeds.clone(),
        verifier: Scheme::certificate_verifier(namespace, group),
        finals: finals_in,
        applied: applied_in,
    });
    let (submitted_in, submitted) = mpsc::channel(gossip::QUEUE_MAX);
    let engine = EngineConfig {
        signer,
        namespace,
        genesis,
        candidates: Candidates::new(first.directory.clone().into_inner()),
        first,
        epoch_blocks: NonZeroU64::new(spec.epoch_blocks).unwrap_or(NonZeroU64::MAX),
        secrets,
        schemes: schemes.clone(),
        app,
        seeds,
        heartbeat: Duration::from_millis(spec.heartbeat_ms),
        prefix,
        manager: config.manager,
        blocker: config.blocker,
    };
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
        schemes,
        group_key: group.encode().to_vec().into(),
    };
    Ok((Node { inner: Arc::new(inner) }, engine.handle))
}
