//! Turn a segment into fragments, and enough fragments back into the segment.
//!
//! A segment is cut into `k` data fragments; `m` parity fragments are linear combinations of them, byte by byte, over
//! GF(2^8). Any `k` of the `k + m` fragments give the segment back, and any fragment can be rebuilt from any `k`
//! others. The format is drawn in `docs/spec/erasure.md` and pinned by `vectors/erasure.json`.
//!
//! # Example
//! ```
//! let code = erasure::Code::new(4, 4)?;
//! let segment = bytes::Bytes::from_static(b"four of eight fragments are enough");
//! let encoded = erasure::encode_segment(&code, segment.clone())?;
//! let survivors: Vec<_> = [1, 4, 6, 7].map(|j| (j, encoded.fragments[j].clone())).into();
//! assert_eq!(erasure::decode_segment(&code, 34, &survivors)?, segment);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Design
//! The code is a matrix product per byte position ([`Code`]), so it runs over any range of columns alone and memory
//! stays bounded. Whole segments ([`encode_segment`], [`decode_segment`]) go through it in blocks that stay in cache.

mod code;
mod field;
mod kernel;
mod matrix;
mod pool;
mod segment;

pub use code::{Code, CodeError, ReconstructError, Reconstruction, ShapeError};
pub use segment::{
    DecodeError, EncodeError, EncodedSegment, FRAGMENT_LENGTH_MIN, FRAGMENT_LENGTH_UNIT, decode_segment,
    encode_segment, fragment_length,
};
