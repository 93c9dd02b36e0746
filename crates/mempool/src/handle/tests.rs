use super::*;
use crate::fixture::{FLOOR, account, address, config, transfer};

#[test]
fn announces_what_enters_and_nothing_else() {
    let pool = Mempool::new(config(), FLOOR);
    let mut announced = pool.subscribe();
    let first = transfer(0, 0, 2_000, 10);
    pool.add(first.clone(), account(0), 0).expect("enters");
    assert_eq!(pool.add(first.clone(), account(0), 0), Err(PoolError::AlreadyKnown));
    assert_eq!(announced.try_recv().map(|announced| announced.hash()).ok(), Some(first.hash()));
    assert!(announced.try_recv().is_err());
}

#[test]
fn clones_share_one_pool() {
    let pool = Mempool::new(config(), FLOOR);
    let added = transfer(0, 0, 2_000, 10);
    pool.clone().add(added.clone(), account(0), 0).expect("enters");
    assert_eq!(pool.get(&added.hash()).map(|found| found.hash()), Some(added.hash()));
    assert_eq!(pool.pending_nonce(address(0)), Some(1));
}

#[test]
fn a_block_arriving_during_an_iteration_opens_no_gap_in_it() {
    let pool = Mempool::new(config(), FLOOR);
    for nonce in 0..200 {
        pool.add(transfer(0, nonce, 2_000, 10), account(0), 0).expect("enters");
    }
    let mut best = pool.best(FLOOR);
    let first: Vec<u64> = best.by_ref().take(10).map(|offered| offered.nonce()).collect();
    pool.on_block(&[], &[(address(0), account(150))], FLOOR, 0);
    let offered: Vec<u64> = first.into_iter().chain(best.map(|offered| offered.nonce())).collect();
    assert!(offered.iter().copied().eq(0..offered.len() as u64), "{offered:?}");
}
