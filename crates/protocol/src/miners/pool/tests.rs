use super::*;
use crate::{
    Module,
    memory::{Modules, Request, World},
    storage::Layout,
};
use alloy_primitives::{Address, Bytes};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

const PLACE: Address = Address::repeat_byte(0xce);

struct Script<F>(Mutex<F>);

impl<F: FnMut(&mut dyn Ledger) -> Result<()> + Send> Module for Script<F> {
    fn call(&self, ledger: &mut dyn Ledger, _: &[u8]) -> Result<Bytes> {
        (self.0.lock().unwrap())(ledger).map(|()| Bytes::new())
    }
}

fn run(script: impl FnMut(&mut dyn Ledger) -> Result<()> + Send + 'static) {
    let modules = Modules::from([(PLACE, Box::new(Script(Mutex::new(script))) as Box<dyn Module>)]);
    let request = Request { from: PLACE, to: PLACE, value: U256::ZERO, is_static: false, gas: u64::MAX };
    World::default().call(&modules, &request, &[]).result.expect("the script runs");
}

fn pool() -> Pool {
    Pool::at(U256::ZERO)
}

/// A pool with these weights.
fn fill(ledger: &mut dyn Ledger, weights: &[u32]) -> Result<u32> {
    let size = weights.len() as u32;
    for miner in 1..=size {
        pool().append(ledger, miner)?;
    }
    for (miner, weight) in (1..).zip(weights) {
        pool().set_weight(ledger, size, miner, 0, *weight)?;
    }
    Ok(size)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Miners come and weights change in any order; every ticket finds the miner that a plain scan finds.
    #[test]
    fn finds_the_holder_of_every_ticket(operations in prop::collection::vec((any::<bool>(), any::<u16>(), 0u32..7), 1..80)) {
        run(move |ledger| {
            let mut weights: Vec<u32> = Vec::new();
            for (comes, number, weight) in &operations {
                if *comes || weights.is_empty() {
                    weights.push(0);
                    pool().append(ledger, weights.len() as u32)?;
                } else {
                    let index = usize::from(*number) % weights.len();
                    let miner = index as u32 + 1;
                    pool().set_weight(ledger, weights.len() as u32, miner, weights[index], *weight)?;
                    weights[index] = *weight;
                }
            }
            let holders = (1..).zip(&weights).flat_map(|(miner, weight)| vec![miner; *weight as usize]);
            for (ticket, holder) in (0..).zip(holders) {
                assert_eq!(pool().holder(ledger, weights.len() as u32, ticket)?, holder);
            }
            let sums = pool().sums.get(ledger)?;
            assert_eq!(sums.weight, weights.iter().map(|weight| u64::from(*weight)).sum::<u64>());
            assert_eq!(sums.squares, weights.iter().map(|weight| u128::from(weight * weight)).sum::<u128>());
            assert_eq!(sums.operators as usize, weights.iter().filter(|weight| **weight > 0).count());
            Ok(())
        });
    }
}

#[test]
fn draws_distinct_miners_in_proportion_to_their_lots() {
    run(|ledger| {
        let size = fill(ledger, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9])?;
        let (rounds, mut firsts) = (600u32, [0u32; 13]);
        for round in 0..rounds {
            let Some(drawn) = pool().draw(ledger, size, 4, 0, &round.to_be_bytes())? else { continue };
            let mut distinct = drawn.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 4);
            firsts[drawn[0] as usize] += 1;
        }
        // Miner 12 has 9 of 20 lots: 270 expected, with a standard deviation of 12.
        assert!((210..330).contains(&firsts[12]), "{firsts:?}");
        assert!(firsts[1..12].iter().all(|count| (5..70).contains(count)), "{firsts:?}");
        Ok(())
    });
}

#[test]
fn the_policy_changes_the_draw() {
    run(|ledger| {
        let size = fill(ledger, &[5; 40])?;
        let public = pool().draw(ledger, size, 8, 0, b"seed")?;
        assert_eq!(public, pool().draw(ledger, size, 8, 0, b"seed")?);
        assert_ne!(public, pool().draw(ledger, size, 8, 1, b"seed")?);
        Ok(())
    });
}

