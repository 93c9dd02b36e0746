//! Name buckets and find their index.

use crate::{
    abi,
    hash::{derive, domain},
    segment::SegmentId,
};
use alloy_primitives::{Address, B256};

/// Identity of a bucket.
pub type BucketId = B256;

/// The bucket that `owner` creates under `tag`. The tag is a PRF of the name, so the name stays private.
pub fn bucket_id(owner: Address, tag: &B256) -> BucketId {
    derive(domain::BUCKET, &[owner.as_slice(), tag.as_slice()])
}

/// Where the root page of a bucket's index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootLocator {
    /// Segment that holds the page; zero for an index that was never written.
    pub segment: SegmentId,
    /// Volume of that segment, a hint.
    pub volume: u32,
    /// First byte of the sealed page in the segment.
    pub offset: u64,
    /// Bytes of the sealed page.
    pub length: u32,
    /// BLAKE3 of the sealed page.
    pub page_hash: B256,
}

impl RootLocator {
    /// Whether there is an index at all.
    pub fn is_empty(&self) -> bool {
        self.segment.is_zero()
    }
}

impl From<RootLocator> for abi::Root {
    fn from(root: RootLocator) -> Self {
        let RootLocator { segment, volume, offset, length, page_hash } = root;
        Self { segment, volume, offset, length, pageHash: page_hash }
    }
}

impl From<abi::Root> for RootLocator {
    fn from(root: abi::Root) -> Self {
        let abi::Root { segment, volume, offset, length, pageHash } = root;
        Self { segment, volume, offset, length, page_hash: pageHash }
    }
}
