//! Take the body of a write: hash it while it streams, and hold it against what the request says of it.

use super::{
    Service,
    respond::{Checksums, algorithm},
};
use crate::{
    checksum::{Hasher, Hashes},
    record::{Algorithm, Checksum},
    storage::{Bucket, Staged, Storage},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::HeaderMap;
use parking_lot::Mutex;
use s3s::{S3Result, TrailingHeaders, dto::StreamingBlob, s3_error};
use std::{io, sync::Arc};

/// Most bytes of one body: a part, or an object that is written at once.
pub const BODY_BYTES_MAX: u64 = 5 << 30;

/// What a request says of its body.
pub struct Expected {
    /// Its length, if it is known.
    pub length: Option<i64>,
    /// `Content-MD5`.
    pub md5: Option<String>,
    /// Checksums in headers.
    pub checksums: Checksums,
    /// The algorithm, where the checksum itself comes behind the body.
    pub algorithm: Option<Algorithm>,
    /// What comes behind the body.
    pub trailing: Option<TrailingHeaders>,
}

impl Expected {
    /// Reads what headers say; the named checksum comes in `checksums`.
    pub fn new(
        length: Option<i64>,
        md5: Option<String>,
        checksums: Checksums,
        headers: &HeaderMap,
        trailing: Option<TrailingHeaders>,
    ) -> S3Result<Self> {
        let trailer = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        let named = trailer.and_then(|trailer| trailer.trim().strip_prefix("x-amz-checksum-"));
        let chosen = headers.get("x-amz-sdk-checksum-algorithm").and_then(|value| value.to_str().ok());
        let algorithm = named.or(chosen).map(algorithm).transpose()?;
        Ok(Self { length, md5, checksums, algorithm, trailing })
    }
}

/// A body that is stored and was what the request said.
#[derive(Clone, Debug)]
pub struct Received<C> {
    /// Where it is.
    pub staged: Staged<C>,
    /// Its MD5 in hexadecimal.
    pub md5: String,
    /// The checksum that was asked for.
    pub checksum: Option<Checksum>,
}

impl<S: Storage> Service<S> {
    /// Stores a body. `wanted` is computed if the request itself names no checksum.
    pub(super) async fn receive(
        &self,
        bucket: &S::Bucket,
        body: Option<StreamingBlob>,
        expected: Expected,
        wanted: Option<Algorithm>,
    ) -> S3Result<Received<<S::Bucket as Bucket>::Content>> {
        let md5 = expected.md5.as_deref().map(parse_md5).transpose()?;
        let named = expected.checksums.named();
        let algorithm = named.as_ref().map(|(algorithm, _)| *algorithm).or(expected.algorithm).or(wanted);
        let size =
            expected.length.map(|length| u64::try_from(length).map_err(|_| s3_error!(InvalidArgument))).transpose()?;
        if size.is_some_and(|size| size > BODY_BYTES_MAX) {
            return Err(s3_error!(EntityTooLarge, "a body has at most 5 GiB: upload in parts"));
        }
        let body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, s3s::StdError>> + Send>> = match body {
            Some(body) => Box::pin(body),
            None => Box::pin(futures::stream::empty()),
        };
        let hashing = Arc::new(Mutex::new(Running { hasher: Some(Hasher::new(algorithm)), size: 0, failure: None }));
        let staged = bucket.stage(watched(body, hashing.clone()), size).await;
        let (hashes, received, failure) = {
            let mut running = hashing.lock();
            (running.hasher.take().map(Hasher::finish), running.size, running.failure.take())
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        let staged = staged?;
        let Some(Hashes { md5: found, checksum }) = hashes else { return Err(s3_error!(InternalError)) };
        if size.is_some_and(|size| size != received) {
            return Err(s3_error!(IncompleteBody));
        }
        if md5.is_some_and(|md5| md5 != found) {
            return Err(s3_error!(BadDigest, "the body does not have the Content-MD5 that was named"));
        }
        let trailed = expected.trailing.as_ref().and_then(|trailing| trailing.read(checksum_in));
        let named = named.or(trailed.flatten());
        if let (Some((_, named)), Some(checksum)) = (&named, &checksum) {
            check_value(checksum.algorithm, named)?;
            if *named != checksum.value {
                return Err(s3_error!(BadDigest, "the body does not have the checksum that was named"));
            }
        }
        Ok(Received { staged, md5: hex::encode(found), checksum })
    }
}

struct Running {
    hasher: Option<Hasher>,
    size: u64,
    failure: Option<s3s::S3Error>,
}

/// Passes a body on, hashing and counting it.
fn watched(
    body: impl Stream<Item = Result<Bytes, s3s::StdError>> + Send + 'static,
    running: Arc<Mutex<Running>>,
) -> crate::storage::Bytestream {
    Box::pin(body.map(move |piece| {
        let mut running = running.lock();
        match piece {
            Ok(bytes) => {
                running.size += bytes.len() as u64;
                if running.size > BODY_BYTES_MAX {
                    running.failure = Some(s3_error!(EntityTooLarge));
                    return Err(io::Error::other("the body is too long"));
                }
                if let Some(hasher) = &mut running.hasher {
                    hasher.update(&bytes);
                }
                Ok(bytes)
            }
            Err(error) => {
                running.failure = Some(body_failure(error));
                Err(io::Error::other("the body ended early"))
            }
        }
    }))
}

/// A chunk whose signature is wrong is refused as such; otherwise the client is gone or slow.
fn body_failure(error: s3s::StdError) -> s3s::S3Error {
    match error.downcast::<s3s::S3Error>() {
        Ok(error) => *error,
        Err(error) if error.to_string().contains("ignature") => s3_error!(SignatureDoesNotMatch),
        Err(error) => {
            tracing::debug!(%error, "a body ended early");
            s3_error!(IncompleteBody)
        }
    }
}

fn parse_md5(header: &str) -> S3Result<[u8; 16]> {
    let bytes = BASE64_STANDARD.decode(header).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| s3_error!(InvalidDigest))
}

/// Refuses what cannot be a checksum of an algorithm.
fn check_value(algorithm: Algorithm, value: &str) -> S3Result<()> {
    let length = match algorithm {
        Algorithm::Crc32 | Algorithm::Crc32c => 4,
        Algorithm::Crc64nvme => 8,
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
    };
    let fits = BASE64_STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == length);
    if fits { Ok(()) } else { Err(s3_error!(InvalidRequest, "the checksum is malformed")) }
}

fn checksum_in(headers: &HeaderMap) -> Option<(Algorithm, String)> {
    headers.iter().find_map(|(name, value)| {
        let algorithm = algorithm(name.as_str().strip_prefix("x-amz-checksum-")?).ok()?;
        Some((algorithm, value.to_str().ok()?.to_string()))
    })
}

/// A stream of stored bytes as the body of an answer.
pub(super) fn outgoing(bytes: crate::storage::Bytestream) -> StreamingBlob {
    let frames = bytes.map(|piece| piece.map(hyper::body::Frame::data));
    s3s::Body::http_body_unsync(http_body_util::StreamBody::new(frames)).into()
}
