//! Plot units in the background: all cores on one unit while the one before is written.

mod session;
mod writer;

use crate::idle::{
    IdleSpace, Shared, Trouble,
    books::{Books, Job},
};
use proofs::idle::Progress;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// How much lower than all else plotting threads stand with the system: as low as there is.
const NICE: i32 = 19;
/// Wait before what failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// What plotting may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlotConfig {
    /// Cores to plot on, at least one.
    pub threads: usize,
    /// Space that is left free for fragments: nothing is plotted while less than a unit and this is free.
    pub headroom_bytes: u64,
    /// Wait before a disk that refused to write is tried again.
    pub retry_pause: Duration,
    /// How far behind everything else on the machine plotting stands for the processor, 0 to 19.
    pub nice: i32,
}

impl PlotConfig {
    /// Plots on half of the cores, and at least on one.
    pub fn new(headroom_bytes: u64) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { threads: (cores / 2).max(1), headroom_bytes, retry_pause: RETRY_PAUSE, nice: NICE }
    }
}

/// Plotting that goes on in threads of its own until this is dropped or nothing is left, and again when there is more.
pub struct Plotting {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl IdleSpace {
    /// Plots whatever is missing, from now on. To be called in a `tokio` runtime.
    pub fn plot(&self, config: PlotConfig) -> io::Result<Plotting> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|number| format!("idle-plot-{number}"))
            .start_handler(move |_| give_precedence(config.nice))
            .build()
            .map_err(io::Error::other)?;
        let progress = Arc::new(Progress::default());
        let (shared, runtime) = (self.0.clone(), Handle::current());
        let plotter = Plotter { shared, config, progress: progress.clone(), pool, runtime, began: Instant::now() };
        let thread = thread::Builder::new().name("idle-plot".into()).spawn(move || plotter.run())?;
        Ok(Plotting { shared: self.0.clone(), progress, thread: Some(thread) })
    }
}

impl Plotting {
    /// Stops, and waits until nothing is written any more. The unit in hand is given up.
    pub async fn stop(mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, which has been told.
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }

    fn tell_to_stop(&self) {
        self.progress.stop();
        // Under the lock, so that nobody misses it between a look and the wait.
        let _books = self.shared.books.lock();
        self.shared.work.notify_all();
    }
}

impl Drop for Plotting {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// Lets every other thread of the machine go first, so that serving is not disturbed.
pub(crate) fn give_precedence(nice: i32) {
    if let Err(error) = rustix::process::nice(nice) {
        tracing::debug!(%error, "plotting has the priority of everything else");
    }
}

/// What a look for work found.
enum Next {
    Job(Job),
    Nothing,
    /// It has to wait.
    Later(Trouble),
    Stopped,
}

/// The thread that leads the others.
struct Plotter {
    shared: Arc<Shared>,
    config: PlotConfig,
    progress: Arc<Progress>,
    pool: ThreadPool,
    runtime: Handle,
    began: Instant,
}

impl Plotter {
    fn run(self) {
        give_precedence(self.config.nice);
        while self.wait_for_work() {
            // Memory is held only while there is something to plot.
            if let Err(error) = session::run(&self) {
                self.shared.tell(Some(Trouble::Memory(error.to_string())));
                self.pause();
            }
            self.shared.rest();
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until there is something to plot and room for it; false when plotting is to stop.
    fn wait_for_work(&self) -> bool {
        loop {
            let mut books = self.shared.books.lock();
            match self.look(&books) {
                Next::Job(_) => return true,
                Next::Stopped => return false,
                Next::Nothing => self.shared.work.wait(&mut books),
                Next::Later(trouble) => {
                    self.shared.tell(Some(trouble));
                    self.shared.work.wait_for(&mut books, self.config.retry_pause);
                }
            }
        }
    }

    /// Takes the next unit in hand, if it can be plotted now.
    fn take(&self) -> Option<Job> {
        let mut books = self.shared.books.lock();
        let Next::Job(job) = self.look(&books) else { return None };
        books.take(job.place);
        self.shared.account(&books);
        Some(job)
    }

    fn look(&self, books: &Books) -> Next {
        if self.progress.is_stopped() {
            return Next::Stopped;
        }
        if self.shared.is_held.load(Ordering::Relaxed) {
            return Next::Nothing;
        }
        let Some(job) = books.next() else { return Next::Nothing };
        let needed_bytes = books.file_bytes(job.place).saturating_add(self.config.headroom_bytes);
        match self.shared.store.free_bytes() {
            Ok(free_bytes) if free_bytes >= needed_bytes => Next::Job(job),
            Ok(free_bytes) => Next::Later(Trouble::Full { needed_bytes, free_bytes }),
            Err(error) => {
                self.stop_for_good(&error);
                Next::Stopped
            }
        }
    }

    /// Waits before something is tried again; false when plotting is to stop.
    fn pause(&self) -> bool {
        let until = Instant::now() + self.config.retry_pause;
        let mut books = self.shared.books.lock();
        while !self.progress.is_stopped() && !self.shared.work.wait_until(&mut books, until).timed_out() {}
        !self.progress.is_stopped()
    }

    /// The store has failed: what is plotted from now on could not be noted.
    fn stop_for_good(&self, error: &store::StoreError) {
        self.progress.stop();
        self.shared.tell(Some(Trouble::Stopped(error.to_string())));
    }
}

impl Shared {
    /// Tells of trouble, or that it is over; logs what is new.
    fn tell(&self, trouble: Option<Trouble>) {
        self.status.send_if_modified(|status| {
            let kind = |trouble: &Option<Trouble>| trouble.as_ref().map(std::mem::discriminant);
            if kind(&status.trouble) != kind(&trouble) {
                match &trouble {
                    Some(trouble) => tracing::warn!("{trouble}"),
                    None => tracing::info!("plotting goes on"),
                }
            }
            let is_new = status.trouble != trouble;
            status.trouble = trouble;
            is_new
        });
    }

    /// Nothing is being plotted for now.
    fn rest(&self) {
        let books = self.books.lock();
        self.status.send_modify(|status| status.bytes_per_second = 0);
        self.account(&books);
        // Last, so that whoever has seen this sees nothing else change.
        self.status.send_modify(|status| status.is_at_rest = books.units_left() == 0);
        if books.units_total() > 0 && books.units_left() == 0 {
            tracing::info!(units = books.units_total(), "all idle units are plotted");
        }
    }
}
