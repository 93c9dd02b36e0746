//! Set up a network in this process: the real protocol modules, real miners on disks in memory, one uploader.

use crate::{
    Keys, Miner, MinerConfig, MinerHandle, RepairConfig,
    idle::{IdleConfig, MemoryUnits, PlotConfig},
};
use alloy_primitives::{Address, B256, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use client::{
    Sender,
    chain::{ChainApi, LogFilter, MemoryChain, Network},
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use store::{MemoryDisk, Store, StoreConfig};
use transport::{
    Fetch, Fragment, MemoryNetwork, MemoryTransport, Refusal, RefusalReason, Request, RequestError, Response, Sign,
    SignSegment, Stage, StageHeader, Transport, TransportError, memory::Behaviour,
};
use types::{
    Endpoint, Profile, ReceiptKey, ReceiptSignature, SegmentId, StripeLeaf, StripeLog,
    abi::{Batch, ITerritories, IVolumes, Stripe, TERRITORIES, VOLUMES},
    merkle::Tree,
    permit::{self, Permit},
    segment::{FragmentProof, segment_id},
    spec::StorageSpec,
};

/// Real time for what takes minutes of the chain's.
const PATIENCE: Duration = Duration::from_secs(240);
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of the fragments that segments here have.
pub(crate) const FRAGMENT_BYTES: u64 = 64 << 10;
const LENGTH: u64 = 250_000;
const PROFILE: Profile = Profile::Devnet;
/// What is missing stays missing.
const REPAIRS_NOTHING: RepairConfig = RepairConfig { stripes_at_once: 0, helps_at_once: 2 };

/// A network of miners with one open volume.
pub(crate) struct Net {
    pub(crate) chain: Arc<MemoryChain>,
    pub(crate) network: MemoryNetwork,
    pub(crate) disks: Vec<MemoryDisk>,
    /// Idle units of each miner.
    pub(crate) units: Vec<MemoryUnits>,
    /// Lots that each fills, if they fill any.
    lots_filled: Option<u32>,
    repair: RepairConfig,
    /// Bytes of fragments that each miner was sent.
    pub(crate) received: Vec<Arc<AtomicU64>>,
    /// Time without anybody's transaction after which blocks come by themselves, where something is waited for.
    pub(crate) pace: Duration,
    pub(crate) miners: Vec<MinerHandle>,
    pub(crate) owner: Sender,
    pub(crate) uploader: MemoryTransport,
    pub(crate) territory: u64,
}

/// A segment whose fragments belong together, though no code made them.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) fragments_root: B256,
    pub(crate) fragments: Vec<(FragmentProof, Fragment)>,
}

impl Segment {
    pub(crate) fn new(number: u8) -> Self {
        let make =
            |seat: u8| -> Vec<u8> { (0..FRAGMENT_BYTES).map(|i| (i % 251) as u8 ^ number ^ seat << 5).collect() };
        Self::of((0..PROFILE.total() as u8).map(make).collect())
    }

    /// A codeword, which `spoil` may then change.
    pub(crate) fn encoded(number: u8, spoil: impl Fn(&mut Vec<Vec<u8>>)) -> Self {
        let content: Vec<u8> = (0..LENGTH).map(|i| (i % 241) as u8 ^ number).collect();
        let encoded = erasure::encode_segment(&client::code(PROFILE), content.into()).expect("it is not empty");
        let mut fragments = encoded.fragments.iter().map(|fragment| fragment.to_vec()).collect();
        spoil(&mut fragments);
        Self::of(fragments)
    }

    fn of(fragments: Vec<Vec<u8>>) -> Self {
        let fragments: Vec<_> = fragments.into_iter().map(|bytes| Fragment::new(bytes.into())).collect();
        let roots: Vec<_> = fragments.iter().map(Fragment::root).collect();
        let tree = Tree::new(&roots);
        let proof = |index: usize| FragmentProof {
            index: index as u16,
            root: roots[index],
            path: tree.path(index).expect("within the tree"),
        };
        let fragments = fragments.into_iter().enumerate().map(|(seat, fragment)| (proof(seat), fragment)).collect();
        Self { id: segment_id(PROFILE, LENGTH, &tree.root()), fragments_root: tree.root(), fragments }
    }

    pub(crate) fn fetch(&self, index: u16, range: Option<Range<u64>>) -> Fetch {
        Fetch { segment: self.id, index, range }
    }
}

pub(crate) fn signer(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(*blake3::hash(name.as_bytes()).as_bytes())).expect("a key")
}

pub(crate) fn operator(index: usize) -> PrivateKeySigner {
    signer(&format!("operator {index}"))
}

pub(crate) fn peer(index: usize) -> B256 {
    B256::repeat_byte(index as u8 + 1)
}

