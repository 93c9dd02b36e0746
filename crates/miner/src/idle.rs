//! Fill pledged space with idle units, keep them, and show what audits ask of them.
//!
//! An [`IdleSpace`] knows the miner's lots and what is on disk of their units; [`IdleSpace::plot`] makes the units that are
//! missing, in threads of its own. Reads are plain reads of files; all that openings need beside the bytes is in the
//! store's notes, so that slots which gave way to the log leave the rest of their unit openable. `docs/spec/idle.md` has
//! the format.
//!
//! # Design
//! `books` decides, without touching anything: which unit comes next, which bytes a file has. What a unit's note says
//! counts: a file without a note goes when the space is opened, a note without its file has the unit plotted again.
//! Notes are committed after the file survives a crash, and before a file is cut.
//!
//! # Invariants
//! Every slot that is not given up can be read once its unit was acknowledged, or is known as damaged and is being
//! plotted again. A lot's idle root never changes.

mod books;
mod disk;
mod layout;
mod plot;
mod read;
mod record;
mod recovery;
mod scrub;
mod status;
mod walks;

pub use disk::{FileUnits, MemoryUnits, UnitFiles};
pub use layout::{IdleLayout, LayoutError, UnitPlace};
pub(crate) use plot::give_precedence;
pub use plot::{PlotConfig, Plotting};
pub use read::{ChunkOpening, SlotError, UnitWitness, Verify};
pub use recovery::IdleRecovery;
pub use scrub::IdleScrub;
pub use status::{PlotStatus, Trouble};
pub use walks::{Batch, WalksError};

use alloy_primitives::B256;
use books::Books;
use parking_lot::{Condvar, Mutex};
use proofs::idle::Graph;
use record::LotRecord;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{Store, StoreError};
use tokio::sync::watch;

/// What a miner fills with idle content, and where.
#[derive(Clone, Debug)]
pub struct IdleConfig {
    /// The files.
    pub files: Arc<dyn UnitFiles>,
    /// What plotting may take.
    pub plot: PlotConfig,
    /// Lots to fill at most; all that are pledged without.
    pub lots_max: Option<u32>,
}

/// The idle space cannot be changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdleError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of idle units failed.
    #[error("the idle folder failed: {0}; look at the disk")]
    Disk(String),
    /// What was noted cannot be read.
    #[error("the notes about idle units are damaged, or of another chain: move the data folder away")]
    Notes,
    /// The miner has no such lot.
    #[error("lot {0} is not one of this miner's")]
    UnknownLot(u32),
    /// The lot's units come from another beacon.
    #[error("lot {0} was plotted from another beacon: a lot's beacon never changes")]
    Beacon(u32),
}

/// The idle units of a miner; clones are the same.
#[derive(Clone)]
pub struct IdleSpace(Arc<Shared>);

struct Shared {
    layout: IdleLayout,
    files: Arc<dyn UnitFiles>,
    store: Store,
    books: Mutex<Books>,
    /// Told when there may be something to plot, or room for it, or plotting is to stop.
    work: Condvar,
    /// Whoever changes notes and files together has it.
    turn: tokio::sync::Mutex<()>,
    status: watch::Sender<PlotStatus>,
    graph: OnceLock<Arc<Graph>>,
    /// Nothing is plotted for now.
    is_held: AtomicBool,
}

impl IdleSpace {
    /// Opens a miner's idle units and puts right what a crash left. From then on their bytes count against the store's
    /// capacity.
    pub async fn open(
        layout: IdleLayout,
        files: Arc<dyn UnitFiles>,
        store: Store,
    ) -> Result<(Self, IdleRecovery), IdleError> {
        let (books, recovery) = recovery::recover(layout, &files, &store).await?;
        let shared = Shared {
            layout,
            files,
            store,
            books: Mutex::new(books),
            work: Condvar::new(),
            turn: tokio::sync::Mutex::new(()),
            status: watch::Sender::new(PlotStatus::default()),
            graph: OnceLock::new(),
            is_held: AtomicBool::new(offload::is_in_place()),
        };
        shared.account(&shared.books.lock());
        Ok((Self(Arc::new(shared)), recovery))
    }

    /// Sizes of lots and units.
    pub fn layout(&self) -> IdleLayout {
        self.0.layout
    }

    /// The lots that are plotted or to be plotted, in order.
    pub fn lots(&self) -> Vec<u32> {
        self.0.books.lock().lots().collect()
    }

    /// How far plotting is, now and from now on.
    pub fn status(&self) -> watch::Receiver<PlotStatus> {
        self.0.status.subscribe()
    }

    /// In a simulation plotting takes no time, and is done here alone, so that one seed gives one course of events.
    /// Elsewhere it goes on in the background, and nobody waits.
    pub(crate) async fn catch_up(&self) {
        if !offload::is_in_place() {
            return;
        }
        let mut status = self.status();
        self.0.hold(false);
        let is_done = |status: &PlotStatus| status.units_total == 0 || status.is_at_rest || status.trouble.is_some();
        // Its sender is here.
        drop(offload::answer(status.wait_for(is_done)).await.map(drop));
        self.0.hold(true);
    }

