//! Copy objects, and parts out of objects.

use super::{
    Service,
    body::Expected,
    gate::Gate,
    now_ms, now_us,
    objects::{Described, Written, check_put, described, find},
    respond::{self, Checksums, etag, sealed, timestamp},
    uploads::part_number,
};
use crate::{
    record::{Algorithm, Checksum, ChecksumKind, Version},
    rules::{
        condition::{Condition, seconds},
        versions::{self, Found},
    },
    storage::{Bucket, Staged, Storage},
    view::Record,
};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
};
use std::ops::Range;

/// Most bytes that are copied at once.
const COPY_BYTES_MAX: u64 = 5 << 30;
/// The one thing beside its metadata that a copy does not have of its source.
const STORAGE_CLASS: &str = "x-amz-storage-class";

/// Where a copy comes from.
#[derive(Clone, Debug)]
struct Source {
    bucket: String,
    key: String,
    version_id: Option<String>,
    condition: Condition,
}

impl Source {
    fn new(source: CopySource, condition: Condition) -> S3Result<Self> {
        match source {
            CopySource::Bucket { bucket, key, version_id } => {
                Ok(Self { bucket: bucket.into(), key: key.into(), version_id: version_id.map(Into::into), condition })
            }
            _ => Err(s3_error!(NotImplemented, "copies come from buckets")),
        }
    }
}

type FoundIn<S> = Found<<<S as Storage>::Bucket as Bucket>::Content>;

/// The source of a copy, of an object or into a part; S3 has a type for each, with the same fields.
macro_rules! source {
    ($input:ident) => {
        Source::new(
            $input.copy_source,
            Condition {
                matches: $input.copy_source_if_match,
                none_match: $input.copy_source_if_none_match,
                modified_since_s: $input.copy_source_if_modified_since.map(seconds),
                unmodified_since_s: $input.copy_source_if_unmodified_since.map(seconds),
                ..Condition::default()
            },
        )
    };
}

impl<S: Storage> Service<S> {
    /// The source of a copy, if it may be read, and whether its bucket shows versions.
    async fn find_source(&self, gate: &Gate, source: &Source) -> S3Result<(S::Bucket, FoundIn<S>, bool)> {
        let bucket = self.storage().open(&source.bucket).await?;
        let (gate, source) = (gate.elsewhere(&source.bucket), source.clone());
        let (found, versions) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                let found = find(&inside, view, &source.key, source.version_id.as_deref(), "s3:GetObject")?;
                source.condition.check_copy_source(&found)?;
                Ok((found, inside.settings.shows_versions()))
            })
            .await?;
        Ok((bucket, found, versions))
    }

    pub(super) async fn copy(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        super::objects::check_encryption(None, input.copy_source_sse_customer_algorithm.as_deref())?;
        let described = described!(input, &request.headers);
        let source = source!(input)?;
        let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
            None | Some("COPY") => false,
            Some("REPLACE") => true,
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
        };
        let replace_tags = input.tagging_directive.is_some_and(|directive| directive.as_str() == "REPLACE");
        let algorithm =
            input.checksum_algorithm.as_ref().map(|named| respond::algorithm(named.as_str())).transpose()?;
        let (from, found, source_versions) = self.find_source(&gate, &source).await?;
        let itself = source.bucket == input.bucket && source.key == input.key && source.version_id.is_none();
        if itself && !replace && input.storage_class.is_none() && described.headers.is_empty() {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        if found.record.size > COPY_BYTES_MAX {
            return Err(s3_error!(InvalidRequest, "at most 5 GiB are copied at once: copy in parts"));
        }
        let kept = keep(described, &found, replace, replace_tags);
        let to = self.storage().open(&input.bucket).await?;
        let (early, at, tags) = (gate.clone(), input.key.clone(), kept.tags.clone());
        to.look(move |view| check_put(&early.enter(view)?, &at, &tags)).await?;
        let checksum = found.version.checksum.clone().filter(|checksum| checksum.kind == ChecksumKind::Full);
        let rehash =
            algorithm.is_some_and(|algorithm| checksum.as_ref().is_none_or(|checksum| checksum.algorithm != algorithm));
        let (staged, etag, checksum) = if source.bucket == input.bucket && !rehash {
            let Record { size, blake3, content, .. } = found.record.clone();
            (Staged { content, size, blake3 }, found.version.etag.clone(), checksum)
        } else {
            self.restage(
                &from,
                &to,
                &found,
                0..found.record.size,
                algorithm.or(checksum.map(|checksum| checksum.algorithm)),
            )
            .await?
        };
        let written = copy_to(gate, &to, input.key, kept, staged, etag, checksum).await?;
        Ok(S3Response::new(output(&written, source_versions.then(|| found.version.id()))))
    }

    /// Reads bytes and stores them again, with their hashes.
    async fn restage(
        &self,
        from: &S::Bucket,
        to: &S::Bucket,
        found: &FoundIn<S>,
        range: Range<u64>,
        algorithm: Option<Algorithm>,
    ) -> S3Result<(Staged<<S::Bucket as Bucket>::Content>, String, Option<Checksum>)> {
        let length = i64::try_from(range.end - range.start).ok();
        let whole = range.start == 0 && range.end == found.record.size;
        let body = super::body::outgoing(from.read(&found.record, range));
        let expected = Expected { length, md5: None, checksums: Checksums::default(), algorithm: None, trailing: None };
        let received = self.receive(to, Some(body), expected, algorithm).await?;
        // A copy of a whole object that was not made of parts has its tag anyway.
        let kept = whole && found.version.upload.is_some();
        let etag = if kept { found.version.etag.clone() } else { received.md5 };
        Ok((received.staged, etag, received.checksum))
    }

    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let number = part_number(input.part_number)?;
        let source = source!(input)?;
        let to = self.storage().open(&input.bucket).await?;
        let algorithm = self.find_upload(&gate, &to, &input.key, &input.upload_id).await?;
        let (from, found, source_versions) = self.find_source(&gate, &source).await?;
        let range = match &input.copy_source_range {
            Some(text) => copy_range(text, found.record.size)?,
            None => 0..found.record.size,
        };
        if range.end - range.start > COPY_BYTES_MAX {
            return Err(s3_error!(InvalidRequest, "a part has at most 5 GiB"));
        }
        let (staged, etag, checksum) = self.restage(&from, &to, &found, range, algorithm).await?;
        let received =
            super::body::Received { staged, md5: etag.split('-').next().unwrap_or_default().into(), checksum };
        let part = self.put_part(gate, &to, input.key, &input.upload_id, number, received).await?;
        let checksum = Checksums::of(part.checksum.as_ref());
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                checksum_crc32: checksum.crc32,
                checksum_crc32c: checksum.crc32c,
                checksum_crc64nvme: checksum.crc64nvme,
                checksum_sha1: checksum.sha1,
                checksum_sha256: checksum.sha256,
                e_tag: Some(ETag::Strong(part.etag)),
                last_modified: Some(timestamp(now_ms())),
            }),
            copy_source_version_id: source_versions.then(|| found.version.id()),
            server_side_encryption: Some(sealed()),
            ..UploadPartCopyOutput::default()
        }))
    }
}

