use super::*;
use crate::fixture::{self, CHAIN_ID, FLOOR, sign, transfer, unsigned};
use alloy_consensus::{TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind};

fn verdict(transaction: &Transaction) -> Result<(), PoolError> {
    check(transaction, &fixture::config(), FLOOR)
}

#[test]
fn takes_a_plain_transfer() {
    assert_eq!(verdict(&transfer(0, 0, 2_000, 10)), Ok(()));
}

#[test]
fn takes_legacy_transactions_with_and_without_a_chain_id() {
    for chain_id in [Some(CHAIN_ID), None] {
        let legacy = TxLegacy {
            chain_id,
            gas_price: 2_000,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            ..TxLegacy::default()
        };
        assert_eq!(verdict(&sign(0, legacy)), Ok(()));
    }
}

#[test]
fn refuses_another_chain() {
    let other = sign(0, alloy_consensus::TxEip1559 { chain_id: 1, ..unsigned(0, 2_000, 1) });
    assert_eq!(verdict(&other), Err(PoolError::WrongChain { transaction: 1, chain: CHAIN_ID }));
}

#[test]
fn refuses_more_gas_than_a_transaction_may_use() {
    let greedy = |gas_limit| sign(0, alloy_consensus::TxEip1559 { gas_limit, ..unsigned(0, 2_000, 1) });
    assert_eq!(verdict(&greedy(1 << 24)), Ok(()));
    let refused = PoolError::GasLimitTooHigh { gas_limit: (1 << 24) + 1, limit: 1 << 24 };
    assert_eq!(verdict(&greedy((1 << 24) + 1)), Err(refused));
}

#[test]
fn counts_calldata_like_ethereum() {
    // 100 bytes that are not zero: 400 tokens, 4 gas each, but at least 10 gas each (EIP-7623).
    let with = |gas_limit| {
        sign(0, alloy_consensus::TxEip1559 { gas_limit, input: vec![1; 100].into(), ..unsigned(0, 2_000, 1) })
    };
    assert_eq!(verdict(&with(25_000)), Ok(()));
    let refused = PoolError::IntrinsicGas { gas_limit: 24_999, needed: 25_000 };
    assert_eq!(verdict(&with(24_999)), Err(refused));
}

#[test]
fn counts_creation_and_access_lists() {
    let list = AccessList(vec![AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; 2] }]);
    let create = sign(
        0,
        alloy_consensus::TxEip1559 {
            to: TxKind::Create,
            input: vec![0; 33].into(),
            access_list: list,
            ..unsigned(0, 2_000, 1)
        },
    );
    assert_eq!(intrinsic_gas(create.envelope()), 21_000 + 33 * 4 + 32_000 + 2 * 2 + 2_400 + 2 * 1_900);
}

#[test]
fn refuses_initcode_that_no_block_takes() {
    let size_bytes = INITCODE_BYTES_MAX + 1;
    let input: Bytes = vec![0; size_bytes].into();
    let large = alloy_consensus::TxEip1559 { to: TxKind::Create, input, gas_limit: 1 << 24, ..unsigned(0, 2_000, 1) };
    let refused = PoolError::InitcodeTooLarge { size_bytes, limit_bytes: INITCODE_BYTES_MAX };
    assert_eq!(verdict(&sign(0, large)), Err(refused));
}

#[test]
fn refuses_delegations_of_nobody() {
    let empty = TxEip7702 { chain_id: CHAIN_ID, gas_limit: 100_000, max_fee_per_gas: 2_000, ..TxEip7702::default() };
    assert_eq!(verdict(&sign(0, empty)), Err(PoolError::NoAuthorisations));
}

#[test]
fn refuses_fees_that_make_no_sense() {
    let inverted = PoolError::PriorityFeeAboveMaxFee { priority_fee: 2_001, max_fee: 2_000 };
    assert_eq!(verdict(&transfer(0, 0, 2_000, 2_001)), Err(inverted));
    let low = PoolError::BelowBaseFeeFloor { max_fee: 999, floor: FLOOR };
    assert_eq!(verdict(&transfer(0, 0, 999, 1)), Err(low));
}

#[test]
fn refuses_the_last_nonce() {
    assert_eq!(verdict(&transfer(0, u64::MAX, 2_000, 1)), Err(PoolError::NonceMax(u64::MAX)));
}

#[test]
fn an_absurd_value_costs_no_less_than_all_there_is() {
    let absurd = sign(0, alloy_consensus::TxEip1559 { value: U256::MAX, ..unsigned(0, 2_000, 1) });
    assert_eq!(cost_max(&absurd), U256::MAX);
}
