//! Choose the volume of each segment, and keep a lease on it.

use super::WriteError;
use crate::{
    SendError, Sender,
    chain::{ChainError, Head, Network, OpenVolume},
    directory::Directory,
    peers::Scoreboard,
    progress::{Event, Progress},
};
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, futures::Notified},
    time::Instant,
};
use types::{
    Profile,
    abi::{ITerritories, IVolumes, TERRITORIES, VOLUMES},
    layout::volumes::LeaseQuery,
    spec::StorageSpec,
};

/// Age after which the list of open volumes is read anew.
const STALE: Duration = Duration::from_secs(10);
/// How long a volume that failed is left alone.
const SHUNNED: Duration = Duration::from_secs(20);
/// How long a lease is taken for.
const LEASE_MS: u64 = 3_600_000;
/// What must be left of a lease for another segment.
const LEASE_LEFT_MS: u64 = 120_000;
/// Full segments that a lease is taken for at least, where quota and room allow: it serves the next puts too.
const LEASE_SEGMENTS_MIN: u64 = 8;
/// Most full segments that one lease is taken for at a time.
const LEASE_SEGMENTS_MAX: u64 = 64;
/// Billed bytes that are kept free for index pages, so that objects can be removed from a territory that is full.
const RESERVE_BYTES_MAX: u64 = 64 << 20;
/// Part of a territory that is kept free.
const RESERVE_SHARE: u64 = 64;
/// Days in the past that are looked at for quota to take back.
const RECLAIM_DAYS: u32 = 60;
const DAY_MS: u64 = 24 * 3_600_000;
/// Part of the free quota that a lease takes at most, beyond what is needed at once.
const LEASE_SHARE: u64 = 4;

/// What a write will take, as far as it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// Bytes of each column that may be assigned soon, the present segment included.
    pub(crate) expected_bytes: u64,
    /// Whether it must leave room for index pages that free space.
    pub(crate) keeps_reserve: bool,
}

/// Assigns volumes to the segments of one territory.
pub(crate) struct Allocator {
    pub(super) sender: Arc<Sender>,
    pub(super) directory: Arc<Directory>,
    pub(super) peers: Arc<Scoreboard>,
    pub(super) storage: StorageSpec,
    pub(super) profile: Profile,
    pub(super) policy: u32,
    pub(super) territory: u64,
    pub(super) parallel: usize,
    pub(super) timeout: Duration,
    state: Mutex<State>,
    starved: Notify,
    /// Held while a lease is taken ahead.
    leasing_ahead: Mutex<()>,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<u32, Slot>,
    read_at: Option<Instant>,
}

/// What we know and plan of one volume.
struct Slot {
    volume: Arc<OpenVolume>,
    open: bool,
    /// Bytes of each column, as far as we know.
    column_bytes: u64,
    /// Bytes of each column that we assigned and did not commit yet.
    assigned_bytes: u64,
    /// What the lease still gives for more.
    lease_left_bytes: u64,
    lease_until_ms: u64,
    leased_at: Option<Instant>,
    shunned_until: Option<Instant>,
}

