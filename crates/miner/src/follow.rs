//! Follow the chain: read the events of this miner's volumes, and do what they mean.

use crate::{
    notes,
    service::keep_late,
    staging::{Account, NOBODY},
    state::{Event, Held, State, VolumeLog},
};
use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use client::chain::{ChainApi, ChainError, Head, LogEntry, LogFilter, Network, Stamp};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use store::{Change, FragmentKey, Store, StoreError};
use tokio::sync::RwLock;
use transport::Transport;
use types::{
    Profile,
    abi::{
        IVolumes::{Appended, Formed, Released, SeatDrawn, Voided},
        VOLUMES,
    },
    layout::{
        audits::{RoundQuery, Stage},
        volumes::{LeaseQuery, LogQuery, SeatQuery, SeatsQuery},
    },
};

/// Blocks that are read at once.
const BLOCKS_MAX: u64 = 5_000;
/// Events after which a block's end is used to write down what they mean.
const EVENTS_PER_UPDATE: usize = 512;
/// Volumes that one query for events names.
const VOLUMES_PER_QUERY: usize = 256;
/// Fragments that expire at once.
const EXPIRE_MAX: usize = 256;
/// Blocks between two looks at all logs, and for what has expired.
const SWEEP_BLOCKS: u64 = 16;

/// Following the chain cannot go on as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// To be tried again.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The end.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows the chain for one miner.
pub(crate) struct Follower {
    pub(crate) chain: Arc<dyn ChainApi>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) turn: Arc<RwLock<()>>,
    /// Held while an acknowledgement is compared with the one that is noted.
    pub(crate) helped: Arc<tokio::sync::Mutex<()>>,
    /// Volumes whose log has grown since it was last compared with the chain's.
    pub(crate) unchecked: BTreeSet<u32>,
    pub(crate) swept_at_height: u64,
}

impl Follower {
    /// Waits for a new block, but for the first time, and follows up to it.
    pub(crate) async fn step(&mut self) -> Result<(), FollowError> {
        let (height, has_begun) = {
            let state = self.state.lock();
            (state.height, state.has_begun())
        };
        let head = if has_begun { self.chain.wait_above(height).await? } else { self.chain.head().await? };
        self.follow(&head).await
    }

    /// Follows up to `head`, as far as it is proved: by height and time it is judged what may be deleted.
    pub(crate) async fn follow(&mut self, head: &Head) -> Result<(), FollowError> {
        let proved = Network(&*self.chain).stamp().await?;
        if proved.height < self.state.lock().height {
            // Logs would seem too long by what has happened since.
            return Err(ChainError::Invalid(format!("nothing newer than block {} is proved", proved.height)).into());
        }
        let last = head.height.min(proved.height);
        loop {
            let from = self.state.lock().height + 1;
            if from > last {
                break;
            }
            let to = last.min(from + BLOCKS_MAX - 1);
            let events = self.events(from, to).await?;
            self.digest(events, to).await?;
        }
        self.state.lock().now_ms = proved.timestamp_ms;
        let is_time = last >= self.swept_at_height + SWEEP_BLOCKS;
        if is_time {
            // A node that told of no event at all must be found out too, and a log that nobody had be asked for again.
            self.unchecked.extend(self.state.lock().volumes.keys());
        }
        self.check_logs().await?;
        if is_time {
            self.swept_at_height = last;
            self.find_seats().await?;
            self.sweep().await?;
        }
        Ok(())
    }

    /// The seats that this miner got in these blocks: in new volumes, or of others.
    async fn formed(&self, from: u64, to: u64) -> Result<Vec<((u64, u64), Event)>, ChainError> {
        let topics = [Some(vec![Formed::SIGNATURE_HASH, SeatDrawn::SIGNATURE_HASH]), None, None, None];
        let entries = self.chain.logs(LogFilter { from, to: Some(to), address: VOLUMES, topics }).await?;
        let miner = self.state.lock().miner;
        let mut events = Vec::new();
        for entry in &entries {
            let event = match entry.log.topics().first() == Some(&SeatDrawn::SIGNATURE_HASH) {
                true => self.read_drawn(entry, miner).await?,
                false => read_formed(entry, miner)?,
            };
            events.extend(event.map(|event| (place(entry), event)));
        }
        Ok(events)
    }

