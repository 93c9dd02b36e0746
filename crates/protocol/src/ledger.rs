//! Give a module what it may see and do: its own storage and balance, and facts about the block.

use alloy_primitives::{Address, B256, Bytes, LogData, U256, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent};

/// Facts about the block being executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockFacts {
    /// Blocks since genesis.
    pub height: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view in which the block was proposed.
    pub view: u64,
    /// Whether the epoch is about to end: no view is fixed for a beacon any more, as its seed might come too late to be
    /// brought by a block of the epoch, and whoever leads last could choose between it and another one.
    pub is_epoch_ending: bool,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The EVM's randomness; not a beacon that anything of value may hang on.
    pub prevrandao: B256,
}

/// A reason to abandon the call that no module can recover from. The ledger remembers the first one, so that a module
/// that ignores it fails all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The gas is used up.
    OutOfGas,
    /// A write was attempted inside a static call.
    StaticCall,
    /// The module's account holds less than it tried to transfer.
    Insolvent,
    /// The database could not answer; whoever drives the transaction abandons it, and retries it or not.
    Database,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The module refused; the caller gets these bytes and the gas that is left.
    Revert(Bytes),
    /// The call cannot go on.
    Fault(Fault),
}

/// What a module's method gives.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<E: SolError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Revert(error.abi_encode().into())
    }
}

impl Error {
    /// Whether the module refused with exactly this error.
    pub fn is<E: SolError>(&self, error: &E) -> bool {
        matches!(self, Self::Revert(data) if *data == error.abi_encode())
    }

    /// The refusal, if it is one of this kind.
    pub fn decode<E: SolError>(&self) -> Option<E> {
        match self {
            Self::Revert(data) => E::abi_decode(data).ok(),
            Self::Fault(_) => None,
        }
    }
}

/// The journal of one call, restricted to the account of the module that is called.
pub trait Ledger {
    /// The block being executed.
    fn block(&self) -> BlockFacts;
    /// The account, contract or module that called.
    fn caller(&self) -> Address;
    /// What the caller sent along; already in the module's balance.
    fn value(&self) -> U256;
    /// Whether nothing may be written.
    fn is_static(&self) -> bool;

    /// Takes gas for work that no other method prices.
    fn charge_gas(&mut self, gas: u64) -> std::result::Result<(), Fault>;
    /// Reads a slot of the module.
    fn sload(&mut self, slot: U256) -> std::result::Result<U256, Fault>;
    /// Writes a slot of the module.
    fn sstore(&mut self, slot: U256, value: U256) -> std::result::Result<(), Fault>;
    /// Moves `amount` out of the module's account; runs no code of the receiver.
    fn transfer(&mut self, to: Address, amount: U256) -> std::result::Result<(), Fault>;
    /// Emits a log of the module.
    fn emit_log(&mut self, log: LogData) -> std::result::Result<(), Fault>;
    /// Calls another module with no value; it sees the calling module as its caller. When it fails, all it wrote is
    /// undone.
    fn call(&mut self, module: Address, input: &[u8]) -> Result<Bytes>;

    /// Keccak-256 at the price of the opcode.
    fn keccak256(&mut self, data: &[u8]) -> std::result::Result<B256, Fault> {
        self.charge_gas(hash_gas(data.len()))?;
        Ok(keccak256(data))
    }
}

impl dyn Ledger + '_ {
    /// Emits an event declared by `sol!`.
    pub fn emit<E: SolEvent>(&mut self, event: &E) -> std::result::Result<(), Fault> {
        self.emit_log(event.encode_log_data())
    }

    /// Pays for `count` hashes of `bytes` bytes each.
    pub fn charge_hashes(&mut self, count: u64, bytes: usize) -> std::result::Result<(), Fault> {
        self.charge_gas(hash_gas(bytes).saturating_mul(count))
    }

    /// Calls a function of another module.
    pub fn call_module<C: SolCall>(&mut self, module: Address, call: &C) -> Result<C::Return> {
        let output = self.call(module, &call.abi_encode())?;
        // A module of this version answers what its interface says; anything else is a revert without a reason.
        C::abi_decode_returns(&output).map_err(|_| Error::Revert(Bytes::new()))
    }

    /// Keeps `due` of the call's value and gives the rest back to the caller.
    pub fn collect<E: SolError>(&mut self, due: U256, short: impl FnOnce(U256, U256) -> E) -> Result<()> {
        let paid = self.value();
        let excess = paid.checked_sub(due).ok_or_else(|| short(due, paid))?;
        self.pay(self.caller(), excess)
    }

    /// Transfers `amount`, unless it is zero.
    pub fn pay(&mut self, to: Address, amount: U256) -> Result<()> {
        if amount.is_zero() { Ok(()) } else { Ok(self.transfer(to, amount)?) }
    }
}

/// The number of 32-byte words that hold `bytes` bytes.
pub const fn words(bytes: usize) -> u64 {
    bytes.div_ceil(32) as u64
}

/// Gas of hashing `bytes` bytes: Keccak-256's price, for BLAKE3 as well.
pub const fn hash_gas(bytes: usize) -> u64 {
    words(bytes).saturating_mul(6).saturating_add(30)
}
