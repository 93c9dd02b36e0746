//! Run miners that really hold bytes, against the modules in memory.

use crate::{
    audits::record::{Clock, Storage},
    fixture::*,
    storage::{Layout, Word},
};
use alloy_primitives::{Address, B256, U256};
use proofs::{
    chunk::{CHUNK_BYTES, Hash},
    opening::{self, Target},
    response::{Duty, Owed, Responses, Service, Source, Unit, Witness},
    round::{Place, Round, Shape},
};
use std::{collections::BTreeMap, convert::Infallible};
use types::{
    Profile, StripeLeaf,
    abi::{AUDITS, IAudits, IMiners, IVolumes, MINERS, Stripe, VOLUMES},
    merkle::Tree,
    segment::segment_id,
    spec::{AuditSpec, StorageSpec},
};

pub const REST: u8 = 0;
pub const AWAIT_A: u8 = 1;
pub const COMMIT: u8 = 2;
pub const OPEN: u8 = 4;

pub fn spec() -> StorageSpec {
    // Lots hold other bytes than real units, which a walk would show.
    let audits = AuditSpec { light_divisor: 2, deep_divisor: 4, samples: 24, pledges: None, ..AuditSpec::devnet() };
    StorageSpec { slot_bytes: 256 << 10, lot_slots: 8, open_target: 1, audits: Some(audits), ..StorageSpec::devnet() }
}

/// A network whose miners hold what they say.
#[derive(Clone)]
pub struct Farm {
    pub net: Net,
    /// Fragments by segment.
    pub fragments: BTreeMap<B256, Vec<Vec<u8>>>,
    /// What each miner was owed when the round opened.
    pub duties: BTreeMap<u32, Holder>,
}

/// A miner's view of a round.
#[derive(Clone)]
pub struct Holder {
    pub round: Round,
    pub lots: Vec<u32>,
    duties: Vec<Duty>,
    leaves: Vec<Vec<StripeLeaf>>,
    owed: Vec<Vec<bool>>,
    fragments: BTreeMap<B256, Vec<Vec<u8>>>,
    /// Chunks whose bytes are gone: every byte of the slot reads as this instead.
    pub lost: Option<u8>,
}

