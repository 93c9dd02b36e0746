//! Make, list and remove buckets.

use super::{Service, now_ms, objects::refused, respond::timestamp};
use crate::{
    keys::ACCOUNT_USER,
    record::{Settings, Versioning, keys},
    rules::{acl, documents},
    storage::{Bucket as _, Storage},
    view::{Key, View},
};
use futures::{StreamExt, stream};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{self, *},
    s3_error,
};

/// Most buckets of one user.
const BUCKETS_MAX: usize = 1000;
/// Buckets whose settings are read at the same time.
const LOOKS_AT_ONCE: usize = 16;

impl<S: Storage> Service<S> {
    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let input = request.input;
        gate.check_key("s3:CreateBucket").map_err(refused)?;
        let user = gate.user().ok_or_else(|| s3_error!(AccessDenied))?.to_string();
        let constraint =
            input.create_bucket_configuration.as_ref().and_then(|asked| asked.location_constraint.as_ref());
        if constraint.is_some_and(|named| !named.as_str().is_empty() && named.as_str() != self.config().region) {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "this gateway is region {}",
                self.config().region
            ));
        }
        // Such a name is none of DNS, where buckets are parts of host names.
        if input.bucket.contains(".-") || input.bucket.contains("-.") {
            return Err(s3_error!(InvalidBucketName));
        }
        let headers = acl::Headers {
            canned: input.acl.as_ref().map(|acl| acl.as_str().to_string()),
            full_control: input.grant_full_control,
            read: input.grant_read,
            write: input.grant_write,
            read_acp: input.grant_read_acp,
            write_acp: input.grant_write_acp,
        };
        let grants = match headers.is_empty() {
            true => Vec::new(),
            false => headers.grants(&user, None, &*gate.keyring).map_err(refused)?,
        };
        let ownership = input.object_ownership.map(|ownership| ownership.as_str().to_string());
        if ownership.as_deref() == Some("BucketOwnerEnforced")
            && !grants.is_empty()
            && headers.canned.as_deref() != Some("private")
        {
            return Err(s3_error!(InvalidBucketAclWithObjectOwnership));
        }
        let lock = input.object_lock_enabled_for_bucket.unwrap_or(false);
        let settings = Settings {
            owner: (user != ACCOUNT_USER).then_some(user.clone()),
            created_ms: now_ms(),
            versioning: if lock { Versioning::Enabled } else { Versioning::Off },
            lock,
            grants,
            ownership,
            ..Settings::default()
        };
        if self.owned(&user).await?.len() >= BUCKETS_MAX {
            return Err(s3_error!(TooManyBuckets));
        }
        match self.storage().create(&input.bucket).await {
            Err(error) if error.code().as_str() == "BucketAlreadyExists" => {
                self.check_again(&input.bucket, &user, &settings).await?;
            }
            Err(error) => return Err(error),
            Ok(()) => {
                let bucket = self.storage().open(&input.bucket).await?;
                bucket.change(move |view| documents::set_settings(view, &settings, settings.created_ms)).await?;
            }
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    /// Whoever makes a bucket again gets the one they have, if it is what they ask for.
    async fn check_again(&self, name: &str, user: &str, asked: &Settings) -> S3Result<()> {
        let there = self.settings(name).await?;
        if there.owner.as_deref().unwrap_or(ACCOUNT_USER) != user {
            return Err(s3_error!(BucketAlreadyExists));
        }
        let same = there.grants == asked.grants && there.lock == asked.lock;
        if same { Ok(()) } else { Err(s3_error!(BucketAlreadyExists, "you have this bucket, with other settings")) }
    }

    async fn settings(&self, name: &str) -> S3Result<Settings> {
        self.storage().open(name).await?.look(|view| documents::settings(view)).await
    }

    /// Names and settings of somebody's buckets, in order.
    async fn owned(&self, user: &str) -> S3Result<Vec<(String, Settings)>> {
        let names = self.storage().list().await?;
        let looked = stream::iter(names).map(|name| async move { (self.settings(&name).await, name) });
        let mut looked = looked.buffer_unordered(LOOKS_AT_ONCE);
        let mut owned = Vec::new();
        while let Some((settings, name)) = looked.next().await {
            match settings {
                Ok(settings) if settings.owner.as_deref().unwrap_or(ACCOUNT_USER) == user => {
                    owned.push((name, settings))
                }
                Ok(_) => {}
                // It has just been removed.
                Err(error) if error.code().as_str() == "NoSuchBucket" => {}
                Err(error) => return Err(error),
            }
        }
        owned.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(owned)
    }

    pub(super) async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let gate = self.gate(&request, "")?;
        gate.check_key("s3:ListAllMyBuckets").map_err(refused)?;
        // Nobody has no buckets.
        let Some(who) = gate.who.clone() else {
            return Ok(S3Response::new(ListBucketsOutput {
                buckets: Some(Vec::new()),
                ..ListBucketsOutput::default()
            }));
        };
        let input = request.input;
        let max = usize::try_from(input.max_buckets.unwrap_or(10_000)).ok().filter(|max| (1..=10_000).contains(max));
        let max = max.ok_or_else(|| s3_error!(InvalidArgument, "a page has 1 to 10000 buckets"))?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let mut owned = self.owned(&who.user).await?;
        owned.retain(|(name, _)| {
            let seen = who.buckets.is_empty() || who.buckets.contains(name);
            seen && name.starts_with(&prefix) && *name > after
        });
        let more = owned.len() > max;
        owned.truncate(max);
        let next = owned.last().filter(|_| more).map(|(name, _)| name.clone());
        let buckets = owned.into_iter().map(|(name, settings)| dto::Bucket {
            bucket_region: None,
            creation_date: Some(timestamp(settings.created_ms)),
            name: Some(name),
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            continuation_token: next,
            owner: Some(acl::show_owner(&who.user, &*gate.keyring)),
            prefix: input.prefix,
        }))
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let bucket = self.storage().open(&request.input.bucket).await?;
        bucket.look(move |view| gate.enter(view)?.check("s3:ListBucket", None, None)).await?;
        let bucket_region = Some(self.config().region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let name = request.input.bucket;
        let bucket = self.storage().open(&name).await?;
        // What is no object goes with the bucket: settings, and uploads that nobody has completed.
        bucket
            .change(move |view| {
                gate.enter(view)?.check("s3:DeleteBucket", None, None)?;
                let object = view.scan(&Key::Object(String::new()), &keys::objects_end(), 1)?;
                let version = view.scan(&keys::versions_from(""), &keys::versions_end(), 1)?;
                if !object.is_empty() || !version.is_empty() {
                    return Err(s3_error!(BucketNotEmpty).into());
                }
                for (key, _) in view.scan(&keys::objects_end(), &keys::records_end(), usize::MAX)? {
                    view.remove(&key)?;
                }
                Ok(())
            })
            .await?;
        self.storage().remove(&name).await?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    pub(super) async fn location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let gate = self.gate(&request, &request.input.bucket)?;
        let bucket = self.storage().open(&request.input.bucket).await?;
        bucket.look(move |view| gate.enter(view)?.check("s3:GetBucketLocation", None, None)).await?;
        let region = &self.config().region;
        let location_constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }
}
