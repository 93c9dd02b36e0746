//! Let new lots be drawn only after a time that a beacon draws.
//!
//! Who could have lots drawn as soon as they are pledged would flood the pool just when many seats are to be filled. So the
//! beacon that follows a pledge draws its delay, from nothing to twice the mean, and the lots come in one by one.

use super::{Miners, record::Tally};
use crate::{Checked, Ledger, Result};
use types::{
    hash::{derive, domain},
    packed,
};

/// Pledges that one beacon dates, and that one block lets in.
pub const PARCELS_PER_BLOCK_MAX: u32 = 16;
/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

packed! {
    /// Lots that were pledged together.
    pub struct Parcel {
        miner: u32,
        lots: u32,
    }
}

impl Miners {
    /// Remembers how many pledges there are when the pool is frozen: later ones could know the beacon.
    pub(super) fn count_datable(&self, ledger: &mut dyn Ledger) -> Result<()> {
        if self.eligibility_delay_ms == 0 {
            return Ok(());
        }
        let waiting = self.storage.undated.len(ledger)?.min(PARCELS_PER_BLOCK_MAX.into());
        Ok(self.storage.datable.set(ledger, waiting.try_into().unwrap_or(u32::MAX))?)
    }

    /// Gives those pledges the hours from which they may be drawn.
    pub(super) fn date(&self, ledger: &mut dyn Ledger, seed: &[u8]) -> Result<()> {
        if self.eligibility_delay_ms == 0 {
            return Ok(());
        }
        let now = ledger.block().timestamp_ms;
        for index in 0..self.storage.datable.get(ledger)? {
            let Some(parcel) = self.storage.undated.pop(ledger)? else { break };
            ledger.charge_hashes(1, seed.len().saturating_add(8))?;
            let parts = [seed, &index.to_be_bytes(), &parcel.miner.to_be_bytes()];
            let hash = derive(domain::ELIGIBILITY, &parts);
            let number = hash.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).unwrap_or_default();
            let most = u128::from(self.eligibility_delay_ms).saturating_mul(2);
            let delay = number.checked_rem(most).and_then(|rest| u64::try_from(rest).ok()).unwrap_or_default();
            let hour = now.plus(delay)?.div_ceil(HOUR_MS);
            let begun = self.storage.hour.get(ledger)?;
            if begun == 0 {
                self.storage.hour.set(ledger, now / HOUR_MS)?;
            }
            self.storage.calendar.at(ledger, &hour.max(begun))?.push(ledger, parcel)?;
        }
        Ok(self.storage.datable.set(ledger, 0)?)
    }

    /// Lets lots in whose hour has come; nothing while the pool is frozen.
    pub(super) fn ripen(&self, ledger: &mut dyn Ledger) -> Result<()> {
        if self.eligibility_delay_ms == 0 || self.storage.pool.is_frozen(ledger)? {
            return Ok(());
        }
        let now = ledger.block().timestamp_ms / HOUR_MS;
        for _ in 0..PARCELS_PER_BLOCK_MAX {
            let hour = self.storage.hour.get(ledger)?;
            if hour == 0 || hour > now {
                break;
            }
            match self.storage.calendar.at(ledger, &hour)?.pop(ledger)? {
                Some(parcel) => self.let_in(ledger, &parcel)?,
                None if hour < now => self.storage.hour.set(ledger, hour.plus(1)?)?,
                None => break,
            }
        }
        Ok(())
    }

    fn let_in(&self, ledger: &mut dyn Ledger, parcel: &Parcel) -> Result<()> {
        let record = self.storage.miners.at(ledger, &parcel.miner)?;
        let tally = record.tally.get(ledger)?;
        // A miner that has retired since has none.
        let young = tally.young.saturating_sub(parcel.lots);
        record.tally.set(ledger, Tally { young, ..tally })?;
        self.count(ledger, parcel.miner, &record)
    }
}
