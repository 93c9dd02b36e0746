//! Run the real state machine over a network of a million miners.

use crate::{
    audits::record::{Census, Clock, Roll, Run, Standing, Storage, Target},
    fixture::*,
    storage::{Layout, Word},
};
use alloy_primitives::{Address, U256, keccak256};
use types::{
    abi::{AUDITS, IAudits, MINERS},
    spec::{AuditSpec, StorageSpec},
};

/// The slot of a mapping's entry.
fn entry(mapping: U256, key: u32) -> U256 {
    keccak256([U256::from(key).to_be_bytes::<32>(), mapping.to_be_bytes::<32>()].concat()).into()
}

/// What the miners of a synthetic network do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// They say nothing.
    Absent,
    /// They commit and open nothing: the most that settling can cost.
    Withholding,
}

/// A network of miners with a lot each, none of which ever opens anything.
fn synthetic(miners: u32, samples: u32, habit: Habit) -> Net {
    // Its lots name roots that stand for nothing.
    let audits = AuditSpec { samples, pledges: None, ..AuditSpec::main() };
    let mut net = Net::new(StorageSpec { audits: Some(audits), ..StorageSpec::devnet() });
    let storage = Storage::at(U256::ZERO);
    let collateral = net.spec.lot_collateral;
    net.world.balances.insert(MINERS, collateral * U256::from(miners));
    let mut slots = vec![
        (AUDITS, storage.census.position(), Census { lots: miners, live: miners }.encode()),
        (AUDITS, storage.clock.position(), Clock::default().encode()),
        (AUDITS, storage.target.position(), Target::default().encode()),
        // Miners: count of miners and of lots.
        (MINERS, U256::ZERO, U256::from(miners)),
        (MINERS, U256::from(1), U256::from(miners)),
    ];
    for miner in 1..=miners {
        let record = entry(storage.miners.position(), miner);
        let roll = Roll { lots: 1, live: 1, runs: 1, ..Roll::default() };
        slots.push((AUDITS, record, roll.encode()));
        if habit == Habit::Withholding {
            let standing = Standing { booked: 1, committed: 1, ..Standing::default() };
            slots.push((AUDITS, record + U256::from(1), standing.encode()));
        }
        slots.push((AUDITS, entry(record + U256::from(8), 0), Run { start: 0, lot: miner, round: 0 }.encode()));
        let known = entry(U256::from(2), miner);
        let operator = Address::from_word(keccak256(miner.to_be_bytes()));
        slots.push((MINERS, known, U256::from_be_slice(operator.as_slice())));
        // `Tally { lots, free, .. }`: one lot, free.
        slots.push((MINERS, known + U256::from(1), U256::from(1) | U256::from(1) << 32));
        slots.push((MINERS, known + U256::from(2), collateral));
        slots.push((MINERS, entry(U256::from(3), miner), U256::from(miner)));
        // A plot, or nothing would be asked.
        slots.push((AUDITS, entry(storage.plots.position(), miner), U256::from(7)));
    }
    net.world.storage = slots.into_iter().map(|(address, slot, value)| ((address, slot), value)).collect();
    net
}

/// Gas of the dearest block of a round, and the number of blocks.
fn dearest(net: &mut Net) -> (u64, u32) {
    let (mut gas, mut blocks) = (0, 0);
    let mut settling = false;
    for _ in 0..20_000 {
        let due = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        let response = net.block(due);
        gas = gas.max(response.gas_used);
        blocks += 1;
        let slot = Storage::at(U256::ZERO).clock.position();
        let clock = Clock::decode(net.world.storage.get(&(AUDITS, slot)).copied().unwrap_or_default());
        settling |= clock.stage == 5;
        if settling && clock.stage == 0 {
            return (gas, blocks);
        }
        // Nothing happens before a deadline.
        if [2, 4].contains(&clock.stage) {
            net.world.block.timestamp_ms = clock.deadline_ms;
        }
    }
    panic!("the round does not close");
}

/// The cost of a block does not grow with the network.
#[test]
fn a_block_costs_the_same_at_ten_thousand_and_a_million_miners_slow() {
    let samples = 1_280;
    for habit in [Habit::Absent, Habit::Withholding] {
        let costs = [10_000, 100_000, 1_000_000].map(|miners| {
            let mut net = synthetic(miners, samples, habit);
            let (gas, blocks) = dearest(&mut net);
            let (missed, faulted) = (net.events::<IAudits::Missed>().len(), net.events::<IAudits::Faulted>().len());
            match habit {
                Habit::Absent => assert!(missed > samples as usize * 9 / 10 && faulted == 0, "{missed} {faulted}"),
                Habit::Withholding => assert_eq!((missed, faulted), (0, samples as usize)),
            }
            // 64 judged samples a block: 20 blocks, and a few for the stages.
            assert!(blocks < 40, "{blocks} blocks");
            gas
        });
        let [small, _, large] = costs;
        assert!(large <= small + small / 20 && large < 20_000_000, "{costs:?}");
    }
}
