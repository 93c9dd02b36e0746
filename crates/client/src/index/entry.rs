//! Describe an object: what it is and where its sealed bytes lie.
//!
//! # Format
//! ```text
//! extent   = segment id (32) ‖ volume (4) ‖ bytes of the segment (4) ‖ offset (4) ‖ length (4)
//! part     = generation (8) ‖ wrapped key (146) ‖ plaintext length (8) ‖ extent count (4) ‖ extents
//! parts    = count (4) ‖ part count × part
//! entry    = etag (32) ‖ size (8) ‖ modified, ms (8) ‖ content type (2 + n) ‖ metadata count (1) ‖
//!            count × (name (2 + n) ‖ value (2 + n)) ‖ attributes (2 + n) ‖
//!            0 ‖ parts      or      1 ‖ piece count (2) ‖ extents of the pieces
//! ```
//! A segment id of zero, with volume and bytes zero, stands for the segment that the page itself lies in: that one's
//! identity depends on the page. Longer lists of parts lie in pieces of their own, sealed like pages.

use super::codec::{DecodeError, Reader, Writer};
use crate::body::Body;
use alloy_primitives::B256;
use bytes::Bytes;
use sealing::{Layout, WRAPPED_KEY_LENGTH, WrappedKey, sealed_length};
use std::collections::BTreeMap;
use types::SegmentId;

/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Most bytes of all names and values of an object's metadata.
pub const METADATA_BYTES_MAX: usize = 2048;
/// Most pairs of metadata.
pub const METADATA_COUNT_MAX: usize = 64;
/// Most bytes of an object's attributes.
pub const ATTRIBUTES_BYTES_MAX: usize = 8 << 10;
/// Longest list of parts that stands in the entry itself.
pub const PARTS_INLINE_BYTES_MAX: usize = 2048;
/// Bytes of each piece of a longer list; half a segment where segments are small.
pub const PIECE_BYTES: usize = 1 << 20;
/// Most pieces: lists of 100 MiB, objects of tens of TiB.
pub const PIECES_MAX: usize = 100;
/// Longest encoding of an entry.
pub const ENTRY_BYTES_MAX: usize = 16 << 10;

const EXTENT_BYTES: usize = 48;
const PART_BYTES_MIN: usize = 8 + WRAPPED_KEY_LENGTH + 8 + 4;

/// A segment and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentRef {
    /// The segment.
    pub id: SegmentId,
    /// Its volume, a hint.
    pub volume: u32,
    /// Bytes of the segment.
    pub length: u32,
}

impl SegmentRef {
    /// The segment that the page which says so lies in.
    pub const OWN: Self = Self { id: B256::ZERO, volume: 0, length: 0 };

    /// Whether this is [`OWN`](Self::OWN).
    pub fn is_own(&self) -> bool {
        self.id.is_zero()
    }
}

/// A run of bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The segment.
    pub segment: SegmentRef,
    /// First byte.
    pub offset: u32,
    /// Bytes, at least one.
    pub length: u32,
}

/// What is sealed under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Generation of the policy key that the key is wrapped for.
    pub generation: u64,
    /// The content key.
    pub key: WrappedKey,
    /// Bytes of plaintext.
    pub plain_length: u64,
    /// Where the sealed bytes lie, in order; each begins at a chunk.
    pub extents: Vec<Extent>,
}

/// Where an object's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its parts, in order.
    Parts(Vec<Part>),
    /// Pieces of the sealed list of parts.
    Pieces(Vec<Extent>),
    /// Bytes that get their places with the change that puts the entry. No entry of a stored page has this.
    Body(Body),
}

impl Content {
    /// Whether there is not even a part.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.is_empty())
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Parts(Vec::new())
    }
}

/// An object or a record as the index knows it. One of no bytes is `Entry::default()` with what is to be noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// BLAKE3 of the plaintext; of an object that was joined from others see [`Body::join`].
    pub etag: B256,
    /// Bytes of plaintext.
    pub size: u64,
    /// Time of the last change, milliseconds since 1970.
    pub modified_ms: u64,
    /// MIME type, or nothing.
    pub content_type: String,
    /// What the owner noted beside.
    pub metadata: BTreeMap<String, String>,
    /// What a gateway noted beside: opaque bytes.
    pub attributes: Bytes,
    /// Where the bytes are.
    pub content: Content,
}

