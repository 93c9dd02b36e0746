//! Refusals as clients see them.

use super::*;

fn error(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

async fn completed(status: StatusCode, document: &str, is_form: bool) -> (StatusCode, String) {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let (parts, body) = complete(response, "abc", is_form).await.into_parts();
    let bytes = body.collect().await.expect("it is in memory").to_bytes();
    (parts.status, String::from_utf8(bytes.to_vec()).expect("it was text"))
}

#[tokio::test]
async fn a_refusal_names_its_request_once() {
    let (status, once) = completed(StatusCode::NOT_FOUND, &error("NoSuchKey", "no"), false).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(once.ends_with("<Message>no</Message><RequestId>abc</RequestId></Error>"), "{once}");
    assert_eq!(completed(StatusCode::NOT_FOUND, &once, false).await.1, once);
}

#[tokio::test]
async fn what_is_no_error_document_stays_as_it_is() {
    for (status, text) in [(StatusCode::OK, error("X", "")), (StatusCode::NOT_FOUND, "gone".into())] {
        assert_eq!(completed(status, &text, true).await, (status, text));
    }
}

#[tokio::test]
async fn a_form_that_its_policy_forbids_is_denied() {
    let forbidden = error("InvalidPolicyDocument", "Policy condition 'eq' for field 'acl' failed");
    let (status, answer) = completed(StatusCode::BAD_REQUEST, &forbidden, true).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    let malformed = error("InvalidPolicyDocument", "failed to parse POST policy");
    assert_eq!(completed(StatusCode::BAD_REQUEST, &malformed, true).await.0, StatusCode::BAD_REQUEST);
}