    /// The seat of another that `miner` was drawn for: at once, or when it has the column.
    async fn read_drawn(&self, entry: &LogEntry, miner: u32) -> Result<Option<Event>, ChainError> {
        let drawn = SeatDrawn::decode_log(&entry.log).map_err(invalid)?.data;
        if drawn.miner != miner {
            return Ok(None);
        }
        let (volume, seat) = (drawn.volume, drawn.seat);
        let profile = Network(&*self.chain).volume_with_members(volume).await?.profile;
        tracing::warn!(volume, seat, bytes = drawn.targetBytes, "drawn for the seat of another: rebuilding its column");
        Ok(Some(Event::Formed { volume, seat, profile }))
    }

    /// Looks again for volumes of this miner if the chain knows of more: a node has not told of them.
    async fn find_seats(&mut self) -> Result<(), FollowError> {
        let (miner, height, known) = {
            let state = self.state.lock();
            (state.miner, state.height, state.volumes.len())
        };
        let record = Network(&*self.chain).miner(miner).await?;
        let seats = record.lots.saturating_sub(record.lotsFree) as usize;
        // What has formed since the block that was followed comes with the next events.
        if seats <= known {
            return Ok(());
        }
        let formed = self.formed(1, height).await?.into_iter().map(|(_, event)| (height, event)).collect();
        let formed: Vec<_> = self.proved(formed).await?.into_iter().map(|(_, event)| event).collect();
        self.write(&formed, height).await?;
        if self.state.lock().volumes.len() > known {
            tracing::warn!(seats, known, "volumes were found that the node had not told of");
        }
        Ok(())
    }

    /// What happened to this miner's volumes in these blocks, each event with its height.
    async fn events(&self, from: u64, to: u64) -> Result<Vec<(u64, Event)>, ChainError> {
        let filter = LogFilter { from, to: Some(to), address: VOLUMES, topics: Default::default() };
        let mut found = self.formed(from, to).await?;
        let mut volumes: BTreeSet<u32> = self.state.lock().volumes.keys().copied().collect();
        volumes.extend(found.iter().map(|(_, event)| event.volume()));
        let topics: Vec<_> = volumes.iter().map(|volume| B256::left_padding_from(&volume.to_be_bytes())).collect();
        for volumes in topics.chunks(VOLUMES_PER_QUERY) {
            let kinds = vec![Appended::SIGNATURE_HASH, Released::SIGNATURE_HASH, Voided::SIGNATURE_HASH];
            let topics = [Some(kinds), Some(volumes.to_vec()), None, None];
            for entry in self.chain.logs(LogFilter { topics, ..filter.clone() }).await? {
                found.push((place(&entry), read_stripe_event(&entry)?));
            }
        }
        if found.iter().any(|((height, _), _)| *height < from || *height > to) {
            return Err(ChainError::Invalid("a log of another block than asked for".into()));
        }
        found.sort_by_key(|(place, _)| *place);
        let found: Vec<_> = found.into_iter().map(|((height, _), event)| (height, event)).collect();
        self.proved(found).await
    }

