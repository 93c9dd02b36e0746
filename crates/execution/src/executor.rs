//! Drive blocks through their execution, fetching state where it is missing.

use crate::{
    cache::{Cache, Miss, pair},
    code::CodeCache,
    context::BlockContext,
    machine::Stopped,
    modules::Modules,
    rejection::{BlockError, TransactionRejection},
    run::{Admission, BlockRun, Fill, Stop, TRANSACTION_GAS_MIN, transaction_keys},
    state::{ReadError, StateReader},
};
use alloy_consensus::{ReceiptEnvelope, Transaction as _};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, map::AddressSet};
use std::{collections::BTreeSet, sync::Arc};
use types::{
    ChainSpec, Transaction,
    state::{StateKey, Value},
};

/// Transactions whose accounts are fetched together while a block is built.
const BUILD_CHUNK: usize = 256;

/// Candidates in a row that may fail to fit before a block counts as full.
const MISFITS_MAX: usize = 64;

/// Transactions of the audit lane that may fail while a block is built before no more of them are tried.
const LANE_FAILURES_MAX: usize = 64;

/// Transactions after a miss whose reads are guessed and fetched with it.
const GUESS_TRANSACTIONS_MAX: usize = 64;

/// Executes blocks and calls under the rules of one chain. Clones share everything.
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    spec: Arc<ChainSpec>,
    modules: Modules,
    code: Arc<CodeCache>,
}

/// What came of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One receipt per transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Logs of the calls made before the first transaction. No receipt has them; the bloom does.
    pub system_logs: Vec<Log>,
    /// Root of Ethereum's ordered trie over the receipts.
    pub receipts_root: B256,
    /// Addresses and topics of all logs.
    pub logs_bloom: Bloom,
    /// Gas that the transactions used.
    pub gas_used: u64,
    /// Entries whose value changed, in the order of their keys, each once; `None` deletes.
    pub changes: Vec<(StateKey, Option<Value>)>,
    /// Code that accounts got, by its hash, in that order. It may have been stored before.
    pub code: Vec<(B256, Bytes)>,
}

/// How large a block may become, and how long it may take.
#[derive(Clone, Debug)]
pub struct BuildLimits<D> {
    /// Most bytes of encoded transactions.
    pub bytes_max: usize,
    /// Most transactions.
    pub transactions_max: usize,
    /// Answers whether it is time to stop; asked before every transaction.
    pub deadline: D,
}

/// A block that can be proposed.
#[derive(Clone, Debug)]
pub struct Built {
    /// The transactions, in order.
    pub transactions: Vec<Arc<Transaction>>,
    /// What came of them.
    pub outcome: Outcome,
    /// Candidates that were found invalid. Those that did not fit, or followed one of these from the same sender, are
    /// not among them.
    pub rejected: Vec<(B256, TransactionRejection)>,
}

