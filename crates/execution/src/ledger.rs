//! Give modules the journal of the running transaction, at the prices of the opcodes they stand for.

use crate::modules::Modules;
use alloy_primitives::{Address, Bytes, Log, LogData, U256};
use protocol::{BlockFacts, Error, Fault, Ledger, words};
use revm::{
    context_interface::{ContextTr, Host, JournalTr, cfg::gas::LOG, context::ContextError, host::LoadError},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
};

/// How deep modules may call each other. None needs more than two; the stack they run on is the node's own.
const DEPTH_MAX: usize = 8;

/// Who called a module, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    module: Address,
    caller: Address,
    value: U256,
    is_static: bool,
    gas_limit: u64,
    reservoir: u64,
    depth: usize,
}

impl Call {
    /// The call of a contract or account.
    pub(crate) fn of(inputs: &CallInputs) -> Self {
        Self {
            module: inputs.target_address,
            caller: inputs.caller,
            value: inputs.call_value(),
            is_static: inputs.is_static,
            gas_limit: inputs.gas_limit,
            reservoir: inputs.reservoir,
            depth: 0,
        }
    }
}

/// A [`Ledger`] on the journal of the transaction that runs.
///
/// The frame around the call has opened a checkpoint in the journal and moved the value; it commits or reverts by what
/// [`finish`](Self::finish) says. A fault is remembered: every operation after it fails too, and a module that ignores
/// it fails all the same.
pub(crate) struct JournalLedger<'a, CTX> {
    context: &'a mut CTX,
    modules: &'a Modules,
    facts: BlockFacts,
    call: Call,
    gas: Gas,
    fault: Option<Fault>,
}

impl<'a, CTX: ContextTr> JournalLedger<'a, CTX> {
    pub(crate) fn new(context: &'a mut CTX, modules: &'a Modules, facts: BlockFacts, call: Call) -> Self {
        let gas = Gas::new_with_regular_gas_and_reservoir(call.gas_limit, call.reservoir);
        // The journal reports slots of an account that it has not loaded as out of gas. A frame has loaded it, a call
        // from another module has not.
        let loaded = context.load_account_info_skip_cold_load(call.module, false, false).is_ok();
        Self { context, modules, facts, call, gas, fault: (!loaded).then_some(Fault::Database) }
    }

    /// The outcome for the frame that made the call. A fault counts even where the module ignored it.
    pub(crate) fn finish(mut self, result: Result<Bytes, Error>) -> InterpreterResult {
        let (status, output) = match (self.fault, result) {
            (Some(fault), _) => (halt(fault), Bytes::new()),
            (None, Ok(output)) => (InstructionResult::Return, output),
            (None, Err(Error::Revert(reason))) => (InstructionResult::Revert, reason),
            // The module made it up: revm must not see a database fault without the database's error.
            (None, Err(Error::Fault(_))) => (InstructionResult::PrecompileError, Bytes::new()),
        };
        if status.is_halt() {
            self.gas.spend_all();
        }
        InterpreterResult::new(status, output, self.gas)
    }

    fn fail<T>(&mut self, fault: Fault) -> Result<T, Fault> {
        Err(*self.fault.get_or_insert(fault))
    }

    /// The fault of a failed load. The context has put the database's error where the handler looks for it.
    fn load_error<T>(&mut self, error: LoadError) -> Result<T, Fault> {
        self.fail(match error {
            LoadError::ColdLoadSkipped => Fault::OutOfGas,
            LoadError::DBError => Fault::Database,
        })
    }

    fn going(&self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    fn writable(&mut self) -> Result<(), Fault> {
        self.going()?;
        if self.call.is_static { self.fail(Fault::StaticCall) } else { Ok(()) }
    }

    /// Runs `module` in a checkpoint of its own, on this call's gas.
    fn call_module(&mut self, module: Address, input: &[u8]) -> Result<Bytes, Error> {
        let modules = self.modules;
        let Some(callee) = modules.get(&module).filter(|_| self.call.depth < DEPTH_MAX) else {
            return Err(Error::Revert(Bytes::new()));
        };
        let checkpoint = self.context.journal_mut().checkpoint();
        let call = Call {
            module,
            caller: self.call.module,
            value: U256::ZERO,
            gas_limit: self.gas.remaining(),
            reservoir: self.gas.reservoir(),
            depth: self.call.depth + 1,
            ..self.call
        };
        let mut ledger = JournalLedger::new(self.context, modules, self.facts, call);
        ledger.gas = self.gas;
        // As for the target of any call: what an untouched account wrote would be dropped.
        ledger.context.journal_mut().touch_account(module);
        let result = callee.call(&mut ledger, input);
        let JournalLedger { gas, fault, .. } = ledger;
        let refunded = self.gas.refunded();
        self.gas = gas;
        self.fault = fault;
        let journal = self.context.journal_mut();
        match (fault, result) {
            (None, Ok(output)) => {
                journal.checkpoint_commit();
                Ok(output)
            }
            (fault, result) => {
                journal.checkpoint_revert(checkpoint);
                self.gas.set_refund(refunded);
                match (fault, result) {
                    (Some(fault), _) => Err(fault.into()),
                    (None, Err(Error::Revert(reason))) => Err(Error::Revert(reason)),
                    // Made up by the callee: a refusal without a reason.
                    (None, _) => Err(Error::Revert(Bytes::new())),
                }
            }
        }
    }
}

fn halt(fault: Fault) -> InstructionResult {
    match fault {
        Fault::OutOfGas => InstructionResult::PrecompileOOG,
        Fault::StaticCall => InstructionResult::StateChangeDuringStaticCall,
        Fault::Insolvent => InstructionResult::Revert,
        // The error itself is in the context, and the handler returns it before it looks at this.
        Fault::Database => InstructionResult::FatalExternalError,
    }
}

impl<CTX: ContextTr> Ledger for JournalLedger<'_, CTX> {
    fn block(&self) -> BlockFacts {
        self.facts
    }

