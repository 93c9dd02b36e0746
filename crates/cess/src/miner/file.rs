//! Define a miner's configuration file.

use crate::config;
use alloy_signer_local::PrivateKeySigner;
use anyhow::{Context, Result};
use client::keys::load_keystore;
use miner::RepairConfig;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};
use types::spec::StorageSpec;
use zeroize::Zeroizing;

/// A miner's configuration file. Relative paths count from the file's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinerFile {
    /// Nodes to ask, by the URLs of their RPC; the next one is asked when one does not answer.
    pub nodes: Vec<String>,
    /// The chain's specification; without one, what the first node says is kept in `data` and believed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<PathBuf>,
    /// Folder of everything it keeps.
    pub data: PathBuf,
    /// Where it listens for peers, UDP and TCP.
    pub listen: SocketAddr,
    /// Whether peers can reach the same addresses over TCP as well, which costs half the work per byte.
    #[serde(default = "yes")]
    pub tcp: bool,
    /// Where peers reach it, if that is not where it listens: at most four.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub announce: Vec<SocketAddr>,
    /// Relay through which peers reach it, a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Region it declares: ISO 3166-1 or 3166-2, such as DE or US-CA.
    pub region: String,
    /// Network it declares: the number of its autonomous system (ASN); 0 for none. Policies may cap members of a network.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub network: u32,
    /// Lots to pledge in all.
    pub lots: u32,
    /// Cores that fill pledged space with idle content; half of them if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plot_threads: Option<usize>,
    /// Lots to fill with idle content at most; all that are pledged if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plot_lots: Option<u32>,
    /// Stripes that it rebuilds for itself at the same time; 4 if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild_stripes: Option<NonZeroUsize>,
    /// Stripes that it rebuilds for newcomers at the same time, for pay; 2 if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help_stripes: Option<usize>,
    /// What is logged: error, warn, info, debug, trace, also by crate.
    #[serde(default = "config::log_level")]
    pub log: String,
    /// The account that registers the miner and holds its collateral.
    pub operator: Operator,
}

/// Where the operator's key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// An encrypted keystore and the file with its passphrase.
    Keystore {
        /// The keystore.
        file: PathBuf,
        /// The file with its passphrase.
        passphrase_file: PathBuf,
    },
    /// A file with the bare key in hexadecimal: for devnets.
    KeyFile(PathBuf),
}

fn yes() -> bool {
    true
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl MinerFile {
    /// Bytes of fragments and idle content that it has to have room for: its lots, and what is staged besides.
    pub fn capacity_bytes(&self, storage: &StorageSpec) -> u64 {
        self.lots_bytes(storage).saturating_add(self.staging_bytes(storage))
    }

    /// Bytes that are left free for what is staged: a quarter of the lots.
    pub fn staging_bytes(&self, storage: &StorageSpec) -> u64 {
        self.lots_bytes(storage) / 4
    }

    /// How much of the machine goes into repair.
    pub fn repair(&self) -> RepairConfig {
        let default = RepairConfig::default();
        RepairConfig {
            stripes_at_once: self.rebuild_stripes.map_or(default.stripes_at_once, NonZeroUsize::get),
            helps_at_once: self.help_stripes.unwrap_or(default.helps_at_once),
        }
    }

    fn lots_bytes(&self, storage: &StorageSpec) -> u64 {
        u64::from(self.lots).saturating_mul(storage.lot_bytes())
    }
}

impl Operator {
    /// The operator's key; `dir` is where relative paths count from.
    pub async fn unlock(&self, dir: &Path) -> Result<PrivateKeySigner> {
        match self {
            Self::KeyFile(path) => {
                let key = config::read_key(&dir.join(path))?;
                PrivateKeySigner::from_slice(&*key).with_context(|| format!("{} holds no key", path.display()))
            }
            Self::Keystore { file, passphrase_file } => {
                let passphrase = Zeroizing::new(config::read_text(&dir.join(passphrase_file))?);
                let path = dir.join(file);
                let open = move || load_keystore(&path, passphrase.trim_end_matches(['\n', '\r']), 0);
                Ok(tokio::task::spawn_blocking(open).await??.signer)
            }
        }
    }
}
