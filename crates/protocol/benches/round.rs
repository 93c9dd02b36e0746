//! Run audit rounds over synthetic miners by the real state machine: what blocks cost.
//!
//! - *absent*, *withholding*: the dearest block of a round in which nobody commits, or everybody commits and nobody opens;
//! - *answering*: a round in which every miner commits and every sample is opened, by calls as miners send them.
//!
//! Each miner has one free lot. So that a million of them are quickly there, slots are written as `docs/spec/audits.md` and
//! `miners.md` lay them out; and since nobody keeps the bytes of 64 PiB, the commitment of a miner is replaced by the
//! true one when a sample has hit it.

#![allow(clippy::print_stdout)]

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use proofs::{
    chunk::Hash,
    opening::{self, Target},
    response::{self, Duty, Responses, Source, Unit, Witness},
    round::{Place, Round, Shape},
};
use protocol::{
    SYSTEM, beacon_target_slot, begin_block_input, decode_beacon_target,
    memory::{Modules, Request, World},
    modules,
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};
use types::{
    Beacon, StripeLeaf,
    abi::{AUDITS, IAudits, MINERS},
    merkle::Tree,
    spec::{AuditSpec, StorageSpec},
    state::StateKey,
};

/// Stages of a round.
const COMMIT: u8 = 2;
const OPEN: u8 = 4;
const SETTLE: u8 = 5;
/// What a block's hook may use.
const HOOK_GAS: u64 = 30_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Absent,
    Withholding,
}

fn entry(mapping: U256, key: u32) -> U256 {
    keccak256([U256::from(key).to_be_bytes::<32>(), mapping.to_be_bytes::<32>()].concat()).into()
}

/// Where a miner's record lies in `Audits`.
fn audited(miner: u32) -> U256 {
    entry(U256::from(10), miner)
}

/// Values of 32-bit lanes, the first in the low-order bits.
fn lanes(values: &[u64]) -> U256 {
    values.iter().enumerate().fold(U256::ZERO, |word, (lane, value)| word | U256::from(*value) << (32 * lane))
}

fn operator(miner: u32) -> Address {
    Address::from_word(keccak256(miner.to_be_bytes()))
}

/// A network and the rules that it runs by.
struct Net {
    spec: StorageSpec,
    modules: Modules,
    world: World,
}

impl Net {
    fn new(spec: StorageSpec) -> Self {
        let modules = modules(&spec);
        let mut world = World::default();
        (world.block.height, world.block.view, world.block.timestamp_ms) = (1, 1, 1_700_000_000_000);
        Self { spec, modules, world }
    }

    /// Miners with a lot each, all of whose idle content has this root.
    fn synthetic(spec: StorageSpec, miners: u32, idle_root: U256, habit: Option<Habit>) -> Self {
        let mut net = Self::new(spec);
        net.world.balances.insert(MINERS, net.spec.lot_collateral * U256::from(miners));
        let count = u64::from(miners);
        let mut slots = vec![
            (AUDITS, U256::from(5), lanes(&[count, count])),
            (MINERS, U256::ZERO, U256::from(miners)),
            (MINERS, U256::from(1), U256::from(miners)),
        ];
        for miner in 1..=miners {
            let record = audited(miner);
            slots.push((AUDITS, record, lanes(&[1, 1, 1])));
            if habit == Some(Habit::Withholding) {
                slots.push((AUDITS, record + U256::from(1), U256::from(1) | U256::from(1) << 64));
            }
            slots.push((AUDITS, entry(record + U256::from(8), 0), lanes(&[0, miner.into()])));
            slots.push((AUDITS, entry(U256::from(11), miner), idle_root));
            let known = entry(U256::from(2), miner);
            slots.push((MINERS, known, U256::from_be_slice(operator(miner).as_slice())));
            slots.push((MINERS, known + U256::from(1), lanes(&[1, 1])));
            slots.push((MINERS, known + U256::from(2), net.spec.lot_collateral));
            slots.push((MINERS, entry(U256::from(3), miner), U256::from(miner)));
            if habit.is_none() {
                let by_operator =
                    keccak256([operator(miner).into_word().0, U256::from(4).to_be_bytes::<32>()].concat());
                slots.push((MINERS, by_operator.into(), U256::from(miner)));
            }
        }
        net.world.storage = slots.into_iter().map(|(address, slot, value)| ((address, slot), value)).collect();
        net
    }

    fn slot(&self, key: StateKey) -> U256 {
        let StateKey::Slot(address, slot) = key else { return U256::ZERO };
        self.world.storage.get(&(address, slot)).copied().unwrap_or_default()
    }