    fn caller(&self) -> Address {
        self.call.caller
    }

    fn value(&self) -> U256 {
        self.call.value
    }

    fn is_static(&self) -> bool {
        self.call.is_static
    }

    fn charge_gas(&mut self, gas: u64) -> Result<(), Fault> {
        self.going()?;
        if self.gas.record_regular_cost(gas) { Ok(()) } else { self.fail(Fault::OutOfGas) }
    }

    // The opcodes' order, here and below: the warm price first, then the load, skipped where its price cannot be paid,
    // then what the load turned out to cost.
    fn sload(&mut self, slot: U256) -> Result<U256, Fault> {
        let prices = self.context.gas_params();
        let (warm, cold) = (prices.warm_storage_read_cost(), prices.cold_storage_additional_cost());
        self.charge_gas(warm)?;
        let skip = self.gas.remaining() < cold;
        let load = match self.context.sload_skip_cold_load(self.call.module, slot, skip) {
            Ok(load) => load,
            Err(error) => return self.load_error(error),
        };
        if load.is_cold {
            self.charge_gas(cold)?;
        }
        Ok(load.data)
    }

    fn sstore(&mut self, slot: U256, value: U256) -> Result<(), Fault> {
        self.writable()?;
        let prices = self.context.gas_params();
        let (stipend, warm, cold) = (prices.call_stipend(), prices.sstore_static_gas(), prices.cold_storage_cost());
        // EIP-2200: nothing is written on a mere stipend.
        if self.gas.remaining() <= stipend {
            return self.fail(Fault::OutOfGas);
        }
        self.charge_gas(warm)?;
        let skip = self.gas.remaining() < cold;
        let load = match self.context.sstore_skip_cold_load(self.call.module, slot, value, skip) {
            Ok(load) => load,
            Err(error) => return self.load_error(error),
        };
        let prices = self.context.gas_params();
        let (dynamic, refund) =
            (prices.sstore_dynamic_gas(true, &load.data, load.is_cold), prices.sstore_refund(true, &load.data));
        self.charge_gas(dynamic)?;
        self.gas.record_refund(refund);
        Ok(())
    }

    fn transfer(&mut self, to: Address, amount: U256) -> Result<(), Fault> {
        self.writable()?;
        let prices = self.context.gas_params();
        let (value, warm) = (prices.transfer_value_cost(), prices.warm_storage_read_cost());
        let (cold, new) = (prices.cold_account_additional_cost(), prices.new_account_cost(true, !amount.is_zero()));
        // A call with value costs this less its stipend, which nobody gets here.
        let stipend = prices.call_stipend();
        let moved = if amount.is_zero() { 0 } else { value.saturating_sub(stipend) };
        self.charge_gas(warm.saturating_add(moved))?;
        let skip = self.gas.remaining() < cold;
        let (is_cold, is_empty) = match self.context.load_account_info_skip_cold_load(to, false, skip) {
            Ok(load) => (load.is_cold, load.is_empty),
            Err(error) => return self.load_error(error),
        };
        if is_cold {
            self.charge_gas(cold)?;
        }
        if is_empty && !amount.is_zero() {
            self.charge_gas(new)?;
        }
        match self.context.journal_mut().transfer(self.call.module, to, amount) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => self.fail(Fault::Insolvent),
            Err(error) => {
                *self.context.error() = Err(ContextError::Db(error));
                self.fail(Fault::Database)
            }
        }
    }

    fn emit_log(&mut self, log: LogData) -> Result<(), Fault> {
        self.writable()?;
        let topics = u8::try_from(log.topics().len()).unwrap_or(u8::MAX);
        let price = self.context.gas_params().log_cost(topics, log.data.len() as u64);
        self.charge_gas(price.saturating_add(LOG))?;
        self.context.log(Log { address: self.call.module, data: log });
        Ok(())
    }

    fn call(&mut self, module: Address, input: &[u8]) -> Result<Bytes, Error> {
        self.going()?;
        // Modules are warm, like precompiles.
        let warm = self.context.gas_params().warm_storage_read_cost();
        self.charge_gas(warm.saturating_add(entry_gas(input.len())))?;
        self.call_module(module, input)
    }
}

/// What a call costs before its module sees it.
pub(crate) fn entry_gas(input_bytes: usize) -> u64 {
    const BASE: u64 = 100;
    words(input_bytes).saturating_mul(3).saturating_add(BASE)
}
