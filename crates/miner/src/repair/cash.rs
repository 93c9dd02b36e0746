//! Cash what newcomers acknowledged.

use super::{REBUILDING, RepairError, Repairer, UNSETTLED};
use crate::notes::{self, HelpNote};
use alloy_primitives::U256;
use client::{SendError, chain::Network};
use types::{
    abi::{Acknowledgement, IVolumes, VOLUMES},
    layout::volumes::SeatQuery,
};

/// Acknowledgements of one call.
const CLAIMS_MAX: usize = 64;
/// While a column is being rebuilt, this part of it is worth a call of its own.
const CLAIM_DIVISOR: u64 = 8;

/// An acknowledgement to be cashed.
struct Claim {
    volume: u32,
    seat: u16,
    note: HelpNote,
}

impl Repairer {
    /// Claims pay for rebuilt columns: when they are there, and before that when it has become much. What is no longer worth
    /// anything is forgotten.
    pub(super) async fn cash(&self) -> Result<(), RepairError> {
        let mut claims = Vec::new();
        for (key, value) in notes::all(&self.store, notes::help_keys()).await? {
            let place = notes::help_place(&key).zip(notes::read_help(&value));
            let ((volume, seat), note) = place.ok_or(RepairError::Log(0))?;
            claims.push(Claim { volume, seat, note });
        }
        let queries: Vec<_> = claims.iter().map(|claim| SeatQuery { volume: claim.volume, seat: claim.seat }).collect();
        let (_, records) = Network(&*self.chain).query_many(&queries).await?;
        let mut due = Vec::new();
        for (claim, record) in claims.into_iter().zip(records) {
            let HelpNote { lot, bytes, cashed, .. } = claim.note;
            if record.lot != lot || !matches!(record.state, REBUILDING | UNSETTLED) {
                self.store.update(vec![notes::remove_help(claim.volume, claim.seat)]).await?;
                continue;
            }
            let left = bytes.saturating_sub(cashed);
            let is_much = left.saturating_mul(CLAIM_DIVISOR) >= record.targetBytes;
            if left > 0 && (record.state == UNSETTLED || is_much) {
                due.push(claim);
            }
        }
        for some in due.chunks(CLAIMS_MAX) {
            match self.claim(some).await {
                // One of them is spoiled or was cashed before a crash: each for itself.
                Err(error) if error.revert_data().is_some() => {
                    for one in some.chunks(1) {
                        self.claim_one(one).await?;
                    }
                }
                result => result?,
            }
            for claim in some {
                self.book(claim).await?;
            }
        }
        Ok(())
    }

    async fn claim(&self, claims: &[Claim]) -> Result<(), SendError> {
        let acknowledgement = |claim: &Claim| Acknowledgement {
            volume: claim.volume,
            seat: claim.seat,
            helper: self.seat_in(claim.volume).unwrap_or_default(),
            totalBytes: claim.note.bytes,
            signature: claim.note.signature.to_vec().into(),
        };
        let acknowledgements: Vec<_> = claims.iter().map(acknowledgement).collect();
        let count = acknowledgements.len();
        self.sender.call(VOLUMES, U256::ZERO, &IVolumes::claimHelpCall { acknowledgements }).await?;
        tracing::info!(count, "cashed what newcomers acknowledged");
        Ok(())
    }

    async fn claim_one(&self, claim: &[Claim]) -> Result<(), RepairError> {
        match self.claim(claim).await {
            Err(error) if error.is_revert::<IVolumes::InvalidAcknowledgement>() => Ok(()),
            Err(error) if error.is_revert::<IVolumes::SeatBusy>() => Ok(()),
            result => Ok(result?),
        }
    }

    fn seat_in(&self, volume: u32) -> Option<u16> {
        self.state.lock().volumes.get(&volume).map(|log| log.seat)
    }

    /// Notes that an acknowledgement is cashed; a larger one that came meanwhile stays.
    async fn book(&self, claim: &Claim) -> Result<(), RepairError> {
        let _turn = self.helped.lock().await;
        let Some(value) = self.store.note(notes::help_key(claim.volume, claim.seat)).await? else { return Ok(()) };
        let Some(note) = notes::read_help(&value).filter(|note| note.lot == claim.note.lot) else { return Ok(()) };
        let note = HelpNote { cashed: claim.note.bytes, ..note };
        Ok(self.store.update(vec![notes::put_help(claim.volume, claim.seat, &note)]).await?)
    }
}