pub(crate) fn keys(index: usize) -> Keys {
    Keys { operator: operator(index), receipt: ReceiptKey::derive(&[index as u8 + 1; 32]) }
}

pub(crate) fn config(index: usize) -> MinerConfig {
    let endpoint = MemoryNetwork::endpoint(peer(index));
    MinerConfig { region: "DE".into(), network: 0, lots: 4, endpoint, repair: REPAIRS_NOTHING }
}

/// Small lots.
pub(crate) fn storage() -> StorageSpec {
    StorageSpec { slot_bytes: 128 << 10, lot_slots: 64, open_target: 2, ..StorageSpec::devnet() }
}

/// A chain on which these accounts have funds. Blocks come with transactions and on demand, never by themselves.
pub(crate) fn chain(accounts: Vec<Address>) -> Arc<MemoryChain> {
    chain_with(storage(), accounts)
}

/// The same with these parameters.
pub(crate) fn chain_with(storage: StorageSpec, accounts: Vec<Address>) -> Arc<MemoryChain> {
    Arc::new(MemoryChain::funding(storage, accounts, Duration::from_secs(1 << 30)))
}

pub(crate) fn open(disk: &MemoryDisk) -> Store {
    Store::open(disk.clone(), StoreConfig { capacity_bytes: 1 << 30 }).expect("the disk works").0
}

pub(crate) async fn start(
    chain: Arc<dyn ChainApi>,
    network: &MemoryNetwork,
    disk: &MemoryDisk,
    index: usize,
) -> MinerHandle {
    start_with(chain, (network, &Arc::default()), disk, config(index), index, None).await
}

/// A miner that fills idle space, if told so.
async fn start_with(
    chain: Arc<dyn ChainApi>,
    (network, received): (&MemoryNetwork, &Arc<AtomicU64>),
    disk: &MemoryDisk,
    config: MinerConfig,
    index: usize,
    idle: Option<IdleConfig>,
) -> MinerHandle {
    let transport = network.join(peer(index));
    let carrier = Arc::new(Meter { inner: transport.clone(), received: received.clone() });
    let store = open(disk);
    let started = match idle {
        Some(idle) => Miner::start_with_idle(config, chain, carrier, store, keys(index), idle).await,
        None => Miner::start(config, chain, carrier, store, keys(index)).await,
    };
    let miner = started.expect("the store is intact");
    transport.serve(miner.service());
    miner
}

/// Counts the bytes of fragments that come.
struct Meter {
    inner: MemoryTransport,
    received: Arc<AtomicU64>,
}

#[async_trait]
impl Transport for Meter {
    fn local_id(&self) -> B256 {
        self.inner.id()
    }

    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        let answer = self.inner.request(to, request, deadline).await;
        if let Ok(Response::Fragment(reply)) = &answer {
            self.received.fetch_add(reply.bytes.len() as u64, Ordering::Relaxed);
        }
        answer
    }
}

fn idle(lots_filled: Option<u32>, units: &MemoryUnits) -> Option<IdleConfig> {
    let plot = PlotConfig { threads: 1, headroom_bytes: 0, retry_pause: Duration::from_millis(10), nice: 0 };
    lots_filled.map(|lots| IdleConfig { files: Arc::new(units.clone()), plot, lots_max: Some(lots) })
}

impl Net {
    /// Eight miners, two open volumes, and a territory.
    pub(crate) async fn new() -> Self {
        Self::with(storage()).await
    }

    /// The same with these parameters.
    pub(crate) async fn with(storage: StorageSpec) -> Self {
        Self::filling(storage, None).await
    }

    /// The same with miners that fill so many lots each.
    pub(crate) async fn filling(storage: StorageSpec, lots_filled: Option<u32>) -> Self {
        Self::of(8, storage, lots_filled, REPAIRS_NOTHING).await
    }

    /// So many miners that repair.
    pub(crate) async fn repairing(miner_count: usize, storage: StorageSpec) -> Self {
        Self::of(miner_count, storage, None, RepairConfig::default()).await
    }

    /// So many miners that rebuild nothing for themselves.
    pub(crate) async fn idle_hands(miner_count: usize) -> Self {
        Self::of(miner_count, storage(), None, REPAIRS_NOTHING).await
    }

