//! Wire one validator: broadcast, backfill, state, application and consensus, over any network and runtime.

use crate::{
    application::App,
    block::{Block, Info},
    epochs::{Candidates, Schemes, Secrets},
    seeds::{Seeds, Tap},
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
        config::{ForwardPolicy, SkipPolicy},
        elector::{Random, RandomVersion},
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible, Sha256, Signer as _,
    bls12381::{dkg::feldman_desmedt::Reveal, primitives::sharing::Mode},
    certificate::ConstantProvider,
    ed25519,
};
use commonware_glue::{
    dkg::{
        self,
        fence::Fence,
        network::{Addresses, Manager},
        orchestrator, probe, reshare,
    },
    stateful::{
        self, Stateful, SyncPlan,
        db::{SyncEngineConfig, p2p as qmdb_resolver},
    },
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Network, Quota, Spawner, Supervisor, buffer::paged::CacheRef};
use commonware_storage::{Context as StorageContext, archive::prunable, translator::EightCap};
use commonware_utils::{NZDuration, NZU16, NZU32, NZU64, NZUsize};
use light::consensus::{Digest, Family, PublicKey, SEATS_MAX, SHARING_MODE, Scheme, StateDigest};
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

/// The limit of channels on which there is little to say.
pub fn quiet_quota() -> Quota {
    Quota::per_second(NZU32!(128))
}

