//! Serve S3's operations over buckets: who asks, whether they may, and what the answer says.

mod body;
mod buckets;
mod configuration;
mod copying;
mod gate;
mod listing;
mod objects;
mod operations;
mod respond;
mod sweep;
mod uploads;

pub use body::BODY_BYTES_MAX;
pub use gate::{Gate, Inside};

use crate::{
    keys::{AccessKey, KeyFile, Keyring},
    rules::{
        cors::{self, Answer, Question},
        documents,
    },
    storage::{Bucket, Storage},
};
use parking_lot::Mutex;
use s3s::{
    S3Error, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    dto::CORSConfiguration,
    s3_error,
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What a service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The region that it says it is.
    pub region: String,
    /// Milliseconds of a day of lifecycle rules.
    pub lifecycle_day_ms: u64,
}

/// S3 over somebody's buckets. Cheap to clone.
pub struct Service<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    storage: S,
    config: ServiceConfig,
    keys: KeyFile,
    opened: Mutex<(Option<SystemTime>, Arc<Keyring>)>,
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Storage> Service<S> {
    /// A service over the buckets of `storage`; who may use them is in the key file.
    pub fn new(storage: S, keys: KeyFile, config: ServiceConfig) -> Self {
        let opened = Mutex::new((None, Arc::new(Keyring::default())));
        Self { shared: Arc::new(Shared { storage, config, keys, opened }) }
    }

    fn storage(&self) -> &S {
        &self.shared.storage
    }

    fn config(&self) -> &ServiceConfig {
        &self.shared.config
    }

    /// The access keys, read again when their file has changed.
    pub fn keyring(&self) -> Arc<Keyring> {
        let modified = self.shared.keys.modified();
        let mut opened = self.shared.opened.lock();
        if opened.0 != modified {
            match self.shared.keys.open() {
                Ok(keyring) => *opened = (modified, Arc::new(keyring)),
                // Those that were read last still count.
                Err(error) => tracing::error!(%error, "access keys cannot be read again"),
            }
        }
        opened.1.clone()
    }

    fn access_key(&self, id: &str) -> S3Result<(AccessKey, SecretKey)> {
        let keyring = self.keyring();
        let (key, secret) = keyring.get(id).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        if key.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms()) {
            return Err(s3_error!(
                ExpiredToken,
                "the access key has expired: make another with `cess gateway key create`"
            ));
        }
        Ok((key.clone(), secret.clone()))
    }

    /// The headers that let a browser's page see the answer.
    pub async fn cors(&self, bucket: &str, question: &Question<'_>, preflight: bool) -> Option<Answer> {
        let bucket = self.storage().open(bucket).await.ok()?;
        let document = bucket.look(|view| documents::read(view, "cors")).await.ok()??;
        let configuration: CORSConfiguration = respond::from_xml("CORSConfiguration", &document).ok()?;
        cors::answer(&configuration, question, preflight)
    }
}

#[async_trait::async_trait]
impl<S: Storage> S3Auth for Service<S> {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.access_key(access_key).map(|(_, secret)| secret)
    }
}

/// Operations decide for themselves, with the object at hand: none reaches a bucket but through its [`Gate`].
#[async_trait::async_trait]
impl<S: Storage> S3Access for Service<S> {
    async fn check(&self, _context: &mut S3AccessContext<'_>) -> S3Result<()> {
        Ok(())
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    now_us() / 1000
}

/// Microseconds since 1970.
pub fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(%error, "a request failed");
    S3Error::internal_error(error)
}

#[cfg(test)]
mod tests;
