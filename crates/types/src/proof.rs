//! Carry state with the proof that the chain's committee vouches for it.

use crate::state::{StateKey, Value};
use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

/// Entries of the state after a finalised block, as `cess_getProof` answers. Nothing in it counts before `light` has
/// verified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// The block's header.
    pub header: Bytes,
    /// The finalisation of exactly this block.
    pub certificate: Bytes,
    /// The entries, in the order asked for.
    pub entries: Vec<ProvedEntry>,
}

/// One entry with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvedEntry {
    /// The account.
    pub address: Address,
    /// The slot, or nothing for the account's own entry.
    pub slot: Option<U256>,
    /// The stored value (72 bytes); nothing if there is no entry.
    pub value: Option<Bytes>,
    /// Proof of the value, or of its absence.
    pub proof: Bytes,
}

impl ProvedEntry {
    /// The entry's key.
    pub fn key(&self) -> StateKey {
        match self.slot {
            Some(slot) => StateKey::Slot(self.address, slot),
            None => StateKey::Account(self.address),
        }
    }

    /// The value, if it has the right length.
    pub fn value(&self) -> Option<Value> {
        self.value.as_ref().and_then(|bytes| bytes.as_ref().try_into().ok())
    }
}
