//! Run the protocol's modules in this process in place of a chain: for tests and simulation.
//!
//! Every transaction makes a block at once; while nothing is sent, somebody who waits makes one each heartbeat. A
//! [paced](MemoryChain::paced) chain makes blocks when it is told, of what was sent meanwhile. There are no fees, no
//! contracts and no proofs: it is its own authority.

use super::{AccountState, CallRequest, ChainApi, ChainError, Head, LogEntry, LogFilter, Proved, TransactionReceipt};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolError;
use async_trait::async_trait;
use parking_lot::Mutex;
use protocol::{
    Error, SYSTEM, beacon_target_slot, begin_block_input, decode_beacon_target,
    memory::{Modules, Request, World},
    modules,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;
use types::{
    Beacon, ChainSpec, Transaction,
    abi::{IModule, MODULES},
    spec::{Allocation, StorageSpec},
    state::{Account, StateKey, encode_slot},
};

/// Gas of a transaction that does nothing.
const INTRINSIC_GAS: u64 = 21_000;
/// Most gas of one transaction.
const GAS_MAX: u64 = crate::account::TRANSACTION_GAS_MAX;
/// What a call may use that is no transaction.
const CALL_GAS: u64 = 1 << 32;
/// Longer than anybody waits for a block that somebody else makes.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// A chain in memory.
pub struct MemoryChain {
    spec: Arc<ChainSpec>,
    modules: Modules,
    state: Mutex<State>,
    head: Mutex<Head>,
    /// Wakes in the order in which they began to wait, unlike a watch.
    advanced: Notify,
    heartbeat: Duration,
    paced: Option<Paced>,
}

/// Of a chain whose blocks are made when it is told.
struct Paced {
    /// What beacons are made of.
    seed: B256,
    pool: Mutex<Vec<Transaction>>,
}

struct State {
    world: World,
    nonces: BTreeMap<Address, u64>,
    logs: Vec<LogEntry>,
    receipts: HashMap<B256, TransactionReceipt>,
    inputs: HashMap<B256, (Address, Bytes)>,
    beacons: BTreeMap<u64, Beacon>,
}

impl MemoryChain {
    /// A chain at its first block. `heartbeat` is the time between blocks while nothing is sent.
    pub fn new(spec: ChainSpec, heartbeat: Duration) -> Self {
        let mut world = World::default();
        world.block.chain_id = spec.chain_id;
        world.block.timestamp_ms = spec.genesis_timestamp_ms;
        for allocation in &spec.alloc {
            world.balances.insert(allocation.address, allocation.balance);
        }
        let modules = modules(&spec.storage);
        let (receipts, inputs, beacons) = Default::default();
        let state = State { world, nonces: BTreeMap::new(), logs: Vec::new(), receipts, inputs, beacons };
        let (head, advanced) = (Mutex::default(), Notify::new());
        let chain =
            Self { spec: Arc::new(spec), modules, state: Mutex::new(state), head, advanced, heartbeat, paced: None };
        chain.make_block(&[], 0);
        chain
    }

    /// A chain with these parameters of storage, on which these accounts have plenty of funds.
    pub fn funding(storage: StorageSpec, accounts: impl IntoIterator<Item = Address>, heartbeat: Duration) -> Self {
        // A thousand million.
        let balance = U256::from(10).pow(U256::from(27));
        let allocation = |address| Allocation { address, balance };
        let spec = ChainSpec {
            name: "memory".into(),
            chain_id: 7_331,
            genesis_timestamp_ms: 1_750_000_000_000,
            heartbeat_ms: 1_000,
            block_interval_min_ms: 100,
            clock_drift_max_ms: 500,
            timestamp_step_max_ms: 60_000,
            gas_limit: 60_000_000,
            base_fee_min: 1_000,
            storage,
            validators: Vec::new(),
            output: Bytes::new(),
            epoch_blocks: 600,
            alloc: accounts.into_iter().map(allocation).collect(),
        };
        Self::new(spec, heartbeat)
    }

    /// Makes blocks only in [`tick`](Self::tick) from now on, with beacons that follow from `seed`.
    pub fn paced(mut self, seed: B256) -> Self {
        self.paced = Some(Paced { seed, pool: Mutex::default() });
        self
    }

    /// Makes a block of what was sent since the last one, at this time or just after the last one.
    pub fn tick(&self, timestamp_ms: u64) {
        let sent = self.paced.as_ref().map(|paced| std::mem::take(&mut *paced.pool.lock())).unwrap_or_default();
        self.make_block(&sent, timestamp_ms);
    }

    /// All wei that there are.
    pub fn supply(&self) -> U256 {
        self.state.lock().world.balances.values().copied().sum()
    }

    /// Makes an empty block.
    pub fn advance(&self) {
        self.make_block(&[], 0);
    }

    /// Lets time pass between two blocks.
    pub fn skip(&self, time: Duration) {
        self.state.lock().world.block.timestamp_ms += time.as_millis() as u64;
        self.make_block(&[], 0);
    }

    fn make_block(&self, transactions: &[Transaction], timestamp_ms: u64) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let target = self.target(&state.world);
        let block = &mut state.world.block;
        block.height += 1;
        block.view += 1;
        block.timestamp_ms = timestamp_ms.max(block.timestamp_ms + self.spec.block_interval_min_ms);
        let hash = keccak256(block.height.to_be_bytes());
        let beacon = target.filter(|(_, view)| *view < block.view).map(|(epoch, view)| {
            let seed = self.paced.as_ref().map(|paced| paced.seed);
            let seed = keccak256([seed.as_ref().map_or(&[][..], |seed| &seed[..]), &view.to_be_bytes()].concat());
            Beacon { epoch, view, seed: [seed.as_slice(), &seed[..16]].concat().into() }
        });
        let head = Head {
            height: block.height,
            hash,
            timestamp_ms: block.timestamp_ms,
            base_fee_per_gas: self.spec.base_fee_min,
        };
        let (to, input) = begin_block_input(beacon.as_ref());
        state.beacons.extend(beacon.map(|beacon| (head.height, beacon)));
        let request = Request { from: SYSTEM, to, value: U256::ZERO, is_static: false, gas: CALL_GAS };
        state.world.call(&self.modules, &request, &input).result.expect("the hook never reverts");
        state.take_logs(&head, B256::ZERO);
        for transaction in transactions {
            self.execute(state, &head, transaction);
        }
        *self.head.lock() = head;
        self.advanced.notify_waiters();
    }

    fn execute(&self, state: &mut State, head: &Head, transaction: &Transaction) {
        let envelope = transaction.envelope();
        *state.nonces.entry(transaction.sender()).or_default() += 1;
        let call = CallRequest {
            from: transaction.sender(),
            to: envelope.to().unwrap_or_default(),
            value: envelope.value(),
            data: envelope.input().clone(),
        };
        let intrinsic = intrinsic_gas(&call.data);
        let (succeeded, gas_used) = match run(&mut state.world, &self.modules, &call, envelope.gas_limit() - intrinsic)
        {
            (Ok(_), gas) => (true, gas),
            (Err(_), gas) => (false, gas),
        };
        let logs = state.take_logs(head, transaction.hash());
        let receipt = TransactionReceipt {
            transaction_hash: transaction.hash(),
            succeeded,
            height: head.height,
            gas_used: gas_used + intrinsic,
            logs,
        };
        state.receipts.insert(transaction.hash(), receipt);
        state.inputs.insert(transaction.hash(), (call.to, call.data));
    }

    /// Transactions of an account that wait for a block.
    fn waiting(&self, sender: Address) -> u64 {
        let Some(paced) = &self.paced else { return 0 };
        paced.pool.lock().iter().filter(|transaction| transaction.sender() == sender).count() as u64
    }

    fn target(&self, world: &World) -> Option<(u64, u64)> {
        let StateKey::Slot(address, slot) = beacon_target_slot() else { return None };
        decode_beacon_target(world.storage.get(&(address, slot)).copied().unwrap_or_default())
    }
}

