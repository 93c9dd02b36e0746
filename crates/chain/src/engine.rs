//! Wire one validator: broadcast, backfill, state, application and consensus, over any network and runtime.

use crate::{
    application::App,
    block::Block,
    seeds::Seeds,
    state::{self, CodeDb, Databases, StateDb},
};
use commonware_broadcast::buffered;
use commonware_consensus::{
    Reporters,
    marshal::{
        self,
        core::{Actor as MarshalActor, Mailbox as MarshalMailbox},
        resolver::p2p as marshal_resolver,
        standard::{Deferred, Standard},
    },
    simplex::{
        self,
        config::{Floor, ForwardPolicy, SkipPolicy},
        elector::{Random, RandomVersion},
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{Digested, Digestible, Sha256, certificate::ConstantProvider};
use commonware_glue::stateful::{
    self, Stateful, SyncPlan,
    db::{SyncEngineConfig, p2p as qmdb_resolver},
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner, Supervisor, buffer::paged::CacheRef};
use commonware_storage::{Context as StorageContext, archive::prunable, translator::EightCap};
use commonware_utils::{NZDuration, NZU16, NZU32, NZU64, NZUsize};
use light::consensus::{Digest, Family, PublicKey, SEATS_MAX, Scheme, StateDigest};
use rand_core::CryptoRng;
use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// What consensus sees of blocks.
pub type Variant = Standard<Block>;
/// Asks for blocks and certificates that are final.
pub type Marshal = MarshalMailbox<Scheme, Variant>;

const MAILBOX: NonZeroUsize = NZUsize!(1_024);
const BUFFER: NonZeroUsize = NZUsize!(1 << 18);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(100);
const SYNC_OPERATIONS_MAX: NonZeroU64 = NZU64!(256);
/// Pieces of code are longer than other entries.
const CODE_SYNC_OPERATIONS_MAX: NonZeroU64 = NZU64!(64);
/// One epoch without end: committees change with the issue on staking.
const EPOCH_BLOCKS: NonZeroU64 = NZU64!(u64::MAX);
/// Views that consensus and backfill keep beyond the last final one.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(256);
/// Room for jitter beyond the heartbeat, in which a leader may hold its proposal.
const LEADER_MARGIN: Duration = Duration::from_millis(1_000);
const CERTIFICATION_MARGIN: Duration = Duration::from_millis(2_000);
/// A peer this silent is not waited for when it leads.
const SKIP_MARGIN: Duration = Duration::from_millis(6_000);

/// Rate limit of every channel. The network sets aside mailboxes for a second's messages of every peer, so this bounds
/// memory too.
pub fn quota() -> Quota {
    Quota::per_second(NZU32!(1_024))
}

/// Largest message on any channel; a larger one cannot be sent at all.
pub fn message_bytes_max() -> u32 {
    let seats = SEATS_MAX.get();
    max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(seats),
        marshal::max_payload_size::<Variant, Scheme>(seats, &()),
        qmdb_resolver::max_payload_size::<Family, StateDigest>(SYNC_OPERATIONS_MAX, 256),
        qmdb_resolver::max_payload_size::<Family, StateDigest>(CODE_SYNC_OPERATIONS_MAX, state::CHUNK_CODE_BYTES + 64),
        crate::gossip::MESSAGE_BYTES_MAX,
    ])
}

/// The channels of an engine in the order of their numbers.
pub struct Channels<S, R> {
    /// Votes.
    pub votes: (S, R),
    /// Certificates.
    pub certificates: (S, R),
    /// Missing certificates.
    pub resolver: (S, R),
    /// Missing blocks.
    pub backfill: (S, R),
    /// New blocks.
    pub broadcast: (S, R),
    /// State sync of accounts and slots.
    pub state_sync: (S, R),
    /// State sync of code.
    pub code_sync: (S, R),
}

impl<S, R> Channels<S, R> {
    /// Number of channels.
    pub const COUNT: u64 = 7;

    /// Registers every channel.
    pub fn register(mut register: impl FnMut(u64) -> (S, R)) -> Self {
        Self {
            votes: register(0),
            certificates: register(1),
            resolver: register(2),
            backfill: register(3),
            broadcast: register(4),
            state_sync: register(5),
            code_sync: register(6),
        }
    }
}

/// What an engine needs beside its runtime and network.
pub struct EngineConfig<P, B> {
    /// This validator.
    pub me: PublicKey,
    /// Signs and verifies votes.
    pub scheme: Scheme,
    /// The first block.
    pub genesis: Block,
    /// Builds and executes blocks.
    pub app: App,
    /// Takes the seeds of all rounds.
    pub seeds: Seeds,
    /// Longest time a leader may hold its proposal.
    pub heartbeat: Duration,
    /// Names the partitions on disk.
    pub prefix: String,
    /// Peers that may be asked.
    pub peers: P,
    /// Cuts off peers that misbehave.
    pub blocker: B,
}

/// A running engine.
pub struct Engine<E: StorageContext + Spawner + Clock> {
    /// Blocks and certificates.
    pub marshal: Marshal,
    /// The state.
    pub databases: Databases<E>,
    /// Ends when an actor does.
    pub handle: Handle<()>,
}

