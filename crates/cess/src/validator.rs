//! Run a validator: read its configuration, join the committee, serve RPC.

use crate::{
    cli::RoleArgs,
    config,
    supervised::{DataLock, Ending},
};
use alloy_primitives::{Address, B256, Bytes};
use anyhow::{Context, Result};
use async_trait::async_trait;
use chain::ValidatorConfig;
use rpc::RpcConfig;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use types::{ChainSpec, Transaction, proof::StateProof, state::StateKey};

/// A validator's configuration file. Relative paths count from the file's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorFile {
    /// The chain's specification.
    pub genesis: PathBuf,
    /// Folder of everything it keeps.
    pub data: PathBuf,
    /// File with the Ed25519 seed of its identity, hexadecimal.
    pub key_file: PathBuf,
    /// File with the share of the group's secret that it has from the chain's first ceremony, hexadecimal. It is taken
    /// into the data folder at the first start, and deleted: shares change with every epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_file: Option<PathBuf>,
    /// Receiver of the priority fees of its blocks; as in the specification for those who are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beneficiary: Option<Address>,
    /// Where the committee reaches it.
    pub listen: SocketAddr,
    /// Recent heights whose state can be read.
    #[serde(default = "history_blocks")]
    pub history_blocks: u64,
    /// What is logged: error, warn, info, debug, trace, also by crate.
    #[serde(default = "config::log_level")]
    pub log: String,
    /// JSON-RPC over HTTP and WebSocket.
    #[serde(default)]
    pub rpc: RpcConfig,
}

fn history_blocks() -> u64 {
    1024
}

/// Runs until a signal arrives.
pub fn run(arguments: RoleArgs) -> Result<()> {
    let path = &arguments.config;
    let file: ValidatorFile = config::read(path)?;
    config::start_log(&file.log)?;
    let validator = resolve(&file, path)?;
    let _lock = DataLock::take(&validator.data)?;
    let ending = Ending::watch(arguments.supervised)?;
    let spec = validator.spec.clone();
    let share_file = validator.share.is_some().then(|| share_path(&file, path)).flatten();
    let (failed_in, failed) = std::sync::mpsc::channel();
    chain::run(validator, move |node| async move {
        // By now it is among the other secrets.
        if let Some(share_file) = share_file
            && let Err(error) = std::fs::remove_file(&share_file)
        {
            tracing::warn!(%error, "{} is not needed any more, and cannot be deleted", share_file.display());
        }
        if let Err(error) = serve(node, spec, file.rpc, ending).await {
            // The receiver outlives the run.
            let _ = failed_in.send(error);
        }
    })?;
    match failed.try_recv() {
        Ok(error) => Err(error),
        Err(_) => Ok(()),
    }
}

async fn serve(node: chain::Node, spec: Arc<ChainSpec>, config: RpcConfig, ending: Ending) -> Result<()> {
    let (executor, archive, mempool) = (node.executor(), node.archive(), node.mempool());
    let address = config.address;
    let handle = rpc::serve(config, spec, executor, archive, mempool, Arc::new(RpcNode(node)))
        .await
        .with_context(|| format!("RPC cannot listen on {address}"))?;
    tracing::info!(address = %handle.local_address(), "serving RPC");
    ending.wait().await;
    tracing::info!("stopping");
    handle.stop().await;
    Ok(())
}

fn resolve(file: &ValidatorFile, config_path: &Path) -> Result<ValidatorConfig> {
    let dir = config_path.parent().unwrap_or(Path::new("."));
    let genesis = dir.join(&file.genesis);
    let spec = config::read_text(&genesis)?;
    let spec = ChainSpec::from_toml(&spec).with_context(|| genesis.display().to_string())?;
    let key = *config::read_key(&dir.join(&file.key_file))?;
    let me = chain::identity(&key);
    let seat = spec.validators.iter().find(|validator| validator.public_key == me);
    let beneficiary = file.beneficiary.or(seat.map(|seat| seat.beneficiary)).with_context(|| {
        format!(
            "{}: say who gets the fees, as `beneficiary`: the specification does not name {me}",
            config_path.display()
        )
    })?;
    let share = match share_path(file, config_path) {
        Some(path) if path.exists() => Some(config::read_hex(&path)?.into()),
        _ => None,
    };
    Ok(ValidatorConfig {
        data: dir.join(&file.data),
        spec: Arc::new(spec),
        key,
        share,
        beneficiary,
        listen: file.listen,
        history_blocks: file.history_blocks,
    })
}

fn share_path(file: &ValidatorFile, config_path: &Path) -> Option<PathBuf> {
    let dir = config_path.parent().unwrap_or(Path::new("."));
    file.share_file.as_ref().map(|share| dir.join(share))
}

/// Shows a validator to RPC.
struct RpcNode(chain::Node);

#[async_trait]
impl rpc::Node for RpcNode {
    async fn submit(&self, transaction: Transaction) -> Result<B256, rpc::SubmitError> {
        self.0.submit(transaction).await.map_err(|error| match error {
            chain::SubmitError::Pool(error) => rpc::SubmitError::Pool(error),
            error => rpc::SubmitError::Unavailable(error.to_string()),
        })
    }

    async fn prove(&self, keys: Vec<StateKey>) -> Result<StateProof, String> {
        self.0.prove(keys).await.map_err(|error| error.to_string())
    }

    fn status(&self) -> rpc::NodeStatus {
        let status = self.0.status();
        rpc::NodeStatus {
            epoch: status.epoch,
            view: status.view,
            committee: status.committee,
            group_key: status.group_key,
            peers: 0,
        }
    }

    async fn certificate(&self, height: Option<u64>) -> Result<Option<(Bytes, Bytes)>, String> {
        match self.0.certificate(height).await {
            Ok(pair) => Ok(Some(pair)),
            Err(chain::CertificateError::NotFound(_)) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
