//! Draw all that is left to chance from one seed.

use std::ops::Range;

/// A stream of decisions (splitmix64). Streams of different names are independent, so that one more decision here
/// changes none there.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed and a name.
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = blake3::Hasher::new().update(&seed.to_be_bytes()).update(name.as_bytes()).finalize();
        Self(u64::from_be_bytes(std::array::from_fn(|at| hash.as_bytes()[at])))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number of a range that is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// Something that happens so many times in a million.
    pub fn happens(&mut self, per_million: u64) -> bool {
        self.next() % 1_000_000 < per_million
    }

    /// One of several; nothing of none.
    pub fn choose<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.next().checked_rem(all.len() as u64)?;
        all.get(at as usize).copied()
    }

    /// Bytes without a pattern.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&self.next().to_be_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }
}