/// Starts every actor of a validator and waits until its state is open. All of them end with `context`.
pub async fn start<E, P, B, S, R>(context: E, config: EngineConfig<P, B>, channels: Channels<S, R>) -> Engine<E>
where
    E: StorageContext + Spawner + Clock + Metrics + Supervisor + CryptoRng,
    P: Provider<PublicKey = PublicKey> + Clone,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let EngineConfig { me, scheme, genesis, app, seeds, heartbeat, prefix, peers, blocker } = config;
    let cache = CacheRef::new(NZU16!(4_096), NZUsize!(8_192));
    let digest = genesis.digest();

    let resolver = marshal_resolver::init(
        context.child("marshal_resolver"),
        marshal_resolver::Config {
            public_key: me.clone(),
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX,
            deque_size: 16,
            priority: true,
            codec_config: (),
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    broadcast.start(channels.broadcast);

    let finalizations = archive(&context, &prefix, "finalizations", &cache).await;
    let blocks = archive(&context, &prefix, "blocks", &cache).await;
    let plan = SyncPlan::init(context.child("plan"), prefix.clone()).await;
    let (marshal_actor, marshal, floor) = MarshalActor::<_, Variant, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: ConstantProvider::new(scheme.clone()),
            epocher: FixedEpocher::new(EPOCH_BLOCKS),
            start: plan.marshal_start(Digested::precomputed(genesis, digest)),
            partition_prefix: prefix.clone(),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: NZU64!(1_024),
            page_cache: cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: (),
            max_repair: NZUsize!(32),
            max_pending_acks: NZUsize!(16),
            strategy: Sequential,
        },
    )
    .await;

    let (state_sync, state_resolver) = qmdb_resolver::Actor::<_, PublicKey, _, _, Family, StateDb<E>>::new(
        context.child("state_sync"),
        sync_config(&me, &peers, &blocker, SYNC_OPERATIONS_MAX),
    );
    state_sync.start(channels.state_sync);
    let (code_sync, code_resolver) = qmdb_resolver::Actor::<_, PublicKey, _, _, Family, CodeDb<E>>::new(
        context.child("code_sync"),
        sync_config(&me, &peers, &blocker, CODE_SYNC_OPERATIONS_MAX),
    );
    code_sync.start(channels.code_sync);

    let (stateful, state) = Stateful::new(
        context.child("stateful"),
        stateful::Config {
            application: app,
            provider: (),
            db_config: state::config::<E>(&prefix, &cache),
            marshal: (marshal.clone(), floor),
            mailbox_size: MAILBOX,
            plan,
            resolvers: (state_resolver, code_resolver),
            sync_config: SyncEngineConfig {
                fetch_batch_size: CODE_SYNC_OPERATIONS_MAX,
                apply_batch_size: SYNC_OPERATIONS_MAX,
                max_outstanding_requests: NZUsize!(8),
            },
            prune_config: None,
            strategy: Sequential,
        },
    );
    let deferred =
        Deferred::new(context.child("deferred"), state.clone(), marshal.clone(), FixedEpocher::new(EPOCH_BLOCKS));
    marshal_actor.start(state.clone(), buffer, resolver);
    stateful.start();
    let databases = state.subscribe_databases().await;

    let reporter: Reporters<_, _> = (seeds, deferred.clone()).into();
    let engine = simplex::Engine::new(
        context.child("simplex"),
        simplex::Config {
            scheme,
            elector: Random::<Sha256>::new(RandomVersion::V1),
            blocker,
            automaton: deferred.clone(),
            relay: deferred,
            reporter,
            strategy: Sequential,
            partition: format!("{prefix}-simplex"),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: Floor::Genesis(digest),
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache: cache,
            leader_timeout: heartbeat + LEADER_MARGIN,
            certification_timeout: heartbeat + CERTIFICATION_MARGIN,
            timeout_retry: heartbeat + LEADER_MARGIN,
            view_retention: VIEW_RETENTION,
            skip: SkipPolicy::Enabled { timeout: heartbeat + SKIP_MARGIN, budget: simplex::SkipBudget::Participants },
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            forward: ForwardPolicy::Disabled,
            track_historical_votes: false,
        },
    );
    let handle = engine.start(channels.votes, channels.certificates, channels.resolver);
    Engine { marshal, databases, handle }
}

async fn archive<E, V>(
    context: &E,
    prefix: &str,
    name: &'static str,
    cache: &CacheRef,
) -> prunable::Archive<EightCap, E, Digest, V>
where
    E: StorageContext + Supervisor,
    V: commonware_codec::CodecShared<Cfg = ()>,
{
    let config = prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{prefix}-{name}-metadata"),
        key_partition: format!("{prefix}-{name}-key"),
        key_page_cache: cache.clone(),
        value_partition: format!("{prefix}-{name}-value"),
        compression: None,
        codec_config: (),
        items_per_section: NZU64!(1_024),
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        replay_buffer: BUFFER,
    };
    prunable::Archive::init(context.child(name), config)
        .await
        .unwrap_or_else(|error| panic!("cannot open {name} on disk: {error}"))
}

fn sync_config<DB, P, B>(
    me: &PublicKey,
    peers: &P,
    blocker: &B,
    max_serve_ops: NonZeroU64,
) -> qmdb_resolver::Config<PublicKey, P, B, DB>
where
    P: Provider<PublicKey = PublicKey> + Clone,
    B: Blocker<PublicKey = PublicKey>,
{
    qmdb_resolver::Config {
        peer_provider: peers.clone(),
        blocker: blocker.clone(),
        database: None,
        mailbox_size: MAILBOX,
        me: Some(me.clone()),
        fetch_timeout: NZDuration!(FETCH_TIMEOUT),
        fetch_retry_delay: FETCH_RETRY,
        max_serve_ops,
        priority_requests: false,
        priority_responses: false,
    }
}
