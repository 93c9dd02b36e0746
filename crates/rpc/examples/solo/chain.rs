//! Make blocks alone: the executor, the archive and the pool without consensus between them.

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use anyhow::Context;
use archive::{Archive, Finalized};
use async_trait::async_trait;
use execution::{BlockContext, BuildLimits, Executor, Outcome, StateReader, next_base_fee, transactions_root};
use mempool::{Mempool, MempoolConfig};
use rpc::{Node, NodeStatus, RpcConfig, RpcHandle, SubmitError};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use types::{
    Beacon, Block, ChainSpec, Header, SyncTarget, Transaction,
    proof::{ProvedEntry, StateProof},
    spec::{Allocation, StorageSpec, ValidatorSpec},
    state::{Account, StateKey, decode_slot},
};

/// The first key of the public test mnemonic.
pub const FUNDED_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Its account.
pub const FUNDED: Address = address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");

/// A chain of one node.
pub struct Solo {
    pub spec: Arc<ChainSpec>,
    pub archive: Archive,
    pub executor: Executor,
    pub pool: Mempool,
}

/// A specification with one funded account.
pub fn spec() -> ChainSpec {
    ChainSpec {
        name: "solo".into(),
        chain_id: 1_337,
        genesis_timestamp_ms: 1_700_000_000_000,
        heartbeat_ms: 1_000,
        block_interval_min_ms: 0,
        clock_drift_max_ms: 1_000,
        timestamp_step_max_ms: 365 * 24 * 3_600_000 * 100,
        gas_limit: 60_000_000,
        base_fee_min: 1_000_000_000,
        storage: StorageSpec::devnet(),
        validators: vec![ValidatorSpec {
            public_key: B256::repeat_byte(1),
            beneficiary: Address::repeat_byte(0xbe),
            address: "127.0.0.1:1".into(),
        }],
        output: Bytes::new(),
        epoch_blocks: 600,
        alloc: vec![Allocation { address: FUNDED, balance: U256::from(10).pow(U256::from(24)) }],
    }
}

impl Solo {
    /// Opens the chain in a folder, or begins one.
    pub fn open(folder: &Path, spec: ChainSpec) -> anyhow::Result<Self> {
        let archive = Archive::open(folder, &spec)?;
        if archive.tip().is_none() {
            archive.append(&genesis(&spec), &nothing())?;
        }
        let pool = Mempool::new(MempoolConfig::for_chain(&spec), spec.base_fee_min);
        let spec = Arc::new(spec);
        Ok(Self { executor: Executor::new(spec.clone()), spec, archive, pool })
    }

    /// Serves this chain.
    pub async fn serve(self: &Arc<Self>, config: RpcConfig) -> anyhow::Result<RpcHandle> {
        let (executor, archive, pool) = (self.executor.clone(), self.archive.clone(), self.pool.clone());
        Ok(rpc::serve(config, self.spec.clone(), executor, archive, pool, self.clone()).await?)
    }

    /// Makes a block whenever there is a transaction, and at every heartbeat.
    #[allow(dead_code, reason = "tests make each block by themselves")]
    pub async fn run(&self, heartbeat: Duration) -> anyhow::Result<()> {
        let mut added = self.pool.subscribe();
        loop {
            let block = self.step().await?;
            if self.pool.best(next_base_fee(&block.block.header, &self.spec)).next().is_some() {
                continue;
            }
            // Too slow to hear of all of them is no matter: one is enough.
            let _ = tokio::time::timeout(heartbeat, added.recv()).await;
        }
    }

    /// Makes one block from what waits in the pool.
    pub async fn step(&self) -> anyhow::Result<Arc<Finalized>> {
        let tip = self.archive.tip().context("there is a genesis")?;
        let (_, parent) = self.archive.header(tip.height)?.context("the tip has a header")?;
        let state = self.archive.state_at(tip.height)?;
        let mut header = self.child(&parent, &state).await?;
        let context = BlockContext::of(&header, &self.spec);
        let candidates = self.pool.best(header.base_fee_per_gas);
        let limits = BuildLimits { bytes_max: 1 << 20, transactions_max: 10_000, deadline: || false };
        let built = self.executor.build(&context, candidates, limits, &state).await?;
        header.transactions_root = transactions_root(&built.transactions);
        header.receipts_root = built.outcome.receipts_root;
        header.logs_bloom = built.outcome.logs_bloom;
        header.gas_used = built.outcome.gas_used;
        let block = Block { header, transactions: built.transactions };
        let finalized = self.archive.append(&block, &built.outcome)?;
        let rejected = built.rejected.into_iter().filter(|(_, rejection)| rejection.is_permanent());
        self.pool.remove(&rejected.map(|(hash, _)| hash).collect::<Vec<_>>());
        let next = next_base_fee(&block.header, &self.spec);
        self.pool.on_block(&block.transactions, &accounts(&built.outcome), next, now_ms());
        Ok(finalized)
    }

