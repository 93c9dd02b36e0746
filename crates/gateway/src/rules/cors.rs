//! Decide which origins browsers may let read a bucket.

use super::policy::is_like;
use s3s::dto::{CORSConfiguration, CORSRule};

/// A browser's question, or a request that it has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question<'a> {
    /// `Origin`.
    pub origin: &'a str,
    /// The method that is used or asked for.
    pub method: &'a str,
    /// Names of headers that are asked for, in lower case.
    pub headers: Vec<String>,
}

/// Headers of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
}

/// The headers by the first rule that fits, if one does.
pub fn answer(configuration: &CORSConfiguration, question: &Question<'_>, preflight: bool) -> Option<Answer> {
    let rule = configuration.cors_rules.iter().find(|rule| fits(rule, question))?;
    let any = rule.allowed_origins.iter().any(|origin| origin == "*");
    let origin = if any { "*".into() } else { question.origin.to_string() };
    let mut headers = vec![("access-control-allow-origin", origin)];
    if !any {
        headers.push(("vary", "Origin".into()));
        headers.push(("access-control-allow-credentials", "true".into()));
    }
    headers.push(("access-control-allow-methods", question.method.to_string()));
    if preflight && !question.headers.is_empty() {
        headers.push(("access-control-allow-headers", question.headers.join(",")));
    }
    if let Some(exposed) = rule.expose_headers.as_ref().filter(|exposed| !exposed.is_empty()) {
        headers.push(("access-control-expose-headers", exposed.join(",")));
    }
    if let Some(seconds) = rule.max_age_seconds.filter(|_| preflight) {
        headers.push(("access-control-max-age", seconds.to_string()));
    }
    Some(Answer { headers })
}

fn fits(rule: &CORSRule, question: &Question<'_>) -> bool {
    let origin = rule.allowed_origins.iter().any(|allowed| is_like(allowed, question.origin));
    let method = rule.allowed_methods.iter().any(|allowed| allowed == question.method);
    let allowed = rule.allowed_headers.as_deref().unwrap_or_default();
    let header = |name: &String| allowed.iter().any(|allowed| is_like(&allowed.to_ascii_lowercase(), name));
    origin && method && question.headers.iter().all(header)
}
