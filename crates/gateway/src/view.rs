//! Define what the rules see of a bucket: ordered keys with records, read and changed in one atomic step.
//!
//! The rules are plain functions over [`View`]. In the product it is a view of the bucket's index; in tests it is a map in
//! memory. A view that needs a page which is not at hand answers [`Stop::Unready`]: the whole step runs again once it is.

use s3s::S3Error;
use std::{collections::BTreeMap, fmt::Debug};

/// What records are sorted by: all objects first, then the gateway's own records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The current version of an object, by its key.
    Object(String),
    /// A record of the gateway's own, see [`keys`](crate::record::keys).
    Record(Vec<u8>),
}

/// What stands under a key; `C` is where bytes are, which the rules only move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<C> {
    /// Bytes of content.
    pub size: u64,
    /// BLAKE3 of the content.
    pub blake3: [u8; 32],
    /// Time of the last change, milliseconds since 1970.
    pub modified_ms: u64,
    /// MIME type, or nothing.
    pub content_type: String,
    /// What the user noted beside (`x-amz-meta-`).
    pub metadata: BTreeMap<String, String>,
    /// What else the gateway knows, encoded.
    pub attributes: Vec<u8>,
    /// Where the bytes are.
    pub content: C,
}

/// A record with its key.
pub type Keyed<C> = (Key, Record<C>);

/// Why a step ends without effect.
#[derive(Debug)]
pub enum Stop {
    /// The request is refused.
    Refused(S3Error),
    /// Something is not at hand: the step runs again later.
    Unready,
}

impl From<S3Error> for Stop {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

/// The records of a bucket; reads see what the same step has changed.
pub trait View {
    /// Where bytes are.
    type Content: Clone + Default + Debug;

    /// The record under a key.
    fn get(&mut self, key: &Key) -> Result<Option<Record<Self::Content>>, Stop>;

    /// At most `limit` records from `from` to before `to`, in order.
    fn scan(&mut self, from: &Key, to: &Key, limit: usize) -> Result<Vec<Keyed<Self::Content>>, Stop>;

    /// Puts a record in place of what is there.
    fn put(&mut self, key: Key, record: Record<Self::Content>) -> Result<(), Stop>;

    /// Removes a record if there is one.
    fn remove(&mut self, key: &Key) -> Result<(), Stop>;

    /// All of these one after the other.
    fn join(&mut self, contents: Vec<Self::Content>) -> Result<Self::Content, Stop>;
}

#[cfg(test)]
pub mod memory;
