//! Make the chain of real validators: a committee in virtual time, in step with everybody else's clock.

mod books;
mod reader;
mod window;

pub use reader::Reader;

use crate::{Broken, chance::Chance, ensure, ledger::Ledger};
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use books::Fees;
use chain::{
    committee::{ArchiveFate, Committee, CommitteeConfig, Links, SeatView},
    dealer,
};
use client::chain::{
    AccountState, CallRequest, ChainApi, ChainError, Head, LogEntry, LogFilter, Proved, TransactionReceipt,
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{sync::Notify, time::Instant};
use types::{
    ChainSpec, Header, Transaction,
    spec::{Allocation, StorageSpec, ValidatorSpec},
    state::StateKey,
};
use window::Window;

/// Validators.
pub const SEATS: usize = 4;
/// Validators that may be gone at once while the others go on.
pub const FAULTS_MAX: usize = (SEATS - 1) / 3;
/// Furthest that a block may be ahead of a validator's clock when it votes.
pub const CLOCK_DRIFT_MAX_MS: u64 = 500;
/// How far the committee's clock may lag behind everybody else's. Each step hands over to another thread and back.
const STEP: Duration = Duration::from_millis(500);
/// Short, so that committees follow each other in every run.
const EPOCH_BLOCKS: u64 = 240;
const GENESIS_MS: u64 = 1_750_000_000_000;

/// A chain that validators make.
pub struct Validators {
    spec: Arc<ChainSpec>,
    committee: Committee,
    began: Instant,
    /// By the number of a reader, how far its clock is off at most.
    skew_ms_max: u64,
    seed: u64,
    tips: Mutex<[u64; SEATS]>,
    /// Wakes in the order in which they began to wait, unlike a watch.
    advanced: Notify,
    fees: Mutex<Fees>,
    /// The last block that was looked at.
    checked: Mutex<Header>,
    _archives: TempDir,
}

/// How the committee and its readers are off the time of day.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// By seat, milliseconds that a validator is ahead, or behind if negative.
    pub ahead_ms: Vec<i64>,
    /// Milliseconds that a miner or client is ahead or behind at most.
    pub readers_ms_max: u64,
}

fn spec(storage: StorageSpec, accounts: &[Address], dealt: &dealer::Dealt, block: Duration) -> ChainSpec {
    // A thousand million.
    let balance = U256::from(10).pow(U256::from(27));
    let block_ms = block.as_millis() as u64;
    let validator = |(seat, dealt): (usize, &dealer::Seat)| ValidatorSpec {
        public_key: dealt.public_key,
        beneficiary: beneficiary(seat),
        // The simulated network finds it by its key.
        address: "127.0.0.1:1".into(),
    };
    ChainSpec {
        name: "simulated".into(),
        chain_id: 7_331,
        genesis_timestamp_ms: GENESIS_MS,
        heartbeat_ms: block_ms,
        block_interval_min_ms: block_ms,
        clock_drift_max_ms: CLOCK_DRIFT_MAX_MS,
        timestamp_step_max_ms: 60_000,
        gas_limit: 60_000_000,
        base_fee_min: 1_000,
        storage,
        validators: dealt.seats.iter().enumerate().map(validator).collect(),
        output: dealt.output.clone(),
        epoch_blocks: EPOCH_BLOCKS,
        alloc: accounts.iter().map(|address| Allocation { address: *address, balance }).collect(),
    }
}

/// Who gets the tips of blocks that a validator proposes.
fn beneficiary(seat: usize) -> Address {
    Address::repeat_byte(0xb0 + seat as u8)
}