/// Largest message on any channel; a larger one cannot be sent at all.
pub fn message_bytes_max() -> u32 {
    let seats = SEATS_MAX.get();
    max_message_size(&[
        orchestrator::max_payload_size::<Scheme, Digest>(seats),
        probe::max_payload_size::<Variant, Scheme>(seats, &()),
        dkg::max_payload_size::<light::consensus::Variant, PublicKey>(SEATS_MAX),
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
    /// Dealings of the resharing.
    pub resharing: (S, R),
    /// Where the chain is, asked by those who join.
    pub probe: (S, R),
}

impl<S, R> Channels<S, R> {
    /// Number of channels.
    pub const COUNT: u64 = 9;

    /// Registers every channel.
    pub fn register(mut register: impl FnMut(u64, Quota) -> (S, R)) -> Self {
        Self {
            votes: register(0, quota()),
            certificates: register(1, quota()),
            resolver: register(2, quiet_quota()),
            backfill: register(3, quota()),
            broadcast: register(4, quota()),
            state_sync: register(5, quiet_quota()),
            code_sync: register(6, quiet_quota()),
            resharing: register(7, quiet_quota()),
            probe: register(8, quiet_quota()),
        }
    }
}

/// What an engine needs beside its runtime and network.
pub struct EngineConfig<E: StorageContext, M, B> {
    /// This validator.
    pub signer: ed25519::PrivateKey,
    /// The signing domain.
    pub namespace: &'static [u8],
    /// The first block.
    pub genesis: Block,
    /// The first epoch.
    pub first: Info,
    /// Blocks of an epoch.
    pub epoch_blocks: NonZeroU64,
    /// This validator's secrets.
    pub secrets: Secrets<E>,
    /// Takes the scheme of every epoch.
    pub schemes: Schemes,
    /// Says who receives shares.
    pub candidates: Candidates,
    /// Builds and executes blocks.
    pub app: App,
    /// Takes the seeds of all rounds.
    pub seeds: Seeds,
    /// Longest time a leader may hold its proposal.
    pub heartbeat: Duration,
    /// Names the partitions on disk.
    pub prefix: String,
    /// Connects this validator to those of each epoch.
    pub manager: M,
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
pub async fn start<E, M, B, S, R>(context: E, config: EngineConfig<E, M, B>, channels: Channels<S, R>) -> Engine<E>
where
    E: StorageContext + Spawner + Clock + Network + Metrics + Supervisor + CryptoRng,
    M: Manager<PublicKey = PublicKey, Directory = Addresses<PublicKey>> + Clone,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let EngineConfig { signer, namespace, genesis, first, epoch_blocks, secrets, schemes, candidates, .. } = config;
    let EngineConfig { app, seeds, heartbeat, prefix, manager, blocker, .. } = config;
    let me = signer.public_key();
    let cache = CacheRef::new(NZU16!(4_096), NZUsize!(8_192));
    let digest = genesis.digest();
    let verifier = Scheme::certificate_verifier(namespace, *first.output.public().public());

    let resolver = marshal_resolver::init(
        context.child("marshal_resolver"),
        marshal_resolver::Config {
            public_key: me.clone(),
            peer_provider: manager.clone(),
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
            peer_provider: manager.clone(),
            strategy: Sequential,
        },
    );
    broadcast.start(channels.broadcast);

    let finalizations = archive(&context, &prefix, "finalizations", &cache).await;
    let blocks = archive(&context, &prefix, "blocks", &cache).await;
    let plan = SyncPlan::init(context.child("plan"), prefix.clone()).await;
    let (probe, probe_mailbox) = probe::Actor::new(probe::Config {
        context: context.child("probe"),
        manager: manager.clone(),
        bootstrap: probe::Bootstrap {
            epoch: Epoch::zero(),
            participants: first.participants(),
            directory: first.directory.clone(),
        },
        floor: plan.floor().cloned(),
        verifier: verifier.clone(),
        genesis: first,
        strategy: Sequential,
        blocker: blocker.clone(),
        blocks_per_epoch: epoch_blocks,
        retry_timeout: NZDuration!(FETCH_TIMEOUT),
        mailbox_size: MAILBOX,
        block_codec_config: (),
    });
    let probe = probe.start(channels.probe);
    let (marshal_actor, marshal, floor) = MarshalActor::<_, Variant, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            // One key verifies the certificates of all epochs.
            provider: ConstantProvider::new(verifier),
            epocher: FixedEpocher::new(epoch_blocks),
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
        sync_config(&me, &manager, &blocker, SYNC_OPERATIONS_MAX),
    );
    state_sync.start(channels.state_sync);
    let (code_sync, code_resolver) = qmdb_resolver::Actor::<_, PublicKey, _, _, Family, CodeDb<E>>::new(
        context.child("code_sync"),
        sync_config(&me, &manager, &blocker, CODE_SYNC_OPERATIONS_MAX),
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

    // The ceremony of each epoch: it registers schemes, and lets consensus enter an epoch when they are there.
    let (fence, gate) = Fence::new();
    let sync = dkg::state_sync::Plan::init(
        context.child("resharing_sync"),
        dkg::state_sync::Config {
            partition_prefix: prefix.clone(),
            max_participants: SEATS_MAX,
            max_supported_mode: SHARING_MODE,
        },
        None,
    )
    .await;
    let (resharing, resharing_mailbox) = reshare::Actor::new(
        context.child("resharing"),
        reshare::Config {
            signer,
            manager: manager.clone(),
            blocker: blocker.clone(),
            participants_provider: candidates,
            secret_store: secrets,
            strategy: Sequential,
            registrar: schemes.clone(),
            marshal: marshal.clone(),
            state_sync: sync.clone(),
            fence,
            namespace,
            sharing_mode: Mode::NonZeroCounter,
            reveal: Reveal::V1,
            mailbox_size: MAILBOX,
            partition_prefix: format!("{prefix}-resharing"),
            page_cache: cache.clone(),
            write_buffer: BUFFER,
            replay_buffer: BUFFER,
            max_participants: SEATS_MAX,
            blocks_per_epoch: epoch_blocks,
        },
    );
    let resharing = resharing.start(channels.resharing);

    let application = Tap::new(
        Deferred::new(
            context.child("deferred"),
            reshare::Application::new(state.clone(), resharing_mailbox.clone(), epoch_blocks),
            marshal.clone(),
            FixedEpocher::new(epoch_blocks),
        ),
        seeds,
    );
    let (orchestrator, orchestrator_mailbox) = orchestrator::Actor::new(
        context.child("orchestrator"),
        orchestrator::Config {
            oracle: blocker,
            manager,
            provider: schemes,
            marshal: marshal.clone(),
            application,
            strategy: Sequential,
            simplex: orchestrator::SimplexConfig {
                elector: Random::<Sha256>::new(RandomVersion::V1),
                mailbox_size: MAILBOX,
                replay_buffer: BUFFER,
                write_buffer: BUFFER,
                page_cache: cache,
                leader_timeout: heartbeat + LEADER_MARGIN,
                certification_timeout: heartbeat + CERTIFICATION_MARGIN,
                timeout_retry: heartbeat + LEADER_MARGIN,
                fetch_timeout: NZDuration!(FETCH_TIMEOUT),
                fetch_retry_delay: FETCH_RETRY,
                view_retention: VIEW_RETENTION,
                skip: SkipPolicy::Enabled {
                    timeout: heartbeat + SKIP_MARGIN,
                    budget: simplex::SkipBudget::Participants,
                },
                forward: ForwardPolicy::Disabled,
                track_historical_votes: false,
            },
            gate,
            state_sync: sync,
            blocks_per_epoch: epoch_blocks,
            mailbox_size: MAILBOX,
            partition_prefix: format!("{prefix}-consensus"),
        },
    );
    let orchestrator = orchestrator.start(channels.votes, channels.certificates, channels.resolver);

    // Every final block goes to all three, and each has to be done with it.
    let reporters = Reporters::from((state.clone(), Reporters::from((orchestrator_mailbox, resharing_mailbox))));
    let marshal_actor = marshal_actor.start(reporters, buffer, resolver);
    probe_mailbox.attach(marshal.clone());
    let stateful = stateful.start();
    let databases = state.subscribe_databases().await;
    let actors: [Handle<()>; 5] = [probe, resharing, orchestrator, marshal_actor, stateful];
    let handle = context.child("actors").spawn(|_| async move {
        // Why one ended is in the log; none of them ever does by itself.
        let _ = Handle::select(actors).await;
    });
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
