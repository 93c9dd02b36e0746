//! Ask validators as the program does: one after the other until one answers, and believe what the committee signed.

use super::{SEATS, STEP, Validators, all_down, window::Window};
use crate::Broken;
use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use client::chain::{
    AccountState, CallRequest, ChainApi, ChainError, Distrust, Head, LogEntry, LogFilter, Proved, TransactionReceipt,
    Trust,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use types::{ChainSpec, state::StateKey};

/// Longest wait for a certificate of a validator's newest block.
const CERTIFICATE_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for a proof of what the validator spoke of before.
const BEHIND_WAIT: Duration = Duration::from_millis(400);

/// One miner's or client's way to the validators.
pub struct Reader {
    chain: Arc<Validators>,
    trust: Trust,
    /// The validator that answered last.
    current: AtomicUsize,
    /// The greatest height that it spoke of: its proofs have to be as new.
    told_height: AtomicU64,
}

impl Reader {
    /// The way of somebody whose clock is so far off, and who asks the validator of this number first.
    pub fn new(chain: Arc<Validators>, first: usize, skew_ms: i64) -> Result<Self, Broken> {
        let began = chain.began;
        let now_ms = move || (super::GENESIS_MS + began.elapsed().as_millis() as u64).saturating_add_signed(skew_ms);
        let trust = Trust::with_clock(chain.spec.clone(), now_ms);
        let trust = trust.map_err(|error| Broken::new("a specification has a committee's key", error.to_string()))?;
        let (current, told_height) = (AtomicUsize::new(first % SEATS), AtomicU64::new(0));
        Ok(Self { chain, trust, current, told_height })
    }

    fn seat(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Goes on to the next validator.
    fn leave(&self, seat: usize) {
        self.current.store((seat + 1) % SEATS, Ordering::Relaxed);
        // Another one may know less.
        self.told_height.store(0, Ordering::Relaxed);
    }

    /// The first validator that answers.
    fn window(&self) -> Result<Window, ChainError> {
        for _ in 0..SEATS {
            let seat = self.seat();
            match self.chain.window(seat) {
                Some(window) => return Ok(window),
                None => self.leave(seat),
            }
        }
        Err(all_down())
    }

    fn tell(&self, height: u64) {
        self.told_height.fetch_max(height, Ordering::Relaxed);
    }

    /// What one validator proves; an error if another may do better.
    async fn proved_by(&self, seat: usize, keys: &[StateKey], since_height: u64) -> Result<Proved, ChainError> {
        let unverified = |reason: String| ChainError::Unverified { node: format!("validator {seat}"), reason };
        let began = Instant::now();
        loop {
            let proof =
                self.chain.committee.prove(seat, keys.to_vec()).map_err(|error| unverified(error.to_string()))?;
            let wait = match proof {
                Some(proof) => match self.trust.check(keys, &proof, since_height) {
                    Ok(proved) => return Ok(proved),
                    Err(Distrust::Behind { .. }) if began.elapsed() < BEHIND_WAIT => STEP,
                    Err(error) => return Err(unverified(error.to_string())),
                },
                None if self.chain.committee.view(seat).is_some() && began.elapsed() < CERTIFICATE_WAIT => STEP,
                None => return Err(unverified("no certificate, or nobody there".into())),
            };
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl ChainApi for Reader {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        Ok(self.trust.spec().clone())
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let head = self.window()?.head()?;
        self.tell(head.height);
        Ok(head)
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        loop {
            let advanced = self.chain.advanced.notified();
            let head = self.head().await?;
            if head.height > height {
                return Ok(head);
            }
            advanced.await;
        }
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.window()?.call(to, data).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.window()?.estimate_gas(request).await
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        self.window()?.logs(filter)
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.window()?.account(address)
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        // Finds one that answers.
        self.window()?;
        self.chain.send_to(self.seat(), raw)
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        let receipt = self.window()?.receipt(hash)?;
        receipt.iter().for_each(|receipt| self.tell(receipt.height));
        Ok(receipt)
    }

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        self.window()?.transaction(hash)
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        let mut answer = Err(all_down());
        for _ in 0..SEATS {
            self.window()?;
            let seat = self.seat();
            // What is seen from now on may be newer than the answer.
            let since_height = self.trust.height().max(self.told_height.load(Ordering::Relaxed));
            answer = self.proved_by(seat, keys, since_height).await;
            match &answer {
                Err(error) if error.is_of_node() => self.leave(seat),
                _ => return answer,
            }
        }
        answer
    }
}
