//! Decode Ethereum transactions and recover who signed them, once.

use alloy_consensus::{Transaction as _, TxEnvelope, TxType, transaction::SignerRecoverable};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes};

/// A transaction with its sender; what the pool, the blocks and the executor pass around behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Transaction {
    raw: Bytes,
    hash: B256,
    sender: Address,
    envelope: TxEnvelope,
}

/// Why bytes are no transaction that this network takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    #[error("transaction has {size_bytes} bytes, the limit is {}", Transaction::SIZE_BYTES_MAX)]
    TooLarge { size_bytes: usize },
    #[error("cannot decode the transaction: {0}")]
    Malformed(String),
    #[error("blob transactions (type 3) are not supported: store the data in a bucket instead")]
    BlobsUnsupported,
    #[error("the signature does not recover to an account")]
    InvalidSignature,
}

impl Transaction {
    /// Longest encoding that is taken.
    pub const SIZE_BYTES_MAX: usize = 128 * 1024;

    /// Decodes EIP-2718 bytes and recovers the sender.
    pub fn decode(raw: Bytes) -> Result<Self, TransactionError> {
        if raw.len() > Self::SIZE_BYTES_MAX {
            return Err(TransactionError::TooLarge { size_bytes: raw.len() });
        }
        if raw.first() == Some(&(TxType::Eip4844 as u8)) {
            return Err(TransactionError::BlobsUnsupported);
        }
        let mut rest: &[u8] = &raw;
        let envelope =
            TxEnvelope::decode_2718(&mut rest).map_err(|error| TransactionError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(TransactionError::Malformed("bytes after the end".into()));
        }
        let sender = envelope.recover_signer().map_err(|_| TransactionError::InvalidSignature)?;
        Ok(Self { hash: *envelope.tx_hash(), raw, sender, envelope })
    }

    /// Wraps a signed envelope.
    pub fn from_envelope(envelope: TxEnvelope) -> Result<Self, TransactionError> {
        Self::decode(envelope.encoded_2718().into())
    }

    /// The EIP-2718 bytes.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Keccak-256 of the bytes.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The account that signed.
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// The sender's nonce.
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }

    /// The decoded transaction.
    pub fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }
}
