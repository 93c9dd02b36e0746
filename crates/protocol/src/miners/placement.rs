//! Draw operators under a policy: where they may be, and how many of them together.
//!
//! # Design
//! The sources are the trees of the regions that the policy allows, or the tree of the world, one after the other; a ticket
//! is the number of a free lot in them. A ticket is in vain when it finds an operator that is there already, one in a
//! forbidden region or one above a cap. Tries are bounded, so a draw's work grows with the seats and with the logarithm of
//! the number of miners, and with nothing else.

use super::{
    Miners,
    record::Identity,
    region::{self, covers},
    tree::{Sums, Tree},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILots, Rule},
};
use alloy_primitives::{B256, FixedBytes};
use std::collections::BTreeMap;
use types::{
    abi::IPolicies,
    hash::{derive, domain},
};

/// Tries of a draw for each seat.
pub const TRIES_PER_SEAT: u64 = 8;
/// A draw of fewer seats has as many tries as one of so many.
pub const TRIED_SEATS_MIN: u64 = 8;
/// What may be drawn under a policy is at least one in so many of the lots of its sources; and a policy whose lots are
/// fewer than one in so many of all earns no emission.
pub const SHARE_MIN: u64 = 4;

/// Where tickets lead.
enum Source {
    /// To the miners of a tree by their places: those of a region, or all.
    Tree { tree: Tree, size: u32, region: Option<super::pool::Region> },
    /// To one miner of a private policy.
    Miner(u32),
}

/// What can be drawn under a rule.
struct Supply {
    sources: Vec<(Source, u64)>,
    /// Over the sources, what is forbidden in them included.
    drawn_from: u64,
    eligible: Sums,
}

/// Seats that are given already, by what caps count.
#[derive(Default)]
struct Crowd {
    regions: BTreeMap<FixedBytes<6>, u16>,
    networks: BTreeMap<u32, u16>,
}

impl Crowd {
    fn add(&mut self, identity: &Identity) {
        for count in
            [self.regions.entry(identity.region).or_default(), self.networks.entry(identity.network).or_default()]
        {
            *count = count.saturating_add(1);
        }
    }

    fn has_room(&self, rule: &Rule, identity: &Identity) -> bool {
        let below = |count: Option<&u16>, cap: u16| cap == 0 || count.copied().unwrap_or_default() < cap;
        below(self.regions.get(&identity.region), rule.regionCap)
            && below(self.networks.get(&identity.network), rule.networkCap)
    }
}

/// One draw.
struct Draft<'a> {
    rule: &'a Rule,
    domain: &'static str,
    seed: &'a [u8],
    /// Policy or volume, so that no two draws of a seed are alike.
    salt: u32,
    /// Whether who rebuilds a column now may be drawn.
    busy_allowed: bool,
    crowd: Crowd,
    /// Who may not be drawn (again).
    taken: Vec<u32>,
}

impl Miners {
    pub(super) fn freeze(&self, ledger: &mut dyn Ledger, call: &ILots::freezeCall) -> Result<ILots::freezeReturn> {
        self.admit(ledger)?;
        let none = ILots::freezeReturn { frozen: false, subsidised: false };
        let supply = self.supply(ledger, &call.rule)?;
        if !supply.eligible.can_seat(call.seats, call.factor)?
            || supply.is_thin()
            || !self.storage.pool.freeze(ledger)?
        {
            return Ok(none);
        }
        self.count_datable(ledger)?;
        let all = self.storage.pool.world.sums.get(ledger)?.weight;
        let subsidised = !call.rule.isPrivate && supply.eligible.weight.saturating_mul(SHARE_MIN) >= all;
        Ok(ILots::freezeReturn { frozen: true, subsidised })
    }

    pub(super) fn hold(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        self.admit(ledger)?;
        let frozen = self.storage.pool.freeze(ledger)?;
        if frozen {
            self.count_datable(ledger)?;
        }
        Ok(frozen)
    }

    pub(super) fn draw(&self, ledger: &mut dyn Ledger, call: &ILots::drawCall) -> Result<ILots::drawReturn> {
        let mut draft = Draft {
            rule: &call.rule,
            domain: domain::FORMATION,
            seed: &call.seed,
            salt: call.rule.policy,
            busy_allowed: true,
            crowd: Crowd::default(),
            taken: Vec::new(),
        };
        let miners = self.find(ledger, &mut draft, call.seats.into())?;
        self.storage.pool.thaw(ledger)?;
        if miners.len() < usize::from(call.seats) {
            return Ok(ILots::drawReturn { lots: Vec::new(), miners: Vec::new() });
        }
        let mut lots = Vec::with_capacity(miners.len());
        for (seat, miner) in (0..call.seats).zip(&miners) {
            lots.push(self.seat(ledger, *miner, call.volume, seat)?);
        }
        Ok(ILots::drawReturn { lots, miners })
    }

