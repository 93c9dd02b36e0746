//! Seal an object in chunks that open one by one.
//!
//! # Format
//! ```text
//! header 32 | chunk 0, tag 16 | chunk 1, tag 16 | … | last chunk, tag 16
//!
//! header:  "CESS" | version 1 | cipher 1 | log2 of the chunk length 16 | 0 | plaintext length u64 | key check 16
//! nonce:   7 bytes of H(header) | chunk index u32 | 1 for the last chunk, else 0
//! ```
//! Integers are big-endian. Every chunk is sealed by AES-256-GCM under the content key with the header as associated
//! data.
//!
//! # Invariants
//! Index and last flag in the nonce are those of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-
//! Encryption and its Nonce-Reuse Misuse-Resistance", 2015): chunks that are swapped, dropped or taken from another
//! object do not authenticate. A content key seals one plaintext only, since nonces repeat from object to object.

use crate::{
    cipher::{Cipher, NONCE_LENGTH},
    keys::ContentKey,
    layout::{CHUNK_LENGTH_LOG2, HEADER_LENGTH, Layout, SEALED_CHUNK_LENGTH, TAG_LENGTH, TooLong},
};
use thiserror::Error;

const MAGIC: &[u8; 4] = b"CESS";
const VERSION: u8 = 1;
/// AES-256-GCM, the only cipher so far.
const CIPHER_ID: u8 = 1;
const KEY_CHECK_LENGTH: usize = 16;
const NONCE_PREFIX_LENGTH: usize = 7;

const KEY_CHECK_DOMAIN: &str = "cess 2026 key check v1";
const NONCE_PREFIX_DOMAIN: &str = "cess 2026 nonce prefix v1";

