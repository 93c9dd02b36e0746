//! Encode and decode whole segments, cut and padded as the network stores them.

use crate::{
    code::{Code, ReconstructError},
    pool::Buffer,
};
use bytes::Bytes;
use thiserror::Error;

/// Fragment lengths are multiples of this many bytes.
pub const FRAGMENT_LENGTH_UNIT: u64 = 4 * 1024;

/// No fragment is shorter than this many bytes.
pub const FRAGMENT_LENGTH_MIN: u64 = 64 * 1024;

/// Bytes of each fragment that are encoded and hashed before the next are touched: short enough for the blocks of all
/// fragments to stay in cache, long enough for BLAKE3 to fill its vectors (measured: flat from 16 to 128 KiB).
const BLOCK_LENGTH: usize = 32 * 1024;

/// Bytes of each fragment of a segment of `length` bytes under a code with `data` data fragments.
///
/// 4 KiB × ⌈length / (4 KiB × data)⌉, at least 64 KiB. Zero data fragments count as one.
pub const fn fragment_length(length: u64, data: u32) -> u64 {
    let data = if data == 0 { 1 } else { data as u64 };
    let units = length.div_ceil(FRAGMENT_LENGTH_UNIT * data);
    let bytes = units.saturating_mul(FRAGMENT_LENGTH_UNIT);
    if bytes < FRAGMENT_LENGTH_MIN { FRAGMENT_LENGTH_MIN } else { bytes }
}

/// The fragments of one segment and their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSegment {
    /// Bytes of each fragment.
    pub fragment_length: u64,
    /// All `k + m` fragments by index; data fragments without padding share the segment's memory.
    pub fragments: Vec<Bytes>,
    /// BLAKE3 hash of each fragment's bytes.
    pub roots: Vec<blake3::Hash>,
}

/// Why a segment cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// An empty segment has no fragments.
    #[error("a segment holds at least one byte")]
    Empty,
}

/// Why fragments do not decode to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// An empty segment has no fragments.
    #[error("a segment holds at least one byte")]
    Empty,
    /// A fragment has not the length that follows from the segment's.
    #[error("fragment {index} has {found} bytes, a segment of {length} bytes has fragments of {expected}")]
    FragmentLength {
        /// The fragment.
        index: usize,
        /// The segment's length in bytes.
        length: u64,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: usize,
    },
    /// The set of fragments does not determine the segment.
    #[error(transparent)]
    Reconstruct(#[from] ReconstructError),
}

/// Pad a segment with zeros to `k` fragments, compute the parity fragments, and hash all.
pub fn encode_segment(code: &Code, segment: Bytes) -> Result<EncodedSegment, EncodeError> {
    if segment.is_empty() {
        return Err(EncodeError::Empty);
    }
    let fragment_length = fragment_length(segment.len() as u64, code.data() as u32);
    let length = usize::try_from(fragment_length).expect("not longer than the segment or 64 KiB");
    let mut fragments = split(&segment, length, code.data());
    let mut parity: Vec<Buffer> = (0..code.parity()).map(|_| code.pool().take(length)).collect();
    let roots = encode_blocks(code, &fragments, &mut parity, length);
    fragments.extend(parity.into_iter().map(Buffer::freeze));
    Ok(EncodedSegment { fragment_length, fragments, roots })
}

/// Cut a segment into `count` fragments; only those that need padding are copied.
fn split(segment: &Bytes, length: usize, count: usize) -> Vec<Bytes> {
    let mut zeros = None;
    let fragment = |j: usize| {
        let start = segment.len().min(j * length);
        let end = segment.len().min(start + length);
        match end - start {
            filled if filled == length => segment.slice(start..end),
            0 => zeros.get_or_insert_with(|| Bytes::from(vec![0; length])).clone(),
            _ => {
                let mut padded = segment[start..end].to_vec();
                padded.resize(length, 0);
                padded.into()
            }
        }
    };
    (0..count).map(fragment).collect()
}

/// Fill the parity fragments block by block, hashing each block of all fragments while it is in cache.
fn encode_blocks(code: &Code, data: &[Bytes], parity: &mut [Buffer], length: usize) -> Vec<blake3::Hash> {
    let mut hashers = vec![blake3::Hasher::new(); code.total()];
    for start in (0..length).step_by(BLOCK_LENGTH) {
        let block = start..length.min(start + BLOCK_LENGTH);
        let sources: Vec<&[u8]> = data.iter().map(|fragment| &fragment[block.clone()]).collect();
        let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(|buffer| &mut buffer.as_mut()[block.clone()]).collect();
        code.encode(&sources, &mut outputs).expect("blocks of one range have one length");
        let blocks = sources.into_iter().chain(outputs.into_iter().map(|output| &*output));
        for (hasher, block) in hashers.iter_mut().zip(blocks) {
            hasher.update(block);
        }
    }
    hashers.iter().map(blake3::Hasher::finalize).collect()
}

/// Join a segment of `length` bytes from at least `k` of its fragments, given with their indices.
///
/// The fragments must be the true ones: check them against their roots before, a wrong one gives wrong bytes.
/// Data fragments are copied, and only missing ones are computed.
pub fn decode_segment(code: &Code, length: u64, fragments: &[(usize, Bytes)]) -> Result<Bytes, DecodeError> {
    if length == 0 {
        return Err(DecodeError::Empty);
    }
    let expected = fragment_length(length, code.data() as u32);
    for (index, fragment) in fragments {
        if fragment.len() as u64 != expected {
            let (index, found) = (*index, fragment.len());
            return Err(DecodeError::FragmentLength { index, length, expected, found });
        }
    }
    let mut chosen: Vec<&(usize, Bytes)> = fragments.iter().collect();
    chosen.sort_by_key(|(index, _)| *index);
    let present: Vec<usize> = chosen.iter().map(|(index, _)| *index).collect();
    let missing: Vec<usize> = (0..code.data()).filter(|j| present.binary_search(j).is_err()).collect();
    let plan = code.reconstruct(&present, &missing)?;
    // From here on there are k fragments of the expected length in memory, so the segment's length is no mere claim.
    let (length, fragment_length) = (length as usize, expected as usize);
    let mut segment = code.pool().take(fragment_length * code.data());
    let mut wanted = Vec::with_capacity(missing.len());
    for (j, part) in segment.as_mut().chunks_mut(fragment_length).enumerate() {
        match present.binary_search(&j) {
            Ok(at) => part.copy_from_slice(&chosen[at].1),
            Err(_) => wanted.push(part),
        }
    }
    let sources: Vec<&[u8]> = chosen[..code.data()].iter().map(|(_, fragment)| &**fragment).collect();
    plan.apply(&sources, &mut wanted).expect("all fragments have the expected length");
    Ok(segment.freeze().slice(..length))
}

#[cfg(test)]
mod tests;