    /// The pool stays frozen: other volumes may be served by the same seed.
    pub(super) fn place(&self, ledger: &mut dyn Ledger, call: ILots::placeCall) -> Result<ILots::placeReturn> {
        let ILots::placeCall { rule, volume, seats, staying, going, seed } = call;
        let mut crowd = Crowd::default();
        if rule.regionCap != 0 || rule.networkCap != 0 {
            for miner in &staying {
                crowd.add(&self.known(ledger, *miner)?.identity.get(ledger)?);
            }
        }
        let taken = [staying, going].concat();
        let (domain, busy_allowed) = (domain::REPLACEMENT, false);
        let mut draft = Draft { rule: &rule, domain, seed: &seed, salt: volume, busy_allowed, crowd, taken };
        let mut miners = self.find(ledger, &mut draft, seats.len())?;
        let mut lots = Vec::with_capacity(seats.len());
        for (seat, miner) in seats.iter().zip(&miners) {
            lots.push(self.seat(ledger, *miner, volume, *seat)?);
            let record = self.storage.miners.at(ledger, miner)?;
            let tally = record.tally.get(ledger)?;
            record.tally.set(ledger, super::Tally { rebuilds: tally.rebuilds.plus(1)?, ..tally })?;
        }
        lots.resize(seats.len(), 0);
        miners.resize(seats.len(), 0);
        Ok(ILots::placeReturn { lots, miners })
    }

    /// Tries the draw without taking part in one: what is missing is said by what a draw finds.
    pub(super) fn check(&self, ledger: &mut dyn Ledger, call: &ILots::checkCall) -> Result<ILots::checkReturn> {
        let ILots::checkCall { rule, seats, factor } = call;
        let supply = self.supply(ledger, rule)?;
        let (needed, found) = (u32::from(*seats), supply.eligible.operators);
        if supply.is_thin() {
            let (lots_allowed, lots_left) = (supply.drawn_from, supply.eligible.weight);
            return Err(IPolicies::MostlyForbidden { lotsAllowed: lots_allowed, lotsLeft: lots_left }.into());
        }
        if found < needed {
            let (allowed, forbidden) = (rule.allowed.clone(), rule.forbidden.clone());
            return Err(IPolicies::TooFewOperators { needed, found, allowed, forbidden }.into());
        }
        if !supply.eligible.can_seat(*seats, *factor)? {
            let effective = supply.eligible.effective();
            return Err(IPolicies::TooConcentrated { needed: needed.times(*factor)?, effective, found }.into());
        }
        let seed = ledger.block().height.to_be_bytes();
        let mut draft = Draft {
            rule,
            domain: domain::FORMATION,
            seed: &seed,
            salt: rule.policy,
            busy_allowed: true,
            crowd: Crowd::default(),
            taken: Vec::new(),
        };
        let placed = self.find(ledger, &mut draft, usize::from(*seats))?.len();
        if placed < usize::from(*seats) {
            let placed = u16::try_from(placed).unwrap_or(u16::MAX);
            let (region_cap, network_cap) = (rule.regionCap, rule.networkCap);
            let tight =
                IPolicies::CapsTooTight { needed: *seats, placed, regionCap: region_cap, networkCap: network_cap };
            return Err(tight.into());
        }
        Ok(ILots::checkReturn {})
    }

    /// Distinct miners for up to `seats` seats, in the order in which they were drawn.
    fn find(&self, ledger: &mut dyn Ledger, draft: &mut Draft<'_>, seats: usize) -> Result<Vec<u32>> {
        let supply = self.supply(ledger, draft.rule)?;
        let mut found = Vec::with_capacity(seats);
        for attempt in 0..TRIES_PER_SEAT.times(TRIED_SEATS_MIN.max(seats as u64))? {
            if found.len() == seats {
                break;
            }
            let Some(ticket) = draft.ticket(ledger, attempt, supply.drawn_from)? else { break };
            let Some(miner) = supply.holder(ledger, ticket)? else { break };
            if !draft.taken.contains(&miner) && self.may_sit(ledger, draft, miner)? {
                draft.taken.push(miner);
                found.push(miner);
            }
        }
        Ok(found)
    }

