//! Keep idle space in step with the chain: take lots in, name their roots, give way to logs, let go of withdrawn lots.
//!
//! # Design
//! Everything follows from proved state, and is looked at twice a round: when it is open and when it is over. What a
//! column had grown to while a round was open, the next one asks for no more: so space gives way one round late, and
//! never to a column that a round does not know. A round that holds a lot may ask for its idle content to the end: so
//! withdrawn lots are let go between rounds.

use crate::{
    idle::{IdleError, IdleSpace, PlotStatus, Plotting},
    state::State,
};
use alloy_primitives::{B256, U256};
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::watch;
use types::{
    abi::{AUDITS, IAudits},
    layout::{
        audits::{BeaconQuery, LoadQuery, RollQuery, RoundQuery, Run, RunQuery, Stage},
        miners::{Lot, LotQuery},
        volumes::SeatsQuery,
    },
};

/// Chain time between two looks at the round.
const LOOK_MS: u64 = 1_000;
/// Most lots whose roots one transaction names.
const PLOTS_MAX: usize = 64;

/// The chain and the idle space cannot be brought together now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpaceError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Idle(#[from] IdleError),
}

/// Looks after the idle space of one miner, and plots it while it lives.
pub(crate) struct SpaceKeeper {
    chain: Arc<dyn ChainApi>,
    state: Arc<Mutex<State>>,
    sender: Sender,
    space: IdleSpace,
    /// Lots to fill at most.
    lots_max: usize,
    /// The miner's pledges, which never change.
    runs: Vec<Run>,
    /// Lots whose root the chain has.
    named: BTreeSet<u32>,
    columns: Columns,
    /// The last round that was looked at, and whether it was over.
    done: (u64, bool),
    looked_at_ms: u64,
    _plotting: Plotting,
}

/// How long lots' columns were while a round was open.
#[derive(Debug, Default)]
struct Columns {
    round: u64,
    bytes: Vec<(u32, u64)>,
}

/// A lot of this miner.
#[derive(Clone, Copy, Debug)]
struct OwnLot {
    id: u32,
    /// The round whose beacon its units come from.
    round: u64,
    record: Lot,
    is_withdrawn: bool,
}

impl SpaceKeeper {
    /// For a miner that is registered.
    pub(crate) fn new(
        chain: Arc<dyn ChainApi>,
        state: Arc<Mutex<State>>,
        sender: Sender,
        (space, plotting): (IdleSpace, Plotting),
        lots_max: Option<u32>,
    ) -> Self {
        Self {
            chain,
            state,
            sender,
            space,
            lots_max: lots_max.map_or(usize::MAX, |lots| lots as usize),
            runs: Vec::new(),
            named: BTreeSet::new(),
            columns: Columns::default(),
            done: (0, false),
            looked_at_ms: 0,
            _plotting: plotting,
        }
    }

    /// How far plotting is: roots can be named when it has changed.
    pub(crate) fn status(&self) -> watch::Receiver<PlotStatus> {
        self.space.status()
    }

    /// Does what is to be done now.
    pub(crate) async fn step(&mut self) -> Result<(), SpaceError> {
        let now_ms = self.state.lock().now_ms;
        if now_ms >= self.looked_at_ms.saturating_add(LOOK_MS) {
            self.looked_at_ms = now_ms;
            self.look().await?;
        }
        self.name_roots().await
    }

    async fn look(&mut self) -> Result<(), SpaceError> {
        let round = Network(&*self.chain).query(RoundQuery).await?;
        let is_over = matches!(round.stage, Stage::Rest | Stage::AwaitA);
        // Before the first round there is no beacon to plot from.
        if round.number == 0 || self.done == (round.number, is_over) {
            return Ok(());
        }
        self.give_way(round.number).await?;
        let lots = self.lots().await?;
        self.take_in(&lots).await?;
        if is_over {
            self.let_go(&lots).await?;
            self.forget_roots().await?;
        }
        self.read_columns(round.number, &lots).await?;
        self.tell_progress();
        self.done = (round.number, is_over);
        Ok(())
    }

