//! Hold the bytes of an object between their sealing and the change that puts them under a key.

use crate::{
    index::{Content, Entry, Extent},
    write::Staged,
};
use alloy_primitives::B256;
use bytes::Bytes;
use parking_lot::Mutex;
use sealing::WrappedKey;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use types::BucketId;

/// Hashed in front of what a joined object was joined from.
const JOINED_CONTEXT: &str = "cess joined object v1";

/// The bytes of an object, sealed. Cheap to clone; can be put under several keys, each of which counts its bytes.
///
/// What nobody puts costs nothing but the space that it takes at the members until its lease is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    etag: B256,
    size: u64,
    pub(crate) sources: Vec<Source>,
}

/// Where some of the bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// They were sealed in this process.
    Part(Arc<NewPart>),
    /// An entry had them.
    Stored {
        /// No body.
        content: Content,
        size: u64,
    },
}

/// What was sealed under one key.
#[derive(Debug)]
pub(crate) struct NewPart {
    pub(crate) bucket: BucketId,
    pub(crate) generation: u64,
    pub(crate) key: WrappedKey,
    pub(crate) plain_length: u64,
    pub(crate) pieces: Mutex<Vec<Piece>>,
}

/// A run of sealed bytes that begins at a chunk.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// In memory.
    Held(Arc<Held>),
    /// In a segment that members hold and no block has.
    Staged { segment: Arc<StagedSegment>, offset: u32, length: u32 },
    /// In a stripe.
    Stored(Extent),
}

/// Sealed bytes in memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    /// What they take of the memory that writes may use.
    pub(crate) _memory: Option<OwnedSemaphorePermit>,
}

/// A segment that waits for the change that refers to it; nothing while an update has it.
#[derive(Debug)]
pub(crate) struct StagedSegment(pub(crate) Mutex<Option<Staged>>);

impl NewPart {
    /// A part that an update knows the place of.
    pub(crate) fn placed(bucket: BucketId, key: WrappedKey, plain_length: u64) -> Self {
        Self { bucket, generation: 0, key, plain_length, pieces: Mutex::default() }
    }
}

impl Body {
    pub(crate) fn new(etag: B256, parts: Vec<NewPart>) -> Self {
        let size = parts.iter().map(|part| part.plain_length).sum();
        Self { etag, size, sources: parts.into_iter().map(|part| Source::Part(Arc::new(part))).collect() }
    }

    /// The bytes that an entry has: to put them under another key without reading or copying one.
    pub fn of(entry: &Entry) -> Self {
        let Entry { etag, size, ref content, .. } = *entry;
        let sources = match content {
            Content::Body(body) => body.sources.clone(),
            content => vec![Source::Stored { content: content.clone(), size }],
        };
        Self { etag, size, sources }
    }

    /// The bytes of several, one after the other; none is read or copied. The etag is a hash of their etags and sizes.
    pub fn join(bodies: impl IntoIterator<Item = Self>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(JOINED_CONTEXT);
        let (mut size, mut sources) = (0u64, Vec::new());
        for body in bodies {
            hasher.update(body.etag.as_slice());
            hasher.update(&body.size.to_be_bytes());
            size = size.saturating_add(body.size);
            sources.extend(body.sources);
        }
        Self { etag: B256::from(*hasher.finalize().as_bytes()), size, sources }
    }

    /// The bytes of an entry, in other places.
    pub(crate) fn moved(entry: &Entry, sources: Vec<Source>) -> Self {
        Self { etag: entry.etag, size: entry.size, sources }
    }

    /// BLAKE3 of the plaintext, or see [`join`](Self::join).
    pub fn etag(&self) -> B256 {
        self.etag
    }

    /// Bytes of plaintext.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether everything that was sealed anew was sealed for this bucket.
    pub(crate) fn is_of(&self, bucket: &BucketId) -> bool {
        self.sources.iter().all(|source| match source {
            Source::Part(part) => part.bucket == *bucket,
            Source::Stored { .. } => true,
        })
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Part(one), Self::Part(other)) => Arc::ptr_eq(one, other),
            (Self::Stored { content, size }, Self::Stored { content: other, size: other_size }) => {
                content == other && size == other_size
            }
            _ => false,
        }
    }
}

impl Eq for Source {}
