//! Set up a small network in memory for tests.

use crate::{
    Error, Result, SYSTEM, beacon_target_slot, begin_block_input, decode_beacon_target,
    memory::{Modules, Request, Response, World},
    modules,
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use types::{
    Beacon, Endpoint, Profile, ReceiptKey, ReceiptSignature, StripeLeaf,
    abi::{self, Batch, IMiners, ITerritories, IVolumes, Leaf, Release, RootUpdate, Stripe},
    merkle::Tree,
    receipt::{Receipt, batch_root},
    segment::segment_id,
    spec::StorageSpec,
    state::StateKey,
};

pub const ALICE: Address = address!("a11ce00000000000000000000000000000000001");
pub const BOB: Address = address!("b0b0000000000000000000000000000000000002");
pub const MALLORY: Address = address!("bad0000000000000000000000000000000000003");
pub const CHAIN_ID: u64 = 7_331;
pub const START_MS: u64 = 20_000 * crate::territories::DAY_MS + 5_000;
pub const GAS: u64 = 100_000_000;
pub const FUNDS: u128 = 1_000_000_000_000_000_000_000_000;

pub const DE: FixedBytes<6> = FixedBytes(*b"DE\0\0\0\0");

/// A region by its text.
pub fn code(text: &str) -> FixedBytes<6> {
    let mut bytes = [0; 6];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    FixedBytes(bytes)
}

/// A network with its operators' keys.
#[derive(Clone)]
pub struct Net {
    pub world: World,
    pub spec: StorageSpec,
    pub operators: Vec<Address>,
    pub keys: Vec<ReceiptKey>,
}

impl Net {
    pub fn new(spec: StorageSpec) -> Self {
        let mut world = World::default();
        world.block.chain_id = CHAIN_ID;
        world.block.height = 1;
        world.block.view = 1;
        world.block.timestamp_ms = START_MS;
        for account in [ALICE, BOB, MALLORY] {
            world.balances.insert(account, U256::from(FUNDS));
        }
        Self { world, spec, operators: Vec::new(), keys: Vec::new() }
    }

    /// Nine miners with four lots each and one volume, with many lots for the next.
    pub fn formed() -> Self {
        Self::formed_with(StorageSpec { open_target: 1, ..StorageSpec::devnet() })
    }

    pub fn formed_with(spec: StorageSpec) -> Self {
        let mut net = Self::new(spec);
        net.add_miners(u32::from(net.spec.profile.total()) + 1, 4);
        net.form();
        net
    }

    fn modules(&self) -> Modules {
        modules(&self.spec)
    }

    pub fn raw(&mut self, from: Address, to: Address, value: U256, input: &[u8]) -> Response {
        let request = Request { from, to, value, is_static: false, gas: GAS };
        let modules = self.modules();
        self.world.call(&modules, &request, input)
    }

    pub fn try_pay<C: SolCall>(&mut self, from: Address, to: Address, value: U256, call: &C) -> Result<C::Return> {
        let output = self.raw(from, to, value, &call.abi_encode()).result?;
        Ok(C::abi_decode_returns(&output).expect("modules answer by their interface"))
    }

    pub fn try_call<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<C::Return> {
        self.try_pay(from, to, U256::ZERO, call)
    }

    #[track_caller]
    pub fn pay<C: SolCall>(&mut self, from: Address, to: Address, value: U256, call: &C) -> C::Return {
        self.try_pay(from, to, value, call).unwrap_or_else(|error| panic!("{} failed: {error:?}", C::SIGNATURE))
    }

    #[track_caller]
    pub fn call<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> C::Return {
        self.pay(from, to, U256::ZERO, call)
    }

    /// Asks as an `eth_call` that may not write.
    #[track_caller]
    pub fn view<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        let request = Request { from: MALLORY, to, value: U256::ZERO, is_static: true, gas: GAS };
        let modules = self.modules();
        let before = self.world.clone();
        let output = self.world.call(&modules, &request, &call.abi_encode()).result;
        assert!(before == self.world, "a view writes nothing");
        C::abi_decode_returns(&output.expect("the view answers")).expect("modules answer by their interface")
    }

    /// Goes on by one view and block, with the beacon that the header brings.
    pub fn block(&mut self, beacon: Option<Beacon>) -> Response {
        self.world.block.height += 1;
        self.world.block.view += 1;
        self.world.block.timestamp_ms += 1_000;
        let (to, input) = begin_block_input(beacon.as_ref());
        let response = self.raw(SYSTEM, to, U256::ZERO, &input);
        assert!(response.result.is_ok(), "the hook reverts never: {response:?}");
        response
    }

    /// The epoch and view that formation waits for.
    pub fn target(&self) -> Option<(u64, u64)> {
        let StateKey::Slot(address, slot) = beacon_target_slot() else { panic!("the target is a slot") };
        decode_beacon_target(self.world.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    /// Lets blocks pass, with the beacons that are waited for, until one more volume exists.
    pub fn form(&mut self) -> u32 {
        let before = self.view(abi::VOLUMES, &IVolumes::volumeCountCall {});
        for _ in 0..200 {
            let beacon = self.target().filter(|(_, view)| *view <= self.world.block.view).map(beacon);
            self.block(beacon);
            let count = self.view(abi::VOLUMES, &IVolumes::volumeCountCall {});
            if count > before {
                return count;
            }
        }
        panic!("no volume was formed");
    }

    /// Registers another miner and pledges lots.
    pub fn add_miner(&mut self, lots: u32) -> u32 {
        self.add_miner_in(lots, DE, 0)
    }

    pub fn add_miner_in(&mut self, lots: u32, region: FixedBytes<6>, network: u32) -> u32 {
        let index = self.keys.len() as u8;
        let operator = Address::from_word(keccak256([b'o', index]));
        let key = ReceiptKey::derive(&[index + 1; 32]);
        self.world.balances.insert(operator, U256::from(FUNDS));
        let IMiners::registerCall { receiptKey, proofOfPossession, endpoint, .. } = register(operator, &key);
        let call = IMiners::registerInCall { receiptKey, proofOfPossession, endpoint, region, network };
        let miner = self.call(operator, abi::MINERS, &call);
        self.operators.push(operator);
        self.keys.push(key);
        if lots > 0 {
            self.pledge(miner, lots);
        }
        miner
    }

    pub fn add_miners(&mut self, count: u32, lots: u32) {
        for _ in 0..count {
            self.add_miner(lots);
        }
    }

    pub fn pledge(&mut self, miner: u32, lots: u32) {
        let due = self.spec.lot_collateral * U256::from(lots);
        self.pay(self.operators[miner as usize - 1], abi::MINERS, due, &IMiners::pledgeCall { lots });
    }

    /// Buys for Alice.
    pub fn territory(&mut self, size: u64, days: u32) -> u64 {
        let call = ITerritories::buyCall { size, daysCount: days };
        self.pay(ALICE, abi::TERRITORIES, U256::from(FUNDS / 2), &call)
    }

    pub fn volume(&mut self, id: u32) -> IVolumes::Volume {
        self.view(abi::VOLUMES, &IVolumes::volumeCall { id })
    }

    pub fn account(&mut self, id: u64) -> ITerritories::Territory {
        self.view(abi::TERRITORIES, &ITerritories::territoryCall { id })
    }

    /// A batch that the members in `seats` signed.
    pub fn batch(
        &mut self,
        volume: u32,
        territory: u64,
        sequence: u64,
        stripes: Vec<Stripe>,
        seats: &[usize],
    ) -> Batch {
        let members = self.volume(volume).miners;
        let mut batch = Batch {
            volume,
            territory,
            sequence,
            expiresAtHeight: self.world.block.height + 10,
            stripes,
            signers: bitmap(members.len(), seats),
            signature: Bytes::new(),
        };
        let keys: Vec<_> = seats.iter().map(|seat| &self.keys[members[*seat] as usize - 1]).collect();
        batch.signature = sign(&batch, self.spec.profile, &keys);
        batch
    }

    /// A batch that all members signed.
    pub fn full_batch(&mut self, volume: u32, territory: u64, sequence: u64, lengths: &[u64]) -> Batch {
        let stripes = stripes(sequence, lengths);
        let all: Vec<usize> = (0..usize::from(self.spec.profile.total())).collect();
        self.batch(volume, territory, sequence, stripes, &all)
    }

    pub fn try_commit(&mut self, from: Address, batches: Vec<Batch>, roots: Vec<RootUpdate>) -> Result<()> {
        let call = IVolumes::commitCall { batches, roots };
        self.try_pay(from, abi::VOLUMES, U256::from(FUNDS / 10), &call).map(|_| ())
    }

    #[track_caller]
    pub fn commit(&mut self, batches: Vec<Batch>) {
        self.try_commit(ALICE, batches, Vec::new()).expect("the commit succeeds");
    }

    pub fn events<E: SolEvent>(&self) -> Vec<E> {
        self.world.logs.iter().filter_map(|log| E::decode_log_data(&log.data).ok()).collect()
    }

    /// The leaves of a volume as an indexer sees them.
    pub fn leaves(&self, volume: u32) -> Vec<Leaf> {
        let appended = self.events::<IVolumes::Appended>().into_iter().filter(|event| event.volume == volume);
        appended.map(|event| Leaf::from(&StripeLeaf::from(&event))).collect()
    }

    /// Proof that a stripe is in the log.
    pub fn release_of(&self, volume: u32, index: u32) -> Release {
        let leaves = self.leaves(volume);
        let hashes: Vec<B256> = leaves.iter().map(leaf_hash).collect();
        Release { index, leaf: leaves[index as usize].clone(), path: log_path(&hashes, index) }
    }
}

pub fn leaf_hash(leaf: &Leaf) -> B256 {
    StripeLeaf::from(leaf).hash()
}

/// A path of the log's full depth from the small tree over the leaves that there are.
pub fn log_path(hashes: &[B256], index: u32) -> [B256; 20] {
    let mut path = Tree::new(hashes).path(index as usize).expect("the leaf is there");
    path.extend_from_slice(&types::merkle::EMPTY[path.len()..20]);
    path.try_into().expect("20 levels")
}

/// The root of the log over these leaves.
pub fn log_root(hashes: &[B256]) -> B256 {
    match hashes.first() {
        Some(first) => types::merkle::root_of(first, 0, &log_path(hashes, 0)).expect("index 0 fits"),
        None => types::merkle::EMPTY[20],
    }
}

pub fn beacon((epoch, view): (u64, u64)) -> Beacon {
    let seed = keccak256(view.to_be_bytes());
    Beacon { epoch, view, seed: [seed.as_slice(), &seed[..16]].concat().into() }
}

pub fn endpoint() -> Bytes {
    let address = "127.0.0.1:4000".parse().expect("an address");
    Endpoint::new(B256::repeat_byte(9), vec![address], None).expect("an endpoint").encode().into()
}

pub fn register(operator: Address, key: &ReceiptKey) -> IMiners::registerCall {
    IMiners::registerCall {
        receiptKey: Bytes::copy_from_slice(&key.public().to_bytes()),
        proofOfPossession: Bytes::copy_from_slice(&key.prove_possession(CHAIN_ID, operator).to_bytes()),
        endpoint: endpoint(),
        region: DE,
    }
}

/// Stripes with contents of their own.
pub fn stripes(sequence: u64, lengths: &[u64]) -> Vec<Stripe> {
    let root = |index: usize| keccak256([sequence.to_be_bytes(), (index as u64).to_be_bytes()].concat());
    lengths.iter().enumerate().map(|(index, length)| Stripe { fragmentsRoot: root(index), length: *length }).collect()
}

pub fn bitmap(total: usize, seats: &[usize]) -> Bytes {
    let mut bytes = vec![0; total.div_ceil(8)];
    for seat in seats {
        bytes[seat / 8] |= 1 << (seat % 8);
    }
    bytes.into()
}

/// The aggregate of receipts by `keys`.
pub fn sign(batch: &Batch, profile: Profile, keys: &[&ReceiptKey]) -> Bytes {
    let message = message(batch, profile);
    let receipts: Vec<_> = keys.iter().map(|key| key.sign(&message)).collect();
    match ReceiptSignature::aggregate(&receipts) {
        Ok(aggregate) => Bytes::copy_from_slice(&aggregate.to_bytes()),
        Err(_) => Bytes::new(),
    }
}

pub fn message(batch: &Batch, profile: Profile) -> B256 {
    let segments: Vec<B256> =
        batch.stripes.iter().map(|stripe| segment_id(profile, stripe.length, &stripe.fragmentsRoot)).collect();
    Receipt {
        chain_id: CHAIN_ID,
        volume: batch.volume,
        territory: batch.territory,
        sequence: batch.sequence,
        batch_root: batch_root(&segments),
        expires_at_height: batch.expiresAtHeight,
    }
    .message()
}

/// The refusal of `result`, which must be one of this kind.
#[track_caller]
pub fn refusal<E: alloy_sol_types::SolError, T>(result: Result<T>) -> E {
    let error: Error = result.err().expect("the call is refused");
    error.decode().unwrap_or_else(|| panic!("another error: {error:?}"))
}
