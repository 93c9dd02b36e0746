//! Decide whether somebody may do what they ask for: key, policy, access control list.

use super::Service;
use crate::{
    keys::{ACCOUNT_USER, AccessKey, KeyPolicy, Keyring},
    record::{Grant, Permission, Settings, Version},
    rules::{
        acl, documents,
        policy::{Policy, Request, Verdict},
        tags,
    },
    storage::Storage,
    view::{Stop, View},
};
use hyper::HeaderMap;
use s3s::{S3Request, S3Result, s3_error};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

/// Headers that policies can ask for as `s3:` and their name.
const HEADER_FACTS: [&str; 11] = [
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-grant-read",
    "x-amz-grant-write",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-grant-full-control",
];

/// Who asks, for which bucket; what a bucket is seen through.
#[derive(Clone)]
pub struct Gate {
    /// The bucket.
    pub bucket: String,
    /// The key that signed; nobody is anonymous.
    pub who: Option<AccessKey>,
    /// All keys, for their users' names.
    pub keyring: Arc<Keyring>,
    facts: BTreeMap<String, Vec<String>>,
    expected_owner: Option<String>,
}

/// A bucket that was found, with what decides about access to it.
#[derive(Clone)]
pub struct Inside {
    /// What the bucket is.
    pub settings: Settings,
    policy: Option<Policy>,
    gate: Gate,
}

impl<S: Storage> Service<S> {
    /// Who asks for something of a bucket.
    pub(super) fn gate<T>(&self, request: &S3Request<T>, bucket: &str) -> S3Result<Gate> {
        let who = match &request.credentials {
            Some(credentials) => Some(self.access_key(&credentials.access_key)?.0),
            None => None,
        };
        let expected = request.headers.get("x-amz-expected-bucket-owner");
        Ok(Gate {
            bucket: bucket.into(),
            who,
            keyring: self.keyring(),
            facts: facts(request.uri.query().unwrap_or_default(), &request.headers, request.extensions.get()),
            expected_owner: expected.and_then(|owner| owner.to_str().ok()).map(str::to_string),
        })
    }
}

impl Gate {
    /// The user who asks.
    pub fn user(&self) -> Option<&str> {
        self.who.as_ref().map(|key| key.user.as_str())
    }

    /// The same request seen as one for another bucket.
    pub fn elsewhere(&self, bucket: &str) -> Self {
        Self { bucket: bucket.into(), expected_owner: None, ..self.clone() }
    }

    /// Looks up what decides about the bucket.
    pub fn enter<V: View>(&self, view: &mut V) -> Result<Inside, Stop> {
        let settings = documents::settings(view)?;
        let policy = documents::read(view, "policy")?;
        let policy = policy.and_then(|text| Policy::parse(std::str::from_utf8(&text).ok()?, &self.bucket).ok());
        let inside = Inside { settings, policy, gate: self.clone() };
        if self.expected_owner.as_deref().is_some_and(|expected| expected != inside.owner()) {
            return Err(denied());
        }
        Ok(inside)
    }

    /// Whether the key itself allows an action anywhere.
    pub fn check_key(&self, action: &str) -> Result<(), Stop> {
        let Some(key) = &self.who else { return Ok(()) };
        let allowed = match key.policy {
            KeyPolicy::Admin => true,
            KeyPolicy::ReadWrite => level(action) != KeyPolicy::Admin,
            KeyPolicy::ReadOnly => level(action) == KeyPolicy::ReadOnly,
        };
        let here = self.bucket.is_empty() || key.buckets.is_empty() || key.buckets.contains(&self.bucket);
        if allowed && here { Ok(()) } else { Err(denied()) }
    }
}

/// What a key needs for an action.
fn level(action: &str) -> KeyPolicy {
    let verb = action.strip_prefix("s3:").unwrap_or(action);
    if verb.starts_with("Get") || verb.starts_with("List") {
        return KeyPolicy::ReadOnly;
    }
    let objects = ["PutObject", "DeleteObject", "AbortMultipartUpload"];
    if objects.iter().any(|start| verb.starts_with(start)) { KeyPolicy::ReadWrite } else { KeyPolicy::Admin }
}

