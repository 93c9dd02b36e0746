//! Keep seats whole: take back what silence lost, rebuild what is not here, let go of what others hold now.
//!
//! # Design
//! A fragment that is owed and not here is noted as missing, however that came about: the miner was drawn for the seat of
//! another, did not sign, or lost its log. Whatever is missing is rebuilt from `k` verified fragments of other members, in
//! the order of the log, so that the watermark of a newcomer rises steadily. The chain is told afterwards: `progress` for
//! a column that is taken over, `heal` for a stripe that the seat had not signed. A seat that is handed over is taken over in
//! the same way, but its holder answers for it until the column is here.

mod leaving;
mod rebuild;

use crate::{follow::Follower, notes, service::keep_found, state::State};
use alloy_primitives::U256;
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network, OpenVolume},
};
use erasure::Code;
use futures::{StreamExt, stream};
use leaving::{HANDING_OVER, is_successor};
use parking_lot::Mutex;
use rebuild::{RebuildError, copy, rebuild};
use std::{collections::HashMap, sync::Arc};
use store::{Change, FragmentKey, Store, StoreError};
use tokio::sync::RwLock;
use transport::Transport;
use types::{
    Profile, StripeLeaf, StripeLog,
    abi::{AUDITS, IAudits, IVolumes, VOLUMES},
    layout::{
        audits::{RoundQuery, Stage},
        volumes::SeatQuery,
    },
};

/// States of a seat, as the chain numbers them.
const LOST: u8 = 1;
const REBUILDING: u8 = 2;
const UNSETTLED: u8 = 5;
/// Why a seat is lost that may be taken back.
const SILENT: u8 = 1;
/// Chain time between two looks at the seats.
const LOOK_MS: u64 = 4_000;
/// Stripes that are rebuilt at the same time, and after which the chain is told.
const STRIPES_AT_ONCE: usize = 4;
const STRIPES_PER_REPORT: usize = 32;
/// Leaves that are forgotten at once.
const FORGET_MAX: usize = 256;

/// Repair cannot go on now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("the log of volume {0} is damaged")]
    Log(u32),
}

/// Looks after the seats of one miner.
pub(crate) struct Repairer {
    chain: Arc<dyn ChainApi>,
    transport: Arc<dyn Transport>,
    store: Store,
    state: Arc<Mutex<State>>,
    turn: Arc<RwLock<()>>,
    sender: Sender,
    codes: HashMap<Profile, Code>,
    looked_at_ms: u64,
    /// The last round after which silent members were looked for.
    reported_round: u64,
}

/// A seat as this miner and the chain know it.
struct Chair {
    volume: u32,
    seat: u16,
    profile: Profile,
    record: IVolumes::Seat,
}

impl Repairer {
    /// For the miner that `follower` follows the chain for.
    pub(crate) fn new(follower: &Follower, sender: Sender) -> Self {
        let code = |profile: Profile| {
            let parity = profile.total() - profile.data();
            Some((profile, Code::new(profile.data().into(), parity.into()).ok()?))
        };
        Self {
            chain: follower.chain.clone(),
            transport: follower.transport.clone(),
            store: follower.store.clone(),
            state: follower.state.clone(),
            turn: follower.turn.clone(),
            sender,
            codes: [Profile::Devnet, Profile::Standard, Profile::Wide].into_iter().filter_map(code).collect(),
            looked_at_ms: 0,
            reported_round: 0,
        }
    }

