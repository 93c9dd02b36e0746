//! Keep and show what is configured about buckets and objects: lists, policies, rules, tags, locks.

use super::{
    Service,
    gate::{Gate, Inside},
    now_ms,
    objects::{find, precise, refused, retention, tag_set},
    respond::{from_xml, to_xml},
};
use crate::{
    record::{DefaultRetention, Period, PublicAccessBlock, RetentionMode, Settings, Versioning},
    rules::{acl, documents, lifecycle, lock, policy::Policy, tags, versions},
    storage::{Bucket, Storage},
    view::Stop,
};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
    xml::{DeserializeContent, SerializeContent},
};

/// A kind of document that is kept as S3 sends it.
struct Kind {
    /// Its name among the records.
    name: &'static str,
    /// The XML element.
    element: &'static str,
    /// Actions that read and write it.
    get: &'static str,
    put: &'static str,
    /// What is said where there is none.
    missing: &'static str,
}

const CORS: Kind = Kind {
    name: "cors",
    element: "CORSConfiguration",
    get: "s3:GetBucketCORS",
    put: "s3:PutBucketCORS",
    missing: "NoSuchCORSConfiguration",
};
const LIFECYCLE: Kind = Kind {
    name: "lifecycle",
    element: "LifecycleConfiguration",
    get: "s3:GetLifecycleConfiguration",
    put: "s3:PutLifecycleConfiguration",
    missing: "NoSuchLifecycleConfiguration",
};
const TAGGING: Kind = Kind {
    name: "tagging",
    element: "Tagging",
    get: "s3:GetBucketTagging",
    put: "s3:PutBucketTagging",
    missing: "NoSuchTagSet",
};
const ENCRYPTION: Kind = Kind {
    name: "encryption",
    element: "ServerSideEncryptionConfiguration",
    get: "s3:GetEncryptionConfiguration",
    put: "s3:PutEncryptionConfiguration",
    missing: "ServerSideEncryptionConfigurationNotFoundError",
};
const POLICY: Kind = Kind {
    name: "policy",
    element: "",
    get: "s3:GetBucketPolicy",
    put: "s3:PutBucketPolicy",
    missing: "NoSuchBucketPolicy",
};

impl<S: Storage> Service<S> {
    /// Reads the document of a kind as it is.
    async fn read(&self, gate: Gate, kind: &'static Kind) -> S3Result<Vec<u8>> {
        let bucket = self.storage().open(&gate.bucket).await?;
        let document = bucket
            .look(move |view| {
                gate.enter(view)?.check(kind.get, None, None)?;
                documents::read(view, kind.name)
            })
            .await?;
        document.ok_or_else(|| {
            S3Error::new(S3ErrorCode::from_bytes(kind.missing.as_bytes()).unwrap_or(S3ErrorCode::NoSuchResource))
        })
    }

    async fn show<T: for<'xml> DeserializeContent<'xml>>(&self, gate: Gate, kind: &'static Kind) -> S3Result<T> {
        from_xml(kind.element, &self.read(gate, kind).await?)
    }

    async fn write(&self, gate: Gate, kind: &'static Kind, document: Vec<u8>) -> S3Result<()> {
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .change(move |view| {
                gate.enter(view)?.check(kind.put, None, None)?;
                documents::write(view, kind.name, &document, now_ms())
            })
            .await
    }

    async fn keep<T: SerializeContent>(&self, gate: Gate, kind: &'static Kind, document: &T) -> S3Result<()> {
        self.write(gate, kind, to_xml(kind.element, document)?).await
    }

    async fn drop(&self, gate: Gate, kind: &'static Kind) -> S3Result<()> {
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .change(move |view| {
                gate.enter(view)?.check(kind.put, None, None)?;
                documents::remove(view, kind.name)
            })
            .await
    }

