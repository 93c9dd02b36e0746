//! Hand the fragments of a segment to the members of a volume.

use super::{Session, WriteError, allocator::Demand, encode::Encoded};
use crate::{
    chain::OpenVolume,
    index::SegmentRef,
    progress::{Event, Progress},
};
use alloy_primitives::B256;
use futures::{StreamExt, stream::FuturesUnordered};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;
use transport::{RefusalReason, RequestError, StageHeader};

/// Volumes that are tried for one segment.
const VOLUMES_TRIED_MAX: usize = 6;
/// Attempts at a member whose connection breaks.
const CONNECTIONS_TRIED_MAX: u32 = 2;
/// Leases that are taken because members say that the last one is used up.
const LEASES_MAX: u32 = 4;
/// First pause before a member is asked again.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest pause before a member is asked again.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A segment that a write quorum of members holds.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Its number among the segments of this write.
    pub(crate) number: usize,
    pub(crate) segment: SegmentRef,
    pub(crate) fragments_root: B256,
    pub(crate) fragment_bytes: u64,
    /// Seats whose members hold their fragment.
    pub(crate) seats: BTreeSet<u16>,
}

/// How far staging at one volume has come.
struct Outcome {
    /// Seats whose members hold their fragment.
    seats: BTreeSet<u16>,
    /// Whether some member said that the lease is used up.
    lease_exceeded: bool,
    /// Why a member does not hold its fragment.
    reason: String,
}

impl Session {
    /// Finds a volume for a segment and stages it there.
    pub(super) async fn place(
        &self,
        number: usize,
        encoded: &Encoded,
        demand: Demand,
        avoid: BTreeSet<u32>,
        progress: &Progress,
    ) -> Result<Staged, WriteError> {
        let mut avoid = avoid;
        let fragment_bytes = encoded.fragment_bytes();
        let mut last = (0, String::new());
        for _ in 0..VOLUMES_TRIED_MAX {
            let volume = match self.allocator.assign(fragment_bytes, demand, &avoid, progress).await {
                // Volumes there are, but their members do not answer: that is what the user has to know.
                Err(WriteError::NoVolume { .. }) if !avoid.is_empty() && !last.1.is_empty() => break,
                assigned => assigned?,
            };
            let Outcome { seats, reason, .. } = self.stage_leasing(encoded, &volume, demand).await?;
            if self.is_quorum(&seats) {
                if seats.len() < volume.members.len() {
                    tracing::info!(volume = volume.id, segment = %encoded.id, reason, "not every member took a segment");
                }
                progress.event(Event::Staged(encoded.length.into()));
                return Ok(Staged {
                    number,
                    segment: SegmentRef { id: encoded.id, volume: volume.id, length: encoded.length },
                    fragments_root: encoded.fragments_root,
                    fragment_bytes,
                    seats,
                });
            }
            tracing::warn!(volume = volume.id, acknowledged = seats.len(), reason, "too few members took a segment");
            self.allocator.gave_up(volume.id, fragment_bytes).await;
            avoid.insert(volume.id);
            last = (seats.len(), reason);
        }
        let (acknowledged, reason) = last;
        Err(WriteError::NoQuorum { acknowledged, needed: self.profile.write_quorum().into(), reason })
    }

    fn is_quorum(&self, seats: &BTreeSet<u16>) -> bool {
        seats.len() >= usize::from(self.profile.write_quorum())
    }

    /// Stages at all members, and leases more for those that say that the lease is used up: what a program that was
    /// killed staged lies with some members and not with others.
    async fn stage_leasing(
        &self,
        encoded: &Encoded,
        volume: &OpenVolume,
        demand: Demand,
    ) -> Result<Outcome, WriteError> {
        let mut attempt = 0;
        let mut held = BTreeSet::new();
        loop {
            let started = Instant::now();
            let outcome = self.stage(encoded, volume, held).await?;
            attempt += 1;
            if !outcome.lease_exceeded || attempt > LEASES_MAX {
                return Ok(outcome);
            }
            match self.allocator.lease_again(volume.id, encoded.fragment_bytes(), demand, started).await {
                Ok(true) => held = outcome.seats,
                Ok(false) => return Ok(outcome),
                // A quorum does without the others.
                Err(_) if self.is_quorum(&outcome.seats) => return Ok(outcome),
                Err(error) => return Err(error),
            }
        }
    }

