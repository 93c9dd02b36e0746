//! Let a seat take on stripes that it had not signed.
//!
//! A writer may commit the root of a fragment that never was, for a seat it skipped. So a seat outside the bitmap owes a
//! stripe only once it says that the rebuilt fragment matched; until then nobody counts it among the holders.

use super::{
    Volumes,
    members::{bitmap, phase},
    release::{RELEASES_MAX, require_in_log},
};
use crate::{Checked, Ledger, Result};
use alloy_primitives::{Bytes, U256};
use types::{abi::IVolumes, merkle::LOG_DEPTH};

impl Volumes {
    pub(super) fn heal(&self, ledger: &mut dyn Ledger, call: IVolumes::healCall) -> Result<IVolumes::healReturn> {
        let IVolumes::healCall { volume: id, seat, stripes } = call;
        if stripes.is_empty() || stripes.len() > RELEASES_MAX {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        let chair = self.own_chair(ledger, id, seat)?;
        if chair.state.phase == phase::LOST {
            return Err(chair.busy());
        }
        ledger.charge_hashes(LOG_DEPTH as u64, 64)?;
        let root = chair.volume.frontier(ledger)?.root();
        let mut bytes = 0u64;
        for stripe in &stripes {
            require_in_log(ledger, &chair.volume, &root, stripe)?;
            let slot = chair.volume.record.missing.at(ledger, &stripe.index)?;
            let mut missing = slot.get(ledger)?;
            // What was paid for the rebuild of a released stripe is burned.
            let is_released = chair.volume.record.released.contains(ledger, stripe.index.into())?;
            if !missing.bit(seat.into()) || is_released {
                return Err(IVolumes::NotMissing { volume: id, index: stripe.index, seat }.into());
            }
            self.keep_missing(ledger, &chair.volume, stripe.index)?;
            missing.set_bit(seat.into(), false);
            slot.set(ledger, missing)?;
            bytes = bytes.plus(stripe.leaf.fragmentBytes)?;
            ledger.emit(&IVolumes::Healed { volume: id, seat, index: stripe.index })?;
        }
        // What the writer paid for the rebuild when it skipped the seat.
        let fee = self.rebuild_price(bytes)?;
        ledger.pay(ledger.caller(), fee)?;
        Ok(IVolumes::healReturn {})
    }

    pub(super) fn missing_of(&self, ledger: &mut dyn Ledger, call: IVolumes::missingOfCall) -> Result<Bytes> {
        let volume = self.storage.volume(ledger, call.volume)?;
        let is_released = volume.record.released.contains(ledger, call.index.into())?;
        let missing = volume.record.missing.at(ledger, &call.index)?.get(ledger)?;
        Ok(bitmap(if is_released { U256::ZERO } else { missing }, volume.seats()))
    }
}
