//! Put, get, describe and delete objects.

use super::{
    Service,
    body::{Expected, Received, outgoing},
    gate::{Gate, Inside},
    now_ms, now_us,
    respond::{self, Checksums, etag, sealed, signed, timestamp},
};
use crate::{
    checksums_of,
    record::{Algorithm, Checksum, FinishedPart, Retention, RetentionMode, Version},
    rules::{
        acl,
        condition::{Condition, seconds},
        documents, lifecycle, lock, tags, uploads,
        versions::{self, Deleted, Found},
    },
    storage::{Bucket, Storage},
    view::{Record, Stop, View},
};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
};
use std::{collections::BTreeMap, ops::Range};

/// Most bytes of user metadata.
const METADATA_BYTES_MAX: usize = 2048;

/// What a request says of an object beside its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub tags: Vec<(String, String)>,
    pub grants: acl::Headers,
    pub retention: Option<Retention>,
    pub hold: Option<bool>,
}

/// Reads it out of a request to write, copy, or begin an upload: they have the same fields.
macro_rules! described {
    ($input:expr, $headers:expr) => {{
        let input = &$input;
        $crate::service::objects::check_encryption(
            input.server_side_encryption.as_ref(),
            input.sse_customer_algorithm.as_deref(),
        )?;
        let mut described = $crate::service::objects::Described {
            content_type: input.content_type.clone().unwrap_or_default(),
            metadata: $crate::service::objects::metadata(input.metadata.as_ref())?,
            tags: match &input.tagging {
                Some(header) => $crate::rules::tags::parse_header(header).map_err($crate::service::objects::refused)?,
                None => Vec::new(),
            },
            grants: $crate::rules::acl::Headers {
                canned: input.acl.as_ref().map(|acl| acl.as_str().to_string()),
                full_control: input.grant_full_control.clone(),
                read: input.grant_read.clone(),
                write: None,
                read_acp: input.grant_read_acp.clone(),
                write_acp: input.grant_write_acp.clone(),
            },
            retention: $crate::service::objects::retention(
                input.object_lock_mode.as_ref().map(|mode| mode.as_str()),
                input.object_lock_retain_until_date.clone(),
            )?,
            hold: input.object_lock_legal_hold_status.as_ref().map(|status| status.as_str() == "ON"),
            ..Default::default()
        };
        let named = [
            ("cache-control", input.cache_control.clone()),
            ("content-disposition", input.content_disposition.clone()),
            ("content-encoding", $crate::service::objects::content_encoding(input.content_encoding.as_deref())),
            ("content-language", input.content_language.clone()),
            ("expires", $crate::service::objects::header($headers, "expires")),
            ("x-amz-website-redirect-location", input.website_redirect_location.clone()),
            ("x-amz-storage-class", input.storage_class.as_ref().map(|class| class.as_str().to_string())),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                described.headers.insert(name.into(), value);
            }
        }
        described
    }};
}
pub(super) use described;

pub(super) fn refused(stop: Stop) -> s3s::S3Error {
    match stop {
        Stop::Refused(error) => error,
        Stop::Unready => s3_error!(InternalError),
    }
}

/// Everything is sealed under the account's keys whatever a request says; keys of others are not taken.
pub(super) fn check_encryption(algorithm: Option<&ServerSideEncryption>, customer: Option<&str>) -> S3Result<()> {
    if customer.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "objects are sealed under the account's keys: keys of customers are not taken"
        ));
    }
    match algorithm.map(ServerSideEncryption::as_str) {
        None | Some("AES256") => Ok(()),
        Some("aws:kms" | "aws:kms:dsse") => {
            Err(s3_error!(NotImplemented, "there is no key service here: objects are sealed under the account's keys"))
        }
        Some(_) => Err(s3_error!(InvalidEncryptionAlgorithmError)),
    }
}

pub(super) fn header(headers: &hyper::HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_string)
}

