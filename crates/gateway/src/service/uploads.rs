//! Serve uploads of several parts.

use super::{
    Service,
    body::{Expected, Received},
    gate::Gate,
    now_ms, now_us,
    objects::{Written, described, put_output},
    respond::{self, Checksums, etag, sealed, signed, timestamp},
};
use crate::{
    checksums_of,
    record::{Algorithm, ChecksumKind, Part, Upload},
    rules::{
        acl,
        condition::Condition,
        listing::{self, Query},
        uploads::{self, Completion, NamedPart},
    },
    storage::{Bucket, Storage},
    view::Record,
};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
};

impl<S: Storage> Service<S> {
    pub(super) async fn begin_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let described = described!(input, &request.headers);
        let algorithm = upload_algorithm(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
        let bucket = self.storage().open(&input.bucket).await?;
        let id: [u8; 16] = rand::random();
        let key = input.key.clone();
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                inside.check_with("s3:PutObject", Some(&key), None, &described.tags)?;
                let version = described.version(&inside, String::new(), None)?;
                let upload = Upload { version, initiator: gate.user().map(str::to_string), algorithm };
                let record = Record {
                    modified_ms: now_ms(),
                    content_type: described.content_type.clone(),
                    metadata: described.metadata.clone(),
                    ..Record::default()
                };
                uploads::begin(view, &key, &id, &upload, record)
            })
            .await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: algorithm.map(|(algorithm, _)| respond::algorithm_name(algorithm)),
            checksum_type: algorithm.map(|(_, kind)| respond::checksum_type(kind)),
            key: Some(input.key),
            server_side_encryption: Some(sealed()),
            upload_id: Some(hex::encode(id)),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        super::objects::check_encryption(None, input.sse_customer_algorithm.as_deref())?;
        let number = part_number(input.part_number)?;
        let sums = checksums_of!(input);
        let expected =
            Expected::new(input.content_length, input.content_md5, sums, &request.headers, request.trailing_headers)?;
        let bucket = self.storage().open(&input.bucket).await?;
        let algorithm = self.find_upload(&gate, &bucket, &input.key, &input.upload_id).await?;
        let received = self.receive(&bucket, input.body, expected, algorithm).await?;
        let part = self.put_part(gate, &bucket, input.key, &input.upload_id, number, received).await?;
        let checksum = Checksums::of(part.checksum.as_ref());
        Ok(S3Response::new(UploadPartOutput {
            checksum_crc32: checksum.crc32,
            checksum_crc32c: checksum.crc32c,
            checksum_crc64nvme: checksum.crc64nvme,
            checksum_sha1: checksum.sha1,
            checksum_sha256: checksum.sha256,
            e_tag: Some(ETag::Strong(part.etag)),
            server_side_encryption: Some(sealed()),
            ..UploadPartOutput::default()
        }))
    }

    /// The checksum that an upload's parts need; whoever may not write learns nothing.
    pub(super) async fn find_upload(
        &self,
        gate: &Gate,
        bucket: &S::Bucket,
        key: &str,
        upload_id: &str,
    ) -> S3Result<Option<Algorithm>> {
        let (gate, key, upload_id) = (gate.clone(), key.to_string(), upload_id.to_string());
        bucket
            .look(move |view| {
                gate.enter(view)?.check("s3:PutObject", Some(&key), None)?;
                let (upload, _) = uploads::find(view, &key, &uploads::parse_id(&upload_id)?)?;
                Ok(upload.algorithm.map(|(algorithm, _)| algorithm))
            })
            .await
    }

    /// Notes a part whose body is stored.
    pub(super) async fn put_part(
        &self,
        gate: Gate,
        bucket: &S::Bucket,
        key: String,
        upload_id: &str,
        number: u16,
        received: Received<<S::Bucket as Bucket>::Content>,
    ) -> S3Result<Part> {
        let id = uploads::parse_id(upload_id).map_err(super::objects::refused)?;
        let part = Part { etag: received.md5, checksum: received.checksum };
        let staged = received.staged;
        let noted = part.clone();
        bucket
            .change(move |view| {
                gate.enter(view)?.check("s3:PutObject", Some(&key), None)?;
                let record = Record {
                    size: staged.size,
                    blake3: staged.blake3,
                    modified_ms: now_ms(),
                    content: staged.content.clone(),
                    ..Record::default()
                };
                uploads::put_part(view, &key, &id, number, &noted, record)
            })
            .await?;
        Ok(part)
    }

    pub(super) async fn complete_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let completion = Completion {
            parts: named_parts(input.multipart_upload.unwrap_or_default())?,
            checksum: Checksums {
                crc32: input.checksum_crc32,
                crc32c: input.checksum_crc32c,
                crc64nvme: input.checksum_crc64nvme,
                sha1: input.checksum_sha1,
                sha256: input.checksum_sha256,
                kind: None,
            }
            .named()
            .map(|(_, value)| value),
            size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
            condition: Condition { matches: input.if_match, none_match: input.if_none_match, ..Condition::default() },
        };
        let bucket = self.storage().open(&input.bucket).await?;
        let (key, upload_id) = (input.key.clone(), input.upload_id);
        let written = bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                inside.check("s3:PutObject", Some(&key), None)?;
                let id = uploads::parse_id(&upload_id)?;
                let version = uploads::complete(view, inside.settings.versioning, &key, &id, &completion, now_us())?;
                Ok(Written { version, inside, expiration: None })
            })
            .await?;
        let put = put_output(&written);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            checksum_crc32: put.checksum_crc32,
            checksum_crc32c: put.checksum_crc32c,
            checksum_crc64nvme: put.checksum_crc64nvme,
            checksum_sha1: put.checksum_sha1,
            checksum_sha256: put.checksum_sha256,
            checksum_type: put.checksum_type,
            e_tag: Some(etag(&written.version)),
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            key: Some(input.key),
            server_side_encryption: put.server_side_encryption,
            version_id: written.version_id(),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        bucket
            .change(move |view| {
                gate.enter(view)?.check("s3:AbortMultipartUpload", Some(&input.key), None)?;
                uploads::abort(view, &input.key, &uploads::parse_id(&input.upload_id)?)
            })
            .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let max = page_size(input.max_parts)?;
        let after = u16::try_from(input.part_number_marker.unwrap_or(0)).map_err(|_| s3_error!(InvalidArgument))?;
        let bucket = self.storage().open(&input.bucket).await?;
        let (key, upload_id, keyring) = (input.key.clone(), input.upload_id.clone(), gate.keyring.clone());
        let (upload, mut parts, inside) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                inside.check("s3:ListMultipartUploadParts", Some(&key), None)?;
                let id = uploads::parse_id(&upload_id)?;
                let (upload, _) = uploads::find(view, &key, &id)?;
                Ok((upload, uploads::parts(view, &id, after, max + 1)?, inside))
            })
            .await?;
        let truncated = parts.len() > max;
        parts.truncate(max);
        let next = parts.last().map_or(i32::from(after), |(number, ..)| i32::from(*number));
        let owner = acl::show_owner(inside.owner_of(&upload.version), &*keyring);
        let initiator = upload.initiator.as_deref().unwrap_or(inside.owner());
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: upload.algorithm.map(|(algorithm, _)| respond::algorithm_name(algorithm)),
            checksum_type: upload.algorithm.map(|(_, kind)| respond::checksum_type(kind)),
            initiator: Some(show_initiator(initiator, &*keyring)),
            is_truncated: Some(truncated),
            key: Some(input.key),
            max_parts: Some(max as i32),
            next_part_number_marker: Some(next),
            owner: Some(owner),
            part_number_marker: Some(after.into()),
            parts: Some(parts.into_iter().map(show_part).collect()),
            storage_class: Some(StorageClass::from_static("STANDARD")),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) async fn list_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let max = page_size(input.max_uploads)?;
        let behind = input.upload_id_marker.as_deref().and_then(|id| uploads::parse_id(id).ok());
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.key_marker.clone().filter(|marker| !marker.is_empty()),
            max,
        };
        let keyring = gate.keyring.clone();
        let (page, inside) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                inside.check("s3:ListBucketMultipartUploads", None, None)?;
                Ok((listing::uploads(view, &query, behind)?, inside))
            })
            .await?;
        let encode = super::listing::encoding(input.encoding_type.as_ref());
        let last = page.entries.last().filter(|(key, _)| page.next.as_ref() == Some(key));
        let next_id = last.map(|(_, entry)| hex::encode(entry.id));
        let uploads = page.entries.iter().map(|(key, entry)| {
            let initiator = entry.upload.initiator.as_deref().unwrap_or(inside.owner());
            MultipartUpload {
                checksum_algorithm: entry.upload.algorithm.map(|(algorithm, _)| respond::algorithm_name(algorithm)),
                checksum_type: entry.upload.algorithm.map(|(_, kind)| respond::checksum_type(kind)),
                initiated: Some(timestamp(entry.begun_ms)),
                initiator: Some(show_initiator(initiator, &*keyring)),
                key: Some(encode(key)),
                owner: Some(acl::show_owner(inside.owner_of(&entry.upload.version), &*keyring)),
                storage_class: Some(StorageClass::from_static("STANDARD")),
                upload_id: Some(hex::encode(entry.id)),
            }
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: Some(super::listing::prefixes(&page.prefixes, &encode)),
            delimiter: input.delimiter.as_deref().map(&encode),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.next.is_some()),
            key_marker: Some(input.key_marker.unwrap_or_default()),
            max_uploads: Some(max as i32),
            next_key_marker: page.next.as_deref().map(&encode),
            next_upload_id_marker: next_id,
            prefix: Some(encode(&input.prefix.unwrap_or_default())),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            uploads: Some(uploads.collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

fn show_part<C>((number, part, record): (u16, Part, Record<C>)) -> dto::Part {
    let checksum = Checksums::of(part.checksum.as_ref());
    dto::Part {
        checksum_crc32: checksum.crc32,
        checksum_crc32c: checksum.crc32c,
        checksum_crc64nvme: checksum.crc64nvme,
        checksum_sha1: checksum.sha1,
        checksum_sha256: checksum.sha256,
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(timestamp(record.modified_ms)),
        part_number: Some(number.into()),
        size: Some(signed(record.size)),
    }
}

fn show_initiator(id: &str, users: &dyn acl::Users) -> Initiator {
    let owner = acl::show_owner(id, users);
    Initiator { display_name: owner.display_name, id: owner.id }
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    let number = u16::try_from(number).ok().filter(|number| (1..=uploads::PARTS_MAX).contains(number));
    number.ok_or_else(|| s3_error!(InvalidArgument, "part numbers go from 1 to {}", uploads::PARTS_MAX))
}

/// The size of a page: at most 1000.
pub(super) fn page_size(named: Option<i32>) -> S3Result<usize> {
    let max = usize::try_from(named.unwrap_or(1000))
        .map_err(|_| s3_error!(InvalidArgument, "a page has 0 or more entries"))?;
    Ok(max.min(listing::PAGE_MAX))
}

fn named_parts(upload: CompletedMultipartUpload) -> S3Result<Vec<NamedPart>> {
    let parts = upload.parts.unwrap_or_default();
    let named = parts.into_iter().map(|part| {
        let sums = Checksums {
            crc32: part.checksum_crc32,
            crc32c: part.checksum_crc32c,
            crc64nvme: part.checksum_crc64nvme,
            sha1: part.checksum_sha1,
            sha256: part.checksum_sha256,
            kind: None,
        };
        let number = part.part_number.and_then(|number| u16::try_from(number).ok());
        Ok(NamedPart {
            number: number.filter(|number| *number > 0).ok_or_else(|| s3_error!(InvalidPart))?,
            etag: part
                .e_tag
                .map(|tag| tag.value().trim_matches('"').to_string())
                .ok_or_else(|| s3_error!(MalformedXML))?,
            checksum: sums.named().map(|(_, value)| value),
        })
    });
    named.collect()
}

fn upload_algorithm(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<(Algorithm, ChecksumKind)>> {
    let Some(algorithm) = algorithm else {
        return if kind.is_some() {
            Err(s3_error!(InvalidRequest, "a checksum type needs an algorithm"))
        } else {
            Ok(None)
        };
    };
    let algorithm = respond::algorithm(algorithm.as_str())?;
    let is_sha = matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
    let kind = match kind.map(ChecksumType::as_str) {
        None if algorithm == Algorithm::Crc64nvme => ChecksumKind::Full,
        None => ChecksumKind::Composite,
        Some(ChecksumType::FULL_OBJECT) if !is_sha => ChecksumKind::Full,
        Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64nvme => ChecksumKind::Composite,
        Some(_) => return Err(s3_error!(InvalidRequest, "this algorithm has no checksum of this type")),
    };
    Ok(Some((algorithm, kind)))
}
