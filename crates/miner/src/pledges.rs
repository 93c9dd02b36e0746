//! Show the walks that the chain demands of this miner's idle units.
//!
//! # Design
//! What is demanded is read from proved slots, and follows again after a restart. A walk is made by plotting its unit once
//! more, from its key alone, in one thread that lets all others go first; there are rounds for it. One walk at a time is
//! made and sent, so that openings never wait.

use crate::{
    idle::{Batch, IdleSpace, WalksError, give_precedence},
    state::State,
};
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network},
};
use parking_lot::Mutex;
use proofs::idle::Progress;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use types::{
    abi::{AUDITS, IAudits},
    layout::audits::{BeaconQuery, Demand, DemandNumberQuery, DemandQuery, DemandState, LoadQuery, RoundQuery},
};

/// Chain time between two looks.
const LOOK_MS: u64 = 2_000;
/// Precedence of everything else over making walks, as for plotting.
const NICE: i32 = 19;

/// Walks cannot be shown now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PledgeError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("walk {walk} of demand {demand} cannot be shown, and will cost a fine: {source}")]
    Walk { demand: u64, walk: u8, source: WalksError },
    #[error("the work was interrupted")]
    Interrupted,
}

/// Shows walks for one miner.
pub(crate) struct Pledger {
    chain: Arc<dyn ChainApi>,
    state: Arc<Mutex<State>>,
    sender: Sender,
    space: IdleSpace,
    pool: Arc<ThreadPool>,
    progress: Arc<Progress>,
    /// Demands that were read from the miner's list.
    seen: u32,
    open: BTreeSet<u64>,
    looked_at_ms: u64,
}

impl Drop for Pledger {
    fn drop(&mut self) {
        self.progress.stop();
    }
}

impl Pledger {
    /// For a miner that is registered.
    pub(crate) fn new(
        chain: Arc<dyn ChainApi>,
        state: Arc<Mutex<State>>,
        sender: Sender,
        space: IdleSpace,
    ) -> io::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "idle-walk".into())
            .start_handler(|_| give_precedence(NICE))
            .build()
            .map_err(io::Error::other)?;
        let (pool, progress) = (Arc::new(pool), Arc::new(Progress::default()));
        Ok(Self { chain, state, sender, space, pool, progress, seen: 0, open: BTreeSet::new(), looked_at_ms: 0 })
    }

    /// Shows what can be shown now.
    pub(crate) async fn step(&mut self) -> Result<(), PledgeError> {
        let now_ms = self.state.lock().now_ms;
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Ok(());
        }
        self.looked_at_ms = now_ms;
        let round = Network(&*self.chain).query(RoundQuery).await?.number;
        let mut failed = None;
        for (id, demand) in self.demands().await? {
            if demand.state != DemandState::Open as u8 {
                self.open.remove(&id);
                self.tell(id, &demand);
                continue;
            }
            // Before its beacon nobody knows the walks.
            if (demand.round..=demand.deadline()).contains(&round)
                && let Err(error) = self.meet(id, &demand).await
            {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The demands that were open at the last look, and newer ones.
    async fn demands(&mut self) -> Result<BTreeMap<u64, Demand>, ChainError> {
        let network = Network(&*self.chain);
        let miner = self.state.lock().miner;
        let load = network.query(LoadQuery { miner }).await?;
        let numbers: Vec<_> = (self.seen..load.demands).map(|index| DemandNumberQuery { miner, index }).collect();
        let (_, new) = network.query_many(&numbers).await?;
        let is_first = self.seen == 0;
        let asked: BTreeSet<u64> = self.open.iter().copied().chain(new).collect();
        let queries: Vec<_> = asked.iter().map(|demand| DemandQuery { demand: *demand }).collect();
        let (_, demands) = network.query_many(&queries).await?;
        let demands: BTreeMap<u64, Demand> = asked.into_iter().zip(demands).collect();
        self.seen = load.demands;
        self.open = demands.keys().copied().collect();
        // What was settled before this start is no news.
        let is_open = |demand: &Demand| demand.state == DemandState::Open as u8;
        if is_first {
            self.open.retain(|id| demands.get(id).is_some_and(is_open));
        }
        Ok(demands.into_iter().filter(|(id, _)| self.open.contains(id)).collect())
    }

    fn tell(&self, id: u64, demand: &Demand) {
        let lots = demand.first..demand.first.saturating_add(demand.lots.into());
        if demand.state == DemandState::Met as u8 {
            tracing::info!(demand = id, ?lots, "checked: their idle content counts from the next round on");
        } else if demand.state == DemandState::Failed as u8 {
            let missing = demand.missing();
            tracing::error!(
                demand = id,
                ?lots,
                missing,
                "walks were not shown in time: fined, and the roots are taken back"
            );
        }
    }

    async fn meet(&self, id: u64, demand: &Demand) -> Result<(), PledgeError> {
        let beacon = Network(&*self.chain).query(BeaconQuery { round: demand.round }).await?;
        for walk in (0..demand.walks).filter(|walk| !demand.has(*walk)) {
            let batch = Batch { first: demand.first, count: demand.lots.into() };
            let number = demand.first_walk.saturating_add(walk.into());
            let (space, pool, progress) = (self.space.clone(), self.pool.clone(), self.progress.clone());
            let made = offload::run(move || {
                pool.install(|| space.walks(batch, &beacon, number..number.saturating_add(1), &progress))
            });
            let shown = made.await.map_err(|_| PledgeError::Interrupted)?;
            let mut shown = shown.map_err(|source| PledgeError::Walk { demand: id, walk, source })?;
            let content = shown.pop().unwrap_or_default().into();
            match self.sender.call_in_lane(AUDITS, &IAudits::showCall { demand: id, walk, content }).await {
                Ok(_) => {}
                Err(error) if error.is_revert::<IAudits::AlreadyShown>() => {}
                // It was met, came too late, or the lot's root was taken back.
                Err(error)
                    if error.is_revert::<IAudits::UnknownDemand>() || error.is_revert::<IAudits::DemandOver>() =>
                {
                    return Ok(());
                }
                Err(error) => {
                    if error.is_revert::<IAudits::InvalidWalk>() {
                        tracing::error!(demand = id, walk, %error, "a walk is refused: it will cost a fine");
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}
