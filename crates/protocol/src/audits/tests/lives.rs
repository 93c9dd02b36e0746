//! Let members come and go as they like, and see that who does what it owes is never at fault.

use super::farm::*;
use crate::{fixture::*, volumes::phase};
use alloy_primitives::U256;
use proptest::prelude::*;
use types::abi::{AUDITS, IAudits, IMiners, IVolumes, MINERS, VOLUMES};

/// What somebody does with a seat of volume 1, or with what lies there.
#[derive(Clone, Debug)]
pub enum Move {
    Leave {
        seat: u16,
    },
    HandOver {
        seat: u16,
    },
    Rejoin {
        seat: u16,
    },
    /// In sixteenths of what there is to take over.
    Progress {
        seat: u16,
        part: u64,
    },
    Settle {
        seat: u16,
    },
    Heal {
        seat: u16,
        index: u32,
    },
    Store {
        length: u64,
        skipped: u16,
    },
    Release {
        index: u32,
    },
    Retire {
        miner: u32,
    },
    Withdraw {
        miner: u32,
    },
    ReportSilent {
        lot: u32,
    },
    /// So few that three of them end no stage before its work is done.
    Blocks(u8),
}

pub fn a_move() -> impl Strategy<Value = Move> {
    let seat = || 0..8u16;
    prop_oneof![
        3 => seat().prop_map(|seat| Move::Leave { seat }),
        3 => seat().prop_map(|seat| Move::HandOver { seat }),
        1 => seat().prop_map(|seat| Move::Rejoin { seat }),
        5 => (seat(), 1..17u64).prop_map(|(seat, part)| Move::Progress { seat, part }),
        1 => seat().prop_map(|seat| Move::Settle { seat }),
        3 => (seat(), 0..6u32).prop_map(|(seat, index)| Move::Heal { seat, index }),
        2 => (1..500_000u64, seat()).prop_map(|(length, skipped)| Move::Store { length, skipped }),
        2 => (0..6u32).prop_map(|index| Move::Release { index }),
        1 => (1..13u32).prop_map(|miner| Move::Retire { miner }),
        2 => (1..13u32).prop_map(|miner| Move::Withdraw { miner }),
        1 => (1..25u32).prop_map(|lot| Move::ReportSilent { lot }),
        4 => (1..5u8).prop_map(Move::Blocks),
    ]
}

impl Move {
    /// Does it; whether it is refused does not matter here.
    pub fn perform(self, farm: &mut Farm) {
        let volume = 1;
        match self {
            Self::Leave { seat } => by_holder(farm, seat, &IVolumes::leaveCall { volume, seat }),
            Self::HandOver { seat } => by_holder(farm, seat, &IVolumes::handOverCall { volume, seat }),
            Self::Rejoin { seat } => by_holder(farm, seat, &IVolumes::rejoinCall { volume, seat }),
            Self::Progress { seat, part } => {
                let state = farm.seat(seat);
                let is_handed_over = state.state == phase::HANDING_OVER;
                let newcomer = if is_handed_over { state.successor } else { state.miner };
                let end = if is_handed_over { farm.net.volume(1).columnBytes } else { state.targetBytes };
                let call = IVolumes::progressCall { volume, seat, watermark: end * part / 16 };
                drop(farm.net.try_call(farm.operator(newcomer), VOLUMES, &call));
            }
            Self::Settle { seat } => drop(farm.net.try_call(BOB, VOLUMES, &IVolumes::settleCall { volume, seat })),
            Self::Heal { seat, index } => {
                if (index as usize) < farm.net.leaves(1).len() {
                    let stripes = vec![farm.net.release_of(1, index)];
                    by_holder(farm, seat, &IVolumes::healCall { volume, seat, stripes });
                }
            }
            Self::Store { length, skipped } => {
                let seats: Vec<usize> = (0..8).filter(|seat| *seat != usize::from(skipped)).collect();
                let sequence = 2_000 + farm.net.leaves(1).len() as u64;
                if farm.net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 }).contains(&1) {
                    farm.store(sequence, &[length], &seats);
                }
            }
            Self::Release { index } => {
                if (index as usize) < farm.net.leaves(1).len() {
                    let stripes = vec![farm.net.release_of(1, index)];
                    let call = IVolumes::releaseCall { volume, stripes };
                    drop(farm.net.try_call(ALICE, VOLUMES, &call));
                }
            }
            Self::Retire { miner } => by_miner(farm, miner, &IMiners::retireCall {}),
            Self::Withdraw { miner } => by_miner(farm, miner, &IMiners::withdrawCall {}),
            Self::ReportSilent { lot } => {
                drop(farm.net.try_call(BOB, AUDITS, &IAudits::reportSilentCall { lot }));
            }
            Self::Blocks(count) => (0..count).for_each(|_| _ = farm.block()),
        }
    }
}

fn by_holder<C: alloy_sol_types::SolCall>(farm: &mut Farm, seat: u16, call: &C) {
    let holder = farm.seat(seat).miner;
    drop(farm.net.try_call(farm.operator(holder), VOLUMES, call));
}

fn by_miner<C: alloy_sol_types::SolCall>(farm: &mut Farm, miner: u32, call: &C) {
    if miner as usize <= farm.net.operators.len() {
        drop(farm.net.try_call(farm.operator(miner), MINERS, call));
    }
}

/// Plays a round in which everybody who still has lots answers, with moves at every stage of it.
fn play(farm: &mut Farm, moves: Vec<Move>) {
    let mut moves = moves.into_iter();
    let mut some = |farm: &mut Farm, count: usize| moves.by_ref().take(count).for_each(|one| one.perform(farm));
    some(farm, 2);
    if farm.round().stage == REST {
        farm.open_round();
    } else {
        farm.until(REST);
        farm.open_round();
    }
    some(farm, 3);
    if farm.round().stage == COMMIT {
        for miner in farm.miners() {
            let root = farm.responses(miner).root();
            if farm.standing(miner).lotsLive > 0 {
                farm.try_commit(miner, root).expect("who has lots commits");
            }
        }
    }
    some(farm, 3);
    let stage = farm.round().stage;
    let committed = farm.round().number;
    if stage < OPEN {
        farm.until(OPEN);
    }
    some(farm, 3);
    if farm.round().stage == OPEN && farm.round().number == committed {
        for (number, sample) in farm.samples() {
            if farm.standing(sample.miner).committed == committed {
                let opening = farm.opening(&sample);
                farm.try_open(number, opening).unwrap_or_else(|error| panic!("{number} {sample:?}: {error:?}"));
            }
        }
    }
    farm.until(REST);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn honest_miners_are_never_at_fault_whatever_seats_do(
        rounds in prop::collection::vec(prop::collection::vec(a_move(), 11), 1..5),
    ) {
        let mut farm = Farm::sized(spec(), 12, 2);
        farm.store_all(1_000, &[1, 700_000]);
        farm.store(1_001, &[300_000], &[0, 1, 2, 3, 5, 6]);
        let before = total(&farm.net);
        for moves in rounds {
            play(&mut farm, moves);
            prop_assert!(farm.faults().is_empty(), "{:?}", farm.faults());
        }
        prop_assert_eq!(total(&farm.net), before);
        let held = farm.miners().map(|miner| farm.collateral(miner) + farm.parting(miner)).sum::<U256>();
        prop_assert_eq!(farm.net.world.balance(MINERS), held);
    }
}