    /// Says how far plotting is, while there is anything left.
    fn tell_progress(&self) {
        let status = self.space.status().borrow().clone();
        let PlotStatus { units_done, units_total, bytes_per_second, left, .. } = status;
        if units_done < units_total {
            tracing::info!(
                units_done,
                units_total,
                mib_per_second = bytes_per_second >> 20,
                ?left,
                "plotting idle units"
            );
        }
    }

    /// All lots that the miner ever pledged, in order.
    async fn lots(&mut self) -> Result<Vec<OwnLot>, ChainError> {
        let network = Network(&*self.chain);
        let miner = self.state.lock().miner;
        let roll = network.query(RollQuery { miner }).await?;
        let unknown = self.runs.len() as u32..roll.runs;
        let queries: Vec<_> = unknown.map(|index| RunQuery { miner, index }).collect();
        self.runs.extend(network.query_many(&queries).await?.1);
        let ends = self.runs.iter().skip(1).map(|run| run.start).chain([roll.lots]);
        let of_run = |(run, end): (&Run, u32)| {
            let (first, round) = (run.lot, run.round);
            (0..end.saturating_sub(run.start)).map(move |number| (first.saturating_add(number), round))
        };
        let ids: Vec<(u32, u64)> = self.runs.iter().zip(ends).flat_map(of_run).collect();
        let is_retired = network.miner(miner).await?.retired;
        let queries: Vec<_> = ids.iter().map(|(lot, _)| LotQuery { lot: *lot }).collect();
        let (_, records) = network.query_many(&queries).await?;
        let own = ids.into_iter().zip(records).map(|((id, round), record)| {
            let is_withdrawn = record.gone || (record.volume == 0 && is_retired);
            OwnLot { id, round, record, is_withdrawn }
        });
        Ok(own.collect())
    }

    /// Takes in lots whose beacon is known, as far as lots are to be filled.
    async fn take_in(&self, lots: &[OwnLot]) -> Result<(), SpaceError> {
        let known: BTreeSet<u32> = self.space.lots().into_iter().collect();
        let room = self.lots_max.saturating_sub(known.len());
        let new = lots.iter().filter(|lot| !lot.is_withdrawn && !known.contains(&lot.id));
        let new: Vec<_> = new.take(room).collect();
        let rounds: BTreeSet<u64> = new.iter().map(|lot| lot.round).collect();
        let queries: Vec<_> = rounds.iter().map(|round| BeaconQuery { round: *round }).collect();
        let (_, beacons) = Network(&*self.chain).query_many(&queries).await?;
        let beacons: BTreeMap<u64, B256> = rounds.into_iter().zip(beacons).collect();
        for lot in new {
            if let Some(beacon) = beacons.get(&lot.round).filter(|beacon| !beacon.is_zero()) {
                self.space.add_lot(lot.id, *beacon).await?;
                tracing::info!(lot = lot.id, "to be filled with idle content");
            }
        }
        Ok(())
    }

    /// Lets go of lots that were withdrawn, and fills again what is in no volume any more.
    async fn let_go(&mut self, lots: &[OwnLot]) -> Result<(), SpaceError> {
        let known: BTreeSet<u32> = self.space.lots().into_iter().collect();
        let miner = self.state.lock().miner;
        // Walks are owed over lots that are gone, too: what they are made from stays until all are shown.
        let is_asked = Network(&*self.chain).query(LoadQuery { miner }).await?.pending > 0;
        for lot in lots.iter().filter(|lot| known.contains(&lot.id)) {
            if lot.is_withdrawn && is_asked {
                continue;
            }
            if lot.is_withdrawn {
                self.space.remove_lot(lot.id).await?;
                self.named.remove(&lot.id);
                tracing::info!(lot = lot.id, "was withdrawn: its idle content is gone");
            } else if lot.record.volume == 0 {
                self.space.refill(lot.id).await?;
            }
        }
        Ok(())
    }

