use super::*;
use crate::{
    best::Walk,
    fixture::{FLOOR, account, address, config, sign, transfer, unsigned},
};
use alloy_primitives::U256;
use proptest::prelude::*;

fn pool() -> Pool {
    Pool::new(config(), FLOOR)
}

fn add(pool: &mut Pool, sender: u8, nonce: u64, max_fee: u128, priority_fee: u128) -> Result<Added, PoolError> {
    pool.add(transfer(sender, nonce, max_fee, priority_fee), &account(0), 0)
}

fn best(pool: &mut Pool, base_fee: u64) -> Vec<Arc<Transaction>> {
    pool.set_base_fee(base_fee);
    let mut walk = Walk::new(base_fee);
    std::iter::from_fn(|| walk.next(pool)).collect()
}

/// Sender number and nonce of everything offered.
fn offered(pool: &mut Pool, base_fee: u64) -> Vec<(u8, u64)> {
    let number = |sender| (0..16).find(|number| address(*number) == sender).expect("a sender of the tests");
    best(pool, base_fee).iter().map(|offered| (number(offered.sender()), offered.nonce())).collect()
}

#[test]
fn offers_the_best_tip_first_and_each_sender_by_nonce() {
    let mut pool = pool();
    add(&mut pool, 0, 0, 9_000, 10).expect("enters");
    add(&mut pool, 0, 1, 9_000, 90).expect("enters");
    add(&mut pool, 1, 0, 9_000, 50).expect("enters");
    add(&mut pool, 1, 1, 9_000, 5).expect("enters");
    assert_eq!(offered(&mut pool, FLOOR), [(1, 0), (0, 0), (0, 1), (1, 1)]);
}

#[test]
fn a_gap_holds_back_what_is_above_it_until_it_is_filled() {
    let mut pool = pool();
    assert_eq!(add(&mut pool, 0, 1, 9_000, 10).expect("enters").placement, Placement::Gapped);
    assert_eq!(offered(&mut pool, FLOOR), []);
    assert_eq!(pool.pending_nonce(address(0)), Some(0));
    assert_eq!(add(&mut pool, 0, 0, 9_000, 10).expect("enters").placement, Placement::Executable);
    assert_eq!(offered(&mut pool, FLOOR), [(0, 0), (0, 1)]);
    assert_eq!(pool.pending_nonce(address(0)), Some(2));
}

#[test]
fn what_cannot_pay_the_base_fee_stays_and_waits() {
    let mut pool = pool();
    add(&mut pool, 0, 0, 2_000, 10).expect("enters");
    add(&mut pool, 0, 1, 9_000, 10).expect("enters");
    add(&mut pool, 1, 0, 5_000, 10).expect("enters");
    assert_eq!(offered(&mut pool, 4_000), [(1, 0)]);
    assert_eq!(offered(&mut pool, 2_000), [(1, 0), (0, 0), (0, 1)]);
}

#[test]
fn a_replacement_pays_a_tenth_more_on_both_fees() {
    let mut pool = pool();
    let first = add(&mut pool, 0, 0, 2_001, 11).expect("enters");
    for (max_fee, priority_fee) in [(2_201, 13), (2_202, 12), (2_001, 12)] {
        let refused = add(&mut pool, 0, 0, max_fee, priority_fee);
        assert!(matches!(refused, Err(PoolError::ReplacementUnderpriced { .. })), "{refused:?}");
    }
    let second = add(&mut pool, 0, 0, 2_202, 13).expect("replaces");
    assert_eq!(second.replaced, Some(first.hash));
    assert!(pool.get(&first.hash).is_none());
    assert_eq!(pool.contents().len(), 1);
    assert_eq!(pool.status().executable_count, 1);
}

