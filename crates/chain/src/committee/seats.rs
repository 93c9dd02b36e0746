//! Hold a committee's validators in the deterministic runtime: start, crash, connect and look at them.

use super::{Agreed, ArchiveFate, CommitteeConfig, Fork};
use crate::{
    Node,
    engine::{self, Channels, quota},
    identity::signer,
    seat::{self, SeatConfig},
    wall::Wall,
};
use alloy_primitives::B256;
use archive::Archive;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::{Signer as _, bls12381::primitives::group::Share};
use commonware_glue::dkg::network::AddressableManager;
use commonware_p2p::simulated::{Config as NetworkConfig, Link, Network, Oracle};
use commonware_runtime::{Clock, Handle, Spawner, Supervisor, deterministic::Context};
use commonware_utils::{NZUsize, Probability};
use execution::Executor;
use light::consensus::PublicKey;
use mempool::Mempool;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
#[cfg(test)]
use types::ChainSpec;

/// In which tasks that were given up let go of what they held.
const LETTING_GO: Duration = Duration::from_millis(1);
/// Recent heights whose state can be read.
const HISTORY_BLOCKS: u64 = 1_024;

/// What lies between two validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Mean time of one way.
    pub latency_ms: u64,
    /// Its standard deviation.
    pub jitter_ms: u64,
    /// Messages in a million that are lost.
    pub loss_per_million: u64,
}

impl Links {
    fn link(self) -> Link {
        let delivered = 1_000_000u64.saturating_sub(self.loss_per_million);
        Link {
            latency: Duration::from_millis(self.latency_ms),
            jitter: Duration::from_millis(self.jitter_ms),
            success_rate: Probability::new(delivered, 1_000_000).expect("a part of a million"),
        }
    }
}

/// What can be seen of a validator from any thread, while the committee stands still.
#[derive(Clone)]
pub struct SeatView {
    /// Final blocks and the state after them.
    pub archive: Archive,
    /// Waiting transactions.
    pub pool: Mempool,
    /// Runs calls.
    pub executor: Executor,
}

/// A committee in this runtime.
pub(crate) struct Seats {
    context: Context,
    config: CommitteeConfig,
    oracle: Oracle<PublicKey, Context>,
    keys: Vec<PublicKey>,
    /// Ways that are there.
    linked: BTreeSet<(usize, usize)>,
    /// Ways that are not to be there.
    cut: BTreeSet<(usize, usize)>,
    /// Final blocks by height, as each validator saw them.
    seen: Vec<Arc<Mutex<Agreed>>>,
    nodes: Vec<Arc<Mutex<Option<Node<Context>>>>>,
    views: Arc<Mutex<Vec<Option<SeatView>>>>,
    running: Vec<Option<Handle<()>>>,
    start_count: usize,
}

impl Seats {
    /// A committee none of whose validators runs yet.
    pub async fn new(context: Context, config: CommitteeConfig, views: Arc<Mutex<Vec<Option<SeatView>>>>) -> Self {
        let keys: Vec<PublicKey> = config.dealt.seats.iter().map(|seat| signer(&seat.key).public_key()).collect();
        let network = NetworkConfig {
            max_size: engine::message_bytes_max(),
            max_peers_per_set: NZUsize!(8),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(3),
        };
        let (network, oracle) = Network::new(context.child("network"), network);
        network.start();
        let count = keys.len();
        let mut seats = Self {
            context,
            config,
            oracle,
            keys,
            linked: BTreeSet::new(),
            cut: BTreeSet::new(),
            seen: (0..count).map(|_| Arc::default()).collect(),
            nodes: (0..count).map(|_| Arc::default()).collect(),
            views,
            running: (0..count).map(|_| None).collect(),
            start_count: 0,
        };
        seats.connect().await;
        seats
    }

