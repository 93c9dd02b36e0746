//! Suggest fees and show their history.

use super::height_of;
use crate::{
    error::{Answer, RpcError},
    service::Service,
};
use alloy_consensus::{ReceiptEnvelope, Transaction as _};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U128;
use alloy_rpc_types_eth::FeeHistory;
use types::{Block, Header};

/// Tip that gets a transaction into a block which has room, wei.
const PRIORITY_FEE_MIN: u128 = 1_000_000;
/// Tip above which nothing is suggested, whatever others pay, wei.
const PRIORITY_FEE_MAX: u128 = 500_000_000_000;
/// Blocks that a suggestion looks at.
const SUGGESTION_BLOCKS: u64 = 20;
/// Of the tips paid in blocks without room, the part that is outbid.
const SUGGESTION_PERCENTILE: usize = 60;
/// Most blocks of a history (as go-ethereum).
const HISTORY_BLOCKS_MAX: usize = 1_024;
/// Most percentiles of a history.
const PERCENTILES_MAX: usize = 100;

/// `eth_gasPrice`: what a transaction without an EIP-1559 fee should offer.
pub(super) fn gas_price(service: &Service) -> Answer<U128> {
    let tip = service.history.tip()?.height;
    let (_, header) = service.history.known_header(tip)?;
    let base_fee = execution::next_base_fee(&header, &service.spec);
    Ok(U128::from(u128::from(base_fee) + priority_fee(service)?))
}

/// `eth_maxPriorityFeePerGas`. While blocks have room, the least will do; else most of what others pay is outbid.
pub(super) fn priority_fee(service: &Service) -> Answer<u128> {
    let tip = service.history.tip()?.height;
    let mut tips = Vec::new();
    for height in tip.saturating_sub(SUGGESTION_BLOCKS - 1)..=tip {
        let Some((_, header)) = service.history.header(height)? else { continue };
        if header.gas_used > header.gas_limit / 10 * 9
            && let Some(found) = service.history.block(height)?
        {
            tips.extend(tips_of(&found.block));
        }
    }
    tips.sort_unstable();
    let suggested = tips.get(tips.len() * SUGGESTION_PERCENTILE / 100).copied().unwrap_or_default();
    Ok(suggested.clamp(PRIORITY_FEE_MIN, PRIORITY_FEE_MAX))
}

fn tips_of(block: &Block) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas;
    let tips = block.transactions.iter().map(|inside| inside.envelope().effective_tip_per_gas(base_fee));
    tips.map(Option::unwrap_or_default).collect()
}

/// `eth_feeHistory`.
pub(super) fn history(
    service: &Service,
    count: usize,
    newest: BlockNumberOrTag,
    percentiles: Option<Vec<f64>>,
) -> Answer<FeeHistory> {
    let percentiles = percentiles.filter(|percentiles| !percentiles.is_empty());
    check_percentiles(percentiles.as_deref().unwrap_or_default())?;
    let newest = height_of(service, Some(newest.into()))?;
    let count = (count.min(HISTORY_BLOCKS_MAX) as u64).min(newest + 1);
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let mut answer = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    for height in oldest..=newest {
        let (_, header) = service.history.known_header(height)?;
        answer.base_fee_per_gas.push(header.base_fee_per_gas.into());
        answer.gas_used_ratio.push(ratio(&header));
        if let Some(percentiles) = &percentiles {
            answer.reward.get_or_insert_default().push(rewards(service, &header, percentiles)?);
        }
        if height == newest {
            answer.base_fee_per_gas.push(execution::next_base_fee(&header, &service.spec).into());
        }
    }
    // No blobs: their base fee is the least that EIP-4844 knows, and none are used.
    answer.base_fee_per_blob_gas = vec![1; answer.base_fee_per_gas.len()];
    answer.blob_gas_used_ratio = vec![0.0; answer.gas_used_ratio.len()];
    Ok(answer)
}

fn check_percentiles(percentiles: &[f64]) -> Answer<()> {
    let valid = percentiles.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if percentiles.len() > PERCENTILES_MAX || !valid || !percentiles.is_sorted() {
        let rule = format!("reward percentiles are at most {PERCENTILES_MAX} ascending numbers from 0 to 100");
        return Err(RpcError::InvalidParams(rule));
    }
    Ok(())
}

fn ratio(header: &Header) -> f64 {
    if header.gas_limit == 0 { 0.0 } else { header.gas_used as f64 / header.gas_limit as f64 }
}

fn rewards(service: &Service, header: &Header, percentiles: &[f64]) -> Answer<Vec<u128>> {
    if header.gas_used == 0 {
        return Ok(vec![0; percentiles.len()]);
    }
    let found = service.history.block(header.height)?;
    let paid = found.map(|found| (tips_of(&found.block), gas_used(&found.receipts))).unwrap_or_default();
    Ok(percentile_tips(paid.0, &paid.1, percentiles))
}

fn gas_used(receipts: &[ReceiptEnvelope]) -> Vec<u64> {
    let before = std::iter::once(0).chain(receipts.iter().map(ReceiptEnvelope::cumulative_gas_used));
    receipts.iter().zip(before).map(|(receipt, before)| receipt.cumulative_gas_used() - before).collect()
}

/// Tips at percentiles of the gas, cheapest first.
fn percentile_tips(tips: Vec<u128>, gas_used: &[u64], percentiles: &[f64]) -> Vec<u128> {
    let total: u64 = gas_used.iter().sum();
    let mut paid: Vec<(u128, u64)> = tips.into_iter().zip(gas_used.iter().copied()).collect();
    paid.sort_unstable();
    let at = |percentile: &f64| {
        let threshold = (total as f64 * percentile / 100.0) as u64;
        let mut gas = 0;
        let reached = paid.iter().find(|(_, used)| {
            gas += used;
            gas >= threshold
        });
        reached.or(paid.last()).map_or(0, |(tip, _)| *tip)
    };
    percentiles.iter().map(at).collect()
}

#[cfg(test)]
mod tests;