/// What an entry cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The content type is too long.
    #[error("a content type has at most {CONTENT_TYPE_BYTES_MAX} bytes")]
    ContentType,
    /// There is too much metadata.
    #[error("metadata has at most {METADATA_COUNT_MAX} pairs and {METADATA_BYTES_MAX} bytes")]
    Metadata,
    /// There are too many attributes.
    #[error("attributes have at most {ATTRIBUTES_BYTES_MAX} bytes")]
    Attributes,
    /// The object has too many segments.
    #[error("the object is too large for one entry: store it in several")]
    TooManySegments,
}

impl Entry {
    /// Checks what a caller chose.
    pub fn check(&self) -> Result<(), EntryError> {
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.content_type.len() > CONTENT_TYPE_BYTES_MAX {
            return Err(EntryError::ContentType);
        }
        if self.metadata.len() > METADATA_COUNT_MAX || bytes > METADATA_BYTES_MAX {
            return Err(EntryError::Metadata);
        }
        if self.attributes.len() > ATTRIBUTES_BYTES_MAX {
            return Err(EntryError::Attributes);
        }
        match &self.content {
            Content::Pieces(pieces) if pieces.len() > PIECES_MAX => Err(EntryError::TooManySegments),
            Content::Parts(parts) if parts_bytes(parts) > PARTS_INLINE_BYTES_MAX => Err(EntryError::TooManySegments),
            _ => Ok(()),
        }
    }

    /// The extents that the entry itself names: of the parts, or of the pieces that list them.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> {
        let (parts, pieces) = match &self.content {
            Content::Parts(parts) => (parts.as_slice(), &[][..]),
            Content::Pieces(pieces) => (&[][..], pieces.as_slice()),
            Content::Body(_) => (&[][..], &[][..]),
        };
        parts.iter().flat_map(|part| &part.extents).chain(pieces)
    }

    /// The same, to fill in segments that have a name by now.
    pub fn extents_mut(&mut self) -> impl Iterator<Item = &mut Extent> {
        let (parts, pieces) = match &mut self.content {
            Content::Parts(parts) => (parts.as_mut_slice(), &mut [][..]),
            Content::Pieces(pieces) => (&mut [][..], pieces.as_mut_slice()),
            Content::Body(_) => (&mut [][..], &mut [][..]),
        };
        parts.iter_mut().flat_map(|part| &mut part.extents).chain(pieces)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.raw(self.etag.as_slice());
        out.u64(self.size);
        out.u64(self.modified_ms);
        out.bytes(self.content_type.as_bytes());
        out.u8(u8::try_from(self.metadata.len()).expect("checked before an entry is planned"));
        for (name, value) in &self.metadata {
            out.bytes(name.as_bytes());
            out.bytes(value.as_bytes());
        }
        out.bytes(&self.attributes);
        match &self.content {
            Content::Parts(parts) => {
                out.u8(0);
                write_parts(parts, out);
            }
            Content::Pieces(pieces) => {
                out.u8(1);
                out.u16(u16::try_from(pieces.len()).expect("checked before an entry is planned"));
                pieces.iter().for_each(|piece| piece.write(out));
            }
            Content::Body(_) => unreachable!("an update gives every body its place before it writes pages"),
        }
    }

    pub(crate) fn read(bytes: &[u8], own: SegmentRef) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let etag = reader.hash()?;
        let size = reader.u64()?;
        let modified_ms = reader.u64()?;
        let content_type = reader.text(CONTENT_TYPE_BYTES_MAX)?;
        let metadata = read_metadata(&mut reader)?;
        let attributes = Bytes::copy_from_slice(reader.bytes(ATTRIBUTES_BYTES_MAX)?);
        let content = match reader.u8()? {
            0 => Content::Parts(read_parts(&mut reader, own)?),
            1 => Content::Pieces(read_pieces(&mut reader, own)?),
            _ => return Err(DecodeError("an entry of an unknown kind")),
        };
        reader.end()?;
        let entry = Self { etag, size, modified_ms, content_type, metadata, attributes, content };
        entry.check().map_err(|_| DecodeError("an entry breaks a limit"))?;
        if let Content::Parts(parts) = &entry.content {
            check_parts(parts, size)?;
        }
        Ok(entry)
    }
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, DecodeError> {
    let mut metadata = BTreeMap::new();
    for _ in 0..reader.u8()? {
        let name = reader.text(METADATA_BYTES_MAX)?;
        if metadata.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(DecodeError("metadata is not in order"));
        }
        let value = reader.text(METADATA_BYTES_MAX)?;
        metadata.insert(name, value);
    }
    Ok(metadata)
}

