//! Take a round through its stages, one step at the start of each block.
//!
//! ```text
//! rest ──(a new stretch of time)──▶ await A ──(seed)──▶ commit ──(deadline)──▶ await B ──(seed)──▶ open
//!   ▲                                                                                                │ (deadline)
//!   └───────────────────────────────(every sample judged)───── settle ◀──────────────────────────────┘
//! ```

use super::{
    Audits,
    record::{Clock, Sampled, Stage, Target},
};
use crate::{BlockFacts, Checked, Ledger, Result, internal::IRounds, volumes::DRAW_WAIT_VIEWS_MAX};
use alloy_primitives::B256;
use proofs::round::{Phase, beacon};
use types::{abi::IAudits, spec::AuditSpec};

/// What the start of a block does for the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// Fix the view of beacon A, or of another one if it did not come.
    AskA,
    /// Open the round by beacon A.
    Open,
    /// Fix the view of beacon B, or of another one.
    AskB,
    /// Draw samples by beacon B.
    Draw,
    /// Stop taking openings.
    Close,
    /// Judge missing openings.
    Settle,
}

/// Decides the step.
pub(super) fn plan(
    clock: &Clock,
    target: &Target,
    block: &BlockFacts,
    brought: Option<(u64, u64)>,
    round_ms: u64,
) -> Step {
    let came = brought == Some((target.epoch, target.view));
    let lapsed = target.epoch != block.epoch || block.view.saturating_sub(target.view) > DRAW_WAIT_VIEWS_MAX;
    let is_over = block.timestamp_ms > clock.deadline_ms;
    let stretch = |time: u64| time.checked_div(round_ms);
    let step = match Stage::from_u8(clock.stage) {
        Stage::Rest if stretch(block.timestamp_ms) != stretch(clock.opened_ms) => Step::AskA,
        Stage::AwaitA if came => Step::Open,
        Stage::AwaitA if lapsed => Step::AskA,
        Stage::Commit if is_over => Step::AskB,
        Stage::AwaitB if came => Step::Draw,
        Stage::AwaitB if lapsed => Step::AskB,
        Stage::Open if is_over => Step::Close,
        Stage::Settle => Step::Settle,
        _ => Step::Rest,
    };
    match step {
        Step::AskA | Step::AskB if block.is_epoch_ending => Step::Rest,
        step => step,
    }
}

impl Audits {
    pub(super) fn begin_round(
        &self,
        ledger: &mut dyn Ledger,
        call: IRounds::beginRoundCall,
    ) -> Result<IRounds::beginRoundReturn> {
        let rules = self.rules()?;
        let before = self.storage.clock.get(ledger)?;
        let clock = self.extend(ledger, rules, before)?;
        self.tend_docket(ledger, rules, &clock)?;
        let target = self.storage.target.get(ledger)?;
        let brought = (!call.seed.is_empty()).then_some((call.epoch, call.view));
        let block = ledger.block();
        let clock = match plan(&clock, &target, &block, brought, rules.round_ms) {
            Step::Rest => clock,
            Step::AskA => {
                self.ask(ledger)?;
                Clock { stage: Stage::AwaitA as u8, opened_ms: block.timestamp_ms, ..clock }
            }
            Step::AskB => {
                self.ask(ledger)?;
                Clock { stage: Stage::AwaitB as u8, ..clock }
            }
            Step::Open => self.open_round(ledger, rules, clock, &call.seed)?,
            Step::Draw => self.draw(ledger, rules, clock, &call.seed)?,
            Step::Close => Clock { stage: Stage::Settle as u8, ..clock },
            Step::Settle => self.settle(ledger, rules, clock)?,
        };
        if clock != before {
            self.storage.clock.set(ledger, clock)?;
        }
        let awaits = matches!(Stage::from_u8(clock.stage), Stage::AwaitA | Stage::AwaitB);
        let target = if awaits { self.storage.target.get(ledger)?.view } else { 0 };
        Ok(IRounds::beginRoundReturn { target, round: clock.number })
    }

    fn ask(&self, ledger: &mut dyn Ledger) -> Result<()> {
        let BlockFacts { epoch, view, .. } = ledger.block();
        // Never zero, which means none.
        let view = view.plus(self.spec.draw_delay_views.max(1))?;
        Ok(self.storage.target.set(ledger, Target { epoch, view })?)
    }

    fn open_round(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock, seed: &[u8]) -> Result<Clock> {
        let number = clock.number.plus(1)?;
        let census = self.storage.census.get(ledger)?;
        let beacon_a = beacon(number, Phase::A, seed);
        let deadline_ms = self.deadline(ledger, rules, rules.commit_ms)?;
        self.storage.beacon_a.set(ledger, beacon_a)?;
        self.storage.beacons.at(ledger, &number)?.set(ledger, beacon_a)?;
        self.storage.beacon_b.set(ledger, B256::ZERO)?;
        self.schedule_spots(ledger, rules, census.live)?;
        self.storage.sampled.set(ledger, Sampled { lots: census.lots, live: census.live, ..Sampled::default() })?;
        ledger.emit(&IAudits::RoundOpened {
            round: number,
            beacon: beacon_a,
            lots: census.lots,
            deadlineMs: deadline_ms,
        })?;
        Ok(Clock { number, stage: Stage::Commit as u8, deadline_ms, ..clock })
    }

    fn draw(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock, seed: &[u8]) -> Result<Clock> {
        let beacon_b = beacon(clock.number, Phase::B, seed);
        let deadline_ms = self.deadline(ledger, rules, rules.open_ms)?;
        let sampled = self.storage.sampled.get(ledger)?;
        let queue = self.storage.queue.get(ledger)?;
        let waiting = queue.end.saturating_sub(queue.first);
        let watched = u32::try_from(waiting).unwrap_or(u32::MAX).min(rules.watched_max);
        let drawn = if sampled.live == 0 { 0 } else { rules.samples };
        let samples = drawn.plus(watched.times(rules.watch_samples)?)?;
        self.storage.beacon_b.set(ledger, beacon_b)?;
        self.storage.sampled.set(ledger, Sampled { samples, watched, watch_first: queue.first, ..sampled })?;
        ledger.emit(&IAudits::Drawn { round: clock.number, beacon: beacon_b, samples, deadlineMs: deadline_ms })?;
        Ok(Clock { stage: Stage::Open as u8, deadline_ms, ..clock })
    }
}
