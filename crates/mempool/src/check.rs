//! Check a transaction by itself, before any account is looked at.

use crate::{MempoolConfig, PoolError};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_primitives::U256;
use types::Transaction;

/// Most gas of one transaction (EIP-7825).
const GAS_LIMIT_MAX: u64 = 1 << 24;
/// Longest initcode (EIP-3860).
const INITCODE_BYTES_MAX: usize = 2 * 24_576;

const GAS_TRANSACTION: u64 = 21_000;
const GAS_CREATE: u64 = 32_000;
const GAS_INITCODE_WORD: u64 = 2;
/// Calldata in tokens: one for a zero byte, four for another (EIP-7623).
const GAS_TOKEN: u64 = 4;
const GAS_TOKEN_FLOOR: u64 = 10;
const GAS_ACCESS_ADDRESS: u64 = 2_400;
const GAS_ACCESS_SLOT: u64 = 1_900;
const GAS_AUTHORISATION: u64 = 25_000;

/// Refuses what no block of this chain could ever take.
pub(crate) fn check(transaction: &Transaction, config: &MempoolConfig, base_fee_floor: u64) -> Result<(), PoolError> {
    let envelope = transaction.envelope();
    if let Some(id) = envelope.chain_id().filter(|id| *id != config.chain_id) {
        return Err(PoolError::WrongChain { transaction: id, chain: config.chain_id });
    }
    if transaction.nonce() == u64::MAX {
        return Err(PoolError::NonceMax(u64::MAX));
    }
    check_gas(envelope, config)?;
    if transaction.lane().is_some() && config.lane_transactions_max > 0 {
        return Ok(());
    }
    check_fees(envelope, base_fee_floor)
}

fn check_gas(envelope: &TxEnvelope, config: &MempoolConfig) -> Result<(), PoolError> {
    let gas_limit = envelope.gas_limit();
    let limit = config.block_gas_limit.min(GAS_LIMIT_MAX);
    if gas_limit > limit {
        return Err(PoolError::GasLimitTooHigh { gas_limit, limit });
    }
    let size_bytes = envelope.input().len();
    if envelope.is_create() && size_bytes > INITCODE_BYTES_MAX {
        return Err(PoolError::InitcodeTooLarge { size_bytes, limit_bytes: INITCODE_BYTES_MAX });
    }
    if envelope.authorization_list().is_some_and(|list| list.is_empty()) {
        return Err(PoolError::NoAuthorisations);
    }
    let needed = intrinsic_gas(envelope);
    if gas_limit < needed { Err(PoolError::IntrinsicGas { gas_limit, needed }) } else { Ok(()) }
}

fn check_fees(envelope: &TxEnvelope, floor: u64) -> Result<(), PoolError> {
    let max_fee = envelope.max_fee_per_gas();
    let priority_fee = envelope.priority_fee_or_price();
    if priority_fee > max_fee {
        return Err(PoolError::PriorityFeeAboveMaxFee { priority_fee, max_fee });
    }
    if max_fee < u128::from(floor) {
        return Err(PoolError::BelowBaseFeeFloor { max_fee, floor });
    }
    Ok(())
}

/// Gas that a transaction uses before its first instruction, or the floor by its calldata.
fn intrinsic_gas(envelope: &TxEnvelope) -> u64 {
    let input = envelope.input();
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + 4 * (input.len() as u64 - zeros);
    let create =
        if envelope.is_create() { GAS_CREATE + GAS_INITCODE_WORD * (input.len() as u64).div_ceil(32) } else { 0 };
    let access: u64 = envelope.access_list().map_or(0, |list| {
        list.iter().map(|item| GAS_ACCESS_ADDRESS + GAS_ACCESS_SLOT * item.storage_keys.len() as u64).sum()
    });
    let authorisations = GAS_AUTHORISATION * envelope.authorization_list().map_or(0, |list| list.len() as u64);
    let intrinsic = GAS_TRANSACTION + GAS_TOKEN * tokens + create + access + authorisations;
    intrinsic.max(GAS_TRANSACTION + GAS_TOKEN_FLOOR * tokens)
}

/// Wei that the sender must own for the transaction to be valid.
pub(crate) fn cost_max(transaction: &Transaction) -> U256 {
    let envelope = transaction.envelope();
    let gas = U256::from(envelope.gas_limit()).saturating_mul(U256::from(envelope.max_fee_per_gas()));
    gas.saturating_add(envelope.value())
}

#[cfg(test)]
mod tests;
