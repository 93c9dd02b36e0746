//! Say who answered for a seat at beacon A, and for how much of the column.
//!
//! # Design
//! As for the log, the first change of a seat after beacon A keeps what it changes, with the round's number. So a newcomer
//! owes its column from the next beacon A on, and of what it takes over only what lay below its watermark then; and who
//! loses or leaves a seat during a round answers for it until the round is over.

use super::{
    Volumes,
    members::{Chair, may_return, phase},
    record::{NOTHING_OWED, SeatState, Tenure},
};
use crate::{Ledger, Result};

/// What a lot answered for at a seat at beacon A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing yet: it was drawn since.
    Drawn,
    /// The column, but not what lies between.
    Column { gap_from: u64, gap_to: u64 },
    /// Nothing any more: it is known to have lost the column.
    Nothing,
}

impl Volumes {
    /// Keeps who answers for a seat, before its first change in a round.
    pub(super) fn keep_tenure(&self, ledger: &mut dyn Ledger, chair: &Chair) -> Result<()> {
        if self.spec.audits.is_none() {
            return Ok(());
        }
        let round = self.storage.round.get(ledger)?;
        if chair.care.tenure.get(ledger)?.round == round {
            return Ok(());
        }
        let now = chair.tenure(ledger)?;
        Ok(chair.care.tenure.set(ledger, Tenure { round, ..now })?)
    }

    /// What `lot` answered for.
    pub(super) fn duty(&self, ledger: &mut dyn Ledger, chair: &Chair, lot: u32) -> Result<Duty> {
        let round = self.storage.round.get(ledger)?;
        let kept = chair.care.tenure.get(ledger)?;
        let tenure = if kept.round == round && round > 0 { kept } else { chair.tenure(ledger)? };
        let Tenure { gap_from, gap_to, .. } = tenure;
        Ok(if lot == tenure.successor {
            Duty::Column { gap_from, gap_to: u64::MAX }
        } else if lot != tenure.lot {
            Duty::Drawn
        } else if gap_from == NOTHING_OWED {
            Duty::Nothing
        } else if tenure.successor != 0 {
            Duty::Column { gap_from: 0, gap_to: 0 }
        } else {
            Duty::Column { gap_from, gap_to }
        })
    }
}

impl Chair {
    /// Who answers for the seat now.
    fn tenure(&self, ledger: &mut dyn Ledger) -> Result<Tenure> {
        let SeatState { phase, reason, lot: successor, watermark, .. } = self.state;
        let holder = Tenure { lot: self.lot(ledger)?, ..Tenure::default() };
        Ok(match phase {
            phase::LOST if !may_return(reason) => Tenure { gap_from: NOTHING_OWED, ..holder },
            phase::REBUILDING => Tenure { gap_from: watermark, gap_to: self.care.target.get(ledger)?, ..holder },
            phase::HANDING_OVER => Tenure { successor, gap_from: watermark, ..holder },
            _ => holder,
        })
    }
}
