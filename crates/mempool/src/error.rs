//! Say why a transaction does not enter the pool.

use alloy_primitives::{Address, U256};

/// Why the pool refuses a transaction. The texts are those that wallet libraries recognise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("already known")]
    AlreadyKnown,
    #[error("invalid chain id: transaction is for chain {transaction}, this is chain {chain}")]
    WrongChain { transaction: u64, chain: u64 },
    #[error("exceeds block gas limit: transaction allows {gas_limit} gas, the limit is {limit}")]
    GasLimitTooHigh { gas_limit: u64, limit: u64 },
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {needed}")]
    IntrinsicGas { gas_limit: u64, needed: u64 },
    #[error("max initcode size exceeded: code size {size_bytes}, limit {limit_bytes}")]
    InitcodeTooLarge { size_bytes: usize, limit_bytes: usize },
    #[error("EIP-7702 transaction with an empty authorisation list")]
    NoAuthorisations,
    #[error("max priority fee per gas higher than max fee per gas: {priority_fee} > {max_fee}")]
    PriorityFeeAboveMaxFee { priority_fee: u128, max_fee: u128 },
    #[error(
        "max fee per gas less than block base fee: transaction underpriced, it offers {max_fee} wei, the chain's minimum is {floor} wei"
    )]
    BelowBaseFeeFloor { max_fee: u128, floor: u64 },
    #[error("nonce too low: next nonce {account}, tx nonce {transaction}")]
    NonceTooLow { transaction: u64, account: u64 },
    #[error("nonce has max value: {0}")]
    NonceMax(u64),
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, queued cost {queued}")]
    InsufficientFunds { balance: U256, cost: U256, queued: U256 },
    #[error(
        "replacement transaction underpriced: max fee {max_fee} of at least {max_fee_needed} wei, priority fee {priority_fee} of at least {priority_fee_needed} wei"
    )]
    ReplacementUnderpriced { max_fee: u128, max_fee_needed: u128, priority_fee: u128, priority_fee_needed: u128 },
    #[error("too many transactions of this account wait in the pool: the limit is {limit}")]
    SenderLimit { limit: usize },
    #[error("nonce too high: tx nonce {transaction}, next nonce {account}, and {limit} transactions wait already")]
    TooManyGapped { transaction: u64, account: u64, limit: usize },
    #[error("txpool is full: transaction underpriced, all others pay more")]
    Full,
    #[error("transaction underpriced: only miners send without a fee, and {sender} operates none")]
    NotMiner { sender: Address },
    #[error("the audit lane is full: {count} transactions without a fee wait, {of_sender} of them of this account")]
    LaneFull { count: usize, of_sender: usize },
}
