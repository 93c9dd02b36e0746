//! Form volumes from lots that a beacon draws.
//!
//! # Design
//! One step at the start of each block:
//! - nothing pending and a volume to repair, or a policy short of open volumes: freeze the pool and fix the view whose
//!   seed draws; repairs and formation take turns;
//! - that seed arrived: draw, and write the volume or seat the newcomers; too few operators by chance: start again later;
//! - it did not arrive for long, or the epoch ended: fix another view. A seed of any other view changes nothing.
//!
//! The view lies ahead when the pool is frozen, so nobody knows the seed while the pool can still change.

use super::{
    Volumes,
    record::{Draw, Head},
};
use crate::{
    BlockFacts, Checked, Ledger, PUBLIC_POLICY, Result,
    internal::{IBlockHook, ILots, IRules},
};
use alloy_primitives::Bytes;
use types::{
    Profile,
    abi::{IVolumes, MINERS, POLICIES},
};

/// Views after which a beacon that did not arrive is given up.
pub const DRAW_WAIT_VIEWS_MAX: u64 = 256;

/// What the start of a block does for the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait.
    Rest,
    /// Start a draw if there is something to draw for.
    Start,
    /// Wait for another view's seed.
    Renew,
    /// Draw by the seed that arrived.
    Draw,
}

/// Decides the step.
pub(super) fn plan(draw: &Draw, block: &BlockFacts, beacon: Option<(u64, u64)>) -> Step {
    let waited = block.view.saturating_sub(draw.view);
    match draw.pending {
        true if beacon == Some((draw.epoch, draw.view)) => Step::Draw,
        _ if block.is_epoch_ending => Step::Rest,
        false => Step::Start,
        true if draw.epoch != block.epoch || waited > DRAW_WAIT_VIEWS_MAX => Step::Renew,
        true => Step::Rest,
    }
}

impl Volumes {
    pub(super) fn begin_block(
        &self,
        ledger: &mut dyn Ledger,
        call: IBlockHook::beginBlockCall,
    ) -> Result<IBlockHook::beginBlockReturn> {
        self.run_timers(ledger)?;
        let draw = self.storage.draw.get(ledger)?;
        let beacon = (!call.seed.is_empty()).then_some((call.epoch, call.view));
        match plan(&draw, &ledger.block(), beacon) {
            Step::Rest => {}
            Step::Start => self.start(ledger, &draw)?,
            Step::Renew => self.set_target(ledger, draw)?,
            Step::Draw if draw.replaces => self.replace(ledger, &call.seed)?,
            Step::Draw => self.form(ledger, &draw, &call)?,
        }
        self.begin_round(ledger, call)?;
        Ok(IBlockHook::beginBlockReturn {})
    }

    fn start(&self, ledger: &mut dyn Ledger, last: &Draw) -> Result<()> {
        let waits = self.spec.repair.eligibility_delay_ms > 0 && ledger.call_module(MINERS, &ILots::tendCall {})?;
        let started = (last.replaced_last && self.start_formation(ledger)?)
            || self.start_replacement(ledger)?
            || (!last.replaced_last && self.start_formation(ledger)?);
        // New lots wait for a beacon too: a draw that fills no seat.
        if !started && waits && ledger.call_module(MINERS, &ILots::holdCall {})? {
            self.set_target(ledger, Draw { replaces: true, ..Draw::default() })?;
        }
        Ok(())
    }

    /// Freezes the pool for a policy that is short of volumes: the public one first, then one of the others in turn.
    fn start_formation(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        if self.start_for(ledger, PUBLIC_POLICY)?.0 {
            return Ok(true);
        }
        let Some(policy) = self.storage.hungry.pop(ledger)? else { return Ok(false) };
        let (started, is_short) = self.start_for(ledger, policy)?;
        if is_short && !started {
            self.storage.hungry.push(ledger, policy)?;
        }
        Ok(started)
    }

