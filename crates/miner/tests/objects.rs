//! Put and get objects with the real client, against real miners on disks in memory.

use alloy_primitives::{B256, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolEvent;
use client::{
    ChainApi, ChallengeError, ChallengeState, Client, ClientConfig, Event, Progress, PutOptions, Source,
    chain::{LogFilter, MemoryChain, Network},
};
use miner::{Keys, Miner, MinerConfig, MinerHandle, RepairConfig};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use store::{MemoryDisk, Store, StoreConfig};
use tokio::sync::Notify;
use transport::{MemoryNetwork, memory::Behaviour};
use types::{
    ReceiptKey,
    abi::{IMiners, IVolumes, MINERS, VOLUMES},
    spec::{AuditSpec, StorageSpec},
};

const MINER_COUNT: usize = 8;
/// Real time for what takes minutes of the chain's.
const PATIENCE: Duration = Duration::from_secs(240);
/// Time between blocks while nothing is sent, for each that waits.
const HEARTBEAT: Duration = Duration::from_millis(50);

fn operator(index: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(index as u8 + 1)).expect("a key")
}

fn peer(index: usize) -> B256 {
    B256::repeat_byte(index as u8 + 1)
}

fn storage() -> StorageSpec {
    StorageSpec { slot_bytes: 128 << 10, lot_slots: 64, open_target: 2, ..StorageSpec::devnet() }
}

async fn start(chain: &Arc<MemoryChain>, network: &MemoryNetwork, disk: &MemoryDisk, index: usize) -> MinerHandle {
    let transport = network.join(peer(index));
    let (store, _) = Store::open(disk.clone(), StoreConfig { capacity_bytes: 1 << 30 }).expect("the disk works");
    let (endpoint, repair) = (transport.endpoint(), RepairConfig::default());
    let config = MinerConfig { region: "DE".into(), network: 64_512, lots: 4, endpoint, repair };
    let keys = Keys { operator: operator(index), receipt: ReceiptKey::derive(&[index as u8 + 1; 32]) };
    let miner = Miner::start(config, chain.clone(), Arc::new(transport.clone()), store, keys).await.expect("starts");
    transport.serve(miner.service());
    miner
}

/// A network with open volumes, and a client that owns a territory and a bucket.
struct Net {
    chain: Arc<MemoryChain>,
    network: MemoryNetwork,
    disks: Vec<MemoryDisk>,
    miners: Vec<MinerHandle>,
    client: Client,
}

impl Net {
    async fn new() -> Self {
        Self::with(MINER_COUNT, storage()).await
    }

    async fn with(miner_count: usize, storage: StorageSpec) -> Self {
        let accounts =
            (0..miner_count).map(|index| operator(index).address()).chain([client::Keys::devnet(0).address()]);
        let chain = Arc::new(MemoryChain::funding(storage, accounts, HEARTBEAT));
        let network = MemoryNetwork::new();
        let disks: Vec<_> = (0..miner_count).map(|_| MemoryDisk::new(4 << 30)).collect();
        let mut miners = Vec::new();
        for (index, disk) in disks.iter().enumerate() {
            miners.push(start(&chain, &network, disk, index).await);
            miners[index].registered().await.expect("it has funds");
        }
        while Network(&*chain).open_volumes(0).await.expect("answers").len() < 2 {
            chain.advance();
        }
        let client = connect(&chain, &network, 0xcc).await;
        let territory = client.buy_territory(1 << 30, 30).await.expect("buys");
        client.create_bucket("bucket", territory).await.expect("creates");
        Self { chain, network, disks, miners, client }
    }
}

/// A program of the owner's.
async fn connect(chain: &Arc<MemoryChain>, network: &MemoryNetwork, id: u8) -> Client {
    let transport = Arc::new(network.join(B256::repeat_byte(id)));
    let owner = client::Keys::devnet(0);
    Client::new(chain.clone(), transport, owner, ClientConfig::default()).await.expect("connects")
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut object = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut object);
    object
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_survive_a_restart_of_all_miners_and_the_loss_of_half() {
    let Net { chain, network, disks, mut miners, client } = Net::new().await;
    let object = noise(3_000_000);
    client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await.expect("puts");

    // All are killed, and lose what was not synced.
    let height = chain.head().await.expect("answers").height;
    let disks: Vec<_> = disks.iter().map(|disk| disk.after_crash(7)).collect();
    for (index, disk) in disks.iter().enumerate() {
        let again = start(&chain, &network, disk, index).await;
        std::mem::replace(&mut miners[index], again).stop().await;
        miners[index].followed(height).await.expect("it runs");
    }
    assert_eq!(client.read("bucket", "key", None).await.expect("reads"), object);
    for index in 0..MINER_COUNT / 2 {
        network.set_behaviour(peer(index), Behaviour::Gone);
    }
    assert_eq!(client.read("bucket", "key", None).await.expect("reads from the rest"), object);
}