    /// Whether the rule lets this miner in; counts it where it does.
    fn may_sit(&self, ledger: &mut dyn Ledger, draft: &mut Draft<'_>, miner: u32) -> Result<bool> {
        let rule = draft.rule;
        let record = self.storage.miners.at(ledger, &miner)?;
        if !draft.busy_allowed && record.tally.get(ledger)?.rebuilds > 0 {
            return Ok(false);
        }
        if rule.forbidden.is_empty() && !rule.isPrivate && rule.regionCap == 0 && rule.networkCap == 0 {
            return Ok(true);
        }
        let identity = record.identity.get(ledger)?;
        let may = may_stand(rule, &identity) && draft.crowd.has_room(rule, &identity);
        if may {
            draft.crowd.add(&identity);
        }
        Ok(may)
    }

    fn supply(&self, ledger: &mut dyn Ledger, rule: &Rule) -> Result<Supply> {
        let mut supply = Supply { sources: Vec::new(), drawn_from: 0, eligible: Sums::default() };
        if rule.isPrivate {
            for miner in &rule.miners {
                let record = self.known(ledger, *miner)?;
                let weight = record.tally.get(ledger)?.weight;
                if weight > 0 && may_stand(rule, &record.identity.get(ledger)?) {
                    let sums = Sums::default().changed(0, weight)?;
                    supply.add(Source::Miner(*miner), sums)?;
                }
            }
            return Ok(supply);
        }
        let pool = &self.storage.pool;
        if rule.allowed.is_empty() {
            let (sums, size) = (pool.world.sums.get(ledger)?, self.storage.miner_count.get(ledger)?);
            supply.add(Source::Tree { tree: pool.world, size, region: None }, sums)?;
        }
        for code in &rule.allowed {
            let region = pool.regions.at(ledger, &region::number(*code))?;
            let (sums, size) = (region.tree.sums.get(ledger)?, region.size.get(ledger)?);
            supply.add(Source::Tree { tree: region.tree, size, region: Some(region) }, sums)?;
        }
        // A policy keeps no region that lies in another of its list, and none that is forbidden outside of what it allows.
        for code in &rule.forbidden {
            let sums = pool.regions.at(ledger, &region::number(*code))?.tree.sums.get(ledger)?;
            supply.eligible = supply.eligible.without(&sums)?;
        }
        Ok(supply)
    }
}

impl Supply {
    fn add(&mut self, source: Source, sums: Sums) -> Result<()> {
        self.drawn_from = self.drawn_from.plus(sums.weight)?;
        self.eligible = self.eligible.with(&sums)?;
        self.sources.push((source, sums.weight));
        Ok(())
    }

    fn is_thin(&self) -> bool {
        self.eligible.weight.saturating_mul(SHARE_MIN) < self.drawn_from
    }

    /// The miner that holds lot number `ticket`.
    fn holder(&self, ledger: &mut dyn Ledger, ticket: u64) -> Result<Option<u32>> {
        let mut rest = ticket;
        for (source, weight) in &self.sources {
            if let Some(left) = rest.checked_sub(*weight) {
                rest = left;
                continue;
            }
            return Ok(Some(match source {
                Source::Miner(miner) => *miner,
                Source::Tree { tree, size, region } => {
                    let place = tree.holder(ledger, *size, rest)?;
                    match region {
                        None => place,
                        Some(region) => region.miners.at(ledger, &place)?.get(ledger)?,
                    }
                }
            }));
        }
        Ok(None)
    }
}

impl Draft<'_> {
    /// A number below `weight` from the beacon; nothing for an empty pool. The bias is below 2^-64.
    fn ticket(&self, ledger: &mut dyn Ledger, attempt: u64, weight: u64) -> Result<Option<u64>> {
        ledger.charge_hashes(1, self.seed.len().saturating_add(12))?;
        let hash: B256 = derive(self.domain, &[self.seed, &self.salt.to_be_bytes(), &attempt.to_be_bytes()]);
        let number = hash.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).unwrap_or_default();
        Ok(number.checked_rem(weight.into()).and_then(|rest| u64::try_from(rest).ok()))
    }
}

/// Whether a miner is in an allowed region and in no forbidden one.
fn may_stand(rule: &Rule, identity: &Identity) -> bool {
    let within = |codes: &[FixedBytes<6>]| codes.iter().any(|code| covers(*code, identity.region));
    (rule.allowed.is_empty() || within(&rule.allowed)) && !within(&rule.forbidden)
}

#[cfg(test)]
pub(crate) mod tests;
