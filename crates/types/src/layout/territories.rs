//! Lay out territories.

use super::{Missing, Query, Words, entry, offset};
use crate::{
    abi::{ITerritories, TERRITORIES},
    packed,
};
use alloy_primitives::{Address, U256};

/// `mapping(uint64 territory => Record)`.
pub const RECORDS: U256 = U256::from_limbs([1, 0, 0, 0]);

packed! {
    /// Who owns a territory, and until when.
    pub struct Title {
        owner: Address,
        paid_until_ms: u64,
    }
}

packed! {
    /// A territory's bytes: `used + leased <= bought`.
    pub struct Quota {
        bought: u64,
        used: u64,
        leased: u64,
    }
}

/// The territory of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerritoryQuery(pub u64);

impl Query for TerritoryQuery {
    type Record = Option<ITerritories::Territory>;
    const MODULE: Address = TERRITORIES;

    fn slots(&self) -> Vec<U256> {
        let base = entry(&self.0, RECORDS);
        vec![base, offset(base, 1)]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = entry(&self.0, RECORDS);
        let title: Title = words.one(TERRITORIES, base)?;
        let quota: Quota = words.one(TERRITORIES, offset(base, 1))?;
        Ok((!title.owner.is_zero()).then_some(ITerritories::Territory {
            owner: title.owner,
            bytesBought: quota.bought,
            bytesUsed: quota.used,
            bytesLeased: quota.leased,
            paidUntilMs: title.paid_until_ms,
        }))
    }
}
