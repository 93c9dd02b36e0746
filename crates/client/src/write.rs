//! Write segments: seal, encode, stage at the members of a volume, collect receipts, commit.
//!
//! # Design
//! A [`Session`] is everything that one write needs to reach members and chain. [`Allocator`] chooses volumes and keeps
//! the leases, `stage` hands fragments out, `commit` turns staged segments into stripes of the chain, and [`Assembler`]
//! packs sealed bytes into segments and keeps several of them on their way within a bound of memory.

mod allocator;
mod assembler;
mod commit;
mod encode;
mod memory;
mod stage;

pub(crate) use allocator::Allocator;
pub(crate) use assembler::{Assembler, Place};
pub(crate) use commit::{CommitError, Committed};
pub(crate) use encode::{Chunk, Filled};
pub(crate) use memory::Memory;
pub(crate) use stage::Staged;

use crate::{
    SendError, Sender,
    chain::ChainError,
    config::WriteConfig,
    directory::Directory,
    peers::Scoreboard,
    read::{Fetcher, ReadError},
};
use alloy_primitives::{B256, Signature};
use alloy_signer::SignerSync;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use transport::Transport;
use types::{
    ChainSpec, Profile,
    permit::{Permit, signing_hash},
};

/// How long a permit lasts.
const PERMIT_MS: u64 = 6 * 3_600_000;
/// What must be left of it for another use.
const PERMIT_LEFT_MS: u64 = 600_000;

/// Why segments could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Nothing takes writes.
    #[error("no volume takes writes after {waited_s} s: check with `cess network volumes` that miners are up")]
    NoVolume {
        /// Seconds waited.
        waited_s: u64,
    },
    /// The territory is full.
    #[error(
        "territory {territory} has {bytes_free} billed bytes free and {bytes_needed} are needed: buy more with `cess \
         territory buy`"
    )]
    TerritoryFull {
        /// The territory.
        territory: u64,
        /// Billed bytes that are free.
        bytes_free: u64,
        /// Billed bytes that the segment takes.
        bytes_needed: u64,
    },
    /// No volume has enough members that answer.
    #[error("too few members answer in any volume ({acknowledged} of {needed} in the last one): {reason}")]
    NoQuorum {
        /// Members that hold the segment.
        acknowledged: usize,
        /// Members that must.
        needed: usize,
        /// What the last of the others said.
        reason: String,
    },
    /// A segment that has to move to another volume cannot be read where it is.
    #[error("cannot read a staged segment back: {0}")]
    ReadBack(#[from] ReadError),
    /// The journal of the upload cannot be written.
    #[error("cannot write the journal of the upload at {path}: {reason}")]
    Journal {
        /// The journal.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A page is longer than a segment.
    #[error("a page of the index has {bytes} bytes, more than a segment: put fewer objects at a time")]
    RecordTooLong {
        /// Bytes of the page.
        bytes: usize,
    },
    /// Something in here failed that should not.
    #[error("a commit kept failing: {0}")]
    Stuck(String),
}

/// Everything that writes of one territory share.
pub(crate) struct Session {
    pub(crate) sender: Arc<Sender>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) peers: Arc<Scoreboard>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) allocator: Allocator,
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) profile: Profile,
    pub(crate) territory: u64,
    pub(crate) config: WriteConfig,
    /// Sequences of commits: random above, counted below, so that neighbours share a word of the chain's state.
    pub(crate) sequence: AtomicU64,
    pub(crate) permit: Mutex<Option<(Permit, Signature)>>,
}

impl Session {
    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// A permit for our transport key that is good for a while.
    fn permit(&self, now_ms: u64) -> (Permit, Signature) {
        let mut known = self.permit.lock();
        if let Some((permit, signature)) =
            known.as_ref().filter(|(permit, _)| permit.expiresMs > now_ms + PERMIT_LEFT_MS)
        {
            return (permit.clone(), *signature);
        }
        let uploader: B256 = self.transport.local_id();
        let permit = Permit { territory: self.territory, uploader, expiresMs: now_ms + PERMIT_MS };
        let hash = signing_hash(&permit, self.spec.chain_id);
        let signature = self.sender.signer().sign_hash_sync(&hash).expect("a local key signs any hash");
        *known = Some((permit.clone(), signature));
        (permit, signature)
    }
}