/// What is left of the encoding when the one of the transfer is taken off.
pub(super) fn content_encoding(header: Option<&str>) -> Option<String> {
    let kept: Vec<&str> =
        header?.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

pub(super) fn metadata(metadata: Option<&Metadata>) -> S3Result<BTreeMap<String, String>> {
    let metadata: BTreeMap<String, String> =
        metadata.into_iter().flatten().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX { Err(s3_error!(MetadataTooLarge)) } else { Ok(metadata) }
}

/// Reads a retention: both fields or none.
pub(super) fn retention(mode: Option<&str>, until: Option<Timestamp>) -> S3Result<Option<Retention>> {
    let mode = match mode {
        None => None,
        Some("GOVERNANCE") => Some(RetentionMode::Governance),
        Some("COMPLIANCE") => Some(RetentionMode::Compliance),
        Some(_) => return Err(s3_error!(InvalidArgument, "Unknown wormMode directive")),
    };
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention { mode, until_ms: respond::milliseconds(until) })),
        _ => Err(s3_error!(InvalidArgument, "a retention has a mode and a date")),
    }
}

impl Described {
    /// The version that a request describes, with what the bucket adds.
    pub fn version(&self, inside: &Inside, etag: String, checksum: Option<Checksum>) -> Result<Version, Stop> {
        if (self.retention.is_some() || self.hold.is_some()) && !inside.settings.lock {
            return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration").into());
        }
        let now_ms = now_ms();
        if self.retention.is_some_and(|retention| retention.until_ms <= now_ms) {
            return Err(s3_error!(InvalidArgument, "the retention has to end in the future").into());
        }
        Ok(Version {
            etag,
            checksum,
            owner: inside.writer(),
            grants: inside.new_grants(&self.grants)?,
            headers: self.headers.clone(),
            tags: self.tags.clone(),
            retention: self.retention.or_else(|| lock::default_retention(&inside.settings, now_ms)),
            hold: self.hold,
            ..Version::default()
        })
    }

    /// The record of an object with these bytes.
    pub fn record<C: Clone + Default>(&self, staged: &crate::storage::Staged<C>) -> Record<C> {
        Record {
            size: staged.size,
            blake3: staged.blake3,
            modified_ms: now_ms(),
            content_type: self.content_type.clone(),
            metadata: self.metadata.clone(),
            attributes: Vec::new(),
            content: staged.content.clone(),
        }
    }
}

/// A version that was written, with the bucket it is in.
pub(super) struct Written {
    pub version: Version,
    pub inside: Inside,
    pub expiration: Option<String>,
}

impl Written {
    /// The id, where the bucket shows any.
    pub fn version_id(&self) -> Option<String> {
        self.inside.settings.shows_versions().then(|| self.version.id())
    }
}

impl crate::record::Settings {
    /// Whether versions have ids to show.
    pub fn shows_versions(&self) -> bool {
        self.versioning != crate::record::Versioning::Off
    }
}

/// The rules of a bucket that expire objects.
pub(super) fn lifecycle_rules<V: View>(view: &mut V) -> Result<Vec<LifecycleRule>, Stop> {
    let Some(document) = documents::read(view, "lifecycle")? else { return Ok(Vec::new()) };
    let configuration: S3Result<BucketLifecycleConfiguration> = respond::from_xml("LifecycleConfiguration", &document);
    Ok(configuration.map(|configuration| configuration.rules).unwrap_or_default())
}

fn expiration<V: View>(
    view: &mut V,
    key: &str,
    found: &Found<V::Content>,
    day_ms: u64,
) -> Result<Option<String>, Stop> {
    let rules = lifecycle_rules(view)?;
    Ok(lifecycle::expiry(&rules, key, found, day_ms).and_then(|(at_ms, rule)| {
        let mut date = Vec::new();
        timestamp(at_ms).format(TimestampFormat::HttpDate, &mut date).ok()?;
        Some(format!("expiry-date=\"{}\", rule-id=\"{rule}\"", String::from_utf8(date).ok()?))
    }))
}