    fn beacon(&self) -> Option<Beacon> {
        let (epoch, view) = decode_beacon_target(self.slot(beacon_target_slot()))?;
        let seed: B256 = keccak256(view.to_be_bytes());
        (view <= self.world.block.view).then(|| Beacon { epoch, view, seed: seed.to_vec().into() })
    }

    fn clock(&self) -> (u64, u8, u64) {
        let clock = self.slot(StateKey::Slot(AUDITS, U256::ZERO));
        let word = |shift: usize| (clock >> shift) & U256::from(u64::MAX);
        (word(0).to(), (clock >> 64usize).byte(0), word(72).to())
    }

    /// One block; gas and time of its hook.
    fn block(&mut self) -> (u64, Duration) {
        let beacon = self.beacon();
        self.world.block.height += 1;
        self.world.block.view += 1;
        self.world.block.timestamp_ms += 1_000;
        let (to, input) = begin_block_input(beacon.as_ref());
        let request = Request { from: SYSTEM, to, value: U256::ZERO, is_static: false, gas: HOOK_GAS };
        let start = Instant::now();
        let response = self.world.call(&self.modules, &request, &input);
        response.result.expect("the hook never reverts");
        (response.gas_used, start.elapsed())
    }

    /// Blocks until a stage; gas and time of the dearest.
    fn until(&mut self, stage: u8) -> (u64, Duration) {
        let mut dearest = (0, Duration::ZERO);
        while self.clock().1 != stage {
            let (gas, time) = self.block();
            dearest = (dearest.0.max(gas), dearest.1.max(time));
        }
        dearest
    }

    fn pass_deadline(&mut self) {
        self.world.block.timestamp_ms = self.clock().2;
    }

    /// Runs one round to its end; gas and time of its dearest block.
    fn dearest(&mut self) -> (u64, Duration) {
        let mut dearest = (0, Duration::ZERO);
        let mut settling = false;
        loop {
            let (gas, time) = self.block();
            dearest = (dearest.0.max(gas), dearest.1.max(time));
            let stage = self.clock().1;
            settling |= stage == SETTLE;
            if settling && stage == 0 {
                return dearest;
            }
            if [COMMIT, OPEN].contains(&stage) {
                self.pass_deadline();
            }
        }
    }

    fn send<C: SolCall>(&mut self, from: Address, to: Address, value: U256, call: &C) -> (C::Return, Cost) {
        let input = call.abi_encode();
        let request = Request { from, to, value, is_static: false, gas: HOOK_GAS };
        let start = Instant::now();
        let response = self.world.call(&self.modules, &request, &input);
        let cost = Cost { time: start.elapsed(), gas: response.gas_used, bytes: input.len() as u64, calls: 1 };
        let output = response.result.unwrap_or_else(|error| panic!("{}: {error:?}", C::SIGNATURE));
        (C::abi_decode_returns(&output).expect("modules answer by their interface"), cost)
    }
}

/// What calls of a kind cost together.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    calls: u64,
    bytes: u64,
    gas: u64,
    time: Duration,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.bytes += other.bytes;
        self.gas += other.gas;
        self.time += other.time;
    }

    fn print(&self, name: &str, round: Duration) {
        let Self { calls, bytes, gas, time } = *self;
        let each = calls.max(1);
        println!(
            "{name}: {calls} calls, each {} B, {} gas, {:.1} µs; in a round of an hour {:.1} KB/s, {:.2} % of a core",
            bytes / each,
            gas / each,
            time.as_secs_f64() * 1e6 / each as f64,
            bytes as f64 / round.as_secs_f64() / 1e3,
            time.as_secs_f64() / round.as_secs_f64() * 100.0
        );
    }
}

/// A miner whose idle units are all the same.
struct Hoard {
    slot: Vec<u8>,
    unit: Unit,
    duty: Duty,
}

impl Hoard {
    fn new(shape: &Shape) -> Self {
        let mut slot = vec![0; shape.slot_bytes as usize];
        blake3::Hasher::new().update(b"slot").finalize_xof().fill(&mut slot);
        let offsets = (0..shape.unit_slots).map(|number| u64::from(number) * shape.slot_bytes);
        let slots: Vec<B256> = offsets.map(|offset| Hash::Plain.chaining_value(offset, &slot)).collect();
        let root = Hash::Plain.root(&slot.repeat(shape.unit_slots as usize));
        let tree = Tree::new(&vec![root; (shape.lot_slots / shape.unit_slots) as usize]);
        // All leaves are the same, so their paths are.
        let unit = Unit { root, path: tree.path(0).expect("there are units"), slots };
        Self { slot, unit, duty: Duty { service: None, idle_root: Some(tree.root()) } }
    }
}

