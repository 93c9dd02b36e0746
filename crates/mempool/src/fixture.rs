//! Sign transactions for this crate's tests.

use crate::MempoolConfig;
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use std::sync::Arc;
use types::{Transaction, state::Account};

pub const CHAIN_ID: u64 = 1_337;
pub const BLOCK_GAS_LIMIT: u64 = 30_000_000;
/// The base fee floor of the tests' chain.
pub const FLOOR: u64 = 1_000;

pub fn config() -> MempoolConfig {
    MempoolConfig::new(CHAIN_ID, BLOCK_GAS_LIMIT)
}

pub fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number + 1)).expect("a key")
}

pub fn address(number: u8) -> Address {
    signer(number).address()
}

pub fn account(nonce: u64) -> Account {
    Account { nonce, balance: U256::from(10).pow(U256::from(24)), ..Account::default() }
}

/// A transfer with the given fees.
pub fn transfer(sender: u8, nonce: u64, max_fee: u128, priority_fee: u128) -> Arc<Transaction> {
    sign(sender, unsigned(nonce, max_fee, priority_fee))
}

pub fn unsigned(nonce: u64, max_fee: u128, priority_fee: u128) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: priority_fee,
        to: TxKind::Call(Address::repeat_byte(7)),
        value: U256::ONE,
        input: Bytes::new(),
        access_list: Default::default(),
    }
}

pub fn sign<T>(sender: u8, transaction: T) -> Arc<Transaction>
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<Signed<T>>,
{
    let signature = signer(sender).sign_hash_sync(&transaction.signature_hash()).expect("signs");
    Arc::new(Transaction::from_envelope(transaction.into_signed(signature).into()).expect("valid"))
}