    /// Takes a lot in that was pledged before `beacon`. Once known, it has no effect.
    pub async fn add_lot(&self, lot: u32, beacon: B256) -> Result<(), IdleError> {
        self.change(move |shared| async move {
            match shared.books.lock().record(lot) {
                Some(record) if record.beacon == beacon => return Ok(()),
                Some(_) => return Err(IdleError::Beacon(lot)),
                None => {}
            }
            let record = LotRecord { beacon, given_up: 0 };
            shared.store.update(vec![record::put_lot(lot, &record)]).await?;
            shared.update(|books| books.add(lot, record));
            Ok(())
        })
        .await
    }

    /// Lets a lot go that was withdrawn, with all of its units. Without such a lot, it has no effect.
    pub async fn remove_lot(&self, lot: u32) -> Result<(), IdleError> {
        self.change(move |shared| async move {
            let units = 0..shared.layout.lot_units();
            let units = units.map(|unit| record::remove_unit(UnitPlace { lot, unit }));
            let changes = units.chain([record::remove_lot(lot)]).collect();
            shared.store.update(changes).await?;
            let mut places = Vec::new();
            shared.update(|books| places = books.remove(lot));
            shared.cut(places).await
        })
        .await
    }

    /// Gives up the slots of a lot that lie wholly below `column_bytes`; returns the bytes that this frees. For good: a
    /// smaller length later has no effect. Give the length that no open round is below, since rounds owe idle content by
    /// the length at their beginning.
    pub async fn give_way(&self, lot: u32, column_bytes: u64) -> Result<u64, IdleError> {
        self.change(move |shared| async move {
            let record = shared.books.lock().record(lot).ok_or(IdleError::UnknownLot(lot))?;
            let given_up = shared.layout.slots_below(column_bytes);
            if given_up <= record.given_up {
                return Ok(0);
            }
            let bytes_before = shared.books.lock().bytes();
            let shorter = shared.set_given_up(lot, LotRecord { given_up, ..record }).await?;
            let freed_bytes = bytes_before.saturating_sub(shared.books.lock().bytes());
            shared.cut(shorter).await.map(|()| freed_bytes)
        })
        .await
    }

    /// Takes back what a lot gave up: it has left its volume. The units concerned are plotted again, ahead of others.
    pub async fn refill(&self, lot: u32) -> Result<(), IdleError> {
        self.change(move |shared| async move {
            let record = shared.books.lock().record(lot).ok_or(IdleError::UnknownLot(lot))?;
            if record.given_up == 0 {
                return Ok(());
            }
            let short = shared.set_given_up(lot, LotRecord { given_up: 0, ..record }).await?;
            shared.update(|books| short.into_iter().for_each(|place| books.damage(place)));
            Ok(())
        })
        .await
    }

    /// Does one change after the other, each to its end even if the caller goes away.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Shared>) -> F + Send + 'static) -> Result<T, IdleError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, IdleError>> + Send + 'static,
    {
        let shared = self.0.clone();
        let changing = tokio::spawn(async move {
            let shared = shared;
            let _turn = shared.turn.lock().await;
            change(shared.clone()).await
        });
        changing.await.unwrap_or(Err(IdleError::Store(StoreError::Stopped)))
    }
}

impl Shared {
    /// The graph of the chain's units.
    fn graph(&self) -> Arc<Graph> {
        self.graph.get_or_init(|| Arc::new(Graph::new(self.layout.shape()))).clone()
    }

    fn hold(&self, is_held: bool) {
        let _books = self.books.lock();
        self.is_held.store(is_held, Ordering::Relaxed);
        self.work.notify_all();
    }

    /// Changes the books, and tells everybody.
    fn update(&self, change: impl FnOnce(&mut Books)) {
        let mut books = self.books.lock();
        change(&mut books);
        self.account(&books);
        self.work.notify_all();
    }

    /// Tells the store and those who watch what the books say.
    fn account(&self, books: &Books) {
        self.store.set_elsewhere_bytes(books.bytes());
        self.status.send_modify(|status| {
            status.units_total = books.units_total();
            // What is in hand may be of a lot that was let go.
            status.units_done = books.units_total().saturating_sub(books.units_left());
            status.lot = books.current_lot();
            status.idle_bytes = books.bytes();
            status.is_at_rest &= books.units_left() == 0;
            let left_bytes = books.units_left().saturating_mul(self.layout.unit_bytes());
            status.left = left_bytes.checked_div(status.bytes_per_second).map(Duration::from_secs);
        });
    }

    /// Changes how much of a lot is given up.
    async fn set_given_up(&self, lot: u32, record: LotRecord) -> Result<Vec<UnitPlace>, IdleError> {
        self.store.update(vec![record::put_lot(lot, &record)]).await?;
        let mut changed = Vec::new();
        self.update(|books| changed = books.give_up(lot, record.given_up));
        Ok(changed)
    }

    /// Brings files to the length that the books say. If that fails, or is undone by a crash, the next start does it.
    async fn cut(self: Arc<Self>, places: Vec<UnitPlace>) -> Result<(), IdleError> {
        let cutting = tokio::task::spawn_blocking(move || {
            for place in places {
                let file_bytes = self.books.lock().file_bytes_kept(place);
                self.cut_now(place, file_bytes);
            }
        });
        cutting.await.map_err(|_| IdleError::Store(StoreError::Stopped))
    }

    fn cut_now(&self, place: UnitPlace, file_bytes: u64) {
        if let Err(error) = recovery::cut(&*self.files, place, file_bytes) {
            tracing::warn!(%error, place.lot, place.unit, "idle content that was given up stays for now");
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
