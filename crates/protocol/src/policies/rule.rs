//! Bring what a policy asks for into the one form in which it is kept.

use super::{MINERS_MAX, REGIONS_MAX};
use crate::{
    Result,
    miners::{check_region, covers},
};
use alloy_primitives::FixedBytes;
use types::abi::IPolicies::{InvalidPolicy, InvalidRegion, Policy};

/// Sorts the lists, drops what says nothing, and holds public policies to `cap` (zero for none).
pub fn normalised(asked: Policy, cap: u16) -> Result<Policy> {
    let Policy { profile, regionCap, networkCap, allowed, forbidden, mut miners } = asked;
    let lists = [&allowed, &forbidden];
    if lists.iter().any(|list| list.len() > REGIONS_MAX) || miners.len() > MINERS_MAX {
        return Err(InvalidPolicy {}.into());
    }
    if let Some(region) = allowed.iter().chain(&forbidden).find(|region| !check_region(**region)) {
        return Err(InvalidRegion { region: *region }.into());
    }
    let everywhere = allowed.is_empty();
    let forbidden = outermost(forbidden);
    let mut allowed = outermost(allowed);
    allowed.retain(|region| !forbidden.iter().any(|outer| covers(*outer, *region)));
    if allowed.is_empty() && !everywhere {
        return Err(InvalidPolicy {}.into());
    }
    let matters = |region: &FixedBytes<6>| everywhere || allowed.iter().any(|outer| covers(*outer, *region));
    let forbidden = forbidden.into_iter().filter(matters).collect();
    miners.sort_unstable();
    miners.dedup();
    let capped = |own: u16| match (own, cap) {
        (_, _) if !miners.is_empty() => own,
        (own, 0) => own,
        (0, cap) => cap,
        (own, cap) => own.min(cap),
    };
    let (region_cap, network_cap) = (capped(regionCap), capped(networkCap));
    Ok(Policy { profile, regionCap: region_cap, networkCap: network_cap, allowed, forbidden, miners })
}

/// In order, without those that lie within another.
fn outermost(mut regions: Vec<FixedBytes<6>>) -> Vec<FixedBytes<6>> {
    regions.sort_unstable();
    regions.dedup();
    let all = regions.clone();
    regions.retain(|region| !all.iter().any(|outer| outer != region && covers(*outer, *region)));
    regions
}