    /// The bucket's settings, for who may see them.
    async fn inside(&self, gate: Gate, action: &'static str) -> S3Result<Inside> {
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                inside.check(action, None, None)?;
                Ok(inside)
            })
            .await
    }

    /// Changes the bucket's settings.
    async fn set(
        &self,
        gate: Gate,
        action: &'static str,
        mut change: impl FnMut(&Inside, &mut Settings) -> Result<(), Stop> + Send + 'static,
    ) -> S3Result<()> {
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                inside.check(action, None, None)?;
                let mut settings = inside.settings.clone();
                change(&inside, &mut settings)?;
                documents::set_settings(view, &settings, now_ms())
            })
            .await
    }

    pub(super) async fn get_cors(
        &self,
        request: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let kept: CORSConfiguration = self.show(self.gate(&request, &request.input.bucket)?, &CORS).await?;
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(kept.cors_rules) }))
    }

    pub(super) async fn put_cors(
        &self,
        request: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let configuration = request.input.cors_configuration;
        if configuration.cors_rules.is_empty() || configuration.cors_rules.len() > 100 {
            return Err(s3_error!(MalformedXML, "there are 1 to 100 rules"));
        }
        self.keep(gate, &CORS, &configuration).await?;
        Ok(S3Response::new(PutBucketCorsOutput {}))
    }

    pub(super) async fn delete_cors(
        &self,
        request: S3Request<DeleteBucketCorsInput>,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        self.drop(self.gate(&request, &request.input.bucket)?, &CORS).await?;
        Ok(S3Response::new(DeleteBucketCorsOutput {}))
    }

    pub(super) async fn get_lifecycle(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let kept: BucketLifecycleConfiguration =
            self.show(self.gate(&request, &request.input.bucket)?, &LIFECYCLE).await?;
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(kept.rules),
            transition_default_minimum_object_size: None,
        }))
    }

    pub(super) async fn put_lifecycle(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let mut configuration = request.input.lifecycle_configuration.ok_or_else(|| s3_error!(MalformedXML))?;
        lifecycle::check(&mut configuration.rules).map_err(refused)?;
        self.keep(gate, &LIFECYCLE, &configuration).await?;
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
    }

    pub(super) async fn delete_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        self.drop(self.gate(&request, &request.input.bucket)?, &LIFECYCLE).await?;
        Ok(S3Response::new(DeleteBucketLifecycleOutput {}))
    }

    pub(super) async fn get_bucket_tags(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let kept: Tagging = self.show(self.gate(&request, &request.input.bucket)?, &TAGGING).await?;
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set: kept.tag_set }))
    }

    pub(super) async fn put_bucket_tags(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let tags = tags::parse_set(request.input.tagging.tag_set, tags::BUCKET_TAGS_MAX).map_err(refused)?;
        self.keep(gate, &TAGGING, &Tagging { tag_set: tags::to_set(&tags) }).await?;
        Ok(S3Response::new(PutBucketTaggingOutput {}))
    }

    pub(super) async fn delete_bucket_tags(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.drop(self.gate(&request, &request.input.bucket)?, &TAGGING).await?;
        Ok(S3Response::new(DeleteBucketTaggingOutput {}))
    }

    pub(super) async fn get_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let kept: ServerSideEncryptionConfiguration =
            self.show(self.gate(&request, &request.input.bucket)?, &ENCRYPTION).await?;
        Ok(S3Response::new(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(kept) }))
    }

    pub(super) async fn put_encryption(
        &self,
        request: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let configuration = request.input.server_side_encryption_configuration;
        let default =
            configuration.rules.first().and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
        super::objects::check_encryption(default.map(|default| &default.sse_algorithm), None)?;
        self.keep(gate, &ENCRYPTION, &configuration).await?;
        Ok(S3Response::new(PutBucketEncryptionOutput {}))
    }

    pub(super) async fn delete_encryption(
        &self,
        request: S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.drop(self.gate(&request, &request.input.bucket)?, &ENCRYPTION).await?;
        Ok(S3Response::new(DeleteBucketEncryptionOutput {}))
    }

    pub(super) async fn get_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let text = self.read(self.gate(&request, &request.input.bucket)?, &POLICY).await?;
        let policy = String::from_utf8(text).map_err(super::internal)?;
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
    }

    pub(super) async fn put_policy(
        &self,
        request: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let text = request.input.policy;
        let policy = Policy::parse(&text, &gate.bucket).map_err(refused)?;
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                inside.check(POLICY.put, None, None)?;
                if policy.is_public() && inside.settings.block.is_some_and(|block| block.block_policy) {
                    return Err(s3_error!(AccessDenied, "public policies are blocked here").into());
                }
                documents::write(view, POLICY.name, text.as_bytes(), now_ms())
            })
            .await?;
        let mut response = S3Response::new(PutBucketPolicyOutput {});
        response.status = Some(hyper::StatusCode::NO_CONTENT);
        Ok(response)
    }

    pub(super) async fn delete_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.drop(self.gate(&request, &request.input.bucket)?, &POLICY).await?;
        Ok(S3Response::new(DeleteBucketPolicyOutput {}))
    }

    pub(super) async fn policy_status(
        &self,
        request: S3Request<GetBucketPolicyStatusInput>,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        let inside = self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketPolicyStatus").await?;
        let ignored = inside.settings.block.is_some_and(|block| block.ignore_acls);
        let public = inside.has_public_policy() || (acl::is_public(&inside.grants()) && !ignored);
        Ok(S3Response::new(GetBucketPolicyStatusOutput {
            policy_status: Some(PolicyStatus { is_public: Some(public) }),
        }))
    }

    pub(super) async fn get_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let inside = self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketVersioning").await?;
        let status = match inside.settings.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED)),
            Versioning::Suspended => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED)),
        };
        Ok(S3Response::new(GetBucketVersioningOutput { mfa_delete: None, status }))
    }

    pub(super) async fn put_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let configuration = request.input.versioning_configuration;
        if configuration.mfa_delete.is_some_and(|status| status.as_str() == "Enabled") {
            return Err(s3_error!(NotImplemented, "deletion with a second factor is not supported"));
        }
        let versioning = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(MalformedXML)),
        };
        self.set(gate, "s3:PutBucketVersioning", move |_, settings| {
            if settings.lock && versioning != Versioning::Enabled {
                return Err(s3_error!(InvalidBucketState, "a bucket with object lock keeps its versions").into());
            }
            settings.versioning = versioning;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutBucketVersioningOutput {}))
    }

    pub(super) async fn get_bucket_acl(
        &self,
        request: S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let keyring = gate.keyring.clone();
        let inside = self.inside(gate, "s3:GetBucketAcl").await?;
        Ok(S3Response::new(GetBucketAclOutput {
            grants: Some(acl::show(&inside.grants(), &*keyring)),
            owner: Some(acl::show_owner(inside.owner(), &*keyring)),
        }))
    }

    pub(super) async fn put_bucket_acl(
        &self,
        request: S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let headers = acl::Headers {
            canned: input.acl.map(|acl| acl.as_str().to_string()),
            full_control: input.grant_full_control,
            read: input.grant_read,
            write: input.grant_write,
            read_acp: input.grant_read_acp,
            write_acp: input.grant_write_acp,
        };
        let list = input.access_control_policy;
        let keyring = gate.keyring.clone();
        self.set(gate, "s3:PutBucketAcl", move |inside, settings| {
            if inside.ignores_acls() {
                return Err(s3_error!(AccessControlListNotSupported).into());
            }
            let grants = new_list(&headers, list.clone(), inside.owner(), None, &*keyring)?;
            inside.check_public(&grants)?;
            settings.grants = grants;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutBucketAclOutput {}))
    }

    pub(super) async fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let keyring = gate.keyring.clone();
        let bucket = self.storage().open(&input.bucket).await?;
        let (grants, owner) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                let found = find(&inside, view, &input.key, input.version_id.as_deref(), "s3:GetObjectAcl")?;
                Ok((inside.grants_of(&found.version), inside.owner_of(&found.version).to_string()))
            })
            .await?;
        Ok(S3Response::new(GetObjectAclOutput {
            grants: Some(acl::show(&grants, &*keyring)),
            owner: Some(acl::show_owner(&owner, &*keyring)),
            request_charged: None,
        }))
    }

    pub(super) async fn put_object_acl(
        &self,
        request: S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let headers = acl::Headers {
            canned: input.acl.map(|acl| acl.as_str().to_string()),
            full_control: input.grant_full_control,
            read: input.grant_read,
            write: input.grant_write,
            read_acp: input.grant_read_acp,
            write_acp: input.grant_write_acp,
        };
        let keyring = gate.keyring.clone();
        let bucket = self.storage().open(&input.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                let mut found = find(&inside, view, &input.key, input.version_id.as_deref(), "s3:PutObjectAcl")?;
                if inside.ignores_acls() {
                    return Err(s3_error!(AccessControlListNotSupported).into());
                }
                let owner = inside.owner_of(&found.version).to_string();
                let list = input.access_control_policy.clone();
                found.version.grants = new_list(&headers, list, &owner, Some(inside.owner()), &*keyring)?;
                inside.check_public(&found.version.grants)?;
                versions::amend(view, &input.key, found)
            })
            .await?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }

    pub(super) async fn get_tags(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let (tag_set, version_id) = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                let action =
                    if input.version_id.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
                let found = find(&inside, view, &input.key, input.version_id.as_deref(), action)?;
                Ok((tag_set(&found.version), inside.settings.shows_versions().then(|| found.version.id())))
            })
            .await?;
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id }))
    }

    pub(super) async fn put_tags(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let tags = tags::parse_set(input.tagging.tag_set, tags::OBJECT_TAGS_MAX).map_err(refused)?;
        let version_id = self.set_tags(gate, input.key, input.version_id, tags, "s3:PutObjectTagging").await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) async fn delete_tags(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let version_id = self.set_tags(gate, input.key, input.version_id, Vec::new(), "s3:DeleteObjectTagging").await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
    }

    async fn set_tags(
        &self,
        gate: Gate,
        key: String,
        version_id: Option<String>,
        tags: Vec<(String, String)>,
        action: &'static str,
    ) -> S3Result<Option<String>> {
        let bucket = self.storage().open(&gate.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                let mut found = versions::find(view, &key, version_id.as_deref())?;
                inside.check_with(action, Some(&key), Some(&found.version), &tags)?;
                found.version.tags = tags.clone();
                let id = inside.settings.shows_versions().then(|| found.version.id());
                versions::amend(view, &key, found)?;
                Ok(id)
            })
            .await
    }

    pub(super) async fn get_lock(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let inside = self.inside(gate, "s3:GetBucketObjectLockConfiguration").await?;
        if !inside.settings.lock {
            return Err(s3_error!(ObjectLockConfigurationNotFoundError));
        }
        let rule = inside.settings.retention.map(|retention| ObjectLockRule {
            default_retention: Some(dto::DefaultRetention {
                days: match retention.period {
                    Period::Days(days) => i32::try_from(days).ok(),
                    Period::Years(_) => None,
                },
                mode: Some(mode_name(retention.mode)),
                years: match retention.period {
                    Period::Years(years) => i32::try_from(years).ok(),
                    Period::Days(_) => None,
                },
            }),
        });
        Ok(S3Response::new(GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(ObjectLockConfiguration {
                object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
                rule,
            }),
        }))
    }

    pub(super) async fn put_lock(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let configuration = request.input.object_lock_configuration.ok_or_else(|| s3_error!(MalformedXML))?;
        if configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some(ObjectLockEnabled::ENABLED)
        {
            return Err(s3_error!(MalformedXML));
        }
        let retention =
            configuration.rule.and_then(|rule| rule.default_retention).map(default_retention).transpose()?;
        self.set(gate, "s3:PutBucketObjectLockConfiguration", move |_, settings| {
            if settings.versioning != Versioning::Enabled {
                return Err(s3_error!(InvalidBucketState, "object lock needs a bucket that keeps its versions").into());
            }
            settings.lock = true;
            settings.retention = retention;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    pub(super) async fn get_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let retention = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                check_lock(&inside)?;
                Ok(find(&inside, view, &input.key, input.version_id.as_deref(), "s3:GetObjectRetention")?
                    .version
                    .retention)
            })
            .await?;
        let retention = retention.ok_or_else(|| s3_error!(NoSuchObjectLockConfiguration))?;
        Ok(S3Response::new(GetObjectRetentionOutput {
            retention: Some(ObjectLockRetention {
                mode: Some(mode_name(retention.mode)),
                retain_until_date: Some(precise(retention.until_ms)),
            }),
        }))
    }

    pub(super) async fn put_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let asked = input.retention.unwrap_or_default();
        let mode = asked.mode.as_ref().map(ObjectLockRetentionMode::as_str);
        if mode.is_some_and(|mode| mode != "GOVERNANCE" && mode != "COMPLIANCE")
            || mode.is_some() != asked.retain_until_date.is_some()
        {
            return Err(s3_error!(MalformedXML));
        }
        let retention = retention(mode, asked.retain_until_date)?;
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let bucket = self.storage().open(&input.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                check_lock(&inside)?;
                let mut found = find(&inside, view, &input.key, input.version_id.as_deref(), "s3:PutObjectRetention")?;
                let bypass = bypass && inside.check("s3:BypassGovernanceRetention", Some(&input.key), None).is_ok();
                lock::check_change(found.version.retention, retention, bypass, now_ms())?;
                found.version.retention = retention;
                versions::amend(view, &input.key, found)
            })
            .await?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    pub(super) async fn get_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let bucket = self.storage().open(&input.bucket).await?;
        let hold = bucket
            .look(move |view| {
                let inside = gate.enter(view)?;
                check_lock(&inside)?;
                Ok(find(&inside, view, &input.key, input.version_id.as_deref(), "s3:GetObjectLegalHold")?.version.hold)
            })
            .await?;
        let status = ObjectLockLegalHoldStatus::from_static(if hold == Some(true) { "ON" } else { "OFF" });
        Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status: Some(status) }) }))
    }

    pub(super) async fn put_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        let hold = match input.legal_hold.and_then(|hold| hold.status).as_ref().map(ObjectLockLegalHoldStatus::as_str) {
            Some("ON") => true,
            Some("OFF") => false,
            _ => return Err(s3_error!(MalformedXML)),
        };
        let bucket = self.storage().open(&input.bucket).await?;
        bucket
            .change(move |view| {
                let inside = gate.enter(view)?;
                check_lock(&inside)?;
                let mut found = find(&inside, view, &input.key, input.version_id.as_deref(), "s3:PutObjectLegalHold")?;
                found.version.hold = Some(hold);
                versions::amend(view, &input.key, found)
            })
            .await?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }

    pub(super) async fn get_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let inside = self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketPublicAccessBlock").await?;
        let block = inside.settings.block.ok_or_else(|| {
            custom("NoSuchPublicAccessBlockConfiguration", hyper::StatusCode::NOT_FOUND, "no public access is blocked")
        })?;
        Ok(S3Response::new(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(PublicAccessBlockConfiguration {
                block_public_acls: Some(block.block_acls),
                block_public_policy: Some(block.block_policy),
                ignore_public_acls: Some(block.ignore_acls),
                restrict_public_buckets: Some(block.restrict_buckets),
            }),
        }))
    }

    pub(super) async fn put_block(
        &self,
        request: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let asked = request.input.public_access_block_configuration;
        let block = PublicAccessBlock {
            block_acls: asked.block_public_acls.unwrap_or(false),
            ignore_acls: asked.ignore_public_acls.unwrap_or(false),
            block_policy: asked.block_public_policy.unwrap_or(false),
            restrict_buckets: asked.restrict_public_buckets.unwrap_or(false),
        };
        self.set(gate, "s3:PutBucketPublicAccessBlock", move |_, settings| {
            settings.block = Some(block);
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutPublicAccessBlockOutput {}))
    }

    pub(super) async fn delete_block(
        &self,
        request: S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        self.set(gate, "s3:PutBucketPublicAccessBlock", |_, settings| {
            settings.block = None;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(DeletePublicAccessBlockOutput {}))
    }

    pub(super) async fn get_ownership(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let inside = self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketOwnershipControls").await?;
        let ownership = inside.settings.ownership.ok_or_else(|| s3_error!(OwnershipControlsNotFoundError))?;
        let rules = vec![OwnershipControlsRule { object_ownership: ObjectOwnership::from(ownership) }];
        Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) }))
    }

    pub(super) async fn put_ownership(
        &self,
        request: S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let [rule] = request.input.ownership_controls.rules.as_slice() else { return Err(s3_error!(MalformedXML)) };
        let ownership = rule.object_ownership.as_str().to_string();
        if !["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"].contains(&ownership.as_str()) {
            return Err(s3_error!(MalformedXML));
        }
        self.set(gate, "s3:PutBucketOwnershipControls", move |inside, settings| {
            if ownership == "BucketOwnerEnforced" && inside.grants() != acl::own(inside.owner()) {
                return Err(s3_error!(InvalidBucketAclWithObjectOwnership).into());
            }
            settings.ownership = Some(ownership.clone());
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutBucketOwnershipControlsOutput {}))
    }

    pub(super) async fn delete_ownership(
        &self,
        request: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        self.set(gate, "s3:PutBucketOwnershipControls", |_, settings| {
            settings.ownership = None;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(DeleteBucketOwnershipControlsOutput {}))
    }

    pub(super) async fn payment(
        &self,
        request: S3Request<GetBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketRequestPayment").await?;
        Ok(S3Response::new(GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) }))
    }

    pub(super) async fn logging(
        &self,
        request: S3Request<GetBucketLoggingInput>,
    ) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketLogging").await?;
        Ok(S3Response::new(GetBucketLoggingOutput::default()))
    }

    pub(super) async fn notifications(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        self.inside(self.gate(&request, &request.input.bucket)?, "s3:GetBucketNotification").await?;
        Ok(S3Response::new(GetBucketNotificationConfigurationOutput::default()))
    }
}

