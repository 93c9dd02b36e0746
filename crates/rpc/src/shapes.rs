//! Give blocks, transactions, receipts and logs the shapes that wallets expect.

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _,
    transaction::Recovered,
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, U64, U256};
use alloy_rpc_types_eth::{self as eth, BlockTransactions};
use archive::{Finalized, LogRecord};
use serde::Serialize;
use types::{Block, Header, Transaction};

/// A block with hashes, or whole transactions.
pub(crate) type BlockJson = eth::Block<eth::Transaction, HeaderJson>;

/// A header with Ethereum's fields and the exact time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeaderJson {
    #[serde(flatten)]
    ethereum: eth::Header,
    timestamp_ms: U64,
}

/// How much of its transactions a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Hashes,
    Full,
}

impl Detail {
    pub fn of(full: Option<bool>) -> Self {
        if full.unwrap_or_default() { Self::Full } else { Self::Hashes }
    }
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    block_hash: B256,
    height: u64,
    timestamp: u64,
    base_fee: u64,
    index: u64,
}

impl Place {
    pub fn new(header: &Header, block_hash: B256, index: u64) -> Self {
        let (height, timestamp) = (header.height, header.timestamp());
        Self { block_hash, height, timestamp, base_fee: header.base_fee_per_gas, index }
    }
}

/// The header; fields that mean nothing here have the values of an empty list.
pub(crate) fn header(header: &Header, hash: B256, size_bytes: usize) -> HeaderJson {
    let inner = alloy_consensus::Header {
        parent_hash: header.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: header.beneficiary,
        state_root: header.state_root,
        transactions_root: header.transactions_root,
        receipts_root: header.receipts_root,
        logs_bloom: header.logs_bloom,
        number: header.height,
        gas_limit: header.gas_limit,
        gas_used: header.gas_used,
        timestamp: header.timestamp(),
        mix_hash: header.prevrandao(),
        base_fee_per_gas: Some(header.base_fee_per_gas),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(header.parent_hash),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    };
    let ethereum = eth::Header { hash, inner, total_difficulty: None, size: Some(U256::from(size_bytes)) };
    HeaderJson { ethereum, timestamp_ms: U64::from(header.timestamp_ms) }
}

/// The header of a block, with the size of the whole.
pub(crate) fn block_header(found: &Finalized) -> HeaderJson {
    let Block { header: inner, transactions } = &found.block;
    let transactions: usize = transactions.iter().map(|transaction| transaction.raw().len()).sum();
    header(inner, found.hash, inner.encoded_bytes() + transactions)
}

/// The block.
pub(crate) fn block(found: &Finalized, detail: Detail) -> BlockJson {
    let Block { header, transactions } = &found.block;
    let transactions = match detail {
        Detail::Hashes => BlockTransactions::Hashes(transactions.iter().map(|inside| inside.hash()).collect()),
        Detail::Full => {
            let placed = (0..).zip(transactions).map(|(index, inside)| (Place::new(header, found.hash, index), inside));
            BlockTransactions::Full(placed.map(|(place, inside)| transaction(inside, Some(place))).collect())
        }
    };
    eth::Block { header: block_header(found), uncles: Vec::new(), transactions, withdrawals: Some(Default::default()) }
}

/// A transaction in a block, or without a place in the pool.
pub(crate) fn transaction(transaction: &Transaction, place: Option<Place>) -> eth::Transaction {
    let envelope = transaction.envelope();
    eth::Transaction {
        inner: Recovered::new_unchecked(envelope.clone(), transaction.sender()),
        block_hash: place.map(|place| place.block_hash),
        block_number: place.map(|place| place.height),
        transaction_index: place.map(|place| place.index),
        effective_gas_price: place.map(|place| envelope.effective_gas_price(Some(place.base_fee))),
        block_timestamp: place.map(|place| place.timestamp),
    }
}

/// The receipt of the transaction at `index` of a block.
pub(crate) fn receipt(found: &Finalized, index: usize) -> Option<eth::TransactionReceipt> {
    let transaction = found.block.transactions.get(index)?;
    let (before, rest) = found.receipts.split_at_checked(index)?;
    let receipt = rest.first()?;
    let gas_before = before.last().map_or(0, ReceiptEnvelope::cumulative_gas_used);
    let envelope = transaction.envelope();
    let logs = found.logs_of(index).cloned().map(log).collect();
    let inner = Receipt { status: receipt.status().into(), cumulative_gas_used: receipt.cumulative_gas_used(), logs };
    let inner = ReceiptWithBloom { receipt: inner, logs_bloom: *receipt.logs_bloom() };
    Some(eth::TransactionReceipt {
        gas_used: receipt.cumulative_gas_used().saturating_sub(gas_before),
        inner: ReceiptEnvelope::from_typed(receipt.tx_type(), inner),
        transaction_hash: transaction.hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(found.hash),
        block_number: Some(found.block.header.height),
        effective_gas_price: envelope.effective_gas_price(Some(found.block.header.base_fee_per_gas)),
        blob_gas_used: None,
        blob_gas_price: None,
        from: transaction.sender(),
        to: envelope.to(),
        contract_address: envelope.is_create().then(|| transaction.sender().create(transaction.nonce())),
    })
}

/// A log. One that a block's opening emitted has the block's hash for that of a transaction.
pub(crate) fn log(record: LogRecord) -> eth::Log {
    eth::Log {
        inner: record.log,
        block_hash: Some(record.block_hash),
        block_number: Some(record.height),
        block_timestamp: Some(record.timestamp_ms / 1000),
        transaction_hash: Some(record.transaction_hash),
        transaction_index: Some(record.transaction_index.into()),
        log_index: Some(record.log_index.into()),
        removed: false,
    }
}

#[cfg(test)]
mod tests;