impl State {
    fn take_logs(&mut self, head: &Head, transaction_hash: B256) -> Vec<alloy_primitives::Log> {
        let logs = std::mem::take(&mut self.world.logs);
        let first = self.logs.iter().rev().take_while(|entry| entry.height == head.height).count() as u64;
        self.logs.extend((first..).zip(&logs).map(|(log_index, log)| LogEntry {
            height: head.height,
            block_hash: head.hash,
            transaction_hash,
            log_index,
            log: log.clone(),
        }));
        logs
    }
}

fn run(world: &mut World, modules: &Modules, call: &CallRequest, gas: u64) -> (Result<Bytes, ChainError>, u64) {
    if !MODULES.contains(&call.to) {
        return (transfer(world, call), 0);
    }
    let request = Request { from: call.from, to: call.to, value: call.value, is_static: false, gas };
    let response = world.call(modules, &request, &call.data);
    (response.result.map_err(failure), response.gas_used)
}

/// Runs a call and undoes everything.
fn try_run(world: &mut World, modules: &Modules, call: &CallRequest) -> (Result<Bytes, ChainError>, u64) {
    if !MODULES.contains(&call.to) {
        return (transfer(&mut world.clone(), call), 0);
    }
    let request = Request { from: call.from, to: call.to, value: call.value, is_static: false, gas: CALL_GAS };
    let response = world.try_call(modules, &request, &call.data);
    (response.result.map_err(failure), response.gas_used)
}

fn transfer(world: &mut World, call: &CallRequest) -> Result<Bytes, ChainError> {
    let left = world.balance(call.from).checked_sub(call.value);
    let left = left.ok_or_else(|| ChainError::Rpc { code: -32000, message: "insufficient funds".into() })?;
    world.balances.insert(call.from, left);
    let sum = world.balance(call.to) + call.value;
    world.balances.insert(call.to, sum);
    Ok(Bytes::new())
}

