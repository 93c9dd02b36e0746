//! A whole committee in the deterministic runtime: latency, loss, partition, crash.

use crate::{
    application::{App, AppConfig, FinalBlock},
    block::Block,
    dealer,
    engine::{self, Channels, EngineConfig, Marshal, quota},
    proof::prove,
    seeds::Seeds,
    state::{self, Databases},
};
use alloy_primitives::{Address, B256, U256};
use commonware_codec::Encode;
use commonware_consensus::types::Height;
use commonware_cryptography::Signer as _;
use commonware_p2p::simulated::{Config as NetworkConfig, Link, Network, Oracle};
use commonware_runtime::{Clock, Handle, Runner, Spawner, Supervisor, deterministic};
use commonware_utils::{NZUsize, probability};
use execution::Executor;
use light::{
    LightError, Verifier,
    consensus::{PublicKey, Scheme, decode_public_key, namespace},
};
use mempool::{Mempool, MempoolConfig};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use types::{
    ChainSpec, Header,
    proof::StateProof,
    spec::{Allocation, StorageSpec, ValidatorSpec},
    state::{Account, StateKey},
};

type Context = deterministic::Context;

const SEATS: usize = 4;

fn spec(dealt: &dealer::Dealt) -> ChainSpec {
    ChainSpec {
        name: "test".into(),
        chain_id: 7,
        genesis_timestamp_ms: 0,
        heartbeat_ms: 500,
        block_interval_min_ms: 50,
        clock_drift_max_ms: 500,
        timestamp_step_max_ms: 600_000,
        gas_limit: 30_000_000,
        base_fee_min: 1_000,
        storage: StorageSpec::devnet(),
        validators: dealt
            .seats
            .iter()
            .map(|seat| ValidatorSpec {
                public_key: seat.public_key,
                beneficiary: Address::repeat_byte(1),
                address: "127.0.0.1:1".into(),
            })
            .collect(),
        sharing: dealt.sharing.clone(),
        alloc: vec![Allocation { address: Address::repeat_byte(2), balance: U256::from(1_000_000u64) }],
    }
}

/// Final blocks by height, as one validator saw them.
type Seen = Arc<Mutex<BTreeMap<u64, (B256, B256)>>>;

/// What a seat lets tests look at.
type Shown = Arc<Mutex<Option<(Marshal, Databases<Context>, watch::Receiver<Option<Header>>)>>>;

struct Committee {
    spec: Arc<ChainSpec>,
    dealt: dealer::Dealt,
    oracle: Oracle<PublicKey, Context>,
    seen: Vec<Seen>,
    shown: Vec<Shown>,
    running: Vec<Option<Handle<()>>>,
    starts: usize,
}

impl Committee {
    async fn new(context: &Context) -> Self {
        let dealt = dealer::deal(SEATS as u32, [9; 32]);
        let spec = Arc::new(spec(&dealt));
        let peers: Vec<PublicKey> = dealt.seats.iter().map(|seat| dealer::signer(&seat.key).public_key()).collect();
        let config = NetworkConfig {
            max_size: engine::message_bytes_max(),
            max_peers_per_set: NZUsize!(8),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(3),
        };
        let (network, oracle) = Network::new_with_peers(context.child("network"), config, peers).await;
        network.start();
        let seen = (0..SEATS).map(|_| Seen::default()).collect();
        let running = (0..SEATS).map(|_| None).collect();
        let shown = (0..SEATS).map(|_| Shown::default()).collect();
        Self { spec, dealt, oracle, seen, shown, running, starts: 0 }
    }

    fn key(&self, seat: usize) -> PublicKey {
        decode_public_key(&self.dealt.seats[seat].public_key).unwrap()
    }

    async fn link(&self, from: usize, to: usize, link: Link) {
        self.oracle.add_link(self.key(from), self.key(to), link).await.unwrap();
    }

    async fn link_all(&self, link: Link) {
        for from in 0..SEATS {
            for to in (0..SEATS).filter(|to| *to != from) {
                self.link(from, to, link.clone()).await;
            }
        }
    }

    async fn cut(&self, left: &[usize], right: &[usize]) {
        for a in left {
            for b in right {
                self.oracle.remove_link(self.key(*a), self.key(*b)).await.unwrap();
                self.oracle.remove_link(self.key(*b), self.key(*a)).await.unwrap();
            }
        }
    }

    async fn heal(&self, left: &[usize], right: &[usize], link: Link) {
        for a in left {
            for b in right {
                self.link(*a, *b, link.clone()).await;
                self.link(*b, *a, link.clone()).await;
            }
        }
    }