#[test]
fn refuses_what_the_sender_cannot_pay_together() {
    let mut pool = pool();
    let price = U256::from(100_000 * 2_000 + 1);
    let rich_enough_for_two = Account { balance: price * U256::from(2), ..Account::default() };
    pool.add(transfer(0, 0, 2_000, 10), &rich_enough_for_two, 0).expect("enters");
    pool.add(transfer(0, 1, 2_000, 10), &rich_enough_for_two, 0).expect("enters");
    let refused = pool.add(transfer(0, 2, 2_000, 10), &rich_enough_for_two, 0);
    let balance = price * U256::from(2);
    assert_eq!(refused, Err(PoolError::InsufficientFunds { balance, cost: price, queued: balance }));
}

#[test]
fn refuses_a_nonce_of_the_past() {
    let refused = pool().add(transfer(0, 4, 2_000, 10), &account(5), 0);
    assert_eq!(refused, Err(PoolError::NonceTooLow { transaction: 4, account: 5 }));
}

#[test]
fn a_block_removes_what_it_included_and_what_it_made_stale() {
    let mut pool = pool();
    let included = transfer(0, 0, 2_000, 10);
    pool.add(included.clone(), &account(0), 0).expect("enters");
    add(&mut pool, 0, 1, 2_000, 10).expect("enters");
    add(&mut pool, 1, 0, 2_000, 10).expect("enters");
    add(&mut pool, 1, 1, 2_000, 9).expect("enters");
    pool.on_block(&[included], &[(address(0), account(1)), (address(1), account(1))], FLOOR, 0);
    assert_eq!(offered(&mut pool, FLOOR), [(0, 1), (1, 1)]);
}

#[test]
fn a_caller_that_read_the_account_before_the_last_block_does_no_harm() {
    let mut pool = pool();
    pool.on_block(&[], &[(address(0), account(7))], FLOOR, 0);
    assert_eq!(add(&mut pool, 0, 6, 2_000, 10), Err(PoolError::NonceTooLow { transaction: 6, account: 7 }));
    assert_eq!(add(&mut pool, 0, 7, 2_000, 10).expect("enters").placement, Placement::Executable);
}

#[test]
fn a_sender_that_became_poor_loses_what_it_cannot_pay() {
    let mut pool = pool();
    add(&mut pool, 0, 0, 2_000, 10).expect("enters");
    add(&mut pool, 0, 1, 9_000, 10).expect("enters");
    add(&mut pool, 0, 2, 2_000, 10).expect("enters");
    let poor = Account { balance: U256::from(100_000 * 2_000 + 1), ..Account::default() };
    pool.on_block(&[], &[(address(0), poor)], FLOOR, 0);
    assert_eq!(offered(&mut pool, FLOOR), [(0, 0)]);
    assert_eq!(pool.status().gapped_count, 1);
}

#[test]
fn removing_a_transaction_makes_its_successors_wait() {
    let mut pool = pool();
    let added = add(&mut pool, 0, 0, 2_000, 10).expect("enters");
    add(&mut pool, 0, 1, 2_000, 10).expect("enters");
    pool.remove(&[added.hash, B256::ZERO]);
    assert_eq!(offered(&mut pool, FLOOR), []);
    assert_eq!(pool.status(), PoolStatus { executable_count: 0, gapped_count: 1, ..pool.status() });
}

#[test]
fn one_sender_has_bounded_room() {
    let limits = MempoolConfig { executable_per_sender_max: 2, gapped_per_sender_max: 1, ..config() };
    let mut pool = Pool::new(limits, FLOOR);
    add(&mut pool, 0, 0, 2_000, 10).expect("enters");
    add(&mut pool, 0, 5, 2_000, 10).expect("enters");
    let gapped = add(&mut pool, 0, 6, 2_000, 10);
    assert_eq!(gapped, Err(PoolError::TooManyGapped { transaction: 6, account: 1, limit: 1 }));
    add(&mut pool, 0, 1, 2_000, 10).expect("enters");
    assert_eq!(add(&mut pool, 0, 2, 2_000, 10), Err(PoolError::SenderLimit { limit: 2 }));
    add(&mut pool, 0, 1, 4_000, 20).expect("a replacement needs no room");
}

