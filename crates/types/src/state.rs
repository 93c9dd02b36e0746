//! Name the entries of the state store and encode their values.
//!
//! # Format
//! One authenticated store holds everything. `key = SHA-256(address ‖ kind ‖ slot)`, where `kind` is 0 for the account
//! itself (no slot) and 1 for a storage slot (32 bytes, big endian). A value has 72 bytes:
//! ```text
//! account: nonce (8, big endian) ‖ balance (32, big endian) ‖ code hash (32)
//! slot:    value (32, big endian) ‖ zeros (40)
//! ```
//! An empty account and a zero slot have no entry. Code is kept beside, by its keccak-256.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use sha2::{Digest, Sha256};

/// Length of a value.
pub const VALUE_BYTES: usize = 72;

/// A value of the store.
pub type Value = [u8; VALUE_BYTES];

/// An entry by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// An account's nonce, balance and code hash.
    Account(Address),
    /// A storage slot of an account.
    Slot(Address, U256),
}

impl StateKey {
    /// The key in the store.
    pub fn hashed(&self) -> B256 {
        let mut hasher = Sha256::new();
        match self {
            Self::Account(address) => {
                hasher.update(address);
                hasher.update([0]);
            }
            Self::Slot(address, slot) => {
                hasher.update(address);
                hasher.update([1]);
                hasher.update(slot.to_be_bytes::<32>());
            }
        }
        B256::from_slice(&hasher.finalize())
    }
}

/// What the state knows of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Keccak-256 of the code; the hash of nothing where there is none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

impl Account {
    /// Whether EIP-161 calls it empty: it has no entry then.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The stored value.
    pub fn encode(&self) -> Value {
        let mut value = [0; VALUE_BYTES];
        value[..8].copy_from_slice(&self.nonce.to_be_bytes());
        value[8..40].copy_from_slice(&self.balance.to_be_bytes::<32>());
        value[40..].copy_from_slice(self.code_hash.as_slice());
        value
    }

    /// Reads a stored value.
    pub fn decode(value: &Value) -> Self {
        let (nonce, rest) = value.split_at(8);
        Self {
            nonce: nonce.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            balance: U256::from_be_slice(&rest[..32]),
            code_hash: B256::from_slice(&rest[32..]),
        }
    }
}

/// The stored value of a slot.
pub fn encode_slot(slot: U256) -> Value {
    let mut value = [0; VALUE_BYTES];
    value[..32].copy_from_slice(&slot.to_be_bytes::<32>());
    value
}

/// Reads the stored value of a slot.
pub fn decode_slot(value: &Value) -> U256 {
    U256::from_be_slice(&value[..32])
}
