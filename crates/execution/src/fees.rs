//! Price the gas of the next block.

use types::{ChainSpec, Header};

/// Blocks are meant to be full to one part in this many (EIP-1559).
const ELASTICITY: u64 = 2;
/// The base fee moves by at most one part in this many per block (EIP-1559).
const CHANGE_DENOMINATOR: u128 = 8;

/// The base fee of the child of `parent` (EIP-1559), never below the specification's floor.
pub fn next_base_fee(parent: &Header, spec: &ChainSpec) -> u64 {
    if parent.height == 0 {
        return spec.base_fee_min;
    }
    let (base, used, target) = (parent.base_fee_per_gas, parent.gas_used, parent.gas_limit / ELASTICITY);
    let change = |difference: u64| {
        let change = u128::from(base) * u128::from(difference) / u128::from(target.max(1)) / CHANGE_DENOMINATOR;
        u64::try_from(change).unwrap_or(u64::MAX)
    };
    let next = if used > target {
        base.saturating_add(change(used - target).max(1))
    } else {
        base.saturating_sub(change(target - used))
    };
    next.max(spec.base_fee_min)
}
