//! Try policies: who, what, where, and under which condition.

use super::*;

fn verdict(statements: &str, request: &Request<'_>) -> Verdict {
    let text = format!("{{\"Version\": \"2012-10-17\", \"Statement\": [{statements}]}}");
    Policy::parse(&text, "bucket").unwrap().evaluate(request)
}

fn request<'a>(user: Option<&'a str>, action: &'a str, resource: &str) -> Request<'a> {
    Request { user, action, resource: resource.into(), ..Request::default() }
}

const READ: &str = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:Get*", "Resource": "arn:aws:s3:::bucket/*"}"#;

#[test]
fn allows_what_is_named() {
    let reads = |request| verdict(READ, &request);
    assert_eq!(reads(request(None, "s3:GetObject", "bucket/a/b")), Verdict::Allowed);
    assert_eq!(reads(request(None, "s3:PutObject", "bucket/a")), Verdict::Silent);
    assert_eq!(reads(request(None, "s3:GetBucketAcl", "bucket")), Verdict::Silent);
}

#[test]
fn a_denial_wins() {
    let deny = r#"{"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::1:user/eve"}, "Action": "*", "Resource": "arn:aws:s3:::bucket/*"}"#;
    let both = format!("{READ}, {deny}");
    assert_eq!(verdict(&both, &request(Some("eve"), "s3:GetObject", "bucket/a")), Verdict::Denied);
    assert_eq!(verdict(&both, &request(Some("bob"), "s3:GetObject", "bucket/a")), Verdict::Allowed);
}

#[test]
fn conditions_narrow() {
    let statement = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket",
        "Condition": {"StringLike": {"s3:prefix": "public/*"}, "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}}}"#;
    let mut asked = request(None, "s3:ListBucket", "bucket");
    assert_eq!(verdict(statement, &asked), Verdict::Silent, "facts are missing");
    asked.facts.insert("s3:prefix".into(), vec!["public/x".into()]);
    asked.facts.insert("aws:sourceip".into(), vec!["10.3.2.1".into()]);
    assert_eq!(verdict(statement, &asked), Verdict::Allowed);
    asked.facts.insert("aws:sourceip".into(), vec!["11.3.2.1".into()]);
    assert_eq!(verdict(statement, &asked), Verdict::Silent);
}

#[test]
fn malformed_policies_and_foreign_resources_are_refused() {
    for text in [
        "",
        "{}",
        r#"{"Statement": []}, 1"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}}"#,
        r#"{"Statement": {"Effect": "Maybe", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"}}"#,
    ] {
        assert!(Policy::parse(text, "bucket").is_err(), "{text}");
    }
}

#[test]
fn public_means_everybody_without_a_named_network() {
    let public =
        |statement: &str| Policy::parse(&format!("{{\"Statement\": [{statement}]}}"), "bucket").unwrap().is_public();
    assert!(public(READ));
    let narrow = READ.replace("\"Effect\"", r#""Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "Effect""#);
    assert!(!public(&narrow));
    assert!(!public(&READ.replace("\"Allow\"", "\"Deny\"")));
}

#[test]
fn patterns() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("?b", "ab", true),
        ("?", "", false),
        ("*a*b", "xaxb", true),
    ] {
        assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
    }
}