    async fn child<R: StateReader>(&self, parent: &Header, state: &R) -> anyhow::Result<Header> {
        let values = state.read(&[protocol::beacon_target_slot()]).await?;
        let target = values[0].as_ref().and_then(|value| protocol::decode_beacon_target(decode_slot(value)));
        // Nobody signs here: the seed of a view is the hash of its number.
        let seed = |view: u64| Bytes::from(keccak256(view.to_be_bytes()).repeat(2)[..48].to_vec());
        Ok(Header {
            parent_hash: parent.hash(),
            height: parent.height + 1,
            view: parent.view + 1,
            parent_view: parent.view,
            timestamp_ms: now_ms().max(parent.timestamp_ms),
            base_fee_per_gas: next_base_fee(parent, &self.spec),
            beneficiary: self.spec.validators[0].beneficiary,
            seed: seed(parent.view),
            beacon: target.filter(|(_, view)| *view <= parent.view).map(|(epoch, view)| Beacon {
                epoch,
                view,
                seed: seed(view),
            }),
            ..genesis(&self.spec).header
        })
    }

    async fn account(&self, address: Address) -> Result<Account, SubmitError> {
        let unavailable = |error: &dyn std::fmt::Display| SubmitError::Unavailable(error.to_string());
        let height = self.archive.tip().map_or(0, |tip| tip.height);
        let state = self.archive.state_at(height).map_err(|error| unavailable(&error))?;
        let value = state.get(&StateKey::Account(address)).map_err(|error| unavailable(&error))?;
        Ok(value.map(|value| Account::decode(&value)).unwrap_or_default())
    }
}

#[async_trait]
impl Node for Solo {
    async fn submit(&self, transaction: Transaction) -> Result<B256, SubmitError> {
        let (hash, account) = (transaction.hash(), self.account(transaction.sender()).await?);
        self.pool.add(Arc::new(transaction), account, now_ms())?;
        Ok(hash)
    }

    async fn prove(&self, keys: Vec<StateKey>) -> Result<StateProof, String> {
        let tip = self.archive.tip().ok_or("there is no block")?;
        let (_, header) = self.archive.header(tip.height).map_err(|error| error.to_string())?.ok_or("no header")?;
        let state = self.archive.state_at(tip.height).map_err(|error| error.to_string())?;
        let values = state.read(&keys).await.map_err(|error| error.to_string())?;
        let entries = keys.into_iter().zip(values).map(|(key, value)| {
            let (address, slot) = match key {
                StateKey::Account(address) => (address, None),
                StateKey::Slot(address, slot) => (address, Some(slot)),
            };
            ProvedEntry { address, slot, value: value.map(|value| value.to_vec().into()), proof: Bytes::new() }
        });
        Ok(StateProof { header: header.encode().into(), certificate: Bytes::new(), entries: entries.collect() })
    }

    fn status(&self) -> NodeStatus {
        let view = self.archive.tip().map_or(0, |tip| tip.height);
        let committee = self.spec.validators.iter().map(|validator| validator.public_key).collect();
        NodeStatus { epoch: 0, view, committee, group_key: Bytes::new(), peers: 0 }
    }

    async fn certificate(&self, _height: Option<u64>) -> Result<Option<(Bytes, Bytes)>, String> {
        Ok(None)
    }
}

fn genesis(spec: &ChainSpec) -> Block {
    let header = Header {
        parent_hash: B256::ZERO,
        height: 0,
        epoch: 0,
        view: 0,
        parent_view: 0,
        leader: spec.validators[0].public_key,
        timestamp_ms: spec.genesis_timestamp_ms,
        state_root: B256::ZERO,
        state_log: SyncTarget::default(),
        code_log: SyncTarget::default(),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Default::default(),
        gas_used: 0,
        gas_limit: spec.gas_limit,
        base_fee_per_gas: spec.base_fee_min,
        beneficiary: Address::ZERO,
        seed: Bytes::new(),
        outbox_root: B256::ZERO,
        resharing_hash: B256::ZERO,
        beacon: None,
    };
    Block { header, transactions: Vec::new() }
}

fn nothing() -> Outcome {
    Outcome {
        receipts: Vec::new(),
        system_logs: Vec::new(),
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Default::default(),
        gas_used: 0,
        changes: Vec::new(),
        code: Vec::new(),
    }
}

fn accounts(outcome: &Outcome) -> Vec<(Address, Account)> {
    let account = |(key, value): &(StateKey, Option<types::state::Value>)| match key {
        StateKey::Account(address) => Some((*address, value.as_ref().map(Account::decode).unwrap_or_default())),
        StateKey::Slot(..) => None,
    };
    outcome.changes.iter().filter_map(account).collect()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
