//! Form the pieces of answers: times, tags, headers, documents.

use crate::record::{Algorithm, Checksum, ChecksumKind, Version};
use s3s::{
    S3Result,
    dto::{self, ETag, ServerSideEncryption, Timestamp},
    s3_error,
    xml::{DeserializeContent, Deserializer, SerializeContent, Serializer},
};
use time::OffsetDateTime;

/// A time of the records, in seconds as S3 shows it.
pub fn timestamp(milliseconds: u64) -> Timestamp {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
}

/// Milliseconds since 1970 of a time in a request.
pub fn milliseconds(time: Timestamp) -> u64 {
    let nanoseconds = OffsetDateTime::from(time).unix_timestamp_nanos();
    u64::try_from(nanoseconds / 1_000_000).unwrap_or(0)
}

/// What S3 calls it when everything is encrypted under the service's own keys.
pub fn sealed() -> ServerSideEncryption {
    ServerSideEncryption::from_static(ServerSideEncryption::AES256)
}

/// An entity tag.
pub fn etag(version: &Version) -> ETag {
    ETag::Strong(version.etag.clone())
}

/// A size or count as S3's types have it.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A document as XML.
pub fn to_xml<T: SerializeContent>(name: &str, document: &T) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Serializer::new(&mut bytes).content(name, document).map_err(super::internal)?;
    Ok(bytes)
}

/// Reads a document.
pub fn from_xml<T: for<'xml> DeserializeContent<'xml>>(name: &str, bytes: &[u8]) -> S3Result<T> {
    let mut deserializer = Deserializer::new(bytes);
    deserializer.named_element(name, Deserializer::content).map_err(|error| s3_error!(error, MalformedXML))
}

/// The five fields that S3 has for checksums.
#[derive(Clone, Debug, Default)]
pub struct Checksums {
    /// CRC-32.
    pub crc32: Option<String>,
    /// CRC-32C.
    pub crc32c: Option<String>,
    /// CRC-64/NVME.
    pub crc64nvme: Option<String>,
    /// SHA-1.
    pub sha1: Option<String>,
    /// SHA-256.
    pub sha256: Option<String>,
    /// What it is over.
    pub kind: Option<dto::ChecksumType>,
}

impl Checksums {
    /// The fields for one checksum.
    pub fn of(checksum: Option<&Checksum>) -> Self {
        let mut fields = Self::default();
        if let Some(checksum) = checksum {
            fields.set(checksum.algorithm, checksum.value.clone());
            fields.kind = Some(checksum_type(checksum.kind));
        }
        fields
    }

    /// Sets one field.
    pub fn set(&mut self, algorithm: Algorithm, value: String) {
        let field = match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        };
        *field = Some(value);
    }

    /// The one that is set.
    pub fn named(&self) -> Option<(Algorithm, String)> {
        let fields = [
            (Algorithm::Crc32, &self.crc32),
            (Algorithm::Crc32c, &self.crc32c),
            (Algorithm::Crc64nvme, &self.crc64nvme),
            (Algorithm::Sha1, &self.sha1),
            (Algorithm::Sha256, &self.sha256),
        ];
        fields.into_iter().find_map(|(algorithm, value)| Some((algorithm, value.clone()?)))
    }
}

/// Copies the five checksum fields out of a request.
#[macro_export]
macro_rules! checksums_of {
    ($input:expr) => {
        $crate::service::respond::Checksums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            kind: None,
        }
    };
}

/// An algorithm by the name that requests use.
pub fn algorithm(name: &str) -> S3Result<Algorithm> {
    match name.to_ascii_uppercase().as_str() {
        "CRC32" => Ok(Algorithm::Crc32),
        "CRC32C" => Ok(Algorithm::Crc32c),
        "CRC64NVME" => Ok(Algorithm::Crc64nvme),
        "SHA1" => Ok(Algorithm::Sha1),
        "SHA256" => Ok(Algorithm::Sha256),
        _ => Err(s3_error!(InvalidRequest, "there is no checksum algorithm of this name")),
    }
}

/// The name of an algorithm.
pub fn algorithm_name(algorithm: Algorithm) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from_static(match algorithm {
        Algorithm::Crc32 => "CRC32",
        Algorithm::Crc32c => "CRC32C",
        Algorithm::Crc64nvme => "CRC64NVME",
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha256 => "SHA256",
    })
}

/// What a checksum is over.
pub fn checksum_type(kind: ChecksumKind) -> dto::ChecksumType {
    dto::ChecksumType::from_static(match kind {
        ChecksumKind::Full => dto::ChecksumType::FULL_OBJECT,
        ChecksumKind::Composite => dto::ChecksumType::COMPOSITE,
    })
}