/// What a program staged that was killed is on the books of the lease until that ends: others must get by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_were_killed_while_staging_leave_room_for_the_next() {
    let net = Net::new().await;
    let object = noise(3_000_000);
    for id in 0..3 {
        let client = connect(&net.chain, &net.network, id).await;
        let (staged, reached) = (AtomicU64::new(0), Arc::new(Notify::new()));
        let notify = reached.clone();
        let progress = Progress::new(move |event| {
            if let Event::Staged(bytes) = event
                && staged.fetch_add(bytes, Ordering::Relaxed) + bytes > 2_500_000
            {
                notify.notify_one();
            }
        });
        // Every attempt seals under a key of its own.
        let options = PutOptions { progress, ..PutOptions::default() };
        tokio::select! {
            result = client.put("bucket", "killed", Source::bytes(object.clone()), options) => {
                panic!("it was to be cut off, but ended: {result:?}")
            }
            () = reached.notified() => {}
        }
    }
    let client = connect(&net.chain, &net.network, 9).await;
    let report = client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await;
    assert!(!report.expect("puts").degraded);
    assert_eq!(client.read("bucket", "key", None).await.expect("reads"), object);
}

/// Lets time pass until `look` sees something; blocks are a second apart.
async fn until<T>(net: &Net, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        // Blocks come with the miners' own transactions, or by a heartbeat.
        let height = net.chain.head().await.expect("answers").height;
        net.chain.wait_above(height).await.expect("a block");
        net.chain.skip(Duration::from_secs(1));
    }
}

/// The seats of a volume as the chain knows them.
async fn seats(net: &Net, volume: u32) -> Vec<IVolumes::Seat> {
    let calls: Vec<_> = (0..8).map(|seat| IVolumes::seatOfCall { volume, seat }).collect();
    Network(&*net.chain).read_many(VOLUMES, &calls).await.expect("answers")
}

/// Nobody is told that a miner is gone: it is missed by the rounds, replaced by lot, and its column is made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_is_gone_for_good_is_replaced_and_its_column_rebuilt() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let mut net = Net::with(10, StorageSpec { audits: Some(audits), ..storage() }).await;
    let object = noise(3_000_000);
    net.client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await.expect("puts");
    let (volume, members) = written(&net).await;
    let gone = members[0];
    net.network.set_behaviour(peer(gone as usize - 1), Behaviour::Gone);
    net.miners.remove(gone as usize - 1).stop().await;

    let newcomer = until(&net, "another miner has the seat and the column", async || {
        let seats = seats(&net, volume).await;
        let is_whole = seats.iter().all(|seat| matches!(seat.state, 0 | 5));
        (is_whole && seats[0].miner != gone).then_some(seats[0].miner)
    })
    .await;
    assert!(!members.contains(&newcomer));
    // A grace later it is paid.
    until(&net, "the rebuild is settled", async || (seats(&net, volume).await[0].state == 0).then_some(())).await;
    // With four of the old members gone as well, the newcomer's fragments are needed.
    for miner in members.iter().skip(1).take(4) {
        net.network.set_behaviour(peer(*miner as usize - 1), Behaviour::Gone);
    }
    assert_eq!(net.client.read("bucket", "key", None).await.expect("reads"), object);
}

/// Who owes nothing yet is asked for nothing by the rounds, and is missed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_owed_nothing_and_is_gone_is_replaced() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let mut net = Net::with(10, StorageSpec { audits: Some(audits), ..storage() }).await;
    let members = Network(&*net.chain).volume(1).await.expect("answers").miners;
    let gone = members[0] as usize - 1;
    net.network.set_behaviour(peer(gone), Behaviour::Gone);
    net.miners.remove(gone).stop().await;
    let newcomer = until(&net, "another miner has the seat", async || {
        let seat = seats(&net, 1).await[0].clone();
        (seat.miner != members[0] && matches!(seat.state, 0 | 5)).then_some(seat.miner)
    })
    .await;
    assert!(!members.contains(&newcomer));
}

/// A volume that has stripes, and its members.
async fn written(net: &Net) -> (u32, Vec<u32>) {
    let network = Network(&*net.chain);
    for id in 1..=network.volume_count().await.expect("answers") {
        let record = network.volume(id).await.expect("answers");
        if record.stripeCount > 0 {
            return (id, record.miners);
        }
    }
    panic!("nothing was written")
}

/// A miner that comes back within the grace takes its seat back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_was_silent_takes_its_seat_back() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let mut net = Net::with(10, StorageSpec { audits: Some(audits), ..storage() }).await;
    net.client.put("bucket", "key", Source::bytes(noise(3_000_000)), PutOptions::default()).await.expect("puts");
    let (volume, members) = written(&net).await;
    let silent = members[0] as usize - 1;
    let disk = net.disks[silent].after_crash(3);
    net.miners.remove(silent).stop().await;
    until(&net, "the seat is lost", async || (seats(&net, volume).await[0].state == 1).then_some(())).await;
    let again = start(&net.chain, &net.network, &disk, silent).await;
    net.miners.push(again);
    until(&net, "it is taken back", async || (seats(&net, volume).await[0].state == 0).then_some(())).await;
    assert_eq!(seats(&net, volume).await[0].miner, members[0]);
}