    /// Has roots named again that the chain took back, as walks were not shown in time.
    async fn forget_roots(&mut self) -> Result<(), ChainError> {
        let named: Vec<u32> = self.named.iter().copied().collect();
        let calls: Vec<_> = named.iter().map(|lot| IAudits::idleRootCall { lot: *lot }).collect();
        let told = Network(&*self.chain).read_many(AUDITS, &calls).await?;
        for (lot, _) in named.into_iter().zip(told).filter(|(_, root)| root.is_zero()) {
            self.named.remove(&lot);
        }
        Ok(())
    }

    /// Gives up what lay below the columns before this round was open.
    async fn give_way(&mut self, round: u64) -> Result<(), SpaceError> {
        if self.columns.round >= round {
            return Ok(());
        }
        for (lot, column_bytes) in std::mem::take(&mut self.columns).bytes {
            let freed_bytes = match self.space.give_way(lot, column_bytes).await {
                Err(IdleError::UnknownLot(_)) => 0,
                freed_bytes => freed_bytes?,
            };
            if freed_bytes > 0 {
                tracing::debug!(lot, freed_bytes, "idle content gave way to data");
            }
        }
        Ok(())
    }

    /// Notes how long columns are in a round.
    async fn read_columns(&mut self, round: u64, lots: &[OwnLot]) -> Result<(), ChainError> {
        let profile = self.chain.spec().await?.storage.profile;
        let known: BTreeSet<u32> = self.space.lots().into_iter().collect();
        let seated = |lot: &&OwnLot| lot.record.volume != 0 && !lot.is_withdrawn && known.contains(&lot.id);
        let seated: Vec<_> = lots.iter().filter(seated).collect();
        let queries: Vec<_> = seated.iter().map(|lot| SeatsQuery { volume: lot.record.volume, profile }).collect();
        let network = Network(&*self.chain);
        let (_, seats) = network.query_many(&queries).await?;
        // A round that has opened meanwhile asks for the idle content above an older length.
        if network.query(RoundQuery).await?.number != round {
            return Ok(());
        }
        let column = |(lot, seats): (&&OwnLot, Option<_>)| {
            seats.map(|seats: types::layout::volumes::Seats| (lot.id, seats.column_bytes))
        };
        self.columns = Columns { round, bytes: seated.iter().zip(seats).filter_map(column).collect() };
        Ok(())
    }

    /// Tells the chain the roots of lots that are plotted.
    async fn name_roots(&mut self) -> Result<(), SpaceError> {
        let lots = self.space.lots().into_iter().filter(|lot| !self.named.contains(lot));
        let plotted: Vec<(u32, B256)> = lots.filter_map(|lot| Some((lot, self.space.idle_root(lot)?))).collect();
        if plotted.is_empty() {
            return Ok(());
        }
        let calls: Vec<_> = plotted.iter().map(|(lot, _)| IAudits::idleRootCall { lot: *lot }).collect();
        let told = Network(&*self.chain).read_many(AUDITS, &calls).await?;
        let mut new = Vec::new();
        for ((lot, root), told) in plotted.into_iter().zip(told) {
            if told.is_zero() {
                new.push((lot, root));
                continue;
            }
            self.named.insert(lot);
            if told != root {
                tracing::error!(lot, "the chain knows another idle root: what is here does not answer for it");
            }
        }
        for (first, roots) in consecutive(new) {
            let lots = first..first.saturating_add(roots.len() as u32);
            let call = IAudits::plotCall { firstLot: first, idleRoots: roots };
            self.sender.call(AUDITS, U256::ZERO, &call).await?;
            tracing::info!(?lots, "plotted: their idle content counts when it is checked");
            self.named.extend(lots);
        }
        Ok(())
    }
}

/// Cuts lots into consecutive ones, as one transaction takes them.
fn consecutive(lots: Vec<(u32, B256)>) -> Vec<(u32, Vec<B256>)> {
    let mut runs: Vec<(u32, Vec<B256>)> = Vec::new();
    for (lot, root) in lots {
        match runs.last_mut() {
            Some((first, roots))
                if u64::from(*first) + roots.len() as u64 == u64::from(lot) && roots.len() < PLOTS_MAX =>
            {
                roots.push(root);
            }
            _ => runs.push((lot, vec![root])),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