#[test]
fn a_full_pool_gives_up_the_lowest_tip_from_the_highest_nonce_down() {
    let mut pool = Pool::new(MempoolConfig { transactions_max: 3, ..config() }, FLOOR);
    add(&mut pool, 0, 0, 9_000, 1).expect("enters");
    add(&mut pool, 0, 1, 9_000, 30).expect("enters");
    add(&mut pool, 1, 0, 9_000, 20).expect("enters");
    assert_eq!(add(&mut pool, 2, 0, 9_000, 20), Err(PoolError::Full), "the earlier of two equal tips stays");
    add(&mut pool, 2, 0, 9_000, 25).expect("pays more than the lowest");
    assert_eq!(offered(&mut pool, FLOOR), [(2, 0), (0, 0), (0, 1)]);
}

#[test]
fn waiting_transactions_give_way_to_executable_ones() {
    let mut pool = Pool::new(MempoolConfig { transactions_max: 1, ..config() }, FLOOR);
    add(&mut pool, 0, 5, 9_000, 1_000).expect("enters");
    add(&mut pool, 1, 0, 2_000, 0).expect("displaces a gapped one");
    assert_eq!(add(&mut pool, 2, 5, 9_000, 1_000), Err(PoolError::Full));
    assert_eq!(offered(&mut pool, FLOOR), [(1, 0)]);
}

#[test]
fn a_large_newcomer_that_must_leave_again_displaces_nobody() {
    let small = transfer(0, 0, 9_000, 10);
    let bytes_max = 3 * small.raw().len() + 10;
    let mut pool = Pool::new(MempoolConfig { bytes_max, ..config() }, FLOOR);
    pool.add(small, &account(0), 0).expect("enters");
    add(&mut pool, 1, 0, 9_000, 30).expect("enters");
    add(&mut pool, 2, 0, 9_000, 30).expect("enters");
    let input = vec![0; 250].into();
    let large = sign(3, alloy_consensus::TxEip1559 { input, ..unsigned(0, 9_000, 20) });
    assert_eq!(pool.add(large, &account(0), 0), Err(PoolError::Full));
    assert_eq!(offered(&mut pool, FLOOR), [(1, 0), (2, 0), (0, 0)]);
}

#[test]
fn what_waits_too_long_expires() {
    let mut pool = pool();
    add(&mut pool, 0, 0, 2_000, 10).expect("enters");
    let expiry_ms = config().expiry_ms;
    pool.add(transfer(1, 0, 2_000, 10), &account(0), 5).expect("enters");
    pool.on_block(&[], &[], FLOOR, expiry_ms - 1);
    assert_eq!(pool.contents().len(), 2);
    pool.on_block(&[], &[], FLOOR, expiry_ms);
    assert_eq!(offered(&mut pool, FLOOR), [(1, 0)]);
}

/// Something that happens to a pool.
#[derive(Clone, Debug)]
enum Event {
    Add { sender: u8, nonce: u64, max_fee: u128, priority_fee: u128 },
    Block { taken: usize, base_fee: u64 },
    Poor { sender: u8, balance: u64 },
    Remove { position: usize },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let fees = (FLOOR as u128..4_000, 0u128..3_000);
    let add = (0u8..5, 0u64..14, fees).prop_map(|(sender, nonce, (max_fee, tip))| Event::Add {
        sender,
        nonce,
        max_fee,
        priority_fee: tip.min(max_fee),
    });
    let block = (0usize..5, FLOOR..4_500).prop_map(|(taken, base_fee)| Event::Block { taken, base_fee });
    let poor = (0u8..5, 0u64..400_000_000).prop_map(|(sender, balance)| Event::Poor { sender, balance });
    let remove = (0usize..16).prop_map(|position| Event::Remove { position });
    proptest::collection::vec(prop_oneof![12 => add, 2 => block, 1 => poor, 1 => remove], 1..60)
}