impl Executor {
    /// An executor for the chain of `spec`, with the modules of this protocol version.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        let modules = Arc::new(protocol::modules(&spec.storage));
        Self::with_modules(spec, modules)
    }

    pub(crate) fn with_modules(spec: Arc<ChainSpec>, modules: Modules) -> Self {
        Self(Arc::new(Inner { spec, modules, code: Arc::default() }))
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    pub(crate) fn modules(&self) -> &Modules {
        &self.0.modules
    }

    pub(crate) fn cache<'r, R: StateReader>(&self, state: &'r R) -> Cache<'r> {
        Cache::new(state, self.0.code.clone())
    }

    /// Executes all of `transactions` on `state`, the state of the parent.
    pub async fn execute<R: StateReader>(
        &self,
        context: &BlockContext,
        transactions: &[Arc<Transaction>],
        state: &R,
    ) -> Result<Outcome, BlockError> {
        let mut run = self.open(context, transactions, state).await?;
        let mut pace = Pace::default();
        let mut next = 0;
        loop {
            match run.run(&transactions[next..], &mut |_, _| Admission::Run) {
                Stop::End | Stop::Closed => return Ok(run.finish().1),
                Stop::Miss(index, miss) => {
                    next += index;
                    pace.fetch(&mut run, miss, &transactions[next..], state).await?;
                }
                Stop::Rejected(index, rejection) => {
                    let index = next + index;
                    let hash = transactions[index].hash();
                    return Err(BlockError::Transaction { index, hash, rejection });
                }
                Stop::Read(error) => return Err(error.into()),
            }
        }
    }

    /// Fills a block from `candidates`, best first, each sender's in the order of their nonces. Takes no more of them
    /// than it looks at.
    pub async fn build<R: StateReader, D: Fn() -> bool + Send>(
        &self,
        context: &BlockContext,
        mut candidates: impl Iterator<Item = Arc<Transaction>> + Send,
        limits: BuildLimits<D>,
        state: &R,
    ) -> Result<Built, ReadError> {
        let mut run = self.open(context, &[], state).await?;
        let mut choice =
            Choice { limits, barred: AddressSet::default(), misfits: 0, lane_failures: 0, rejected: Vec::new() };
        loop {
            let chunk: Vec<_> = candidates.by_ref().take(BUILD_CHUNK).collect();
            if chunk.is_empty() || choice.fill_chunk(&mut run, &chunk, state).await? {
                break;
            }
        }
        let (transactions, outcome) = run.finish();
        Ok(Built { transactions, outcome, rejected: choice.rejected })
    }

    /// Fetches what `transactions` are sure to read, lays the genesis where it is due, and makes the calls that come
    /// before the first transaction.
    async fn open<'r, R: StateReader>(
        &self,
        context: &'r BlockContext,
        transactions: &[Arc<Transaction>],
        state: &'r R,
    ) -> Result<BlockRun<'r>, ReadError> {
        let mut run = BlockRun::new(context, &self.0.modules, self.cache(state));
        let mut keys = run.opening_keys(&self.0.spec, &self.0.modules);
        keys.extend(transaction_keys(transactions));
        fetch_keys(&mut run.cache, keys, state).await?;
        fetch_target_code(&mut run.cache, transactions, state).await?;
        run.lay_genesis(&self.0.spec, &self.0.modules);
        for hook in run.hooks() {
            loop {
                match run.open(&hook) {
                    Ok(()) => break,
                    Err(Stopped::Miss(miss)) => {
                        let mut misses = run.guess_opening(&hook);
                        misses.insert(miss);
                        fetch(&mut run.cache, misses, state).await?;
                    }
                    Err(Stopped::Read(error)) => return Err(error),
                    // System calls are not validated.
                    Err(Stopped::Rejected(rejection)) => return Err(ReadError(rejection.to_string())),
                }
            }
        }
        Ok(run)
    }
}

/// Decides which candidates go into a block.
struct Choice<D> {
    limits: BuildLimits<D>,
    /// Senders of whom a transaction was left out: what follows it would have too high a nonce.
    barred: AddressSet,
    misfits: usize,
    lane_failures: usize,
    rejected: Vec<(B256, TransactionRejection)>,
}

impl<D: Fn() -> bool + Send> Choice<D> {
    /// Runs the candidates of `chunk` that are admitted; says whether the block is complete.
    async fn fill_chunk<R: StateReader>(
        &mut self,
        run: &mut BlockRun<'_>,
        chunk: &[Arc<Transaction>],
        state: &R,
    ) -> Result<bool, ReadError> {
        fetch_keys(&mut run.cache, transaction_keys(chunk), state).await?;
        fetch_target_code(&mut run.cache, chunk, state).await?;
        let mut pace = Pace::default();
        let mut next = 0;
        loop {
            match run.run(&chunk[next..], &mut |fill, transaction| self.admit(fill, transaction)) {
                Stop::End => return Ok(false),
                Stop::Closed => return Ok(true),
                Stop::Miss(index, miss) => {
                    next += index;
                    pace.fetch(run, miss, &chunk[next..], state).await?;
                }
                Stop::Rejected(index, rejection) => {
                    let transaction = &chunk[next + index];
                    self.barred.insert(transaction.sender());
                    self.lane_failures += usize::from(rejection == TransactionRejection::LaneFailed);
                    self.rejected.push((transaction.hash(), rejection));
                    next += index + 1;
                }
                Stop::Read(error) => return Err(error),
            }
        }
    }

