//! Find blocks, transactions and receipts.

use crate::{
    archive::{Archive, View},
    error::ArchiveError,
    record::{Finalized, LogRecord, decode_body, decode_log, decode_receipts, recover},
    table::{Table, log_key, position_of, take},
};
use alloy_primitives::{B256, keccak256};
use fjall::Readable;
use std::sync::Arc;
use types::{Block, Header, Transaction};

/// A transaction and where it is.
#[derive(Clone, Debug)]
pub struct LocatedTransaction {
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Index in the block.
    pub index: u32,
    /// The transaction.
    pub transaction: Arc<Transaction>,
}

impl Archive {
    /// Hash and header of the block at `height`.
    pub fn header(&self, height: u64) -> Result<Option<(B256, Header)>, ArchiveError> {
        match self.recent(height) {
            Some(recent) => Ok(Some((recent.hash, recent.block.header.clone()))),
            None => self.view().header(height),
        }
    }

    /// Height of the block with this hash.
    pub fn height_of(&self, hash: &B256) -> Result<Option<u64>, ArchiveError> {
        let height = self.view().get(Table::Hash.of_hash(hash))?;
        height.map(|bytes| number(&bytes).ok_or(ArchiveError::Damaged("hash"))).transpose()
    }

    /// Everything about the block at `height`. Senders are recovered for blocks that are not among the last 16.
    pub fn finalized(&self, height: u64) -> Result<Option<Arc<Finalized>>, ArchiveError> {
        if let Some(recent) = self.recent(height) {
            return Ok(Some(recent));
        }
        let view = self.view();
        let Some((hash, header)) = view.header(height)? else { return Ok(None) };
        let transactions = recover(view.raws(height)?)?;
        let logs = view.logs_of_block(hash, &header)?;
        let of_transactions = logs.iter().filter(|log| (log.transaction_index as usize) < transactions.len());
        let receipts = view.get(Table::Receipts.at_height(height))?.ok_or(ArchiveError::Damaged("receipts"))?;
        let receipts = decode_receipts(&receipts, of_transactions.map(|record| record.log.clone()))?;
        Ok(Some(Arc::new(Finalized { hash, block: Block { header, transactions }, receipts, logs })))
    }

    /// Hashes of the transactions of the block at `height`, without recovering who sent them.
    pub fn transaction_hashes(&self, height: u64) -> Result<Option<Vec<B256>>, ArchiveError> {
        let view = self.view();
        if view.header(height)?.is_none() {
            return Ok(None);
        }
        Ok(Some(view.raws(height)?.iter().map(keccak256).collect()))
    }

    /// Height and index of the transaction with this hash.
    pub fn locate(&self, hash: &B256) -> Result<Option<(u64, u32)>, ArchiveError> {
        let place = self.view().get(Table::Transaction.of_hash(hash))?;
        place.map(|bytes| position_of(&bytes).ok_or(ArchiveError::Damaged("transaction"))).transpose()
    }

    /// The transaction with this hash.
    pub fn transaction(&self, hash: &B256) -> Result<Option<LocatedTransaction>, ArchiveError> {
        match self.locate(hash)? {
            Some((height, index)) => self.transaction_at(height, index),
            None => Ok(None),
        }
    }

    /// The transaction at `index` of the block at `height`.
    pub fn transaction_at(&self, height: u64, index: u32) -> Result<Option<LocatedTransaction>, ArchiveError> {
        if let Some(recent) = self.recent(height) {
            let transaction = recent.block.transactions.get(index as usize).cloned();
            let block_hash = recent.hash;
            return Ok(transaction.map(|transaction| LocatedTransaction { height, block_hash, index, transaction }));
        }
        let view = self.view();
        let Some((block_hash, _)) = view.header(height)? else { return Ok(None) };
        let Some(raw) = view.raws(height)?.into_iter().nth(index as usize) else { return Ok(None) };
        let transaction = recover(vec![raw])?.pop().ok_or(ArchiveError::Damaged("transaction"))?;
        Ok(Some(LocatedTransaction { height, block_hash, index, transaction }))
    }

    fn recent(&self, height: u64) -> Option<Arc<Finalized>> {
        let recent = self.0.recent.lock();
        recent.iter().rev().find(|finalized| finalized.block.header.height == height).cloned()
    }
}

impl View<'_> {
    fn raws(&self, height: u64) -> Result<Vec<alloy_primitives::Bytes>, ArchiveError> {
        decode_body(&self.get(Table::Body.at_height(height))?.ok_or(ArchiveError::Damaged("body"))?)
    }

    fn logs_of_block(&self, hash: B256, header: &Header) -> Result<Vec<LogRecord>, ArchiveError> {
        let range = log_key((header.height, 0))..=log_key((header.height, u32::MAX));
        let mut logs = Vec::new();
        for item in self.snapshot.range(self.tree, range) {
            let (key, value) = item.into_inner()?;
            let (_, index) = position_of(&key).ok_or(ArchiveError::Damaged("log"))?;
            logs.push(decode_log(&value, index, (hash, header))?);
        }
        Ok(logs)
    }
}

fn number(mut bytes: &[u8]) -> Option<u64> {
    take::<8>(&mut bytes).map(u64::from_be_bytes)
}