impl Source for Hoard {
    type Error = Infallible;

    fn duty(&self, _: u32) -> Duty {
        self.duty
    }

    fn read(&self, _: Place, offset: u64, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.slot[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn stripe(&self, _: u32, _: u64) -> Result<Witness, Infallible> {
        unreachable!("it is in no volume")
    }

    fn fragment(&self, _: u32, _: &StripeLeaf) -> Result<Vec<u8>, Infallible> {
        unreachable!("it is in no volume")
    }

    fn unit(&self, _: u32, _: u32) -> Result<Unit, Infallible> {
        Ok(self.unit.clone())
    }
}

/// Sizes of a public network.
fn public() -> StorageSpec {
    StorageSpec {
        slot_bytes: 2 << 20,
        lot_slots: 32_768,
        unit_slots: 32,
        lot_collateral: U256::from(10).pow(U256::from(24)),
        // Roots are believed here: nobody shows walks of units that nobody has.
        audits: Some(AuditSpec { pledges: None, ..AuditSpec::main() }),
        ..StorageSpec::devnet()
    }
}

fn answering(miners: u32) {
    let spec = public();
    let shape = Shape::of(&spec, &AuditSpec::main());
    let hoard = Hoard::new(&shape);
    let root = U256::from_be_bytes(hoard.duty.idle_root.expect("it has units").0);
    let mut net = Net::synthetic(spec, miners, root, None);
    let mut hooks = net.until(COMMIT);
    let (number, ..) = net.clock();
    let mut commits = Cost::default();
    for miner in 1..=miners {
        let call = IAudits::commitCall { round: number, root: keccak256(miner.to_be_bytes()), lost: Vec::new() };
        commits.add(net.send(operator(miner), AUDITS, U256::ZERO, &call).1);
    }
    net.pass_deadline();
    let later = net.until(OPEN);
    hooks = (hooks.0.max(later.0), hooks.1.max(later.1));

    let state = net.send(operator(1), AUDITS, U256::ZERO, &IAudits::roundCall {}).0;
    let mut hit: BTreeMap<u32, Vec<(u32, IAudits::Sample)>> = BTreeMap::new();
    for sample in 0..state.samples {
        let asked = net.send(operator(1), AUDITS, U256::ZERO, &IAudits::sampleCall { number: sample }).0;
        hit.entry(asked.miner).or_default().push((sample, asked));
    }
    let mut opens = Cost::default();
    for (miner, samples) in hit {
        let round = Round { shape, beacon: state.beaconA, miner, lots: 1 };
        let mut values = vec![B256::ZERO; round.entries() as usize];
        for (_, sample) in &samples {
            let entry = round.entry(sample.entry).expect("the chain asks for entries");
            let Ok(value) = response::respond(&round, &hoard, entry);
            values[sample.entry as usize] = value;
        }
        let responses = Responses::of(&values);
        let commitment = (AUDITS, audited(miner) + U256::from(2));
        net.world.storage.insert(commitment, U256::from_be_bytes(responses.root().0));
        for (number, sample) in samples {
            let place = Place { lot: 0, slot: sample.slot };
            let target = Target { index: sample.entry, place, chunk: sample.chunk, is_deep: sample.deep };
            let Ok(opening) = opening::open(&round, &hoard, &responses, &target);
            let opening: Bytes = opening.expect("it has what it owes").encode().into();
            let call = IAudits::openCall { round: state.number, sample: number, opening };
            opens.add(net.send(operator(miner), AUDITS, U256::ZERO, &call).1);
        }
    }
    net.pass_deadline();
    let later = net.until(0);
    hooks = (hooks.0.max(later.0), hooks.1.max(later.1));
    let hour = Duration::from_millis(AuditSpec::main().round_ms);
    println!("protocol::round/miners={miners} answering: dearest hook {} gas, {:?}", hooks.0, hooks.1);
    commits.print("  commitments", hour);
    opens.print("  openings", hour);
}

fn main() {
    let audits = AuditSpec { samples: 1_280, pledges: None, ..AuditSpec::main() };
    let spec = StorageSpec { audits: Some(audits), ..StorageSpec::devnet() };
    for habit in [Habit::Absent, Habit::Withholding] {
        for miners in [10_000, 100_000, 1_000_000] {
            let mut net = Net::synthetic(spec.clone(), miners, U256::from(7), Some(habit));
            let (gas, time) = net.dearest();
            println!("protocol::round/miners={miners} {habit:?}: dearest hook {gas} gas, {time:?}");
        }
    }
    for miners in [10_000, 100_000, 1_000_000] {
        answering(miners);
    }
}
