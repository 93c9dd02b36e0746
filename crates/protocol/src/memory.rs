//! Run the modules on a world in memory: for tests, and for programs that want the rules without a chain.
//!
//! Gas is counted as the EVM of the Osaka rules counts it, without refunds and without the price of a transaction.

use crate::{BlockFacts, Error, Fault, Ledger, Module, Result, words};
use alloy_primitives::{Address, Bytes, Log, LogData, U256};
use std::collections::{BTreeMap, BTreeSet};

/// Modules by address.
pub type Modules = BTreeMap<Address, Box<dyn Module>>;

/// Balances, storage and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Facts about the block that calls run in.
    pub block: BlockFacts,
    /// Wei by account; a zero is no entry.
    pub balances: BTreeMap<Address, U256>,
    /// Slots by account; a zero is no entry.
    pub storage: BTreeMap<(Address, U256), U256>,
    /// Logs in order.
    pub logs: Vec<Log>,
}

/// A call to a module from outside.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Who calls.
    pub from: Address,
    /// The module.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Whether nothing may be written.
    pub is_static: bool,
    /// Gas limit.
    pub gas: u64,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The answer.
    pub result: Result<Bytes>,
    /// Gas used.
    pub gas_used: u64,
}

impl World {
    /// An account's balance.
    pub fn balance(&self, account: Address) -> U256 {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Calls a module as the EVM would: the value moves first, and a failure undoes everything.
    pub fn call(&mut self, modules: &Modules, request: &Request, input: &[u8]) -> Response {
        let mut run = Run::new(self, modules, request.gas);
        let result = run.enter(request, input);
        let result = run.fault.map_or(result, |fault| Err(fault.into()));
        if result.is_err() {
            run.revert(0);
        }
        run.response(request, result)
    }

    /// Calls a module and undoes everything.
    pub fn try_call(&mut self, modules: &Modules, request: &Request, input: &[u8]) -> Response {
        let mut run = Run::new(self, modules, request.gas);
        let result = run.enter(request, input);
        let result = run.fault.map_or(result, |fault| Err(fault.into()));
        run.revert(0);
        run.response(request, result)
    }
}

/// One transaction.
struct Run<'a> {
    world: &'a mut World,
    modules: &'a Modules,
    gas: u64,
    fault: Option<Fault>,
    undo: Vec<Undo>,
    warm: BTreeSet<(Address, Option<U256>)>,
}

/// How to take one change back.
enum Undo {
    Balance(Address, U256),
    Slot(Address, U256, U256),
    Log,
}

/// The ledger that one module sees during one call.
struct MemoryLedger<'r, 'a> {
    run: &'r mut Run<'a>,
    module: Address,
    caller: Address,
    value: U256,
    is_static: bool,
}

impl<'a> Run<'a> {
    fn new(world: &'a mut World, modules: &'a Modules, gas: u64) -> Self {
        Run { world, modules, gas, fault: None, undo: Vec::new(), warm: BTreeSet::new() }
    }

    fn response(&self, request: &Request, result: Result<Bytes>) -> Response {
        let gas_used =
            if matches!(result, Err(Error::Fault(_))) { request.gas } else { request.gas.saturating_sub(self.gas) };
        Response { result, gas_used }
    }

    fn enter(&mut self, request: &Request, input: &[u8]) -> Result<Bytes> {
        let modules = self.modules;
        let module = modules.get(&request.to).ok_or_else(|| Error::Revert(Bytes::new()))?;
        self.charge(words(input.len()).saturating_mul(3).saturating_add(100))?;
        self.transfer(request.from, request.to, request.value)?;
        let Request { from: caller, to, value, is_static, .. } = *request;
        module.call(&mut MemoryLedger { run: self, module: to, caller, value, is_static }, input)
    }

    fn fail<T>(&mut self, fault: Fault) -> std::result::Result<T, Fault> {
        Err(*self.fault.get_or_insert(fault))
    }

