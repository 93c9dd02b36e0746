//! Turn what goes wrong into Ethereum's error codes.

use crate::node::SubmitError;
use alloy_primitives::Bytes;
use alloy_sol_types::{Revert, SolError};
use execution::{CallError, EstimateError, HaltReason, ReadError};
use jsonrpsee::types::ErrorObjectOwned;
use types::transaction::TransactionError;

/// Codes of JSON-RPC, EIP-1474 and go-ethereum.
pub mod codes {
    /// The call reverted; `data` is what it returned.
    pub const REVERTED: i32 = 3;
    /// A receipt did not come in time (EIP-7966); `data` is the transaction's hash.
    pub const RECEIPT_TIMEOUT: i32 = 4;
    /// A transaction or a call cannot be done.
    pub const SERVER: i32 = -32000;
    /// There is no such block, or its state is no longer kept.
    pub const NOT_FOUND: i32 = -32001;
    /// The answer would exceed a limit of the server.
    pub const LIMIT: i32 = -32005;
    /// Parameters are malformed.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The server failed.
    pub const INTERNAL: i32 = -32603;
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("{0}")]
    InvalidParams(String),
    #[error("header not found: there is no block {0}")]
    UnknownBlock(String),
    #[error("historical state of block {height} is not kept, the oldest is {oldest}")]
    StateNotKept { height: u64, oldest: u64 },
    #[error("filter not found")]
    UnknownFilter,
    #[error("{0}")]
    Limit(String),
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    #[error("{0}")]
    Failed(String),
    #[error("the transaction was taken but is not in a block yet")]
    ReceiptTimeout(alloy_primitives::B256),
    #[error("{0}")]
    Internal(String),
}

impl RpcError {
    fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => codes::INVALID_PARAMS,
            Self::UnknownBlock(_) | Self::StateNotKept { .. } => codes::NOT_FOUND,
            Self::UnknownFilter | Self::Failed(_) => codes::SERVER,
            Self::Limit(_) => codes::LIMIT,
            Self::Reverted(_) => codes::REVERTED,
            Self::ReceiptTimeout(_) => codes::RECEIPT_TIMEOUT,
            Self::Internal(_) => codes::INTERNAL,
        }
    }
}

/// What a handler answers.
pub(crate) type Answer<T> = Result<T, RpcError>;

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            RpcError::Reverted(output) => Self::owned(code, message, Some(output)),
            RpcError::ReceiptTimeout(hash) => Self::owned(code, message, Some(hash)),
            RpcError::Internal(reason) => {
                tracing::error!(reason, "request failed");
                Self::owned(code, message, None::<()>)
            }
            _ => Self::owned(code, message, None::<()>),
        }
    }
}

/// The message that wallets look for, with the reason where it is a text.
fn revert_message(output: &Bytes) -> String {
    match Revert::abi_decode(output) {
        Ok(revert) => format!("execution reverted: {}", revert.reason),
        Err(_) => "execution reverted".into(),
    }
}

/// What a call says that ran into a wall.
pub(crate) fn halt_message(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".into(),
        other => format!("execution failed: {other:?}"),
    }
}

impl From<TransactionError> for RpcError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Malformed(_) => Self::InvalidParams(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ReadError> for RpcError {
    fn from(error: ReadError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejection) => Self::Failed(rejection.to_string()),
            CallError::Read(error) => error.into(),
        }
    }
}

impl From<EstimateError> for RpcError {
    fn from(error: EstimateError) -> Self {
        match error {
            EstimateError::Reverted { output } => Self::Reverted(output),
            EstimateError::Failed { gas_limit, reason: HaltReason::OutOfGas(_) } => {
                Self::Failed(format!("gas required exceeds allowance ({gas_limit})"))
            }
            EstimateError::Failed { reason, .. } => Self::Failed(halt_message(&reason)),
            EstimateError::Call(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