/// What a GET or HEAD asks; S3 has a type for each, with the same fields.
macro_rules! asked {
    ($input:ident, $day_ms:expr) => {
        Asked {
            key: $input.key,
            version_id: $input.version_id,
            condition: Condition {
                matches: $input.if_match,
                none_match: $input.if_none_match,
                modified_since_s: $input.if_modified_since.map(seconds),
                unmodified_since_s: $input.if_unmodified_since.map(seconds),
                ..Condition::default()
            },
            range: $input.range,
            part: $input.part_number,
            checksum: $input.checksum_mode.is_some_and(|mode| mode.as_str() == "ENABLED"),
            day_ms: $day_ms,
        }
    };
}

impl<S: Storage> Service<S> {
    /// Puts a body that is stored under a key.
    pub(super) async fn put_received(
        &self,
        gate: Gate,
        bucket: &S::Bucket,
        key: String,
        described: Described,
        received: Received<<S::Bucket as Bucket>::Content>,
        condition: Condition,
    ) -> S3Result<Written> {
        let day_ms = self.config().lifecycle_day_ms;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                check_put(&inside, &key, &described.tags)?;
                let version = described.version(&inside, received.md5.clone(), received.checksum.clone())?;
                let mut record = described.record(&received.staged);
                let versioning = inside.settings.versioning;
                let version = versions::put(view, versioning, &key, record.clone(), version, &condition, now_us())?;
                record.attributes = crate::record::encode(&version)?;
                let found = Found { version: version.clone(), record, current: true };
                let expiration = expiration(view, &key, &found, day_ms)?;
                Ok(Written { version, inside, expiration })
            })
            .await
    }

    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        if input.write_offset_bytes.is_some() {
            return Err(s3_error!(NotImplemented, "objects cannot be appended to"));
        }
        let says_length = ["x-amz-decoded-content-length", "transfer-encoding"]
            .iter()
            .any(|name| request.headers.contains_key(*name));
        if input.content_length.is_none() && !says_length {
            return Err(s3_error!(MissingContentLength));
        }
        let described = described!(input, &request.headers);
        let sums = checksums_of!(input);
        let expected =
            Expected::new(input.content_length, input.content_md5, sums, &request.headers, request.trailing_headers)?;
        let condition = Condition { matches: input.if_match, none_match: input.if_none_match, ..Condition::default() };
        let written = self.store(gate, &input.bucket, input.key, input.body, described, expected, condition).await?;
        Ok(S3Response::new(put_output(&written)))
    }

    /// Takes a body and puts it under a key.
    #[expect(clippy::too_many_arguments, reason = "they are what a request to write consists of")]
    pub(super) async fn store(
        &self,
        gate: Gate,
        bucket: &str,
        key: String,
        body: Option<StreamingBlob>,
        described: Described,
        expected: Expected,
        condition: Condition,
    ) -> S3Result<Written> {
        let bucket = self.storage().open(bucket).await?;
        // Whoever may not write does not get to send anything.
        let (early, at, tags) = (gate.clone(), key.clone(), described.tags.clone());
        let precondition = condition.clone();
        bucket
            .look(move |view| {
                let inside = early.enter(view)?;
                check_put(&inside, &at, &tags)?;
                versions::check_key(&at)?;
                let before = versions::current(view, &at)?;
                precondition.check_write(before.as_ref())
            })
            .await?;
        let received = self.receive(&bucket, body, expected, None).await?;
        self.put_received(gate, &bucket, key, described, received, condition).await
    }

    pub(super) async fn get(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        check_encryption(None, request.input.sse_customer_algorithm.as_deref())?;
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let asked = asked!(input, self.config().lifecycle_day_ms);
        let seen = bucket.look(move |view| asked.see(view, &gate)).await?;
        let length = seen.range.end - seen.range.start;
        let body = outgoing(bucket.read(&seen.found.record, seen.range.clone()));
        let headers = &seen.found.version.headers;
        let header = |name: &str| headers.get(name).cloned();
        let checksum = Checksums::of(seen.checksum.as_ref());
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(body),
            cache_control: header("cache-control"),
            checksum_crc32: checksum.crc32,
            checksum_crc32c: checksum.crc32c,
            checksum_crc64nvme: checksum.crc64nvme,
            checksum_sha1: checksum.sha1,
            checksum_sha256: checksum.sha256,
            checksum_type: checksum.kind,
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            content_length: Some(signed(length)),
            content_range: seen.content_range(),
            content_type: Some(seen.content_type()),
            e_tag: Some(etag(&seen.found.version)),
            expiration: seen.expiration.clone(),
            last_modified: Some(timestamp(seen.found.record.modified_ms)),
            metadata: Some(seen.found.record.metadata.clone().into_iter().collect()),
            object_lock_legal_hold_status: seen.hold(),
            object_lock_mode: seen.found.version.retention.map(|retention| lock_mode(retention.mode)),
            object_lock_retain_until_date: seen.found.version.retention.map(|retention| precise(retention.until_ms)),
            parts_count: seen.parts_count,
            server_side_encryption: Some(sealed()),
            storage_class: seen.storage_class(),
            tag_count: seen.tag_count(),
            version_id: seen.version_id(),
            website_redirect_location: header("x-amz-website-redirect-location"),
            ..GetObjectOutput::default()
        };
        let mut response = S3Response::new(output);
        response.headers.extend(seen.expires());
        if seen.partial {
            response.status = Some(hyper::StatusCode::PARTIAL_CONTENT);
        }
        Ok(response)
    }

    pub(super) async fn head(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        check_encryption(None, request.input.sse_customer_algorithm.as_deref())?;
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let asked = asked!(input, self.config().lifecycle_day_ms);
        let seen = bucket.look(move |view| asked.see(view, &gate)).await?;
        let headers = &seen.found.version.headers;
        let header = |name: &str| headers.get(name).cloned();
        let checksum = Checksums::of(seen.checksum.as_ref());
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: header("cache-control"),
            checksum_crc32: checksum.crc32,
            checksum_crc32c: checksum.crc32c,
            checksum_crc64nvme: checksum.crc64nvme,
            checksum_sha1: checksum.sha1,
            checksum_sha256: checksum.sha256,
            checksum_type: checksum.kind,
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            content_length: Some(signed(seen.range.end - seen.range.start)),
            content_range: seen.content_range(),
            content_type: Some(seen.content_type()),
            e_tag: Some(etag(&seen.found.version)),
            expiration: seen.expiration.clone(),
            last_modified: Some(timestamp(seen.found.record.modified_ms)),
            metadata: Some(seen.found.record.metadata.clone().into_iter().collect()),
            object_lock_legal_hold_status: seen.hold(),
            object_lock_mode: seen.found.version.retention.map(|retention| lock_mode(retention.mode)),
            object_lock_retain_until_date: seen.found.version.retention.map(|retention| precise(retention.until_ms)),
            parts_count: seen.parts_count,
            server_side_encryption: Some(sealed()),
            storage_class: seen.storage_class(),
            version_id: seen.version_id(),
            website_redirect_location: header("x-amz-website-redirect-location"),
            ..HeadObjectOutput::default()
        };
        let mut response = S3Response::new(output);
        response.headers.extend(seen.expires());
        if let Some(count) = seen.tag_count() {
            response.headers.insert("x-amz-tagging-count", count.into());
        }
        if seen.partial {
            response.status = Some(hyper::StatusCode::PARTIAL_CONTENT);
        }
        Ok(response)
    }

    pub(super) async fn delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let condition = Condition {
            matches: input.if_match,
            modified_at_s: input.if_match_last_modified_time.map(seconds),
            size: input.if_match_size.and_then(|size| u64::try_from(size).ok()),
            ..Condition::default()
        };
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let removal = Removal { key: input.key, version_id: input.version_id, condition };
        let deleted = bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                removal.run(&inside, view, bypass)
            })
            .await?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version_id,
            ..DeleteObjectOutput::default()
        }))
    }

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let (quiet, objects) = (input.delete.quiet.unwrap_or(false), input.delete.objects);
        if objects.is_empty() || objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "1 to 1000 objects can be deleted at once"));
        }
        let bucket = self.storage().open(&input.bucket).await?;
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let removals: Vec<Removal> = objects
            .into_iter()
            .map(|object| Removal {
                key: object.key,
                version_id: object.version_id,
                condition: Condition {
                    matches: object.e_tag.map(ETagCondition::ETag),
                    modified_at_s: object.last_modified_time.map(seconds),
                    size: object.size.and_then(|size| u64::try_from(size).ok()),
                    ..Condition::default()
                },
            })
            .collect();
        let outcomes = bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                let mut outcomes = Vec::with_capacity(removals.len());
                for removal in &removals {
                    let outcome = match removal.run(&inside, view, bypass) {
                        Ok(deleted) => Ok(deleted),
                        Err(Stop::Unready) => return Err(Stop::Unready),
                        Err(Stop::Refused(error)) => {
                            Err((error.code().as_str().to_string(), error.message().map(str::to_string)))
                        }
                    };
                    outcomes.push((removal.key.clone(), removal.version_id.clone(), outcome));
                }
                Ok(outcomes)
            })
            .await?;
        let mut output =
            DeleteObjectsOutput { deleted: Some(Vec::new()), errors: Some(Vec::new()), request_charged: None };
        for (key, version_id, outcome) in outcomes {
            match outcome {
                Ok(_) if quiet => {}
                Ok(deleted) => output.deleted.get_or_insert_default().push(DeletedObject {
                    delete_marker: deleted.marker.then_some(true),
                    delete_marker_version_id: deleted.version_id.filter(|_| deleted.marker),
                    key: Some(key),
                    version_id,
                }),
                Err((code, message)) => output.errors.get_or_insert_default().push(dto::Error {
                    code: Some(code),
                    key: Some(key),
                    message: message.or(Some(String::new())),
                    version_id,
                }),
            }
        }
        Ok(S3Response::new(output))
    }

    pub(super) async fn attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        check_encryption(None, input.sse_customer_algorithm.as_deref())?;
        let bucket = self.storage().open(&input.bucket).await?;
        let (key, version_id) = (input.key, input.version_id);
        let (found, parts, inside) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                let found = find(&inside, view, &key, version_id.as_deref(), "s3:GetObject")?;
                let parts = match &found.version.upload {
                    Some((id, _)) => uploads::finished(view, id)?,
                    None => Vec::new(),
                };
                Ok((found, parts, inside))
            })
            .await?;
        // Clients send the names in one header or in several.
        let names = || input.object_attributes.iter().flat_map(|names| names.as_str().split(','));
        let wanted = |name: &str| names().any(|one| one.trim() == name);
        let checksum = found.version.checksum.as_ref();
        let max = usize::try_from(input.max_parts.unwrap_or(1000)).unwrap_or(0).min(1000);
        let after = input.part_number_marker.unwrap_or(0);
        let object_parts = (wanted("ObjectParts") && !parts.is_empty())
            .then(|| parts_attribute(&parts, checksum.map(|checksum| checksum.algorithm), after, max));
        let output = GetObjectAttributesOutput {
            checksum: checksum.filter(|_| wanted("Checksum")).map(|checksum| {
                let sums = Checksums::of(Some(checksum));
                dto::Checksum {
                    checksum_crc32: sums.crc32,
                    checksum_crc32c: sums.crc32c,
                    checksum_crc64nvme: sums.crc64nvme,
                    checksum_sha1: sums.sha1,
                    checksum_sha256: sums.sha256,
                    checksum_type: sums.kind,
                }
            }),
            e_tag: wanted("ETag").then(|| etag(&found.version)),
            last_modified: Some(timestamp(found.record.modified_ms)),
            object_parts,
            object_size: wanted("ObjectSize").then(|| signed(found.record.size)),
            storage_class: wanted("StorageClass").then(|| StorageClass::from_static("STANDARD")),
            version_id: inside.settings.shows_versions().then(|| found.version.id()),
            ..GetObjectAttributesOutput::default()
        };
        Ok(S3Response::new(output))
    }
}

