//! Execute a block step by step, without waiting for anything.
//!
//! [`BlockRun`] decides everything about a block and never awaits: where it needs state that it does not have it says
//! so, is given it, and goes on where it was. Validation, proposal and tests drive the same steps.

use crate::{
    cache::{Cache, Miss},
    context::BlockContext,
    executor::Outcome,
    genesis,
    machine::{BlockEvm, Leniency, Machine, Stopped, commit, environment, transact},
    modules::Modules,
    rejection::TransactionRejection,
    roots::receipts_root,
    state::ReadError,
};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, Transaction as _, TxReceipt};
use alloy_eips::{
    eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS},
    eip4788::{BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS},
};
use alloy_primitives::{Address, Bloom, Bytes, Log, TxKind, U256};
use revm::context_interface::result::ExecutionResult;
use std::{collections::BTreeSet, sync::Arc};
use types::{ChainSpec, Transaction, state::StateKey};

/// Gas of the cheapest transaction.
pub(crate) const TRANSACTION_GAS_MIN: u64 = 21_000;

/// Gas that is spent on learning what the transactions after a miss are going to read.
const GUESS_GAS_MAX: u64 = 30_000_000;

/// What to do with a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Run it.
    Run,
    /// Leave it out.
    Skip,
    /// Leave it and all others out.
    Close,
}

/// Why a run over transactions ended; positions count from the first of those given.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There are no more.
    End,
    /// No more are wanted.
    Closed,
    /// The transaction needs state that is not in memory.
    Miss(usize, Miss),
    /// The transaction is invalid.
    Rejected(usize, TransactionRejection),
    /// The store failed.
    Read(ReadError),
}

/// How full the block is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fill {
    pub(crate) transactions: usize,
    pub(crate) bytes: usize,
    pub(crate) gas_left: u64,
    /// Whether the audit lane takes no more.
    pub(crate) lane_is_full: bool,
}

/// A block under execution.
pub(crate) struct BlockRun<'r> {
    machine: Machine,
    context: &'r BlockContext,
    pub(crate) cache: Cache<'r>,
    produced: Produced,
    system_logs: Vec<Log>,
}

/// The transactions that were run and their receipts.
#[derive(Default)]
struct Produced {
    transactions: Vec<Arc<Transaction>>,
    receipts: Vec<ReceiptEnvelope>,
    bytes: usize,
    /// Calldata in the audit lane.
    lane_bytes: u64,
    gas_used: u64,
}

impl Produced {
    fn fill(&self, context: &BlockContext) -> Fill {
        Fill {
            transactions: self.transactions.len(),
            bytes: self.bytes,
            gas_left: context.gas_limit.saturating_sub(self.gas_used),
            lane_is_full: self.lane_bytes >= context.lane_bytes,
        }
    }

    fn add(&mut self, transaction: &Arc<Transaction>, result: ExecutionResult) {
        self.gas_used += result.tx_gas_used();
        self.bytes += transaction.raw().len();
        if transaction.lane().is_some() {
            self.lane_bytes += transaction.envelope().input().len() as u64;
        }
        let receipt = Receipt {
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: self.gas_used,
            logs: if result.is_success() { result.into_logs() } else { Vec::new() },
        };
        self.receipts.push(ReceiptEnvelope::from_typed(transaction.envelope().tx_type(), receipt.with_bloom()));
        self.transactions.push(transaction.clone());
    }
}

/// A call that execution makes before the first transaction.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    to: Address,
    input: Bytes,
}

impl<'r> BlockRun<'r> {
    pub(crate) fn new(context: &'r BlockContext, modules: &Modules, cache: Cache<'r>) -> Self {
        Self {
            machine: Machine::new(context, modules),
            context,
            cache,
            produced: Produced::default(),
            system_logs: Vec::new(),
        }
    }

    /// What every block reads before its first transaction.
    pub(crate) fn opening_keys(&self, spec: &ChainSpec, modules: &Modules) -> BTreeSet<StateKey> {
        let accounts = [HISTORY_STORAGE_ADDRESS, BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS, self.context.beneficiary];
        let window = HISTORY_SERVE_WINDOW as u64;
        let time = self.context.timestamp_ms / 1000 % window;
        let slots = [
            StateKey::Slot(HISTORY_STORAGE_ADDRESS, U256::from(self.context.height.saturating_sub(1) % window)),
            StateKey::Slot(BEACON_ROOTS_ADDRESS, U256::from(time)),
            StateKey::Slot(BEACON_ROOTS_ADDRESS, U256::from(time + window)),
        ];
        let mut keys: BTreeSet<_> =
            accounts.iter().chain(modules.keys()).map(|address| StateKey::Account(*address)).chain(slots).collect();
        if self.context.height == genesis::FIRST_HEIGHT {
            keys.extend(genesis::keys(spec, modules));
        }
        keys
    }

    /// Lays the genesis state where this is the first block. Its keys must be in memory.
    pub(crate) fn lay_genesis(&mut self, spec: &ChainSpec, modules: &Modules) {
        if self.context.height == genesis::FIRST_HEIGHT {
            genesis::lay(&mut self.cache, spec, modules);
        }
    }

    /// The calls to make before the first transaction, in order.
    pub(crate) fn hooks(&self) -> [Hook; 3] {
        let parent = Bytes::copy_from_slice(self.context.parent_hash.as_slice());
        let (module, input) = protocol::begin_block_input(self.context.beacon.as_ref());
        [
            Hook { to: HISTORY_STORAGE_ADDRESS, input: parent.clone() },
            Hook { to: BEACON_ROOTS_ADDRESS, input: parent },
            Hook { to: module, input },
        ]
    }