/// What a member missed while it could not be reached it rebuilds afterwards, and owes from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_degraded_write_heals() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let net = Net::with(8, StorageSpec { audits: Some(audits), ..storage() }).await;
    net.network.set_behaviour(peer(0), Behaviour::Gone);
    let report = net.client.put("bucket", "key", Source::bytes(noise(300_000)), PutOptions::default()).await;
    assert!(report.expect("puts").degraded);
    net.network.set_behaviour(peer(0), Behaviour::Honest);
    let network = Network(&*net.chain);
    until(&net, "nothing is missing", async || {
        let (volume, members) = written(&net).await;
        let stripes = network.volume(volume).await.expect("answers").stripeCount;
        let calls: Vec<_> = (0..stripes).map(|index| IVolumes::missingOfCall { volume, index }).collect();
        let missing = network.read_many(VOLUMES, &calls).await.expect("answers");
        (members.contains(&1) && missing.iter().all(|bits| bits.iter().all(|byte| *byte == 0))).then_some(())
    })
    .await;
    let topics = [Some(vec![IVolumes::Healed::SIGNATURE_HASH]), None, None, None];
    let healed = net.chain.logs(LogFilter { from: 1, to: None, address: VOLUMES, topics }).await.expect("answers");
    assert!(!healed.is_empty());
}

/// Whoever retires keeps its seats until others have its columns, and then has all of its collateral back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_retires_hands_its_seats_over_and_is_paid_back() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let net = Net::with(10, StorageSpec { audits: Some(audits), ..storage() }).await;
    let object = noise(3_000_000);
    net.client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await.expect("puts");
    let (volume, members) = written(&net).await;
    let leaver = members[2];
    let sender = client::Sender::new(net.chain.clone(), operator(leaver as usize - 1));
    until(&net, "no round holds its lots", async || {
        match sender.call(MINERS, U256::ZERO, &IMiners::retireCall {}).await {
            Ok(_) => Some(()),
            Err(error) if error.is_revert::<IMiners::RoundPending>() => None,
            Err(error) if error.is_revert::<IMiners::DrawPending>() => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    let network = Network(&*net.chain);
    until(&net, "it has no seat and no collateral any more", async || {
        let record = network.miner(leaver).await.expect("answers");
        let standing = network.read(MINERS, &IMiners::standingCall { id: leaver }).await.expect("answers");
        (record.lots == 0 && record.collateral.is_zero() && standing.parting.is_zero()).then_some(())
    })
    .await;
    assert!(!network.volume(volume).await.expect("answers").miners.contains(&leaver));
    let left = [Some(vec![IMiners::LotLeft::SIGNATURE_HASH]), None, None, None];
    let left = net.chain.logs(LogFilter { from: 1, to: None, address: MINERS, topics: left }).await.expect("answers");
    let left: Vec<_> = left.iter().map(|log| IMiners::LotLeft::decode_log(&log.log).expect("decodes").data).collect();
    assert!(!left.is_empty() && left.iter().all(|lot| lot.miner == leaver && lot.forfeited.is_zero()), "{left:?}");
    // With four of the old members gone as well, the successor's fragments are needed.
    net.network.set_behaviour(peer(leaver as usize - 1), Behaviour::Gone);
    for miner in members.iter().filter(|miner| **miner != leaver).take(4) {
        net.network.set_behaviour(peer(*miner as usize - 1), Behaviour::Gone);
    }
    // Chain time flies here: what the writer knows of the members counts as fresh still.
    let reader = connect(&net.chain, &net.network, 0xdd).await;
    assert_eq!(reader.read("bucket", "key", None).await.expect("reads"), object);
}

/// Whoever doubts that an object is held pays to see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_challenges_the_members_that_hold_an_object() {
    let audits = AuditSpec { light_divisor: 4, deep_divisor: 16, ..AuditSpec::devnet() };
    let net = Net::with(8, StorageSpec { audits: Some(audits), ..storage() }).await;
    net.client.put("bucket", "key", Source::bytes(noise(300_000)), PutOptions::default()).await.expect("puts");
    let (segment, volume) = net.client.segments_of("bucket", "key").await.expect("answers")[0];
    let challenges = until(&net, "a round has begun that knows of it", async || {
        match net.client.challenge(segment, volume, &[0, 5]).await {
            Ok(challenges) => Some(challenges),
            Err(ChallengeError::TooNew { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    assert_eq!(challenges.iter().map(|challenge| challenge.seat).collect::<Vec<_>>(), [0, 5]);
    for challenge in &challenges {
        let state = until(&net, "it is answered", async || {
            let state = net.client.challenge_state(challenge).await.expect("answers");
            (state != ChallengeState::Open).then_some(state)
        })
        .await;
        assert_eq!(state, ChallengeState::Answered);
    }
    let unknown = net.client.challenge(B256::repeat_byte(7), volume, &[0]).await;
    assert!(matches!(unknown, Err(ChallengeError::NotStored { .. })), "{unknown:?}");
}
