//! Let stripes go, on proof that the log has them.

use super::{Volumes, record::Volume};
use crate::{Checked, Ledger, Result, internal::ITerritoryAccounts};
use alloy_primitives::{Address, B256, U256};
use types::{
    StripeLeaf,
    abi::{ITerritories, IVolumes, Leaf, Release, TERRITORIES},
    merkle::{self, LOG_DEPTH},
};

/// Most stripes that one call releases.
pub const RELEASES_MAX: usize = 64;

impl Volumes {
    pub(super) fn release(
        &self,
        ledger: &mut dyn Ledger,
        call: IVolumes::releaseCall,
    ) -> Result<IVolumes::releaseReturn> {
        if call.stripes.is_empty() || call.stripes.len() > RELEASES_MAX {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        let volume = self.storage.volume(ledger, call.volume)?;
        ledger.charge_hashes(LOG_DEPTH as u64, 64)?;
        let root = volume.frontier(ledger)?.root();
        for stripe in &call.stripes {
            self.release_one(ledger, &volume, &root, stripe)?;
        }
        let deposits = self.spec.stripe_deposit.times(U256::from(call.stripes.len()))?;
        ledger.pay(ledger.caller(), deposits)?;
        Ok(IVolumes::releaseReturn {})
    }

    fn release_one(&self, ledger: &mut dyn Ledger, volume: &Volume, root: &B256, stripe: &Release) -> Result<()> {
        let Release { index, leaf, .. } = stripe;
        let Leaf { segment, territory, .. } = *leaf;
        require_in_log(ledger, volume, root, stripe)?;
        let unhealed = self.leave_log(ledger, volume, stripe)?;
        require_allowed(ledger, territory)?;
        // What was paid for seats that need no rebuild any more goes to nobody: the writer would skip seats for it.
        let fees = self.rebuild_price(leaf.fragmentBytes.times(unhealed)?)?;
        ledger.pay(Address::ZERO, fees)?;
        Ok(ledger.emit(&IVolumes::Released { volume: volume.id, territory, segment, index: *index })?)
    }

    /// Takes a stripe out of the live ones, and says how many seats never had it.
    pub(super) fn leave_log(&self, ledger: &mut dyn Ledger, volume: &Volume, stripe: &Release) -> Result<u64> {
        let Release { index, leaf, .. } = stripe;
        self.keep_released(ledger, volume, *index)?;
        if !volume.record.released.insert(ledger, (*index).into())? {
            return Err(IVolumes::AlreadyReleased { volume: volume.id, index: *index }.into());
        }
        volume.record.positions.at(ledger, &leaf.segment)?.set(ledger, 0)?;
        let slot = volume.record.missing.at(ledger, index)?;
        let missing = slot.get(ledger)?;
        // With audits the round still asks who owed it.
        if self.spec.audits.is_none() && !missing.is_zero() {
            slot.set(ledger, U256::ZERO)?;
        }
        let size = volume.billed(leaf.fragmentBytes)?;
        let unbill = ITerritoryAccounts::unbillCall { territory: leaf.territory, size, termEndMs: leaf.termEndMs };
        ledger.call_module(TERRITORIES, &unbill)?;
        Ok(missing.count_ones() as u64)
    }
}

pub(super) fn require_in_log(ledger: &mut dyn Ledger, volume: &Volume, root: &B256, stripe: &Release) -> Result<()> {
    // The leaf's own hash, the tree's hash of it, and one per level.
    ledger.charge_hashes(1, 80)?;
    ledger.charge_hashes((LOG_DEPTH as u64).saturating_add(1), 64)?;
    let hash = StripeLeaf::from(&stripe.leaf).hash();
    let found = merkle::root_of(&hash, stripe.index.into(), &stripe.path);
    if stripe.index >= volume.head.stripe_count || found != Some(*root) {
        return Err(IVolumes::NotInLog { volume: volume.id, index: stripe.index }.into());
    }
    Ok(())
}

/// The owner may at any time; anyone after notice and grace.
fn require_allowed(ledger: &mut dyn Ledger, territory: u64) -> Result<()> {
    let caller = ledger.caller();
    let account = ledger.call_module(TERRITORIES, &ITerritories::territoryCall { id: territory })?;
    if account.owner == caller {
        return Ok(());
    }
    let from = ledger.call_module(TERRITORIES, &ITerritories::releasableFromCall { territory })?;
    if from == 0 || ledger.block().timestamp_ms <= from {
        return Err(IVolumes::ReleaseNotAllowed { territory, caller }.into());
    }
    Ok(())
}