    fn charge(&mut self, gas: u64) -> std::result::Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match self.gas.checked_sub(gas) {
            Some(left) => self.gas = left,
            None => return self.fail(Fault::OutOfGas),
        }
        Ok(())
    }

    fn transfer(&mut self, from: Address, to: Address, amount: U256) -> std::result::Result<(), Fault> {
        let Some(left) = self.world.balance(from).checked_sub(amount) else {
            return self.fail(Fault::Insolvent);
        };
        self.set_balance(from, left);
        let sum = self.world.balance(to).saturating_add(amount);
        self.set_balance(to, sum);
        Ok(())
    }

    fn set_balance(&mut self, account: Address, balance: U256) {
        self.undo.push(Undo::Balance(account, self.world.balance(account)));
        self.put_balance(account, balance);
    }

    fn put_balance(&mut self, account: Address, balance: U256) {
        if balance.is_zero() {
            self.world.balances.remove(&account);
        } else {
            self.world.balances.insert(account, balance);
        }
    }

    fn load(&self, module: Address, slot: U256) -> U256 {
        self.world.storage.get(&(module, slot)).copied().unwrap_or_default()
    }

    fn store(&mut self, module: Address, slot: U256, value: U256) {
        if value.is_zero() {
            self.world.storage.remove(&(module, slot));
        } else {
            self.world.storage.insert((module, slot), value);
        }
    }

    /// Takes back every change after the first `kept`.
    fn revert(&mut self, kept: usize) {
        for undo in self.undo.split_off(kept.min(self.undo.len())).into_iter().rev() {
            match undo {
                Undo::Balance(account, before) => self.put_balance(account, before),
                Undo::Slot(module, slot, before) => self.store(module, slot, before),
                Undo::Log => {
                    self.world.logs.pop();
                }
            }
        }
    }
}

impl MemoryLedger<'_, '_> {
    fn writable(&mut self) -> std::result::Result<(), Fault> {
        self.run.charge(0)?;
        if self.is_static { self.run.fail(Fault::StaticCall) } else { Ok(()) }
    }

    /// Whether this is the first touch.
    fn warms(&mut self, slot: U256) -> bool {
        self.run.warm.insert((self.module, Some(slot)))
    }
}

impl Ledger for MemoryLedger<'_, '_> {
    fn block(&self) -> BlockFacts {
        self.run.world.block
    }

    fn caller(&self) -> Address {
        self.caller
    }

    fn value(&self) -> U256 {
        self.value
    }

    fn is_static(&self) -> bool {
        self.is_static
    }

    fn charge_gas(&mut self, gas: u64) -> std::result::Result<(), Fault> {
        self.run.charge(gas)
    }

    fn sload(&mut self, slot: U256) -> std::result::Result<U256, Fault> {
        let gas = if self.warms(slot) { 2_100 } else { 100 };
        self.run.charge(gas)?;
        Ok(self.run.load(self.module, slot))
    }

    fn sstore(&mut self, slot: U256, value: U256) -> std::result::Result<(), Fault> {
        self.writable()?;
        let before = self.run.load(self.module, slot);
        let cold = if self.warms(slot) { 2_100 } else { 0 };
        let change = match (before == value, before.is_zero()) {
            (true, _) => 100,
            (false, true) => 20_000,
            (false, false) => 2_900,
        };
        self.run.charge(u64::saturating_add(cold, change))?;
        self.run.undo.push(Undo::Slot(self.module, slot, before));
        self.run.store(self.module, slot, value);
        Ok(())
    }

    fn transfer(&mut self, to: Address, amount: U256) -> std::result::Result<(), Fault> {
        self.writable()?;
        let cold = if self.run.warm.insert((to, None)) { 2_600 } else { 100 };
        let new = if self.run.world.balance(to).is_zero() { 25_000 } else { 0 };
        self.run.charge(u64::saturating_add(cold, new).saturating_add(6_700))?;
        self.run.transfer(self.module, to, amount)
    }

    fn emit_log(&mut self, log: LogData) -> std::result::Result<(), Fault> {
        self.writable()?;
        let topics = (log.topics().len() as u64).saturating_add(1).saturating_mul(375);
        self.run.charge((log.data.len() as u64).saturating_mul(8).saturating_add(topics))?;
        self.run.world.logs.push(Log { address: self.module, data: log });
        self.run.undo.push(Undo::Log);
        Ok(())
    }

    fn call(&mut self, module: Address, input: &[u8]) -> Result<Bytes> {
        let kept = self.run.undo.len();
        let request =
            Request { from: self.module, to: module, value: U256::ZERO, is_static: self.is_static, gas: self.run.gas };
        let result = self.run.enter(&request, input);
        if result.is_err() {
            self.run.revert(kept);
        }
        result
    }
}
