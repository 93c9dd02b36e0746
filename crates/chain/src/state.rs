//! Keep the state in authenticated stores: accounts and slots in one, code in another.
//!
//! # Format
//! Code is cut into chunks of 1 KiB, because the library syncs stores of fixed-size values between peers:
//! ```text
//! key(hash, index) = SHA-256(code hash (32) ‖ index (4, big endian))
//! chunk 0          = length (4, big endian) ‖ bytes 0..1020, zero padded
//! chunk i          = bytes 1020 + 1024 (i - 1) .. 1020 + 1024 i, zero padded
//! ```

use crate::block::StateCommitment;
use alloy_primitives::{B256, Bytes};
use commonware_cryptography::{Hasher as _, Sha256};
use commonware_glue::stateful::db::{DatabaseSet, Merkleized as _, Shared, Unmerkleized as _};
use commonware_parallel::Sequential;
use commonware_runtime::{Spawner, buffer::paged::CacheRef};
use commonware_storage::{
    Context as StorageContext,
    journal::contiguous::fixed::Config as FixedLog,
    merkle::{Location, full},
    qmdb::{
        current::{FixedConfig, ordered},
        immutable::{self, fixed},
        sync::Target,
    },
    translator::EightCap,
};
use commonware_utils::{NZU64, NZUsize, range::NonEmptyRange, sequence::FixedBytes};
use execution::{Outcome, ReadError, StateReader};
use light::consensus::{CHUNK_BYTES, Family, Key, StateDigest, StateHasher, Value};
use std::num::{NonZeroU64, NonZeroUsize};
use types::{
    Header, SyncTarget,
    state::{StateKey, Value as ValueBytes},
};

/// Accounts and storage slots, with proofs of what is there and what is not.
pub type StateDb<E> = ordered::fixed::Db<Family, E, Key, Value, StateHasher, EightCap, CHUNK_BYTES, Sequential>;
/// Contract code by its hash; written once, never changed.
pub type CodeDb<E> = fixed::Db<Family, E, Key, Chunk, StateHasher, EightCap, Sequential>;
/// A piece of code.
pub type Chunk = FixedBytes<CHUNK_CODE_BYTES>;
/// Both, moving together.
pub type Databases<E> = (Shared<StateDb<E>>, Shared<CodeDb<E>>);
/// Changes under way on top of a block.
pub type Batches<E> = <Databases<E> as DatabaseSet<E>>::Unmerkleized;
/// Changes of a whole block, with their roots.
pub type Merkleized<E> = <Databases<E> as DatabaseSet<E>>::Merkleized;
/// What state sync aims at.
pub type SyncTargets<E> = <Databases<E> as DatabaseSet<E>>::SyncTargets;

/// Length of a piece of code.
pub const CHUNK_CODE_BYTES: usize = 1 << 10;
const LENGTH_BYTES: usize = 4;
const BUFFER: NonZeroUsize = NZUsize!(1 << 18);
const ITEMS_PER_BLOB: NonZeroU64 = NZU64!(1 << 18);

/// Configuration of both stores under one prefix.
pub fn config<E: Spawner + StorageContext>(prefix: &str, cache: &CacheRef) -> <Databases<E> as DatabaseSet<E>>::Config {
    let merkle = |name: &str| full::Config {
        journal_partition: format!("{prefix}-{name}-nodes"),
        metadata_partition: format!("{prefix}-{name}-pinned"),
        items_per_blob: ITEMS_PER_BLOB,
        write_buffer: BUFFER,
        replay_buffer: BUFFER,
        strategy: Sequential,
        page_cache: cache.clone(),
    };
    let log = |name: &str| FixedLog {
        partition: format!("{prefix}-{name}-log"),
        items_per_blob: ITEMS_PER_BLOB,
        page_cache: cache.clone(),
        write_buffer: BUFFER,
        replay_buffer: BUFFER,
    };
    let state = FixedConfig {
        merkle_config: merkle("state"),
        journal_config: log("state"),
        grafted_metadata_partition: format!("{prefix}-state-grafted"),
        translator: EightCap,
        init_cache: Some(NZUsize!(1 << 16)),
        init_buffer: NZUsize!(1 << 20),
        init_concurrency: (),
    };
    let code = immutable::fixed::Config {
        merkle_config: merkle("code"),
        log: log("code"),
        translator: EightCap,
        init_buffer: NZUsize!(1 << 20),
    };
    (state, code)
}

/// Reads the state that a block is executed on.
pub struct Reader<'a, E: Spawner + StorageContext>(pub &'a Batches<E>);