async fn copy_to<B: Bucket>(
    gate: Gate,
    to: &B,
    key: String,
    kept: Described,
    staged: Staged<B::Content>,
    etag: String,
    checksum: Option<Checksum>,
) -> S3Result<Written> {
    to.change(move |view| {
        let inside = gate.enter(view)?;
        check_put(&inside, &key, &kept.tags)?;
        let version = kept.version(&inside, etag.clone(), checksum.clone())?;
        let record = kept.record(&staged);
        let versioning = inside.settings.versioning;
        let version = versions::put(view, versioning, &key, record, version, &Condition::default(), now_us())?;
        Ok(Written { version, inside, expiration: None })
    })
    .await
}

/// What the copy has: of its source, or of the request.
fn keep<C>(described: Described, found: &Found<C>, replace: bool, replace_tags: bool) -> Described {
    let mut kept = described;
    if !replace {
        kept.content_type = found.record.content_type.clone();
        kept.metadata = found.record.metadata.clone();
        let Version { headers, .. } = &found.version;
        let class = kept.headers.remove(STORAGE_CLASS);
        kept.headers = headers.clone();
        kept.headers.remove(STORAGE_CLASS);
        kept.headers.extend(class.map(|class| (STORAGE_CLASS.into(), class)));
    }
    if !replace_tags {
        kept.tags = found.version.tags.clone();
    }
    kept
}

fn output(written: &Written, source_version_id: Option<String>) -> CopyObjectOutput {
    let checksum = Checksums::of(written.version.checksum.as_ref());
    CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            checksum_crc32: checksum.crc32,
            checksum_crc32c: checksum.crc32c,
            checksum_crc64nvme: checksum.crc64nvme,
            checksum_sha1: checksum.sha1,
            checksum_sha256: checksum.sha256,
            checksum_type: checksum.kind,
            e_tag: Some(etag(&written.version)),
            last_modified: Some(timestamp(now_ms())),
        }),
        copy_source_version_id: source_version_id,
        server_side_encryption: Some(sealed()),
        version_id: written.version_id(),
        ..CopyObjectOutput::default()
    }
}

/// The range of a part to copy: both ends named, and within the source.
fn copy_range(text: &str, size: u64) -> S3Result<Range<u64>> {
    let malformed = || s3_error!(InvalidArgument, "a range of a copy is bytes=FIRST-LAST");
    match dto::Range::parse(text).map_err(|_| malformed())? {
        dto::Range::Int { first, last: Some(last) } if first <= last => {
            if last < size {
                Ok(first..last + 1)
            } else {
                Err(s3_error!(InvalidRange, "the source ends before the range"))
            }
        }
        _ => Err(malformed()),
    }
}
