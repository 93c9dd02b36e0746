//! Hold a whole network together: the chain, its miners, a client, and what is known of what was stored.

use crate::{
    Broken,
    chance::Chance,
    host::{Host, Place, Site, operator},
    ledger::Ledger,
    link::Link,
    validators::{Clocks, Validators},
    watch::{Seats, Watch},
    weather::{HUB, Weather},
    wire::Wire,
};
use alloy_primitives::{Address, B256, U256};
use client::{
    ChainApi, Client, ClientConfig, Keys, PutOptions, Source,
    chain::{MemoryChain, Network},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use transport::{MemoryNetwork, MemoryTransport};
use types::{
    abi::{AUDITS, IAudits, IVolumes, VOLUMES},
    spec::{AuditSpec, RepairSpec, StorageSpec},
};

/// Time between blocks.
pub const BLOCK: Duration = Duration::from_secs(4);
/// Length of a round.
pub const ROUND: Duration = Duration::from_secs(120);
/// Time between two looks at what must hold.
const LOOK: Duration = Duration::from_secs(20);
/// Longest wait for what is bound to happen.
const PATIENCE: Duration = Duration::from_secs(7_200);
/// Attempts at a read, minutes apart: messages are lost.
const READS_MAX: u32 = 3;
/// Accounts that have funds, beside the client's.
const OPERATORS_MAX: usize = 256;
const BUCKET: &str = "bucket";

/// Regions by number.
pub const REGIONS: [&str; 8] = ["DE", "FR", "US", "JP", "BR", "ZA", "IN", "AU"];

/// Something that was put and acknowledged.
#[derive(Clone, Debug)]
struct Stored {
    bytes: Vec<u8>,
    volumes: BTreeSet<u32>,
}

/// Who makes the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// One process that executes what is sent: fast.
    #[default]
    Memory,
    /// A committee of real validators.
    Validators,
}

/// What a network begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Decides about everything that is left to chance.
    pub seed: u64,
    /// Who makes the chain.
    pub chain: Chain,
}

/// A network.
pub struct Net {
    /// All that a scenario leaves to chance.
    pub chance: Chance,
    /// The chain, without any weather.
    pub chain: Arc<dyn Ledger>,
    /// Who makes the chain, where that is simulated.
    pub validators: Option<Arc<Validators>>,
    /// What lies between all ends.
    pub weather: Weather,
    /// The machines in order of their start.
    pub hosts: Vec<Host>,
    /// A user.
    pub client: Client,
    /// What the chain did.
    pub watch: Watch,
    /// Objects that were put and could not be.
    pub refused_puts: u32,
    /// Reads that succeeded.
    pub reads: u32,
    /// Regions that are cut off.
    pub dark: BTreeSet<usize>,
    objects: BTreeMap<String, Stored>,
    /// Volumes of which more members were gone at once than the code can bear.
    broken_volumes: BTreeSet<u32>,
    site: Site,
    began: Instant,
    _blocks: AbortOnDropHandle<()>,
}

/// Lots of a mebibyte, rounds of two minutes.
pub fn storage() -> StorageSpec {
    let audits = AuditSpec {
        light_divisor: 2,
        deep_divisor: 4,
        samples: 64,
        settled_per_block_max: 64,
        // About as much as the fees of a round: see `Pay` in `docs/spec/audits.md`.
        emission_per_round: U256::from(100_000_000u64),
        ..AuditSpec::devnet_with(ROUND.as_millis() as u64)
    };
    StorageSpec {
        slot_bytes: 64 << 10,
        lot_slots: 16,
        lot_collateral: U256::from(100_000_000_000u64),
        repair: RepairSpec { grace_ms: 240_000, deadline_ms: 1_200_000, ..RepairSpec::default() },
        audits: Some(audits),
        ..StorageSpec::devnet()
    }
}

/// Machines in as many regions as there are, in turn, each in a network of its own.
pub fn places(count: usize, lots: u32) -> Vec<Place> {
    let place = |index: usize| {
        let region = index % REGIONS.len();
        Place { region, code: REGIONS[region], network: index as u32 + 1, lots }
    };
    (0..count).map(place).collect()
}

impl Net {
    /// A network with open volumes, a territory and a bucket.
    pub async fn start(setting: Setting, storage: StorageSpec, places: &[Place]) -> Result<Self, Broken> {
        let Setting { seed, chain } = setting;
        match chain {
            Chain::Memory => Self::start_on_one_process(seed, storage, places).await,
            Chain::Validators => Self::start_with_validators(seed, storage, places, Clocks::default()).await,
        }
    }

    async fn start_on_one_process(seed: u64, storage: StorageSpec, places: &[Place]) -> Result<Self, Broken> {
        let chain = MemoryChain::funding(storage, accounts(), BLOCK);
        let beacons = blake3::hash(&[&b"beacons"[..], &seed.to_be_bytes()].concat());
        let chain = Arc::new(chain.paced(B256::from(*beacons.as_bytes())));
        let blocks = AbortOnDropHandle::new(tokio::spawn(make_blocks(chain.clone(), Instant::now())));
        Self::on(seed, chain, None, blocks, places).await
    }