    /// The same with these parameters, lots to fill, and so much repair.
    pub(crate) async fn of(
        miner_count: usize,
        storage: StorageSpec,
        lots_filled: Option<u32>,
        repair: RepairConfig,
    ) -> Self {
        let owner = signer("owner");
        let accounts = (0..miner_count).map(operator).chain([owner.clone()]).map(|signer| signer.address());
        let chain = chain_with(storage, accounts.collect());
        let network = MemoryNetwork::new();
        let (mut disks, mut miners) = (Vec::new(), Vec::new());
        let received: Vec<Arc<AtomicU64>> = (0..miner_count).map(|_| Arc::default()).collect();
        let units: Vec<_> = (0..miner_count).map(|_| MemoryUnits::default()).collect();
        for index in 0..miner_count {
            disks.push(MemoryDisk::new(4 << 30));
            let idle = idle(lots_filled, &units[index]);
            let config = MinerConfig { repair, ..config(index) };
            let wire = (&network, &received[index]);
            let mut miner = start_with(chain.clone(), wire, &disks[index], config, index, idle).await;
            miner.registered().await.expect("it has funds");
            miners.push(miner);
        }
        while Network(&*chain).open_volumes(0).await.expect("answers").len() < 2 {
            chain.advance();
        }
        let sender = Sender::new(chain.clone(), owner);
        let size = 1 << 30;
        let price = Network(&*chain).quote(size, 30).await.expect("answers");
        sender.call(TERRITORIES, price, &ITerritories::buyCall { size, daysCount: 30 }).await.expect("buys");
        let uploader = network.join(B256::repeat_byte(0xcc));
        let (territory, pace, owner) = (1, Duration::from_millis(20), sender);
        let mut net = Self {
            chain,
            network,
            disks,
            units,
            lots_filled,
            repair,
            received,
            pace,
            miners,
            owner,
            uploader,
            territory,
        };
        net.settle().await;
        net
    }

    /// Waits until every miner knows the newest block.
    pub(crate) async fn settle(&mut self) {
        let height = self.chain.head().await.expect("answers").height;
        for miner in &mut self.miners {
            miner.followed(height).await.expect("it runs");
        }
    }