pub fn idle_unit(shape: &Shape, lot: u32, unit: u32) -> Vec<u8> {
    let mut bytes = vec![0; shape.unit_bytes() as usize];
    blake3::Hasher::new().update(&lot.to_be_bytes()).update(&unit.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn unit_roots(shape: &Shape, lot: u32) -> Vec<B256> {
    let units = shape.lot_slots / shape.unit_slots;
    (0..units).map(|unit| Hash::Plain.root(&idle_unit(shape, lot, unit))).collect()
}

pub fn shape(spec: &StorageSpec) -> Shape {
    let audits = spec.audits.as_ref().expect("audits are on");
    Shape {
        slot_bytes: spec.slot_bytes,
        lot_slots: spec.lot_slots,
        unit_slots: spec.unit_slots,
        light_divisor: audits.light_divisor,
        deep_divisor: audits.deep_divisor,
    }
}

/// Where beacon A of a round is kept.
pub fn beacon_slot(round: u64) -> U256 {
    types::layout::entry(&round, Storage::at(U256::ZERO).beacons.position())
}

impl Farm {
    /// Nine miners with two lots each, plotted, one volume, a territory and a reserve.
    pub fn new() -> Self {
        Self::with(spec())
    }

    pub fn with(spec: StorageSpec) -> Self {
        Self::sized(spec, 9, 2)
    }

    /// So many miners with so many lots each.
    pub fn sized(spec: StorageSpec, miners: u32, lots: u32) -> Self {
        let mut net = Net::new(spec);
        // The first round opens with the next minute, when all is in place.
        let clock = Clock { opened_ms: START_MS, ..Clock::default() };
        net.world.storage.insert((AUDITS, U256::ZERO), clock.encode());
        net.add_miners(miners, lots);
        let mut farm = Self { net, fragments: BTreeMap::new(), duties: BTreeMap::new() };
        // Its beacon is not read by anything here: the lots hold other bytes than real units.
        farm.net.world.storage.insert((AUDITS, beacon_slot(1)), U256::from(1));
        for miner in 1..=miners {
            farm.plot(miner, (miner - 1) * lots + 1, lots);
        }
        farm.net.form();
        farm.net.territory(1 << 30, 30);
        farm.net.pay(ALICE, AUDITS, U256::from(FUNDS / 100), &IAudits::fundCall {});
        farm
    }

    pub fn operator(&self, miner: u32) -> Address {
        self.net.operators[miner as usize - 1]
    }

    pub fn plot(&mut self, miner: u32, first: u32, count: u32) {
        let shape = shape(&self.net.spec);
        let roots = (first..first + count).map(|lot| Tree::new(&unit_roots(&shape, lot)).root()).collect();
        let operator = self.operator(miner);
        self.net.call(operator, AUDITS, &IAudits::plotCall { firstLot: first, idleRoots: roots });
    }

    /// Commits stripes with real fragments to volume 1.
    pub fn store(&mut self, sequence: u64, lengths: &[u64], seats: &[usize]) {
        self.store_in(1, sequence, lengths, seats);
    }

    pub fn store_in(&mut self, volume: u32, sequence: u64, lengths: &[u64], seats: &[usize]) {
        let profile = Profile::Devnet;
        let mut stripes = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            let bytes = profile.fragment_bytes(*length) as usize;
            let fragments: Vec<Vec<u8>> = (0..8u8)
                .map(|seat| {
                    let mut fragment = vec![0; bytes];
                    let label = [sequence.to_be_bytes().as_slice(), &[index as u8, seat]].concat();
                    blake3::Hasher::new().update(&label).finalize_xof().fill(&mut fragment);
                    fragment
                })
                .collect();
            let roots: Vec<B256> = fragments.iter().map(|fragment| Hash::Plain.root(fragment)).collect();
            let root = Tree::new(&roots).root();
            self.fragments.insert(segment_id(profile, *length, &root), fragments);
            stripes.push(Stripe { fragmentsRoot: root, length: *length });
        }
        let batch = self.net.batch(volume, 1, sequence, stripes, seats);
        self.net.commit(vec![batch]);
    }

    pub fn store_all(&mut self, sequence: u64, lengths: &[u64]) {
        self.store(sequence, lengths, &[0, 1, 2, 3, 4, 5, 6, 7]);
    }

    pub fn release(&mut self, index: u32) {
        let stripes = vec![self.net.release_of(1, index)];
        self.net.call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 1, stripes });
    }

    pub fn round(&mut self) -> IAudits::Round {
        self.net.view(AUDITS, &IAudits::roundCall {})
    }

    pub fn standing(&mut self, miner: u32) -> IAudits::Standing {
        self.net.view(AUDITS, &IAudits::standingCall { miner })
    }

    /// One block of a second, with the beacon that is due; the gas of its hook.
    pub fn block(&mut self) -> u64 {
        let due = self.net.target().filter(|(_, view)| *view <= self.net.world.block.view).map(beacon);
        self.net.block(due).gas_used
    }

    /// Lets blocks pass until a round is at a stage.
    pub fn until(&mut self, stage: u8) -> IAudits::Round {
        for _ in 0..400 {
            self.block();
            let round = self.round();
            if round.stage == stage {
                return round;
            }
        }
        panic!("no round comes to stage {stage}: {:?}", self.round());
    }

    /// Opens the next round and remembers what everybody owes.
    pub fn open_round(&mut self) -> u64 {
        let number = self.until(COMMIT).number;
        let miners = self.net.view(MINERS, &IMiners::minerCountCall {});
        self.duties = (1..=miners).map(|miner| (miner, self.holder(miner))).collect();
        number
    }

    pub fn holder(&mut self, miner: u32) -> Holder {
        let state = self.round();
        let lots = self.standing(miner).lots;
        let round = Round { shape: shape(&self.net.spec), beacon: state.beaconA, miner, lots };
        let lots: Vec<u32> =
            (0..lots).map(|number| self.net.view(AUDITS, &IAudits::lotOfCall { miner, number })).collect();
        let mut holder = Holder {
            round,
            lots: lots.clone(),
            duties: Vec::new(),
            leaves: Vec::new(),
            owed: Vec::new(),
            fragments: self.fragments.clone(),
            lost: None,
        };
        for lot in lots {
            let duty = self.net.view(AUDITS, &IAudits::dutyCall { lot });
            let service = (duty.volume != 0).then_some(Service {
                profile: Profile::Devnet,
                seat: duty.seat,
                column_bytes: duty.columnBytes,
                stripe_count: duty.stripeCount,
                stripes_root: duty.stripesRoot,
                fresh_from: duty.freshFrom,
                gap_from: duty.gapFrom,
                gap_to: duty.gapTo,
            });
            let idle_root = (!duty.idleRoot.is_zero()).then_some(duty.idleRoot);
            let leaves: Vec<StripeLeaf> = self.net.leaves(duty.volume).iter().map(StripeLeaf::from).collect();
            let leaves = leaves[..duty.stripeCount as usize].to_vec();
            let owed = (0..).zip(&leaves).map(|(stripe, leaf)| {
                !service.is_some_and(|service| service.is_absent(leaf))
                    && self.net.view(AUDITS, &IAudits::owesCall { volume: duty.volume, stripe, seat: duty.seat })
            });
            holder.owed.push(owed.collect());
            holder.duties.push(Duty { service, idle_root });
            holder.leaves.push(leaves);
        }
        holder
    }

    pub fn responses(&self, miner: u32) -> Responses {
        let Ok(responses) = Responses::collect(&self.duties[&miner].round, &self.duties[&miner]);
        responses
    }

    pub fn try_commit(&mut self, miner: u32, root: B256) -> crate::Result<()> {
        let round = self.round().number;
        let call = IAudits::commitCall { round, root, lost: Vec::new() };
        let operator = self.operator(miner);
        self.net.try_call(operator, AUDITS, &call).map(|_| ())
    }

    pub fn commit_all(&mut self, miners: impl IntoIterator<Item = u32>) {
        for miner in miners {
            let root = self.responses(miner).root();
            self.try_commit(miner, root).expect("the commitment is taken");
        }
    }

    /// The samples of the round that ask a miner something.
    pub fn samples(&mut self) -> Vec<(u32, IAudits::Sample)> {
        let count = self.round().samples;
        let samples = (0..count).map(|number| (number, self.net.view(AUDITS, &IAudits::sampleCall { number })));
        samples.filter(|(_, sample)| sample.miner != 0).collect()
    }

    pub fn opening(&self, sample: &IAudits::Sample) -> Vec<u8> {
        let responses = self.responses(sample.miner);
        self.opening_with(sample, &responses)
    }

    pub fn opening_with(&self, sample: &IAudits::Sample, responses: &Responses) -> Vec<u8> {
        let holder = &self.duties[&sample.miner];
        let Ok(opening) = opening::open(&holder.round, holder, responses, &target(holder, sample));
        opening.expect("what the source says fits together").encode()
    }

    pub fn try_open(&mut self, number: u32, opening: Vec<u8>) -> crate::Result<()> {
        let round = self.round().number;
        let call = IAudits::openCall { round, sample: number, opening: opening.into() };
        self.net.try_call(BOB, AUDITS, &call).map(|_| ())
    }

    /// Opens all samples of these miners.
    pub fn open_all(&mut self, miners: impl IntoIterator<Item = u32>) {
        let miners: Vec<u32> = miners.into_iter().collect();
        let responses: BTreeMap<u32, Responses> = miners.iter().map(|miner| (*miner, self.responses(*miner))).collect();
        for (number, sample) in self.samples() {
            let Some(responses) = responses.get(&sample.miner) else { continue };
            let opening = self.opening_with(&sample, responses);
            self.try_open(number, opening).unwrap_or_else(|error| panic!("sample {number} {sample:?}: {error:?}"));
        }
    }

    /// A whole round in which these miners do what they owe.
    pub fn play(&mut self, miners: impl IntoIterator<Item = u32> + Clone) {
        self.open_round();
        self.commit_all(miners.clone());
        self.until(OPEN);
        self.open_all(miners);
        self.until(REST);
    }

    /// Blocks until something is so.
    pub fn wait_for(&mut self, is_so: impl Fn(&mut Self) -> bool) {
        for _ in 0..200 {
            if is_so(self) {
                return;
            }
            self.block();
        }
        panic!("it never came to that");
    }

    pub fn seat(&mut self, seat: u16) -> IVolumes::Seat {
        self.net.view(VOLUMES, &IVolumes::seatOfCall { volume: 1, seat })
    }

    /// What a lot owes in this round.
    pub fn duty(&mut self, lot: u32) -> IAudits::Duty {
        self.net.view(AUDITS, &IAudits::dutyCall { lot })
    }

    pub fn parting(&mut self, miner: u32) -> U256 {
        self.net.view(MINERS, &IMiners::standingCall { id: miner }).parting
    }

    pub fn miners(&mut self) -> std::ops::RangeInclusive<u32> {
        1..=self.net.view(MINERS, &IMiners::minerCountCall {})
    }

    pub fn faults(&self) -> Vec<IAudits::Faulted> {
        self.net.events()
    }

    pub fn collateral(&mut self, miner: u32) -> U256 {
        self.net.view(MINERS, &IMiners::minerCall { id: miner }).collateral
    }
}

