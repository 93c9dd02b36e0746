//! Form volumes from lots that a beacon draws.
//!
//! # Design
//! One step at the start of each block:
//! - nothing pending and a policy short of open volumes: freeze the pool and fix the view whose seed draws;
//! - that seed arrived: draw, and write the volume; too few distinct operators by chance: wait for another view;
//! - it did not arrive for long, or the epoch ended: fix another view. A seed of any other view changes nothing.
//!
//! The view lies ahead when the pool is frozen, so nobody knows the seed while the pool can still change.

use super::{
    Volumes,
    record::{Draw, Head},
};
use crate::{
    BlockFacts, Checked, Ledger, PUBLIC_POLICY, Result,
    internal::{IBlockHook, ILots},
};
use types::abi::{IVolumes, MINERS};

/// Views after which a beacon that did not arrive is given up.
pub const DRAW_WAIT_VIEWS_MAX: u64 = 256;

/// What the start of a block does for formation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait.
    Rest,
    /// Start a draw if the pool allows it.
    Start,
    /// Wait for another view's seed.
    Renew,
    /// Draw by the seed that arrived.
    Form,
}

/// Decides the step.
pub(super) fn plan(draw: &Draw, block: &BlockFacts, beacon: Option<(u64, u64)>, open: u32, open_target: u32) -> Step {
    let waited = block.view.saturating_sub(draw.view);
    match draw.pending {
        false if open < open_target => Step::Start,
        false => Step::Rest,
        true if beacon == Some((draw.epoch, draw.view)) => Step::Form,
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
        let draw = self.storage.draw.get(ledger)?;
        let beacon = (!call.seed.is_empty()).then_some((call.epoch, call.view));
        let open = self.storage.open.at(ledger, &PUBLIC_POLICY)?.len(ledger)?;
        match plan(&draw, &ledger.block(), beacon, open, self.spec.open_target) {
            Step::Rest => {}
            Step::Start => self.start(ledger, PUBLIC_POLICY)?,
            Step::Renew => self.set_target(ledger, draw.policy)?,
            Step::Form => self.form(ledger, &draw, &call)?,
        }
        self.begin_round(ledger, call)?;
        Ok(IBlockHook::beginBlockReturn {})
    }

    fn start(&self, ledger: &mut dyn Ledger, policy: u32) -> Result<()> {
        let seats = self.spec.profile.total();
        let factor = self.spec.effective_operators_factor;
        if ledger.call_module(MINERS, &ILots::freezeCall { seats, factor })? {
            self.set_target(ledger, policy)?;
        }
        Ok(())
    }

    fn set_target(&self, ledger: &mut dyn Ledger, policy: u32) -> Result<()> {
        let BlockFacts { epoch, view, .. } = ledger.block();
        let view = view.plus(self.spec.draw_delay_views)?;
        let draw = self.storage.draw.get(ledger)?;
        self.storage.draw.set(ledger, Draw { epoch, view, policy, pending: true, ..draw })?;
        Ok(ledger.emit(&IVolumes::DrawStarted { policy, epoch, targetView: view })?)
    }

    fn form(&self, ledger: &mut dyn Ledger, draw: &Draw, call: &IBlockHook::beginBlockCall) -> Result<()> {
        let (policy, profile) = (draw.policy, self.spec.profile);
        let volume = self.storage.volume_count.get(ledger)?.plus(1)?;
        let request = ILots::drawCall { seats: profile.total(), policy, volume, seed: call.seed.clone() };
        let ILots::drawReturn { lots, miners } = ledger.call_module(MINERS, &request)?;
        if lots.is_empty() {
            return self.set_target(ledger, policy);
        }
        let record = self.storage.volumes.at(ledger, &volume)?;
        record.lots.store(ledger, &lots)?;
        record.miners.store(ledger, &miners)?;
        let open_position = self.storage.open.at(ledger, &policy)?.push(ledger, volume)?;
        self.start_snapshot(ledger, &record)?;
        record
            .head
            .set(ledger, Head { profile: profile as u8, open: true, policy, open_position, ..Head::default() })?;
        self.storage.volume_count.set(ledger, volume)?;
        let audit_view = self.storage.draw.get(ledger)?.audit_view;
        self.storage.draw.set(ledger, Draw { audit_view, ..Draw::default() })?;
        Ok(ledger.emit(&IVolumes::Formed { volume, policy, lots, miners })?)
    }
}
