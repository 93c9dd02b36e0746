use super::*;
use crate::{miners::tree::tests::run, storage::Layout};
use alloy_primitives::U256;

fn pool() -> Pool {
    Pool::at(U256::ZERO)
}

#[test]
fn the_queue_of_those_who_wait_is_bounded() {
    run(|ledger| {
        assert!(pool().freeze(ledger)?);
        assert!(!pool().freeze(ledger)?, "one draw at a time");
        for miner in 0..WAITING_MAX {
            let tally = Tally { free: 3, weight: 3, ..Tally::default() };
            assert_eq!(pool().offer(ledger, miner, &tally, 5)?, 3);
            let waits = Tally { free: 5, weight: 3, ..Tally::default() };
            assert_eq!(pool().offer(ledger, miner, &waits, 6)?, 3, "waits once");
        }
        let late = pool().offer(ledger, 99, &Tally::default(), 1);
        assert!(late.unwrap_err().is(&IMiners::DrawPending {}));
        assert_eq!(pool().next_waiting(ledger)?, None, "nobody comes in while frozen");
        pool().thaw(ledger)?;
        assert!(!pool().freeze(ledger)?, "first those who wait");
        for miner in 0..WAITING_MAX {
            assert_eq!(pool().next_waiting(ledger)?, Some(miner));
        }
        assert_eq!(pool().next_waiting(ledger)?, None);
        assert!(pool().freeze(ledger)?);
        Ok(())
    });
}