    async fn start(&mut self, context: &Context, seat: usize) {
        self.starts += 1;
        let (finals_in, mut finals) = mpsc::channel::<FinalBlock>(64);
        let seen = self.seen[seat].clone();
        let me = self.key(seat);
        let control = self.oracle.control(me.clone());
        let mut links = Vec::new();
        for channel in 0..Channels::<(), ()>::COUNT {
            links.push(control.register(channel, quota()).await.unwrap());
        }
        let mut links = links.into_iter();
        let channels = Channels::register(|_| links.next().unwrap());
        let (spec, share) = (self.spec.clone(), self.dealt.seats[seat].share.clone());
        let (oracle, shown) = (self.oracle.clone(), self.shown[seat].clone());
        let attributes = (seat, self.starts);
        let context = context.child("seat").with_attribute("seat", attributes.0).with_attribute("start", attributes.1);
        let handle = context.spawn(move |context| async move {
            let genesis = Block::genesis(&spec, state::empty_commitment::<Context>());
            let scheme = crate::validator::scheme(&spec, &share).unwrap();
            let seeds = Seeds::default();
            let (applied_in, applied) = watch::channel(None);
            let app = App::new(AppConfig {
                executor: Executor::new(spec.clone()),
                genesis: genesis.clone(),
                beneficiary: Address::ZERO,
                pool: Mempool::new(MempoolConfig::for_chain(&spec), spec.base_fee_min),
                seeds: seeds.clone(),
                verifier: Scheme::certificate_verifier(&namespace(spec.chain_id), *scheme.identity()),
                finals: finals_in,
                applied: applied_in,
                spec: spec.clone(),
            });
            let config = EngineConfig {
                scheme,
                genesis,
                app,
                seeds,
                heartbeat: Duration::from_millis(spec.heartbeat_ms),
                prefix: format!("seat-{seat}"),
                peers: oracle.manager(),
                blocker: oracle.control(me.clone()),
                me,
            };
            let engine = engine::start(context, config, channels).await;
            *shown.lock() = Some((engine.marshal, engine.databases, applied));
            while let Some(block) = finals.recv().await {
                let header = block.block.header();
                seen.lock().insert(header.height, (block.block.hash(), header.state_root));
            }
        });
        self.running[seat] = Some(handle);
    }

    async fn start_all(&mut self, context: &Context) {
        for seat in 0..SEATS {
            self.start(context, seat).await;
        }
    }

    fn kill(&mut self, seat: usize) {
        // The stores stay open as long as anybody looks at them.
        *self.shown[seat].lock() = None;
        if let Some(handle) = self.running[seat].take() {
            handle.abort();
        }
    }

    fn height(&self, seat: usize) -> u64 {
        self.seen[seat].lock().last_key_value().map_or(0, |(height, _)| *height)
    }

    async fn reach(&self, context: &Context, seats: &[usize], height: u64) {
        while seats.iter().any(|seat| self.height(*seat) < height) {
            context.sleep(Duration::from_millis(50)).await;
        }
    }

    /// The chain that all seats agree on; fails where two differ.
    fn agreed(&self) -> BTreeMap<u64, (B256, B256)> {
        let mut agreed = BTreeMap::new();
        for seen in &self.seen {
            for (height, block) in seen.lock().iter() {
                assert_eq!(agreed.entry(*height).or_insert(*block), block, "two blocks at height {height}");
            }
        }
        agreed
    }
}

fn link(latency_ms: u64, success: f64) -> Link {
    Link {
        latency: Duration::from_millis(latency_ms),
        jitter: Duration::from_millis(latency_ms / 5),
        success_rate: success.try_into().unwrap(),
    }
}

fn healthy() -> Link {
    Link { latency: Duration::from_millis(10), jitter: Duration::from_millis(2), success_rate: probability!(1.0) }
}

fn runner(seed: u64) -> deterministic::Runner {
    deterministic::Runner::seeded(seed)
}

