//! Create, list and remove buckets, and hold the keys of one.

use crate::{
    ChainError, Client, SendError,
    chain::{LogFilter, Network},
    config::StoreConfig,
    index::{Key, Value, page::BUCKET_NAME_BYTES_MAX},
    list::ListError,
    pages::{IndexError, IndexReader},
    read::Fetcher,
    release::ReleaseError,
    store::Snapshot,
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use sealing::{ContentKey, PageKey, PolicySecret, StorageSeed, WrappedKey};
use std::{ops::Bound, sync::Arc};
use types::{
    BucketId, Profile,
    abi::{BUCKETS, IBuckets},
    bucket::bucket_id,
};

/// Generation of the policy key; rotation will count it up.
const GENERATION: u64 = 0;
/// The policy that everybody may use.
pub const PUBLIC_POLICY: u32 = 0;

/// Why an operation on a bucket failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The name cannot be one.
    #[error("a bucket's name has 1 to {BUCKET_NAME_BYTES_MAX} bytes and no slash, unlike {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// There is no such bucket.
    #[error("bucket {name:?} does not exist: create it with `cess bucket create {name}`")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// The bucket is of a code that this program does not know.
    #[error("bucket {name:?} uses a code that this program does not know: use a newer one")]
    Profile {
        /// Its name.
        name: String,
    },
    /// There are objects in it.
    #[error("bucket {name:?} is not empty (it holds {key:?}, for one): remove its objects first")]
    NotEmpty {
        /// Its name.
        name: String,
        /// One of its objects.
        key: String,
    },
    /// Its index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Its segments could not be released; the bucket is gone all the same.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// A bucket with its keys.
pub(crate) struct Bucket {
    pub(crate) id: BucketId,
    pub(crate) name: String,
    pub(crate) page_key: PageKey,
    pub(crate) reader: IndexReader,
    /// Held while the index is updated.
    pub(crate) turn: tokio::sync::Mutex<()>,
    policy: PolicySecret,
}

/// What is known of a bucket without reading its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSummary {
    /// Its identity.
    pub id: BucketId,
    /// Its name.
    pub name: String,
    /// The territory that pays.
    pub territory: u64,
    /// The policy under which it is written.
    pub policy: u32,
    /// Updates of its index so far.
    pub version: u64,
}

impl Bucket {
    pub(crate) fn new(
        id: BucketId,
        name: &str,
        seed: &StorageSeed,
        fetcher: Arc<Fetcher>,
        config: &StoreConfig,
    ) -> Self {
        let page_key = seed.page_key(&id, GENERATION);
        let reader = IndexReader::new(fetcher, id, page_key.clone(), config);
        let policy = seed.policy_secret(&id, GENERATION);
        Self { id, name: name.to_owned(), page_key, reader, turn: tokio::sync::Mutex::default(), policy }
    }

    /// A new content key, and its wrapped form for the index.
    pub(crate) fn new_content_key(&self) -> (ContentKey, WrappedKey) {
        let key = ContentKey::generate(&mut rand::rng());
        let wrapped = sealing::wrap(&self.policy.public(), &key, &self.wrap_context(), &mut rand::rng());
        (key, wrapped)
    }

    /// A content key from its wrapped form; nothing if it is not one of this bucket.
    pub(crate) fn unwrap(&self, wrapped: &[u8]) -> Option<ContentKey> {
        let wrapped = WrappedKey::try_from(wrapped).ok()?;
        sealing::unwrap(&self.policy, &wrapped, &self.wrap_context()).ok()
    }

    fn wrap_context(&self) -> Vec<u8> {
        [self.id.as_slice(), &GENERATION.to_be_bytes()].concat()
    }
}

fn name_context(id: &BucketId) -> Vec<u8> {
    [b"cess bucket name v1", id.as_slice()].concat()
}

fn check_name(name: &str) -> Result<(), BucketError> {
    if name.is_empty() || name.len() > BUCKET_NAME_BYTES_MAX || name.contains(['/', '\0']) {
        return Err(BucketError::Name { name: name.to_owned() });
    }
    Ok(())
}

impl Client {
    /// Creates a bucket whose data a territory pays for, and which may be kept anywhere.
    pub async fn create_bucket(&self, name: &str, territory: u64) -> Result<BucketId, BucketError> {
        self.create_bucket_under(name, territory, PUBLIC_POLICY).await
    }

    /// Creates a bucket whose data is kept where a policy says. One that nothing satisfies is refused with what is missing.
    pub async fn create_bucket_under(&self, name: &str, territory: u64, policy: u32) -> Result<BucketId, BucketError> {
        check_name(name)?;
        let profile = match policy {
            PUBLIC_POLICY => self.spec().storage.profile as u8,
            policy => Network(&**self.chain()).policy(policy).await?.rule.profile,
        };
        let tag = B256::from(self.keys().storage.bucket_name_tag(name));
        let id = bucket_id(self.address(), &tag);
        let key = self.keys().storage.page_key(&id, GENERATION);
        let sealed_name = sealing::seal_page(&key, &name_context(&id), name.as_bytes(), &mut rand::rng());
        let call = IBuckets::createCall { tag, territory, policy, profile, flags: 0, sealedName: sealed_name.into() };
        self.sender().call(BUCKETS, U256::ZERO, &call).await?;
        Ok(id)
    }

