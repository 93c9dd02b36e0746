//! Ask a node over JSON-RPC: time limits, retries of reads, and errors that say what happened.

use super::{
    AccountState, CallRequest, ChainApi, ChainError, Distrust, Head, LogEntry, LogFilter, Proved, STATE_KEYS_MAX,
    TransactionReceipt, Trust,
};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, U64, U256, keccak256};
use async_trait::async_trait;
use jsonrpsee::{
    core::{
        client::{ClientT, Error as RpcError},
        params::{ArrayParams, BatchRequestBuilder},
    },
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
    types::ErrorObject,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;
use types::{Beacon, ChainSpec, proof::StateProof, state::StateKey};

/// Most calls in one JSON-RPC batch.
const BATCH_CALLS_MAX: usize = 50;
/// Longest request and answer.
const MESSAGE_BYTES_MAX: u32 = 32 << 20;
/// Most blocks asked for in one log query.
const LOG_BLOCKS_MAX: u64 = 10_000;
/// How long one long poll for a block waits.
const POLL_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a node is asked again whose proof is older than what it said before.
const BEHIND_ATTEMPTS: u32 = 10;
/// Pause before that.
const BEHIND_PAUSE: Duration = Duration::from_millis(20);

/// How long to wait and how often to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcOptions {
    /// Time limit of one request.
    pub request_timeout: Duration,
    /// Attempts at a read before giving up.
    pub attempts: u32,
    /// Pause before the second attempt; doubles from there.
    pub retry_pause: Duration,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self { request_timeout: Duration::from_secs(30), attempts: 4, retry_pause: Duration::from_millis(100) }
    }
}

/// A node reached over JSON-RPC.
pub struct RpcChain {
    node: String,
    client: HttpClient,
    options: RpcOptions,
    spec: OnceCell<Arc<ChainSpec>>,
    trust: Option<Arc<Trust>>,
    /// The greatest height that this node spoke of: its proofs have to be as new.
    told_height: AtomicU64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    height: U64,
    hash: B256,
    timestamp_ms: U64,
    #[serde(default)]
    base_fee_per_gas: Option<U64>,
}

