//! Name what can go wrong with the archive.

use alloy_primitives::B256;

/// Why the archive could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk's fault. Stop using the archive.
    #[error("the archive's store failed: {0}")]
    Store(#[from] fjall::Error),
    /// The disk's fault: what was read is not what was written. Delete the archive; it is rebuilt.
    #[error("the archive is damaged ({0}): delete it, it is rebuilt from the chain")]
    Damaged(&'static str),
    /// Another process has it open.
    #[error("the archive is in use by another process")]
    Locked,
    /// It was written by another version.
    #[error(
        "the archive has format {found}, this version reads {}: delete it, it is rebuilt from the chain",
        crate::table::FORMAT
    )]
    Format { found: u32 },
    /// It belongs to another chain.
    #[error("the archive is of chain {found}, not {expected}: choose another folder")]
    ForeignChain { found: u64, expected: u64 },
    /// The caller left blocks out.
    #[error("cannot append block {height}: the next one is {next}")]
    Gap { height: u64, next: u64 },
    /// The block is on another branch.
    #[error("cannot append block {height}: its parent is {parent}, the archive's last block is {tip}")]
    WrongParent { height: u64, parent: B256, tip: B256 },
    /// Another block of this height is in the archive.
    #[error("block {height} is {archived} in the archive, not {hash}: finalised blocks do not change")]
    Conflict { height: u64, hash: B256, archived: B256 },
    /// Block and outcome do not belong together.
    #[error("the outcome is not that of block {height}: {what} differ")]
    WrongOutcome { height: u64, what: &'static str },
}

/// Why there is no state for a height.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is no longer kept.
    #[error("the state of height {height} is pruned, the oldest is {oldest}")]
    Pruned { height: u64, oldest: u64 },
    /// It is not there yet.
    #[error("there is no block {height} yet")]
    Unknown { height: u64 },
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<fjall::Error> for StateError {
    fn from(error: fjall::Error) -> Self {
        Self::Archive(error.into())
    }
}
