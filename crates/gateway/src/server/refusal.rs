//! Complete the answers that refuse: each names its request, and forms are refused as S3 refuses them.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Response, StatusCode, body::Body as _, header::CONTENT_LENGTH};
use s3s::Body;

/// Longer answers are no refusals, and stay as they are.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;
const END: &str = "</Error>";

/// Puts the id of the request into a refusal. `is_form` where a browser has sent a form.
pub async fn complete(response: Response<Body>, id: &str, is_form: bool) -> Response<Body> {
    let refuses = response.status().is_client_error() || response.status().is_server_error();
    let length = response.body().size_hint().exact();
    if !refuses || length.is_none_or(|length| length > REFUSAL_BYTES_MAX) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory: nothing fails.
    let document = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
    let Some(named) = name_request(&document, id) else {
        return Response::from_parts(parts, Body::from(document));
    };
    let (document, denied) = if is_form { deny_form(named) } else { (named, false) };
    if denied {
        parts.status = StatusCode::FORBIDDEN;
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(document))
}

/// The document with the request's id, if it is that of an error without one.
fn name_request(document: &Bytes, id: &str) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    let (before, behind) = text.rsplit_once(END)?;
    if before.contains("<RequestId>") {
        return None;
    }
    Some(format!("{before}<RequestId>{id}</RequestId>{END}{behind}"))
}

/// A policy that cannot be read is a mistake; one that forbids what a form brings denies it. Says whether it does.
fn deny_form(document: String) -> (String, bool) {
    let forbids =
        document.contains("<Message>Policy condition ") || document.contains("<Message>Bucket in form field ");
    let code = "<Code>InvalidPolicyDocument</Code>";
    match forbids && document.contains(code) {
        true => (document.replace(code, "<Code>AccessDenied</Code>"), true),
        false => (document, false),
    }
}

#[cfg(test)]
mod tests;
