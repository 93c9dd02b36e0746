//! Speak JSON-RPC with the devnet's validators.

use crate::senders::Signed;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_signer_local::PrivateKeySigner;
use anyhow::{Context, Result, bail};
use jsonrpsee::{
    core::{
        client::ClientT,
        params::{ArrayParams, BatchRequestBuilder},
    },
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path, sync::Arc};

/// A validator's RPC.
#[derive(Clone)]
pub struct Node(Arc<HttpClient>);

#[derive(Deserialize)]
struct Description {
    accounts: Vec<Account>,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Account {
    private_key: B256,
}

#[derive(Deserialize)]
struct Role {
    kind: String,
    endpoints: Vec<String>,
}

/// The validators of a devnet and the account that pays for everything.
pub fn nodes(dir: &Path) -> Result<(Vec<Node>, PrivateKeySigner)> {
    let path = dir.join("devnet.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let description: Description = serde_json::from_str(&text)?;
    let validators = description.roles.iter().filter(|role| role.kind == "validator");
    let nodes = validators.map(|role| {
        let url = role.endpoints.first().context("a validator without endpoints")?;
        Ok(Node(Arc::new(HttpClientBuilder::default().max_concurrent_requests(4_096).build(url)?)))
    });
    let account = description.accounts.last().context("a devnet without accounts")?;
    Ok((nodes.collect::<Result<_>>()?, PrivateKeySigner::from_bytes(&account.private_key)?))
}

impl Node {
    /// Any method.
    pub async fn ask<R: DeserializeOwned>(&self, method: &str, params: ArrayParams) -> Result<R> {
        self.0.request(method, params).await.with_context(|| method.to_string())
    }

    /// Hands over one transaction.
    pub async fn send(&self, transaction: &Signed) -> Result<()> {
        self.ask::<B256>("eth_sendRawTransaction", rpc_params![&transaction.raw]).await.map(drop)
    }

    /// Hands over several transactions in one request.
    pub async fn send_batch(&self, transactions: &[Signed]) -> Result<()> {
        let mut batch = BatchRequestBuilder::new();
        for transaction in transactions {
            batch.insert("eth_sendRawTransaction", rpc_params![&transaction.raw])?;
        }
        for answer in self.0.batch_request::<B256>(batch).await? {
            if let Err(error) = answer {
                bail!("a transaction was refused: {error}");
            }
        }
        Ok(())
    }

    /// The chain's EIP-155 id.
    pub async fn chain_id(&self) -> Result<u64> {
        Ok(self.ask::<U64>("eth_chainId", rpc_params![]).await?.to())
    }

    /// An account's next nonce.
    pub async fn nonce(&self, account: Address) -> Result<u64> {
        Ok(self.ask::<U64>("eth_getTransactionCount", rpc_params![account, "latest"]).await?.to())
    }

    /// An account's coins.
    pub async fn balance(&self, account: Address) -> Result<U256> {
        self.ask("eth_getBalance", rpc_params![account, "latest"]).await
    }

    /// What a call answers.
    pub async fn call(&self, to: Address, input: Bytes) -> Result<Bytes> {
        self.ask("eth_call", rpc_params![serde_json::json!({ "to": to, "input": input }), "latest"]).await
    }
}
