//! Encode what the archive keeps of a block, and put it together again.

use crate::{error::ArchiveError, table::take};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxType, Typed2718};
use alloy_primitives::{B256, Bytes, Log};
use alloy_rlp::{Decodable, Encodable};
use execution::{Outcome, recover_all};
use std::sync::Arc;
use types::{Block, Header, Transaction};

/// A finalised block with what came of it.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// Hash of the header.
    pub hash: B256,
    /// Header and transactions.
    pub block: Block,
    /// One receipt per transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// All logs of the block in the order in which they were emitted. Those of the calls that open a block come first
    /// and belong to no transaction: they carry the block's hash for a transaction's, and the number of transactions
    /// for an index.
    pub logs: Vec<LogRecord>,
}

/// A log and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Time of the block, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Hash of the transaction.
    pub transaction_hash: B256,
    /// Index of the transaction in the block.
    pub transaction_index: u32,
    /// Index of the log in the block.
    pub log_index: u32,
    /// The log.
    pub log: Log,
}

impl Finalized {
    /// Puts a block and its outcome together.
    pub(crate) fn new(hash: B256, block: &Block, outcome: &Outcome) -> Self {
        let system = outcome.system_logs.iter().map(|log| (block.transactions.len(), hash, log));
        let transactions = block.transactions.iter().zip(&outcome.receipts).enumerate();
        let logged = transactions.flat_map(|(index, (transaction, receipt))| {
            receipt.logs().iter().map(move |log| (index, transaction.hash(), log))
        });
        let logs =
            system.chain(logged).enumerate().map(|(log_index, (transaction_index, transaction_hash, log))| LogRecord {
                height: block.header.height,
                block_hash: hash,
                timestamp_ms: block.header.timestamp_ms,
                transaction_hash,
                transaction_index: narrow(transaction_index),
                log_index: narrow(log_index),
                log: log.clone(),
            });
        Self { hash, block: block.clone(), receipts: outcome.receipts.clone(), logs: logs.collect() }
    }

    /// The logs of the transaction at `index`, as [`LogRecord`]s.
    pub fn logs_of(&self, index: usize) -> impl Iterator<Item = &LogRecord> {
        self.logs.iter().filter(move |log| log.transaction_index as usize == index)
    }
}

/// An index within a block; gas bounds them all far below.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("a block's gas does not pay for so many")
}

pub(crate) fn encode_header(hash: B256, header: &Header) -> Vec<u8> {
    [hash.as_slice(), &header.encode()].concat()
}

pub(crate) fn decode_header(mut bytes: &[u8]) -> Result<(B256, Header), ArchiveError> {
    let hash = take::<32>(&mut bytes).ok_or(ArchiveError::Damaged("header"))?;
    let header = Header::decode(bytes).map_err(|_| ArchiveError::Damaged("header"))?;
    Ok((hash.into(), header))
}

pub(crate) fn encode_body(transactions: &[Arc<Transaction>]) -> Vec<u8> {
    let raws: Vec<&Bytes> = transactions.iter().map(|transaction| transaction.raw()).collect();
    let mut body = Vec::new();
    alloy_rlp::encode_list::<&Bytes, Bytes>(&raws, &mut body);
    body
}

/// The encoded transactions of a body.
pub(crate) fn decode_body(mut bytes: &[u8]) -> Result<Vec<Bytes>, ArchiveError> {
    Vec::<Bytes>::decode(&mut bytes).map_err(|_| ArchiveError::Damaged("body"))
}

/// Decodes the transactions of a body, recovering their senders.
pub(crate) fn recover(raws: Vec<Bytes>) -> Result<Vec<Arc<Transaction>>, ArchiveError> {
    recover_all(raws).map_err(|_| ArchiveError::Damaged("transaction"))
}

/// Receipts without their logs, which have a table of their own.
pub(crate) fn encode_receipts(receipts: &[ReceiptEnvelope]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(receipts.len() * RECEIPT_BYTES);
    for receipt in receipts {
        bytes.extend([receipt.ty(), receipt.status().into()]);
        bytes.extend(receipt.cumulative_gas_used().to_be_bytes());
        bytes.extend(narrow(receipt.logs().len()).to_be_bytes());
    }
    bytes
}

const RECEIPT_BYTES: usize = 14;

/// Puts receipts together with `logs`, the logs of the block that belong to transactions.
pub(crate) fn decode_receipts(
    mut bytes: &[u8],
    mut logs: impl Iterator<Item = Log>,
) -> Result<Vec<ReceiptEnvelope>, ArchiveError> {
    let mut receipts = Vec::with_capacity(bytes.len() / RECEIPT_BYTES);
    while !bytes.is_empty() {
        receipts.push(decode_receipt(&mut bytes, &mut logs).ok_or(ArchiveError::Damaged("receipt"))?);
    }
    Ok(receipts)
}

fn decode_receipt(bytes: &mut &[u8], logs: &mut impl Iterator<Item = Log>) -> Option<ReceiptEnvelope> {
    let [kind, status] = take::<2>(bytes)?;
    let cumulative_gas_used = u64::from_be_bytes(take::<8>(bytes)?);
    let count = u32::from_be_bytes(take::<4>(bytes)?) as usize;
    let logs: Vec<Log> = logs.take(count).collect();
    let receipt = Receipt { status: Eip658Value::Eip658(status == 1), cumulative_gas_used, logs };
    let complete = receipt.logs.len() == count;
    complete.then(|| Some(ReceiptEnvelope::from_typed(TxType::try_from(kind).ok()?, receipt.with_bloom())))?
}

pub(crate) fn encode_log(record: &LogRecord) -> Vec<u8> {
    let mut bytes = record.transaction_index.to_be_bytes().to_vec();
    bytes.extend(record.transaction_hash);
    record.log.encode(&mut bytes);
    bytes
}

/// Reads a log of the block with `header`.
pub(crate) fn decode_log(
    mut bytes: &[u8],
    log_index: u32,
    (block_hash, header): (B256, &Header),
) -> Result<LogRecord, ArchiveError> {
    let damaged = || ArchiveError::Damaged("log");
    let transaction_index = u32::from_be_bytes(take::<4>(&mut bytes).ok_or_else(damaged)?);
    let transaction_hash = take::<32>(&mut bytes).ok_or_else(damaged)?.into();
    let log = Log::decode(&mut bytes).map_err(|_| damaged())?;
    Ok(LogRecord {
        height: header.height,
        block_hash,
        timestamp_ms: header.timestamp_ms,
        transaction_hash,
        transaction_index,
        log_index,
        log,
    })
}