#[test]
fn one_seed_is_one_run_under_latency_and_loss() {
    let run = || {
        runner(3).start(|context| async move {
            let mut committee = Committee::new(&context).await;
            committee.link_all(link(30, 0.9)).await;
            committee.start_all(&context).await;
            committee.reach(&context, &[0, 1, 2, 3], 12).await;
            committee.agreed().into_iter().take(12).collect::<Vec<_>>()
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn goes_on_without_one_seat_which_catches_up_from_its_own_disk() {
    runner(1).start(|context| async move {
        let mut committee = Committee::new(&context).await;
        committee.link_all(healthy()).await;
        committee.start_all(&context).await;
        committee.reach(&context, &[0, 1, 2, 3], 5).await;
        committee.kill(2);
        let stopped_at = committee.height(2);
        committee.reach(&context, &[0, 1, 3], stopped_at + 8).await;
        assert_eq!(committee.height(2), stopped_at);
        committee.start(&context, 2).await;
        committee.reach(&context, &[0, 1, 2, 3], stopped_at + 14).await;
        committee.agreed();
    });
}

#[test]
fn halves_stand_still_and_go_on_when_they_meet() {
    runner(2).start(|context| async move {
        let mut committee = Committee::new(&context).await;
        committee.link_all(healthy()).await;
        committee.start_all(&context).await;
        committee.reach(&context, &[0, 1, 2, 3], 4).await;
        committee.cut(&[0, 1], &[2, 3]).await;
        context.sleep(Duration::from_secs(2)).await;
        let stood: Vec<u64> = (0..SEATS).map(|seat| committee.height(seat)).collect();
        context.sleep(Duration::from_secs(20)).await;
        assert_eq!(stood, (0..SEATS).map(|seat| committee.height(seat)).collect::<Vec<_>>());
        committee.heal(&[0, 1], &[2, 3], healthy()).await;
        let highest = stood.iter().max().unwrap() + 5;
        committee.reach(&context, &[0, 1, 2, 3], highest).await;
        committee.agreed();
    });
}

#[test]
fn a_power_cut_of_all_loses_nothing_final() {
    let (before, checkpoint) = runner(4).start_and_recover(|context| async move {
        let mut committee = Committee::new(&context).await;
        committee.link_all(healthy()).await;
        committee.start_all(&context).await;
        committee.reach(&context, &[0, 1, 2, 3], 6).await;
        committee.agreed()
    });
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let mut committee = Committee::new(&context).await;
        committee.link_all(healthy()).await;
        committee.start_all(&context).await;
        let next = *before.last_key_value().unwrap().0 + 5;
        committee.reach(&context, &[0, 1, 2, 3], next).await;
        for (height, block) in committee.agreed() {
            assert!(before.get(&height).is_none_or(|known| *known == block), "height {height} changed");
        }
    });
}

/// Proves `keys` on a block that has a certificate of its own.
async fn state_proof(context: &Context, committee: &Committee, keys: &[StateKey]) -> StateProof {
    let (marshal, databases, applied) = committee.shown[0].lock().clone().unwrap();
    loop {
        let header = applied.borrow().clone();
        if let Some(header) = header
            && let Some(entries) = prove(&databases, &header, keys).await.unwrap()
            && let Some(finalization) = marshal.get_finalization(Height::new(header.height)).await
        {
            let certificate = finalization.encode().to_vec().into();
            return StateProof { header: header.encode().into(), certificate, entries };
        }
        context.sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_light_client_believes_what_the_committee_signed_and_nothing_else() {
    runner(5).start(|context| async move {
        let mut committee = Committee::new(&context).await;
        committee.link_all(healthy()).await;
        committee.start_all(&context).await;
        committee.reach(&context, &[0, 1, 2, 3], 3).await;
        let keys = [Address::repeat_byte(2), Address::repeat_byte(3)].map(StateKey::Account);
        let proof = state_proof(&context, &committee, &keys).await;
        let verifier = Verifier::new(committee.spec.chain_id, &committee.spec.sharing).unwrap();

        let (header, values) = verifier.state(&proof).unwrap();
        assert!(header.height >= 1);
        assert_eq!(Account::decode(&values[0].unwrap()).balance, U256::from(1_000_000u64));
        assert_eq!(values[1], None);

        let forge = |change: &dyn Fn(&mut StateProof)| {
            let mut forged = proof.clone();
            change(&mut forged);
            verifier.state(&forged).unwrap_err()
        };
        let richer = Account { balance: U256::MAX, ..Account::default() };
        let entry = |position| LightError::Entry { position };
        assert_eq!(forge(&|proof| proof.entries[0].value = Some(richer.encode().to_vec().into())), entry(0));
        assert_eq!(forge(&|proof| proof.entries[0].value = None), entry(0));
        assert_eq!(forge(&|proof| proof.entries[1].address = Address::repeat_byte(2)), entry(1));
        assert_eq!(forge(&|proof| proof.entries[1].proof = Default::default()), entry(1));
        let other = Header { state_root: B256::ZERO, ..header.clone() };
        assert_eq!(forge(&|proof| proof.header = other.encode().into()), LightError::OtherBlock);
        let mut flipped = proof.certificate.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(
            forge(&|proof| proof.certificate = flipped.clone().into()),
            LightError::Unsigned | LightError::Certificate(_)
        ));
        let elsewhere = Verifier::new(committee.spec.chain_id + 1, &committee.spec.sharing).unwrap();
        assert_eq!(elsewhere.state(&proof).unwrap_err(), LightError::Unsigned);
    });
}