fn parts_attribute(
    parts: &[FinishedPart],
    algorithm: Option<Algorithm>,
    after: i32,
    max: usize,
) -> GetObjectAttributesParts {
    let behind: Vec<&FinishedPart> = parts.iter().filter(|part| i32::from(part.number) > after).collect();
    let shown = behind.iter().take(max).map(|part| {
        let mut sums = Checksums::default();
        if let (Some(algorithm), Some(value)) = (algorithm, &part.checksum) {
            sums.set(algorithm, value.clone());
        }
        ObjectPart {
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            part_number: Some(part.number.into()),
            size: Some(signed(part.size)),
        }
    });
    let shown: Vec<ObjectPart> = shown.collect();
    GetObjectAttributesParts {
        is_truncated: Some(behind.len() > max),
        max_parts: Some(max as i32),
        next_part_number_marker: Some(shown.last().and_then(|part| part.part_number).unwrap_or(0)),
        part_number_marker: Some(after),
        total_parts_count: Some(parts.len() as i32),
        // Without checksums there is nothing to say of the parts but their sizes, which S3 leaves out.
        parts: algorithm.is_some().then_some(shown),
    }
}

/// Whether a key may be written.
pub(super) fn check_put(inside: &Inside, key: &str, tags: &[(String, String)]) -> Result<(), Stop> {
    inside.check_with("s3:PutObject", Some(key), None, tags)
}

