//! Hash what is written while it streams, and put checksums of parts together.

use crate::record::{Algorithm, Checksum, ChecksumKind};
use base64::{Engine, prelude::BASE64_STANDARD};
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

/// What a body hashes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// MD5, the entity tag of a plain object.
    pub md5: [u8; 16],
    /// The checksum that was asked for.
    pub checksum: Option<Checksum>,
}

/// Hashes a body in pieces.
pub struct Hasher {
    md5: Md5,
    checksum: Option<(Algorithm, Running)>,
}

enum Running {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// A hasher with one checksum beside MD5.
    pub fn new(algorithm: Option<Algorithm>) -> Self {
        Self { md5: Md5::new(), checksum: algorithm.map(|algorithm| (algorithm, Running::new(algorithm))) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some((_, running)) = &mut self.checksum {
            running.update(bytes);
        }
    }

    /// What all of them hash to.
    pub fn finish(self) -> Hashes {
        let checksum = self.checksum.map(|(algorithm, running)| Checksum {
            algorithm,
            value: BASE64_STANDARD.encode(running.finish()),
            kind: ChecksumKind::Full,
        });
        Hashes { md5: self.md5.finalize(), checksum }
    }
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64nvme => Self::Crc64nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hasher) => hasher.finalize().into(),
            Self::Crc32c(hasher) => hasher.finalize().into(),
            Self::Crc64nvme(hasher) => hasher.finalize().into(),
            Self::Sha1(hasher) => hasher.finalize().into(),
            Self::Sha256(hasher) => hasher.finalize().into(),
        }
    }
}

/// The entity tag of an object made of parts: MD5 of their MD5s, and how many there are.
pub fn etag_of_parts<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = etags.len();
    let mut md5 = Md5::new();
    etags.for_each(|etag| md5.update(&hex::decode(etag).unwrap_or_default()));
    format!("{}-{count}", hex::encode(md5.finalize()))
}

/// The checksum over the checksums of parts, and how many there are.
pub fn composite(algorithm: Algorithm, parts: &[(&str, u64)]) -> Option<String> {
    let mut running = Running::new(algorithm);
    for (value, _) in parts {
        running.update(&BASE64_STANDARD.decode(value).ok()?);
    }
    Some(format!("{}-{}", BASE64_STANDARD.encode(running.finish()), parts.len()))
}

/// The checksum over all bytes, out of those of the parts with their lengths; only CRCs can be put together.
pub fn combine(algorithm: Algorithm, parts: &[(&str, u64)]) -> Option<String> {
    let (crc, width) = match algorithm {
        Algorithm::Crc32 => (CrcAlgorithm::Crc32IsoHdlc, 4),
        Algorithm::Crc32c => (CrcAlgorithm::Crc32Iscsi, 4),
        Algorithm::Crc64nvme => (CrcAlgorithm::Crc64Nvme, 8),
        Algorithm::Sha1 | Algorithm::Sha256 => return None,
    };
    let mut whole: Option<u64> = None;
    for (value, length) in parts {
        let bytes = BASE64_STANDARD.decode(value).ok().filter(|bytes| bytes.len() == width)?;
        let part = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        whole = Some(whole.map_or(part, |whole| checksum_combine(crc, whole, part, *length)));
    }
    Some(BASE64_STANDARD.encode(&whole?.to_be_bytes()[8 - width..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(Some(algorithm));
        bytes.chunks(7).for_each(|piece| hasher.update(piece));
        hasher.finish().checksum.unwrap().value
    }

    #[test]
    fn known_values() {
        let digits = b"123456789";
        assert_eq!(checksum(Algorithm::Crc32, digits), "y/Q5Jg==");
        assert_eq!(checksum(Algorithm::Crc32c, digits), "4waSgw==");
        assert_eq!(checksum(Algorithm::Crc64nvme, digits), "rosUhgp5mIg=");
        assert_eq!(checksum(Algorithm::Sha256, b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(hex::encode(Hasher::new(None).finish().md5), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn parts_combine_to_the_whole() {
        let whole: Vec<u8> = (0..10_000u32).map(|index| (index * 7 % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let pieces: Vec<&[u8]> = vec![&whole[..4096], &whole[4096..4097], &whole[4097..]];
            let sums: Vec<(String, u64)> =
                pieces.iter().map(|piece| (checksum(algorithm, piece), piece.len() as u64)).collect();
            let parts: Vec<(&str, u64)> = sums.iter().map(|(sum, length)| (sum.as_str(), *length)).collect();
            assert_eq!(combine(algorithm, &parts), Some(checksum(algorithm, &whole)), "{algorithm:?}");
        }
        assert_eq!(combine(Algorithm::Sha1, &[("", 0)]), None);
    }

    #[test]
    fn tags_of_parts_count_them() {
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(etag_of_parts([empty].into_iter()), "59adb24ef3cdbe0297f05b395827453f-1");
    }
}
