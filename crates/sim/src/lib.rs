//! Live through hours of a whole network in minutes, from one seed.
//!
//! The protocol's modules, the miners and the client are the real ones. The chain is one process that executes what is
//! sent, block by block, or a committee of real validators ([`Chain`]); disks and messages are in memory; the clock is
//! tokio's, paused, so that time passes only when nobody has anything to do. One seed decides about latency, loss,
//! deaths, lies and beacons.
//! `docs/spec/simulator.md` says what is checked, and what is not.
//!
//! # Example
//! ```
//! use sim::{Chain, Options, Scenario, run};
//! let options = Options { seed: 1, scenario: Scenario::Malformed, hours: 0.1, chain: Chain::Memory };
//! let report = run(options).expect("all holds");
//! assert!(report.objects > 0);
//! ```

mod chance;
mod disk;
mod host;
mod ledger;
mod link;
mod net;
mod scenarios;
mod validators;
mod watch;
mod weather;
mod wire;

pub use chance::Chance;
pub use net::Chain;
pub use scenarios::{SCENARIOS, Scenario, UnknownScenario};

use alloy_primitives::B256;
use client::ChainError;
use std::time::Duration;

/// What to live through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Decides about everything that is left to chance.
    pub seed: u64,
    /// What happens.
    pub scenario: Scenario,
    /// Virtual time of the part that can be of any length.
    pub hours: f64,
    /// Who makes the chain; the scenarios about validators always have them.
    pub chain: Chain,
}

/// What must hold did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not hold: {rule} ({what})")]
pub struct Broken {
    rule: &'static str,
    what: String,
}

impl Broken {
    pub(crate) fn new(rule: &'static str, what: String) -> Self {
        Self { rule, what }
    }

    pub(crate) fn chain(error: ChainError) -> Self {
        Self::new("the chain answers", error.to_string())
    }
}

/// Fails unless something holds.
pub(crate) fn ensure(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(rule, what())) }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Virtual time that passed.
    pub lived: Duration,
    /// Blocks.
    pub blocks: u64,
    /// Rounds that were closed.
    pub rounds: u64,
    /// Objects that were acknowledged.
    pub objects: usize,
    /// Puts that were refused.
    pub refused_puts: u32,
    /// Reads that gave what was written.
    pub reads: u32,
    /// Samples that were opened.
    pub opened: u32,
    /// Samples that were fined.
    pub faults: u32,
    /// Seats that another miner got.
    pub drawn: u32,
    /// Most seats of one volume that were lost at once.
    pub worst: usize,
    /// What the scenario says about itself.
    pub notes: Vec<String>,
    /// Of all that happened on the chain, but for what hangs on the client's secret keys: the same for the same options.
    pub digest: B256,
}

/// Lives through a scenario; an error says what does not hold.
pub fn run(options: Options) -> Result<Report, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| Broken::new("a runtime starts", error.to_string()))?;
    let _in_place = offload::in_place();
    runtime.block_on(scenarios::run(options))
}