    /// Makes blocks.
    pub(crate) async fn advance(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.chain.advance();
        }
        self.settle().await;
    }

    /// Kills a miner, loses what its disk had not synced, and starts it again.
    pub(crate) async fn crash(&mut self, index: usize, seed: u64) {
        let survivor = self.disks[index].after_crash(seed);
        self.disks[index] = survivor;
        self.units[index] = self.units[index].after_crash(seed);
        let idle = idle(self.lots_filled, &self.units[index]);
        let config = MinerConfig { repair: self.repair, ..config(index) };
        let wire = (&self.network, &self.received[index]);
        let again = start_with(self.chain.clone(), wire, &self.disks[index], config, index, idle).await;
        std::mem::replace(&mut self.miners[index], again).stop().await;
        self.settle().await;
    }

    pub(crate) async fn height(&self) -> u64 {
        self.chain.head().await.expect("answers").height
    }

    /// The miner in a seat, by its place here.
    pub(crate) async fn member(&self, volume: u32, seat: usize) -> usize {
        Network(&*self.chain).volume(volume).await.expect("answers").miners[seat] as usize - 1
    }

    pub(crate) async fn lease(&mut self, volume: u32, column_bytes: u64, for_ms: u64) {
        let until_ms = self.chain.head().await.expect("answers").timestamp_ms + for_ms;
        let call = IVolumes::leaseCall {
            territory: self.territory,
            volumes: vec![volume],
            columnBytes: column_bytes,
            untilMs: until_ms,
        };
        self.owner.call(VOLUMES, U256::ZERO, &call).await.expect("leases");
        self.settle().await;
    }

    /// A request to stage that breaks no rule.
    pub(crate) fn stage_request(&self, volume: u32, segment: &Segment, seat: usize) -> Stage {
        let permit = Permit { territory: self.territory, uploader: self.uploader.id(), expiresMs: u64::MAX };
        let (proof, fragment) = segment.fragments[seat].clone();
        let signature = sign_permit(self.owner.signer(), &permit);
        let (segment, profile, length) = (segment.id, PROFILE, LENGTH);
        Stage { header: StageHeader { permit, signature, volume, segment, profile, length, proof }, fragment }
    }

    pub(crate) async fn send(&self, to: usize, stage: Stage) -> Result<(), RequestError> {
        let endpoint = MemoryNetwork::endpoint(peer(to));
        self.uploader.stage(&endpoint, stage.header, stage.fragment, DEADLINE).await
    }

    pub(crate) async fn stage(&self, volume: u32, segment: &Segment, seat: usize) -> Result<(), RequestError> {
        let to = self.member(volume, seat).await;
        self.send(to, self.stage_request(volume, segment, seat)).await
    }

    pub(crate) fn sign_request(&self, volume: u32, sequence: u64, expires: u64, segments: &[&Segment]) -> Sign {
        let segment = |segment: &&Segment| SignSegment {
            segment: segment.id,
            fragments_root: segment.fragments_root,
            length: LENGTH,
        };
        let segments = segments.iter().map(segment).collect();
        Sign { volume, territory: self.territory, sequence, expires_at_height: expires, segments }
    }

    pub(crate) async fn sign(&self, seat: usize, sign: Sign) -> Result<ReceiptSignature, RequestError> {
        let endpoint = MemoryNetwork::endpoint(peer(self.member(sign.volume, seat).await));
        let bytes = self.uploader.sign(&endpoint, sign, DEADLINE).await?;
        Ok(ReceiptSignature::from_bytes(&bytes).expect("a signature"))
    }

    /// Receipts of these seats, as a batch to commit.
    pub(crate) async fn batch(
        &self,
        seats: &[usize],
        volume: u32,
        sequence: u64,
        expires: u64,
        segments: &[&Segment],
    ) -> Batch {
        let (mut signers, mut signatures) = (0u8, Vec::new());
        for seat in seats {
            let sign = self.sign_request(volume, sequence, expires, segments);
            signatures.push(self.sign(*seat, sign).await.expect("signs"));
            signers |= 1 << seat;
        }
        let stripe = |segment: &&Segment| Stripe { fragmentsRoot: segment.fragments_root, length: LENGTH };
        Batch {
            volume,
            territory: self.territory,
            sequence,
            expiresAtHeight: expires,
            stripes: segments.iter().map(stripe).collect(),
            signers: vec![signers].into(),
            signature: ReceiptSignature::aggregate(&signatures).expect("some").to_bytes().to_vec().into(),
        }
    }

    pub(crate) async fn commit(&mut self, batch: Batch) {
        let batches = vec![batch];
        let price = Network(&*self.chain).commit_price(&batches).await.expect("answers");
        let call = IVolumes::commitCall { batches, roots: Vec::new() };
        self.owner.call(VOLUMES, price, &call).await.expect("commits");
        self.settle().await;
    }

    /// Stages with all these seats, signs and commits.
    pub(crate) async fn put(&mut self, volume: u32, sequence: u64, segment: &Segment, seats: &[usize]) {
        for seat in seats {
            self.stage(volume, segment, *seat).await.expect("stages");
        }
        let expires = self.height().await + 100;
        let batch = self.batch(seats, volume, sequence, expires, &[segment]).await;
        self.commit(batch).await;
    }

    /// Lets nobody reach a miner, or lets them again.
    pub(crate) fn hide(&self, index: usize, is_hidden: bool) {
        let behaviour = if is_hidden { Behaviour::Gone } else { Behaviour::Honest };
        self.network.set_behaviour(peer(index), behaviour);
    }

    /// Events of a kind that the volumes' module told of.
    pub(crate) async fn told<E: SolEvent>(&self) -> Vec<E> {
        let topics = [Some(vec![E::SIGNATURE_HASH]), None, None, None];
        let logs = self.chain.logs(LogFilter { from: 1, to: None, address: VOLUMES, topics }).await.expect("answers");
        logs.iter().map(|entry| E::decode_log(&entry.log).expect("decodes").data).collect()
    }

    /// Lets blocks come, two seconds apart, until `seen` sees something.
    pub(crate) async fn until<T>(&mut self, what: &str, mut seen: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = seen(self).await {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: not in time");
            let height = self.height().await;
            // Miners make blocks by what they send; where none does, time goes on.
            if tokio::time::timeout(self.pace, self.chain.wait_above(height)).await.is_err() {
                self.chain.skip(Duration::from_secs(2));
            }
        }
    }

    /// The leaves of a volume as a member tells them.
    pub(crate) async fn leaves(&self, volume: u32, seat: usize) -> Vec<StripeLeaf> {
        let endpoint = MemoryNetwork::endpoint(peer(self.member(volume, seat).await));
        let query = transport::LeavesQuery { volume, from: 0, limit: 100 };
        self.uploader.leaves(&endpoint, query, DEADLINE).await.expect("answers")
    }

    pub(crate) async fn release(&mut self, volume: u32, index: u32) {
        let leaves = self.leaves(volume, 0).await;
        let stripes = vec![StripeLog::new(leaves).shown(index).expect("the stripe is there")];
        self.owner.call(VOLUMES, U256::ZERO, &IVolumes::releaseCall { volume, stripes }).await.expect("releases");
        self.settle().await;
    }
}

pub(crate) fn sign_permit(signer: &PrivateKeySigner, permit: &Permit) -> alloy_primitives::Signature {
    signer.sign_hash_sync(&permit::signing_hash(permit, 7_331)).expect("a local key signs")
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> RefusalReason {
    match answer {
        Err(RequestError::Refused(Refusal { reason, .. })) => reason,
        other => panic!("{other:?} is no refusal"),
    }
}