    /// The same on a chain that validators make by these clocks.
    pub async fn start_with_validators(
        seed: u64,
        storage: StorageSpec,
        places: &[Place],
        clocks: Clocks,
    ) -> Result<Self, Broken> {
        let chain = Validators::start(seed, storage, &accounts(), BLOCK, clocks)?;
        let blocks = AbortOnDropHandle::new(tokio::spawn(chain.clone().keep_pace()));
        chain.begun().await;
        Self::on(seed, chain.clone(), Some(chain), blocks, places).await
    }

    async fn on(
        seed: u64,
        chain: Arc<dyn Ledger>,
        validators: Option<Arc<Validators>>,
        blocks: AbortOnDropHandle<()>,
        places: &[Place],
    ) -> Result<Self, Broken> {
        let (owner, began) = (Keys::devnet(0), Instant::now());
        let (network, weather) = (MemoryNetwork::new(), Weather::default());
        let site = Site { seed, chain: chain.clone(), network: network.clone(), weather: weather.clone() };
        let starting: Vec<_> =
            (0..).zip(places).map(|(i, place)| tokio::spawn(Host::start(site.clone(), i, *place))).collect();
        let mut hosts = Vec::new();
        for host in starting {
            hosts.push(host.await.map_err(|error| Broken::new("miners start", error.to_string()))??);
        }
        let reader = chain.clone().reader(OPERATORS_MAX)?;
        let link = Link::new(reader, weather.clone(), HUB, Chance::new(seed, "client's link"));
        let wire =
            Wire::new(network.join(B256::repeat_byte(0xcc)), weather.clone(), Chance::new(seed, "client's wire"));
        let (link, wire) = (Arc::new(link), Arc::new(wire));
        let client = Client::new(link, wire, owner, ClientConfig::default()).await.map_err(Broken::chain)?;
        let watch = Watch::new(chain.clone())?;
        let mut net = Self {
            chance: Chance::new(seed, "scenario"),
            chain,
            validators,
            weather,
            hosts,
            client,
            watch,
            refused_puts: 0,
            reads: 0,
            dark: BTreeSet::new(),
            objects: BTreeMap::new(),
            broken_volumes: BTreeSet::new(),
            site,
            began,
            _blocks: blocks,
        };
        net.settle_in().await?;
        Ok(net)
    }

    async fn settle_in(&mut self) -> Result<(), Broken> {
        let spec = self.chain.spec().await.map_err(Broken::chain)?;
        let wanted = spec.storage.open_target as usize;
        let chain = self.chain.clone();
        self.until("volumes are formed", async |_| {
            let open = Network(&*chain).open_volumes(0).await.map_err(Broken::chain)?;
            Ok((open.len() >= wanted).then_some(()))
        })
        .await?;
        let reserve = U256::from(1_000_000_000_000_000_000u64);
        let call = IAudits::fundCall {};
        // The weather may take any of these.
        insist(async || self.client.sender().call(AUDITS, reserve, &call).await.map(drop)).await?;
        insist(async || self.client.buy_territory(256 << 20, 30).await.map(drop)).await?;
        let territories = self.client.list_territories().await;
        let territory = territories.map_err(|error| Broken::new("territories are listed", error.to_string()))?;
        let territory = territory.first().map(|territory| territory.id).unwrap_or_default();
        insist(async || self.client.create_bucket(BUCKET, territory).await.map(drop)).await
    }

