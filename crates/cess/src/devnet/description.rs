//! Tell programs where a devnet's parts are: `devnet.json`.

use alloy_primitives::{Address, B256};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Name of the file in the devnet's folder.
pub const FILE_NAME: &str = "devnet.json";

/// What a devnet consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// JSON-RPC over HTTP of the first validator.
    pub rpc_url: String,
    /// JSON-RPC over WebSocket of the first validator.
    pub ws_url: String,
    /// Whether validators answer, miners are registered and volumes take writes.
    pub ready: bool,
    /// Process that holds the network together; absent while it is stopped.
    pub supervisor_pid: Option<u32>,
    /// Words that the accounts come from (BIP-39); public knowledge.
    pub mnemonic: String,
    /// Funded accounts.
    pub accounts: Vec<DevelopmentAccount>,
    /// S3, if the network stores anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<S3>,
    /// Every role.
    pub roles: Vec<Role>,
}

/// How to reach the buckets of the first account with S3's tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3 {
    /// Where S3 is served.
    pub url: String,
    /// Where metrics are.
    pub metrics_url: String,
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key; as public as the account that it is for.
    pub secret_access_key: String,
}

/// A funded account whose key everybody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevelopmentAccount {
    /// The account.
    pub address: Address,
    /// Its key.
    pub private_key: B256,
}

/// A process of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// `validator-0`, `miner-3`, …
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The process; absent while it does not run.
    pub pid: Option<u32>,
    /// Its folder.
    pub data: PathBuf,
    /// Where it is reached: RPC first for validators.
    pub endpoints: Vec<String>,
}

/// What a role does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Orders and executes blocks.
    Validator,
    /// Holds fragments.
    Miner,
    /// Serves S3.
    Gateway,
}

impl Kind {
    /// The command that runs it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Miner => "miner",
            Self::Gateway => "gateway",
        }
    }
}

impl Description {
    /// Reads the description in a devnet's folder.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("there is no devnet in {} (start one with `cess devnet`)", dir.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// Writes it so that readers see the old one or the new one.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE_NAME);
        let text = serde_json::to_string_pretty(self).expect("plain data has a JSON form");
        write_whole(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// URLs of the validators' RPC, those that run first.
    pub fn rpc_urls(&self) -> Vec<&str> {
        let validators = self.roles.iter().filter(|role| role.kind == Kind::Validator);
        let (up, down): (Vec<_>, Vec<_>) = validators.partition(|role| role.pid.is_some());
        up.into_iter().chain(down).filter_map(|role| role.endpoints.first().map(String::as_str)).collect()
    }

    /// A role by its name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }
}

/// Replaces a file in one step.
pub fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let draft = dir.join(name);
    let mut file = fs::File::create(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
