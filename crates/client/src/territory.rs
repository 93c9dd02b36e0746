//! Buy space for a time, and see what was bought.

use crate::{
    ChainError, Client, SendError,
    chain::{LogFilter, Network},
};
use alloy_primitives::U256;
use alloy_sol_types::SolEvent;
use std::collections::BTreeSet;
use types::{
    Profile,
    abi::{ITerritories, TERRITORIES},
};

/// Why a territory could not be bought or listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerritoryError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The receipt does not say what was bought.
    #[error("the receipt of the purchase has no event: look it up with `cess territory list`")]
    NoEvent,
    /// The size cannot be bought.
    #[error("a territory of {user_bytes} bytes is too large")]
    Size {
        /// Bytes asked for.
        user_bytes: u64,
    },
}

/// A territory of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Territory {
    /// Its number.
    pub id: u64,
    /// Billed bytes: what is bought, used, and leased for staging.
    pub bytes_bought: u64,
    /// See [`bytes_bought`](Self::bytes_bought).
    pub bytes_used: u64,
    /// See [`bytes_bought`](Self::bytes_bought).
    pub bytes_leased: u64,
    /// Until when it is paid, milliseconds since 1970.
    pub paid_until_ms: u64,
}

/// Bytes that are billed for this many bytes of a user's, in segments that are full.
pub fn billed_bytes(profile: Profile, user_bytes: u64) -> Option<u64> {
    let (data, total) = (u128::from(profile.data()), u128::from(profile.total()));
    u64::try_from((u128::from(user_bytes) * total).div_ceil(data)).ok()
}

/// Bytes of a user's that fit into this many billed bytes.
pub fn user_bytes(profile: Profile, billed_bytes: u64) -> u64 {
    let (data, total) = (u128::from(profile.data()), u128::from(profile.total()));
    u64::try_from(u128::from(billed_bytes) * data / total).expect("a code never stores less than it is given")
}

impl Client {
    /// What `user_bytes` for a time cost, in wei.
    pub async fn quote_territory(&self, user_bytes: u64, days: u32) -> Result<U256, TerritoryError> {
        Ok(Network(&**self.chain()).quote(self.billed(user_bytes)?, days).await?)
    }

    /// Buys room for `user_bytes`; the number of the territory.
    pub async fn buy_territory(&self, user_bytes: u64, days: u32) -> Result<u64, TerritoryError> {
        let size = self.billed(user_bytes)?;
        let price = Network(&**self.chain()).quote(size, days).await?;
        let call = ITerritories::buyCall { size, daysCount: days };
        let receipt = self.sender().call(TERRITORIES, price, &call).await?;
        let bought = |log: &alloy_primitives::Log| ITerritories::Bought::decode_log_data(&log.data).ok();
        receipt.logs.iter().find_map(bought).map(|event| event.territory).ok_or(TerritoryError::NoEvent)
    }

    /// Prolongs a territory.
    pub async fn extend_territory(&self, territory: u64, days: u32) -> Result<(), TerritoryError> {
        let network = Network(&**self.chain());
        let record = network.territory(territory).await?;
        let price = network.quote(record.bytesBought, days).await?;
        let call = ITerritories::extendCall { territory, daysCount: days };
        self.sender().call(TERRITORIES, price, &call).await?;
        Ok(())
    }

    /// The caller's territories: bought or received, and not given away.
    pub async fn list_territories(&self) -> Result<Vec<Territory>, TerritoryError> {
        let me = Some(vec![self.address().into_word()]);
        let event = |hash| Some(vec![hash]);
        let bought = [event(ITerritories::Bought::SIGNATURE_HASH), None, me.clone(), None];
        let received = [event(ITerritories::Transferred::SIGNATURE_HASH), None, None, me];
        let mut ids = BTreeSet::new();
        for topics in [bought, received] {
            let filter = LogFilter { address: TERRITORIES, topics, ..LogFilter::default() };
            let logs = self.chain().logs(filter).await?;
            ids.extend(logs.iter().filter_map(|entry| Some(U256::from_be_bytes(entry.log.topics().get(1)?.0))));
        }
        let ids: Vec<_> = ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect();
        let records = Network(&**self.chain()).territories(&ids).await?;
        let known = ids.into_iter().zip(records).filter_map(|(id, record)| Some((id, record?)));
        Ok(known
            .filter(|(_, record)| record.owner == self.address())
            .map(|(id, record)| Territory {
                id,
                bytes_bought: record.bytesBought,
                bytes_used: record.bytesUsed,
                bytes_leased: record.bytesLeased,
                paid_until_ms: record.paidUntilMs,
            })
            .collect())
    }

    fn billed(&self, user_bytes: u64) -> Result<u64, TerritoryError> {
        billed_bytes(self.spec().storage.profile, user_bytes).ok_or(TerritoryError::Size { user_bytes })
    }
}
