use super::*;
use crate::{
    Module,
    memory::{Modules, Request, World},
    storage::Layout,
};
use alloy_primitives::{Address, Bytes};
use proptest::prelude::*;
use std::sync::Mutex;

const PLACE: Address = Address::repeat_byte(0xce);

struct Script<F>(Mutex<F>);

impl<F: FnMut(&mut dyn Ledger) -> Result<()> + Send> Module for Script<F> {
    fn call(&self, ledger: &mut dyn Ledger, _: &[u8]) -> Result<Bytes> {
        (self.0.lock().unwrap())(ledger).map(|()| Bytes::new())
    }
}

pub fn run(script: impl FnMut(&mut dyn Ledger) -> Result<()> + Send + 'static) {
    let modules = Modules::from([(PLACE, Box::new(Script(Mutex::new(script))) as Box<dyn Module>)]);
    let request = Request { from: PLACE, to: PLACE, value: U256::ZERO, is_static: false, gas: u64::MAX };
    World::default().call(&modules, &request, &[]).result.expect("the script runs");
}

fn tree() -> Tree {
    Tree::at(U256::ZERO)
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
                    tree().append(ledger, weights.len() as u32)?;
                } else {
                    let index = usize::from(*number) % weights.len();
                    let miner = index as u32 + 1;
                    tree().set_weight(ledger, weights.len() as u32, miner, weights[index], *weight)?;
                    weights[index] = *weight;
                }
            }
            let holders = (1..).zip(&weights).flat_map(|(miner, weight)| vec![miner; *weight as usize]);
            for (ticket, holder) in (0..).zip(holders) {
                assert_eq!(tree().holder(ledger, weights.len() as u32, ticket)?, holder);
            }
            let sums = tree().sums.get(ledger)?;
            assert_eq!(sums.weight, weights.iter().map(|weight| u64::from(*weight)).sum::<u64>());
            assert_eq!(sums.squares, weights.iter().map(|weight| u128::from(weight * weight)).sum::<u128>());
            assert_eq!(sums.operators as usize, weights.iter().filter(|weight| **weight > 0).count());
            Ok(())
        });
    }
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
