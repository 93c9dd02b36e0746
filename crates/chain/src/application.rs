//! Build blocks, and re-execute those of others before voting.

use crate::{
    block::{BODY_BYTES_MAX, Block, Info, Resharing, StateCommitment, TRANSACTIONS_MAX, hash_of_resharing},
    seeds::{Seeds, round},
    state::{self, Batches, Databases, Merkleized, Reader, SyncTargets},
    wall::Wall,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use commonware_consensus::{Heightable, marshal::ancestry::Ancestry};
use commonware_cryptography::ed25519;
use commonware_glue::{
    dkg::{network::Addresses, reshare, types::EpochOutcome},
    stateful::{Application, Finality, Input, Proposed, db::DatabaseSet},
};
use commonware_runtime::{Clock, Spawner};
use commonware_storage::Context as StorageContext;
use execution::{BlockContext, BuildLimits, Executor, Outcome, StateReader, next_base_fee, recover_all};
use futures::StreamExt;
use light::consensus::{ProposalContext, PublicKey, Scheme, Variant, encode_public_key};
use mempool::Mempool;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{broadcast, mpsc, watch};
use tracing::{debug, warn};
use types::{Beacon, ChainSpec, Header, Transaction, header::transactions_root, state::decode_slot};

/// Time that building may take before it goes with what it has.
const BUILD_TIME_MAX: Duration = Duration::from_millis(250);
/// Executed blocks kept until they are final.
const EXECUTED_MAX: usize = 64;

/// A block with what executing it gave.
pub struct Executed {
    /// The block.
    pub block: types::Block,
    /// Receipts and changes.
    pub outcome: Outcome,
}

/// A block that is final, on its way to the indexer.
pub struct FinalBlock {
    /// The block.
    pub block: Block,
    /// What executing it gave, unless that was before a restart.
    pub executed: Option<Arc<Executed>>,
}

/// The rules of the chain, as consensus wants them.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    spec: Arc<ChainSpec>,
    executor: Executor,
    genesis: Block,
    beneficiary: Address,
    wall: Wall,
    pool: Mempool,
    seeds: Seeds,
    verifier: Scheme,
    executed: Mutex<VecDeque<Arc<Executed>>>,
    finals: mpsc::Sender<FinalBlock>,
    applied: watch::Sender<Option<Header>>,
}

/// What an [`App`] is made of.
pub struct AppConfig {
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Its executor.
    pub executor: Executor,
    /// Its first block.
    pub genesis: Block,
    /// Receiver of the priority fees of blocks proposed here.
    pub beneficiary: Address,
    /// The clock that timestamps come from.
    pub wall: Wall,
    /// Where transactions wait.
    pub pool: Mempool,
    /// Seeds of past rounds.
    pub seeds: Seeds,
    /// Verifies with the group key.
    pub verifier: Scheme,
    /// Takes final blocks, in order.
    pub finals: mpsc::Sender<FinalBlock>,
    /// Shows the header whose state is applied.
    pub applied: watch::Sender<Option<Header>>,
}

