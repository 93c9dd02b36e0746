//! Lay out buckets.

use super::{Missing, Query, Words, entry, offset};
use crate::{
    BucketId,
    abi::{BUCKETS, IBuckets, Root, WRITERS_MAX},
    packed,
};
use alloy_primitives::{Address, U256};

/// `mapping(bytes32 bucket => Record)`.
pub const RECORDS: U256 = U256::ZERO;
/// First of the writers in a record.
const WRITERS: u64 = 4;

packed! {
    /// Whose a bucket is, and what pays for it.
    pub struct Deed {
        owner: Address,
        territory: u64,
        policy: u32,
    }
}

packed! {
    /// How a bucket is kept, and the short fields of its root.
    pub struct State {
        profile: u8,
        flags: u8,
        version: u64,
        writer_count: u8,
        root_volume: u32,
        root_offset: u64,
        root_length: u32,
    }
}

/// The bucket of this identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketQuery(pub BucketId);

impl Query for BucketQuery {
    type Record = Option<IBuckets::Bucket>;
    const MODULE: Address = BUCKETS;

    fn slots(&self) -> Vec<U256> {
        let base = entry(&self.0, RECORDS);
        (0..WRITERS).map(|index| offset(base, index)).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = entry(&self.0, RECORDS);
        let deed: Deed = words.one(BUCKETS, base)?;
        let state: State = words.one(BUCKETS, offset(base, 1))?;
        let segment = words.one(BUCKETS, offset(base, 2))?;
        let page_hash = words.one(BUCKETS, offset(base, 3))?;
        if deed.owner.is_zero() {
            return Ok(None);
        }
        let count = u64::from(state.writer_count).min(WRITERS_MAX as u64);
        let writers = words.many(BUCKETS, (0..count).map(|index| offset(base, WRITERS + index)))?;
        let (volume, offset, length) = (state.root_volume, state.root_offset, state.root_length);
        Ok(Some(IBuckets::Bucket {
            owner: deed.owner,
            territory: deed.territory,
            policy: deed.policy,
            profile: state.profile,
            flags: state.flags,
            version: state.version,
            root: Root { segment, volume, offset, length, pageHash: page_hash },
            writers: writers.into_iter().map(|word| Address::from_word(word.into())).collect(),
        }))
    }
}
