//! Name the rule that a transaction or a block breaks.

use crate::state::ReadError;
use alloy_primitives::{B256, U256};
use revm::context_interface::result::InvalidTransaction;

/// Why a transaction cannot be in the block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionRejection {
    #[error("nonce too low: the transaction has {transaction}, the account is at {account}")]
    NonceTooLow { transaction: u64, account: u64 },
    #[error("nonce too high: the transaction has {transaction}, the account is at {account}")]
    NonceTooHigh { transaction: u64, account: u64 },
    #[error("the account's nonce cannot grow any further")]
    NonceExhausted,
    #[error("insufficient funds: value and gas may cost {cost} wei, the account holds {balance}")]
    InsufficientFunds { cost: U256, balance: U256 },
    #[error("the fee is below the block's base fee")]
    FeeBelowBaseFee,
    #[error("the priority fee exceeds the fee")]
    PriorityFeeAboveFee,
    #[error("gas limit {gas_limit} is too low: the transaction needs {needed} before it runs")]
    GasLimitTooLow { gas_limit: u64, needed: u64 },
    #[error("gas limit {gas_limit} is above the limit for one transaction, {cap}")]
    GasLimitAboveCap { gas_limit: u64, cap: u64 },
    #[error("gas limit {gas_limit} exceeds the {left} that the block has left")]
    BlockGasExceeded { gas_limit: u64, left: u64 },
    #[error("the sender is a contract")]
    SenderIsContract,
    #[error("the transaction is for another chain")]
    WrongChain,
    #[error("the deployment code is too long")]
    InitCodeTooLong,
    #[error("the authorization list is empty or malformed")]
    InvalidAuthorizations,
    #[error("value and fees overflow")]
    Overflow,
    #[error("this type of transaction is not supported")]
    UnsupportedType,
    #[error("the audit lane of the block is full")]
    LaneFull,
    #[error("a call in the audit lane must succeed")]
    LaneFailed,
}

impl TransactionRejection {
    /// Whether no later block can take the transaction either, unless the sender's account changes back.
    pub fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::NonceTooHigh { .. }
                | Self::InsufficientFunds { .. }
                | Self::FeeBelowBaseFee
                | Self::BlockGasExceeded { .. }
                | Self::LaneFull
        )
    }

    pub(crate) fn of(error: InvalidTransaction, gas_limit: u64) -> Self {
        use InvalidTransaction as I;
        match error {
            I::NonceTooLow { tx, state } => Self::NonceTooLow { transaction: tx, account: state },
            I::NonceTooHigh { tx, state } => Self::NonceTooHigh { transaction: tx, account: state },
            I::NonceOverflowInTransaction => Self::NonceExhausted,
            I::LackOfFundForMaxFee { fee, balance } => Self::InsufficientFunds { cost: *fee, balance: *balance },
            I::GasPriceLessThanBasefee => Self::FeeBelowBaseFee,
            I::PriorityFeeGreaterThanMaxFee => Self::PriorityFeeAboveFee,
            I::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                Self::GasLimitTooLow { gas_limit, needed: initial_gas }
            }
            I::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                Self::GasLimitTooLow { gas_limit, needed: gas_floor }
            }
            I::TxGasLimitGreaterThanCap { gas_limit, cap } => Self::GasLimitAboveCap { gas_limit, cap },
            I::CallerGasLimitMoreThanBlock => Self::BlockGasExceeded { gas_limit, left: 0 },
            I::RejectCallerWithCode => Self::SenderIsContract,
            I::InvalidChainId | I::MissingChainId => Self::WrongChain,
            I::CreateInitCodeSizeLimit => Self::InitCodeTooLong,
            I::AuthorizationListNotSupported | I::AuthorizationListInvalidFields | I::EmptyAuthorizationList => {
                Self::InvalidAuthorizations
            }
            I::OverflowPaymentInTransaction => Self::Overflow,
            _ => Self::UnsupportedType,
        }
    }
}

/// Why a block cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The block breaks a rule: whoever proposed it is at fault.
    #[error("transaction {index} ({hash}): {rejection}")]
    Transaction { index: usize, hash: B256, rejection: TransactionRejection },
    /// Nothing can be said about the block.
    #[error(transparent)]
    Read(#[from] ReadError),
}