    /// Makes one of those calls. One that fails changes nothing, and the block goes on: the chain must not stand still
    /// because a module refuses.
    pub(crate) fn open(&mut self, hook: &Hook) -> Result<(), Stopped> {
        match self.machine.system_call(&mut self.cache, hook.to, hook.input.clone())? {
            ExecutionResult::Success { logs, .. } => self.system_logs.extend(logs),
            failure => tracing::error!(to = %hook.to, height = self.context.height, %failure, "a begin hook failed"),
        }
        Ok(())
    }

    /// What one of those calls seems to read that is not in memory.
    pub(crate) fn guess_opening(&mut self, hook: &Hook) -> BTreeSet<Miss> {
        self.machine.guess_system_call(&mut self.cache, hook.to, hook.input.clone())
    }

    /// Runs `transactions` until one cannot be run, asking `admit` about each. A transaction that needed state is
    /// asked about again.
    pub(crate) fn run(
        &mut self,
        transactions: &[Arc<Transaction>],
        admit: &mut dyn FnMut(Fill, &Transaction) -> Admission,
    ) -> Stop {
        let mut evm = self.machine.evm(&mut self.cache);
        for (index, transaction) in transactions.iter().enumerate() {
            let fill = self.produced.fill(self.context);
            match admit(fill, transaction) {
                Admission::Run => {}
                Admission::Skip => continue,
                Admission::Close => return Stop::Closed,
            }
            match execute(&mut evm, transaction, self.context, fill) {
                Ok(result) => self.produced.add(transaction, result),
                // The EVM is dropped with the error that may be left behind in it.
                Err(Stopped::Miss(miss)) => return Stop::Miss(index, miss),
                Err(Stopped::Rejected(rejection)) => return Stop::Rejected(index, rejection),
                Err(Stopped::Read(error)) => return Stop::Read(error),
            }
        }
        Stop::End
    }

    /// What `transactions` seem to read that is not in memory: found by running them with nothing in its place.
    pub(crate) fn guess(&mut self, transactions: &[Arc<Transaction>]) -> BTreeSet<Miss> {
        self.cache.start_guessing();
        let machine = self.machine.lenient(Leniency::Guess);
        let mut evm = machine.evm(&mut self.cache);
        let mut gas = 0u64;
        for (index, transaction) in transactions.iter().enumerate() {
            gas = gas.saturating_add(transaction.envelope().gas_limit());
            if index > 0 && gas > GUESS_GAS_MAX {
                break;
            }
            set_price(&mut evm, transaction, self.context);
            // Nothing is committed, and neither results nor rejections mean anything.
            let _ = transact(&mut evm, environment(transaction));
            discard(&mut evm);
        }
        drop(evm);
        self.cache.stop_guessing()
    }

    /// The transactions that were run, and what came of them.
    pub(crate) fn finish(self) -> (Vec<Arc<Transaction>>, Outcome) {
        let Produced { transactions, receipts, gas_used, .. } = self.produced;
        let mut logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
        self.system_logs.iter().for_each(|log| logs_bloom.accrue_log(log));
        let outcome = Outcome {
            receipts_root: receipts_root(&receipts),
            logs_bloom,
            gas_used,
            changes: self.cache.changes(),
            code: self.cache.new_code(),
            system_logs: self.system_logs,
            receipts,
        };
        (transactions, outcome)
    }
}

/// Runs one transaction and commits it.
fn execute(
    evm: &mut BlockEvm<'_, '_>,
    transaction: &Transaction,
    context: &BlockContext,
    fill: Fill,
) -> Result<ExecutionResult, Stopped> {
    let gas_limit = transaction.envelope().gas_limit();
    if gas_limit > fill.gas_left {
        return Err(Stopped::Rejected(TransactionRejection::BlockGasExceeded { gas_limit, left: fill.gas_left }));
    }
    let is_free = set_price(evm, transaction, context);
    if is_free && fill.lane_is_full {
        return Err(Stopped::Rejected(TransactionRejection::LaneFull));
    }
    let result = transact(evm, environment(transaction))?;
    if is_free && !result.is_success() {
        discard(evm);
        return Err(Stopped::Rejected(TransactionRejection::LaneFailed));
    }
    commit(evm);
    Ok(result)
}

/// Lets gas cost nothing for a transaction of the audit lane, and the base fee for any other; says which it is.
fn set_price(evm: &mut BlockEvm<'_, '_>, transaction: &Transaction, context: &BlockContext) -> bool {
    let is_free = context.lane_bytes > 0 && transaction.lane().is_some();
    evm.ctx.block.basefee = if is_free { 0 } else { context.base_fee_per_gas };
    is_free
}

/// Forgets what the last message changed.
fn discard(evm: &mut BlockEvm<'_, '_>) {
    let _ = revm::ExecuteEvm::finalize(evm);
}

/// The entries that transactions read whatever they do, without duplicates.
pub(crate) fn transaction_keys<'a>(transactions: impl IntoIterator<Item = &'a Arc<Transaction>>) -> Vec<StateKey> {
    let mut keys = Vec::new();
    for transaction in transactions {
        keys.push(StateKey::Account(transaction.sender()));
        if let TxKind::Call(to) = transaction.envelope().kind() {
            keys.push(StateKey::Account(to));
        }
        for item in transaction.envelope().access_list().into_iter().flat_map(|list| list.iter()) {
            keys.push(StateKey::Account(item.address));
            keys.extend(item.storage_keys.iter().map(|slot| StateKey::Slot(item.address, (*slot).into())));
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}
