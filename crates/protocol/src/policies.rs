//! Keep placement policies, and refuse those that nothing satisfies.
//!
//! A policy never changes, so that a volume formed under it is repaired under it. The public one, number 0, is made of the
//! chain's parameters: everywhere, with the caps of public policies.

mod rule;

use crate::{
    Checked, Ledger, Module, PUBLIC_POLICY, Result,
    call::{decode, decode_internal, payable, view},
    internal::{
        IDemand, ILots,
        IRules::{self, IRulesCalls as Internal},
        Rule,
    },
    layout,
    storage::{ByteString, Layout, Mapping, Slot},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy_sol_types::SolValue;
use types::{
    Profile,
    abi::{
        BUCKETS, IMiners,
        IPolicies::{self, IPoliciesCalls as Calls, Policy},
        MINERS, VOLUMES,
    },
    packed,
    spec::StorageSpec,
};

/// Most regions of each list of a policy.
pub const REGIONS_MAX: usize = 32;
/// Most miners of a private policy.
pub const MINERS_MAX: usize = 256;
/// Price of opening a volume under a policy of one's own, in days of its whole space.
pub const OPENING_DAYS: u64 = 1;

packed! {
    struct Head {
        owner: Address,
        profile: u8,
        region_cap: u16,
        network_cap: u16,
        wanted: u16,
        is_private: bool,
    }
}

layout! {
    struct Record {
        head: Slot<Head>,
        /// Six bytes each.
        allowed: ByteString<{ REGIONS_MAX * 6 }>,
        forbidden: ByteString<{ REGIONS_MAX * 6 }>,
        /// Four bytes each, big endian.
        miners: ByteString<{ MINERS_MAX * 4 }>,
    }
}

layout! {
    struct Storage {
        count: Slot<u32>,
        policies: Mapping<u32, Record>,
        /// Public policies by keccak256 of their encoding.
        by_content: Mapping<B256, Slot<u32>>,
    }
}

/// The module at [`POLICIES`](types::abi::POLICIES).
#[derive(Debug)]
pub struct Policies {
    spec: StorageSpec,
    storage: Storage,
}

impl Module for Policies {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        for module in [VOLUMES, BUCKETS] {
            if let Some(Internal::rule(call)) = decode_internal(ledger, input, module)? {
                return view(ledger, call, |ledger, call| self.rule(ledger, call.policy));
            }
        }
        match decode(ledger, input)? {
            Calls::create(call) => payable(ledger, call, |ledger, call| self.create(ledger, call.rule)),
            Calls::widen(call) => payable(ledger, call, |ledger, call| self.widen(ledger, call.policy)),
            Calls::openingPrice(call) => view(ledger, call, |_, call| self.opening_price(profile(call.profile)?)),
            Calls::check(call) => view(ledger, call, |ledger, call| {
                let known = self.policy(ledger, call.policy)?;
                self.check(ledger, call.policy, known)?;
                Ok(IPolicies::checkReturn {})
            }),
            Calls::policy(call) => view(ledger, call, |ledger, call| self.policy(ledger, call.id)),
            Calls::demand(call) => view(ledger, call, |ledger, call| {
                self.policy(ledger, call.id)?;
                let head = self.storage.policies.at(ledger, &call.id)?.head.get(ledger)?;
                let wanted = self.wanted(call.id, &head);
                Ok(IPolicies::demandReturn { owner: head.owner, wanted })
            }),
            Calls::policyCount(call) => view(ledger, call, |ledger, _| Ok(self.storage.count.get(ledger)?)),
        }
    }
}

impl Policies {
    /// The module under the parameters of a chain.
    pub fn new(spec: &StorageSpec) -> Self {
        Self { spec: spec.clone(), storage: Storage::at(U256::ZERO) }
    }

    fn create(&self, ledger: &mut dyn Ledger, asked: Policy) -> Result<u32> {
        let profile = profile(asked.profile)?;
        let policy = rule::normalised(asked, self.cap(profile))?;
        let owner = ledger.caller();
        for miner in &policy.miners {
            let standing = ledger.call_module(MINERS, &IMiners::standingCall { id: *miner })?;
            if standing.patron != owner {
                return Err(IPolicies::NotPatron { miner: *miner, caller: owner }.into());
            }
        }
        let content = ledger.keccak256(&policy.abi_encode())?;
        let by_content = self.storage.by_content.at(ledger, &content)?;
        let existing = if policy == self.public() { Some(PUBLIC_POLICY) } else { None };
        let existing = existing.or(Some(by_content.get(ledger)?).filter(|known| *known != 0));
        if let Some(known) = existing {
            ledger.collect(U256::ZERO, |due, paid| IPolicies::Underpaid { due, paid })?;
            return Ok(known);
        }
        let id = self.storage.count.get(ledger)?.plus(1)?;
        self.check(ledger, id, policy.clone())?;
        self.take_price(ledger, profile)?;

        self.storage.count.set(ledger, id)?;
        let is_private = !policy.miners.is_empty();
        if !is_private {
            by_content.set(ledger, id)?;
        }
        let record = self.storage.policies.at(ledger, &id)?;
        let (region_cap, network_cap) = (policy.regionCap, policy.networkCap);
        let head = Head { owner, profile: profile as u8, region_cap, network_cap, wanted: 1, is_private };
        record.head.set(ledger, head)?;
        record.allowed.store(ledger, &policy.allowed.iter().flatten().copied().collect::<Vec<u8>>())?;
        record.forbidden.store(ledger, &policy.forbidden.iter().flatten().copied().collect::<Vec<u8>>())?;
        let miners: Vec<u8> = policy.miners.iter().flat_map(|miner| miner.to_be_bytes()).collect();
        record.miners.store(ledger, &miners)?;
        ledger.call_module(VOLUMES, &IDemand::demandCall { policy: id })?;
        ledger.emit(&IPolicies::Created { policy: id, owner, rule: policy })?;
        Ok(id)
    }

