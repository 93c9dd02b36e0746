//! Encode the pages of an index.
//!
//! # Format
//! ```text
//! leaf   = 1 ‖ 1 ‖ item count (2) ‖ count × (key (2 + n) ‖ value (2 + n))
//! inner  = 1 ‖ 2 ‖ item count (2) ‖ count × (first key (2 + n) ‖ extent (48))
//! root   = 1 ‖ 3 ‖ bytes in use of its own segment (8) ‖ name of the bucket (2 + n) ‖ height (1) ‖
//!          extent (48), if the height is not 0 ‖ delta count (4) ‖ count × (key (2 + n) ‖ 0 or 1 ‖ value (2 + n), if 1)
//! key    = 1 ‖ object key        value: entry
//!        | 2 ‖ segment id (32)   value: volume (4) ‖ bytes of the segment (4) ‖ bytes in use (8)
//!        | 3 ‖ segment id (32)   value: volume (4)
//!        | 4 ‖ record key        value: entry
//! ```
//! All keys of a page rise. A segment under 3 is in use no more and waits for its release.

use super::{
    codec::{DecodeError, Reader, Writer},
    entry::{Content, ENTRY_BYTES_MAX, Entry, Extent, SegmentRef},
};
use bytes::Bytes;
use std::collections::BTreeMap;
use types::SegmentId;

const VERSION: u8 = 1;
const LEAF: u8 = 1;
const INNER: u8 = 2;
const ROOT: u8 = 3;

/// Longest object key, in bytes.
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;
/// Longest name of a bucket, in bytes.
pub const BUCKET_NAME_BYTES_MAX: usize = 255;
/// Greatest height of a tree: with the smallest pages there are, more than any bucket needs.
pub const HEIGHT_MAX: u8 = 16;

/// Longest key of a record, in bytes.
pub const RECORD_KEY_BYTES_MAX: usize = 1300;

const KEY_BYTES_MAX: usize = RECORD_KEY_BYTES_MAX + 1;
const OBJECT: u8 = 1;
const SEGMENT: u8 = 2;
const UNUSED: u8 = 3;
const RECORD: u8 = 4;

/// What the tree is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An object by its key.
    Object(String),
    /// A segment with bytes in use.
    Segment(SegmentId),
    /// A segment that waits for its release.
    Unused(SegmentId),
    /// What a gateway keeps beside the objects, by a key of its own.
    Record(Bytes),
}

/// How much of a segment is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its volume, a hint.
    pub volume: u32,
    /// Its bytes.
    pub length: u32,
    /// Those of them that something refers to; what two refer to counts twice.
    pub used: u64,
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Under [`Key::Object`] and [`Key::Record`].
    Object(Entry),
    /// Under [`Key::Segment`].
    Segment(Usage),
    /// Under [`Key::Unused`]: the volume.
    Unused(u32),
}

/// A key with what stands under it.
pub type Item = (Key, Value);

/// The lowest pages of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf(pub Vec<Item>);

/// The pages above: the first key of each child and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner(pub Vec<(Key, Extent)>);

/// A page of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Height 1.
    Leaf(Leaf),
    /// Height 2 and more.
    Inner(Inner),
}

/// Where a child of a page being planned is: in the store, or among the new pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// A page as it was.
    Stored(Extent),
    /// The new page of this number.
    New(usize),
}

/// The page that the chain points at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootPage {
    /// The bucket's name.
    pub name: String,
    /// The topmost page of the tree and its height; nothing for an empty tree.
    pub tree: Option<(Extent, u8)>,
    /// Changes since the tree was written: a value, or a removal.
    pub delta: BTreeMap<Key, Option<Value>>,
}

impl Key {
    /// The key of an object.
    pub fn object(key: impl Into<String>) -> Self {
        Self::Object(key.into())
    }

    /// The key of a record.
    pub fn record(key: impl Into<Bytes>) -> Self {
        Self::Record(key.into())
    }