fn failure(error: Error) -> ChainError {
    match error {
        Error::Revert(data) => ChainError::Reverted { data },
        Error::Fault(fault) => ChainError::Rpc { code: -32000, message: format!("{fault:?}") },
    }
}

fn intrinsic_gas(data: &[u8]) -> u64 {
    let cost = |byte: &u8| if *byte == 0 { 4 } else { 16 };
    INTRINSIC_GAS + data.iter().map(cost).sum::<u64>()
}

fn refuse(message: impl Into<String>) -> ChainError {
    ChainError::Rpc { code: -32000, message: message.into() }
}

#[async_trait]
impl ChainApi for MemoryChain {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        Ok(self.spec.clone())
    }

    async fn head(&self) -> Result<Head, ChainError> {
        Ok(*self.head.lock())
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        let heartbeat = if self.paced.is_some() { FOREVER } else { self.heartbeat };
        loop {
            let advanced = self.advanced.notified();
            let head = *self.head.lock();
            if head.height > height {
                return Ok(head);
            }
            if tokio::time::timeout(heartbeat, advanced).await.is_err() {
                self.make_block(&[], 0);
            }
        }
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        let mut state = self.state.lock();
        let request = Request { from: Address::ZERO, to, value: U256::ZERO, is_static: true, gas: CALL_GAS };
        let result = state.world.call(&self.modules, &request, &data).result;
        match result {
            // A node lets a call change what it likes, and forgets it. That takes a copy here, so only where it must.
            Err(Error::Revert(reason)) if IModule::StaticCallNotAllowed::abi_decode(&reason).is_ok() => {
                let mut world = state.world.clone();
                world.call(&self.modules, &Request { is_static: false, ..request }, &data).result.map_err(failure)
            }
            result => result.map_err(failure),
        }
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        let (result, gas) = try_run(&mut self.state.lock().world, &self.modules, &request);
        result?;
        Ok(gas + intrinsic_gas(&request.data))
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let matches = |entry: &&LogEntry| {
            let in_range = entry.height >= filter.from && filter.to.is_none_or(|to| entry.height <= to);
            let topics = filter.topics.iter().enumerate().all(|(position, wanted)| {
                let topic = entry.log.topics().get(position);
                wanted.as_ref().is_none_or(|wanted| topic.is_some_and(|topic| wanted.contains(topic)))
            });
            in_range && topics && entry.log.address == filter.address
        };
        let state = self.state.lock();
        let first = state.logs.partition_point(|entry| entry.height < filter.from);
        Ok(state.logs[first..].iter().filter(matches).cloned().collect())
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        let state = self.state.lock();
        let nonce = state.nonces.get(&address).copied().unwrap_or_default();
        let pending_nonce = nonce + self.waiting(address);
        Ok(AccountState { nonce, pending_nonce, balance: state.world.balance(address) })
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        let transaction = Transaction::decode(raw).map_err(|error| refuse(error.to_string()))?;
        let hash = transaction.hash();
        let envelope = transaction.envelope();
        {
            let state = self.state.lock();
            let pool = self.paced.as_ref().map(|paced| paced.pool.lock());
            if state.receipts.contains_key(&hash)
                || pool.iter().flat_map(|pool| &**pool).any(|sent| sent.hash() == hash)
            {
                return Ok(hash);
            }
            drop(pool);
            let sender = transaction.sender();
            let nonce = state.nonces.get(&sender).copied().unwrap_or_default() + self.waiting(sender);
            if transaction.nonce() != nonce {
                return Err(refuse(format!("nonce {} where {nonce} comes next", transaction.nonce())));
            }
            let gas = envelope.gas_limit();
            if gas > GAS_MAX || gas < intrinsic_gas(envelope.input()) {
                return Err(refuse("gas limit out of bounds"));
            }
        }
        match &self.paced {
            Some(paced) => paced.pool.lock().push(transaction),
            None => self.make_block(&[transaction], 0),
        }
        Ok(hash)
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        Ok(self.state.lock().receipts.get(&hash).cloned())
    }

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        Ok(self.state.lock().inputs.get(&hash).cloned())
    }

    async fn beacon(&self, height: u64) -> Result<Option<Beacon>, ChainError> {
        Ok(self.state.lock().beacons.get(&height).cloned())
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        let state = self.state.lock();
        let value = |key: &StateKey| match key {
            StateKey::Account(address) => {
                let nonce = state.nonces.get(address).copied().unwrap_or_default();
                let account = Account { nonce, balance: state.world.balance(*address), ..Account::default() };
                (!account.is_empty()).then(|| account.encode())
            }
            StateKey::Slot(address, slot) => state.world.storage.get(&(*address, *slot)).copied().map(encode_slot),
        };
        let block = &state.world.block;
        let values = keys.iter().map(value).collect();
        Ok(Proved { height: block.height, timestamp_ms: block.timestamp_ms, values })
    }
}
