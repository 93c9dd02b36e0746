//! Append a block with everything that it can be found by, or nothing.

use crate::{
    archive::{Archive, Head, RECENT_BLOCKS, View},
    error::ArchiveError,
    record::{Finalized, LogRecord, encode_body, encode_header, encode_log, encode_receipts},
    table::{Table, Term, entry, log_key, meta, read_entry},
};
use execution::Outcome;
use fjall::OwnedWriteBatch;
use std::sync::Arc;
use types::Block;

/// Heights whose history one append may drop: it catches up where the window was made smaller.
const PRUNE_HEIGHTS_MAX: u64 = 16;

impl Archive {
    /// Appends a finalised block. The first one is the genesis (height 0, without transactions and with an empty
    /// outcome) or, where nobody asks for that, its child; from then on each follows on the last. A block that is there
    /// already is not written or announced again.
    ///
    /// Nothing is flushed to the disk by itself: a killed process loses nothing, a machine without power the last blocks.
    pub fn append(&self, block: &Block, outcome: &Outcome) -> Result<Arc<Finalized>, ArchiveError> {
        let _writing = self.0.writer.lock();
        let (hash, height) = (block.header.hash(), block.header.height);
        let view = self.view();
        let tip = view.tip()?;
        if let Some((archived, _)) = view.header(height)?
            && tip.is_some_and(|tip| height <= tip.height)
        {
            return match archived == hash {
                true => self.finalized(height)?.ok_or(ArchiveError::Damaged("block")),
                false => Err(ArchiveError::Conflict { height, hash, archived }),
            };
        }
        follows(block, tip)?;
        belongs(block, outcome)?;
        let finalized = Arc::new(Finalized::new(hash, block, outcome));
        let mut writes = Writes { archive: self, view: &view, batch: self.batch() };
        writes.block(&finalized);
        finalized.logs.iter().for_each(|log| writes.log(log));
        writes.state(height, outcome)?;
        writes.prune(height)?;
        writes.batch.commit()?;
        self.remember(&finalized);
        self.0.tip.send_replace(Some(Head::of(hash, &block.header)));
        // An error says that nobody listens.
        let _ = self.0.finalized.send(finalized.clone());
        Ok(finalized)
    }

    fn remember(&self, finalized: &Arc<Finalized>) {
        let mut recent = self.0.recent.lock();
        recent.push_back(finalized.clone());
        if recent.len() > RECENT_BLOCKS {
            recent.pop_front();
        }
    }
}

/// Whether `block` is the next one.
fn follows(block: &Block, tip: Option<Head>) -> Result<(), ArchiveError> {
    let height = block.header.height;
    match tip {
        None if height <= 1 => Ok(()),
        None => Err(ArchiveError::Gap { height, next: 0 }),
        Some(tip) if height != tip.height + 1 => Err(ArchiveError::Gap { height, next: tip.height + 1 }),
        Some(tip) if block.header.parent_hash != tip.hash => {
            Err(ArchiveError::WrongParent { height, parent: block.header.parent_hash, tip: tip.hash })
        }
        Some(_) => Ok(()),
    }
}

/// Whether `outcome` is what the header promises. The genesis promises nothing.
fn belongs(block: &Block, outcome: &Outcome) -> Result<(), ArchiveError> {
    let header = &block.header;
    let executed = header.height > 0;
    let checks = [
        (block.transactions.len() == outcome.receipts.len(), "transactions and receipts"),
        (!executed || header.receipts_root == outcome.receipts_root, "receipts roots"),
        (!executed || header.logs_bloom == outcome.logs_bloom, "blooms"),
        (header.gas_used == outcome.gas_used, "amounts of gas"),
    ];
    match checks.iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(ArchiveError::WrongOutcome { height: header.height, what }),
        None => Ok(()),
    }
}

/// The batch of one block.
struct Writes<'a> {
    archive: &'a Archive,
    view: &'a View<'a>,
    batch: OwnedWriteBatch,
}

impl Writes<'_> {
    fn insert(&mut self, key: Vec<u8>, value: impl Into<fjall::Slice>) {
        self.batch.insert(&self.archive.0.tree, key, value);
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(&self.archive.0.tree, key);
    }

    fn block(&mut self, finalized: &Finalized) {
        let Finalized { hash, block, receipts, .. } = finalized;
        let height = block.header.height;
        self.insert(Table::Meta.key(&[meta::TIP]), height.to_be_bytes());
        self.insert(Table::Header.at_height(height), encode_header(*hash, &block.header));
        self.insert(Table::Body.at_height(height), encode_body(&block.transactions));
        self.insert(Table::Receipts.at_height(height), encode_receipts(receipts));
        self.insert(Table::Hash.of_hash(hash), height.to_be_bytes());
        for (index, transaction) in (0u32..).zip(&block.transactions) {
            let place = [&height.to_be_bytes()[..], &index.to_be_bytes()].concat();
            self.insert(Table::Transaction.of_hash(&transaction.hash()), place);
        }
    }

    fn log(&mut self, record: &LogRecord) {
        let position = (record.height, record.log_index);
        self.insert(log_key(position), encode_log(record));
        self.insert(Term::address(record.log.address).key(position), []);
        for (place, topic) in record.log.topics().iter().enumerate() {
            self.insert(Term::topic(place, *topic).key(position), []);
        }
    }

    /// Writes the changes, and what they overwrite into the history.
    fn state(&mut self, height: u64, outcome: &Outcome) -> Result<(), ArchiveError> {
        let mut touched = Vec::new();
        for (key, value) in &outcome.changes {
            let entry = entry(key);
            let before = self.view.get(Table::State.key(&[&entry]))?;
            self.insert(Table::History.key(&[&entry, &height.to_be_bytes()]), before.unwrap_or_else(|| [].into()));
            touched.extend_from_slice(&entry);
            match value {
                Some(value) => self.insert(Table::State.key(&[&entry]), *value),
                None => self.remove(Table::State.key(&[&entry])),
            }
        }
        self.insert(Table::Touched.at_height(height), touched);
        for (hash, code) in &outcome.code {
            self.insert(Table::Code.of_hash(hash), code.as_ref());
        }
        Ok(())
    }

    /// Drops the history that leaves the window with block `height`.
    fn prune(&mut self, height: u64) -> Result<(), ArchiveError> {
        // The first append sets where the window can begin at all.
        let Some(oldest) = self.view.number(meta::OLDEST)? else {
            self.insert(Table::Meta.key(&[meta::OLDEST]), height.to_be_bytes());
            return Ok(());
        };
        let wanted = height.saturating_sub(self.archive.0.config.history_blocks);
        let oldest_now = wanted.clamp(oldest, oldest.saturating_add(PRUNE_HEIGHTS_MAX));
        for dropped in oldest + 1..=oldest_now {
            let touched = self.view.get(Table::Touched.at_height(dropped))?;
            let touched = touched.ok_or(ArchiveError::Damaged("touched"))?;
            let mut rest = &touched[..];
            while !rest.is_empty() {
                let key = read_entry(&mut rest).ok_or(ArchiveError::Damaged("touched"))?;
                self.remove(Table::History.key(&[&entry(&key), &dropped.to_be_bytes()]));
            }
            self.remove(Table::Touched.at_height(dropped));
        }
        self.insert(Table::Meta.key(&[meta::OLDEST]), oldest_now.to_be_bytes());
        Ok(())
    }
}
