//! Build an EVM with the protocol's modules and run one message in it.

use crate::{
    cache::{Cache, CacheError, Miss},
    context::BlockContext,
    modules::{Modules, Precompiles},
    rejection::TransactionRejection,
    state::ReadError,
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip4788::SYSTEM_ADDRESS;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    Context, DatabaseCommit, ExecuteEvm, MainBuilder, MainContext,
    context::{BlockEnv, CfgEnv, ContextSetters, Evm, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction},
    handler::{EthFrame, Handler, MainnetContext, MainnetHandler, instructions::EthInstructions},
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};
use std::collections::BTreeSet;
use types::Transaction;

/// Ethereum's rules that apply.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

/// Gas of a system call (EIP-2935, EIP-4788); the block's begin hook has the same.
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// An EVM over a block's cache.
///
/// It cannot be sent between threads and must be dropped after an error: a failed load may leave its error behind in
/// the context, where the next transaction would find it.
pub(crate) type BlockEvm<'c, 'r> = Evm<
    MainnetContext<&'c mut Cache<'r>>,
    (),
    EthInstructions<EthInterpreter, MainnetContext<&'c mut Cache<'r>>>,
    Precompiles,
    EthFrame<EthInterpreter>,
>;

type MachineError = EVMError<CacheError, InvalidTransaction>;

/// Why a message did not run to an end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// State has to be fetched first.
    Miss(Miss),
    /// The store failed.
    Read(ReadError),
    /// The transaction is invalid.
    Rejected(TransactionRejection),
}

/// Which checks a message is excused from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leniency {
    /// None: it is part of a block.
    Block,
    /// That of the nonce: transactions before it have not been run.
    Guess,
    /// All that ask who pays and how much.
    Call,
}

/// The rules and the block that messages run under.
#[derive(Clone)]
pub(crate) struct Machine {
    config: CfgEnv,
    block: BlockEnv,
    precompiles: Precompiles,
}

impl Machine {
    pub(crate) fn new(context: &BlockContext, modules: &Modules) -> Self {
        let block = BlockEnv {
            number: U256::from(context.height),
            beneficiary: context.beneficiary,
            timestamp: U256::from(context.timestamp_ms / 1000),
            gas_limit: context.gas_limit,
            basefee: context.base_fee_per_gas,
            prevrandao: Some(context.prevrandao),
            ..Default::default()
        };
        Self {
            config: CfgEnv::new_with_spec(SPEC).with_chain_id(context.chain_id),
            block,
            precompiles: Precompiles::new(modules.clone(), context),
        }
    }

    /// The same machine with some checks off.
    pub(crate) fn lenient(&self, leniency: Leniency) -> Self {
        let mut machine = self.clone();
        let config = &mut machine.config;
        config.disable_nonce_check = leniency != Leniency::Block;
        if leniency == Leniency::Call {
            config.disable_balance_check = true;
            config.disable_base_fee = true;
            config.disable_block_gas_limit = true;
            config.disable_eip3607 = true;
            config.tx_gas_limit_cap = Some(u64::MAX);
        }
        machine
    }

    pub(crate) fn evm<'c, 'r>(&self, cache: &'c mut Cache<'r>) -> BlockEvm<'c, 'r> {
        Context::mainnet()
            .with_db(cache)
            .with_cfg(self.config.clone())
            .with_block(self.block.clone())
            .build_mainnet()
            .with_precompiles(self.precompiles.clone())
    }

    /// Calls `to` as the system, outside of any transaction, and commits what it changed.
    pub(crate) fn system_call(
        &self,
        cache: &mut Cache<'_>,
        to: Address,
        input: Bytes,
    ) -> Result<ExecutionResult, Stopped> {
        let mut evm = self.evm(cache);
        let result = call_as_system(&mut evm, to, input)?;
        commit(&mut evm);
        Ok(result)
    }

    /// What such a call seems to read that is not in memory: found by making it with nothing in its place.
    pub(crate) fn guess_system_call(&self, cache: &mut Cache<'_>, to: Address, input: Bytes) -> BTreeSet<Miss> {
        cache.start_guessing();
        // Nothing is committed, and the result means nothing.
        let _ = call_as_system(&mut self.evm(cache), to, input);
        cache.stop_guessing()
    }
}

fn call_as_system(evm: &mut BlockEvm<'_, '_>, to: Address, input: Bytes) -> Result<ExecutionResult, Stopped> {
    evm.ctx.set_tx(TxEnv {
        caller: SYSTEM_ADDRESS,
        kind: TxKind::Call(to),
        gas_limit: SYSTEM_CALL_GAS,
        data: input,
        ..Default::default()
    });
    let mut handler = MainnetHandler::<_, MachineError, EthFrame<EthInterpreter>>::default();
    handler.run_system_call(evm).map_err(|error| stopped(error, SYSTEM_CALL_GAS))
}

/// Runs a transaction; what it changed waits in the journal for [`commit`].
pub(crate) fn transact(evm: &mut BlockEvm<'_, '_>, transaction: TxEnv) -> Result<ExecutionResult, Stopped> {
    let gas_limit = transaction.gas_limit;
    evm.transact_one(transaction).map_err(|error| {
        // The journal may hold accounts that were loaded; the database may not be the one it loads from next time.
        let _ = evm.finalize();
        stopped(error, gas_limit)
    })
}

/// Moves what the last message changed into the cache.
pub(crate) fn commit(evm: &mut BlockEvm<'_, '_>) {
    let state = evm.finalize();
    evm.ctx.journaled_state.database.commit(state);
}

fn stopped(error: MachineError, gas_limit: u64) -> Stopped {
    match error {
        EVMError::Database(CacheError::Miss(miss)) => Stopped::Miss(miss),
        EVMError::Database(CacheError::Read(error)) => Stopped::Read(error),
        EVMError::Transaction(error) => Stopped::Rejected(TransactionRejection::of(error, gas_limit)),
        // Nothing in here makes these: headers have what they need, and modules answer with results.
        EVMError::Header(_) | EVMError::Custom(_) | EVMError::CustomAny(_) => {
            Stopped::Read(ReadError(format!("the EVM failed: {error}")))
        }
    }
}

/// What the EVM needs of a transaction.
pub(crate) fn environment(transaction: &Transaction) -> TxEnv {
    let envelope = transaction.envelope();
    let authorizations = envelope.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: transaction.sender(),
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(revm::context_interface::either::Either::Left).collect(),
        ..Default::default()
    }
}