    /// The least key there is.
    pub(crate) fn first() -> Self {
        Self::Object(String::new())
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let (kind, bytes) = match self {
            Self::Object(key) => (OBJECT, key.as_bytes()),
            Self::Segment(id) => (SEGMENT, id.as_slice()),
            Self::Unused(id) => (UNUSED, id.as_slice()),
            Self::Record(key) => (RECORD, &key[..]),
        };
        out.u16(u16::try_from(bytes.len() + 1).expect("keys are bounded when they are made"));
        out.u8(kind);
        out.raw(bytes);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut bytes = Reader(reader.bytes(KEY_BYTES_MAX)?);
        let key = match bytes.u8()? {
            OBJECT => {
                let text = std::str::from_utf8(bytes.0).map_err(|_| DecodeError("an object key is not UTF-8"))?;
                if text.len() > OBJECT_KEY_BYTES_MAX {
                    return Err(DecodeError("an object key is too long"));
                }
                return Ok(Self::Object(text.to_owned()));
            }
            SEGMENT => Self::Segment(bytes.hash()?),
            UNUSED => Self::Unused(bytes.hash()?),
            RECORD => return Ok(Self::Record(Bytes::copy_from_slice(bytes.0))),
            _ => return Err(DecodeError("a key of an unknown kind")),
        };
        bytes.end()?;
        Ok(key)
    }

    /// Bytes of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        3 + match self {
            Self::Object(key) => key.len(),
            Self::Segment(_) | Self::Unused(_) => 32,
            Self::Record(key) => key.len(),
        }
    }
}

impl Value {
    /// The entry of an object or a record.
    pub fn as_entry(&self) -> Option<&Entry> {
        match self {
            Self::Object(entry) => Some(entry),
            Self::Segment(_) | Self::Unused(_) => None,
        }
    }

    fn write(&self, out: &mut Writer) {
        let mut bytes = Writer::default();
        match self {
            Self::Object(entry) => entry.write(&mut bytes),
            Self::Segment(usage) => {
                bytes.u32(usage.volume);
                bytes.u32(usage.length);
                bytes.u64(usage.used);
            }
            Self::Unused(volume) => bytes.u32(*volume),
        }
        out.bytes(&bytes.0);
    }

    fn read(reader: &mut Reader<'_>, key: &Key, own: SegmentRef) -> Result<Self, DecodeError> {
        let mut bytes = Reader(reader.bytes(ENTRY_BYTES_MAX)?);
        let value = match key {
            Key::Object(_) | Key::Record(_) => {
                let entry = Entry::read(bytes.0, own)?;
                // An object has a part even where it has no bytes: so that nothing, too, is authenticated.
                if matches!(key, Key::Object(_)) && matches!(&entry.content, Content::Parts(parts) if parts.is_empty())
                {
                    return Err(DecodeError("an object of no parts"));
                }
                return Ok(Self::Object(entry));
            }
            Key::Segment(_) => {
                let usage = Usage { volume: bytes.u32()?, length: bytes.u32()?, used: bytes.u64()? };
                Self::Segment(usage)
            }
            Key::Unused(_) => Self::Unused(bytes.u32()?),
        };
        bytes.end()?;
        Ok(value)
    }

    /// Bytes of the encoding.
    pub fn encoded_bytes(&self) -> usize {
        let mut out = Writer::default();
        self.write(&mut out);
        out.0.len()
    }
}

/// Encodes a leaf.
pub fn encode_leaf(items: &[Item]) -> Vec<u8> {
    let mut out = start(LEAF, items.len());
    for (key, value) in items {
        key.write(&mut out);
        value.write(&mut out);
    }
    out.0
}

/// Encodes an inner page.
pub fn encode_inner(children: &[(Key, Extent)]) -> Vec<u8> {
    let mut out = start(INNER, children.len());
    for (key, extent) in children {
        key.write(&mut out);
        extent.write(&mut out);
    }
    out.0
}

fn start(kind: u8, count: usize) -> Writer {
    let mut out = Writer::default();
    out.u8(VERSION);
    out.u8(kind);
    out.u16(u16::try_from(count).expect("a page holds fewer than 2^16 items"));
    out
}

impl Page {
    /// Reads a page of the tree at `height` that lies in the segment `own`.
    pub fn decode(bytes: &[u8], height: u8, own: SegmentRef) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let kind = read_start(&mut reader)?;
        let count = reader.u16()?;
        let page = match (kind, height) {
            (LEAF, 1) => Self::Leaf(Leaf(read_items(&mut reader, count, own)?)),
            (INNER, 2..) => Self::Inner(Inner(read_children(&mut reader, count, own)?)),
            _ => return Err(DecodeError("a page at the wrong height")),
        };
        reader.end()?;
        Ok(page)
    }
}

