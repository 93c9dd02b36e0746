use super::farm::*;
use alloy_primitives::U256;
use types::{
    abi::{AUDITS, IAudits, MINERS},
    layout::{
        Query, Words,
        audits::{Round, RoundQuery},
    },
    state::StateKey,
};

#[test]
fn a_round_goes_from_beacon_to_verdicts() {
    let mut farm = Farm::new();
    let before = total(&farm.net);
    farm.store_all(0, &[1, 300_000, 1 << 20, 700_000]);
    farm.store(1, &[150_000], &[0, 1, 2, 3, 4, 5, 6]);
    farm.play(1..=9);
    farm.play(1..=9);
    assert!(farm.faults().is_empty(), "{:?}", farm.faults());
    assert!(farm.net.events::<IAudits::Missed>().is_empty());
    let closed = farm.net.events::<IAudits::RoundClosed>();
    assert_eq!(closed.iter().map(|round| round.round).collect::<Vec<_>>(), [1, 2]);
    assert!(closed.iter().all(|round| round.answered > 0 && round.answered <= round.samples));
    let earned: U256 = (1..=9).map(|miner| farm.standing(miner).vesting).fold(U256::ZERO, |sum, wei| sum + wei);
    assert!(earned > U256::ZERO);
    let reserve = farm.net.view(AUDITS, &IAudits::reserveCall {});
    assert_eq!(farm.net.world.balance(AUDITS), reserve + earned);
    assert_eq!(total(&farm.net), before);
    assert!(farm.net.world.balance(MINERS) > U256::ZERO);
}

/// The round, once by a call and once by the words of its slots.
fn both(farm: &mut Farm) -> (IAudits::Round, Round) {
    let mut words = Words::default();
    for slot in RoundQuery.slots() {
        let word = farm.net.world.storage.get(&(AUDITS, slot)).copied().unwrap_or_default();
        words.insert(StateKey::Slot(AUDITS, slot), word);
    }
    (farm.round(), RoundQuery.read(&words).expect("all slots"))
}

#[test]
fn rounds_are_read_from_their_slots() {
    let mut farm = Farm::new();
    farm.store_all(0, &[300_000]);
    for _ in 0..2 {
        for stage in [COMMIT, OPEN, REST] {
            farm.until(stage);
            let (said, stored) = both(&mut farm);
            assert_eq!((stored.number, stored.stage as u8), (said.number, stage));
            assert_eq!((stored.lots, stored.samples), (said.lots, said.samples));
            assert_eq!((stored.beacon_a, stored.beacon_b), (said.beaconA, said.beaconB));
            assert!(stored.lots > 0 && !stored.beacon_a.is_zero());
        }
    }
}

#[test]
fn what_is_earned_is_paid_after_it_vested() {
    let mut farm = Farm::new();
    farm.store_all(0, &[1 << 20, 1 << 20, 1 << 20]);
    farm.play(1..=9);
    let miner = (1..=9).max_by_key(|miner| farm.standing(*miner).vesting).expect("nine miners");
    let vesting = farm.standing(miner).vesting;
    assert!(vesting > U256::ZERO);
    let operator = farm.operator(miner);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), U256::ZERO);
    farm.net.world.block.timestamp_ms += 2 * 600_000;
    let funds = farm.net.world.balance(operator);
    assert_eq!(farm.standing(miner).claimable, vesting);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), vesting);
    assert_eq!(farm.net.world.balance(operator), funds + vesting);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), U256::ZERO);
}