/// Why a block of another validator is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0} is not what consensus and the parent demand")]
    Field(&'static str),
    #[error("{0} is not signed by the committee")]
    Signature(&'static str),
    #[error("{0} is not what execution gives")]
    Result(&'static str),
    #[error("the body has {0} bytes, the limit is {BODY_BYTES_MAX}")]
    TooLarge(usize),
    #[error("transaction {0}: {1}")]
    Transaction(usize, types::transaction::TransactionError),
    #[error(transparent)]
    Execution(#[from] execution::BlockError),
    #[error("the state cannot be read: {0}")]
    State(#[from] execution::ReadError),
}

impl App {
    /// Puts the application together.
    pub fn new(config: AppConfig) -> Self {
        let AppConfig { spec, executor, genesis, beneficiary, wall, pool, seeds, verifier, finals, applied } = config;
        let executed = Mutex::new(VecDeque::new());
        let shared =
            Shared { spec, executor, genesis, beneficiary, wall, pool, seeds, verifier, executed, finals, applied };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until there is something to put into a block, and no longer than the heartbeat. A beacon that the state
    /// waits for is work too.
    async fn wait_for_work<E: Clock>(&self, clock: &E, parent: &Header, base_fee: u64, beacon_awaited: bool) {
        let (spec, wall) = (&self.shared.spec, self.shared.wall);
        let mut added = self.shared.pool.subscribe();
        let due = |after_ms: u64| UNIX_EPOCH + Duration::from_millis(parent.timestamp_ms.saturating_add(after_ms));
        // A parent from the future, or one whose time lags after an outage, is no reason to wait longer.
        let now = wall.now(clock);
        let heartbeat = due(spec.heartbeat_ms).min(now + Duration::from_millis(spec.heartbeat_ms));
        let soonest = due(spec.block_interval_min_ms).min(now + Duration::from_millis(spec.block_interval_min_ms));
        wall.sleep_until(clock, soonest).await;
        if beacon_awaited {
            return;
        }
        while wall.now(clock) < heartbeat && self.shared.pool.best(base_fee).next().is_none() {
            let arrival = async {
                // Lagging behind means that something arrived.
                if let Err(broadcast::error::RecvError::Closed) = added.recv().await {
                    std::future::pending::<()>().await;
                }
            };
            futures::future::select(Box::pin(arrival), Box::pin(wall.sleep_until(clock, heartbeat))).await;
        }
    }

    /// The timestamp of a child: the clock's, but never back and never too far ahead at once.
    fn timestamp_ms(&self, now: SystemTime, parent: &Header) -> u64 {
        let latest = parent.timestamp_ms.saturating_add(self.shared.spec.timestamp_step_max_ms);
        millis(now).clamp(parent.timestamp_ms, latest)
    }

    /// The beacon that the state waits for, if its seed is known by now.
    async fn due_beacon<R: StateReader>(&self, context: &ProposalContext, state: &R) -> Option<Beacon> {
        let (epoch, view) = self.beacon_target(state).await.ok()??;
        if epoch != context.round.epoch().get() || view >= context.round.view().get() {
            return None;
        }
        let seed = self.shared.seeds.get(round(epoch, view))?;
        Some(Beacon { epoch, view, seed })
    }

    async fn beacon_target<R: StateReader>(&self, state: &R) -> Result<Option<(u64, u64)>, Refusal> {
        let values = state.read(&[protocol::beacon_target_slot()]).await?;
        let word = values.into_iter().next().flatten().map_or(U256::ZERO, |value| decode_slot(&value));
        Ok(protocol::decode_beacon_target(word))
    }

    fn remember(&self, executed: Executed) {
        let mut recent = self.shared.executed.lock();
        recent.push_back(Arc::new(executed));
        if recent.len() > EXECUTED_MAX {
            recent.pop_front();
        }
    }

    fn recall(&self, hash: B256) -> Option<Arc<Executed>> {
        self.shared.executed.lock().iter().find(|executed| executed.block.header.hash() == hash).cloned()
    }

    /// Builds a child of `parent`.
    async fn build<E: Clock + Spawner + StorageContext>(
        &self,
        clock: &E,
        context: ProposalContext,
        parent: Block,
        resharing: Option<Resharing>,
        batches: Batches<E>,
    ) -> Result<Option<(Block, Merkleized<E>)>, Refusal> {
        let (shared, parent) = (&self.shared, parent.header());
        let seed = match context.parent.0.is_zero() {
            true => Bytes::new(),
            // A leader that never saw the parent's certificate passes its turn.
            false => match shared.seeds.get(round(context.round.epoch().get(), context.parent.0.get())) {
                Some(seed) => seed,
                None => return Ok(None),
            },
        };
        let base_fee = next_base_fee(parent, &shared.spec);
        let beacon_awaited = self.beacon_target(&Reader(&batches)).await?.is_some();
        self.wait_for_work(clock, parent, base_fee, beacon_awaited).await;
        let beacon = self.due_beacon(&context, &Reader(&batches)).await;
        let mut header = Header {
            parent_hash: parent.hash(),
            height: parent.height + 1,
            epoch: context.round.epoch().get(),
            view: context.round.view().get(),
            parent_view: context.parent.0.get(),
            leader: encode_public_key(&context.leader),
            timestamp_ms: self.timestamp_ms(shared.wall.now(clock), parent),
            gas_limit: shared.spec.gas_limit,
            base_fee_per_gas: base_fee,
            beneficiary: shared.beneficiary,
            seed,
            beacon,
            outbox_root: B256::ZERO,
            resharing_hash: hash_of_resharing(resharing.as_ref()),
            state_root: B256::ZERO,
            state_log: Default::default(),
            code_log: Default::default(),
            transactions_root: B256::ZERO,
            receipts_root: B256::ZERO,
            logs_bloom: Default::default(),
            gas_used: 0,
        };
        let block_context = BlockContext::of(&header, &shared.spec);
        let started = clock.current();
        let limits = BuildLimits {
            bytes_max: BODY_BYTES_MAX,
            transactions_max: TRANSACTIONS_MAX,
            deadline: || clock.current().duration_since(started).is_ok_and(|spent| spent > BUILD_TIME_MAX),
        };
        let candidates = shared.pool.best(base_fee);
        let built = shared.executor.build(&block_context, candidates, limits, &Reader(&batches)).await?;
        let stale: Vec<B256> =
            built.rejected.iter().filter(|(_, reason)| reason.is_permanent()).map(|(hash, _)| *hash).collect();
        shared.pool.remove(&stale);
        let merkleized = state::apply(batches, &built.outcome).await?;
        let raw: Vec<bytes::Bytes> = built.transactions.iter().map(|transaction| transaction.raw().0.clone()).collect();
        let outcome = built.outcome;
        fill_results(&mut header, &outcome, state::commitment(&merkleized));
        header.transactions_root = transactions_root(&raw);
        let block = Block::new(header, raw, resharing).expect("a header built here is whole");
        self.remember(Executed { block: block.with_transactions(built.transactions), outcome });
        Ok(Some((block, merkleized)))
    }

    /// Checks everything that follows from the header, its parent and consensus.
    fn check_header(&self, block: &Block, parent: &Header, context: &ProposalContext) -> Result<(), Refusal> {
        let (header, spec) = (block.header(), &self.shared.spec);
        let (earliest, latest) = (parent.timestamp_ms, parent.timestamp_ms.saturating_add(spec.timestamp_step_max_ms));
        let rules = [
            ("height", header.height == parent.height + 1),
            ("parent", header.parent_hash == parent.hash()),
            ("epoch", header.epoch == context.round.epoch().get()),
            ("view", header.view == context.round.view().get()),
            ("parent view", header.parent_view == context.parent.0.get()),
            ("leader", header.leader == encode_public_key(&context.leader)),
            ("timestamp", (earliest..=latest).contains(&header.timestamp_ms)),
            ("gas limit", header.gas_limit == spec.gas_limit),
            ("base fee", header.base_fee_per_gas == next_base_fee(parent, spec)),
            ("outbox root", header.outbox_root.is_zero()),
        ];
        if let Some((field, _)) = rules.iter().find(|(_, holds)| !holds) {
            return Err(Refusal::Field(field));
        }
        let bytes = block.transactions().iter().map(bytes::Bytes::len).sum();
        if bytes > BODY_BYTES_MAX { Err(Refusal::TooLarge(bytes)) } else { Ok(()) }
    }

    fn check_seed(&self, header: &Header) -> Result<(), Refusal> {
        let holds = match header.parent_view {
            0 => header.seed.is_empty(),
            view => self.shared.seeds.verify(round(header.epoch, view), &header.seed, &self.shared.verifier),
        };
        if holds { Ok(()) } else { Err(Refusal::Signature("the seed of the parent's round")) }
    }

    /// A beacon must be the one that the state waits for; a leader that has not seen it may leave it to the next.
    async fn check_beacon<R: StateReader>(&self, header: &Header, state: &R) -> Result<(), Refusal> {
        let Some(beacon) = &header.beacon else { return Ok(()) };
        let target = self.beacon_target(state).await?;
        if target != Some((beacon.epoch, beacon.view)) || beacon.epoch != header.epoch || beacon.view >= header.view {
            return Err(Refusal::Field("beacon"));
        }
        let round = round(beacon.epoch, beacon.view);
        match self.shared.seeds.verify(round, &beacon.seed, &self.shared.verifier) {
            true => Ok(()),
            false => Err(Refusal::Signature("the beacon")),
        }
    }

    fn transactions(&self, block: &Block) -> Result<Vec<Arc<Transaction>>, Refusal> {
        let known: Vec<_> = block.transactions().iter().map(|raw| self.shared.pool.get(&hash_of(raw))).collect();
        let missing: Vec<Bytes> = (block.transactions().iter().zip(&known))
            .filter(|(_, known)| known.is_none())
            .map(|(raw, _)| Bytes::from(raw.clone()))
            .collect();
        let recovered = recover_all(missing).map_err(|(index, error)| Refusal::Transaction(index, error))?;
        let mut recovered = recovered.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| recovered.next())).collect())
    }

    /// Executes a block of another validator.
    async fn verify<E: Clock + Spawner + StorageContext>(
        &self,
        clock: &E,
        context: &ProposalContext,
        block: &Block,
        parent: Option<Block>,
        batches: Batches<E>,
    ) -> Result<Merkleized<E>, Refusal> {
        let header = block.header();
        if let Some(parent) = parent {
            self.check_header(block, parent.header(), context)?;
            self.check_seed(header)?;
            self.check_beacon(header, &Reader(&batches)).await?;
            // A clock that is behind delays the vote; the bound on the step above bounds the delay.
            let drift = Duration::from_millis(self.shared.spec.clock_drift_max_ms);
            let acceptable = UNIX_EPOCH + Duration::from_millis(header.timestamp_ms).saturating_sub(drift);
            self.shared.wall.sleep_until(clock, acceptable).await;
        }
        let transactions = self.transactions(block)?;
        let block_context = BlockContext::of(header, &self.shared.spec);
        let outcome = self.shared.executor.execute(&block_context, &transactions, &Reader(&batches)).await?;
        let merkleized = state::apply(batches, &outcome).await?;
        check_results(header, &outcome, state::commitment(&merkleized))?;
        self.remember(Executed { block: block.with_transactions(transactions), outcome });
        Ok(merkleized)
    }
}

/// Says how the resharing of an epoch ended.
fn report_resharing(next: &Info) {
    let (epoch, seats, revealed) = (next.epoch.get(), next.output.players().len(), next.output.revealed().len());
    match next.outcome {
        EpochOutcome::Failure => {
            warn!(
                epoch,
                seats, "the resharing failed, as too few dealers posted their logs: the same committee signs on"
            );
        }
        EpochOutcome::Success if revealed > 0 => {
            warn!(epoch, seats, revealed, "shares of members that were away are public");
        }
        EpochOutcome::Success => debug!(epoch, seats, "the resharing succeeded"),
    }
}

fn hash_of(raw: &[u8]) -> B256 {
    alloy_primitives::keccak256(raw)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn fill_results(header: &mut Header, outcome: &Outcome, state: StateCommitment) {
    header.state_root = state.root;
    header.state_log = state.state_log;
    header.code_log = state.code_log;
    header.receipts_root = outcome.receipts_root;
    header.logs_bloom = outcome.logs_bloom;
    header.gas_used = outcome.gas_used;
}

fn check_results(header: &Header, outcome: &Outcome, state: StateCommitment) -> Result<(), Refusal> {
    let rules = [
        ("gas used", header.gas_used == outcome.gas_used),
        ("receipts root", header.receipts_root == outcome.receipts_root),
        ("logs bloom", header.logs_bloom == outcome.logs_bloom),
        ("state root", StateCommitment::of(header) == state),
    ];
    rules.iter().find(|(_, holds)| !holds).map_or(Ok(()), |(field, _)| Err(Refusal::Result(field)))
}

impl<E: Clock + Spawner + StorageContext> Application<E> for App {
    type SigningScheme = Scheme;
    type Context = ProposalContext;
    type Block = Block;
    type Databases = Databases<E>;
    type Captured = Option<Arc<Executed>>;
    type Provider = ();
    type Input = reshare::Input<(), Variant, ed25519::PrivateKey, Addresses<PublicKey>>;

    fn sync_targets(block: &Block) -> SyncTargets<E> {
        state::sync_targets::<E>(block.header())
    }

    async fn genesis(&mut self) -> Block {
        self.shared.genesis.clone()
    }

    async fn propose(
        &mut self,
        (clock, context): (E, ProposalContext),
        ancestry: impl Ancestry<Block>,
        batches: Batches<E>,
        input: Input<Self::Input, ()>,
    ) -> Option<Proposed<Self, E>> {
        let mut ancestry = Box::pin(ancestry);
        let parent = ancestry.next().await?.inner().clone();
        match self.build(&clock, context, parent, input.upstream.payload, batches).await {
            Ok(built) => built.map(|(block, merkleized)| Proposed { block, merkleized }),
            Err(error) => {
                warn!(%error, "could not build a block");
                None
            }
        }
    }

    async fn process(
        &mut self,
        (clock, context): (E, ProposalContext),
        ancestry: impl Ancestry<Block>,
        batches: Batches<E>,
        finality: Finality,
    ) -> Option<Merkleized<E>> {
        let mut ancestry = Box::pin(ancestry);
        let block = ancestry.next().await?.inner().clone();
        let parent = match finality {
            Finality::Candidate => Some(ancestry.next().await?.inner().clone()),
            Finality::Finalized => None,
        };
        match self.verify(&clock, &context, &block, parent, batches).await {
            Ok(merkleized) => Some(merkleized),
            Err(error) => {
                warn!(height = block.height().get(), hash = %block.hash(), %error, "refused a block");
                None
            }
        }
    }

    async fn capture(
        &mut self,
        _: (E, ProposalContext),
        block: &Block,
        _: &Merkleized<E>,
        _: <Databases<E> as DatabaseSet<E>>::Readers,
    ) -> Option<Arc<Executed>> {
        self.recall(block.hash())
    }

    async fn finalized(
        &mut self,
        _: (E, ProposalContext),
        block: &Block,
        executed: Option<Arc<Executed>>,
        _: <Databases<E> as DatabaseSet<E>>::Readers,
    ) {
        debug!(height = block.height().get(), hash = %block.hash(), "final");
        if let Some(Resharing::EpochInfo(next)) = block.resharing() {
            report_resharing(next);
        }
        self.shared.applied.send_replace(Some(block.header().clone()));
        // The indexer is gone only when the node stops.
        let _ = self.shared.finals.send(FinalBlock { block: block.clone(), executed }).await;
    }
}