/// A version that may be read.
pub(super) fn find<V: View>(
    inside: &Inside,
    view: &mut V,
    key: &str,
    version_id: Option<&str>,
    action: &str,
) -> Result<Found<V::Content>, Stop> {
    let found = versions::find(view, key, version_id).map_err(|stop| inside.hide_missing(stop))?;
    let versioned = action == "s3:GetObject" && version_id.is_some();
    inside.check(if versioned { "s3:GetObjectVersion" } else { action }, Some(key), Some(&found.version))?;
    Ok(found)
}

/// What a request to read asks for.
#[derive(Clone)]
struct Asked {
    key: String,
    version_id: Option<String>,
    condition: Condition,
    range: Option<dto::Range>,
    part: Option<i32>,
    checksum: bool,
    day_ms: u64,
}

/// What is read.
struct Seen<C> {
    found: Found<C>,
    range: Range<u64>,
    partial: bool,
    parts_count: Option<i32>,
    checksum: Option<Checksum>,
    expiration: Option<String>,
    versions: bool,
}

/// A part of an object, as it was uploaded.
struct PartOf {
    range: Range<u64>,
    /// How many there are.
    count: Option<i32>,
    checksum: Option<Checksum>,
}

impl Asked {
    fn see<V: View>(&self, view: &mut V, gate: &Gate) -> Result<Seen<V::Content>, Stop> {
        let inside = gate.enter(view)?;
        let found = find(&inside, view, &self.key, self.version_id.as_deref(), "s3:GetObject")?;
        self.condition.check_read(&found)?;
        let size = found.record.size;
        let mut checksum = found.version.checksum.clone();
        let (range, parts_count) = match (&self.range, self.part) {
            (Some(_), Some(_)) => {
                return Err(s3_error!(InvalidRequest, "a range and a part number exclude each other").into());
            }
            (Some(range), None) => (range.check(size).map_err(|_| s3_error!(InvalidRange))?, None),
            (None, Some(number)) => {
                let part = part_of(view, &found, number)?;
                checksum = part.checksum;
                (part.range, part.count)
            }
            (None, None) => (0..size, None),
        };
        let partial = self.range.is_some() || (self.part.is_some() && size > 0);
        let checksum = checksum.filter(|_| self.checksum && self.range.is_none());
        let expiration = expiration(view, &self.key, &found, self.day_ms)?;
        let versions = inside.settings.shows_versions();
        Ok(Seen { found, range, partial, parts_count, checksum, expiration, versions })
    }
}

