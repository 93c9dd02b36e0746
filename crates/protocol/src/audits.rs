//! Run audit rounds: commitments, samples, openings, verdicts; pay for what is shown and fine for what is not.
//!
//! # Design
//! Nothing here loops over miners or lots. What a miner is asked follows from beacon A, its number and the number of its
//! lots ([`proofs::round`]); whom beacon B asks follows from beacon B and the number of all lots ([`proofs::sample`]).
//! What was owed at beacon A is kept by whoever changes it first. A round draws a fixed number of samples; answered ones
//! are paid when they are opened, and missing ones are judged by a cursor that moves a bounded number of steps a block.
//! Rounds that a miner did not answer at all are booked when it is next heard of, or when anyone reports it.

mod challenges;
mod clock;
mod commitments;
mod demands;
mod docket;
mod lane;
mod losses;
mod lots;
mod openings;
mod record;
mod rewards;
mod settlement;
mod views;

use crate::{
    Ledger, Module, Result,
    call::{decode, decode_internal, mutate, payable, view},
    internal::IRounds::IRoundsCalls as Internal,
    storage::Layout,
};
use alloy_primitives::{Address, Bytes, U256};
use proofs::round::Shape;
use record::Storage;
use std::sync::OnceLock;
use types::{
    abi::{
        IAudits::{self, IAuditsCalls as Calls},
        MINERS, VOLUMES,
    },
    spec::{AuditSpec, StorageSpec},
};

pub use lots::PLOTS_MAX;

/// Where burned amounts go: nobody can sign for it.
pub const BURNED: Address = Address::ZERO;

/// The module at [`AUDITS`](types::abi::AUDITS).
#[derive(Debug)]
pub struct Audits {
    spec: StorageSpec,
    rules: Option<AuditSpec>,
    storage: Storage,
    /// Made when the first walk is shown.
    walks: OnceLock<demands::Judge>,
}

impl Module for Audits {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        for caller in [VOLUMES, MINERS] {
            if let Some(call) = decode_internal(ledger, input, caller)? {
                return match call {
                    Internal::beginRound(call) => mutate(ledger, call, |ledger, call| self.begin_round(ledger, call)),
                    Internal::enrol(call) => mutate(ledger, call, |ledger, call| self.enrol(ledger, call)),
                    Internal::leave(call) => mutate(ledger, call, |ledger, call| self.leave(ledger, call)),
                    Internal::closed(call) => view(ledger, call, |ledger, _| self.closed(ledger)),
                };
            }
        }
        match decode(ledger, input)? {
            Calls::plot(call) => mutate(ledger, call, |ledger, call| self.plot(ledger, call)),
            Calls::commit(call) => mutate(ledger, call, |ledger, call| self.commit(ledger, call)),
            Calls::open(call) => mutate(ledger, call, |ledger, call| self.open(ledger, call)),
            Calls::report(call) => mutate(ledger, call, |ledger, call| self.report(ledger, call.miner)),
            Calls::reportSilent(call) => mutate(ledger, call, |ledger, call| self.report_silent(ledger, call.lot)),
            Calls::show(call) => mutate(ledger, call, |ledger, call| self.show(ledger, call)),
            Calls::claim(call) => mutate(ledger, call, |ledger, _| self.claim(ledger)),
            Calls::fund(call) => payable(ledger, call, |ledger, _| self.fund(ledger)),
            Calls::challenge(call) => payable(ledger, call, |ledger, call| self.challenge(ledger, call)),
            Calls::answer(call) => mutate(ledger, call, |ledger, call| self.answer(ledger, call)),
            Calls::expire(call) => mutate(ledger, call, |ledger, call| self.expire(ledger, call.challenge)),
            Calls::round(call) => view(ledger, call, |ledger, _| self.round(ledger)),
            Calls::standing(call) => view(ledger, call, |ledger, call| self.standing(ledger, call.miner)),
            Calls::sample(call) => view(ledger, call, |ledger, call| self.sample(ledger, call.number)),
            Calls::isOpened(call) => {
                view(ledger, call, |ledger, call| Ok(self.storage.opened.contains(ledger, call.sample.into())?))
            }
            Calls::idleRoot(call) => view(ledger, call, |ledger, call| self.idle_root(ledger, call.lot)),
            Calls::lotBeacon(call) => view(ledger, call, |ledger, call| self.lot_beacon(ledger, call.lot)),
            Calls::lotOf(call) => view(ledger, call, |ledger, call| self.lot_of(ledger, call.miner, call.number)),
            Calls::duty(call) => view(ledger, call, |ledger, call| self.duty_of(ledger, call.lot)),
            Calls::owes(call) => view(ledger, call, |ledger, call| self.owes(ledger, call)),
            Calls::prices(call) => view(ledger, call, |ledger, _| self.prices(ledger)),
            Calls::challengeOf(call) => view(ledger, call, |ledger, call| self.challenge_of(ledger, call.id)),
            Calls::demandOf(call) => view(ledger, call, |ledger, call| self.demand_of(ledger, call.id)),
            Calls::demands(call) => view(ledger, call, |ledger, _| self.demands(ledger)),
            Calls::demandCount(call) => view(ledger, call, |ledger, call| self.demand_count(ledger, call.miner)),
            Calls::demandAt(call) => view(ledger, call, |ledger, call| self.demand_at(ledger, call)),
            Calls::checkOf(call) => view(ledger, call, |ledger, call| self.check_of(ledger, call.lot)),
            Calls::reserve(call) => view(ledger, call, |ledger, _| Ok(self.storage.reserve.get(ledger)?)),
        }
    }
}

impl Audits {
    /// The module under the parameters of a chain.
    pub fn new(spec: &StorageSpec) -> Self {
        Self {
            spec: spec.clone(),
            rules: spec.audits.clone(),
            storage: Storage::at(U256::ZERO),
            walks: OnceLock::new(),
        }
    }

    fn rules(&self) -> Result<&AuditSpec> {
        Ok(self.rules.as_ref().ok_or(IAudits::NoRounds {})?)
    }

    fn shape(&self) -> Result<Shape> {
        let rules = self.rules()?;
        Ok(Shape::of(&self.spec, rules))
    }
}

#[cfg(test)]
mod tests;