    fn admit(&mut self, fill: Fill, transaction: &Transaction) -> Admission {
        let full = fill.transactions >= self.limits.transactions_max || fill.gas_left < TRANSACTION_GAS_MIN;
        if full || self.misfits >= MISFITS_MAX || (self.limits.deadline)() {
            return Admission::Close;
        }
        if self.barred.contains(&transaction.sender()) {
            return Admission::Skip;
        }
        let lane_is_closed = fill.lane_is_full || self.lane_failures >= LANE_FAILURES_MAX;
        if lane_is_closed && transaction.lane().is_some() {
            // Others pay for their room: no misfit.
            self.barred.insert(transaction.sender());
            return Admission::Skip;
        }
        let fits = fill.bytes.saturating_add(transaction.raw().len()) <= self.limits.bytes_max
            && transaction.envelope().gas_limit() <= fill.gas_left;
        if fits {
            return Admission::Run;
        }
        self.misfits += 1;
        self.barred.insert(transaction.sender());
        Admission::Skip
    }
}

/// Decides how much to fetch after a miss.
///
/// The first miss of a transaction is taken as a hint of more: what it and those after it read is guessed and fetched
/// at once. Whoever misses again and again follows pointers, which no guess finds, and every run from the start costs
/// time; so from the third miss on only what is missing is fetched.
#[derive(Default)]
struct Pace {
    /// Position from the end of the transaction that missed last.
    at: Option<usize>,
    misses: usize,
}

impl Pace {
    async fn fetch<R: StateReader>(
        &mut self,
        run: &mut BlockRun<'_>,
        miss: Miss,
        rest: &[Arc<Transaction>],
        state: &R,
    ) -> Result<(), ReadError> {
        if self.at != Some(rest.len()) {
            *self = Self { at: Some(rest.len()), misses: 0 };
        }
        self.misses += 1;
        let mut misses = match self.misses {
            1 => run.guess(&rest[..rest.len().min(GUESS_TRANSACTIONS_MAX)]),
            2 => run.guess(&rest[..1]),
            _ => BTreeSet::new(),
        };
        misses.insert(miss);
        fetch(&mut run.cache, misses, state).await
    }
}

/// Reads what is missing into the cache.
pub(crate) async fn fetch<R: StateReader>(
    cache: &mut Cache<'_>,
    misses: BTreeSet<Miss>,
    state: &R,
) -> Result<(), ReadError> {
    let keys = misses.iter().filter_map(|miss| match miss {
        Miss::Entry(key) => Some(*key),
        Miss::Code(_) => None,
    });
    fetch_keys(cache, keys.collect::<Vec<_>>(), state).await?;
    for miss in misses {
        if let Miss::Code(hash) = miss {
            let code = state.code(&hash).await?;
            cache.supply_code(hash, code)?;
        }
    }
    Ok(())
}

/// Reads `keys` into the cache, those that are not there yet, in one batch.
pub(crate) async fn fetch_keys<R: StateReader>(
    cache: &mut Cache<'_>,
    keys: impl IntoIterator<Item = StateKey>,
    state: &R,
) -> Result<(), ReadError> {
    let keys: Vec<_> = keys.into_iter().filter(|key| !cache.holds(key)).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let values = state.read(&keys).await?;
    for (key, value) in pair(keys, values)? {
        cache.supply(key, value);
    }
    Ok(())
}

/// Reads the code of the contracts that `transactions` call.
async fn fetch_target_code<R: StateReader>(
    cache: &mut Cache<'_>,
    transactions: &[Arc<Transaction>],
    state: &R,
) -> Result<(), ReadError> {
    let targets: BTreeSet<Address> =
        transactions.iter().filter_map(|transaction| transaction.envelope().to()).collect();
    let missing: BTreeSet<B256> = targets.iter().filter_map(|target| cache.missing_code(target)).collect();
    for hash in missing {
        let code = state.code(&hash).await?;
        cache.supply_code(hash, code)?;
    }
    Ok(())
}
