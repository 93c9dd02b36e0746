//! Do anything in any order, and see that no wei appears or is lost.

use super::{
    farm::*,
    lives::{Move, a_move},
};
use crate::fixture::*;
use alloy_primitives::{B256, U256};
use proptest::prelude::*;
use types::{
    abi::{AUDITS, IAudits, IMiners, ITerritories, MINERS, TERRITORIES},
    merkle::Tree,
};

#[derive(Clone, Debug)]
enum Act {
    Blocks(u8),
    Stage(u8),
    Commit { miners: u16, garbage: bool },
    Open { miners: u16 },
    Store { sequence: u8, length: u64 },
    Release { index: u32 },
    Pledge { miner: u32 },
    Retire { miner: u32 },
    Claim { miner: u32 },
    Report { miner: u32 },
    Challenge { stripe: u32, seat: u16 },
    Expire { id: u64 },
    Buy { days: u32 },
    Wait { minutes: u64 },
    Seat(Move),
}

fn act() -> impl Strategy<Value = Act> {
    let miner = || 1..10u32;
    prop_oneof![
        3 => (1..30u8).prop_map(Act::Blocks),
        6 => prop_oneof![Just(REST), Just(COMMIT), Just(OPEN)].prop_map(Act::Stage),
        5 => (any::<u16>(), prop::bool::weighted(0.1)).prop_map(|(miners, garbage)| Act::Commit { miners, garbage }),
        5 => any::<u16>().prop_map(|miners| Act::Open { miners }),
        3 => (any::<u8>(), 1..1_048_576u64).prop_map(|(sequence, length)| Act::Store { sequence, length }),
        2 => (0..6u32).prop_map(|index| Act::Release { index }),
        1 => miner().prop_map(|miner| Act::Pledge { miner }),
        1 => miner().prop_map(|miner| Act::Retire { miner }),
        2 => miner().prop_map(|miner| Act::Claim { miner }),
        2 => miner().prop_map(|miner| Act::Report { miner }),
        2 => (0..4u32, 0..9u16).prop_map(|(stripe, seat)| Act::Challenge { stripe, seat }),
        2 => (1..4u64).prop_map(|id| Act::Expire { id }),
        1 => (1..9u32).prop_map(|days| Act::Buy { days }),
        2 => (0..30u64).prop_map(|minutes| Act::Wait { minutes }),
        9 => a_move().prop_map(Act::Seat),
    ]
}

impl Act {
    /// Does it; whether it is refused does not matter here.
    fn perform(self, farm: &mut Farm) {
        let chosen = |set: u16| (1..=9u32).filter(move |miner| set >> miner & 1 == 1);
        match self {
            Self::Blocks(count) => (0..count).for_each(|_| _ = farm.block()),
            Self::Stage(stage) => {
                farm.until(stage);
            }
            Self::Commit { miners, garbage } => {
                farm.duties = (1..=9).map(|miner| (miner, farm.holder(miner))).collect();
                for miner in chosen(miners) {
                    let root = if garbage { B256::repeat_byte(1) } else { farm.responses(miner).root() };
                    let _ = farm.try_commit(miner, root);
                }
            }
            Self::Open { miners } => {
                if farm.round().stage == OPEN && !farm.duties.is_empty() {
                    farm.duties = (1..=9).map(|miner| (miner, farm.holder(miner))).collect();
                    let wanted: Vec<u32> = chosen(miners).collect();
                    for (number, sample) in farm.samples() {
                        if wanted.contains(&sample.miner) {
                            let opening = farm.opening(&sample);
                            let _ = farm.try_open(number, opening);
                        }
                    }
                }
            }
            Self::Store { sequence, length } => {
                if farm.net.view(types::abi::VOLUMES, &types::abi::IVolumes::openVolumesCall { policy: 0 }).contains(&1)
                    && !farm.net.view(
                        types::abi::VOLUMES,
                        &types::abi::IVolumes::isSequenceUsedCall { territory: 1, sequence: sequence.into() },
                    )
                {
                    farm.store_all(sequence.into(), &[length]);
                }
            }
            Self::Release { index } => {
                let is_there = (index as usize) < farm.net.leaves(1).len();
                if is_there {
                    let stripes = vec![farm.net.release_of(1, index)];
                    let call = types::abi::IVolumes::releaseCall { volume: 1, stripes };
                    let _ = farm.net.try_call(ALICE, types::abi::VOLUMES, &call);
                }
            }
            Self::Pledge { miner } => {
                let operator = farm.operator(miner);
                let due = farm.net.spec.lot_collateral;
                let _ = farm.net.try_pay(operator, MINERS, due, &IMiners::pledgeCall { lots: 1 });
            }
            Self::Retire { miner } => {
                let operator = farm.operator(miner);
                let _ = farm.net.try_call(operator, MINERS, &IMiners::retireCall {});
            }
            Self::Claim { miner } => {
                let operator = farm.operator(miner);
                let _ = farm.net.try_call(operator, AUDITS, &IAudits::claimCall {});
            }
            Self::Report { miner } => drop(farm.net.try_call(BOB, AUDITS, &IAudits::reportCall { miner })),
            Self::Challenge { stripe, seat } => {
                let leaves = farm.net.leaves(1);
                let hashes: Vec<B256> = leaves.iter().map(leaf_hash).collect();
                if let Some(leaf) = leaves.get(stripe as usize) {
                    let path = Tree::new(&hashes).path(stripe as usize).unwrap();
                    let call = IAudits::challengeCall { volume: 1, seat, stripe, leaf: leaf.clone(), path };
                    let fee = farm.net.spec.audits.as_ref().unwrap().challenge_fee;
                    let _ = farm.net.try_pay(MALLORY, AUDITS, fee, &call);
                }
            }
            Self::Expire { id } => drop(farm.net.try_call(BOB, AUDITS, &IAudits::expireCall { challenge: id })),
            Self::Buy { days } => {
                let call = ITerritories::buyCall { size: 1 << 20, daysCount: days };
                let _ = farm.net.try_pay(ALICE, TERRITORIES, U256::from(FUNDS / 1_000), &call);
            }
            Self::Wait { minutes } => farm.net.world.block.timestamp_ms += minutes * 60_000,
            Self::Seat(one) => one.perform(farm),
        }
    }
}

/// What the modules owe is there, and nothing else.
fn check(farm: &mut Farm) {
    let miners = farm.net.view(MINERS, &IMiners::minerCountCall {});
    let mut owed = farm.net.view(AUDITS, &IAudits::reserveCall {});
    let mut collateral = U256::ZERO;
    for miner in 1..=miners {
        let standing = farm.standing(miner);
        owed += standing.vesting + standing.claimable;
        collateral += farm.collateral(miner) + farm.parting(miner);
    }
    let fee = farm.net.spec.audits.as_ref().unwrap().challenge_fee;
    let ended = farm.net.events::<IAudits::ChallengeEnded>().len();
    owed += fee * U256::from(farm.net.events::<IAudits::Challenged>().len() - ended);
    assert_eq!(farm.net.world.balance(AUDITS), owed);
    assert_eq!(farm.net.world.balance(MINERS), collateral);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn no_wei_appears_or_is_lost(acts in prop::collection::vec(act(), 1..30)) {
        let mut farm = Farm::new();
        farm.store_all(1_000, &[1, 700_000]);
        let before = total(&farm.net);
        for act in acts {
            act.perform(&mut farm);
            assert_eq!(total(&farm.net), before);
        }
        check(&mut farm);
    }
}
