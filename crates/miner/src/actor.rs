//! Run a miner: set it up, follow the chain, and answer peers meanwhile.

use crate::{
    audit::Auditor,
    follow::{FollowError, Follower},
    help::HelpDesk,
    idle::{IdleConfig, IdleError, IdleLayout, IdleSpace, LayoutError, Plotting},
    notes,
    pledges::Pledger,
    rebuild::Rebuilder,
    repair::Repairer,
    service::MinerService,
    setup::{Keys, MinerConfig, RepairConfig, set_up},
    space::SpaceKeeper,
    staging::Staging,
    state::State,
    views::Views,
};
use client::{
    Sender,
    chain::{ChainApi, ChainError},
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{FragmentKey, FragmentState, Store, StoreError};
use tokio::{
    sync::{RwLock, watch},
    task::JoinHandle,
};
use tokio_util::task::AbortOnDropHandle;
use transport::{Service, Transport};

/// Wait before the chain is asked again after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A miner cannot start or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinerError {
    /// The chain's specification cannot be had.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The disk or the index failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was noted on disk cannot be read.
    #[error("the store's notes are damaged: move the data folder away and let the miner be repaired")]
    Notes,
    /// The chain refused to register the miner.
    #[error("the miner cannot be registered: {0}")]
    Setup(String),
    /// The chain knows the miner under another receipt key.
    #[error("miner {miner} is registered with another receipt key: use the key it was registered with")]
    ReceiptKey {
        /// The miner.
        miner: u32,
    },
    /// The region is none.
    #[error("{0:?} is no region: give an ISO 3166 code such as DE or US-CA")]
    Region(String),
    /// The idle space cannot be opened.
    #[error(transparent)]
    Idle(#[from] IdleError),
    /// The chain's idle units are none that can be plotted.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Idle space cannot be plotted.
    #[error("no threads to plot idle space in: {0}")]
    Threads(String),
    /// The task was interrupted.
    #[error("the miner was interrupted")]
    Interrupted,
}

/// The miner.
#[derive(Clone, Copy, Debug)]
pub struct Miner;

/// A running miner; it stops when this is dropped.
pub struct MinerHandle {
    service: Arc<MinerService>,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<Result<(), MinerError>>,
}

/// How far a miner is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Its number, once it is registered and has pledged.
    miner: Option<u32>,
    height: u64,
}

impl Miner {
    /// Starts a miner that fills no idle space; all else as [`start_with_idle`](Self::start_with_idle).
    pub async fn start(
        config: MinerConfig,
        chain: Arc<dyn ChainApi>,
        transport: Arc<dyn Transport>,
        store: Store,
        keys: Keys,
    ) -> Result<MinerHandle, MinerError> {
        Self::start_with(config, chain, transport, store, keys, None).await
    }

    /// Starts a miner: it registers and pledges in its own time, follows the chain, answers peers through
    /// [`MinerHandle::service`], and fills idle space where the chain has audits. What it learns and holds is in `store`
    /// and the idle files, so that it goes on where it was.
    pub async fn start_with_idle(
        config: MinerConfig,
        chain: Arc<dyn ChainApi>,
        transport: Arc<dyn Transport>,
        store: Store,
        keys: Keys,
        idle: IdleConfig,
    ) -> Result<MinerHandle, MinerError> {
        Self::start_with(config, chain, transport, store, keys, Some(idle)).await
    }

    async fn start_with(
        config: MinerConfig,
        chain: Arc<dyn ChainApi>,
        transport: Arc<dyn Transport>,
        store: Store,
        keys: Keys,
        idle: Option<IdleConfig>,
    ) -> Result<MinerHandle, MinerError> {
        let spec = chain.spec().await?;
        let state = State { is_audited: spec.storage.audits.is_some(), ..restore(&store).await? };
        let state = Arc::new(Mutex::new(state));
        let (turn, helped) = (Arc::new(RwLock::new(())), Arc::new(tokio::sync::Mutex::new(())));
        let service = Arc::new(MinerService {
            chain: chain.clone(),
            spec,
            store: store.clone(),
            state: state.clone(),
            views: Views::new(chain.clone()),
            receipt_key: keys.receipt.clone(),
            turn: turn.clone(),
            rebuilder: Rebuilder { transport: transport.clone(), store: store.clone() },
            finding_out: Arc::default(),
            help: HelpDesk::new(config.repair.helps_at_once),
            helped: helped.clone(),
        });
        let unchecked: BTreeSet<u32> = state.lock().volumes.keys().copied().collect();
        let follower = Follower { chain, transport, store, state, turn, helped, unchecked, swept_at_height: 0 };
        let (told, progress) = watch::channel(Progress::default());
        let task = tokio::spawn(run(follower, config, keys, idle, told));
        Ok(MinerHandle { service, progress, task })
    }
}

