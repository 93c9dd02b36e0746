//! Answer peers: take fragments in, sign for them, serve them, and say no in words.

use crate::{
    help::HelpDesk,
    notes,
    rebuild::Rebuilder,
    staging::{Account, ReserveError},
    state::State,
    views::{Freshness, Lease, Views},
};
use alloy_primitives::B256;
use async_trait::async_trait;
use client::chain::{ChainApi, ChainError};
use parking_lot::Mutex;
use std::sync::Arc;
use store::{Change, FragmentKey, FragmentState, NewFragment, ReadError, StageError, Staged, Store};
use tokio::sync::RwLock;
use transport::{
    Fetch, FragmentReply, GroupHashes, LeavesQuery, MinerStatus, Refusal,
    RefusalReason::{self, *},
    Request, Response, Service, Stage, StageHeader, StatusQuery, VolumeStatus,
    fragment::covering_groups,
    limits::{LEAVES_MAX, STATUS_VOLUMES_MAX},
};
use types::{ChainSpec, ReceiptKey};

/// How often a lease is read anew because commits came between.
const RESERVE_ATTEMPTS: usize = 4;
/// When to ask again if something is under way.
const RETRY_AFTER_MS: u32 = 200;

pub(crate) fn refuse<T>(reason: RefusalReason, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(reason, detail))
}

pub(crate) fn busy<T>(detail: &str) -> Result<T, Refusal> {
    refuse(Busy { retry_after_ms: RETRY_AFTER_MS }, detail)
}

/// A failure of ours, logged here and not told in detail.
pub(crate) fn unavailable(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Refusal {
    move |error| {
        tracing::warn!(%error, "{what}");
        Refusal::new(Unavailable, what)
    }
}

pub(crate) fn chain_refusal(error: ChainError) -> Refusal {
    unavailable("the chain cannot be asked")(&error)
}

pub(crate) fn store_refusal(error: store::StoreError) -> Refusal {
    unavailable("the store has failed")(&error)
}

/// A lease with room, as of a number of moves out of staging.
struct Room {
    lease: Lease,
    moves: u64,
}

/// Answers the peers of one miner.
pub(crate) struct MinerService {
    pub(crate) chain: Arc<dyn ChainApi>,
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) store: Store,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) views: Views,
    pub(crate) receipt_key: ReceiptKey,
    /// Whoever signs shares it, whoever follows the chain has it alone: a fragment cannot be let go between the look
    /// that it is there and the note that it must stay.
    pub(crate) turn: Arc<RwLock<()>>,
    pub(crate) rebuilder: Rebuilder,
    /// Held while a stripe is looked at that another member says is no codeword.
    pub(crate) finding_out: Arc<tokio::sync::Mutex<()>>,
    pub(crate) help: HelpDesk,
    /// Held while an acknowledgement is compared with the one that is noted.
    pub(crate) helped: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Service for MinerService {
    async fn admit(&self, from: B256, header: &StageHeader) -> Result<(), Refusal> {
        self.check_header(header)?;
        self.check_permit(from, header).await?;
        if self.is_here(header) {
            return Ok(());
        }
        self.check_room(header).await.map(drop)
    }

    async fn handle(&self, from: B256, request: Request) -> Response {
        let answer = match request {
            Request::Stage(stage) => self.stage(from, stage).await.map(|()| Response::Staged),
            Request::Sign(sign) => self.sign(&sign).await.map(Response::Signature),
            Request::Fetch(fetch) => self.fetch(&fetch).await.map(Response::Fragment),
            Request::Status(query) => self.status(query).map(Response::Status),
            Request::Leaves(query) => self.leaves(query).await.map(Response::Leaves),
            Request::Rebuild(rebuild) => self.rebuild(from, &rebuild).await.map(Response::Fragment),
            Request::Acknowledge(help) => self.acknowledge(from, &help).await.map(|()| Response::Acknowledged),
            Request::Disown(disown) => self.disown(from, &disown).await.map(Response::Signature),
        };
        answer.unwrap_or_else(Response::Refused)
    }
}

impl MinerService {
    async fn stage(&self, from: B256, stage: Stage) -> Result<(), Refusal> {
        let Stage { header, fragment } = stage;
        self.check_header(&header)?;
        self.check_permit(from, &header).await?;
        if self.is_here(&header) {
            return Ok(());
        }
        if fragment.root() != header.proof.root {
            return refuse(WrongFragment, "the bytes do not match the fragment root");
        }
        let key = FragmentKey { segment: header.segment, volume: header.volume };
        if !self.reserve(key, &header).await? {
            return Ok(());
        }
        let fragment = NewFragment {
            key,
            seat: header.proof.index,
            territory: header.permit.territory,
            profile: header.profile,
            length: header.length,
            root: header.proof.root,
            path: header.proof.path.clone(),
            expires_at_height: 0,
            hashes: fragment.groups().as_bytes().clone(),
            bytes: fragment.bytes().clone(),
        };
        // The write goes on if the peer hangs up, and its end must be booked in any case.
        let (store, state) = (self.store.clone(), self.state.clone());
        let written = tokio::spawn(async move { write(&store, &state, fragment).await }).await;
        written.unwrap_or_else(|error| Err(unavailable("the write was interrupted")(&error)))
    }