    /// The caller's buckets, in order of their names.
    pub async fn list_buckets(&self) -> Result<Vec<BucketSummary>, BucketError> {
        let owner = Some(vec![self.address().into_word()]);
        let created = Some(vec![IBuckets::Created::SIGNATURE_HASH]);
        let filter = LogFilter { address: BUCKETS, topics: [created, None, owner, None], ..LogFilter::default() };
        let logs = self.chain().logs(filter).await?;
        let mut buckets: Vec<BucketSummary> = Vec::new();
        for entry in logs {
            let Ok(event) = IBuckets::Created::decode_log_data(&entry.log.data) else { continue };
            // A name can be created, removed and created again.
            if buckets.iter().any(|bucket| bucket.id == event.bucket) {
                continue;
            }
            let key = self.keys().storage.page_key(&event.bucket, GENERATION);
            let Ok(name) = sealing::open_page(&key, &name_context(&event.bucket), &event.sealedName) else { continue };
            let Ok(name) = String::from_utf8(name) else { continue };
            if let Some(record) = self.bucket_record(event.bucket).await? {
                let IBuckets::Bucket { territory, policy, version, .. } = record;
                buckets.push(BucketSummary { id: event.bucket, name, territory, policy, version });
            }
        }
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    /// Removes an empty bucket and releases what its index took.
    pub async fn remove_bucket(&self, name: &str) -> Result<(), BucketError> {
        let (bucket, snapshot) = self.look(name).await?;
        let first = self.list(name, "", None, None, 1).await.map_err(|error| match error {
            ListError::Bucket(error) => error,
            ListError::Index(error) => error.into(),
        })?;
        if let Some(object) = first.objects.first() {
            return Err(BucketError::NotEmpty { name: name.to_owned(), key: object.key.clone() });
        }
        let mut segments = Vec::new();
        let mut walk = snapshot.walk(Bound::Unbounded, 32);
        while let Some(items) = walk.next().await.map_err(BucketError::from)? {
            for (key, value) in items {
                match (key, value) {
                    (Key::Segment(id), Value::Segment(usage)) => segments.push((id, usage.volume)),
                    (Key::Unused(id), Value::Unused(volume)) => segments.push((id, volume)),
                    _ => {}
                }
            }
        }
        self.sender().call(BUCKETS, U256::ZERO, &IBuckets::removeCall { bucket: bucket.id }).await?;
        self.forget_bucket(&bucket.id);
        self.release(segments).await?;
        Ok(())
    }

    /// A bucket by its name, with what the chain says of it.
    pub(crate) async fn open_bucket(&self, name: &str) -> Result<(Arc<Bucket>, IBuckets::Bucket), BucketError> {
        check_name(name)?;
        let tag = B256::from(self.keys().storage.bucket_name_tag(name));
        let id = bucket_id(self.address(), &tag);
        let record = self.bucket_record(id).await?.ok_or_else(|| BucketError::Unknown { name: name.to_owned() })?;
        Ok((self.bucket_handle(id, name), record))
    }

    /// A bucket by its name, as it is now.
    pub(crate) async fn look(&self, name: &str) -> Result<(Arc<Bucket>, Snapshot), BucketError> {
        let (bucket, record) = self.open_bucket(name).await?;
        let root = bucket.reader.root(&record.root.into()).await?;
        Ok((bucket.clone(), Snapshot { bucket, root, version: record.version }))
    }

    pub(crate) fn profile_of(&self, name: &str, record: &IBuckets::Bucket) -> Result<Profile, BucketError> {
        Profile::from_u8(record.profile).ok_or_else(|| BucketError::Profile { name: name.to_owned() })
    }

    /// What the chain says of a bucket that was open already.
    pub(crate) async fn record_of(&self, bucket: &Bucket) -> Result<IBuckets::Bucket, BucketError> {
        let record = self.bucket_record(bucket.id).await?;
        record.ok_or_else(|| BucketError::Unknown { name: bucket.name.clone() })
    }

    async fn bucket_record(&self, id: BucketId) -> Result<Option<IBuckets::Bucket>, ChainError> {
        match Network(&**self.chain()).bucket(id).await {
            Ok(record) => Ok(Some(record)),
            Err(ChainError::Reverted { data }) if is_unknown(&data) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_unknown(data: &[u8]) -> bool {
    use alloy_sol_types::SolError;
    IBuckets::UnknownBucket::abi_decode(data).is_ok()
}