    /// Looks at all seats and does what is to be done for each.
    pub(crate) async fn step(&mut self) -> Result<(), RepairError> {
        let now_ms = self.state.lock().now_ms;
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Ok(());
        }
        self.looked_at_ms = now_ms;
        let mut failed = self.report_silent().await;
        let chairs = self.chairs().await?;
        failed = self.hand_over(&chairs).await.and(failed);
        for chair in &chairs {
            // One volume that cannot be repaired now must not hold up the others.
            if let Err(error) = self.look_after(chair, now_ms).await {
                tracing::debug!(volume = chair.volume, %error, "cannot be repaired yet");
                failed = Err(error);
            }
        }
        failed
    }

    async fn chairs(&self) -> Result<Vec<Chair>, ChainError> {
        let known: Vec<_> = {
            let state = self.state.lock();
            state
                .volumes
                .iter()
                .filter(|(_, log)| !log.is_broken)
                .map(|(id, log)| (*id, log.seat, log.profile))
                .collect()
        };
        let queries: Vec<_> = known.iter().map(|&(volume, seat, _)| SeatQuery { volume, seat }).collect();
        let (_, records) = Network(&*self.chain).query_many(&queries).await?;
        let chairs = known.into_iter().zip(records);
        Ok(chairs.map(|((volume, seat, profile), record)| Chair { volume, seat, profile, record }).collect())
    }

    async fn look_after(&mut self, chair: &Chair, now_ms: u64) -> Result<(), RepairError> {
        let Chair { volume, seat, ref record, .. } = *chair;
        let miner = self.state.lock().miner;
        if record.miner != miner {
            return if is_successor(chair, miner) { self.rebuild(chair).await } else { self.leave(chair, miner).await };
        }
        match (record.state, record.reason) {
            (LOST, SILENT) => {
                match self.sender.call(VOLUMES, U256::ZERO, &IVolumes::rejoinCall { volume, seat }).await {
                    // Not before it has committed to a round again.
                    Err(error) if error.is_revert::<IVolumes::NoReturn>() => {}
                    Err(error) => return Err(error.into()),
                    Ok(_) => tracing::warn!(volume, seat, "the seat was lost by silence: taken back"),
                }
            }
            // Somebody else is drawn.
            (LOST, _) => {}
            _ => self.rebuild(chair).await?,
        }
        let grace_ms = self.chain.spec().await?.storage.repair.grace_ms;
        if record.state == UNSETTLED && record.sinceMs.saturating_add(grace_ms) < now_ms {
            self.sender.call(VOLUMES, U256::ZERO, &IVolumes::settleCall { volume, seat }).await?;
        }
        Ok(())
    }

    /// Rebuilds what is missing of a column, and tells the chain.
    async fn rebuild(&mut self, chair: &Chair) -> Result<(), RepairError> {
        let volume = chair.volume;
        let mut missing: Vec<(u32, FragmentKey)> = {
            let state = self.state.lock();
            state.missing.iter().filter(|(key, _)| key.volume == volume).map(|(key, index)| (*index, *key)).collect()
        };
        missing.sort_unstable();
        if missing.is_empty() {
            return self.report(chair, None).await;
        }
        let began = tokio::time::Instant::now();
        let members = Network(&*self.chain).volume_with_members(volume).await?;
        let (total, mut done) = (missing.len(), 0);
        for part in missing.chunks(STRIPES_PER_REPORT) {
            let bits = self.missing_bits(chair, part).await?;
            let rebuilt = stream::iter(part.iter().copied().zip(bits))
                .map(|((index, key), is_unsigned)| self.rebuild_stripe(chair, &members, index, key, is_unsigned));
            let results: Vec<_> = rebuilt.buffered(STRIPES_AT_ONCE).collect().await;
            let unsigned: Vec<_> = results.iter().flatten().flatten().copied().collect();
            let failed = results.into_iter().enumerate().find_map(|(at, result)| Some((at, result.err()?)));
            self.heal(chair, &unsigned).await?;
            done += failed.as_ref().map_or(part.len(), |(at, _)| *at);
            self.report(chair, missing.get(done).map(|(index, _)| *index)).await?;
            if let Some((_, error)) = failed {
                return Err(error);
            }
            tracing::info!(volume, seat = chair.seat, stripes = done, of = total, took = ?began.elapsed(), "rebuilt");
        }
        Ok(())
    }

    /// Which of these stripes the seat had not signed: it owes nothing of them before it heals them.
    async fn missing_bits(&self, chair: &Chair, stripes: &[(u32, FragmentKey)]) -> Result<Vec<bool>, ChainError> {
        let call = |(index, _): &(u32, FragmentKey)| IVolumes::missingOfCall { volume: chair.volume, index: *index };
        let calls: Vec<_> = stripes.iter().map(call).collect();
        let bits = Network(&*self.chain).read_many(VOLUMES, &calls).await?;
        let (byte, bit) = (usize::from(chair.seat / 8), chair.seat % 8);
        Ok(bits.iter().map(|bits| bits.get(byte).is_some_and(|byte| byte >> bit & 1 == 1)).collect())
    }

    /// Rebuilds one fragment and keeps it; answers its index if it is to be healed.
    async fn rebuild_stripe(
        &self,
        chair: &Chair,
        members: &OpenVolume,
        index: u32,
        key: FragmentKey,
        is_unsigned: bool,
    ) -> Result<Option<u32>, RepairError> {
        if is_unsigned && chair.record.state == HANDING_OVER {
            // Its holder does not owe it. It is healed once the seat is ours.
            return Ok(None);
        }
        if self.store.record(key).await?.is_none() {
            let leaf = self.leaf(chair.volume, index).await?;
            let code = self.codes.get(&chair.profile).ok_or(RepairError::Log(chair.volume))?.clone();
            // Who hands a seat over has what is needed.
            let copied = match chair.record.state {
                HANDING_OVER => copy(&*self.transport, members, chair.seat, &leaf).await,
                _ => None,
            };
            let fragment = match copied {
                Some(fragment) => fragment,
                None => rebuild(&*self.transport, code, members, chair.seat, &leaf).await?,
            };
            self.store.stage(fragment.of(key, leaf.territory)).await.map_err(RebuildError::from)?;
        }
        if is_unsigned {
            // From now on only the chain knows in which rounds it is owed.
            self.store.update(vec![notes::put_doubtful(chair.volume, index)]).await?;
        }
        keep_found(&self.store, &self.state, key, index).await?;
        Ok(is_unsigned.then_some(index))
    }

    async fn leaf(&self, volume: u32, index: u32) -> Result<StripeLeaf, RepairError> {
        let note = self.store.note(notes::leaf_key(volume, index)).await?;
        note.as_deref().and_then(notes::read_leaf).ok_or(RepairError::Log(volume))
    }

    /// Tells the chain how much of a column that is taken over is here: all below the first stripe that is missing.
    async fn report(&self, chair: &Chair, first_missing: Option<u32>) -> Result<(), RepairError> {
        let Chair { volume, seat, ref record, .. } = *chair;
        let target = match record.state {
            REBUILDING => record.targetBytes,
            // A successor needs also what was committed meanwhile.
            HANDING_OVER => Network(&*self.chain).volume(volume).await?.columnBytes,
            _ => return Ok(()),
        };
        let here = match first_missing {
            Some(index) => self.leaf(volume, index).await?.offset,
            None => self.column_bytes(volume).await?,
        };
        // A log that has not been read yet misses nothing.
        let watermark = here.min(target);
        if watermark > record.watermark || watermark == target {
            let call = IVolumes::progressCall { volume, seat, watermark };
            match self.sender.call(VOLUMES, U256::ZERO, &call).await {
                Ok(_) => tracing::info!(volume, seat, watermark, of = target, "the column is here up to this byte"),
                // Another report of ours was quicker, or the column has grown.
                Err(error) if error.is_revert::<IVolumes::InvalidWatermark>() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Length of the column by the log that is here.
    async fn column_bytes(&self, volume: u32) -> Result<u64, RepairError> {
        let count = self.state.lock().volumes.get(&volume).map_or(0, |log| log.stripe_count());
        let Some(last) = count.checked_sub(1) else { return Ok(0) };
        let leaf = self.leaf(volume, last).await?;
        Ok(leaf.offset + leaf.fragment_bytes)
    }

    /// Tells the chain that the seat owes stripes from now on that it had not signed.
    async fn heal(&self, chair: &Chair, indices: &[u32]) -> Result<(), RepairError> {
        if indices.is_empty() {
            return Ok(());
        }
        let volume = chair.volume;
        let count = self.state.lock().volumes.get(&volume).map_or(0, |log| log.stripe_count());
        let notes = self.store.notes(notes::leaf_keys(volume, 0..count), count as usize).await?;
        let leaves: Option<Vec<_>> = notes.iter().map(|(_, value)| notes::read_leaf(value)).collect();
        let leaves = leaves.filter(|leaves| leaves.len() == count as usize).ok_or(RepairError::Log(volume))?;
        let log = StripeLog::new(leaves);
        let stripes = indices.iter().filter_map(|index| log.shown(*index)).collect();
        self.sender.call(VOLUMES, U256::ZERO, &IVolumes::healCall { volume, seat: chair.seat, stripes }).await?;
        tracing::info!(volume, seat = chair.seat, stripes = indices.len(), "healed");
        Ok(())
    }

    /// Forgets a volume whose seat another has, once no round can ask this miner for it any more.
    async fn leave(&self, chair: &Chair, miner: u32) -> Result<(), RepairError> {
        let volume = chair.volume;
        // What was asked above is the node's word; nothing is deleted without proof.
        let record = Network(&*self.chain).volume(volume).await?;
        if record.miners.get(usize::from(chair.seat)) == Some(&miner) {
            return Ok(());
        }
        if self.chain.spec().await?.storage.audits.is_some() {
            let round = Network(&*self.chain).query(RoundQuery).await?;
            if !matches!(round.stage, Stage::Rest | Stage::AwaitA) {
                return Ok(());
            }
        }
        let _turn = self.turn.write().await;
        let keys = notes::leaf_keys(volume, 0..u32::MAX);
        loop {
            let page = self.store.notes(keys.clone(), FORGET_MAX).await?;
            if page.is_empty() {
                break;
            }
            let mut changes = Vec::new();
            for (key, value) in page {
                let leaf = notes::read_leaf(&value).ok_or(RepairError::Log(volume))?;
                changes.push(Change::Remove(FragmentKey { segment: leaf.segment, volume }));
                changes.extend(notes::forget_stripe(key));
            }
            self.store.update(changes).await?;
        }
        self.store.update(vec![notes::forget_log(volume)]).await?;
        let mut state = self.state.lock();
        state.volumes.remove(&volume);
        state.missing.retain(|key, _| key.volume != volume);
        tracing::warn!(volume, "another miner has the seat now: what was held for it is gone");
        Ok(())
    }

    /// Declares members of this miner's volumes lost that have been silent for too long.
    async fn report_silent(&mut self) -> Result<(), RepairError> {
        let spec = self.chain.spec().await?;
        let Some(audits) = &spec.storage.audits else { return Ok(()) };
        let network = Network(&*self.chain);
        let round = network.query(RoundQuery).await?;
        if round.stage != Stage::Rest || round.number == self.reported_round {
            return Ok(());
        }
        for Chair { volume, seat, .. } in self.chairs().await? {
            let record = network.volume(volume).await?;
            let calls: Vec<_> = record.miners.iter().map(|&miner| IAudits::standingCall { miner }).collect();
            let standings = network.read_many(AUDITS, &calls).await?;
            // Rounds are booked when a sample asks for something. Who owes nothing yet is asked for nothing, and gone all
            // the same.
            let is_silent = |at: &usize| {
                let standing = &standings[*at];
                let unbooked = match standing.lots {
                    0 => 0,
                    _ => round.number.saturating_sub(standing.booked.max(standing.committed)),
                };
                unbooked.saturating_add(standing.missedRounds.into()) >= u64::from(audits.silent_rounds)
            };
            // One member speaks for all: the first that is not silent itself.
            if (0..standings.len()).find(|at| !is_silent(at)) != Some(usize::from(seat)) {
                continue;
            }
            for at in (0..standings.len()).filter(is_silent) {
                let state = network.read(VOLUMES, &IVolumes::seatOfCall { volume, seat: at as u16 }).await?.state;
                if !matches!(state, LOST | REBUILDING) {
                    tracing::warn!(volume, seat = at, miner = record.miners[at], "silent for too long: declared lost");
                    let call = IAudits::reportSilentCall { lot: record.lots[at] };
                    match self.sender.call(AUDITS, U256::ZERO, &call).await {
                        // Somebody else was faster, or it is back.
                        Err(error) if error.is_revert::<IAudits::NotSilent>() => {}
                        told => drop(told?),
                    }
                }
            }
        }
        self.reported_round = round.number;
        Ok(())
    }
}
