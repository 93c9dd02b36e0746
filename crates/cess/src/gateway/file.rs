//! Define a gateway's configuration file.

use crate::config;
use anyhow::{Context, Result};
use cache::{Cache, CacheConfig, DiskConfig, OpenError};
use client::{Keys, keys::load_keystore};
use gateway::{
    network::{Billing, Purchase},
    tls,
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Territory that a devnet's gateway buys if there is none: 16 GiB as they are billed, for a month.
const DEVNET_PURCHASE: Purchase = Purchase { bytes: 16 << 30, days: 30 };

const MEGABYTE: u64 = 1_000_000;

/// A gateway's configuration file. Relative paths count from the file's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// Nodes to ask, by the URLs of their RPC; the next one is asked when one does not answer.
    pub nodes: Vec<String>,
    /// The chain's specification; without one, what the first node says is kept in `data` and believed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<PathBuf>,
    /// Folder of everything it keeps.
    pub data: PathBuf,
    /// Where it listens for S3.
    pub listen: SocketAddr,
    /// Where it shows metrics, for Prometheus and `cess gateway status`.
    pub metrics: SocketAddr,
    /// The region that it says it is.
    #[serde(default = "region")]
    pub region: String,
    /// The territory that pays for new buckets; that with the most free space if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<u64>,
    /// Most connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Seconds of a day of lifecycle rules.
    #[serde(default = "day_s", skip_serializing_if = "is_a_day")]
    pub lifecycle_day_s: u64,
    /// What is logged: error, warn, info, debug, trace, also by crate.
    #[serde(default = "config::log_level")]
    pub log: String,
    /// What is kept of what was read.
    #[serde(default)]
    pub cache: CacheFile,
    /// TLS, if no proxy does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The account whose buckets are served.
    pub owner: Owner,
}

/// How much is kept of what was read. 1 MB is 1,000,000 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheFile {
    /// In memory.
    pub memory_mb: u32,
    /// On disk, in the data folder; 0 for none.
    pub disk_mb: u32,
}

impl Default for CacheFile {
    fn default() -> Self {
        Self { memory_mb: 256, disk_mb: 4096 }
    }
}

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate with those that lead up to its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Where the account's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// An encrypted keystore and the file with its passphrase.
    Keystore {
        /// The keystore.
        file: PathBuf,
        /// The file with its passphrase.
        passphrase_file: PathBuf,
    },
    /// A devnet's development account by its number: its keys are public knowledge. Buys territory on demand.
    Devnet(u32),
}

fn region() -> String {
    "us-east-1".into()
}

fn connections_max() -> usize {
    1024
}

fn day_s() -> u64 {
    86_400
}

fn is_a_day(seconds: &u64) -> bool {
    *seconds == day_s()
}

impl GatewayFile {
    /// Who pays for new buckets.
    pub fn billing(&self) -> Billing {
        let purchase = matches!(self.owner, Owner::Devnet(_)).then_some(DEVNET_PURCHASE);
        Billing { territory: self.territory, purchase }
    }
}

impl CacheFile {
    /// The cache; if the disk is in the way, only in memory.
    pub async fn open(&self, data: &Path) -> Result<Arc<Cache>> {
        let bytes = |megabytes: u32| u64::from(megabytes) * MEGABYTE;
        let memory_bytes = usize::try_from(bytes(self.memory_mb))?;
        let folder = data.join("pieces");
        let disk = (self.disk_mb > 0).then(|| DiskConfig { folder: folder.clone(), bytes: bytes(self.disk_mb) });
        let opened = match Cache::open(&CacheConfig { memory_bytes, disk }).await {
            Err(error @ (OpenError::Folder { .. } | OpenError::Library(_))) => {
                tracing::warn!(%error, folder = %folder.display(), "nothing is kept on disk of what is read");
                Cache::open(&CacheConfig { memory_bytes, disk: None }).await
            }
            opened => opened,
        };
        Ok(Arc::new(opened?))
    }
}

impl Owner {
    /// The account's keys; `dir` is where relative paths count from.
    pub async fn unlock(&self, dir: &Path) -> Result<Keys> {
        match self {
            Self::Devnet(index) => Ok(Keys::devnet(*index)),
            Self::Keystore { file, passphrase_file } => {
                let passphrase = Zeroizing::new(config::read_text(&dir.join(passphrase_file))?);
                let path = dir.join(file);
                let open = move || load_keystore(&path, passphrase.trim_end_matches(['\n', '\r']), 0);
                Ok(tokio::task::spawn_blocking(open).await??)
            }
        }
    }
}

impl Tls {
    /// Reads both files.
    pub fn load(&self, dir: &Path) -> Result<Arc<tls::ServerConfig>> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
        let (certificate, key) = (dir.join(&self.certificate), dir.join(&self.key));
        let config = tls::config(&read(&certificate)?, &read(&key)?);
        config.with_context(|| format!("{} and {} make no TLS", certificate.display(), key.display()))
    }
}