fn read_pieces(reader: &mut Reader<'_>, own: SegmentRef) -> Result<Vec<Extent>, DecodeError> {
    let count = usize::from(reader.u16()?);
    if count == 0 || count > PIECES_MAX {
        return Err(DecodeError("a wrong number of pieces"));
    }
    (0..count).map(|_| Extent::read(reader, own)).collect()
}

/// The list of parts as it lies in pieces. No part may lie in the pieces' own segment.
pub fn encode_parts(parts: &[Part]) -> Vec<u8> {
    let mut out = Writer::default();
    write_parts(parts, &mut out);
    out.0
}

/// Reads a list of parts out of joined pieces, for an object of `size` bytes.
pub fn decode_parts(bytes: &[u8], size: u64) -> Result<Vec<Part>, DecodeError> {
    let mut reader = Reader(bytes);
    let parts = read_parts(&mut reader, SegmentRef::OWN)?;
    reader.end()?;
    check_parts(&parts, size)?;
    if parts.iter().flat_map(|part| &part.extents).any(|extent| extent.segment.is_own()) {
        return Err(DecodeError("a part lies nowhere"));
    }
    Ok(parts)
}

/// Bytes of the encoded list.
pub fn parts_bytes(parts: &[Part]) -> usize {
    4 + parts.iter().map(|part| part_bytes(part.extents.len())).sum::<usize>()
}

/// Bytes of an encoded part.
pub(crate) fn part_bytes(extent_count: usize) -> usize {
    PART_BYTES_MIN + extent_count * EXTENT_BYTES
}

fn write_parts(parts: &[Part], out: &mut Writer) {
    out.u32(u32::try_from(parts.len()).expect("an object has fewer than 2^32 parts"));
    for part in parts {
        out.u64(part.generation);
        out.raw(part.key.as_bytes());
        out.u64(part.plain_length);
        out.u32(u32::try_from(part.extents.len()).expect("a part has fewer than 2^32 extents"));
        part.extents.iter().for_each(|extent| extent.write(out));
    }
}

fn read_parts(reader: &mut Reader<'_>, own: SegmentRef) -> Result<Vec<Part>, DecodeError> {
    let count = reader.u32()? as usize;
    // The bytes that are there bound what a claimed count can make us hold.
    let mut parts = Vec::with_capacity(count.min(reader.0.len() / PART_BYTES_MIN));
    for _ in 0..count {
        let generation = reader.u64()?;
        let key = WrappedKey::try_from(reader.take(WRAPPED_KEY_LENGTH)?).map_err(|_| DecodeError("no wrapped key"))?;
        let plain_length = reader.u64()?;
        let count = reader.u32()? as usize;
        let mut extents = Vec::with_capacity(count.min(reader.0.len() / EXTENT_BYTES));
        for _ in 0..count {
            extents.push(Extent::read(reader, own)?);
        }
        parts.push(Part { generation, key, plain_length, extents });
    }
    Ok(parts)
}

/// Whether the parts make up the object and the extents the parts.
fn check_parts(parts: &[Part], size: u64) -> Result<(), DecodeError> {
    let plain = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.plain_length));
    if plain != Some(size) {
        return Err(DecodeError("the parts do not make up the object"));
    }
    for part in parts {
        Layout::new(part.plain_length).map_err(|_| DecodeError("a part is too long"))?;
        let sealed: u64 = part.extents.iter().map(|extent| u64::from(extent.length)).sum();
        if sealed != sealed_length(part.plain_length) {
            return Err(DecodeError("the extents do not make up a part"));
        }
    }
    Ok(())
}

impl Extent {
    /// First byte and the byte after the last.
    pub fn range(&self) -> std::ops::Range<u64> {
        u64::from(self.offset)..u64::from(self.offset) + u64::from(self.length)
    }

    /// The encoding.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        out.0
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.raw(self.segment.id.as_slice());
        out.u32(self.segment.volume);
        out.u32(self.segment.length);
        out.u32(self.offset);
        out.u32(self.length);
    }

    /// Reads an extent of a page in the segment `own`.
    pub(crate) fn read(reader: &mut Reader<'_>, own: SegmentRef) -> Result<Self, DecodeError> {
        let mut segment = SegmentRef { id: reader.hash()?, volume: reader.u32()?, length: reader.u32()? };
        if segment.is_own() {
            if segment != SegmentRef::OWN {
                return Err(DecodeError("an extent of no segment"));
            }
            segment = own;
        }
        let extent = Self { segment, offset: reader.u32()?, length: reader.u32()? };
        if extent.length == 0 || (!segment.is_own() && extent.range().end > u64::from(segment.length)) {
            return Err(DecodeError("an extent outside its segment"));
        }
        Ok(extent)
    }
}
