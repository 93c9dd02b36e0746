//! Execute a block: transactions in, receipts and changes out.
//!
//! The EVM is revm with Ethereum's rules of the Osaka fork. The protocol's modules are precompiles in it, on the
//! journal of the running transaction, so that a revert anywhere undoes them too. State is asked for through
//! [`StateReader`] and comes back as a sorted list of changes: where it is kept, and what commits to it, is `chain`'s
//! business.
//!
//! # Design
//! ```text
//! Executor  execute / build / call / estimate_gas     the only code that awaits: fetches what is missing
//!  └ BlockRun   hooks, then transactions, in order    decides, and says what it misses
//!     ├ Machine     revm with the rules and the block
//!     │   └ Precompiles → JournalLedger               modules on the journal
//!     └ Cache       what was read and written; the changes at the end
//! ```
//!
//! # Invariants
//! - An outcome depends on the block and the parent's state alone, not on what is cached or how often state was missed.
//! - Validation, proposal and calls run the same code.
//! - A block opens with the system calls of EIP-2935 and EIP-4788 (with the parent's hash as root), then the modules'
//!   hook. A hook that fails changes nothing.

mod cache;
mod call;
mod code;
mod context;
mod executor;
mod fees;
mod genesis;
mod ledger;
mod machine;
mod modules;
mod rejection;
mod roots;
mod run;
mod state;

pub use call::{CALL_GAS_MAX, CallError, CallOutcome, CallRequest, CallStatus, EstimateError};
pub use context::BlockContext;
pub use executor::{BuildLimits, Built, Executor, Outcome};
pub use fees::next_base_fee;
pub use rejection::{BlockError, TransactionRejection};
pub use revm::context_interface::result::HaltReason;
pub use roots::{receipts_root, recover_all, transactions_root};
pub use state::{ReadError, StateReader};

#[cfg(test)]
mod tests;