    fn widen(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IPolicies::widenReturn> {
        let policy = self.policy(ledger, id)?;
        let record = self.storage.policies.at(ledger, &id)?;
        let head = record.head.get(ledger)?;
        let caller = ledger.caller();
        if head.is_private && head.owner != caller {
            return Err(IPolicies::NotPolicyOwner { policy: id, caller }.into());
        }
        let wanted = self.wanted(id, &head);
        if u32::from(wanted) >= self.spec.open_target {
            return Err(IPolicies::WideEnough { policy: id, wanted }.into());
        }
        let profile = profile(policy.profile)?;
        self.check(ledger, id, policy)?;
        self.take_price(ledger, profile)?;
        let wanted = wanted.plus(1)?;
        record.head.set(ledger, Head { wanted, ..head })?;
        ledger.call_module(VOLUMES, &IDemand::demandCall { policy: id })?;
        ledger.emit(&IPolicies::Widened { policy: id, wanted })?;
        Ok(IPolicies::widenReturn {})
    }

    fn policy(&self, ledger: &mut dyn Ledger, id: u32) -> Result<Policy> {
        if id == PUBLIC_POLICY {
            return Ok(self.public());
        }
        if id > self.storage.count.get(ledger)? {
            return Err(IPolicies::UnknownPolicy { policy: id }.into());
        }
        let record = self.storage.policies.at(ledger, &id)?;
        let head = record.head.get(ledger)?;
        Ok(Policy {
            profile: head.profile,
            regionCap: head.region_cap,
            networkCap: head.network_cap,
            allowed: regions(&record.allowed.load(ledger)?),
            forbidden: regions(&record.forbidden.load(ledger)?),
            miners: numbers(&record.miners.load(ledger)?),
        })
    }

    /// The policy of whoever chooses none.
    fn public(&self) -> Policy {
        let cap = self.cap(self.spec.profile);
        Policy {
            profile: self.spec.profile as u8,
            regionCap: cap,
            networkCap: cap,
            allowed: Vec::new(),
            forbidden: Vec::new(),
            miners: Vec::new(),
        }
    }

    /// Most members of a region or of a network under public policies; zero for no cap.
    fn cap(&self, profile: Profile) -> u16 {
        profile.total().checked_div(self.spec.repair.cap_divisor).map_or(0, |cap| cap.max(1))
    }

    fn wanted(&self, id: u32, head: &Head) -> u16 {
        if id == PUBLIC_POLICY { self.spec.open_target.try_into().unwrap_or(u16::MAX) } else { head.wanted }
    }

    fn rule(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IRules::ruleReturn> {
        let policy = self.policy(ledger, id)?;
        let head = self.storage.policies.at(ledger, &id)?.head.get(ledger)?;
        let (profile, wanted) = (policy.profile, self.wanted(id, &head));
        Ok(IRules::ruleReturn { rule: as_rule(id, policy), profile, wanted, owner: head.owner })
    }

    /// Reverts with what is missing if no volume can be formed now.
    fn check(&self, ledger: &mut dyn Ledger, id: u32, policy: Policy) -> Result<()> {
        let seats = profile(policy.profile)?.total();
        let factor = if policy.miners.is_empty() { self.spec.effective_operators_factor } else { 0 };
        ledger.call_module(MINERS, &ILots::checkCall { rule: as_rule(id, policy), seats, factor })?;
        Ok(())
    }

    /// A day of the volume's space: whoever asks for volumes that nobody writes to binds other people's lots.
    fn opening_price(&self, profile: Profile) -> Result<U256> {
        let bytes = U256::from(self.spec.lot_bytes()).times(U256::from(profile.total()))?;
        bytes.times(U256::from(self.spec.price_per_byte_day))?.times(U256::from(OPENING_DAYS))
    }

    fn take_price(&self, ledger: &mut dyn Ledger, profile: Profile) -> Result<()> {
        let price = self.opening_price(profile)?;
        ledger.collect(price, |due, paid| IPolicies::Underpaid { due, paid })
    }
}

fn profile(number: u8) -> Result<Profile> {
    Ok(Profile::from_u8(number).ok_or(IPolicies::InvalidPolicy {})?)
}

fn as_rule(policy: u32, content: Policy) -> Rule {
    let Policy { regionCap, networkCap, allowed, forbidden, miners, .. } = content;
    Rule { policy, regionCap, networkCap, isPrivate: !miners.is_empty(), allowed, forbidden, miners }
}

fn regions(bytes: &[u8]) -> Vec<FixedBytes<6>> {
    bytes.chunks_exact(6).map(FixedBytes::from_slice).collect()
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|chunk| chunk.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))).collect()
}

#[cfg(test)]
mod tests;