#[test]
fn gives_up_when_the_tries_do_not_suffice() {
    run(|ledger| {
        let size = fill(ledger, &[u32::MAX, 1, 1])?;
        assert_eq!(pool().draw(ledger, size, 3, 0, b"seed")?, None);
        let empty = fill(ledger, &[])?;
        assert_eq!(Pool::at(U256::from(99)).draw(ledger, empty, 3, 0, b"seed")?, None);
        Ok(())
    });
}

#[test]
fn needs_enough_effective_operators() {
    let sums =
        |weights: &[u32]| weights.iter().try_fold(Sums::default(), |sums, weight| sums.changed(0, *weight)).unwrap();
    assert!(sums(&[4; 8]).can_seat(8, 1).unwrap());
    assert!(!sums(&[4; 7]).can_seat(8, 1).unwrap());
    // (Σc)² / Σc² = 39² / 193 = 7.9: eight operators, but one counts for too much.
    assert!(!sums(&[5, 5, 5, 5, 5, 5, 5, 4]).can_seat(8, 1).unwrap());
    assert!(sums(&[5, 5, 5, 5, 5, 5, 5, 4, 4]).can_seat(8, 1).unwrap());
    assert!(!sums(&[4; 31]).can_seat(8, 4).unwrap());
    assert!(sums(&[4; 32]).can_seat(8, 4).unwrap());
    assert!(!Sums::default().can_seat(8, 0).unwrap());
    assert!(sums(&[u32::MAX; 8]).can_seat(8, 1).unwrap());
}

#[test]
fn the_queue_of_those_who_wait_is_bounded() {
    run(|ledger| {
        fill(ledger, &[1; 8])?;
        assert!(pool().freeze(ledger, 8, 1)?);
        assert!(!pool().freeze(ledger, 8, 1)?, "one draw at a time");
        for miner in 0..WAITING_MAX {
            let tally = Tally { free: 3, weight: 3, ..Tally::default() };
            assert_eq!(pool().offer(ledger, 8, miner, &tally, 5)?, 3);
            let waits = Tally { free: 5, weight: 3, ..Tally::default() };
            assert_eq!(pool().offer(ledger, 8, miner, &waits, 6)?, 3, "waits once");
        }
        let late = pool().offer(ledger, 8, 99, &Tally::default(), 1);
        assert!(late.unwrap_err().is(&IMiners::DrawPending {}));
        assert_eq!(pool().next_waiting(ledger)?, None, "nobody comes in while frozen");
        pool().thaw(ledger)?;
        assert!(!pool().freeze(ledger, 8, 1)?, "first those who wait");
        for miner in 0..WAITING_MAX {
            assert_eq!(pool().next_waiting(ledger)?, Some(miner));
        }
        assert_eq!(pool().next_waiting(ledger)?, None);
        assert!(pool().freeze(ledger, 8, 1)?);
        Ok(())
    });
}

/// A draw and the tickets that its first tries have.
pub struct Draw {
    pub tickets: Vec<u64>,
    pub miners: Vec<u32>,
}

impl Draw {
    /// Draws from a pool with these weights.
    pub fn of(weights: &[u32], seats: u16, policy: u32, seed: &[u8]) -> Self {
        let (weights, seed) = (weights.to_vec(), seed.to_vec());
        let draw = Arc::new(Mutex::new(Self { tickets: Vec::new(), miners: Vec::new() }));
        let out = draw.clone();
        run(move |ledger| {
            let size = fill(ledger, &weights)?;
            let sum = pool().sums.get(ledger)?.weight;
            let mut out = out.lock().unwrap();
            for attempt in 0..8 {
                out.tickets.extend(ticket(ledger, &seed, policy, attempt, sum)?);
            }
            out.miners = pool().draw(ledger, size, seats, policy, &seed)?.expect("the tries suffice");
            Ok(())
        });
        let mut draw = draw.lock().unwrap();
        Self { tickets: std::mem::take(&mut draw.tickets), miners: std::mem::take(&mut draw.miners) }
    }
}