pub fn target(holder: &Holder, sample: &IAudits::Sample) -> Target {
    let lot = holder.lots.iter().position(|lot| *lot == sample.lot).expect("a lot of this miner") as u32;
    Target { index: sample.entry, place: Place { lot, slot: sample.slot }, chunk: sample.chunk, is_deep: sample.deep }
}

impl Holder {
    fn covering(&self, lot: u32, position: u64) -> (usize, StripeLeaf) {
        let leaves = &self.leaves[lot as usize];
        let found = leaves.iter().position(|leaf| (leaf.offset..leaf.offset + leaf.fragment_bytes).contains(&position));
        let index = found.expect("the log covers the column");
        (index, leaves[index])
    }

    /// Says of every stripe that it is not owed.
    pub fn disown(&mut self) {
        self.owed.iter_mut().flatten().for_each(|owed| *owed = false);
    }

    fn byte_source(&self, lot: u32, position: u64) -> Option<(&[u8], u64)> {
        let service = self.duties[lot as usize].service?;
        let (index, leaf) = self.covering(lot, position);
        let fragment = &self.fragments[&leaf.segment][usize::from(service.seat)];
        self.owed[lot as usize][index].then_some((fragment, position - leaf.offset))
    }
}

impl Source for Holder {
    type Error = Infallible;

