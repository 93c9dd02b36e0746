//! Reserve staging on the members of volumes.

use super::{
    Volumes,
    record::{Lease, Volume},
};
use crate::{Checked, Ledger, Result, internal::ITerritoryAccounts, storage::Slot};
use types::abi::{
    IVolumes::{self, InvalidLease},
    TERRITORIES,
};

/// Most volumes that one call leases on.
pub const LEASE_VOLUMES_MAX: usize = 64;

impl Volumes {
    pub(super) fn lease(&self, ledger: &mut dyn Ledger, call: IVolumes::leaseCall) -> Result<IVolumes::leaseReturn> {
        let IVolumes::leaseCall { territory, volumes, columnBytes, untilMs } = call;
        let account = ledger.caller();
        let now = ledger.block().timestamp_ms;
        let lasts = untilMs > now && untilMs.saturating_sub(now) <= self.spec.lease_max_ms;
        if !lasts || volumes.is_empty() || volumes.len() > LEASE_VOLUMES_MAX || columnBytes > self.spec.lot_bytes() {
            return Err(InvalidLease {}.into());
        }
        let mut size = 0u64;
        for id in volumes {
            let volume = self.storage.open_volume(ledger, id)?;
            self.add_lease(ledger, territory, &volume, columnBytes, untilMs)?;
            size = size.plus(volume.billed(columnBytes)?)?;
        }
        ledger.call_module(TERRITORIES, &ITerritoryAccounts::reserveCall { territory, account, size })?;
        Ok(IVolumes::leaseReturn {})
    }

    /// Adds to what is left of an earlier lease; never shortens it.
    fn add_lease(
        &self,
        ledger: &mut dyn Ledger,
        territory: u64,
        volume: &Volume,
        column_bytes: u64,
        until_ms: u64,
    ) -> Result<()> {
        let slot = self.lease_slot(ledger, territory, volume.id)?;
        let before = slot.get(ledger)?;
        let column_bytes = before.column_bytes.plus(column_bytes)?;
        if column_bytes == 0 || column_bytes > self.spec.lot_bytes() {
            return Err(InvalidLease {}.into());
        }
        let until_ms = before.until_ms.max(until_ms);
        slot.set(ledger, Lease { column_bytes, until_ms })?;
        let event = IVolumes::Leased { territory, volume: volume.id, columnBytes: column_bytes, untilMs: until_ms };
        Ok(ledger.emit(&event)?)
    }

    /// Anyone may: it only helps the owner.
    pub(super) fn end_lease(
        &self,
        ledger: &mut dyn Ledger,
        call: IVolumes::endLeaseCall,
    ) -> Result<IVolumes::endLeaseReturn> {
        let IVolumes::endLeaseCall { territory, volume } = call;
        let volume = self.storage.volume(ledger, volume)?;
        let slot = self.lease_slot(ledger, territory, volume.id)?;
        let lease = slot.get(ledger)?;
        // Nothing can be committed to a closed volume.
        let is_over = lease.until_ms <= ledger.block().timestamp_ms || !volume.head.open;
        if lease == Lease::default() || !is_over {
            return Err(InvalidLease {}.into());
        }
        slot.set(ledger, Lease::default())?;
        let size = volume.billed(lease.column_bytes)?;
        ledger.call_module(TERRITORIES, &ITerritoryAccounts::unreserveCall { territory, size })?;
        ledger.emit(&IVolumes::Leased { territory, volume: volume.id, columnBytes: 0, untilMs: 0 })?;
        Ok(IVolumes::endLeaseReturn {})
    }

    pub(super) fn lease_of(&self, ledger: &mut dyn Ledger, call: IVolumes::leaseOfCall) -> Result<IVolumes::Lease> {
        let Lease { column_bytes, until_ms } = self.lease_slot(ledger, call.territory, call.volume)?.get(ledger)?;
        Ok(IVolumes::Lease { columnBytes: column_bytes, untilMs: until_ms })
    }

    /// Takes up to `column_bytes` out of the lease, expired or not: its quota is still set aside. Returns what it gave.
    pub(super) fn draw_lease(
        &self,
        ledger: &mut dyn Ledger,
        territory: u64,
        volume: u32,
        column_bytes: u64,
    ) -> Result<u64> {
        let slot = self.lease_slot(ledger, territory, volume)?;
        let lease = slot.get(ledger)?;
        let taken = lease.column_bytes.min(column_bytes);
        if taken > 0 {
            slot.set(ledger, Lease { column_bytes: lease.column_bytes.minus(taken)?, ..lease })?;
        }
        Ok(taken)
    }

    fn lease_slot(&self, ledger: &mut dyn Ledger, territory: u64, volume: u32) -> Result<Slot<Lease>> {
        Ok(self.storage.leases.at(ledger, &territory)?.at(ledger, &volume)?)
    }
}
