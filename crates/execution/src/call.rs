//! Answer calls and estimate gas without a transaction.

use crate::{
    cache::Cache,
    context::BlockContext,
    executor::{Executor, fetch, fetch_keys},
    machine::{Leniency, Machine, Stopped, transact},
    rejection::TransactionRejection,
    state::{ReadError, StateReader},
};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use revm::{
    context::TxEnv,
    context_interface::result::{ExecutionResult, HaltReason},
};
use types::state::StateKey;

/// Most gas that a call may use, whatever it asks for.
pub const CALL_GAS_MAX: u64 = 50_000_000;

/// An estimate is at most this part of itself above what is needed.
const ESTIMATE_TOLERANCE: u64 = 64;

/// A message to run on a state, as of `eth_call`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// The caller; need not have a key, nor be without code.
    pub from: Address,
    /// The account that is called; none deploys `data`.
    pub to: Option<Address>,
    /// Gas limit; none stands for as much as there can be.
    pub gas: Option<u64>,
    /// Price that the callee sees, or the most that it may be where there is a priority fee, wei.
    pub gas_price: Option<u128>,
    /// EIP-1559 priority fee, wei.
    pub priority_fee: Option<u128>,
    /// Wei sent along; the caller need not have it.
    pub value: U256,
    /// Input, or deployment code.
    pub data: Bytes,
    /// Entries to charge for in advance (EIP-2930).
    pub access_list: AccessList,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// It returned.
    Success,
    /// It reverted; the output is the reason.
    Revert,
    /// It could not go on.
    Halt(HaltReason),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// Returned data, deployed code, or the reason of a revert.
    pub output: Bytes,
    /// Gas that a transaction would have paid for.
    pub gas_used: u64,
    /// How it ended.
    pub status: CallStatus,
    /// What it logged.
    pub logs: Vec<Log>,
}

/// Why a call was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It asks for something that no transaction can do.
    #[error(transparent)]
    Rejected(#[from] TransactionRejection),
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why there is no estimate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// It reverts with any gas.
    #[error("the call reverts")]
    Reverted { output: Bytes },
    /// It fails with as much gas as it can get.
    #[error("the call fails with {gas_limit} gas: {reason}")]
    Failed { gas_limit: u64, reason: HaltReason },
    /// It was not run.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ReadError> for EstimateError {
    fn from(error: ReadError) -> Self {
        Self::Call(error.into())
    }
}

impl Executor {
    /// Runs `request` on `state`, in the block of `context`; keeps nothing.
    pub async fn call<R: StateReader>(
        &self,
        context: &BlockContext,
        request: CallRequest,
        state: &R,
    ) -> Result<CallOutcome, CallError> {
        let gas_limit = request.gas.unwrap_or(CALL_GAS_MAX).min(CALL_GAS_MAX);
        let mut bench = Bench::new(self, context, &request, state).await?;
        let result = bench.run(gas_limit).await?;
        Ok(outcome(result))
    }

    /// The gas limit that a transaction like `request` needs, to within a sixty-fourth.
    pub async fn estimate_gas<R: StateReader>(
        &self,
        context: &BlockContext,
        request: CallRequest,
        state: &R,
    ) -> Result<u64, EstimateError> {
        let mut bench = Bench::new(self, context, &request, state).await?;
        let cap = bench.gas_limit_max(context, &request);
        let most = match bench.run(cap).await? {
            ExecutionResult::Revert { output, .. } => return Err(EstimateError::Reverted { output }),
            ExecutionResult::Halt { reason, .. } => return Err(EstimateError::Failed { gas_limit: cap, reason }),
            success => success,
        };
        // Below this the same run would have been out of gas.
        let mut too_little = most.tx_gas_used().saturating_sub(1);
        let mut enough = cap;
        // A call keeps a sixty-fourth of the gas to itself and refunds come last, so a little more than what was spent
        // is nearly always enough: try that first.
        let spent = most.gas().total_gas_spent().max(most.tx_gas_used());
        let mut guess = spent.saturating_add(2_300).saturating_mul(64) / 63;
        if spent == most.tx_gas_used() && bench.succeeds(spent).await? {
            return Ok(spent);
        }
        while too_little.saturating_add(enough / ESTIMATE_TOLERANCE) < enough {
            let limit = guess.clamp(too_little.saturating_add(1), enough.saturating_sub(1));
            match bench.succeeds(limit).await? {
                true => enough = limit,
                false => too_little = limit,
            }
            guess = too_little / 2 + enough / 2;
        }
        Ok(enough)
    }
}