/// One part of an object.
fn part_of<V: View>(view: &mut V, found: &Found<V::Content>, number: i32) -> Result<PartOf, Stop> {
    let no_such = || Stop::from(s3_error!(InvalidPart, "the object has no such part"));
    let Some((upload, count)) = &found.version.upload else {
        let whole = PartOf { range: 0..found.record.size, count: None, checksum: found.version.checksum.clone() };
        return if number == 1 { Ok(whole) } else { Err(no_such()) };
    };
    let mut start = 0;
    for part in uploads::finished(view, upload)? {
        if i32::from(part.number) == number {
            // What was said of the whole is not true of a part.
            let of_whole = found.version.checksum.clone();
            let checksum = of_whole.zip(part.checksum).map(|(whole, value)| Checksum { value, ..whole });
            return Ok(PartOf { range: start..start + part.size, count: Some(*count as i32), checksum });
        }
        start += part.size;
    }
    Err(no_such())
}

impl<C> Seen<C> {
    fn content_range(&self) -> Option<String> {
        let (start, end) = (self.range.start, self.range.end);
        (self.partial && end > start).then(|| format!("bytes {start}-{}/{}", end - 1, self.found.record.size))
    }

    fn content_type(&self) -> String {
        match self.found.record.content_type.as_str() {
            "" => "binary/octet-stream".into(),
            named => named.into(),
        }
    }