impl MinerHandle {
    /// What answers peers: give it to the transport.
    pub fn service(&self) -> Arc<dyn Service> {
        self.service.clone()
    }

    /// Waits until the miner is registered and has pledged its lots; returns its number, or an error if it has ended.
    pub async fn registered(&mut self) -> Result<u32, MinerError> {
        let progress = self.progress.wait_for(|progress| progress.miner.is_some()).await;
        progress.ok().and_then(|progress| progress.miner).ok_or(MinerError::Interrupted)
    }

    /// Waits until the miner has followed the chain to a height; an error if it has ended.
    pub async fn followed(&mut self, height: u64) -> Result<u64, MinerError> {
        let progress = self.progress.wait_for(|progress| progress.height >= height).await;
        progress.map(|progress| progress.height).map_err(|_| MinerError::Interrupted)
    }

    /// Waits until the miner ends, which only an error makes it do.
    pub async fn ended(&mut self) -> MinerError {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => MinerError::Interrupted,
        }
    }

    /// Stops at once: whatever is under way is as after a kill.
    pub async fn stop(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }
}

impl Drop for MinerHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut follower: Follower,
    config: MinerConfig,
    keys: Keys,
    idle: Option<IdleConfig>,
    told: watch::Sender<Progress>,
) -> Result<(), MinerError> {
    let miner = set_up(&follower.chain, &config, &keys).await?;
    follower.state.lock().miner = miner;
    told.send_modify(|progress| progress.miner = Some(miner));
    let _beside = keep_up(&follower, &keys, config.repair, idle, &told.subscribe()).await?;
    let mut unreachable = false;
    loop {
        match follower.step().await {
            Ok(()) => {
                if std::mem::take(&mut unreachable) {
                    tracing::info!("the chain can be followed again");
                }
                let height = follower.state.lock().height;
                told.send_modify(|progress| progress.height = height);
            }
            Err(FollowError::Store(error)) => return Err(error.into()),
            Err(FollowError::Chain(error)) => {
                if !std::mem::replace(&mut unreachable, true) {
                    tracing::warn!(%error, "the chain cannot be followed");
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Answers rounds, repairs, and looks after idle space beside following, until the handles are dropped.
async fn keep_up(
    follower: &Follower,
    keys: &Keys,
    repair_config: RepairConfig,
    idle: Option<IdleConfig>,
    progress: &watch::Receiver<Progress>,
) -> Result<[AbortOnDropHandle<()>; 4], MinerError> {
    let spec = follower.chain.spec().await?;
    let sender = || Sender::new(follower.chain.clone(), keys.operator.clone());
    let (chain, store, state) = (&follower.chain, &follower.store, &follower.state);
    let audits = spec.storage.audits.as_ref();
    let (space, keeper) = match idle.filter(|_| audits.is_some()) {
        Some(idle) => {
            let lots_max = idle.lots_max;
            let (space, plotting) = open_idle(follower, idle).await?;
            let parts = (space.clone(), plotting);
            (Some(space), Some(SpaceKeeper::new(chain.clone(), state.clone(), sender(), parts, lots_max)))
        }
        None => (None, None),
    };
    let is_checked = audits.is_some_and(|audits| audits.pledges.is_some());
    let pledger = space.clone().filter(|_| is_checked);
    let pledger = pledger.map(|space| Pledger::new(chain.clone(), state.clone(), sender(), space)).transpose();
    let pledger = pledger.map_err(|error| MinerError::Threads(error.to_string()))?;
    let auditor = audits.map(|audits| {
        let held = (store.clone(), space);
        Auditor::new(chain.clone(), held, state.clone(), sender(), (&spec.storage, audits))
    });
    let repairer = Repairer::new(follower, (sender(), keys.receipt.clone()), repair_config);
    Ok([
        AbortOnDropHandle::new(tokio::spawn(audit(auditor, progress.clone()))),
        AbortOnDropHandle::new(tokio::spawn(repair(repairer, progress.clone()))),
        AbortOnDropHandle::new(tokio::spawn(keep_space(keeper, progress.clone()))),
        AbortOnDropHandle::new(tokio::spawn(show_walks(pledger, progress.clone()))),
    ])
}

/// Opens the idle space of the registered miner, and begins to plot.
async fn open_idle(follower: &Follower, idle: IdleConfig) -> Result<(IdleSpace, Plotting), MinerError> {
    let spec = follower.chain.spec().await?;
    let layout = IdleLayout::new(spec.chain_id, follower.state.lock().miner, &spec.storage)?;
    let (space, recovery) = IdleSpace::open(layout, idle.files, follower.store.clone()).await?;
    if !recovery.damaged.is_empty() {
        tracing::error!(units = recovery.damaged.len(), "idle units are missing on disk: plotting them again");
    }
    let plotting = space.plot(idle.plot).map_err(|error| MinerError::Threads(error.to_string()))?;
    Ok((space, plotting))
}

async fn audit(auditor: Option<Auditor>, mut progress: watch::Receiver<Progress>) {
    let Some(mut auditor) = auditor else { return };
    let mut told = Told::default();
    while progress.changed().await.is_ok() {
        told.tell("the round is not answered yet", auditor.step().await);
    }
}

async fn show_walks(pledger: Option<Pledger>, mut progress: watch::Receiver<Progress>) {
    let Some(mut pledger) = pledger else { return };
    let mut told = Told::default();
    while progress.changed().await.is_ok() {
        told.tell("not every walk is shown yet", pledger.step().await);
    }
}

async fn repair(mut repairer: Repairer, mut progress: watch::Receiver<Progress>) {
    let mut told = Told::default();
    while progress.changed().await.is_ok() {
        // Rounds come first.
        tokio::task::yield_now().await;
        told.tell("not everything is repaired yet", repairer.step().await);
    }
}

async fn keep_space(keeper: Option<SpaceKeeper>, mut progress: watch::Receiver<Progress>) {
    let Some(mut keeper) = keeper else { return };
    let mut status = keeper.status();
    let mut told = Told::default();
    loop {
        let changed = tokio::select! {
            changed = progress.changed() => changed,
            changed = status.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        told.tell("idle space is not as the chain wants it yet", keeper.step().await);
    }
}

/// What was said last, so that it is said once and not once a block.
#[derive(Default)]
struct Told(String);

impl Told {
    fn tell<E: std::fmt::Display>(&mut self, what: &str, result: Result<(), E>) {
        let text = result.err().map(|error| error.to_string()).unwrap_or_default();
        if !text.is_empty() && text != self.0 {
            tracing::warn!("{what}: {text}");
        }
        self.0 = text;
    }
}

/// Reads back what a miner knew.
async fn restore(store: &Store) -> Result<State, MinerError> {
    let mut state = State::default();
    if let Some(value) = store.note(notes::HEIGHT_KEY.to_vec()).await? {
        state.height = notes::read_height(&value).ok_or(MinerError::Notes)?;
    }
    for (key, value) in notes::all(store, notes::log_keys()).await? {
        let (volume, log) = notes::read_log(&key, &value).ok_or(MinerError::Notes)?;
        state.volumes.insert(volume, log);
    }
    for (key, value) in notes::all(store, notes::missing_keys()).await? {
        let (volume, index, segment) = notes::read_missing(&key, &value).ok_or(MinerError::Notes)?;
        state.missing.insert(FragmentKey { segment, volume }, index);
    }
    state.staging = restore_staging(store).await?;
    Ok(state)
}

async fn restore_staging(store: &Store) -> Result<Staging, StoreError> {
    let mut staging = Staging::default();
    for key in store.staged() {
        if let Some(record) = store.record(key).await?.filter(|record| record.state == FragmentState::Staged) {
            staging.restore(key, record.territory, record.fragment_bytes(), record.expires_at_height);
        }
    }
    Ok(staging)
}

#[cfg(test)]
mod tests;