/// A call over a cache that later runs of it find filled.
struct Bench<'r, R> {
    machine: Machine,
    cache: Cache<'r>,
    message: TxEnv,
    state: &'r R,
}

impl<'r, R: StateReader> Bench<'r, R> {
    async fn new(
        executor: &Executor,
        context: &BlockContext,
        request: &CallRequest,
        state: &'r R,
    ) -> Result<Self, CallError> {
        let machine = Machine::new(context, executor.modules()).lenient(Leniency::Call);
        let mut cache = executor.cache(state);
        let accounts = [Some(request.from), request.to, Some(context.beneficiary)];
        fetch_keys(&mut cache, accounts.into_iter().flatten().map(StateKey::Account), state).await?;
        Ok(Self { machine, cache, message: message(request, context.chain_id)?, state })
    }

    async fn run(&mut self, gas_limit: u64) -> Result<ExecutionResult, CallError> {
        loop {
            let stopped = {
                let mut evm = self.machine.evm(&mut self.cache);
                match transact(&mut evm, TxEnv { gas_limit, ..self.message.clone() }) {
                    Ok(result) => return Ok(result),
                    Err(stopped) => stopped,
                }
            };
            match stopped {
                Stopped::Miss(miss) => fetch(&mut self.cache, [miss].into(), self.state).await?,
                Stopped::Read(error) => return Err(error.into()),
                Stopped::Rejected(rejection) => return Err(rejection.into()),
            }
        }
    }

    /// Whether the call succeeds with `gas_limit`; too little to begin with counts as failing.
    async fn succeeds(&mut self, gas_limit: u64) -> Result<bool, CallError> {
        match self.run(gas_limit).await {
            Ok(result) => Ok(result.is_success()),
            Err(CallError::Rejected(TransactionRejection::GasLimitTooLow { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The most gas that a transaction like `request` could have.
    fn gas_limit_max(&self, context: &BlockContext, request: &CallRequest) -> u64 {
        let cap = alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA.min(context.gas_limit);
        let cap = request.gas.unwrap_or(cap).min(cap);
        let price = U256::from(request.gas_price.unwrap_or_default());
        let balance = self.cache.account(&request.from).map(|account| account.balance).unwrap_or_default();
        match balance.saturating_sub(request.value).checked_div(price) {
            Some(affordable) => cap.min(affordable.saturating_to()),
            None => cap,
        }
    }
}

fn message(request: &CallRequest, chain_id: u64) -> Result<TxEnv, TransactionRejection> {
    let price = request.gas_price.unwrap_or_default();
    // What it would cost must be a number, as the EVM takes for granted.
    let cost = U256::from(price).checked_mul(U256::from(u64::MAX)).and_then(|gas| gas.checked_add(request.value));
    if cost.is_none() {
        return Err(TransactionRejection::Overflow);
    }
    let mut message = TxEnv {
        caller: request.from,
        gas_price: price,
        gas_priority_fee: request.priority_fee,
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.data.clone(),
        access_list: request.access_list.clone(),
        chain_id: Some(chain_id),
        ..Default::default()
    };
    // There are neither blobs nor authorizations, which is all that this can refuse.
    let _ = message.derive_tx_type();
    Ok(message)
}

fn outcome(result: ExecutionResult) -> CallOutcome {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            CallOutcome { output: output.into_data(), gas_used, status: CallStatus::Success, logs }
        }
        ExecutionResult::Revert { output, .. } => {
            CallOutcome { output, gas_used, status: CallStatus::Revert, logs: Vec::new() }
        }
        ExecutionResult::Halt { reason, .. } => {
            CallOutcome { output: Bytes::new(), gas_used, status: CallStatus::Halt(reason), logs: Vec::new() }
        }
    }
}
