//! Open the archive and follow its tip.

use crate::{
    error::ArchiveError,
    record::{Finalized, decode_header},
    table::{FORMAT, Table, meta},
};
use alloy_primitives::B256;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot};
use parking_lot::Mutex;
use std::{collections::VecDeque, path::Path, sync::Arc};
use tokio::sync::{broadcast, watch};
use types::{ChainSpec, Header};

/// Blocks, receipts, logs and recent state of a chain. Clones share everything.
#[derive(Clone)]
pub struct Archive(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    database: Database,
    pub(crate) tree: Keyspace,
    pub(crate) config: ArchiveConfig,
    /// Held while a block is appended.
    pub(crate) writer: Mutex<()>,
    /// The last blocks, decoded.
    pub(crate) recent: Mutex<VecDeque<Arc<Finalized>>>,
    pub(crate) tip: watch::Sender<Option<Head>>,
    pub(crate) finalized: broadcast::Sender<Arc<Finalized>>,
}

/// How much the archive keeps, and how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// Heights before the last one whose state can be read.
    pub history_blocks: u64,
    /// Memory for blocks of the store.
    pub cache_bytes: u64,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self { history_blocks: 1024, cache_bytes: 64 << 20 }
    }
}

/// The last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Blocks since genesis.
    pub height: u64,
    /// Hash of the header.
    pub hash: B256,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

impl Head {
    pub(crate) fn of(hash: B256, header: &Header) -> Self {
        Self { height: header.height, hash, timestamp_ms: header.timestamp_ms }
    }
}

/// Blocks that are kept decoded.
pub(crate) const RECENT_BLOCKS: usize = 16;
/// Blocks that a subscriber may fall behind before it misses some.
const SUBSCRIBER_BLOCKS: usize = 256;
/// Memory that fills before it is written out as a table.
const WRITE_BUFFER_BYTES: u64 = 16 << 20;
/// Journals on disk before the store writes out what they hold.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;

impl Archive {
    /// Opens the archive in folder `path`, or makes one, for the chain of `spec`.
    pub fn open(path: impl AsRef<Path>, spec: &ChainSpec) -> Result<Self, ArchiveError> {
        Self::open_with(path, spec, ArchiveConfig::default())
    }

    /// Opens the archive with other limits than the usual.
    pub fn open_with(path: impl AsRef<Path>, spec: &ChainSpec, config: ArchiveConfig) -> Result<Self, ArchiveError> {
        let database = Database::builder(path.as_ref())
            .cache_size(config.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(2)
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => ArchiveError::Locked,
                error => error.into(),
            })?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER_BYTES);
        let tree = database.keyspace("archive", options)?;
        claim(&database, &tree, spec.chain_id)?;
        let archive = Self(Arc::new(Inner {
            database,
            tree,
            config,
            writer: Mutex::new(()),
            recent: Mutex::default(),
            tip: watch::Sender::new(None),
            finalized: broadcast::Sender::new(SUBSCRIBER_BLOCKS),
        }));
        let tip = archive.view().tip()?;
        archive.0.tip.send_replace(tip);
        Ok(archive)
    }

    /// The last block.
    pub fn tip(&self) -> Option<Head> {
        *self.0.tip.borrow()
    }

    /// Follows the last block.
    pub fn watch_tip(&self) -> watch::Receiver<Option<Head>> {
        self.0.tip.subscribe()
    }

    /// Receives every block that is appended from now on, in order. A receiver that falls 256 blocks behind is told how
    /// many it missed, and can read them.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Finalized>> {
        self.0.finalized.subscribe()
    }

    /// Everything as it is now.
    pub(crate) fn view(&self) -> View<'_> {
        View { tree: &self.0.tree, snapshot: self.0.database.snapshot() }
    }

    pub(crate) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.0.database.batch()
    }
}

/// The archive at one moment.
pub(crate) struct View<'a> {
    pub(crate) tree: &'a Keyspace,
    pub(crate) snapshot: Snapshot,
}

impl View<'_> {
    pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<fjall::Slice>, ArchiveError> {
        Ok(self.snapshot.get(self.tree, key)?)
    }

    /// A number from [`Table::Meta`].
    pub(crate) fn number(&self, name: &[u8]) -> Result<Option<u64>, ArchiveError> {
        let Some(bytes) = self.get(Table::Meta.key(&[name]))? else { return Ok(None) };
        match <[u8; 8]>::try_from(&*bytes) {
            Ok(bytes) => Ok(Some(u64::from_be_bytes(bytes))),
            Err(_) => Err(ArchiveError::Damaged("meta")),
        }
    }

    pub(crate) fn header(&self, height: u64) -> Result<Option<(B256, Header)>, ArchiveError> {
        self.get(Table::Header.at_height(height))?.map(|bytes| decode_header(&bytes)).transpose()
    }

    pub(crate) fn tip(&self) -> Result<Option<Head>, ArchiveError> {
        let Some(height) = self.number(meta::TIP)? else { return Ok(None) };
        let (hash, header) = self.header(height)?.ok_or(ArchiveError::Damaged("tip"))?;
        Ok(Some(Head::of(hash, &header)))
    }
}

/// Marks a new archive as that of `chain_id`, or checks that it is.
fn claim(database: &Database, tree: &Keyspace, chain_id: u64) -> Result<(), ArchiveError> {
    let view = View { tree, snapshot: database.snapshot() };
    let format = view.get(Table::Meta.key(&[meta::FORMAT]))?;
    let Some(format) = format else {
        let mut batch = database.batch();
        batch.insert(tree, Table::Meta.key(&[meta::FORMAT]), FORMAT.to_be_bytes());
        batch.insert(tree, Table::Meta.key(&[meta::CHAIN]), chain_id.to_be_bytes());
        return Ok(batch.commit()?);
    };
    let found = <[u8; 4]>::try_from(&*format).map(u32::from_be_bytes).map_err(|_| ArchiveError::Damaged("meta"))?;
    if found != FORMAT {
        return Err(ArchiveError::Format { found });
    }
    match view.number(meta::CHAIN)? {
        Some(found) if found == chain_id => Ok(()),
        Some(found) => Err(ArchiveError::ForeignChain { found, expected: chain_id }),
        None => Err(ArchiveError::Damaged("meta")),
    }
}
