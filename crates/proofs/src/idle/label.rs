//! Hash labels, one by one or a node of them at SIMD width.
//!
//! # Design
//! BLAKE3's public functions run SIMD within one long input only; labels are many short ones. The platform layer of
//! the `blake3` crate hashes many inputs side by side, which is several times as fast. It is outside of the crate's
//! promise of stability: a later version may fail to compile, but cannot change a byte unnoticed, since
//! [`LayerHash::label`] uses the public functions only and tests hold the two together.

use crate::idle::{DEGREE, UnitKey};
use blake3::{
    Hasher, IncrementCounter,
    hazmat::HasherExt,
    platform::{MAX_SIMD_DEGREE, Platform},
};

/// Bytes of a label.
pub const LABEL_BYTES: usize = 32;
/// Labels of a node.
pub const WORDS: usize = 512;
/// Labels that are hashed side by side.
pub const LANES: usize = 32;
/// Bytes of the labels that one label hashes.
pub const INPUT_BYTES: usize = DEGREE * LABEL_BYTES;

/// One label.
pub type Label = [u8; LABEL_BYTES];
/// The labels of a node, which the graph moves together.
pub type Node = [Label; WORDS];
/// Labels that are hashed side by side: one KiB, a chunk of BLAKE3.
pub type Group = [Label; LANES];
/// What one label hashes.
pub type Input = [Label; DEGREE];

/// What the source hashes at every position: the position enters as the chunk's number.
const SOURCE: [u8; 64] = [0; 64];

/// The layer stands above this bit of a chunk's number, the position below it.
const LAYER_SHIFT: u32 = 40;

// The flags of BLAKE3, section 2.2 of its paper.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const KEYED_HASH: u8 = 16;

const _: () = assert!(LANES.is_multiple_of(MAX_SIMD_DEGREE) && WORDS.is_multiple_of(LANES));

/// Hashes the labels of one layer of a unit.
#[derive(Clone, Copy)]
pub struct LayerHash {
    key: [u8; 32],
    key_words: [u32; 8],
    /// Number of the chunk at position zero.
    base: u64,
    platform: Platform,
}

impl LayerHash {
    /// The hash of layer `layer`, from 0 for the source.
    pub fn new(key: UnitKey, layer: u32) -> Self {
        let key = *key.as_bytes();
        let key_words = std::array::from_fn(|i| u32::from_le_bytes(key.as_chunks().0[i]));
        Self { key, key_words, base: u64::from(layer) << LAYER_SHIFT, platform: Platform::detect() }
    }

    /// The label of the source at `position`.
    pub fn source(&self, position: u64) -> Label {
        self.chaining_value(position, &SOURCE)
    }

    /// The label at `position` over its parents' labels.
    pub fn label(&self, position: u64, input: &Input) -> Label {
        self.chaining_value(position, input.as_flattened())
    }

    fn chaining_value(&self, position: u64, message: &[u8]) -> Label {
        let offset = (self.base + position) * blake3::CHUNK_LEN as u64;
        Hasher::new_keyed(&self.key).set_input_offset(offset).update(message).finalize_non_root()
    }

    /// The labels of the source from position `first` on.
    pub fn source_group(&self, first: u64, out: &mut Group) {
        self.many(first, &[&SOURCE; LANES], out);
    }

    /// The labels from position `first` on over their parents' labels.
    pub fn group(&self, first: u64, inputs: &[Input; LANES], out: &mut Group) {
        let views: [&[u8; INPUT_BYTES]; LANES] =
            std::array::from_fn(|lane| inputs[lane].as_flattened().try_into().expect("the lengths are equal"));
        self.many(first, &views, out);
    }

    fn many<const N: usize>(&self, first: u64, inputs: &[&[u8; N]; LANES], out: &mut Group) {
        self.platform.hash_many(
            inputs,
            &self.key_words,
            self.base + first,
            IncrementCounter::Yes,
            KEYED_HASH,
            CHUNK_START,
            CHUNK_END,
            out.as_flattened_mut(),
        );
    }
}

#[cfg(test)]
mod tests;
