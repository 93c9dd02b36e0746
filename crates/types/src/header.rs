//! Encode blocks and their headers; one hash names a block everywhere.
//!
//! # Format
//! A header is the RLP list of its fields in the order of [`Header`]. Its keccak-256 is the digest that validators
//! sign, the hash that RPC shows, `parentHash` and what `BLOCKHASH` returns.

use crate::transaction::Transaction;
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use std::sync::Arc;

/// Commitment to an operation log of the state store, by which a node syncs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SyncTarget {
    /// Root over the operations.
    pub root: B256,
    /// First operation a node needs.
    pub start: u64,
    /// One past the last operation.
    pub end: u64,
}

/// The threshold signature of a view that was fixed before anyone could know it.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Beacon {
    /// Epoch of the view.
    pub epoch: u64,
    /// The view.
    pub view: u64,
    /// BLS12-381 signature of the group over the round, compressed, 48 bytes.
    pub seed: Bytes,
}

/// What a block says of itself; everything a light client needs hangs on it.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
pub struct Header {
    /// Hash of the parent's header.
    pub parent_hash: B256,
    /// Blocks since genesis.
    pub height: u64,
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view in which the block was proposed.
    pub view: u64,
    /// View of the parent.
    pub parent_view: u64,
    /// Ed25519 key of the proposer.
    pub leader: B256,
    /// Milliseconds since 1970; never below the parent's.
    pub timestamp_ms: u64,
    /// Root of the state after this block.
    pub state_root: B256,
    /// Operation log of accounts and storage slots.
    pub state_log: SyncTarget,
    /// Operation log of contract code.
    pub code_log: SyncTarget,
    /// Ethereum's ordered trie over the transactions.
    pub transactions_root: B256,
    /// Ethereum's ordered trie over the receipts.
    pub receipts_root: B256,
    /// Bloom filter over the addresses and topics of all logs.
    pub logs_bloom: Bloom,
    /// Gas that the transactions used.
    pub gas_used: u64,
    /// Gas that the block could have used.
    pub gas_limit: u64,
    /// EIP-1559 base fee, wei.
    pub base_fee_per_gas: u64,
    /// Receiver of the priority fees.
    pub beneficiary: Address,
    /// Threshold signature of the parent's round (48 bytes); empty where the parent has none.
    pub seed: Bytes,
    /// Keccak Merkle root of outgoing messages; zero while there are none.
    pub outbox_root: B256,
    /// Keccak-256 of the body's resharing payload: a dealer's log, or who signs the next epoch; zero without one.
    pub resharing_hash: B256,
    /// The beacon that state waited for, where this block brings it.
    pub beacon: Option<Beacon>,
}

/// A header cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a header: {0}")]
pub struct HeaderError(#[from] alloy_rlp::Error);

impl Header {
    /// No header is longer than this.
    pub const ENCODED_BYTES_MAX: usize = 1024;

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }

    /// Reads the canonical bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut rest = bytes;
        let header = Self::read(&mut rest)?;
        if rest.is_empty() { Ok(header) } else { Err(HeaderError(alloy_rlp::Error::UnexpectedLength)) }
    }

    /// Reads a header from the front of `buf`; refuses encodings that are not canonical.
    fn read(buf: &mut &[u8]) -> Result<Self, HeaderError> {
        let start = *buf;
        let header = <Self as Decodable>::decode(buf)?;
        let consumed = &start[..start.len() - buf.len()];
        // RLP is canonical but for what the optional field allows: one header, one encoding, one hash.
        if Self::encode(&header) != consumed {
            return Err(HeaderError(alloy_rlp::Error::Custom("encoding is not canonical")));
        }
        Ok(header)
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// The EVM's clock: whole seconds.
    pub fn timestamp(&self) -> u64 {
        self.timestamp_ms / 1000
    }

    /// Length of the canonical bytes.
    pub fn encoded_bytes(&self) -> usize {
        Encodable::length(self)
    }

    /// Randomness for the EVM (`PREVRANDAO`): never of the block's own view.
    pub fn prevrandao(&self) -> B256 {
        if self.seed.is_empty() { B256::ZERO } else { keccak256(&self.seed) }
    }
}

/// Ethereum's ordered trie over encoded transactions.
pub fn transactions_root<T: AsRef<[u8]>>(encoded: &[T]) -> B256 {
    alloy_trie::root::ordered_trie_root_encoded(encoded)
}

/// A header with its transactions.
#[derive(Clone, Debug)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions in their order, each with its sender.
    pub transactions: Vec<Arc<Transaction>>,
}
