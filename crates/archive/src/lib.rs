//! Keep blocks, receipts and logs where they can be found.
//!
//! The archive is off the consensus path: `chain` appends finalised blocks with their outcomes, RPC reads. It can be
//! deleted, and is rebuilt by appending again. Beside blocks it keeps the latest state flat and, for a window of recent
//! heights, what each block overwrote, so that calls run on any height of the window.
//!
//! # Invariants
//! - A block is there with everything that belongs to it, or not at all, whatever happens to process or machine: one
//!   atomic batch per block, all tables in one log-structured tree. The last blocks may be lost with the machine's
//!   power; they are appended again.
//! - Blocks follow each other without gaps, each on its parent's hash. One that is there already is not written again.
//! - Reads see one height, however long they take.
//!
//! Reads and writes block the thread for as long as a look into a memory-mapped index takes, tens of microseconds per
//! entry, and are meant to be called from async code as they are; an append takes about as long as a block's execution.

mod append;
mod archive;
mod error;
mod logs;
mod read;
mod record;
mod state;
mod table;

pub use archive::{Archive, ArchiveConfig, Head};
pub use error::{ArchiveError, StateError};
pub use logs::{LogFilter, LogsError};
pub use read::LocatedTransaction;
pub use record::{Finalized, LogRecord};
pub use state::StateView;

#[cfg(test)]
mod tests;