    /// Stages at all members but those that hold their fragment; waits for those that are known to answer, for the
    /// others only up to the quorum.
    async fn stage(&self, encoded: &Encoded, volume: &OpenVolume, held: BTreeSet<u16>) -> Result<Outcome, WriteError> {
        let now = Instant::now();
        let now_ms = self.sender.chain().head().await?.timestamp_ms;
        let mut sending = FuturesUnordered::new();
        let mut awaited = BTreeSet::new();
        for (seat, member) in (0u16..).zip(&volume.members) {
            let Some(endpoint) = member.endpoint.as_ref().filter(|_| !held.contains(&seat)) else { continue };
            if !self.peers.is_resting(&endpoint.id(), now) {
                awaited.insert(seat);
            }
            sending.push(async move { (seat, self.stage_one(encoded, volume.id, seat, endpoint, now_ms).await) });
        }
        let quorum = usize::from(self.profile.write_quorum());
        let mut seats = held;
        let mut reason = String::from("no member has an endpoint");
        let mut lease_exceeded = false;
        let straggle = || Instant::now() + self.config.straggler_timeout;
        let mut deadline = (seats.len() >= quorum).then(straggle);
        while seats.len() + sending.len() >= quorum && !sending.is_empty() {
            if seats.len() >= quorum && awaited.is_empty() {
                break;
            }
            let next = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline, sending.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
                None => sending.next().await,
            };
            let Some((seat, result)) = next else { break };
            awaited.remove(&seat);
            match result {
                Ok(()) => {
                    seats.insert(seat);
                }
                Err(error) => {
                    lease_exceeded |= is_exceeded(&error);
                    reason = format!("seat {seat}: {error}");
                }
            }
            if seats.len() >= quorum && deadline.is_none() {
                deadline = Some(straggle());
            }
        }
        drop(sending);
        Ok(Outcome { seats, lease_exceeded, reason })
    }

    /// Stages at one member, again while it is busy or has not heard of the lease.
    async fn stage_one(
        &self,
        encoded: &Encoded,
        volume: u32,
        seat: u16,
        endpoint: &types::Endpoint,
        now_ms: u64,
    ) -> Result<(), RequestError> {
        let peer = endpoint.id();
        let started = Instant::now();
        let (mut pause, mut broken) = (PAUSE, 0);
        loop {
            let (proof, bytes) = encoded.fragment(seat);
            let (permit, signature) = self.permit(now_ms);
            let header = StageHeader {
                permit,
                signature,
                volume,
                segment: encoded.id,
                profile: self.profile,
                length: encoded.length.into(),
                proof,
            };
            let sent = Instant::now();
            let error = match self.transport.stage(endpoint, header, bytes.into(), self.config.request_timeout).await {
                Ok(()) => {
                    self.peers.answered(peer, sent.elapsed());
                    return Ok(());
                }
                Err(error) => error,
            };
            match &error {
                RequestError::Refused(refusal) => match retry_after(refusal.reason) {
                    Some(wait) if started.elapsed() < self.lease_patience(&error) => {
                        tokio::time::sleep(wait.max(pause)).await;
                    }
                    _ => return Err(error),
                },
                RequestError::Transport(fault) if fault.is_fault() => {
                    self.peers.lied(peer, Instant::now());
                    return Err(error);
                }
                RequestError::Transport(_) => {
                    broken += 1;
                    if broken >= CONNECTIONS_TRIED_MAX {
                        self.peers.failed(peer, Instant::now());
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// How long a member may take to see what we know: it has mostly seen a lease that it says is used up.
    fn lease_patience(&self, error: &RequestError) -> Duration {
        if is_exceeded(error) { self.config.lease_timeout / 8 } else { self.config.lease_timeout }
    }

    /// Reads a segment back from those that hold it, and encodes and stages it anew in another volume.
    pub(super) async fn move_elsewhere(&self, staged: &mut Staged, progress: &Progress) -> Result<(), WriteError> {
        let (profile, segment) = (self.profile, staged.segment);
        let data = self.fetcher.read(segment, 0..segment.length.into()).await?;
        let encoded = offload::run(move || Encoded::new(profile, data)).await;
        let encoded = Arc::new(encoded.expect("encoding does not panic"));
        let from = staged.segment.volume;
        self.allocator.gave_up(from, staged.fragment_bytes).await;
        let avoid = BTreeSet::from([from]);
        let demand = Demand { expected_bytes: staged.fragment_bytes, keeps_reserve: false };
        let placed = self.place(staged.number, &encoded, demand, avoid, progress).await?;
        (staged.segment, staged.seats) = (placed.segment, placed.seats);
        Ok(())
    }
}

fn is_exceeded(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refusal) if refusal.reason == RefusalReason::LeaseExceeded)
}

/// How long to wait before a member that refused for this reason is asked again; nothing if that is no use.
fn retry_after(reason: RefusalReason) -> Option<Duration> {
    match reason {
        RefusalReason::Busy { retry_after_ms } => Some(Duration::from_millis(retry_after_ms.into())),
        // The member may not have seen the newest block.
        RefusalReason::NoLease
        | RefusalReason::LeaseExceeded
        | RefusalReason::NotMember
        | RefusalReason::Unknown
        | RefusalReason::Unavailable => Some(Duration::ZERO),
        _ => None,
    }
}
