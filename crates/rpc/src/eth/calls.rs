//! Run calls and estimates on the state of a block.

use super::height_of;
use crate::{
    error::{Answer, RpcError, halt_message},
    service::Service,
};
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, TxKind, U64};
use alloy_rpc_types_eth::TransactionRequest;
use execution::{BlockContext, CallOutcome, CallRequest, CallStatus};
use serde_json::Value;

/// Refuses overrides: an answer on other state than the chain's must not look like one on the chain's.
pub(super) fn refuse_overrides<const N: usize>(overrides: [Option<Value>; N]) -> Answer<()> {
    let given = overrides.into_iter().flatten().any(|given| match given {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    });
    if given {
        return Err(RpcError::InvalidParams("state and block overrides are not supported".into()));
    }
    Ok(())
}

/// `eth_call`.
pub(super) fn call(service: &Service, request: TransactionRequest, block: Option<BlockId>) -> Answer<Bytes> {
    let height = height_of(service, block)?;
    let outcome = run(service, message(request)?, height)?;
    match outcome.status {
        CallStatus::Success => Ok(outcome.output),
        CallStatus::Revert => Err(RpcError::Reverted(outcome.output)),
        CallStatus::Halt(reason) => Err(RpcError::Failed(halt_message(&reason))),
    }
}

/// `eth_estimateGas`.
pub(super) fn estimate_gas(service: &Service, request: TransactionRequest, block: Option<BlockId>) -> Answer<U64> {
    let height = height_of(service, block)?;
    let request = message(request)?;
    let context = context(service, height)?;
    let state = service.history.state(height)?;
    let estimate = service.executor.estimate_gas(&context, request, &state);
    Ok(U64::from(tokio::runtime::Handle::current().block_on(estimate)?))
}

/// Runs a message on the state after the block at `height`, as if in that block.
pub(crate) fn run(service: &Service, request: CallRequest, height: u64) -> Answer<CallOutcome> {
    let context = context(service, height)?;
    let state = service.history.state(height)?;
    let call = service.executor.call(&context, request, &state);
    Ok(tokio::runtime::Handle::current().block_on(call)?)
}

fn context(service: &Service, height: u64) -> Answer<BlockContext> {
    let (_, header) = service.history.known_header(height)?;
    Ok(BlockContext::of(&header, &service.spec))
}

fn message(request: TransactionRequest) -> Answer<CallRequest> {
    if request.blob_versioned_hashes.is_some_and(|hashes| !hashes.is_empty()) {
        return Err(RpcError::InvalidParams("blob transactions (type 3) are not supported".into()));
    }
    if request.gas_price.is_some() && request.max_fee_per_gas.or(request.max_priority_fee_per_gas).is_some() {
        return Err(RpcError::InvalidParams("both gasPrice and maxFeePerGas or maxPriorityFeePerGas are given".into()));
    }
    let data = request.input.try_into_unique_input().map_err(|error| RpcError::InvalidParams(error.to_string()))?;
    Ok(CallRequest {
        from: request.from.unwrap_or_default(),
        to: match request.to {
            Some(TxKind::Call(to)) => Some(to),
            Some(TxKind::Create) | None => None,
        },
        gas: request.gas,
        gas_price: request.gas_price.or(request.max_fee_per_gas),
        priority_fee: request.max_priority_fee_per_gas,
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        access_list: request.access_list.unwrap_or_default(),
    })
}