impl Inside {
    /// The bucket's user.
    pub fn owner(&self) -> &str {
        self.settings.owner.as_deref().unwrap_or(ACCOUNT_USER)
    }

    /// The user of a version.
    pub fn owner_of<'a>(&'a self, version: &'a Version) -> &'a str {
        let own = version.owner.as_deref().filter(|_| !self.ignores_acls());
        own.unwrap_or_else(|| self.owner())
    }

    /// Who owns what the asker writes: nothing for the bucket's owner.
    pub fn writer(&self) -> Option<String> {
        let user = self.gate.user().unwrap_or("anonymous");
        (user != self.owner() && !self.ignores_acls()).then(|| user.to_string())
    }

    /// Whether lists count for nothing.
    pub fn ignores_acls(&self) -> bool {
        self.settings.ownership.as_deref() == Some("BucketOwnerEnforced")
    }

    /// The bucket's grants.
    pub fn grants(&self) -> Vec<Grant> {
        if self.settings.grants.is_empty() || self.ignores_acls() {
            return acl::own(self.owner());
        }
        self.settings.grants.clone()
    }

    /// The grants of a version.
    pub fn grants_of(&self, version: &Version) -> Vec<Grant> {
        if version.grants.is_empty() || self.ignores_acls() {
            return acl::own(self.owner_of(version));
        }
        version.grants.clone()
    }

    /// Refuses what is not allowed. `version` is the object as it is, where there is one.
    pub fn check(&self, action: &str, key: Option<&str>, version: Option<&Version>) -> Result<(), Stop> {
        self.check_with(action, key, version, &[])
    }

    /// The same with tags that the request brings.
    pub fn check_with(
        &self,
        action: &str,
        key: Option<&str>,
        version: Option<&Version>,
        tags: &[(String, String)],
    ) -> Result<(), Stop> {
        self.gate.check_key(action)?;
        let user = self.gate.user();
        let is_owner = user == Some(self.owner());
        match self.verdict(action, key, version, tags) {
            Verdict::Denied if !(is_owner && action.ends_with("BucketPolicy")) => return Err(denied()),
            Verdict::Allowed if is_owner || !self.restricts_public() => return Ok(()),
            _ => {}
        }
        let allowed = match wanted(action) {
            Wanted::Bucket(permission) => self.allows(&self.grants(), permission),
            Wanted::Object(permission) => match version {
                Some(version) => self.allows(&self.grants_of(version), permission),
                None => false,
            },
            Wanted::Owner => false,
        };
        if is_owner && version.is_none_or(|version| self.owner_of(version) == self.owner() || self.is_own(action)) {
            return Ok(());
        }
        if allowed { Ok(()) } else { Err(denied()) }
    }

    /// What a bucket's owner may do with objects of others: delete them, and whatever concerns the bucket.
    fn is_own(&self, action: &str) -> bool {
        !matches!(wanted(action), Wanted::Object(_))
    }

    fn verdict(
        &self,
        action: &str,
        key: Option<&str>,
        version: Option<&Version>,
        tags: &[(String, String)],
    ) -> Verdict {
        let Some(policy) = &self.policy else { return Verdict::Silent };
        let mut facts = self.gate.facts.clone();
        for (name, value) in version.map(|version| version.tags.as_slice()).unwrap_or_default() {
            facts.insert(format!("s3:existingobjecttag/{}", name.to_lowercase()), vec![value.clone()]);
        }
        for (name, value) in tags {
            facts.insert(format!("s3:requestobjecttag/{}", name.to_lowercase()), vec![value.clone()]);
            facts.entry("s3:requestobjecttagkeys".into()).or_default().push(name.clone());
        }
        let resource = key.map_or_else(|| self.gate.bucket.clone(), |key| format!("{}/{key}", self.gate.bucket));
        policy.evaluate(&Request { user: self.gate.user(), action, resource, facts })
    }

