//! Pay for rebuilt columns: helpers by the newcomer's acknowledgements, the newcomer with what is left.
//!
//! # Design
//! The price of a rebuild is fixed when the newcomer takes the seat, and is there already: the lost lot's collateral. All of
//! it is paid, whoever claims. A newcomer that acknowledges too much gives away its own rest; one that acknowledges too
//! little gets no more help, and pays a rebuild itself when its deadline passes. A helper risks what it sent since the last
//! acknowledgement.

use super::{
    Volumes,
    commit::{SIGNATURE_GAS, SIGNER_GAS, read_key},
    members::{operator_of, phase},
    record::Pay,
};
use crate::{Checked, Ledger, Result, internal::ILots};
use alloy_primitives::U256;
use types::{
    ReceiptSignature,
    abi::{Acknowledgement, IVolumes, MINERS},
    repair::Help,
};

/// Most acknowledgements of one call.
pub const ACKNOWLEDGEMENTS_MAX: usize = 64;

impl Volumes {
    pub(super) fn claim_help(
        &self,
        ledger: &mut dyn Ledger,
        call: IVolumes::claimHelpCall,
    ) -> Result<IVolumes::claimHelpReturn> {
        if call.acknowledgements.is_empty() || call.acknowledgements.len() > ACKNOWLEDGEMENTS_MAX {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        for (position, acknowledgement) in call.acknowledgements.iter().enumerate() {
            self.pay_helper(ledger, position, acknowledgement)?;
        }
        Ok(IVolumes::claimHelpReturn {})
    }

    fn pay_helper(&self, ledger: &mut dyn Ledger, position: usize, claim: &Acknowledgement) -> Result<()> {
        let invalid = IVolumes::InvalidAcknowledgement { position: U256::from(position) };
        let Acknowledgement { volume, seat, helper, totalBytes: bytes, .. } = *claim;
        let chair = self.chair(ledger, volume, seat)?;
        if !matches!(chair.state.phase, phase::REBUILDING | phase::SETTLING) {
            return Err(chair.busy());
        }
        let target = chair.care.target.get(ledger)?;
        let slot = chair.care.helped.at(ledger, &helper.into())?;
        let before = slot.get(ledger)?;
        if helper == seat || helper >= chair.volume.seats() || bytes > target || bytes <= before {
            return Err(invalid.into());
        }
        let miner = chair.volume.record.miners.get(ledger, helper.into())?;
        let chain_id = ledger.block().chain_id;
        let lot = chair.lot(ledger)?;
        let message = Help { chain_id, volume, seat, lot, helper_seat: helper, helper: miner, bytes }.message();
        ledger.charge_gas(SIGNER_GAS.saturating_add(SIGNATURE_GAS))?;
        let miners = vec![chair.miner(ledger)?];
        let key = read_key(&ledger.call_module(MINERS, &ILots::receiptKeysCall { miners })?)?;
        let signed = ReceiptSignature::from_bytes(&claim.signature).is_ok_and(|sign| key.verify(&message, &sign));
        if !signed {
            return Err(invalid.into());
        }
        slot.set(ledger, bytes)?;
        let pay = chair.care.pay.get(ledger)?;
        let share = U256::from(pay.total).times(U256::from(bytes.minus(before)?))?.checked_div(U256::from(target));
        let paid = share.unwrap_or_default().saturating_to::<u128>().min(pay.left);
        chair.care.pay.set(ledger, Pay { left: pay.left.minus(paid)?, ..pay })?;
        let operator = operator_of(ledger, miner)?;
        ledger.pay(operator, U256::from(paid))?;
        Ok(ledger.emit(&IVolumes::HelpPaid { volume, seat, miner, totalBytes: bytes, paid: U256::from(paid) })?)
    }

    /// Audits have had the grace to see whether the newcomer has what it says.
    pub(super) fn settle(&self, ledger: &mut dyn Ledger, call: IVolumes::settleCall) -> Result<IVolumes::settleReturn> {
        let IVolumes::settleCall { volume, seat } = call;
        let mut chair = self.chair(ledger, volume, seat)?;
        let from_ms = chair.state.since_ms.saturating_add(self.spec.repair.grace_ms);
        if chair.state.phase != phase::SETTLING || ledger.block().timestamp_ms < from_ms {
            return Err(IVolumes::NothingToSettle { volume, seat, fromMs: from_ms }.into());
        }
        let pay = chair.care.pay.get(ledger)?;
        chair.care.pay.set(ledger, Pay { left: 0, ..pay })?;
        let paid = U256::from(pay.left);
        let miner = chair.miner(ledger)?;
        let operator = operator_of(ledger, miner)?;
        ledger.pay(operator, paid)?;
        self.make_whole(ledger, &mut chair)?;
        ledger.emit(&IVolumes::Settled { volume, seat, miner, paid })?;
        Ok(IVolumes::settleReturn {})
    }
}
