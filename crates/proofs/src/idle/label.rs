//! Hash labels, one by one or a node of them at SIMD width.
//!
//! # Design
//! BLAKE3's public functions run SIMD within one long input only; labels are many short ones. The platform layer of the
//! `blake3` crate hashes many inputs side by side, which is four times as fast here. It is outside of the crate's promise
//! of stability: a later version may fail to compile, but cannot change a byte unnoticed, since [`LayerHash::label`]
//! uses the public functions only and tests hold the two together.

use crate::idle::{DEGREE, UnitKey};
use blake3::{
    Hasher, IncrementCounter,
    hazmat::HasherExt,
    platform::{MAX_SIMD_DEGREE, Platform},
};

/// Bytes of a label.
pub const LABEL_BYTES: usize = 32;
/// Labels of a node.
pub const WORDS: usize = 32;
/// Bytes of the labels that one label hashes.
pub const INPUT_BYTES: usize = DEGREE * LABEL_BYTES;

/// One label.
pub type Label = [u8; LABEL_BYTES];
/// The labels of a node, which the graph moves together.
pub type Node = [Label; WORDS];
/// What one label hashes.
pub type Input = [Label; DEGREE];

/// What the source hashes at every position: the position enters as the chunk's number.
const SOURCE: [u8; 64] = [0; 64];

// The flags of BLAKE3, section 2.2 of its paper.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const KEYED_HASH: u8 = 16;

const _: () = assert!(WORDS.is_multiple_of(MAX_SIMD_DEGREE));

/// Hashes the labels of one layer.
#[derive(Clone, Copy)]
pub struct LayerHash {
    key: [u8; 32],
    key_words: [u32; 8],
    platform: Platform,
}

impl LayerHash {
    /// The hash of layer `layer` of a unit.
    pub fn new(unit: &UnitKey, layer: u32) -> Self {
        let key = unit.layer(layer).0;
        let key_words = std::array::from_fn(|i| u32::from_le_bytes(key.as_chunks().0[i]));
        Self { key, key_words, platform: Platform::detect() }
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
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher.set_input_offset(position * blake3::CHUNK_LEN as u64).update(message).finalize_non_root()
    }

    /// All labels of node `node` of the source.
    pub fn source_node(&self, node: usize, out: &mut Node) {
        self.many(node, &[&SOURCE; WORDS], out);
    }

    /// All labels of node `node` over their parents' labels.
    pub fn node(&self, node: usize, inputs: &[Input; WORDS], out: &mut Node) {
        let views: [&[u8; INPUT_BYTES]; WORDS] =
            std::array::from_fn(|word| inputs[word].as_flattened().try_into().expect("the lengths are equal"));
        self.many(node, &views, out);
    }

    fn many<const N: usize>(&self, node: usize, inputs: &[&[u8; N]; WORDS], out: &mut Node) {
        self.platform.hash_many(
            inputs,
            &self.key_words,
            (node * WORDS) as u64,
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
