//! Locate chunks in a sealed object from the length of its plaintext.

use std::ops::Range;
use thiserror::Error;

/// Plaintext bytes of every chunk but the last.
pub const CHUNK_LENGTH: usize = 1 << CHUNK_LENGTH_LOG2;
pub(crate) const CHUNK_LENGTH_LOG2: u8 = 16;

/// Bytes of the authentication tag behind each chunk.
pub const TAG_LENGTH: usize = 16;

/// Bytes of every sealed chunk but the last.
pub const SEALED_CHUNK_LENGTH: usize = CHUNK_LENGTH + TAG_LENGTH;

/// Bytes of the header before the first chunk.
pub const HEADER_LENGTH: usize = 32;

/// Longest plaintext in bytes, 256 TiB: 2^32 chunks, as many as the nonce's counter tells apart.
pub const PLAIN_LENGTH_MAX: u64 = 1 << (32 + CHUNK_LENGTH_LOG2);

/// A plaintext is longer than the format can seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("seal at most 2^48 bytes under one key, not {length}")]
pub struct TooLong {
    /// Bytes of the plaintext.
    pub length: u64,
}

/// A range reaches beyond the plaintext, or backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("bytes {start} to {end} are no range of an object of {length} bytes")]
pub struct RangeError {
    /// First byte asked for.
    pub start: u64,
    /// Byte after the last asked for.
    pub end: u64,
    /// Bytes of the plaintext.
    pub length: u64,
}

/// Where the chunks of an object lie, sealed and in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    plain_length: u64,
}

/// The chunks that hold a range of the plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSpan {
    /// Indices of the chunks.
    pub chunks: Range<u64>,
    /// Where they lie in the sealed object, in bytes from the start of its header.
    pub sealed: Range<u64>,
    /// Plaintext bytes of the first chunk before the range.
    pub skip: usize,
    /// Plaintext bytes of the range.
    pub length: u64,
}

/// Bytes of the sealed form of `plain_length` bytes; for lengths that cannot be sealed, the largest number.
pub const fn sealed_length(plain_length: u64) -> u64 {
    if plain_length > PLAIN_LENGTH_MAX {
        return u64::MAX;
    }
    Layout { plain_length }.sealed_length()
}

impl Layout {
    /// The layout of an object of `plain_length` bytes.
    pub const fn new(plain_length: u64) -> Result<Self, TooLong> {
        if plain_length > PLAIN_LENGTH_MAX {
            return Err(TooLong { length: plain_length });
        }
        Ok(Self { plain_length })
    }

    /// Bytes of the plaintext.
    pub const fn plain_length(&self) -> u64 {
        self.plain_length
    }

    /// Bytes of the sealed object, header included.
    pub const fn sealed_length(&self) -> u64 {
        HEADER_LENGTH as u64 + self.plain_length + self.chunk_count() * TAG_LENGTH as u64
    }

    /// Number of chunks: at least one, which is empty if the object is.
    pub const fn chunk_count(&self) -> u64 {
        let count = self.plain_length.div_ceil(CHUNK_LENGTH as u64);
        if count == 0 { 1 } else { count }
    }

    /// Plaintext bytes of a chunk, or `None` if there is no such chunk.
    pub fn chunk_length(&self, index: u64) -> Option<usize> {
        let start = (index < self.chunk_count()).then(|| index * CHUNK_LENGTH as u64)?;
        Some((self.plain_length - start).min(CHUNK_LENGTH as u64) as usize)
    }

    /// Whether a chunk is the last one.
    pub(crate) fn is_last(&self, index: u64) -> bool {
        index + 1 == self.chunk_count()
    }

    /// The chunks to fetch and open for a range of the plaintext.
    ///
    /// An empty range spans one chunk, so that even a read of nothing is authenticated.
    pub fn span(&self, range: Range<u64>) -> Result<ChunkSpan, RangeError> {
        let Range { start, end } = range;
        if start > end || end > self.plain_length {
            return Err(RangeError { start, end, length: self.plain_length });
        }
        let first = (start / CHUNK_LENGTH as u64).min(self.chunk_count() - 1);
        let last = end.saturating_sub(1) / CHUNK_LENGTH as u64;
        let chunks = first..last.max(first) + 1;
        let sealed_start = HEADER_LENGTH as u64 + first * SEALED_CHUNK_LENGTH as u64;
        let sealed_end = HEADER_LENGTH as u64 + chunks.end * SEALED_CHUNK_LENGTH as u64;
        let sealed = sealed_start..sealed_end.min(self.sealed_length());
        Ok(ChunkSpan { chunks, sealed, skip: (start - first * CHUNK_LENGTH as u64) as usize, length: end - start })
    }
}

#[cfg(test)]
mod tests;
