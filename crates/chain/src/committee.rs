//! Run a whole committee in virtual time, on a thread of its own, in step with whoever drives it.
//!
//! Every validator is the real one but for its network, its disk and its clock, which the deterministic runtime
//! simulates: one seed gives one course of events. Time passes in [`Committee::advance`] and for whatever else is asked,
//! by microseconds; between two calls everything stands still. A crash loses what was not synced.

mod seats;

pub(crate) use seats::Seats;
pub use seats::{Links, SeatView};

use crate::{ProveError, SubmitError, dealer::Dealt};
use alloy_primitives::B256;
use commonware_runtime::{
    Runner as _,
    deterministic::{Config, Runner},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, UNIX_EPOCH},
};
use types::{ChainSpec, Transaction, proof::StateProof, state::StateKey};

/// Virtual time that a step of all tasks takes.
const CYCLE: Duration = Duration::from_micros(1);
/// Building and checking blocks goes deep.
const STACK_BYTES: usize = 16 << 20;

/// What a committee is made of.
#[derive(Clone)]
pub struct CommitteeConfig {
    /// The chain; its time of genesis is when time begins.
    pub spec: Arc<ChainSpec>,
    /// The secrets of its seats.
    pub dealt: Dealt,
    /// Decides about everything that is left to chance.
    pub seed: u64,
    /// Folder of the archives.
    pub folder: PathBuf,
    /// By seat, how far its clock is ahead, or behind if negative; as it should be where there is none.
    pub ahead_ms: Vec<i64>,
    /// What lies between validators at first.
    pub links: Links,
}

/// What becomes of a validator's archive in a crash. Consensus has all that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFate {
    /// It is there again.
    Kept,
    /// It is gone.
    Lost,
}

/// Two validators hold different blocks to be final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two blocks are final at height {height}")]
pub struct Fork {
    /// Where.
    pub height: u64,
}

/// Hash and state root of final blocks by their heights.
pub type Agreed = BTreeMap<u64, (B256, B256)>;

/// Something to do among the seats.
type Job = Box<dyn for<'a> FnOnce(&'a mut Seats) -> BoxFuture<'a, ()> + Send>;

/// A running committee; it ends with this.
pub struct Committee {
    jobs: Option<mpsc::Sender<Job>>,
    views: Arc<Mutex<Vec<Option<SeatView>>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Committee {
    /// Starts all validators.
    pub fn start(config: CommitteeConfig) -> io::Result<Self> {
        let views = Arc::new(Mutex::new(vec![None; config.dealt.seats.len()]));
        let (jobs, waiting) = mpsc::channel::<Job>();
        let shown = views.clone();
        let run = move || {
            let start = UNIX_EPOCH + Duration::from_millis(config.spec.genesis_timestamp_ms);
            let runtime = Config::default().with_seed(config.seed).with_cycle(CYCLE).with_start_time(start);
            Runner::new(runtime).start(|context| async move {
                let mut seats = Seats::new(context, config, shown).await;
                seats.start_all();
                // Nothing happens, and no time passes, until somebody wants something.
                while let Ok(job) = waiting.recv() {
                    job(&mut seats).await;
                }
            });
        };
        let thread = thread::Builder::new().name("committee".into()).stack_size(STACK_BYTES).spawn(run)?;
        Ok(Self { jobs: Some(jobs), views, thread: Some(thread) })
    }

    /// Does something among the seats, and waits for it.
    fn ask<R: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Seats) -> BoxFuture<'a, R> + Send + 'static,
    ) -> R {
        let (answer, answered) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |seats| {
            Box::pin(async move {
                // Who asked waits.
                let _ = answer.send(job(seats).await);
            })
        });
        let jobs = self.jobs.as_ref().expect("jobs are taken until it is dropped");
        // A validator that panics takes the thread with it, and says why.
        jobs.send(job).expect("the committee runs");
        answered.recv().expect("the committee runs")
    }

    /// Lets time pass until `time_ms`, milliseconds since 1970.
    pub fn advance(&self, time_ms: u64) {
        self.ask(move |seats| Box::pin(seats.sleep_until(time_ms)));
    }

    /// Cuts a validator's power, and with it what was not synced.
    pub fn crash(&self, seat: usize, archive: ArchiveFate) {
        self.ask(move |seats| Box::pin(seats.crash(seat, archive)));
    }

    /// Starts a validator that crashed.
    pub fn restart(&self, seat: usize) {
        self.ask(move |seats| {
            seats.start(seat);
            Box::pin(async {})
        });
    }

    /// Changes what lies between validators.
    pub fn set_links(&self, links: Links) {
        self.ask(move |seats| Box::pin(seats.set_links(links)));
    }

    /// What can be seen of a validator, if it is up.
    pub fn view(&self, seat: usize) -> Option<SeatView> {
        self.views.lock().get(seat).cloned().flatten()
    }

    /// Hands a transaction to a validator; nothing if it is down.
    pub fn submit(&self, seat: usize, transaction: Transaction) -> Option<Result<B256, SubmitError>> {
        self.ask(move |seats| {
            Box::pin(async move {
                let node = seats.node(seat)?;
                Some(node.submit(transaction).await)
            })
        })
    }

    /// What a validator proves of its state now; nothing while it is down, or has no certificate of its newest block.
    pub fn prove(&self, seat: usize, keys: Vec<StateKey>) -> Result<Option<StateProof>, ProveError> {
        self.ask(move |seats| {
            Box::pin(async move {
                match seats.node(seat) {
                    Some(node) => node.try_prove(&keys).await,
                    None => Ok(None),
                }
            })
        })
    }

    /// All blocks that any validator held to be final so far.
    pub fn agreed(&self) -> Result<Agreed, Fork> {
        self.ask(|seats| {
            let agreed = seats.agreed();
            Box::pin(async { agreed })
        })
    }
}

impl Drop for Committee {
    fn drop(&mut self) {
        self.jobs = None;
        self.views.lock().fill(None);
        if let Some(thread) = self.thread.take() {
            // It has said why, if it panicked.
            let _ = thread.join();
        }
    }
}
