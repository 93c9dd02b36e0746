//! Time the dearest block of an audit round over synthetic miners, by the real state machine.
//!
//! Each miner has one lot; nobody commits, or everybody commits and nobody opens. Slots are written as `docs/spec/audits.md`
//! and `miners.md` lay them out.

#![allow(clippy::print_stdout)]

use alloy_primitives::{Address, B256, U256, keccak256};
use protocol::{
    SYSTEM, beacon_target_slot, begin_block_input, decode_beacon_target,
    memory::{Modules, Request, World},
    modules,
};
use std::time::{Duration, Instant};
use types::{
    Beacon,
    abi::{AUDITS, MINERS},
    spec::{AuditSpec, StorageSpec},
    state::StateKey,
};

fn entry(mapping: U256, key: u32) -> U256 {
    keccak256([U256::from(key).to_be_bytes::<32>(), mapping.to_be_bytes::<32>()].concat()).into()
}

/// Values of 32-bit lanes, the first in the low-order bits.
fn lanes(values: &[u64]) -> U256 {
    values.iter().enumerate().fold(U256::ZERO, |word, (lane, value)| word | U256::from(*value) << (32 * lane))
}

fn world(spec: &StorageSpec, miners: u32, withholding: bool) -> World {
    let mut world = World::default();
    (world.block.height, world.block.view, world.block.timestamp_ms) = (1, 1, 1_700_000_000_000);
    world.balances.insert(MINERS, spec.lot_collateral * U256::from(miners));
    let count = u64::from(miners);
    let mut slots = vec![
        (AUDITS, U256::from(5), lanes(&[count, count])),
        (MINERS, U256::ZERO, U256::from(miners)),
        (MINERS, U256::from(1), U256::from(miners)),
    ];
    for miner in 1..=miners {
        let record = entry(U256::from(10), miner);
        slots.push((AUDITS, record, lanes(&[1, 1, 1])));
        if withholding {
            slots.push((AUDITS, record + U256::from(1), U256::from(1) | U256::from(1) << 64));
        }
        slots.push((AUDITS, entry(record + U256::from(8), 0), lanes(&[0, miner.into()])));
        slots.push((AUDITS, entry(U256::from(11), miner), U256::from(7)));
        let known = entry(U256::from(2), miner);
        let operator = Address::from_word(keccak256(miner.to_be_bytes()));
        slots.push((MINERS, known, U256::from_be_slice(operator.as_slice())));
        slots.push((MINERS, known + U256::from(1), lanes(&[1, 1])));
        slots.push((MINERS, known + U256::from(2), spec.lot_collateral));
        slots.push((MINERS, entry(U256::from(3), miner), U256::from(miner)));
    }
    world.storage = slots.into_iter().map(|(address, slot, value)| ((address, slot), value)).collect();
    world
}

fn slot(world: &World, key: StateKey) -> U256 {
    let StateKey::Slot(address, slot) = key else { return U256::ZERO };
    world.storage.get(&(address, slot)).copied().unwrap_or_default()
}

fn beacon(world: &World) -> Option<Beacon> {
    let (epoch, view) = decode_beacon_target(slot(world, beacon_target_slot()))?;
    let seed: B256 = keccak256(view.to_be_bytes());
    (view <= world.block.view).then(|| Beacon { epoch, view, seed: seed.to_vec().into() })
}

/// Runs one round; gas and time of its dearest block.
fn dearest(modules: &Modules, world: &mut World) -> (u64, Duration) {
    let (mut gas, mut time, mut settling) = (0, Duration::ZERO, false);
    loop {
        let beacon = beacon(world);
        world.block.height += 1;
        world.block.view += 1;
        world.block.timestamp_ms += 1_000;
        let (to, input) = begin_block_input(beacon.as_ref());
        let request = Request { from: SYSTEM, to, value: U256::ZERO, is_static: false, gas: 30_000_000 };
        let start = Instant::now();
        let response = world.call(modules, &request, &input);
        time = time.max(start.elapsed());
        gas = gas.max(response.gas_used);
        let clock = slot(world, StateKey::Slot(AUDITS, U256::ZERO));
        let stage = (clock >> 64usize).byte(0);
        settling |= stage == 5;
        if settling && stage == 0 {
            return (gas, time);
        }
        if [2, 4].contains(&stage) {
            let deadline: U256 = (clock >> 72usize) & U256::from(u64::MAX);
            world.block.timestamp_ms = deadline.to();
        }
    }
}

fn main() {
    let audits = AuditSpec { samples: 1_280, ..AuditSpec::main() };
    let spec = StorageSpec { audits: Some(audits), ..StorageSpec::devnet() };
    let modules = modules(&spec);
    for withholding in [false, true] {
        for miners in [10_000, 100_000, 1_000_000] {
            let mut world = world(&spec, miners, withholding);
            let (gas, time) = dearest(&modules, &mut world);
            println!("protocol::round/miners={miners} withholding={withholding}: {gas} gas, {time:?}");
        }
    }
}