    /// The events without those that the state denies. What is appended is held against the log's root later.
    async fn proved(&self, events: Vec<(u64, Event)>) -> Result<Vec<(u64, Event)>, ChainError> {
        let network = Network(&*self.chain);
        let miner = self.state.lock().miner;
        let released: Vec<_> = events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Released { volume, segment, .. } => Some((*volume, *segment)),
                _ => None,
            })
            .collect();
        let live: BTreeMap<_, _> = released.iter().copied().zip(network.positions(&released).await?).collect();
        let mut believed = Vec::with_capacity(events.len());
        for (height, event) in events {
            let holds = match &event {
                &Event::Formed { volume, seat, profile } => {
                    let seats = network.query(SeatsQuery { volume, profile }).await?;
                    let is_volume = seats.is_some_and(|seats| seats.profile == profile);
                    let record = network.query(SeatQuery { volume, seat }).await?;
                    is_volume && (record.miner == miner || record.successor == miner)
                }
                // A segment that is live is owed, whatever was released before.
                Event::Released { volume, segment, .. } => live[&(*volume, *segment)] == 0,
                Event::Appended { .. } => true,
            };
            match holds {
                true => believed.push((height, event)),
                false => tracing::debug!(height, ?event, "the state has it otherwise"),
            }
        }
        Ok(believed)
    }

    /// Writes down what events mean, whole blocks at a time, so that none is ever seen twice.
    async fn digest(&mut self, events: Vec<(u64, Event)>, to: u64) -> Result<(), FollowError> {
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let (mut group, mut height) = (Vec::new(), 0);
            while let Some((next, _)) = events.peek() {
                if *next != height && group.len() >= EVENTS_PER_UPDATE {
                    break;
                }
                height = *next;
                group.extend(events.next().map(|(_, event)| event));
            }
            // The last group has seen all blocks up to the end.
            let height = if events.peek().is_some() { height } else { to };
            self.write(&group, height).await?;
        }
        self.state.lock().height = to;
        Ok(())
    }

    async fn write(&mut self, events: &[Event], height: u64) -> Result<(), FollowError> {
        let held = self.held(events).await?;
        let turn = self.turn.clone();
        let turn = turn.write().await;
        let mut step = self.state.lock().plan(events, &held);
        step.changes.push(notes::put_height(height));
        self.store.update(step.changes.clone()).await?;
        let missed = step.missing_keys();
        {
            let mut state = self.state.lock();
            state.apply(step);
            state.height = height;
        }
        drop(turn);
        self.unchecked.extend(events.iter().map(Event::volume));
        for (key, index) in missed {
            // It may have come to the disk after the look and before it was booked as missing.
            if self.store.record(key).await?.is_some() {
                keep_late(&self.store, &self.state, key).await?;
            } else {
                tracing::warn!(volume = key.volume, index, segment = %key.segment, "a committed fragment is not here");
            }
        }
        Ok(())
    }

    /// What is here of the fragments that releases name.
    async fn held(&self, events: &[Event]) -> Result<HashMap<FragmentKey, Held>, StoreError> {
        let mut held = HashMap::new();
        for event in events {
            if let Event::Released { volume, segment, .. } = event {
                let key = FragmentKey { segment: *segment, volume: *volume };
                if let Some(record) = self.store.record(key).await? {
                    let (bytes, hold_until_height) = (record.fragment_bytes(), record.expires_at_height);
                    held.insert(key, Held { bytes, hold_until_height });
                }
            }
        }
        Ok(held)
    }

    /// Compares logs with the chain's; one that differs is read anew.
    async fn check_logs(&mut self) -> Result<(), FollowError> {
        let mut left = std::mem::take(&mut self.unchecked);
        while let Some(volume) = left.pop_first() {
            if let Err(error) = self.check_log(volume).await {
                // A log that is behind costs a round: it is looked at again with the next block.
                self.unchecked.insert(volume);
                self.unchecked.extend(left);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn check_log(&mut self, volume: u32) -> Result<(), FollowError> {
        let stripe_count = self.state.lock().volumes.get(&volume).map_or(0, VolumeLog::stripe_count);
        let query = LogQuery { volume, stripe_count };
        let (Stamp { height: read_at_height, .. }, records) = Network(&*self.chain).query_many(&[query]).await?;
        let record = records[0];
        let is_good = {
            let mut state = self.state.lock();
            let is_behind = state.height < read_at_height;
            let Some(log) = state.volumes.get_mut(&volume) else { return Ok(()) };
            if is_behind && !log.is_broken && log.stripe_count() < record.stripe_count {
                self.unchecked.insert(volume);
                return Ok(());
            }
            let is_same = log.stripe_count() == record.stripe_count && log.frontier.root() == record.root;
            log.is_broken = log.is_broken || !is_same;
            !log.is_broken
        };
        if !is_good {
            tracing::warn!(volume, "the log differs from the chain's: reading it anew");
            self.resync(volume).await?;
        }
        Ok(())
    }

    /// Whether no round can ask any more for what was released up to the height that was followed. A round that opens
    /// later asks for less.
    async fn is_between_rounds(&self) -> Result<bool, ChainError> {
        if !self.state.lock().is_audited {
            return Ok(true);
        }
        let round = Network(&*self.chain).query(RoundQuery).await?;
        Ok(matches!(round.stage, Stage::Rest | Stage::AwaitA))
    }

    /// Lets staged fragments go that nobody has committed and nobody may commit any more.
    async fn sweep(&mut self) -> Result<(), FollowError> {
        let accounts = self.state.lock().staging.accounts();
        let query = |account: &Account| LeaseQuery { territory: account.territory, volume: account.volume };
        let queries: Vec<_> = accounts.iter().map(query).collect();
        let (read_at, leases) = Network(&*self.chain).query_many(&queries).await?;
        let may_bury = self.is_between_rounds().await?;
        let over: BTreeSet<Account> = accounts
            .into_iter()
            .zip(leases)
            .filter(|(account, _)| account.territory != NOBODY || may_bury)
            .filter(|(_, lease)| lease.until_ms < read_at.timestamp_ms)
            .map(|(account, _)| account)
            .collect();
        loop {
            let gone = {
                let mut state = self.state.lock();
                let height = state.height;
                state.staging.expire(height, |account| over.contains(account), EXPIRE_MAX)
            };
            if gone.is_empty() {
                return Ok(());
            }
            tracing::info!(count = gone.len(), "staged fragments have expired");
            self.store.update(gone.iter().map(|key| Change::Remove(*key)).collect()).await?;
            let mut state = self.state.lock();
            gone.iter().for_each(|key| state.staging.remove(key));
        }
    }
}

/// Where a log stands on the chain.
fn place(entry: &LogEntry) -> (u64, u64) {
    (entry.height, entry.log_index)
}

fn invalid(error: alloy_sol_types::Error) -> ChainError {
    ChainError::Invalid(format!("a log of the volumes module: {error}"))
}

/// The seat of `miner` in a new volume, if it has one.
fn read_formed(entry: &LogEntry, miner: u32) -> Result<Option<Event>, ChainError> {
    let formed = Formed::decode_log(&entry.log).map_err(invalid)?.data;
    let Some(seat) = formed.miners.iter().position(|member| *member == miner) else { return Ok(None) };
    let profile = [Profile::Devnet, Profile::Standard, Profile::Wide]
        .into_iter()
        .find(|profile| usize::from(profile.total()) == formed.miners.len());
    let Some(profile) = profile else {
        return Err(ChainError::Invalid(format!("volume {} has {} members", formed.volume, formed.miners.len())));
    };
    let (volume, seat) = (formed.volume, seat as u16);
    Ok(Some(Event::Formed { volume, seat, profile }))
}

fn read_stripe_event(entry: &LogEntry) -> Result<Event, ChainError> {
    if entry.log.topics().first() == Some(&Voided::SIGNATURE_HASH) {
        // Gone like a released one, because it was garbage.
        let Voided { volume, segment, index, .. } = Voided::decode_log(&entry.log).map_err(invalid)?.data;
        return Ok(Event::Released { volume, index, segment });
    }
    if entry.log.topics().first() == Some(&Released::SIGNATURE_HASH) {
        let Released { volume, segment, index, .. } = Released::decode_log(&entry.log).map_err(invalid)?.data;
        return Ok(Event::Released { volume, index, segment });
    }
    let appended = Appended::decode_log(&entry.log).map_err(invalid)?.data;
    let leaf = (&appended).into();
    Ok(Event::Appended { volume: appended.volume, index: appended.index, leaf, unsigned: appended.missing })
}
