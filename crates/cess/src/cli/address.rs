//! Parse what names objects on the command line: `cess://BUCKET/KEY` and byte ranges.

use std::{fmt, str::FromStr};

/// Longest name of a bucket.
const BUCKET_NAME_BYTES_MAX: usize = 255;
/// How every address begins.
const SCHEME: &str = "cess://";

/// A bucket, with a key or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the bucket.
    pub bucket: String,
    /// Key or prefix; may be empty.
    pub key: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix(SCHEME).ok_or("an address looks like cess://BUCKET/KEY")?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { bucket: bucket_name(bucket)?, key: key.into() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}

/// An object: a place with a key. A key that ends in `/` stands for all objects below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectUrl(Place);

impl ObjectUrl {
    /// Name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.0.bucket
    }

    /// The key; empty for the whole bucket.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The same bucket with another key.
    pub fn with_key(self, key: String) -> Self {
        Self(Place { key, ..self.0 })
    }

    /// The place, for listing what begins with the key.
    pub fn place(&self) -> &Place {
        &self.0
    }

    /// Whether it stands for all objects below it.
    pub fn is_folder(&self) -> bool {
        self.0.key.is_empty() || self.0.key.ends_with('/')
    }
}

impl FromStr for ObjectUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Checks the name of a bucket.
pub fn bucket_name(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("the name of the bucket is missing: cess://BUCKET/KEY".into());
    }
    if name.len() > BUCKET_NAME_BYTES_MAX {
        return Err(format!("the name of a bucket has at most {BUCKET_NAME_BYTES_MAX} bytes"));
    }
    if name.contains('/') {
        return Err("the name of a bucket contains no /".into());
    }
    Ok(name.into())
}

/// Bytes of an object, as asked for: the end may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub first: u64,
    /// Last byte, included; to the end if absent.
    pub last: Option<u64>,
}

/// Parses `A-B` or `A-`.
pub fn byte_range(text: &str) -> Result<ByteRange, String> {
    let wrong = || "a range is FIRST-LAST in bytes from 0, or FIRST- for the rest".to_string();
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first = first.parse().map_err(|_| wrong())?;
    let last = if last.is_empty() { None } else { Some(last.parse().map_err(|_| wrong())?) };
    if last.is_some_and(|last| last < first) {
        return Err("a range ends after it begins".into());
    }
    Ok(ByteRange { first, last })
}