    /// The chain.
    #[cfg(test)]
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.config.spec
    }

    /// Makes all links anew that are not cut.
    async fn connect(&mut self) {
        let all = (0..self.keys.len()).flat_map(|from| (0..self.keys.len()).map(move |to| (from, to)));
        for (from, to) in all.filter(|(from, to)| from != to) {
            let (sender, receiver) = (self.keys[from].clone(), self.keys[to].clone());
            if self.linked.remove(&(from, to)) {
                self.oracle.remove_link(sender.clone(), receiver.clone()).await.expect("the link is there");
            }
            if !self.cut.contains(&(from, to)) {
                self.linked.insert((from, to));
                self.oracle.add_link(sender, receiver, self.config.links.link()).await.expect("there is no such link");
            }
        }
    }

    /// Changes what lies between validators.
    pub async fn set_links(&mut self, links: Links) {
        self.config.links = links;
        self.connect().await;
    }

    /// Cuts every link between two groups.
    #[cfg(test)]
    pub async fn cut(&mut self, left: &[usize], right: &[usize]) {
        self.cut.extend(left.iter().flat_map(|a| right.iter().flat_map(|b| [(*a, *b), (*b, *a)])));
        self.connect().await;
    }

    /// Mends every link.
    #[cfg(test)]
    pub async fn mend(&mut self) {
        self.cut.clear();
        self.connect().await;
    }

    /// Starts every validator.
    pub fn start_all(&mut self) {
        (0..self.keys.len()).for_each(|seat| self.start(seat));
    }

    /// Starts a validator that does not run. It is up some time later.
    pub fn start(&mut self, seat: usize) {
        if self.running[seat].is_some() {
            return;
        }
        self.start_count += 1;
        let context = self.context.child("seat").with_attribute("seat", seat).with_attribute("start", self.start_count);
        let me = self.keys[seat].clone();
        let (control, manager) = (self.oracle.control(me), self.oracle.socket_manager());
        let (spec, dealt) = (self.config.spec.clone(), self.config.dealt.seats[seat].clone());
        let wall = Wall::ahead_by_ms(self.config.ahead_ms.get(seat).copied().unwrap_or_default());
        let archive = self.archive(seat);
        let (seen, node, views) = (self.seen[seat].clone(), self.nodes[seat].clone(), self.views.clone());
        let handle = context.spawn(move |context| async move {
            let mut links = Vec::new();
            for channel in 0..=Channels::<(), ()>::COUNT {
                links.push(control.register(channel, quota()).await.expect("the network runs"));
            }
            let transactions = links.pop().expect("one more than the engine's");
            let mut links = links.into_iter();
            let config = SeatConfig {
                signer: signer(&dealt.key),
                share: Some(Share::decode(Copying(&dealt.share)).expect("what was dealt is a share")),
                beneficiary: spec.validators[seat].beneficiary,
                wall,
                prefix: format!("seat-{seat}"),
                archive,
                history_blocks: HISTORY_BLOCKS,
                manager: AddressableManager::new(manager),
                blocker: control,
                channels: Channels::register(|_, _| links.next().expect("one for each channel")),
                transactions,
                spec,
            };
            let (started, engine) = seat::start(context, config).await.expect("a validator starts");
            let (archive, pool, executor) = (started.archive(), started.mempool(), started.executor());
            views.lock()[seat] = Some(SeatView { archive: archive.clone(), pool, executor });
            *node.lock() = Some(started);
            let watching = Box::pin(watch(archive, seen));
            futures::future::select(watching, engine).await;
        });
        self.running[seat] = Some(handle);
    }

    /// Cuts a validator's power.
    pub async fn crash(&mut self, seat: usize, archive: ArchiveFate) {
        // The stores stay open as long as anybody looks at them.
        *self.nodes[seat].lock() = None;
        self.views.lock()[seat] = None;
        if let Some(handle) = self.running[seat].take() {
            handle.abort();
            self.context.sleep(LETTING_GO).await;
        }
        if archive == ArchiveFate::Lost {
            std::fs::remove_dir_all(self.archive(seat)).expect("an archive can be deleted");
        }
    }

    fn archive(&self, seat: usize) -> PathBuf {
        self.config.folder.join(format!("archive-{seat}"))
    }

    /// Lets time pass.
    pub async fn sleep_until(&self, time_ms: u64) {
        self.context.sleep_until(UNIX_EPOCH + Duration::from_millis(time_ms)).await;
    }

    /// A validator that is up.
    pub fn node(&self, seat: usize) -> Option<Node<Context>> {
        self.nodes.get(seat)?.lock().clone()
    }

    /// The highest block that a validator saw.
    #[cfg(test)]
    pub fn height(&self, seat: usize) -> u64 {
        self.seen[seat].lock().last_key_value().map_or(0, |(height, _)| *height)
    }

    /// Waits until these validators see blocks of this height.
    #[cfg(test)]
    pub async fn reach(&self, seats: &[usize], height: u64) {
        while seats.iter().any(|seat| self.height(*seat) < height) {
            self.context.sleep(Duration::from_millis(50)).await;
        }
    }

    /// The chain that all validators agree on.
    pub fn agreed(&self) -> Result<Agreed, Fork> {
        let mut agreed: BTreeMap<u64, (B256, B256)> = BTreeMap::new();
        for seen in &self.seen {
            for (height, block) in seen.lock().iter() {
                if agreed.entry(*height).or_insert(*block) != block {
                    return Err(Fork { height: *height });
                }
            }
        }
        Ok(agreed)
    }
}

/// Notes what the archive holds, from its beginning; it never goes on from another block than it had before.
async fn watch(archive: Archive, seen: Arc<Mutex<Agreed>>) {
    let mut tips = archive.watch_tip();
    let mut next = 0;
    loop {
        while let Some((hash, header)) = archive.header(next).expect("an archive is read") {
            let before = seen.lock().insert(next, (hash, header.state_root));
            assert!(before.is_none_or(|before| before == (hash, header.state_root)), "height {next} changed");
            next += 1;
        }
        if tips.changed().await.is_err() {
            return;
        }
    }
}
