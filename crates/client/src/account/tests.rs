use super::*;
use crate::{
    Keys,
    chain::{AccountState, Head, LogEntry, LogFilter, MemoryChain, Proved},
};
use async_trait::async_trait;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use types::{
    ChainSpec,
    abi::{ITerritories, TERRITORIES},
    spec::StorageSpec,
    state::StateKey,
};

fn chain() -> Arc<MemoryChain> {
    let accounts = [Keys::devnet(0).address()];
    Arc::new(MemoryChain::funding(StorageSpec::devnet(), accounts, Duration::from_millis(1)))
}

fn sender(chain: &Arc<impl ChainApi>, account: u32) -> Sender {
    Sender::new(chain.clone(), Keys::devnet(account).signer)
}

fn buy() -> (U256, ITerritories::buyCall) {
    (U256::from(1_000_000_000_000u64), ITerritories::buyCall { size: 1 << 20, daysCount: 1 })
}

#[tokio::test]
async fn many_transactions_at_once_take_their_turns() {
    let chain = chain();
    let one = sender(&chain, 0);
    let (value, call) = buy();
    let results = futures::future::join_all((0..20).map(|_| one.call(TERRITORIES, value, &call))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(chain.account(one.address()).await.expect("answers").nonce, 20);
}

#[tokio::test]
async fn two_programs_with_one_key_get_through() {
    let chain = chain();
    let (one, other) = (sender(&chain, 0), sender(&chain, 0));
    let (value, call) = buy();
    for _ in 0..5 {
        let (a, b) = tokio::join!(one.call(TERRITORIES, value, &call), other.call(TERRITORIES, value, &call));
        assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn says_in_words_why_a_call_fails_before_it_is_sent() {
    let chain = chain();
    let one = sender(&chain, 0);
    let call = ITerritories::extendCall { territory: 9, daysCount: 1 };
    let error = one.call(TERRITORIES, U256::ZERO, &call).await.expect_err("there is no such territory");
    assert!(error.is_revert::<ITerritories::UnknownTerritory>());
    assert_eq!(error.to_string(), "territory 9 does not exist: list yours with `cess territory list`");
    assert_eq!(chain.account(one.address()).await.expect("answers").nonce, 0, "nothing was sent");
}

#[tokio::test]
async fn an_account_without_money_is_told_so() {
    let chain = chain();
    let poor = sender(&chain, 1);
    let error = poor.send(Address::ZERO, U256::from(5), Bytes::new()).await.expect_err("no money");
    assert!(matches!(error, SendError::Funds { .. }), "{error}");
}

/// A chain of which the pool loses what it is given, some times, and answers get lost after that.
struct Forgetful {
    chain: Arc<MemoryChain>,
    losses: AtomicUsize,
    silences: AtomicUsize,
}

impl Forgetful {
    fn new(chain: Arc<MemoryChain>, losses: usize, silences: usize) -> Arc<Self> {
        Arc::new(Self { chain, losses: AtomicUsize::new(losses), silences: AtomicUsize::new(silences) })
    }
}

fn count_down(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn silence() -> ChainError {
    ChainError::Unreachable { node: "test".into(), reason: "silent".into() }
}

#[async_trait]
impl ChainApi for Forgetful {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.chain.spec().await
    }
    async fn head(&self) -> Result<Head, ChainError> {
        self.chain.head().await
    }
    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        self.chain.wait_above(height).await
    }
    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.chain.call(to, data).await
    }
    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.chain.estimate_gas(request).await
    }
    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        self.chain.logs(filter).await
    }
    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.chain.account(address).await
    }
    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        if count_down(&self.losses) {
            return Ok(alloy_primitives::keccak256(&raw));
        }
        let sent = self.chain.send_raw(raw).await;
        if count_down(&self.silences) { Err(silence()) } else { sent }
    }
    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        if count_down(&self.silences) {
            return Err(silence());
        }
        self.chain.receipt(hash).await
    }
    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        self.chain.state(keys).await
    }
}

#[tokio::test]
async fn what_the_pool_lost_is_sent_again() {
    let chain = Forgetful::new(chain(), 3, 0);
    let (value, call) = buy();
    sender(&chain, 0).call(TERRITORIES, value, &call).await.expect("gets in");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_not_done_twice() {
    let memory = chain();
    let silent = Forgetful::new(memory.clone(), 0, 4);
    let one = sender(&silent, 0);
    let (value, call) = buy();
    let before = memory.account(one.address()).await.expect("a chain");
    one.call(TERRITORIES, value, &call).await.expect("gets in");
    let after = memory.account(one.address()).await.expect("a chain");
    assert_eq!((after.nonce, after.pending_nonce), (before.nonce + 1, before.nonce + 1));
    assert_eq!(silent.silences.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn who_can_reach_nobody_is_told_what_was_sent() {
    let silent = Forgetful::new(chain(), 0, usize::MAX);
    let (value, call) = buy();
    let error = sender(&silent, 0).call(TERRITORIES, value, &call).await.expect_err("nobody answers");
    assert!(matches!(error, SendError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn what_never_gets_in_is_given_up() {
    let chain = Forgetful::new(chain(), usize::MAX, 0);
    let (value, call) = buy();
    let error = sender(&chain, 0).call(TERRITORIES, value, &call).await.expect_err("it is lost each time");
    assert!(matches!(error, SendError::NotIncluded { .. }), "{error}");
}

#[tokio::test]
async fn another_transaction_with_the_nonce_is_noticed() {
    let memory = chain();
    let chain = Forgetful::new(memory.clone(), 1, 0);
    let (value, call) = buy();
    let one = sender(&chain, 0);
    let other = sender(&memory, 0);
    let lost = one.call(TERRITORIES, value, &call);
    let taken = async {
        // Once the first is lost, another program takes its nonce.
        while chain.losses.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        other.send(Address::ZERO, U256::from(1), Bytes::new()).await
    };
    let (lost, taken) = tokio::join!(lost, taken);
    assert!(taken.is_ok());
    assert!(matches!(lost, Err(SendError::Replaced { .. })), "{lost:?}");
    one.call(TERRITORIES, value, &call).await.expect("the next nonce is right again");
}

#[test]
fn every_revert_has_words() {
    assert_eq!(explain(&[]), "the call reverted without a reason");
    assert!(explain(&[1, 2, 3, 4]).contains("0x01020304"));
    let text = "08c379a0\
        0000000000000000000000000000000000000000000000000000000000000020\
        0000000000000000000000000000000000000000000000000000000000000003\
        6e6f700000000000000000000000000000000000000000000000000000000000";
    assert!(explain(&alloy_primitives::hex::decode(text).expect("hex")).contains("nop"));
}