    /// Whether this fragment is staged already, by the same territory: no room is needed then.
    fn is_here(&self, header: &StageHeader) -> bool {
        let key = FragmentKey { segment: header.segment, volume: header.volume };
        self.state.lock().staging.is_durable(&key, header.permit.territory)
    }

    /// Takes room for a fragment; false if it is here.
    async fn reserve(&self, key: FragmentKey, header: &StageHeader) -> Result<bool, Refusal> {
        for _ in 0..RESERVE_ATTEMPTS {
            let room = self.check_room(header).await?;
            let mut state = self.state.lock();
            // A lease that was read before a commit was followed has been drawn on since.
            if state.moves != room.moves {
                continue;
            }
            let (territory, bytes) = (header.permit.territory, header.fragment_bytes());
            return match state.staging.reserve(key, territory, bytes, room.lease.column_bytes) {
                Ok(()) => Ok(true),
                Err(ReserveError::Durable) => Ok(false),
                Err(ReserveError::InProgress) => busy("the same fragment is on its way to the disk"),
                Err(ReserveError::Exceeded { .. }) => refuse(LeaseExceeded, "other requests took the lease"),
            };
        }
        busy("commits follow each other too quickly")
    }

    /// What the header says must fit this miner's seat and the segment.
    fn check_header(&self, header: &StageHeader) -> Result<(), Refusal> {
        let (seat, profile) = self.membership(header.volume)?;
        if header.profile != profile {
            return refuse(WrongFragment, "the volume has another code");
        }
        if header.proof.index != seat {
            return refuse(NotMember, format!("this miner holds seat {seat} of the volume"));
        }
        if header.length == 0 || header.fragment_bytes() > self.spec.storage.slot_bytes {
            return refuse(TooLarge, "a fragment has at most the bytes of a slot");
        }
        if !header.proof.verify(header.profile, header.length, &header.segment) {
            return refuse(WrongFragment, "the path does not lead to the segment");
        }
        Ok(())
    }

    /// The seat of this miner in a volume, and the volume's code.
    pub(crate) fn membership(&self, volume: u32) -> Result<(u16, types::Profile), Refusal> {
        let state = self.state.lock();
        if !state.has_begun() {
            return busy("the miner is starting");
        }
        match state.volumes.get(&volume) {
            Some(log) if log.is_broken => refuse(Unavailable, "the volume's log is being read anew"),
            Some(log) => Ok((log.seat, log.profile)),
            None => refuse(NotMember, "this miner is no member of the volume"),
        }
    }

    async fn check_permit(&self, from: B256, header: &StageHeader) -> Result<(), Refusal> {
        let permit = &header.permit;
        if permit.uploader != from {
            return refuse(PermitInvalid, "the permit is for another peer");
        }
        if permit.expiresMs <= self.state.lock().now_ms {
            return refuse(PermitExpired, "the permit has run out");
        }
        let signer = self.views.signer(permit, self.spec.chain_id, &header.signature);
        let Some(signer) = signer else { return refuse(PermitInvalid, "the permit's signature is none") };
        for freshness in [Freshness::Remembered, Freshness::New] {
            let owner = self.views.owner(permit.territory, freshness).await.map_err(chain_refusal)?;
            if owner == Some(signer) {
                return Ok(());
            }
        }
        refuse(PermitInvalid, "the permit is not signed by the territory's owner")
    }

