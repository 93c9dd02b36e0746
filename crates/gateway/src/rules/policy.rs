//! Evaluate bucket policies: who may do what, and under which conditions.

use crate::view::Stop;
use s3s::s3_error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Longest policy.
pub const POLICY_BYTES_MAX: usize = 20 << 10;

/// A policy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    #[serde(deserialize_with = "one_or_more")]
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    principal: Option<Principal>,
    not_principal: Option<Principal>,
    #[serde(default, deserialize_with = "one_or_more")]
    action: Vec<String>,
    #[serde(default, deserialize_with = "one_or_more")]
    not_action: Vec<String>,
    #[serde(default, deserialize_with = "one_or_more")]
    resource: Vec<String>,
    #[serde(default, deserialize_with = "one_or_more")]
    not_resource: Vec<String>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Principal {
    Everybody(String),
    Named {
        #[serde(rename = "AWS", default, deserialize_with = "one_or_more")]
        aws: Vec<String>,
    },
}

fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore<T> {
        More(Vec<T>),
        One(T),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::More(more) => more,
        OneOrMore::One(one) => vec![one],
    })
}

/// What somebody wants to do.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// Who; nobody is anonymous.
    pub user: Option<&'a str>,
    /// Such as `s3:GetObject`.
    pub action: &'a str,
    /// `bucket` or `bucket/key`.
    pub resource: String,
    /// What conditions can ask for, by names in lower case; a name may have several values.
    pub facts: BTreeMap<String, Vec<String>>,
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement forbids it.
    Denied,
    /// One allows it and none forbids it.
    Allowed,
    /// None is about it.
    Silent,
}

impl Policy {
    /// Reads a policy for a bucket.
    pub fn parse(text: &str, bucket: &str) -> Result<Self, Stop> {
        let malformed = |reason: &str| Stop::from(s3_error!(MalformedPolicy, "{reason}"));
        if text.len() > POLICY_BYTES_MAX {
            return Err(malformed("a policy has at most 20 KiB"));
        }
        let policy: Self = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        for statement in &policy.statement {
            if statement.principal.is_none() == statement.not_principal.is_none() {
                return Err(malformed("a statement has a Principal"));
            }
            if statement.action.is_empty() == statement.not_action.is_empty() {
                return Err(malformed("a statement has an Action"));
            }
            if statement.resource.is_empty() == statement.not_resource.is_empty() {
                return Err(malformed("a statement has a Resource"));
            }
            let own = |resource: &String| {
                let name = bare(resource).split('/').next().unwrap_or_default();
                is_like(name, bucket)
            };
            if !statement.resource.iter().chain(&statement.not_resource).all(own) {
                return Err(malformed("a resource is outside the bucket"));
            }
        }
        Ok(policy)
    }

    /// What it says to a request.
    pub fn evaluate(&self, request: &Request<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statement.iter().filter(|statement| statement.is_about(request)) {
            match statement.effect {
                Effect::Deny => return Verdict::Denied,
                Effect::Allow => verdict = Verdict::Allowed,
            }
        }
        verdict
    }

    /// Whether it lets everybody in.
    pub fn is_public(&self) -> bool {
        self.statement.iter().any(|statement| {
            let open =
                statement.principal.as_ref().is_some_and(Principal::is_everybody) || statement.not_principal.is_some();
            statement.effect == Effect::Allow && open && !statement.is_narrow()
        })
    }
}

impl Statement {
    fn is_about(&self, request: &Request<'_>) -> bool {
        let principal = match (&self.principal, &self.not_principal) {
            (Some(principal), _) => principal.is(request.user),
            (_, Some(principal)) => !principal.is(request.user),
            _ => false,
        };
        let listed = |patterns: &[String], text: &str| patterns.iter().any(|pattern| is_like(bare(pattern), text));
        let acts = |patterns: &[String]| {
            let action = request.action.to_ascii_lowercase();
            patterns.iter().any(|pattern| is_like(&pattern.to_ascii_lowercase(), &action))
        };
        let action = if self.not_action.is_empty() { acts(&self.action) } else { !acts(&self.not_action) };
        let resource = match self.not_resource.is_empty() {
            true => listed(&self.resource, &request.resource),
            false => !listed(&self.not_resource, &request.resource),
        };
        principal
            && action
            && resource
            && self.condition.iter().all(|(operator, wanted)| holds(operator, wanted, request))
    }