    fn allows(&self, grants: &[Grant], permission: Permission) -> bool {
        let ignore_public = self.settings.block.is_some_and(|block| block.ignore_acls);
        acl::allows(grants, self.gate.user(), permission, ignore_public)
    }

    fn restricts_public(&self) -> bool {
        let restricts = self.settings.block.is_some_and(|block| block.restrict_buckets);
        restricts && self.policy.as_ref().is_some_and(Policy::is_public)
    }

    /// Whether anybody may read or write by policy.
    pub fn has_public_policy(&self) -> bool {
        self.policy.as_ref().is_some_and(Policy::is_public)
    }

    /// The error for an object that is not there: whoever may not list does not learn that.
    pub fn hide_missing(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Refused(error)
                if error.code().as_str() == "NoSuchKey" && self.check("s3:ListBucket", None, None).is_err() =>
            {
                denied()
            }
            stop => stop,
        }
    }

    /// The grants for a new version, by the headers of the request.
    pub fn new_grants(&self, headers: &acl::Headers) -> Result<Vec<Grant>, Stop> {
        if headers.is_empty() {
            return Ok(Vec::new());
        }
        if self.ignores_acls() {
            if headers.canned.as_deref() == Some("bucket-owner-full-control") {
                return Ok(Vec::new());
            }
            return Err(s3_error!(AccessControlListNotSupported).into());
        }
        let owner = self.gate.user().unwrap_or("anonymous");
        let grants = headers.grants(owner, Some(self.owner()), &*self.gate.keyring)?;
        self.check_public(&grants)?;
        Ok(grants)
    }

    /// Refuses public lists where they are blocked.
    pub fn check_public(&self, grants: &[Grant]) -> Result<(), Stop> {
        let blocked = self.settings.block.is_some_and(|block| block.block_acls);
        if blocked && acl::is_public(grants) { Err(denied()) } else { Ok(()) }
    }
}

enum Wanted {
    Bucket(Permission),
    Object(Permission),
    Owner,
}

/// Which permission of which list allows an action.
fn wanted(action: &str) -> Wanted {
    match action {
        "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads" => Wanted::Bucket(Permission::Read),
        "s3:PutObject" | "s3:DeleteObject" | "s3:AbortMultipartUpload" | "s3:ListMultipartUploadParts" => {
            Wanted::Bucket(Permission::Write)
        }
        "s3:GetBucketAcl" => Wanted::Bucket(Permission::ReadAcp),
        "s3:PutBucketAcl" => Wanted::Bucket(Permission::WriteAcp),
        "s3:GetObject" | "s3:GetObjectVersion" | "s3:GetObjectAttributes" => Wanted::Object(Permission::Read),
        "s3:GetObjectAcl" | "s3:GetObjectVersionAcl" => Wanted::Object(Permission::ReadAcp),
        "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => Wanted::Object(Permission::WriteAcp),
        _ => Wanted::Owner,
    }
}

pub(super) fn denied() -> Stop {
    s3_error!(AccessDenied).into()
}

fn facts(query: &str, headers: &HeaderMap, peer: Option<&SocketAddr>) -> BTreeMap<String, Vec<String>> {
    let mut facts = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        facts.insert(name.to_string(), vec![value.to_string()]);
    };
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = tags::decode(value).unwrap_or_default();
        match name {
            "prefix" | "delimiter" | "max-keys" => add(&format!("s3:{name}"), &value),
            "versionId" => add("s3:versionid", &value),
            _ => {}
        }
    }
    for name in HEADER_FACTS {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            add(&format!("s3:{name}"), value);
        }
    }
    for (header, name) in [("referer", "aws:referer"), ("user-agent", "aws:useragent")] {
        if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
            add(name, value);
        }
    }
    if let Some(peer) = peer {
        add("aws:sourceip", &peer.ip().to_canonical().to_string());
    }
    facts
}