impl Validators {
    /// A committee that makes a block in such a time, and accounts that have plenty of funds.
    pub fn start(
        seed: u64,
        storage: StorageSpec,
        accounts: &[Address],
        block: Duration,
        clocks: Clocks,
    ) -> Result<Arc<Self>, Broken> {
        let failed = |error: std::io::Error| Broken::new("validators start", error.to_string());
        let entropy = *blake3::hash(&[&b"committee"[..], &seed.to_be_bytes()].concat()).as_bytes();
        let dealt = dealer::deal(SEATS as u32, entropy);
        let spec = Arc::new(spec(storage, accounts, &dealt, block));
        let archives = TempDir::new().map_err(failed)?;
        let config = CommitteeConfig {
            spec: spec.clone(),
            dealt,
            seed,
            folder: archives.path().into(),
            ahead_ms: clocks.ahead_ms,
            links: Links { latency_ms: 60, jitter_ms: 20, loss_per_million: 2_000 },
        };
        let fees = Fees::new(&spec);
        let committee = Committee::start(config).map_err(failed)?;
        // Validators open their disks.
        committee.advance(GENESIS_MS + 10);
        let genesis = committee.view(0).ok_or_else(all_down).and_then(|view| Window::new(view, spec.clone()).newest());
        let first = genesis.map_err(Broken::chain)?;
        let chain = Self {
            committee,
            spec,
            began: Instant::now(),
            skew_ms_max: clocks.readers_ms_max,
            seed,
            tips: Mutex::default(),
            advanced: Notify::new(),
            fees: Mutex::new(fees),
            checked: Mutex::new(first),
            _archives: archives,
        };
        Ok(Arc::new(chain))
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64 {
        GENESIS_MS + self.began.elapsed().as_millis() as u64
    }

    /// Lets the committee live as time passes, for ever.
    pub async fn keep_pace(self: Arc<Self>) {
        loop {
            tokio::time::sleep(STEP).await;
            self.committee.advance(self.now_ms());
            let tips = std::array::from_fn(|seat| self.tip(seat));
            if std::mem::replace(&mut *self.tips.lock(), tips) != tips {
                self.advanced.notify_waiters();
            }
        }
    }

    /// Waits until all validators have the first block, which hands out what accounts have.
    pub async fn begun(&self) {
        while (0..SEATS).any(|seat| self.tip(seat) == 0) {
            self.advanced.notified().await;
        }
    }

    /// The newest block that a validator has; zero if it is down.
    pub fn tip(&self, seat: usize) -> u64 {
        self.committee.view(seat).and_then(|view| view.archive.tip()).map_or(0, |tip| tip.height)
    }

    /// Cuts a validator's power.
    pub fn crash(&self, seat: usize, archive: ArchiveFate) {
        self.committee.crash(seat, archive);
    }

    /// Starts a validator again.
    pub fn restart(&self, seat: usize) {
        self.committee.restart(seat);
    }

    /// Changes what lies between validators.
    pub fn set_links(&self, links: Links) {
        self.committee.set_links(links);
    }

    /// Checks what must hold of all blocks: no two validators have different ones, and time never goes back.
    pub fn check(&self) -> Result<(), Broken> {
        let agreed = self.committee.agreed();
        agreed.map_err(|fork| Broken::new("validators agree on every block", fork.to_string()))?;
        let window = self.furthest().map_err(Broken::chain)?;
        let mut checked = self.checked.lock();
        while let Some(header) = window.header_at(checked.height + 1).map_err(Broken::chain)? {
            ensure(header.timestamp_ms >= checked.timestamp_ms, "the chain's time never goes back", || {
                format!("{} ms after {} ms at height {}", header.timestamp_ms, checked.timestamp_ms, header.height)
            })?;
            *checked = header;
        }
        Ok(())
    }

    /// The highest block of any validator that is up.
    pub fn highest(&self) -> u64 {
        (0..SEATS).map(|seat| self.tip(seat)).max().unwrap_or_default()
    }

    fn newest(&self) -> Result<Header, Broken> {
        let window = self.furthest().map_err(Broken::chain)?;
        window.newest().map_err(Broken::chain)
    }

    /// The validator that proposed the newest block.
    pub fn last_leader(&self) -> Result<usize, Broken> {
        let leader = self.newest()?.leader;
        let seat = self.spec.validators.iter().position(|validator| validator.public_key == leader);
        seat.ok_or_else(|| Broken::new("a validator leads", leader.to_string()))
    }

    /// Blocks so far, and attempts at them.
    pub fn progress(&self) -> Result<(u64, u64), Broken> {
        let newest = self.newest()?;
        Ok((newest.height, newest.view))
    }

    /// Milliseconds by which the newest block is ahead of the time of day.
    pub fn off_ms(&self) -> Result<i64, Broken> {
        Ok(self.newest()?.timestamp_ms as i64 - self.now_ms() as i64)
    }

    fn window(&self, seat: usize) -> Option<Window> {
        self.committee.view(seat).map(|view: SeatView| Window::new(view, self.spec.clone()))
    }

    /// The validator that has most blocks.
    fn furthest(&self) -> Result<Window, ChainError> {
        let up = (0..SEATS).filter(|seat| self.committee.view(*seat).is_some());
        let furthest = up.max_by_key(|seat| (self.tip(*seat), SEATS - seat));
        furthest.and_then(|seat| self.window(seat)).ok_or_else(all_down)
    }
}

fn all_down() -> ChainError {
    ChainError::Unreachable { node: "simulated".into(), reason: "no validator is up".into() }
}

impl Ledger for Validators {
    fn supply(&self) -> Result<U256, Broken> {
        let window = self.furthest().map_err(Broken::chain)?;
        self.fees.lock().supply(&window).map_err(Broken::chain)
    }

    fn reader(self: Arc<Self>, index: usize) -> Result<Arc<dyn ChainApi>, Broken> {
        let mut chance = Chance::new(self.seed, &format!("clock {index}"));
        let max = self.skew_ms_max;
        let skew_ms = chance.within(0..2 * max + 1) as i64 - max as i64;
        Ok(Arc::new(Reader::new(self, index, skew_ms)?))
    }
}

/// What the simulation sees: the newest there is, without any weather, and without proofs.
#[async_trait]
impl ChainApi for Validators {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        Ok(self.spec.clone())
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.furthest()?.head()
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        loop {
            let advanced = self.advanced.notified();
            let head = self.head().await?;
            if head.height > height {
                return Ok(head);
            }
            advanced.await;
        }
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.furthest()?.call(to, data).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.furthest()?.estimate_gas(request).await
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        self.furthest()?.logs(filter)
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.furthest()?.account(address)
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        let up = (0..SEATS).find(|seat| self.committee.view(*seat).is_some()).ok_or_else(all_down)?;
        self.send_to(up, raw)
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        self.furthest()?.receipt(hash)
    }

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        self.furthest()?.transaction(hash)
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        self.furthest()?.state(keys)
    }
}

impl Validators {
    /// Hands a transaction to a validator, as its RPC does.
    fn send_to(&self, seat: usize, raw: Bytes) -> Result<B256, ChainError> {
        let transaction = Transaction::decode(raw).map_err(|error| refusal(&error))?;
        let hash = transaction.hash();
        match self.committee.submit(seat, transaction) {
            Some(Ok(hash)) => Ok(hash),
            Some(Err(chain::SubmitError::Pool(mempool::PoolError::AlreadyKnown))) => Ok(hash),
            Some(Err(error)) => Err(refusal(&error)),
            None => Err(all_down()),
        }
    }
}

/// What a node answers to a transaction or call that it does not take.
fn refusal(error: &dyn std::fmt::Display) -> ChainError {
    ChainError::Rpc { code: -32000, message: error.to_string() }
}