impl Allocator {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        sender: Arc<Sender>,
        directory: Arc<Directory>,
        peers: Arc<Scoreboard>,
        storage: StorageSpec,
        profile: Profile,
        policy: u32,
        territory: u64,
        parallel: usize,
        timeout: Duration,
    ) -> Self {
        let (state, starved, leasing_ahead) = (Mutex::default(), Notify::new(), Mutex::default());
        Self {
            sender,
            directory,
            peers,
            storage,
            profile,
            policy,
            territory,
            parallel,
            timeout,
            state,
            starved,
            leasing_ahead,
        }
    }

    /// Assigns a volume to a segment with fragments of this length.
    pub(crate) async fn assign(
        &self,
        fragment_bytes: u64,
        demand: Demand,
        avoid: &BTreeSet<u32>,
        progress: &Progress,
    ) -> Result<Arc<OpenVolume>, WriteError> {
        let started = Instant::now();
        let mut head = self.sender.chain().head().await?;
        loop {
            if let Some(volume) = self.assign_now(fragment_bytes, demand, avoid, &head).await? {
                return Ok(volume);
            }
            if started.elapsed() > self.timeout {
                return Err(WriteError::NoVolume { waited_s: started.elapsed().as_secs() });
            }
            progress.event(Event::WaitingForVolume);
            // A volume that is full of what we staged closes, and the next one forms, only once that is committed.
            self.starved.notify_waiters();
            head = self.sender.chain().wait_above(head.height).await?;
            self.state.lock().await.read_at = None;
        }
    }

    /// Resolves whenever a segment found no volume.
    pub(crate) fn starved(&self) -> Notified<'_> {
        self.starved.notified()
    }

    async fn assign_now(
        &self,
        fragment_bytes: u64,
        demand: Demand,
        avoid: &BTreeSet<u32>,
        head: &Head,
    ) -> Result<Option<Arc<OpenVolume>>, WriteError> {
        let mut state = self.state.lock().await;
        if state.read_at.is_none_or(|read_at| read_at.elapsed() > STALE) {
            self.read(&mut state).await?;
        }
        while let Some(id) = self.choose(&state, fragment_bytes, avoid) {
            if self.lease(&mut state, id, fragment_bytes, demand, head).await? {
                let slot = state.slots.get_mut(&id).expect("chosen among the slots");
                slot.assigned_bytes += fragment_bytes;
                slot.lease_left_bytes -= fragment_bytes;
                return Ok(Some(slot.volume.clone()));
            }
        }
        Ok(None)
    }

    /// Notes that segments of these column bytes are in the chain.
    pub(crate) async fn committed(&self, volume: u32, column_bytes: u64) {
        if let Some(slot) = self.state.lock().await.slots.get_mut(&volume) {
            slot.assigned_bytes = slot.assigned_bytes.saturating_sub(column_bytes);
            slot.column_bytes += column_bytes;
        }
    }

    /// Notes that segments will not be committed to a volume after all; and that it had better be left alone.
    pub(crate) async fn gave_up(&self, volume: u32, column_bytes: u64) {
        if let Some(slot) = self.state.lock().await.slots.get_mut(&volume) {
            slot.assigned_bytes = slot.assigned_bytes.saturating_sub(column_bytes);
            slot.shunned_until = Some(Instant::now() + SHUNNED);
        }
    }

    /// The best of the volumes with room.
    fn choose(&self, state: &State, fragment_bytes: u64, avoid: &BTreeSet<u32>) -> Option<u32> {
        let now = Instant::now();
        let usable = state.slots.iter().filter(|(id, slot)| {
            let shunned = slot.shunned_until.is_some_and(|until| until > now);
            slot.open && !shunned && !avoid.contains(id) && self.room(slot) >= fragment_bytes
        });
        // The volumes with the most members that answer; of equals those that we have a lease on, which come at no cost.
        let mut ranked: Vec<_> = usable
            .map(|(id, slot)| {
                let members = slot.volume.members.iter();
                let silent = members.filter(|member| {
                    member.endpoint.as_ref().is_none_or(|endpoint| self.peers.is_resting(&endpoint.id(), now))
                });
                (silent.count(), slot.lease_left_bytes < fragment_bytes && slot.assigned_bytes == 0, *id)
            })
            .collect();
        ranked.sort_unstable();
        ranked.truncate(self.parallel.max(1));
        let least_busy = |(silent, _, id): &&(usize, bool, u32)| {
            let slot = &state.slots[id];
            // Spread only over volumes that are equally well off.
            (*silent, slot.assigned_bytes, slot.lease_left_bytes < fragment_bytes, *id)
        };
        ranked.iter().min_by_key(least_busy).map(|(_, _, id)| *id)
    }

    fn room(&self, slot: &Slot) -> u64 {
        self.storage.lot_bytes().saturating_sub(slot.column_bytes).saturating_sub(slot.assigned_bytes)
    }

    /// Makes sure that the lease gives what the segment needs; false if the volume turned out to be closed.
    async fn lease(
        &self,
        state: &mut State,
        id: u32,
        fragment_bytes: u64,
        demand: Demand,
        head: &Head,
    ) -> Result<bool, WriteError> {
        let slot = &state.slots[&id];
        let expires = slot.lease_until_ms < head.timestamp_ms + LEASE_LEFT_MS;
        if slot.lease_left_bytes >= fragment_bytes && !expires {
            return Ok(true);
        }
        let (call, column_bytes) = self.lease_call(state, id, fragment_bytes, demand, head).await?;
        let result = self.sender.call(VOLUMES, U256::ZERO, &call).await;
        self.leased(state, id, &call, column_bytes, result.map(|_| ()))
    }

    /// The lease to take on a volume.
    async fn lease_call(
        &self,
        state: &mut State,
        id: u32,
        fragment_bytes: u64,
        demand: Demand,
        head: &Head,
    ) -> Result<(IVolumes::leaseCall, u64), WriteError> {
        let slot = &state.slots[&id];
        let open_count = state.slots.values().filter(|slot| slot.open).count().clamp(1, self.parallel.max(1)) as u64;
        // No lease may promise more than the volume has room for.
        let needed = fragment_bytes.saturating_sub(slot.lease_left_bytes);
        let most =
            self.room(slot).saturating_sub(slot.lease_left_bytes).min(LEASE_SEGMENTS_MAX * self.storage.slot_bytes);
        let wish = (demand.expected_bytes / open_count).max(LEASE_SEGMENTS_MIN * self.storage.slot_bytes);
        let wish = wish.clamp(needed, most.max(needed));
        let column_bytes = self.affordable(state, wish, needed, demand, head).await?;
        let until_ms = head.timestamp_ms + LEASE_MS.min(self.storage.lease_max_ms.saturating_sub(60_000)).max(1_000);
        let call = IVolumes::leaseCall {
            territory: self.territory,
            volumes: vec![id],
            columnBytes: column_bytes,
            untilMs: until_ms,
        };
        Ok((call, column_bytes))
    }

    /// Notes what became of a lease; false if the volume turned out to be closed.
    fn leased(
        &self,
        state: &mut State,
        id: u32,
        call: &IVolumes::leaseCall,
        column_bytes: u64,
        result: Result<(), SendError>,
    ) -> Result<bool, WriteError> {
        let Some(slot) = state.slots.get_mut(&id) else { return Ok(false) };
        match result {
            Ok(()) => {
                slot.lease_left_bytes += column_bytes;
                slot.lease_until_ms = slot.lease_until_ms.max(call.untilMs);
                slot.leased_at = Some(Instant::now());
                Ok(true)
            }
            Err(error) if error.is_revert::<IVolumes::VolumeClosed>() => {
                slot.open = false;
                Ok(false)
            }
            // With what others of this territory have leased, it would be more than the volume has room for.
            Err(error) if error.is_revert::<IVolumes::InvalidLease>() => {
                slot.shunned_until = Some(Instant::now() + SHUNNED);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Leases more of a volume that is written to, before what is left of its lease is used up. Others write meanwhile.
    pub(crate) async fn lease_ahead(&self) -> Result<(), WriteError> {
        let Ok(_turn) = self.leasing_ahead.try_lock() else { return Ok(()) };
        let head = self.sender.chain().head().await?;
        let low_bytes = LEASE_SEGMENTS_MIN * self.storage.slot_bytes / 2;
        let (id, call, column_bytes) = {
            let mut state = self.state.lock().await;
            let is_low = |slot: &Slot| {
                slot.lease_left_bytes < low_bytes || slot.lease_until_ms < head.timestamp_ms + 2 * LEASE_LEFT_MS
            };
            let now = Instant::now();
            let mut low = state.slots.iter().filter(|(_, slot)| {
                let shunned = slot.shunned_until.is_some_and(|until| until > now);
                slot.open && !shunned && slot.leased_at.is_some() && is_low(slot) && self.room(slot) >= 2 * low_bytes
            });
            let Some(id) = low.next().map(|(id, _)| *id) else { return Ok(()) };
            let left = state.slots[&id].lease_left_bytes;
            let demand = Demand { expected_bytes: 0, keeps_reserve: true };
            let (call, column_bytes) = self.lease_call(&mut state, id, left, demand, &head).await?;
            if column_bytes == 0 {
                return Ok(());
            }
            (id, call, column_bytes)
        };
        let result = self.sender.call(VOLUMES, U256::ZERO, &call).await;
        self.leased(&mut *self.state.lock().await, id, &call, column_bytes, result.map(|_| ())).map(|_| ())
    }

    /// Leases more of a volume whose members say that less is left than we thought: another program stages on the same
    /// lease, or one that was killed did. Once is enough for all that were refused since `since`. False if it takes no
    /// more.
    pub(crate) async fn lease_again(
        &self,
        id: u32,
        fragment_bytes: u64,
        demand: Demand,
        since: Instant,
    ) -> Result<bool, WriteError> {
        let head = self.sender.chain().head().await?;
        let mut state = self.state.lock().await;
        let Some(slot) = state.slots.get_mut(&id) else { return Ok(false) };
        if slot.leased_at.is_some_and(|leased_at| leased_at > since) {
            return Ok(true);
        }
        slot.lease_left_bytes = 0;
        let leased = self.lease(&mut state, id, fragment_bytes, demand, &head).await?;
        if let Some(slot) = state.slots.get_mut(&id).filter(|_| leased) {
            slot.lease_left_bytes = slot.lease_left_bytes.saturating_sub(fragment_bytes);
        }
        Ok(leased)
    }

    /// How much of a wish the territory's free quota allows.
    async fn affordable(
        &self,
        state: &mut State,
        wish: u64,
        needed: u64,
        demand: Demand,
        head: &Head,
    ) -> Result<u64, WriteError> {
        let seats = u64::from(self.profile.total());
        let bytes_needed = needed * seats;
        let mut free = self.free_bytes(demand).await?;
        if free < bytes_needed && self.end_leases(state, head).await? {
            free = self.free_bytes(demand).await?;
        }
        if free < bytes_needed && self.reclaim(head).await? {
            free = self.free_bytes(demand).await?;
        }
        if free < bytes_needed {
            let territory = self.territory;
            return Err(WriteError::TerritoryFull { territory, bytes_free: free, bytes_needed });
        }
        let share = (free / LEASE_SHARE / seats).max(needed);
        Ok(wish.min(share) / types::segment::FRAGMENT_STEP_BYTES * types::segment::FRAGMENT_STEP_BYTES)
    }

    /// Billed bytes that a demand may take.
    async fn free_bytes(&self, demand: Demand) -> Result<u64, WriteError> {
        let territory = Network(&**self.sender.chain()).territory(self.territory).await?;
        let kept = if demand.keeps_reserve { self.reserve_bytes(territory.bytesBought) } else { 0 };
        let taken = territory.bytesUsed.saturating_add(territory.bytesLeased).saturating_add(kept);
        Ok(territory.bytesBought.saturating_sub(taken))
    }

    /// What a put leaves of so much space: at least a short stripe, unless that is much of it.
    fn reserve_bytes(&self, bought: u64) -> u64 {
        let stripe = u64::from(self.profile.total()) * types::segment::FRAGMENT_BYTES_MIN;
        if bought < stripe * 8 { 0 } else { (bought / RESERVE_SHARE).clamp(stripe, RESERVE_BYTES_MAX.max(stripe)) }
    }

    /// Takes back the quota of what was released before its term's end, for the terms that are over; whether there was any.
    async fn reclaim(&self, head: &Head) -> Result<bool, WriteError> {
        let today = u32::try_from(head.timestamp_ms / DAY_MS).unwrap_or(u32::MAX);
        let days = today.saturating_sub(RECLAIM_DAYS)..today;
        let calls = days.map(|day| ITerritories::reclaimCall { territory: self.territory, day });
        let mut reclaimed = false;
        for call in calls {
            // Most days have nothing: ask before paying for a transaction.
            match self.sender.chain().call(TERRITORIES, call.abi_encode().into()).await {
                Ok(_) => {
                    self.sender.call(TERRITORIES, U256::ZERO, &call).await?;
                    reclaimed = true;
                }
                Err(ChainError::Reverted { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(reclaimed)
    }

    /// Gives back the quota of leases that ran out or are of no use; whether there were any.
    async fn end_leases(&self, state: &mut State, head: &Head) -> Result<bool, WriteError> {
        let network = Network(&**self.sender.chain());
        let territory = self.territory;
        let volumes = 1..=network.volume_count().await?;
        let queries: Vec<_> = volumes.map(|volume| LeaseQuery { territory, volume }).collect();
        let (_, leases) = network.query_many(&queries).await?;
        let mut ended = false;
        for (LeaseQuery { volume, .. }, lease) in queries.into_iter().zip(leases) {
            let is_open = state.slots.get(&volume).is_some_and(|slot| slot.open);
            if lease.column_bytes == 0 || (lease.until_ms > head.timestamp_ms && is_open) {
                continue;
            }
            match self.sender.call(VOLUMES, U256::ZERO, &IVolumes::endLeaseCall { territory, volume }).await {
                Ok(_) => {}
                // Open after all, or ended by somebody else.
                Err(error) if error.is_revert::<IVolumes::InvalidLease>() => continue,
                Err(error) => return Err(error.into()),
            }
            if let Some(slot) = state.slots.get_mut(&volume) {
                slot.lease_left_bytes = 0;
            }
            ended = true;
        }
        Ok(ended)
    }

    /// Reads which volumes are open, how full they are, and what is leased of them.
    async fn read(&self, state: &mut State) -> Result<(), WriteError> {
        let network = Network(&**self.sender.chain());
        let open: BTreeSet<u32> = network.open_volumes(self.policy).await?.into_iter().collect();
        state.slots.retain(|id, slot| open.contains(id) || slot.assigned_bytes > 0);
        state.slots.values_mut().for_each(|slot| slot.open = false);
        let ids: Vec<u32> = open.into_iter().collect();
        let leases: Vec<_> = ids.iter().map(|&volume| LeaseQuery { territory: self.territory, volume }).collect();
        let (volumes, (_, leases)) = futures::try_join!(self.directory.refresh_all(&ids), network.query_many(&leases))?;
        for (volume, lease) in volumes.into_iter().zip(leases) {
            let id = volume.id;
            if volume.profile != self.profile || volume.policy != self.policy || !volume.open {
                continue;
            }
            let before = state.slots.get(&id);
            let assigned_bytes = before.map_or(0, |slot| slot.assigned_bytes);
            let slot = Slot {
                open: true,
                column_bytes: volume.column_bytes,
                assigned_bytes,
                lease_left_bytes: lease.column_bytes.saturating_sub(assigned_bytes),
                lease_until_ms: lease.until_ms,
                leased_at: before.and_then(|slot| slot.leased_at),
                shunned_until: before.and_then(|slot| slot.shunned_until),
                volume,
            };
            state.slots.insert(id, slot);
        }
        state.read_at = Some(Instant::now());
        Ok(())
    }
}