    /// Whether conditions narrow it to addresses, accounts or networks that are named.
    fn is_narrow(&self) -> bool {
        let names = [
            "aws:sourceip",
            "aws:sourcearn",
            "aws:sourcevpc",
            "aws:sourcevpce",
            "aws:sourceaccount",
            "aws:userid",
            "s3:dataaccesspointaccount",
            "aws:principalorgid",
            "aws:sourceowner",
        ];
        self.condition.iter().any(|(operator, wanted)| {
            let positive = !operator.to_ascii_lowercase().contains("not");
            let wide =
                |value: &Value| texts(value).iter().any(|text| text == "*" || text == "0.0.0.0/0" || text == "::/0");
            positive
                && wanted
                    .iter()
                    .any(|(name, value)| names.contains(&name.to_ascii_lowercase().as_str()) && !wide(value))
        })
    }
}

impl Principal {
    fn is_everybody(&self) -> bool {
        match self {
            Self::Everybody(text) => text == "*",
            Self::Named { aws } => aws.iter().any(|name| name == "*"),
        }
    }

    fn is(&self, user: Option<&str>) -> bool {
        let Self::Named { aws } = self else { return self.is_everybody() };
        self.is_everybody() || user.is_some_and(|user| aws.iter().any(|name| is_arn_of(name, user)))
    }
}

/// `arn:aws:iam::ACCOUNT:user/ID`, or the bare id. Ids of users in an account may have the account before them: `ACCOUNT$ID`.
fn is_arn_of(name: &str, user: &str) -> bool {
    let bare_user = user.rsplit('$').next().unwrap_or(user);
    match name.strip_prefix("arn:aws:iam::") {
        None => name == user,
        Some(rest) => {
            let (account, id) = rest.split_once(':').unwrap_or(("", rest));
            match id.strip_prefix("user/") {
                Some(id) => id == user || (id == bare_user && (account.is_empty() || user.starts_with(account))),
                None => id == "root" && account == user,
            }
        }
    }
}

fn bare(resource: &str) -> &str {
    match resource.strip_prefix("arn:aws:s3:") {
        Some(rest) => rest.splitn(3, ':').last().unwrap_or(rest),
        None => resource,
    }
}

fn holds(operator: &str, wanted: &BTreeMap<String, Value>, request: &Request<'_>) -> bool {
    let (quantifier, operator) = match operator.split_once(':') {
        Some((quantifier, operator)) => (Some(quantifier), operator),
        None => (None, operator),
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    wanted.iter().all(|(name, value)| {
        let wanted = texts(value);
        let facts = request.facts.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        if operator == "Null" {
            return wanted.iter().any(|wanted| (wanted == "true") == facts.is_empty());
        }
        let negative = operator.contains("Not");
        if facts.is_empty() {
            return if_exists || negative || quantifier == Some("ForAllValues");
        }
        let meets = |fact: &String| {
            let any = wanted.iter().any(|wanted| compares(operator, wanted, fact));
            any != negative
        };
        match quantifier {
            Some("ForAnyValue") => facts.iter().any(meets),
            _ => facts.iter().all(meets),
        }
    })
}

/// Whether a fact compares to what is wanted, without the operator's negation.
fn compares(operator: &str, wanted: &str, fact: &str) -> bool {
    let numbers = || Some((wanted.parse::<f64>().ok()?, fact.parse::<f64>().ok()?));
    match operator {
        "StringEquals" | "StringNotEquals" | "ArnEquals" | "ArnNotEquals" => wanted == fact,
        "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" | "Bool" => wanted.eq_ignore_ascii_case(fact),
        "StringLike" | "StringNotLike" | "ArnLike" | "ArnNotLike" => is_like(wanted, fact),
        "IpAddress" | "NotIpAddress" => is_within(wanted, fact),
        "NumericEquals" | "NumericNotEquals" => numbers().is_some_and(|(wanted, fact)| fact == wanted),
        "NumericLessThan" => numbers().is_some_and(|(wanted, fact)| fact < wanted),
        "NumericLessThanEquals" => numbers().is_some_and(|(wanted, fact)| fact <= wanted),
        "NumericGreaterThan" => numbers().is_some_and(|(wanted, fact)| fact > wanted),
        "NumericGreaterThanEquals" => numbers().is_some_and(|(wanted, fact)| fact >= wanted),
        _ => false,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn is_within(network: &str, address: &str) -> bool {
    let (network, bits) = match network.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let (Ok(network), Ok(address), Some(bits)) = (network.parse::<IpAddr>(), address.parse::<IpAddr>(), bits) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// Whether a text fits a pattern with `*` and `?`.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut on) = (0, 0);
    // Where the last star was, and how far the text had been eaten by it.
    let mut star: Option<(usize, usize)> = None;
    while on < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, on));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[on] => (at, on) = (at + 1, on + 1),
            _ => match star {
                Some((star_at, eaten)) => {
                    star = Some((star_at, eaten + 1));
                    (at, on) = (star_at + 1, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests;