/// The chain beside the pool: accounts as blocks leave them.
struct Model {
    pool: Pool,
    accounts: HashMap<u8, Account>,
    base_fee: u64,
}

impl Model {
    fn new() -> Self {
        let limits = MempoolConfig {
            transactions_max: 12,
            bytes_max: 1_400,
            executable_per_sender_max: 5,
            gapped_per_sender_max: 3,
            ..config()
        };
        let accounts = (0..5).map(|sender| (sender, account(0))).collect();
        Self { pool: Pool::new(limits, FLOOR), accounts, base_fee: FLOOR }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Add { sender, nonce, max_fee, priority_fee } => {
                let account = self.accounts[&sender];
                let added = self.pool.add(transfer(sender, nonce, max_fee, priority_fee), &account, 0);
                if let Ok(added) = added {
                    assert!(self.pool.get(&added.hash).is_some(), "what was taken is there");
                }
            }
            Event::Block { taken, base_fee } => self.block(taken, base_fee),
            Event::Poor { sender, balance } => {
                let account = Account { balance: U256::from(balance), ..self.accounts[&sender] };
                self.accounts.insert(sender, account);
                self.pool.on_block(&[], &[(address(sender), account)], self.base_fee, 0);
            }
            Event::Remove { position } => {
                let hash = self.pool.contents().get(position).map(|found| found.hash());
                self.pool.remove(hash.as_slice());
            }
        }
    }

    fn block(&mut self, taken: usize, base_fee: u64) {
        let included: Vec<_> = best(&mut self.pool, self.base_fee).into_iter().take(taken).collect();
        for transaction in &included {
            let account = self.accounts.iter_mut().find(|(sender, _)| address(**sender) == transaction.sender());
            account.expect("a sender of the tests").1.nonce += 1;
        }
        let changed: Vec<_> = self.accounts.iter().map(|(sender, account)| (address(*sender), *account)).collect();
        self.base_fee = base_fee;
        self.pool.on_block(&included, &changed, base_fee, 0);
    }

    fn check(&mut self) {
        self.check_limits();
        self.check_indexes();
        for base_fee in [self.base_fee, FLOOR, 2_500] {
            self.check_offer(base_fee);
        }
        self.pool.set_base_fee(self.base_fee);
    }

    fn check_limits(&self) {
        let contents = self.pool.contents();
        assert!(contents.len() <= self.pool.config.transactions_max);
        assert!(contents.iter().map(|found| found.raw().len()).sum::<usize>() <= self.pool.config.bytes_max);
        for (address, sender) in &self.pool.senders {
            assert!(sender.executable_count() <= self.pool.config.executable_per_sender_max);
            assert!(sender.gapped_count() <= self.pool.config.gapped_per_sender_max);
            let number = self.accounts.keys().find(|number| self::address(**number) == *address).expect("known");
            assert_eq!(sender.nonce(), self.accounts[number].nonce, "no stale nonce");
        }
    }

    fn check_indexes(&self) {
        let contents = self.pool.contents();
        let status = self.pool.status();
        assert_eq!(status.executable_count + status.gapped_count, contents.len());
        assert_eq!(contents.len(), self.pool.by_hash.len());
        assert_eq!(status.size_bytes, contents.iter().map(|found| found.raw().len()).sum::<usize>());
        for sender in self.pool.senders.values() {
            assert!(!sender.is_empty());
            let nonces = sender.nonce()..;
            let costs = nonces.take(20).filter_map(|nonce| sender.get(nonce)).map(|entry| entry.cost_max);
            assert_eq!(costs.fold(U256::ZERO, |sum, cost| sum + cost), sender.cost_max());
        }
    }

    /// Compares the offer with one made by looking at everything.
    fn check_offer(&mut self, base_fee: u64) {
        let offered: Vec<B256> = best(&mut self.pool, base_fee).iter().map(|offered| offered.hash()).collect();
        let mut next: HashMap<Address, u64> =
            self.pool.senders.iter().map(|(address, sender)| (*address, sender.nonce())).collect();
        let mut expected = Vec::new();
        loop {
            let candidates = next.iter().filter_map(|(address, nonce)| self.pool.senders[address].get(*nonce));
            let paying = candidates.filter(|entry| entry.rank.max_fee >= u128::from(base_fee));
            let Some(entry) = paying.max_by_key(|entry| entry.rank.score(base_fee)) else { break };
            expected.push(entry.transaction.hash());
            *next.get_mut(&entry.transaction.sender()).expect("a sender") += 1;
        }
        assert_eq!(offered, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_rules(events in events()) {
        let mut model = Model::new();
        for event in events {
            model.apply(event);
            model.check();
        }
    }
}

/// A call in the audit lane.
fn lane(sender: u8, nonce: u64, commits: bool) -> Arc<Transaction> {
    use alloy_sol_types::SolCall;
    use types::abi::{AUDITS, IAudits};
    let selector = if commits { IAudits::commitCall::SELECTOR } else { IAudits::openCall::SELECTOR };
    let (to, input, value) = (alloy_primitives::TxKind::Call(AUDITS), selector.into(), U256::ZERO);
    sign(sender, alloy_consensus::TxEip1559 { to, input, value, ..unsigned(nonce, 0, 0) })
}

fn with_lane(transactions_max: usize) -> Pool {
    Pool::new(MempoolConfig { lane_transactions_max: transactions_max, lane_per_sender_max: 2, ..config() }, FLOOR)
}

#[test]
fn the_audit_lane_comes_first_and_commitments_first_in_it() {
    let mut pool = with_lane(10);
    add(&mut pool, 0, 0, 9_000, 90).expect("enters");
    for (sender, nonce, commits) in [(1, 0, false), (2, 0, true), (2, 1, false), (3, 0, true)] {
        // They need no funds.
        pool.add(lane(sender, nonce, commits), &Account::default(), 0).expect("enters");
    }
    add(&mut pool, 1, 1, 9_000, 95).expect("enters");
    assert_eq!(offered(&mut pool, FLOOR), [(2, 0), (3, 0), (1, 0), (2, 1), (1, 1), (0, 0)]);
}

#[test]
fn the_audit_lane_has_limits_of_its_own() {
    let mut pool = with_lane(3);
    for nonce in 0..2 {
        pool.add(lane(1, nonce, true), &Account::default(), 0).expect("enters");
    }
    let full = |count, of_sender| Err(PoolError::LaneFull { count, of_sender });
    assert_eq!(pool.add(lane(1, 2, true), &Account::default(), 0), full(2, 2));
    let again = pool.add(lane(1, 1, false), &Account::default(), 0);
    assert!(matches!(again, Err(PoolError::ReplacementUnderpriced { .. })), "{again:?}");
    let again = pool.add(lane(1, 1, false), &Account::default(), LANE_PATIENCE_MS).expect("the first one failed");
    assert_eq!(again.replaced, Some(lane(1, 1, true).hash()));
    pool.add(lane(2, 0, true), &Account::default(), 0).expect("enters");
    assert_eq!(pool.add(lane(3, 0, true), &Account::default(), 0), full(3, 0));
    add(&mut pool, 3, 0, 9_000, 10).expect("whoever pays enters");
    let first = pool.contents()[0].hash();
    pool.remove(&[first]);
    pool.add(lane(4, 0, true), &Account::default(), 0).expect("there is room again");
    let mut none = self::pool();
    let refused = none.add(lane(1, 0, true), &Account::default(), 0);
    assert!(matches!(refused, Err(PoolError::BelowBaseFeeFloor { .. })), "{refused:?}");
}