/// Why a chunk cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The object is longer than the format allows.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The object's length leaves no chunk of this index.
    #[error("there is no chunk {index} in an object of {count} chunks")]
    NoSuchChunk {
        /// The index given.
        index: u64,
        /// Chunks of the object.
        count: u64,
    },
    /// The plaintext has not the length of this chunk.
    #[error("chunk {chunk} has {expected} bytes of plaintext, not {found}")]
    ChunkLength {
        /// Index of the chunk.
        chunk: u64,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The buffer is not a tag longer than the chunk.
    #[error("the sealed form of chunk {chunk} has {expected} bytes, the buffer {found}")]
    BufferLength {
        /// Index of the chunk.
        chunk: u64,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
}

/// Why a sealed object does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The bytes do not begin like a sealed object.
    #[error("this is no sealed object")]
    NotSealed,
    /// A newer program sealed it, or the header was altered.
    #[error(
        "the object is sealed in format {version}, cipher {cipher}, chunks of 2^{chunk_length_log2}: not known here"
    )]
    Unsupported {
        /// Version of the header.
        version: u8,
        /// Number of the cipher.
        cipher: u8,
        /// Logarithm of the chunk length.
        chunk_length_log2: u8,
    },
    /// The header claims more bytes than the format allows.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The key is not the one the object was sealed with.
    #[error("the key is not the one this object was sealed with")]
    WrongKey,
    /// Bytes are missing at the end.
    #[error("the sealed object is cut off: {found} bytes of {expected}")]
    Truncated {
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// There are bytes behind the end.
    #[error("the sealed object has {found} bytes where its header says {expected}")]
    Overlong {
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The object's length leaves no chunk of this index.
    #[error("there is no chunk {index} in an object of {count} chunks")]
    NoSuchChunk {
        /// The index given.
        index: u64,
        /// Chunks of the object.
        count: u64,
    },
    /// The bytes given for a chunk have not its length.
    #[error("the sealed form of chunk {chunk} has {expected} bytes, not {found}")]
    ChunkLength {
        /// Index of the chunk.
        chunk: u64,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The buffer for the plaintext has not the chunk's length.
    #[error("chunk {chunk} has {expected} bytes of plaintext, the buffer {found}")]
    BufferLength {
        /// Index of the chunk.
        chunk: u64,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A chunk or the header was altered, or the chunk belongs elsewhere.
    #[error("chunk {chunk} is corrupt: it or the header was altered, or it is another chunk")]
    Corrupt {
        /// Index of the chunk.
        chunk: u64,
    },
}

/// The part that sealing and opening share: the cipher, and what goes into nonces and associated data.
struct Chunks {
    layout: Layout,
    header: [u8; HEADER_LENGTH],
    nonce_prefix: [u8; NONCE_PREFIX_LENGTH],
    cipher: Cipher,
}

impl Chunks {
    fn new(key: &ContentKey, layout: Layout) -> Self {
        let header = encode_header(layout, key_check(key));
        let prefix = blake3::derive_key(NONCE_PREFIX_DOMAIN, &header);
        let nonce_prefix = *prefix.first_chunk().expect("a hash is longer");
        Self { layout, header, nonce_prefix, cipher: Cipher::new(key.as_bytes()) }
    }

    fn nonce(&self, index: u64) -> [u8; NONCE_LENGTH] {
        let counter = u32::try_from(index).expect("a layout has at most 2^32 chunks").to_be_bytes();
        let mut nonce = [0; NONCE_LENGTH];
        nonce[..NONCE_PREFIX_LENGTH].copy_from_slice(&self.nonce_prefix);
        nonce[NONCE_PREFIX_LENGTH..][..4].copy_from_slice(&counter);
        nonce[NONCE_LENGTH - 1] = self.layout.is_last(index).into();
        nonce
    }
}

fn key_check(key: &ContentKey) -> [u8; KEY_CHECK_LENGTH] {
    *blake3::derive_key(KEY_CHECK_DOMAIN, key.as_bytes()).first_chunk().expect("a hash is longer")
}

fn encode_header(layout: Layout, key_check: [u8; KEY_CHECK_LENGTH]) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..4].copy_from_slice(MAGIC);
    header[4..7].copy_from_slice(&[VERSION, CIPHER_ID, CHUNK_LENGTH_LOG2]);
    header[8..16].copy_from_slice(&layout.plain_length().to_be_bytes());
    header[16..].copy_from_slice(&key_check);
    header
}

/// The plaintext length and key check that a header states.
fn parse_header(bytes: &[u8]) -> Result<(Layout, [u8; KEY_CHECK_LENGTH]), OpenError> {
    let truncated = OpenError::Truncated { expected: HEADER_LENGTH as u64, found: bytes.len() as u64 };
    let header: &[u8; HEADER_LENGTH] = bytes.first_chunk().ok_or(truncated)?;
    let (start, rest) = header.split_first_chunk::<8>().expect("32 bytes hold 8");
    let (length, key_check) = rest.split_first_chunk::<8>().expect("24 bytes hold 8");
    let [m0, m1, m2, m3, version, cipher, chunk_length_log2, reserved] = *start;
    if [m0, m1, m2, m3] != *MAGIC {
        return Err(OpenError::NotSealed);
    }
    if [version, cipher, chunk_length_log2, reserved] != [VERSION, CIPHER_ID, CHUNK_LENGTH_LOG2, 0] {
        return Err(OpenError::Unsupported { version, cipher, chunk_length_log2 });
    }
    let layout = Layout::new(u64::from_be_bytes(*length))?;
    Ok((layout, key_check.try_into().expect("16 bytes are left")))
}

/// Seals an object whose length is known, chunk by chunk, in any order or in turn.
pub struct Sealer {
    chunks: Chunks,
    next: u64,
}

impl Sealer {
    /// Begin to seal `plain_length` bytes under a key that has sealed nothing else.
    pub fn new(key: &ContentKey, plain_length: u64) -> Result<Self, SealError> {
        Ok(Self { chunks: Chunks::new(key, Layout::new(plain_length)?), next: 0 })
    }

    /// The header, which goes before the first chunk.
    pub fn header(&self) -> &[u8; HEADER_LENGTH] {
        &self.chunks.header
    }

    /// Where the chunks lie.
    pub fn layout(&self) -> Layout {
        self.chunks.layout
    }

    /// Seal a chunk into `out`, which is 16 bytes longer.
    ///
    /// The sealer is not changed, so chunks can be sealed in any order and in parallel. The caller sees to it that an
    /// index gets one plaintext only.
    pub fn seal_into(&self, index: u64, plaintext: &[u8], out: &mut [u8]) -> Result<(), SealError> {
        let expected = self.check_length(index, plaintext.len())?;
        if out.len() != expected + TAG_LENGTH {
            return Err(SealError::BufferLength { chunk: index, expected: expected + TAG_LENGTH, found: out.len() });
        }
        let chunks = &self.chunks;
        chunks.cipher.seal(chunks.nonce(index), &chunks.header, plaintext, out);
        Ok(())
    }

    /// Seal a chunk where it lies: `buffer` holds the plaintext and 16 bytes of room for the tag.
    pub fn seal_in_place(&self, index: u64, buffer: &mut [u8]) -> Result<(), SealError> {
        let too_short = SealError::BufferLength { chunk: index, expected: TAG_LENGTH, found: buffer.len() };
        self.check_length(index, buffer.len().checked_sub(TAG_LENGTH).ok_or(too_short)?)?;
        let chunks = &self.chunks;
        chunks.cipher.seal_in_place(chunks.nonce(index), &chunks.header, buffer);
        Ok(())
    }

    /// Seal the next chunk where it lies, and append its tag.
    pub fn seal_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        self.check_length(self.next, chunk.len())?;
        chunk.resize(chunk.len() + TAG_LENGTH, 0);
        self.seal_in_place(self.next, chunk)?;
        self.next += 1;
        Ok(())
    }

    /// Whether [`seal_chunk`](Self::seal_chunk) has sealed the last chunk.
    pub fn is_complete(&self) -> bool {
        self.next == self.chunks.layout.chunk_count()
    }

    fn check_length(&self, index: u64, found: usize) -> Result<usize, SealError> {
        let count = self.chunks.layout.chunk_count();
        let expected = self.chunks.layout.chunk_length(index).ok_or(SealError::NoSuchChunk { index, count })?;
        if found != expected {
            return Err(SealError::ChunkLength { chunk: index, expected, found });
        }
        Ok(expected)
    }
}

