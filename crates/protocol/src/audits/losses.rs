//! Declare seats lost whose lots fail, and those of miners that are silent.
//!
//! # Design
//! - Silence: a miner that missed `silent_rounds` rounds in a row may lose each of its seats, one by one: the cursor takes
//!   those that samples hit, and anyone reports the others. It may return as long as nobody was drawn in its place.
//! - Failure: one bad opening costs a fine and puts the miner under watch, so that a crash between commitment and opening,
//!   or a bad sector, costs no column. A lot that fails in another round within `watch_rounds`, or whose fine nothing is
//!   left for, has lost its column; so has a newcomer at once, while the pay for its rebuild is not settled.

use super::{
    Audits,
    record::{Clock, Marks, Standing},
};
use crate::{
    Error, Ledger, Result,
    internal::{ILotAudits, IMembers},
    volumes::reason,
};
use types::{
    abi::{IAudits, MINERS, VOLUMES},
    spec::AuditSpec,
};

impl Audits {
    /// Loses the seat of a lot, if it has one, whose miner is silent. Says whether it did.
    pub(super) fn lose_silent(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        standing: &Standing,
        lot: u32,
        chair: Option<(u32, u16)>,
    ) -> Result<bool> {
        match chair.filter(|_| standing.missed >= rules.silent_rounds) {
            Some((volume, seat)) => {
                let reason = reason::SILENT;
                declare_lost(ledger, IMembers::declareLostCall { volume, seat, lot, reason, onTrialOnly: false })
            }
            None => Ok(false),
        }
    }

    /// Remembers that a lot failed in this round, and loses its seat if that was once too often. Says whether it did.
    pub(super) fn fail_lot(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        clock: &Clock,
        lot: u32,
        chair: Option<(u32, u16)>,
        is_broke: bool,
    ) -> Result<bool> {
        let slot = self.storage.plots.at(ledger, &lot)?.marks;
        let marks = slot.get(ledger)?;
        let since = clock.number.saturating_sub(marks.faulted);
        let is_second = marks.faulted != 0 && (1..=u64::from(rules.watch_rounds)).contains(&since);
        slot.set(ledger, Marks { faulted: clock.number, ..marks })?;
        match chair {
            Some((volume, seat)) => {
                let (reason, is_first) = (reason::FAULTY, !is_second && !is_broke);
                declare_lost(ledger, IMembers::declareLostCall { volume, seat, lot, reason, onTrialOnly: is_first })
            }
            None => Ok(false),
        }
    }

    /// Anyone may: a sample may be long in coming.
    pub(super) fn report_silent(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<IAudits::reportSilentReturn> {
        let rules = self.rules()?;
        let place = ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round: 0 })?;
        let record = self.storage.miners.at(ledger, &place.miner)?;
        let standing = self.book(ledger, place.miner, &record)?;
        let chair = (place.live && place.volume != 0).then_some((place.volume, place.seat));
        if !self.lose_silent(ledger, rules, &standing, lot, chair)? {
            return Err(IAudits::NotSilent { lot, missedRounds: standing.missed }.into());
        }
        Ok(IAudits::reportSilentReturn {})
    }
}

/// What `Volumes` will not hear of changes nothing: verdicts go on.
fn declare_lost(ledger: &mut dyn Ledger, call: IMembers::declareLostCall) -> Result<bool> {
    match ledger.call_module(VOLUMES, &call) {
        Err(Error::Revert(_)) => Ok(false),
        done => done,
    }
}
