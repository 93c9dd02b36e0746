//! Check conditional requests (RFC 9110, section 13, as S3 reads it).

use super::versions::Found;
use crate::view::Stop;
use s3s::{
    S3Error, S3ErrorCode,
    dto::{ETagCondition, Timestamp},
    s3_error,
};
use time::OffsetDateTime;

/// What a request demands of the object as it is.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// `If-Match`.
    pub matches: Option<ETagCondition>,
    /// `If-None-Match`.
    pub none_match: Option<ETagCondition>,
    /// `If-Modified-Since`, seconds since 1970.
    pub modified_since_s: Option<i64>,
    /// `If-Unmodified-Since`.
    pub unmodified_since_s: Option<i64>,
    /// `x-amz-if-match-last-modified-time`.
    pub modified_at_s: Option<i64>,
    /// `x-amz-if-match-size`.
    pub size: Option<u64>,
}

/// Seconds since 1970 of a time in a request.
pub fn seconds(time: Timestamp) -> i64 {
    OffsetDateTime::from(time).unix_timestamp()
}

impl Condition {
    /// Whether anything is demanded.
    pub fn is_empty(&self) -> bool {
        let Self { matches, none_match, modified_since_s, unmodified_since_s, modified_at_s, size } = self;
        matches.is_none()
            && none_match.is_none()
            && modified_since_s.is_none()
            && unmodified_since_s.is_none()
            && modified_at_s.is_none()
            && size.is_none()
    }

    /// For reads: what is not modified is an answer of its own.
    pub fn check_read<C>(&self, found: &Found<C>) -> Result<(), Stop> {
        self.check_source(found).map_err(|failed| match failed {
            Failed::Match => s3_error!(PreconditionFailed).into(),
            Failed::NoneMatch => not_modified(found).into(),
        })
    }

    /// For the source of a copy: any failure is one.
    pub fn check_copy_source<C>(&self, found: &Found<C>) -> Result<(), Stop> {
        self.check_source(found).map_err(|_| s3_error!(PreconditionFailed).into())
    }

    fn check_source<C>(&self, found: &Found<C>) -> Result<(), Failed> {
        let modified_s = (found.record.modified_ms / 1000) as i64;
        // A date counts only where no tag is named.
        match (&self.matches, self.unmodified_since_s) {
            (Some(tag), _) if !is_met(tag, found) => return Err(Failed::Match),
            (None, Some(since)) if modified_s > since => return Err(Failed::Match),
            _ => {}
        }
        match (&self.none_match, self.modified_since_s) {
            (Some(tag), _) if is_met(tag, found) => Err(Failed::NoneMatch),
            (None, Some(since)) if modified_s <= since => Err(Failed::NoneMatch),
            _ => Ok(()),
        }
    }

    /// For writes: demands of what is there now.
    pub fn check_write<C>(&self, before: Option<&Found<C>>) -> Result<(), Stop> {
        let before = before.filter(|found| !found.version.marker);
        match (&self.matches, before) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey).into()),
            (Some(tag), Some(found)) if !is_met(tag, found) => return Err(s3_error!(PreconditionFailed).into()),
            _ => {}
        }
        match (&self.none_match, before) {
            (Some(tag), Some(found)) if is_met(tag, found) => Err(s3_error!(PreconditionFailed).into()),
            _ => Ok(()),
        }
    }

    /// For deletions: what is gone already satisfies every demand.
    pub fn check_delete<C>(&self, before: Option<&Found<C>>) -> Result<(), Stop> {
        if self.is_empty() {
            return Ok(());
        }
        let Some(found) = before.filter(|found| !found.version.marker) else { return Ok(()) };
        let modified_s = (found.record.modified_ms / 1000) as i64;
        let met = self.matches.as_ref().is_none_or(|tag| is_met(tag, found))
            && self.modified_at_s.is_none_or(|at| at == modified_s)
            && self.size.is_none_or(|size| size == found.record.size);
        if met { Ok(()) } else { Err(s3_error!(PreconditionFailed).into()) }
    }
}

enum Failed {
    Match,
    NoneMatch,
}

fn is_met<C>(condition: &ETagCondition, found: &Found<C>) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value().trim_matches('"') == found.version.etag,
    }
}

/// The answer 304 has the headers that a cache needs.
fn not_modified<C>(found: &Found<C>) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = hyper::HeaderMap::new();
    if let Ok(tag) = format!("\"{}\"", found.version.etag).parse() {
        headers.insert(hyper::header::ETAG, tag);
    }
    for (name, value) in &found.version.headers {
        if name == "cache-control" || name == "expires" {
            let (Ok(name), Ok(value)) = (hyper::header::HeaderName::try_from(name), value.parse()) else { continue };
            headers.insert(name, value);
        }
    }
    error.set_headers(headers);
    error
}
