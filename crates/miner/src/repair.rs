//! Keep seats whole: take back what silence lost, rebuild what is not here, let go of what others hold now.
//!
//! # Design
//! A fragment that is owed and not here is noted as missing, however that came about: the miner was drawn for the seat of
//! another, did not sign, or lost its log. Whatever is missing is rebuilt from `k` verified fragments of other members, in
//! the order of the log, so that the watermark of a newcomer rises steadily. The chain is told afterwards: `progress` for
//! a column that is taken over, `heal` for a stripe that the seat had not signed. A seat that is handed over is taken over in
//! the same way, but its holder answers for it until the column is here. A stripe that is no codeword holds nobody up: it is
//! passed over, and the chain is shown so.

mod cash;
mod column;
mod garbage;
mod leaving;
mod shares;

use crate::{
    follow::Follower,
    notes,
    rebuild::{RebuildError, Rebuilder},
    setup::RepairConfig,
    state::State,
};
use alloy_primitives::U256;
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network},
};
use leaving::{HANDING_OVER, is_successor};
use parking_lot::Mutex;
use shares::Helpers;
use std::{collections::BTreeMap, sync::Arc};
use store::{Change, FragmentKey, Store, StoreError};
use tokio::sync::{RwLock, Semaphore};
use types::{
    Profile, ReceiptKey,
    abi::{AUDITS, IAudits, IVolumes, VOLUMES},
    layout::{
        audits::{RoundQuery, Stage},
        volumes::SeatQuery,
    },
};

/// States of a seat, as the chain numbers them.
const LOST: u8 = 1;
pub(crate) const REBUILDING: u8 = 2;
pub(crate) const UNSETTLED: u8 = 5;
/// Why a seat is lost that may be taken back.
const SILENT: u8 = 1;
/// Chain time between two looks at the seats.
const LOOK_MS: u64 = 4_000;
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
    rebuilder: Rebuilder,
    store: Store,
    state: Arc<Mutex<State>>,
    turn: Arc<RwLock<()>>,
    sender: Sender,
    receipt_key: ReceiptKey,
    config: RepairConfig,
    /// As many as this miner rebuilds for itself at the same time.
    slots: Semaphore,
    helpers: Helpers,
    helped: Arc<tokio::sync::Mutex<()>>,
    /// Stripes that are no codewords, and when they are looked at again if the chain still has them then.
    garbage: BTreeMap<FragmentKey, u64>,
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
    pub(crate) fn new(follower: &Follower, (sender, receipt_key): (Sender, ReceiptKey), config: RepairConfig) -> Self {
        Self {
            chain: follower.chain.clone(),
            rebuilder: Rebuilder { transport: follower.transport.clone(), store: follower.store.clone() },
            store: follower.store.clone(),
            state: follower.state.clone(),
            turn: follower.turn.clone(),
            sender,
            receipt_key,
            config,
            slots: Semaphore::new(config.stripes_at_once),
            helpers: Helpers::default(),
            helped: follower.helped.clone(),
            garbage: BTreeMap::new(),
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
        failed = self.cash().await.and(failed);
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
            _ => {
                self.add_up(chair).await?;
                let rebuilt = self.rebuild(chair).await;
                self.acknowledge(chair).await?;
                rebuilt?;
            }
        }
        let grace_ms = self.chain.spec().await?.storage.repair.grace_ms;
        if record.state == UNSETTLED && record.sinceMs.saturating_add(grace_ms) < now_ms {
            self.sender.call(VOLUMES, U256::ZERO, &IVolumes::settleCall { volume, seat }).await?;
        }
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

#[cfg(test)]
mod tests;