/// Opens the chunks of a sealed object, in any order.
pub struct Opener {
    chunks: Chunks,
}

impl Opener {
    /// Begin to open an object from its first bytes, of which there are at least the header's 32.
    pub fn new(key: &ContentKey, header: &[u8]) -> Result<Self, OpenError> {
        let (layout, stated) = parse_header(header)?;
        if stated != key_check(key) {
            return Err(OpenError::WrongKey);
        }
        Ok(Self { chunks: Chunks::new(key, layout) })
    }

    /// Where the chunks lie.
    pub fn layout(&self) -> Layout {
        self.chunks.layout
    }

    /// Check the length of the sealed object against its header, before anything is decrypted.
    pub fn check_length(&self, found: u64) -> Result<(), OpenError> {
        let expected = self.chunks.layout.sealed_length();
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => Err(OpenError::Truncated { expected, found }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(OpenError::Overlong { expected, found }),
        }
    }

    /// Open a chunk where it lies; what is returned is the plaintext.
    pub fn open_chunk<'a>(&self, index: u64, sealed: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        self.check_chunk_length(index, sealed.len())?;
        let chunks = &self.chunks;
        let opened = chunks.cipher.open_in_place(chunks.nonce(index), &chunks.header, sealed);
        opened.map_err(|_| OpenError::Corrupt { chunk: index })
    }

    /// Open a chunk into `out`, which is 16 bytes shorter; after an error `out` holds nothing of use.
    pub fn open_into(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<(), OpenError> {
        let expected = self.check_chunk_length(index, sealed.len())?;
        if out.len() != expected {
            return Err(OpenError::BufferLength { chunk: index, expected, found: out.len() });
        }
        let chunks = &self.chunks;
        let opened = chunks.cipher.open(chunks.nonce(index), &chunks.header, sealed, out);
        opened.map_err(|_| OpenError::Corrupt { chunk: index })
    }

    /// The chunk's plaintext length, if `found` bytes are its sealed length.
    fn check_chunk_length(&self, index: u64, found: usize) -> Result<usize, OpenError> {
        let count = self.chunks.layout.chunk_count();
        let plain = self.chunks.layout.chunk_length(index).ok_or(OpenError::NoSuchChunk { index, count })?;
        if found != plain + TAG_LENGTH {
            return Err(OpenError::ChunkLength { chunk: index, expected: plain + TAG_LENGTH, found });
        }
        Ok(plain)
    }
}

/// Seal a whole object in memory.
pub fn seal_object(key: &ContentKey, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let sealer = Sealer::new(key, plaintext.len() as u64)?;
    let mut sealed = vec![0; sealer.layout().sealed_length() as usize];
    let (header, body) = sealed.split_at_mut(HEADER_LENGTH);
    header.copy_from_slice(sealer.header());
    let mut rest = plaintext;
    for (index, out) in (0..).zip(body.chunks_mut(SEALED_CHUNK_LENGTH)) {
        let (chunk, tail) = rest.split_at(out.len() - TAG_LENGTH);
        sealer.seal_into(index, chunk, out)?;
        rest = tail;
    }
    Ok(sealed)
}

/// Open a whole object in memory.
pub fn open_object(key: &ContentKey, mut sealed: Vec<u8>) -> Result<Vec<u8>, OpenError> {
    let opener = Opener::new(key, &sealed)?;
    opener.check_length(sealed.len() as u64)?;
    let mut plain_end = 0;
    for index in 0..opener.layout().chunk_count() {
        let start = HEADER_LENGTH + index as usize * SEALED_CHUNK_LENGTH;
        let end = sealed.len().min(start + SEALED_CHUNK_LENGTH);
        let length = opener.open_chunk(index, &mut sealed[start..end])?.len();
        sealed.copy_within(start..start + length, plain_end);
        plain_end += length;
    }
    sealed.truncate(plain_end);
    Ok(sealed)
}

#[cfg(test)]
mod tests;