/// An error whose code `s3s` does not know.
fn custom(code: &'static str, status: hyper::StatusCode, message: &'static str) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::NoSuchResource);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

/// The grants of a request that sets a list: by headers or written out.
fn new_list(
    headers: &acl::Headers,
    list: Option<AccessControlPolicy>,
    owner: &str,
    bucket_owner: Option<&str>,
    users: &dyn acl::Users,
) -> Result<Vec<crate::record::Grant>, Stop> {
    match list.filter(|list| list.grants.is_some() || list.owner.is_some()) {
        Some(list) if headers.is_empty() => acl::parse(list, owner, users),
        Some(_) => Err(s3_error!(UnexpectedContent).into()),
        None if headers.is_empty() => Err(s3_error!(MalformedACLError).into()),
        None => headers.grants(owner, bucket_owner, users),
    }
}

fn check_lock(inside: &Inside) -> Result<(), Stop> {
    if inside.settings.lock {
        return Ok(());
    }
    Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration").into())
}

fn mode_name(mode: RetentionMode) -> ObjectLockRetentionMode {
    ObjectLockRetentionMode::from_static(match mode {
        RetentionMode::Governance => ObjectLockRetentionMode::GOVERNANCE,
        RetentionMode::Compliance => ObjectLockRetentionMode::COMPLIANCE,
    })
}

fn default_retention(asked: dto::DefaultRetention) -> S3Result<DefaultRetention> {
    let mode = match asked.mode.as_ref().map(ObjectLockRetentionMode::as_str) {
        Some("GOVERNANCE") => RetentionMode::Governance,
        Some("COMPLIANCE") => RetentionMode::Compliance,
        _ => return Err(s3_error!(MalformedXML)),
    };
    let positive = |number: i32| {
        let invalid =
            || custom("InvalidRetentionPeriod", hyper::StatusCode::BAD_REQUEST, "a retention lasts at least one day");
        u32::try_from(number).ok().filter(|number| *number > 0).ok_or_else(invalid)
    };
    let period = match (asked.days, asked.years) {
        (Some(days), None) => Period::Days(positive(days)?),
        (None, Some(years)) => Period::Years(positive(years)?),
        _ => return Err(s3_error!(MalformedXML)),
    };
    Ok(DefaultRetention { mode, period })
}