impl<E: Spawner + StorageContext> StateReader for Reader<'_, E> {
    async fn read(&self, keys: &[StateKey]) -> Result<Vec<Option<ValueBytes>>, ReadError> {
        let keys: Vec<Key> = keys.iter().map(|key| Key::from(key.hashed().0)).collect();
        let keys: Vec<&Key> = keys.iter().collect();
        let values = self.0.0.get_many(&keys).await.map_err(|error| ReadError(error.to_string()))?;
        Ok(values.into_iter().map(|value| value.map(|value| value.into())).collect())
    }

    async fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        let failed = |error: &dyn std::fmt::Display| ReadError(error.to_string());
        let first = self.0.1.get(&chunk_key(hash, 0)).await.map_err(|error| failed(&error))?;
        let Some(first) = first else { return Ok(None) };
        let (length, first) = first.as_ref().split_at(LENGTH_BYTES);
        let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        let mut code = first.to_vec();
        let rest = length.saturating_sub(code.len()).div_ceil(CHUNK_CODE_BYTES) as u32;
        let keys: Vec<Key> = (1..=rest).map(|index| chunk_key(hash, index)).collect();
        let keys: Vec<&Key> = keys.iter().collect();
        for chunk in self.0.1.get_many(&keys).await.map_err(|error| failed(&error))? {
            code.extend_from_slice(chunk.ok_or_else(|| failed(&"a piece of code is missing"))?.as_ref());
        }
        code.truncate(length);
        Ok(Some(code.into()))
    }
}

/// Puts a block's changes on top of the state it was executed on.
pub async fn apply<E: Spawner + StorageContext>(
    batches: Batches<E>,
    outcome: &Outcome,
) -> Result<Merkleized<E>, ReadError> {
    let (mut state, mut code) = batches;
    for (key, value) in &outcome.changes {
        state = state.write(Key::from(key.hashed().0), value.map(Value::new));
    }
    for (hash, bytes) in &outcome.code {
        // The store takes a key once; equal code of another contract is there already.
        let known = code.get(&chunk_key(hash, 0)).await.map_err(|error| ReadError(error.to_string()))?;
        if known.is_none() {
            for (index, chunk) in chunks(bytes) {
                code = code.set(chunk_key(hash, index), chunk);
            }
        }
    }
    let state = state.merkleize().await.map_err(|error| ReadError(error.to_string()))?;
    let code = code.merkleize().await.map_err(|error| ReadError(error.to_string()))?;
    Ok((state, code))
}

fn chunk_key(hash: &B256, index: u32) -> Key {
    Sha256::hash(&[hash.as_slice(), &index.to_be_bytes()])
}

fn chunks(code: &[u8]) -> impl Iterator<Item = (u32, Chunk)> {
    let length = (code.len() as u32).to_be_bytes();
    let bytes: Vec<u8> = length.iter().chain(code).copied().collect();
    let pieces: Vec<Chunk> = bytes
        .chunks(CHUNK_CODE_BYTES)
        .map(|piece| {
            let mut chunk = [0; CHUNK_CODE_BYTES];
            chunk[..piece.len()].copy_from_slice(piece);
            Chunk::new(chunk)
        })
        .collect();
    (0..).zip(pieces)
}

/// The commitment of a block with these changes.
pub fn commitment<E: Spawner + StorageContext>((state, code): &Merkleized<E>) -> StateCommitment {
    let code_bounds = code.bounds();
    StateCommitment {
        root: B256::from(state.root().0),
        state_log: SyncTarget {
            root: B256::from(state.ops_root().0),
            start: *state.sync_boundary(),
            end: *state.bounds().tip.size,
        },
        code_log: SyncTarget {
            root: B256::from(code.root().0),
            start: *code_bounds.inactivity_floor,
            end: *code_bounds.tip.size,
        },
    }
}

/// The commitment of stores that nobody has written to.
pub fn empty_commitment<E: Spawner + StorageContext>() -> StateCommitment {
    let (state, code) = <Databases<E> as DatabaseSet<E>>::initial_sync_targets();
    StateCommitment { root: B256::ZERO, state_log: from_target(&state), code_log: from_target(&code) }
}

/// What a header says about both logs; an empty range stands for a target that cannot exist.
pub fn sync_targets<E: Spawner + StorageContext>(header: &Header) -> SyncTargets<E> {
    (to_target(&header.state_log), to_target(&header.code_log))
}

fn from_target(target: &Target<Family, StateDigest>) -> SyncTarget {
    SyncTarget { root: B256::from(target.root.0), start: *target.range.start(), end: *target.range.end() }
}

fn to_target(target: &SyncTarget) -> Target<Family, StateDigest> {
    // A header whose range is empty or out of bounds matches no batch; `Block` refuses it before it gets here.
    let range = NonEmptyRange::new(Location::new(target.start)..Location::new(target.end))
        .expect("headers with an empty log are refused when they are read");
    Target::new(StateDigest::from(target.root.0), range)
}
