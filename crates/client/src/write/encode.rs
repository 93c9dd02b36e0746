//! Seal the chunks of a segment where they lie, and cut it into fragments.

use crate::read::code;
use alloy_primitives::B256;
use bytes::Bytes;
use erasure::EncodedSegment;
use sealing::Sealer;
use std::{ops::Range, sync::Arc};
use types::{
    Profile, SegmentId,
    merkle::Tree,
    segment::{FragmentProof, segment_id},
};

/// A chunk of plaintext in a segment, with room for its tag.
pub(crate) struct Chunk {
    /// What seals it.
    pub(crate) sealer: Arc<Sealer>,
    /// Its index in its part.
    pub(crate) index: u64,
    /// Where it lies in the segment, its tag included.
    pub(crate) range: Range<usize>,
}

/// A segment that is full, but not sealed.
#[derive(Default)]
pub(crate) struct Filled {
    /// The bytes: plaintext where there are chunks, sealed bytes elsewhere.
    pub(crate) buffer: Vec<u8>,
    /// The chunks, in order.
    pub(crate) chunks: Vec<Chunk>,
}

/// A segment with its fragments and their proofs.
pub(crate) struct Encoded {
    pub(crate) id: SegmentId,
    pub(crate) length: u32,
    pub(crate) fragments_root: B256,
    fragments: EncodedSegment,
    tree: Tree,
}

impl Filled {
    /// Hashes the chunks under `key`, to be compared when an upload is resumed.
    pub(crate) fn plaintext_hash(&self, key: &[u8; 32]) -> B256 {
        let mut hasher = blake3::Hasher::new_keyed(key);
        for chunk in &self.chunks {
            hasher.update(&self.buffer[chunk.range.start..chunk.range.end - sealing::TAG_LENGTH]);
        }
        B256::from(*hasher.finalize().as_bytes())
    }

    /// Seals the chunks; takes a while.
    pub(crate) fn seal(mut self) -> Bytes {
        for chunk in &self.chunks {
            let bytes = &mut self.buffer[chunk.range.clone()];
            chunk.sealer.seal_in_place(chunk.index, bytes).expect("chunks are laid out by their part's layout");
        }
        self.buffer.into()
    }
}

impl Encoded {
    /// Encodes and hashes a segment; takes a while.
    pub(crate) fn new(profile: Profile, data: Bytes) -> Self {
        let length = u32::try_from(data.len()).expect("segments are far shorter than 4 GiB");
        let fragments = erasure::encode_segment(&code(profile), data).expect("a segment is not empty");
        let roots: Vec<B256> = fragments.roots.iter().map(|root| B256::from(*root.as_bytes())).collect();
        let tree = Tree::new(&roots);
        let fragments_root = tree.root();
        let id = segment_id(profile, length.into(), &fragments_root);
        Self { id, length, fragments_root, fragments, tree }
    }

    /// Bytes of each fragment.
    pub(crate) fn fragment_bytes(&self) -> u64 {
        self.fragments.fragment_length
    }

    /// The fragment of a seat, with its proof.
    pub(crate) fn fragment(&self, seat: u16) -> (FragmentProof, Bytes) {
        let index = usize::from(seat);
        let root = B256::from(*self.fragments.roots[index].as_bytes());
        let path = self.tree.path(index).expect("the tree has a leaf for every seat");
        (FragmentProof { index: seat, root, path }, self.fragments.fragments[index].clone())
    }
}