    fn hold(&self) -> Option<ObjectLockLegalHoldStatus> {
        self.found.version.hold.map(|on| ObjectLockLegalHoldStatus::from_static(if on { "ON" } else { "OFF" }))
    }

    fn storage_class(&self) -> Option<StorageClass> {
        let class = self.found.version.headers.get("x-amz-storage-class");
        class.filter(|class| *class != "STANDARD").map(|class| StorageClass::from(class.clone()))
    }

    fn tag_count(&self) -> Option<i32> {
        let count = self.found.version.tags.len();
        (count > 0).then_some(count as i32)
    }

    fn version_id(&self) -> Option<String> {
        self.versions.then(|| self.found.version.id())
    }

    /// Kept as the writer wrote it.
    fn expires(&self) -> Option<(Option<hyper::header::HeaderName>, hyper::header::HeaderValue)> {
        let value = self.found.version.headers.get("expires")?.parse().ok()?;
        Some((Some(hyper::header::EXPIRES), value))
    }
}

fn lock_mode(mode: RetentionMode) -> ObjectLockMode {
    ObjectLockMode::from_static(match mode {
        RetentionMode::Governance => ObjectLockMode::GOVERNANCE,
        RetentionMode::Compliance => ObjectLockMode::COMPLIANCE,
    })
}

/// A time with milliseconds.
pub(super) fn precise(milliseconds: u64) -> Timestamp {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

/// The answer to a write.
pub(super) fn put_output(written: &Written) -> PutObjectOutput {
    let checksum = Checksums::of(written.version.checksum.as_ref());
    PutObjectOutput {
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        checksum_type: checksum.kind,
        e_tag: Some(etag(&written.version)),
        expiration: written.expiration.clone(),
        server_side_encryption: Some(sealed()),
        version_id: written.version_id(),
        ..PutObjectOutput::default()
    }
}

/// One object or version to delete.
#[derive(Clone, Debug)]
struct Removal {
    key: String,
    version_id: Option<String>,
    condition: Condition,
}

impl Removal {
    fn run<V: View>(&self, inside: &Inside, view: &mut V, bypass: bool) -> Result<Deleted, Stop> {
        match &self.version_id {
            None => {
                inside.check("s3:DeleteObject", Some(&self.key), None)?;
                let versioning = inside.settings.versioning;
                versions::delete(view, versioning, &self.key, inside.writer(), &self.condition, now_us())
            }
            Some(id) => {
                inside.check("s3:DeleteObjectVersion", Some(&self.key), None).or_else(|stop| {
                    // S3 has one right for both where lists decide.
                    inside.check("s3:DeleteObject", Some(&self.key), None).map_err(|_| stop)
                })?;
                let bypass = bypass && inside.check("s3:BypassGovernanceRetention", Some(&self.key), None).is_ok();
                let mut deleted = versions::delete_version(view, &self.key, id, bypass, &self.condition, now_us())?;
                if !inside.settings.shows_versions() {
                    deleted.version_id = None;
                }
                Ok(deleted)
            }
        }
    }
}

/// Tags that an object has.
pub(super) fn tag_set(version: &Version) -> TagSet {
    tags::to_set(&version.tags)
}
