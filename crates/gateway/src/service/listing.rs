//! List objects and versions.

use super::{
    Service,
    respond::{algorithm_name, etag, signed, timestamp},
    uploads::page_size,
};
use crate::{
    record::sequence,
    rules::{
        acl,
        listing::{self, Page, Query},
        versions::{Found, by_id},
    },
    storage::{Bucket, Storage},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
};

type PageIn<S> = Page<Found<<<S as Storage>::Bucket as Bucket>::Content>>;

impl<S: Storage> Service<S> {
    async fn page<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        query: Query,
    ) -> S3Result<(PageIn<S>, super::Inside)> {
        let gate = self.gate(request, bucket)?;
        let bucket = self.storage().open(bucket).await?;
        bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                inside.check("s3:ListBucket", None, None)?;
                Ok((listing::objects(view, &query)?, inside))
            })
            .await
    }

    pub(super) async fn list_v1(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = &request.input;
        let max = page_size(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            after: input.marker.clone().filter(|marker| !marker.is_empty()),
            max,
        };
        let delimiter = query.delimiter.clone();
        let (page, inside) = self.page(&request, &input.bucket, query).await?;
        let encode = encoding(input.encoding_type.as_ref());
        let keyring = self.keyring();
        let contents = page.entries.iter().map(|(key, found)| {
            let owner = acl::show_owner(inside.owner_of(&found.version), &*keyring);
            show(key, found, Some(owner), &encode)
        });
        // Without a delimiter the last key is the marker, and S3 leaves it out.
        let next = page.next.as_deref().filter(|_| delimiter.is_some()).map(&encode);
        let output = ListObjectsOutput {
            common_prefixes: Some(prefixes(&page.prefixes, &encode)),
            contents: Some(contents.collect()),
            delimiter: delimiter.as_deref().map(&encode),
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(page.next.is_some()),
            marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
            max_keys: Some(max as i32),
            name: Some(input.bucket.clone()),
            next_marker: next,
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            request_charged: None,
        };
        Ok(S3Response::new(output))
    }

    pub(super) async fn list_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = &request.input;
        let max = page_size(input.max_keys)?;
        let token = input.continuation_token.as_deref().map(parse_token).transpose()?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            after: token.or(input.start_after.clone()).filter(|after| !after.is_empty()),
            max,
        };
        let delimiter = query.delimiter.clone();
        let (page, inside) = self.page(&request, &input.bucket, query).await?;
        let encode = encoding(input.encoding_type.as_ref());
        let keyring = self.keyring();
        let fetch_owner = input.fetch_owner.unwrap_or(false);
        let contents = page.entries.iter().map(|(key, found)| {
            let owner = fetch_owner.then(|| acl::show_owner(inside.owner_of(&found.version), &*keyring));
            show(key, found, owner, &encode)
        });
        let output = ListObjectsV2Output {
            common_prefixes: Some(prefixes(&page.prefixes, &encode)),
            contents: Some(contents.collect()),
            continuation_token: input.continuation_token.clone(),
            delimiter: delimiter.as_deref().map(&encode),
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(page.next.is_some()),
            key_count: Some((page.entries.len() + page.prefixes.len()) as i32),
            max_keys: Some(max as i32),
            name: Some(input.bucket.clone()),
            next_continuation_token: page.next.as_deref().map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)),
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            request_charged: None,
            start_after: input.start_after.as_deref().map(&encode),
        };
        Ok(S3Response::new(output))
    }

    pub(super) async fn list_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let max = page_size(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            after: input.key_marker.clone().filter(|marker| !marker.is_empty()),
            max,
        };
        let marker = input.version_id_marker.clone().filter(|marker| !marker.is_empty());
        let keyring = gate.keyring.clone();
        let (page, inside) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                inside.check("s3:ListBucketVersions", None, None)?;
                let below = match (&query.after, &marker) {
                    (Some(key), Some(id)) => match sequence(id) {
                        Some(sequence) => Some(sequence),
                        None => by_id(view, key, id)?.map(|found| found.version.sequence),
                    },
                    _ => None,
                };
                Ok((listing::versions(view, &query, below)?, inside))
            })
            .await?;
        let encode = encoding(input.encoding_type.as_ref());
        let last = page.entries.last().filter(|(key, _)| page.next.as_ref() == Some(key));
        let next_version = last.map(|(_, found)| found.version.id());
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for (key, found) in &page.entries {
            let owner = Some(acl::show_owner(inside.owner_of(&found.version), &*keyring));
            if found.version.marker {
                markers.push(DeleteMarkerEntry {
                    is_latest: Some(found.current),
                    key: Some(encode(key)),
                    last_modified: Some(timestamp(found.record.modified_ms)),
                    owner,
                    version_id: Some(found.version.id()),
                });
                continue;
            }
            let checksum = found.version.checksum.as_ref();
            versions.push(ObjectVersion {
                checksum_algorithm: checksum.map(|checksum| vec![algorithm_name(checksum.algorithm)]),
                checksum_type: checksum.map(|checksum| super::respond::checksum_type(checksum.kind)),
                e_tag: Some(etag(&found.version)),
                is_latest: Some(found.current),
                key: Some(encode(key)),
                last_modified: Some(timestamp(found.record.modified_ms)),
                owner,
                size: Some(signed(found.record.size)),
                storage_class: Some(ObjectVersionStorageClass::from_static("STANDARD")),
                version_id: Some(found.version.id()),
                ..ObjectVersion::default()
            });
        }
        Ok(S3Response::new(ListObjectVersionsOutput {
            common_prefixes: Some(prefixes(&page.prefixes, &encode)),
            delete_markers: Some(markers),
            delimiter: input.delimiter.as_deref().map(&encode),
            encoding_type: input.encoding_type,
            is_truncated: Some(page.next.is_some()),
            key_marker: Some(encode(input.key_marker.as_deref().unwrap_or_default())),
            max_keys: Some(max as i32),
            name: Some(input.bucket),
            next_key_marker: page.next.as_deref().map(&encode),
            next_version_id_marker: next_version,
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            versions: Some(versions),
            ..ListObjectVersionsOutput::default()
        }))
    }
}

fn show<C>(key: &str, found: &Found<C>, owner: Option<Owner>, encode: &impl Fn(&str) -> String) -> dto::Object {
    let checksum = found.version.checksum.as_ref();
    dto::Object {
        checksum_algorithm: checksum.map(|checksum| vec![algorithm_name(checksum.algorithm)]),
        checksum_type: checksum.map(|checksum| super::respond::checksum_type(checksum.kind)),
        e_tag: Some(etag(&found.version)),
        key: Some(encode(key)),
        last_modified: Some(timestamp(found.record.modified_ms)),
        owner,
        size: Some(signed(found.record.size)),
        storage_class: Some(ObjectStorageClass::from_static("STANDARD")),
        ..dto::Object::default()
    }
}

/// How keys are shown: as they are, or so that XML can hold every one of them.
pub(super) fn encoding(kind: Option<&EncodingType>) -> impl Fn(&str) -> String + use<> {
    let url = kind.is_some_and(|kind| kind.as_str() == "url");
    move |text| if url { url_encode(text) } else { text.to_string() }
}

/// Everything but unreserved characters and slashes is escaped.
fn url_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte))
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

pub(super) fn prefixes(prefixes: &[String], encode: &impl Fn(&str) -> String) -> CommonPrefixList {
    prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect()
}

fn parse_token(token: &str) -> S3Result<String> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of ours"))
}