    /// Whether lease and disk have room for a fragment now; asks the chain anew before it says no.
    async fn check_room(&self, header: &StageHeader) -> Result<Room, Refusal> {
        let bytes = header.fragment_bytes();
        if bytes > self.store.free_bytes().map_err(store_refusal)? {
            return refuse(NoSpace, "the disk is full");
        }
        let account = Account { territory: header.permit.territory, volume: header.volume };
        let mut refusal = Refusal::new(NoLease, "the territory has no lease on the volume");
        let mut moves = 0;
        for freshness in [Freshness::Remembered, Freshness::New] {
            moves = self.state.lock().moves;
            let lease = self.views.lease(account, moves, freshness).await.map_err(chain_refusal)?;
            let (now_ms, staged_bytes) = {
                let state = self.state.lock();
                (state.now_ms, state.staging.bytes(account))
            };
            if lease.until_ms <= now_ms {
                continue;
            }
            if staged_bytes.saturating_add(bytes) <= lease.column_bytes {
                return Ok(Room { lease, moves });
            }
            refusal = Refusal::new(LeaseExceeded, format!("{staged_bytes} bytes of {} are staged", lease.column_bytes));
        }
        // Commits draw on the lease: until they are followed, this side counts as staged what the chain has taken off.
        let head = self.chain.head().await.map_err(chain_refusal)?;
        let state = self.state.lock();
        if refusal.reason == LeaseExceeded && (head.height > state.height || state.moves != moves) {
            return busy("the miner is catching up with the chain");
        }
        Err(refusal)
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<FragmentReply, Refusal> {
        let records = self.store.records_of(fetch.segment).await.map_err(store_refusal)?;
        // It may hold one in each of several volumes.
        let Some(record) = records.iter().find(|record| record.seat == fetch.index) else {
            return refuse(Unknown, "the fragment is not here");
        };
        let fragment_bytes = record.fragment_bytes();
        let range = fetch.range.clone().unwrap_or(0..fragment_bytes);
        if range.start >= range.end || range.end > fragment_bytes {
            return refuse(Malformed, format!("the fragment has {fragment_bytes} bytes"));
        }
        let groups = covering_groups(&range, fragment_bytes);
        let read = match self.store.read(record.key, Some(groups.clone())).await {
            Ok(Some(read)) => read,
            Ok(None) => return refuse(Unknown, "the segment was released just now"),
            Err(ReadError::Store(error)) => return Err(store_refusal(error)),
            Err(error) => return Err(unavailable("the fragment cannot be read")(&error)),
        };
        let hashes = GroupHashes::from_bytes(read.hashes);
        let hashes = hashes.map_err(|error| unavailable("the fragment's hashes are damaged")(&error))?;
        Ok(FragmentReply {
            profile: read.record.profile,
            length: read.record.length,
            proof: read.record.proof(),
            groups: hashes,
            offset: groups.start,
            bytes: read.bytes,
        })
    }

    fn status(&self, query: StatusQuery) -> Result<MinerStatus, Refusal> {
        let free_bytes = self.store.free_bytes().map_err(store_refusal)?;
        let state = self.state.lock();
        let volumes = state.volumes.range(query.from_volume..).take(STATUS_VOLUMES_MAX);
        let volumes = volumes.map(|(volume, log)| VolumeStatus {
            volume: *volume,
            seat: log.seat,
            stripe_count: log.stripe_count(),
        });
        Ok(MinerStatus { miner: state.miner, free_bytes, height: state.height, volumes: volumes.collect() })
    }

    async fn leaves(&self, query: LeavesQuery) -> Result<Vec<types::StripeLeaf>, Refusal> {
        let LeavesQuery { volume, from, limit } = query;
        let known = self.state.lock().volumes.contains_key(&volume);
        if !known {
            return refuse(Unknown, "this miner is no member of the volume");
        }
        let limit = limit.min(LEAVES_MAX);
        let range = notes::leaf_keys(volume, from..from.saturating_add(limit));
        let found = self.store.notes(range, limit as usize).await.map_err(store_refusal)?;
        let leaves = found.iter().map(|(_, value)| notes::read_leaf(value)).collect::<Option<Vec<_>>>();
        leaves.ok_or_else(|| Refusal::new(Unavailable, "a leaf is damaged"))
    }
}

/// Writes a fragment for which room is reserved, and books how it ended.
async fn write(store: &Store, state: &Mutex<State>, fragment: NewFragment) -> Result<(), Refusal> {
    let key = fragment.key;
    let error = match store.stage(fragment).await {
        Ok(Staged::New | Staged::Already(FragmentState::Staged)) => None,
        // Committed already: it is owed, not staged, and nothing is signed for it.
        Ok(Staged::Already(FragmentState::Kept)) => {
            state.lock().staging.remove(&key);
            return Ok(());
        }
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        state.lock().staging.remove(&key);
        return match error {
            StageError::NoSpace { .. } => refuse(NoSpace, "the disk is full"),
            StageError::InProgress => busy("the same fragment is on its way to the disk"),
            StageError::Shape => refuse(WrongFragment, "the fragment has not the length that its header says"),
            StageError::Store(error) => Err(store_refusal(error)),
        };
    }
    let is_missed = {
        let mut state = state.lock();
        state.staging.settle(&key);
        state.missed(&key).is_some()
    };
    // Its segment was committed while it was on its way.
    if is_missed {
        keep_late(store, state, key).await.map_err(store_refusal)?;
    }
    Ok(())
}

/// Keeps a fragment that came after its stripe was committed. It stays booked as missing: who had not signed owes nothing
/// before repair has healed it.
pub(crate) async fn keep_late(store: &Store, state: &Mutex<State>, key: FragmentKey) -> Result<(), store::StoreError> {
    store.update(vec![Change::Keep(key)]).await?;
    state.lock().staging.remove(&key);
    Ok(())
}

/// Keeps a fragment that was booked as missing and is here after all.
pub(crate) async fn keep_found(
    store: &Store,
    state: &Mutex<State>,
    key: FragmentKey,
    index: u32,
) -> Result<(), store::StoreError> {
    store.update(vec![Change::Keep(key), notes::remove_missing(key.volume, index)]).await?;
    state.lock().found(&key);
    Ok(())
}

#[cfg(test)]
mod tests;