#[derive(Deserialize)]
struct RpcCertificate {
    header: Bytes,
    certificate: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcBlock {
    base_fee_per_gas: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U64,
    block_hash: B256,
    transaction_hash: B256,
    log_index: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcReceipt {
    transaction_hash: B256,
    status: U64,
    block_number: U64,
    gas_used: U64,
    logs: Vec<RpcLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcTransaction {
    block_number: Option<U64>,
    to: Option<Address>,
    input: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcFilter {
    from_block: U64,
    to_block: U64,
    address: Address,
    topics: Vec<Option<Vec<B256>>>,
}

#[derive(Serialize)]
struct RpcCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    to: Address,
    #[serde(skip_serializing_if = "U256::is_zero")]
    value: U256,
    input: Bytes,
}

#[derive(Serialize)]
struct RpcStateKey {
    address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<U256>,
}

impl RpcChain {
    /// A node at `url` (`http://host:port`), with the usual limits.
    pub fn new(url: &str) -> Result<Self, ChainError> {
        Self::with_options(url, RpcOptions::default())
    }

    /// A node at `url` with limits of the caller's choice.
    pub fn with_options(url: &str, options: RpcOptions) -> Result<Self, ChainError> {
        let client = HttpClientBuilder::default()
            .request_timeout(options.request_timeout.max(POLL_TIMEOUT * 2))
            .max_request_size(MESSAGE_BYTES_MAX)
            .max_response_size(MESSAGE_BYTES_MAX)
            .build(url)
            .map_err(|error| ChainError::Unreachable { node: url.into(), reason: error.to_string() })?;
        Ok(Self {
            node: url.into(),
            client,
            options,
            spec: OnceCell::new(),
            trust: None,
            told_height: AtomicU64::new(0),
        })
    }

    /// Reads the state as far as `trust` confirms it; without it, nothing of the state is read from this node.
    pub fn with_trust(mut self, trust: Arc<Trust>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// What is believed of it.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_deref()
    }

    /// One attempt.
    async fn request<R: DeserializeOwned>(
        &self,
        method: &str,
        params: ArrayParams,
        limit: Duration,
    ) -> Result<R, ChainError> {
        match tokio::time::timeout(limit, self.client.request(method, params)).await {
            Ok(answer) => answer.map_err(|error| self.error(error)),
            Err(_) => Err(self.error(RpcError::RequestTimeout)),
        }
    }

    /// A question that does no harm when it is asked twice.
    async fn read<R: DeserializeOwned>(&self, method: &str, params: ArrayParams) -> Result<R, ChainError> {
        self.retry(|| self.request(method, params.clone(), self.options.request_timeout)).await
    }

    async fn retry<R, F>(&self, mut ask: impl FnMut() -> F) -> Result<R, ChainError>
    where
        F: Future<Output = Result<R, ChainError>>,
    {
        let mut pause = self.options.retry_pause;
        for _ in 1..self.options.attempts {
            match ask().await {
                Err(ChainError::Unreachable { reason, .. }) => {
                    tracing::debug!(node = self.node, reason, "asking again");
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        ask().await
    }

    fn error(&self, error: RpcError) -> ChainError {
        match error {
            RpcError::Call(error) => rpc_error(&error),
            RpcError::ParseError(error) => ChainError::Invalid(error.to_string()),
            RpcError::RequestTimeout => self.unreachable("no answer in time".into()),
            other => self.unreachable(deepest(&other)),
        }
    }

    fn unreachable(&self, reason: String) -> ChainError {
        ChainError::Unreachable { node: self.node.clone(), reason }
    }

    async fn complete(&self, status: Status) -> Result<Head, ChainError> {
        let base_fee_per_gas = match status.base_fee_per_gas {
            Some(fee) => fee,
            None => self.read::<RpcBlock>("eth_getBlockByNumber", rpc_params!["latest", false]).await?.base_fee_per_gas,
        };
        self.tell(status.height.to());
        Ok(Head {
            height: status.height.to(),
            hash: status.hash,
            timestamp_ms: status.timestamp_ms.to(),
            base_fee_per_gas: base_fee_per_gas.to(),
        })
    }

    async fn call_batch(&self, calls: &[(Address, Bytes)]) -> Result<Vec<Bytes>, ChainError> {
        let mut batch = BatchRequestBuilder::new();
        for (to, data) in calls {
            let call = RpcCall { from: None, to: *to, value: U256::ZERO, input: data.clone() };
            batch.insert("eth_call", rpc_params![call, "latest"]).expect("a call is valid JSON");
        }
        let limit = self.options.request_timeout;
        let answers = match tokio::time::timeout(limit, self.client.batch_request::<Bytes>(batch)).await {
            Ok(answers) => answers.map_err(|error| self.error(error))?,
            Err(_) => return Err(self.error(RpcError::RequestTimeout)),
        };
        answers.into_iter().map(|answer| answer.map_err(|error| rpc_error(&error))).collect()
    }

    fn unverified(&self, reason: impl ToString) -> ChainError {
        ChainError::Unverified { node: self.node.clone(), reason: reason.to_string() }
    }

    fn tell(&self, height: u64) {
        self.told_height.fetch_max(height, Ordering::Relaxed);
    }

    /// Asks for a proof once; whatever the node answers but a proof proves nothing.
    async fn proof(&self, asked: &[RpcStateKey]) -> Result<StateProof, ChainError> {
        self.read("cess_getProof", rpc_params![asked]).await.map_err(|error| match error {
            ChainError::Unreachable { .. } => error,
            other => self.unverified(other),
        })
    }
}

#[async_trait]
impl ChainApi for RpcChain {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        if let Some(trust) = &self.trust {
            return Ok(trust.spec().clone());
        }
        let ask = || async { self.read::<ChainSpec>("cess_spec", rpc_params![]).await.map(Arc::new) };
        self.spec.get_or_try_init(ask).await.cloned()
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.complete(self.read("cess_status", rpc_params![]).await?).await
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        let timeout_ms = POLL_TIMEOUT.as_millis() as u64;
        loop {
            let poll = || self.request("cess_waitHeight", rpc_params![height, timeout_ms], POLL_TIMEOUT * 2);
            let status: Status = self.retry(poll).await?;
            if status.height.to::<u64>() > height {
                return self.complete(status).await;
            }
        }
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        let call = RpcCall { from: None, to, value: U256::ZERO, input: data };
        self.read("eth_call", rpc_params![call, "latest"]).await
    }

    async fn call_many(&self, calls: Vec<(Address, Bytes)>) -> Result<Vec<Bytes>, ChainError> {
        let mut outputs = Vec::with_capacity(calls.len());
        for batch in calls.chunks(BATCH_CALLS_MAX) {
            outputs.extend(self.retry(|| self.call_batch(batch)).await?);
        }
        Ok(outputs)
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        let CallRequest { from, to, value, data } = request;
        let call = RpcCall { from: Some(from), to, value, input: data };
        self.read::<U64>("eth_estimateGas", rpc_params![call]).await.map(|gas| gas.to())
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let last = match filter.to {
            Some(to) => to,
            None => self.head().await?.height,
        };
        let mut entries = Vec::new();
        let mut from = filter.from;
        while from <= last {
            let to = last.min(from.saturating_add(LOG_BLOCKS_MAX - 1));
            let query = RpcFilter {
                from_block: U64::from(from),
                to_block: U64::from(to),
                address: filter.address,
                topics: filter.topics.to_vec(),
            };
            let logs: Vec<RpcLog> = self.read("eth_getLogs", rpc_params![query]).await?;
            for log in logs {
                entries.push(log.entry()?);
            }
            from = to + 1;
        }
        Ok(entries)
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        let nonce = self.read::<U64>("eth_getTransactionCount", rpc_params![address, "latest"]);
        let pending = self.read::<U64>("eth_getTransactionCount", rpc_params![address, "pending"]);
        let balance = self.read::<U256>("eth_getBalance", rpc_params![address, "latest"]);
        let (nonce, pending, balance) = futures::try_join!(nonce, pending, balance)?;
        Ok(AccountState { nonce: nonce.to(), pending_nonce: pending.to(), balance })
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        // The same bytes are the same transaction, so a second attempt cannot send it twice.
        let hash = keccak256(&raw);
        match self.read::<B256>("eth_sendRawTransaction", rpc_params![raw]).await {
            Ok(answered) if answered == hash => Ok(hash),
            Ok(_) => Err(ChainError::Invalid("the node names the transaction by another hash".into())),
            Err(ChainError::Rpc { message, .. }) if message.to_lowercase().contains("already known") => Ok(hash),
            Err(error) => Err(error),
        }
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        let receipt: Option<RpcReceipt> = self.read("eth_getTransactionReceipt", rpc_params![hash]).await?;
        let Some(receipt) = receipt else { return Ok(None) };
        self.tell(receipt.block_number.to());
        let logs = receipt.logs.into_iter().map(|log| Ok(log.entry()?.log)).collect::<Result<_, _>>()?;
        Ok(Some(TransactionReceipt {
            transaction_hash: receipt.transaction_hash,
            succeeded: receipt.status == U64::from(1),
            height: receipt.block_number.to(),
            gas_used: receipt.gas_used.to(),
            logs,
        }))
    }

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        let found: Option<RpcTransaction> = self.read("eth_getTransactionByHash", rpc_params![hash]).await?;
        let Some(found) = found.filter(|transaction| transaction.block_number.is_some()) else { return Ok(None) };
        Ok(found.to.map(|to| (to, found.input)))
    }

    async fn beacon(&self, height: u64) -> Result<Option<Beacon>, ChainError> {
        let Some(trust) = &self.trust else { return Err(self.unverified("the committee's key is not known")) };
        let shown: Option<RpcCertificate> = self.read("cess_getCertificate", rpc_params![height]).await?;
        let shown = shown.ok_or_else(|| self.unverified(format!("it has no certificate of height {height}")))?;
        let header = trust.finalised(&shown.header, &shown.certificate).map_err(|error| self.unverified(error))?;
        // A block may be final by the certificate of a later one alone.
        if header.height != height {
            return Err(self.unverified(format!("it has no certificate of height {height} itself")));
        }
        Ok(header.beacon)
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        let Some(trust) = &self.trust else { return Err(self.unverified("the committee's key is not known")) };
        if keys.len() > STATE_KEYS_MAX {
            return Err(ChainError::Invalid(format!("{} entries at once, of {STATE_KEYS_MAX}", keys.len())));
        }
        let asked: Vec<_> = keys.iter().map(RpcStateKey::from).collect();
        // What is seen from now on may be newer than the answer.
        let since_height = trust.height().max(self.told_height.load(Ordering::Relaxed));
        let mut attempt = 1;
        loop {
            let proof = self.proof(&asked).await?;
            match trust.check(keys, &proof, since_height) {
                Ok(proved) => return Ok(proved),
                // A block is known for a moment before its certificate is.
                Err(Distrust::Behind { .. }) if attempt < BEHIND_ATTEMPTS => tokio::time::sleep(BEHIND_PAUSE).await,
                Err(Distrust::Old { age_s }) => return Err(ChainError::Old { node: self.node.clone(), age_s }),
                Err(error) => return Err(self.unverified(error)),
            }
            attempt += 1;
        }
    }
}

impl From<&StateKey> for RpcStateKey {
    fn from(key: &StateKey) -> Self {
        match *key {
            StateKey::Account(address) => Self { address, slot: None },
            StateKey::Slot(address, slot) => Self { address, slot: Some(slot) },
        }
    }
}

impl RpcLog {
    fn entry(self) -> Result<LogEntry, ChainError> {
        let data = LogData::new(self.topics, self.data)
            .ok_or_else(|| ChainError::Invalid("a log with more than four topics".into()))?;
        Ok(LogEntry {
            height: self.block_number.to(),
            block_hash: self.block_hash,
            transaction_hash: self.transaction_hash,
            log_index: self.log_index.to(),
            log: Log { address: self.address, data },
        })
    }
}

fn rpc_error(error: &ErrorObject<'_>) -> ChainError {
    let data = error.data().and_then(|data| serde_json::from_str::<Bytes>(data.get()).ok());
    match data {
        // Ethereum nodes answer a revert with code 3 and its data.
        Some(data) if error.code() == 3 => ChainError::Reverted { data },
        None if error.code() == 3 => ChainError::Reverted { data: Bytes::new() },
        _ => ChainError::Rpc { code: error.code(), message: error.message().to_owned() },
    }
}

/// The innermost cause, which names what the outer layers only wrap.
fn deepest(error: &RpcError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