fn read_start(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.u8()? {
        VERSION => reader.u8(),
        _ => Err(DecodeError("an unknown version: use a newer program")),
    }
}

fn read_items(reader: &mut Reader<'_>, count: u16, own: SegmentRef) -> Result<Vec<Item>, DecodeError> {
    let mut items: Vec<Item> = Vec::new();
    for _ in 0..count {
        let key = Key::read(reader)?;
        require_rising(items.last().map(|(key, _)| key), &key)?;
        let value = Value::read(reader, &key, own)?;
        items.push((key, value));
    }
    if items.is_empty() { Err(DecodeError("an empty page")) } else { Ok(items) }
}

fn read_children(reader: &mut Reader<'_>, count: u16, own: SegmentRef) -> Result<Vec<(Key, Extent)>, DecodeError> {
    let mut children: Vec<(Key, Extent)> = Vec::new();
    for _ in 0..count {
        let key = Key::read(reader)?;
        require_rising(children.last().map(|(key, _)| key), &key)?;
        children.push((key, Extent::read(reader, own)?));
    }
    if children.is_empty() { Err(DecodeError("an empty page")) } else { Ok(children) }
}

fn require_rising(last: Option<&Key>, key: &Key) -> Result<(), DecodeError> {
    if last.is_some_and(|last| last >= key) { Err(DecodeError("keys are not in order")) } else { Ok(()) }
}

impl RootPage {
    /// Encodes the page; `used` bytes of its own segment are in use, the page's included.
    pub fn encode(&self, used: u64) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.u8(ROOT);
        out.u64(used);
        out.bytes(self.name.as_bytes());
        match &self.tree {
            Some((extent, height)) => {
                out.u8(*height);
                extent.write(&mut out);
            }
            None => out.u8(0),
        }
        out.u32(u32::try_from(self.delta.len()).expect("the delta is bounded"));
        for (key, value) in &self.delta {
            key.write(&mut out);
            out.u8(value.is_some().into());
            if let Some(value) = value {
                value.write(&mut out);
            }
        }
        out.0
    }

    /// Reads the page, which lies at the end of the segment `own`. What is in use of that segment is put into the delta.
    pub fn decode(bytes: &[u8], own: SegmentRef) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if read_start(&mut reader)? != ROOT {
            return Err(DecodeError("no root page"));
        }
        let used = reader.u64()?;
        let name = reader.text(BUCKET_NAME_BYTES_MAX)?;
        let tree = match reader.u8()? {
            0 => None,
            height if height <= HEIGHT_MAX => Some((Extent::read(&mut reader, own)?, height)),
            _ => return Err(DecodeError("the tree is too high")),
        };
        let mut delta = read_delta(&mut reader, own)?;
        reader.end()?;
        let usage = Usage { volume: own.volume, length: own.length, used };
        delta.insert(Key::Segment(own.id), Some(Value::Segment(usage)));
        Ok(Self { name, tree, delta })
    }

    /// Bytes of the delta.
    pub fn delta_bytes(&self) -> usize {
        let item = |(key, value): (&Key, &Option<Value>)| {
            key.encoded_bytes() + 1 + value.as_ref().map_or(0, Value::encoded_bytes)
        };
        self.delta.iter().map(item).sum()
    }
}

fn read_delta(reader: &mut Reader<'_>, own: SegmentRef) -> Result<BTreeMap<Key, Option<Value>>, DecodeError> {
    let mut delta = BTreeMap::new();
    for _ in 0..reader.u32()? {
        let key = Key::read(reader)?;
        require_rising(delta.last_key_value().map(|(key, _)| key), &key)?;
        let value = match reader.u8()? {
            0 => None,
            1 => Some(Value::read(reader, &key, own)?),
            _ => return Err(DecodeError("a change of an unknown kind")),
        };
        delta.insert(key, value);
    }
    Ok(delta)
}

#[cfg(test)]
mod tests;