    /// Whether a draw was started, and whether the policy wants one.
    fn start_for(&self, ledger: &mut dyn Ledger, policy: u32) -> Result<(bool, bool)> {
        let open = self.storage.open.at(ledger, &policy)?.len(ledger)?;
        if policy == PUBLIC_POLICY && open >= self.spec.open_target && !self.has_many_free(ledger)? {
            return Ok((false, false));
        }
        let IRules::ruleReturn { rule, profile, wanted, .. } =
            ledger.call_module(POLICIES, &IRules::ruleCall { policy })?;
        if policy != PUBLIC_POLICY && open >= u32::from(wanted) {
            return Ok((false, false));
        }
        let Some(profile) = Profile::from_u8(profile) else { return Ok((false, false)) };
        let factor = if rule.isPrivate { 0 } else { self.spec.effective_operators_factor };
        let freeze = ILots::freezeCall { rule, seats: profile.total(), factor };
        let ILots::freezeReturn { frozen, subsidised } = ledger.call_module(MINERS, &freeze)?;
        if frozen {
            self.set_target(ledger, Draw { policy, subsidised, ..Draw::default() })?;
        }
        Ok((frozen, true))
    }

    /// Whether more lots are free than should be: those who wait to be drawn are those who do not leave.
    fn has_many_free(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        let percent = u64::from(self.spec.repair.free_lots_max_percent);
        if percent >= 100 {
            return Ok(false);
        }
        let ILots::censusReturn { lots, free } = ledger.call_module(MINERS, &ILots::censusCall {})?;
        Ok(free.saturating_mul(100) > lots.saturating_mul(percent))
    }

    /// Draws the delays of new lots by the same seed.
    pub(super) fn date_pledges(&self, ledger: &mut dyn Ledger, seed: &Bytes) -> Result<()> {
        if self.spec.repair.eligibility_delay_ms > 0 {
            ledger.call_module(MINERS, &ILots::dateCall { seed: seed.clone() })?;
        }
        Ok(())
    }

    /// Keeps what an audit round waits for in the same slot.
    pub(super) fn put_draw(&self, ledger: &mut dyn Ledger, draw: Draw) -> Result<()> {
        let audit_view = self.storage.draw.get(ledger)?.audit_view;
        Ok(self.storage.draw.set(ledger, Draw { audit_view, ..draw })?)
    }

    /// Fixes the view whose seed draws.
    pub(super) fn set_target(&self, ledger: &mut dyn Ledger, draw: Draw) -> Result<()> {
        let BlockFacts { epoch, view, .. } = ledger.block();
        let view = view.plus(self.spec.draw_delay_views)?;
        self.put_draw(ledger, Draw { epoch, view, pending: true, ..draw })?;
        if !draw.replaces {
            ledger.emit(&IVolumes::DrawStarted { policy: draw.policy, epoch, targetView: view })?;
        }
        Ok(())
    }

    fn form(&self, ledger: &mut dyn Ledger, draw: &Draw, call: &IBlockHook::beginBlockCall) -> Result<()> {
        let policy = draw.policy;
        self.date_pledges(ledger, &call.seed)?;
        self.put_draw(ledger, Draw::default())?;
        if policy != PUBLIC_POLICY {
            // It is looked at again, whether this brings a volume or not.
            self.storage.hungry.push(ledger, policy)?;
        }
        let IRules::ruleReturn { rule, profile, .. } = ledger.call_module(POLICIES, &IRules::ruleCall { policy })?;
        let Some(seats) = Profile::from_u8(profile).map(Profile::total) else { return Ok(()) };
        let volume = self.storage.volume_count.get(ledger)?.plus(1)?;
        let request = ILots::drawCall { rule, seats, volume, seed: call.seed.clone() };
        let ILots::drawReturn { lots, miners } = ledger.call_module(MINERS, &request)?;
        if lots.is_empty() {
            return Ok(());
        }
        let record = self.storage.volumes.at(ledger, &volume)?;
        record.lots.store(ledger, &lots)?;
        record.miners.store(ledger, &miners)?;
        let open_position = self.storage.open.at(ledger, &policy)?.push(ledger, volume)?;
        self.start_snapshot(ledger, &record)?;
        let subsidised = draw.subsidised;
        record.head.set(ledger, Head { profile, open: true, policy, open_position, subsidised, ..Head::default() })?;
        self.storage.volume_count.set(ledger, volume)?;
        Ok(ledger.emit(&IVolumes::Formed { volume, policy, lots, miners })?)
    }
}
