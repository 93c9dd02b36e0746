//! Lay out what S3 needs to know in a bucket's records.
//!
//! # Design
//! The current version of an object stands under its own key, so that `cess ls` and `cess get` show it. Everything else has
//! a record key: older versions and delete markers, uploads and their parts, the bucket's settings and documents.
//! `docs/spec/gateway.md` has the bytes; `vectors/gateway.json` pins them.

pub mod keys;

use crate::view::Stop;
use s3s::s3_error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Most bytes of the attributes of one record.
pub const ATTRIBUTES_BYTES_MAX: usize = 8 << 10;

/// What the gateway knows of a version of an object beside its size, time, type and metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Place in the order of the versions of its key: microseconds since 1970, pushed up to rise.
    #[serde(rename = "s")]
    pub sequence: u64,
    /// Whether it is the null version.
    #[serde(rename = "n", skip_serializing_if = "is_default")]
    pub null: bool,
    /// Whether it is a delete marker.
    #[serde(rename = "d", skip_serializing_if = "is_default")]
    pub marker: bool,
    /// Entity tag, without quotes.
    #[serde(rename = "e", skip_serializing_if = "is_default")]
    pub etag: String,
    /// Who wrote it; nothing for the bucket's owner.
    #[serde(rename = "o", skip_serializing_if = "is_default")]
    pub owner: Option<String>,
    /// Who may do what with it beside its owner.
    #[serde(rename = "g", skip_serializing_if = "is_default")]
    pub grants: Vec<Grant>,
    /// System headers that come back with it, by their names in lower case.
    #[serde(rename = "h", skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, String>,
    /// Tags, in order.
    #[serde(rename = "t", skip_serializing_if = "is_default")]
    pub tags: Vec<(String, String)>,
    /// A checksum that the writer chose.
    #[serde(rename = "c", skip_serializing_if = "is_default")]
    pub checksum: Option<Checksum>,
    /// The upload that it was made by, and how many parts it had.
    #[serde(rename = "u", skip_serializing_if = "is_default")]
    pub upload: Option<(String, u32)>,
    /// Retention.
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    pub retention: Option<Retention>,
    /// Legal hold.
    #[serde(rename = "l", skip_serializing_if = "is_default")]
    pub hold: Option<bool>,
}

/// An upload of several parts that is under way; its object's attributes are those that the request named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upload {
    /// What the object will have.
    #[serde(rename = "v")]
    pub version: Version,
    /// Who began it; nothing for the bucket's owner.
    #[serde(rename = "i", skip_serializing_if = "is_default")]
    pub initiator: Option<String>,
    /// Checksum algorithm, and whether the object's is made over all bytes.
    #[serde(rename = "a", skip_serializing_if = "is_default")]
    pub algorithm: Option<(Algorithm, ChecksumKind)>,
}

/// A part of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Entity tag, without quotes.
    #[serde(rename = "e")]
    pub etag: String,
    /// Its checksum.
    #[serde(rename = "c", skip_serializing_if = "is_default")]
    pub checksum: Option<Checksum>,
}

/// What an upload has become, so that a repeated request finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// Object key.
    #[serde(rename = "k")]
    pub key: String,
    /// The version.
    #[serde(rename = "v")]
    pub version: Version,
}

/// Size and checksum of a part of a finished object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedPart {
    /// Part number.
    #[serde(rename = "p")]
    pub number: u16,
    /// Bytes.
    #[serde(rename = "z")]
    pub size: u64,
    /// Its checksum in base64.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub checksum: Option<String>,
}

/// A permission for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who.
    #[serde(rename = "w")]
    pub grantee: Grantee,
    /// What, as S3 calls it.
    #[serde(rename = "p")]
    pub permission: Permission,
}

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// A user by id.
    User(String),
    /// Everybody.
    All,
    /// Everybody with a key.
    Authenticated,
    /// Those who deliver logs, which nobody is here.
    Log,
}

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// All of it.
    FullControl,
    /// Read objects, or list the bucket.
    Read,
    /// Write objects.
    Write,
    /// Read the ACL.
    ReadAcp,
    /// Write the ACL.
    WriteAcp,
}

/// A checksum algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// CRC-32.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME.
    Crc64nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What a checksum is made over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumKind {
    /// All bytes.
    #[default]
    Full,
    /// The checksums of the parts.
    Composite,
}