    fn duty(&self, lot: u32) -> Duty {
        self.duties[lot as usize]
    }

    fn read(&self, place: Place, offset: u64, bytes: &mut [u8]) -> Result<(), Infallible> {
        if let Some(filler) = self.lost {
            bytes.fill(filler);
            return Ok(());
        }
        let shape = &self.round.shape;
        match self.duty(place.lot).of(shape, place.slot) {
            Owed::Nothing => bytes.fill(0),
            Owed::Idle(_) => {
                let unit = idle_unit(shape, self.lots[place.lot as usize], place.slot / shape.unit_slots);
                let start = (u64::from(place.slot % shape.unit_slots) * shape.slot_bytes + offset) as usize;
                bytes.copy_from_slice(&unit[start..start + bytes.len()]);
            }
            Owed::Service(service) => {
                let start = u64::from(place.slot) * shape.slot_bytes + offset;
                for (piece, position) in bytes.chunks_mut(CHUNK_BYTES).zip((start..).step_by(CHUNK_BYTES)) {
                    piece.fill(0);
                    if position < service.column_bytes
                        && let Some((fragment, from)) = self.byte_source(place.lot, position)
                    {
                        piece.copy_from_slice(&fragment[from as usize..from as usize + piece.len()]);
                    }
                }
            }
        }
        Ok(())
    }

    fn stripe(&self, lot: u32, position: u64) -> Result<Witness, Infallible> {
        let (index, leaf) = self.covering(lot, position);
        let hashes: Vec<B256> = self.leaves[lot as usize].iter().map(StripeLeaf::hash).collect();
        let log_path = Tree::new(&hashes).path(index).expect("the leaf is there");
        let seat = usize::from(self.duties[lot as usize].service.expect("a member").seat);
        let fragment = self.owed[lot as usize][index].then(|| {
            let roots: Vec<B256> = self.fragments[&leaf.segment].iter().map(|f| Hash::Plain.root(f)).collect();
            (roots[seat], Tree::new(&roots).path(seat).expect("a seat"))
        });
        Ok(Witness { index: index as u32, leaf, log_path, fragment })
    }

    fn fragment(&self, lot: u32, leaf: &StripeLeaf) -> Result<Vec<u8>, Infallible> {
        let seat = self.duties[lot as usize].service.expect("a member").seat;
        Ok(self.fragments[&leaf.segment][usize::from(seat)].clone())
    }

    fn unit(&self, lot: u32, unit: u32) -> Result<Unit, Infallible> {
        let shape = &self.round.shape;
        let number = self.lots[lot as usize];
        let bytes = idle_unit(shape, number, unit);
        let slots = bytes.chunks(shape.slot_bytes as usize).zip((0..).step_by(shape.slot_bytes as usize));
        Ok(Unit {
            root: Hash::Plain.root(&bytes),
            path: Tree::new(&unit_roots(shape, number)).path(unit as usize).expect("a unit"),
            slots: slots.map(|(slot, start)| Hash::Plain.chaining_value(start, slot)).collect(),
        })
    }
}

/// All wei there is.
pub fn total(net: &Net) -> U256 {
    net.world.balances.values().fold(U256::ZERO, |sum, balance| sum + *balance)
}