    /// Virtual time since the start.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets time pass, and checks what must hold.
    pub async fn pass(&mut self, time: Duration) -> Result<(), Broken> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + LOOK)).await;
            self.look().await?;
        }
        Ok(())
    }

    /// Lets time pass until `seen` sees something.
    pub async fn until<T>(
        &mut self,
        what: &'static str,
        mut seen: impl AsyncFnMut(&mut Self) -> Result<Option<T>, Broken>,
    ) -> Result<T, Broken> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = seen(self).await? {
                return Ok(seen);
            }
            if Instant::now() > end {
                return Err(Broken::new(what, "not in time".into()));
            }
            self.pass(LOOK).await?;
        }
    }

    async fn look(&mut self) -> Result<(), Broken> {
        self.watch.look().await?;
        self.validators.iter().try_for_each(|validators| validators.check())?;
        let spec = self.chain.spec().await.map_err(Broken::chain)?;
        let bearable = usize::from(spec.storage.profile.total() - spec.storage.profile.data());
        for (id, gone) in self.gone() {
            if gone > bearable {
                self.broken_volumes.insert(id);
            }
        }
        Ok(())
    }

    /// For each volume the number of seats whose holder has nothing to give at the moment.
    pub fn gone(&self) -> BTreeMap<u32, usize> {
        let is_gone = |miner: &u32| {
            let host = self.hosts.iter().find(|host| host.number == *miner);
            host.is_none_or(|host| host.is_dead || self.dark.contains(&host.place.region))
        };
        let gone = |seats: &Seats| {
            (0u16..).zip(&seats.miners).filter(|(seat, miner)| seats.lost.contains(seat) || is_gone(miner)).count()
        };
        self.watch.volumes.iter().map(|(id, seats)| (*id, gone(seats))).collect()
    }

    /// Whether no volume waits for a repair: sealed ones are left alone while they have more than their trigger.
    pub async fn is_at_rest(&self) -> Result<bool, Broken> {
        let chain = Network(&*self.chain);
        for (volume, gone) in self.gone().into_iter().filter(|(_, gone)| *gone > 0) {
            let health = chain.read(VOLUMES, &IVolumes::healthCall { volume }).await.map_err(Broken::chain)?;
            if usize::from(health.seats) <= gone + usize::from(health.trigger) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a miner has no seat, or only lost ones.
    pub fn is_out(&self, miner: u32) -> bool {
        let seats = |seats: &Seats| {
            (0u16..).zip(&seats.miners).all(|(seat, holder)| *holder != miner || seats.lost.contains(&seat))
        };
        self.watch.volumes.values().all(seats)
    }

    /// Another program of the user's, with nothing but air between it and the miners.
    pub fn uploader(&self) -> MemoryTransport {
        self.site.network.join(B256::repeat_byte(0xcd))
    }

    /// Puts an object of so many bytes under the next key. One that is refused is no object.
    pub async fn put(&mut self, bytes: usize) -> Result<(), Broken> {
        let key = format!("object {}", self.objects.len() + self.refused_puts as usize);
        let bytes = self.chance.bytes(bytes);
        match self.client.put(BUCKET, &key, Source::bytes(bytes.clone()), PutOptions::default()).await {
            Ok(report) => {
                self.objects.insert(key, Stored { bytes, volumes: report.volumes });
            }
            Err(_) => self.refused_puts += 1,
        }
        self.look().await
    }

    /// Objects that were acknowledged.
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// Reads one of the objects.
    pub async fn read_any(&mut self) -> Result<(), Broken> {
        let keys: Vec<&String> = self.objects.keys().collect();
        let Some(key) = self.chance.choose(&keys).cloned() else { return Ok(()) };
        self.read(&key).await
    }

    /// Reads all objects.
    pub async fn read_all(&mut self) -> Result<(), Broken> {
        for key in self.objects.keys().cloned().collect::<Vec<_>>() {
            self.read(&key).await?;
        }
        Ok(())
    }

    async fn read(&mut self, key: &str) -> Result<(), Broken> {
        let stored = self.objects[key].clone();
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.client.read(BUCKET, key, None).await {
                Ok(bytes) if bytes == stored.bytes => {
                    self.reads += 1;
                    return Ok(());
                }
                Ok(_) => return Err(Broken::new("objects read as they were written", key.into())),
                Err(_) if attempt < READS_MAX => self.pass(Duration::from_secs(60)).await?,
                // The index may be in any volume.
                Err(_) if !self.broken_volumes.is_empty() => return Ok(()),
                Err(error) => {
                    return Err(Broken::new(
                        "no acknowledged object is lost",
                        format!("{key}, in {:?}: {error}", stored.volumes),
                    ));
                }
            }
        }
    }

    /// Starts one more machine.
    pub async fn join(&mut self, place: Place) -> Result<usize, Broken> {
        let index = self.hosts.len();
        self.hosts.push(Host::start(self.site.clone(), index, place).await?);
        Ok(index)
    }

    /// Kills a machine for good.
    pub async fn kill(&mut self, index: usize) {
        let number = self.hosts[index].number;
        self.watch.suspects.insert(number);
        self.hosts[index].die().await;
    }

    /// Machines that run.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|index| !self.hosts[*index].is_dead).collect()
    }

    /// Volumes that a miner has a seat in.
    pub fn volumes_of(&self, miner: u32) -> Vec<u32> {
        let of = self.watch.volumes.iter().filter(|(_, seats)| seats.miners.contains(&miner));
        of.map(|(id, _)| *id).collect()
    }
}

/// Tries what the weather may prevent.
pub(crate) async fn insist<T, E: std::fmt::Display>(mut act: impl AsyncFnMut() -> Result<T, E>) -> Result<T, Broken> {
    for _ in 0..8 {
        if let Ok(done) = act().await {
            return Ok(done);
        }
        tokio::time::sleep(BLOCK * 2).await;
    }
    act().await.map_err(|error| Broken::new("a network is set up", error.to_string()))
}

/// Who has funds.
fn accounts() -> Vec<Address> {
    (0..OPERATORS_MAX).map(|index| operator(index).address()).chain([Keys::devnet(0).address()]).collect()
}

async fn make_blocks(chain: Arc<MemoryChain>, began: Instant) {
    let genesis_ms = chain.head().await.map_or(0, |head| head.timestamp_ms);
    loop {
        tokio::time::sleep(BLOCK).await;
        chain.tick(genesis_ms + began.elapsed().as_millis() as u64);
    }
}