/// A checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// Algorithm.
    #[serde(rename = "a")]
    pub algorithm: Algorithm,
    /// Base64; of a composite one with the number of parts behind it.
    #[serde(rename = "v")]
    pub value: String,
    /// What it is over.
    #[serde(rename = "k")]
    pub kind: ChecksumKind,
}

/// How long a version may not be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How strictly.
    #[serde(rename = "m")]
    pub mode: RetentionMode,
    /// Until then, milliseconds since 1970.
    #[serde(rename = "u")]
    pub until_ms: u64,
}

/// How strict a retention is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetentionMode {
    /// Its owner may lift it.
    Governance,
    /// Nobody may.
    Compliance,
}

/// Whether a bucket keeps older versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Versioning {
    /// It never did.
    #[default]
    Off,
    /// It does.
    Enabled,
    /// It keeps those that it has.
    Suspended,
}

/// What a bucket is, beside its documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Its user; nothing for the account's own.
    #[serde(rename = "o", skip_serializing_if = "is_default")]
    pub owner: Option<String>,
    /// When it was made, milliseconds since 1970.
    #[serde(rename = "b", skip_serializing_if = "is_default")]
    pub created_ms: u64,
    /// Whether older versions are kept.
    #[serde(rename = "v", skip_serializing_if = "is_default")]
    pub versioning: Versioning,
    /// Whether versions can be locked.
    #[serde(rename = "k", skip_serializing_if = "is_default")]
    pub lock: bool,
    /// Who may do what beside its owner.
    #[serde(rename = "g", skip_serializing_if = "is_default")]
    pub grants: Vec<Grant>,
    /// Who owns what others write: `BucketOwnerEnforced`, `BucketOwnerPreferred` or `ObjectWriter`.
    #[serde(rename = "w", skip_serializing_if = "is_default")]
    pub ownership: Option<String>,
    /// Retention of new objects.
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    pub retention: Option<DefaultRetention>,
    /// Which public access is blocked.
    #[serde(rename = "p", skip_serializing_if = "is_default")]
    pub block: Option<PublicAccessBlock>,
}

/// The retention that new objects get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strictly.
    #[serde(rename = "m")]
    pub mode: RetentionMode,
    /// Days, or years.
    #[serde(rename = "p")]
    pub period: Period,
}

/// A time in days or years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Days.
    Days(u32),
    /// Years of 365 days.
    Years(u32),
}

/// Which public access is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicAccessBlock {
    /// Public ACLs are refused.
    #[serde(rename = "ba", skip_serializing_if = "is_default")]
    pub block_acls: bool,
    /// Public ACLs that there are count for nothing.
    #[serde(rename = "ia", skip_serializing_if = "is_default")]
    pub ignore_acls: bool,
    /// Public policies are refused.
    #[serde(rename = "bp", skip_serializing_if = "is_default")]
    pub block_policy: bool,
    /// A public policy counts for the owner only.
    #[serde(rename = "rb", skip_serializing_if = "is_default")]
    pub restrict_buckets: bool,
}

/// Encodes attributes.
pub fn encode<T: Serialize>(attributes: &T) -> Result<Vec<u8>, Stop> {
    let bytes = serde_json::to_vec(attributes).expect("plain data has a JSON form");
    if bytes.len() > ATTRIBUTES_BYTES_MAX {
        return Err(s3_error!(MetadataTooLarge, "tags, grants and headers together take more than 8 KiB").into());
    }
    Ok(bytes)
}

/// Reads attributes; what is not of the gateway has none.
pub fn decode<T: DeserializeOwned + Default>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Version {
    /// The version id that S3 shows.
    pub fn id(&self) -> String {
        if self.null { NULL_VERSION.into() } else { version_id(self.sequence) }
    }
}

/// The id of versions that were written while versioning was not enabled.
pub const NULL_VERSION: &str = "null";

/// The id of a version by its place in the order.
pub fn version_id(sequence: u64) -> String {
    format!("{sequence:016x}")
}

/// The place in the order that an id names.
pub fn sequence(version_id: &str) -> Option<u64> {
    (version_id.len() == 16).then(|| u64::from_str_radix(version_id, 16).ok()).flatten()
}

#[cfg(test)]
mod tests;
