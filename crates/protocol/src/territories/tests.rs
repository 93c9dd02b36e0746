use super::*;
use crate::{errors, fixture::*, memory::Request};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use types::abi::TERRITORIES;

fn net() -> Net {
    Net::new(StorageSpec::devnet())
}

fn buy(size: u64, days: u32) -> ITerritories::buyCall {
    ITerritories::buyCall { size, daysCount: days }
}

#[test]
fn price_is_size_times_days() {
    let price = net().view(TERRITORIES, &ITerritories::quoteCall { size: 1 << 30, daysCount: 30 });
    assert_eq!(price, U256::from((1u64 << 30) * 30 * 1_000));
    let most = net().view(TERRITORIES, &ITerritories::quoteCall { size: u64::MAX, daysCount: u32::MAX });
    assert_eq!(most, U256::from(u64::MAX) * U256::from(u32::MAX) * U256::from(1_000));
}

#[test]
fn buying_keeps_the_price_and_returns_the_rest() {
    let mut net = net();
    let price = U256::from(1_000_000u64 * 7 * 1_000);
    let id = net.pay(ALICE, TERRITORIES, price + U256::from(55), &buy(1_000_000, 7));
    assert_eq!(id, 1);
    assert_eq!(net.world.balance(TERRITORIES), price);
    assert_eq!(net.world.balance(ALICE), U256::from(FUNDS) - price);
    let bought = net.account(1);
    assert_eq!((bought.owner, bought.bytesBought, bought.bytesUsed, bought.bytesLeased), (ALICE, 1_000_000, 0, 0));
    assert_eq!(bought.paidUntilMs, START_MS + 7 * DAY_MS);
    let event = ITerritories::Bought {
        territory: 1,
        owner: ALICE,
        size: 1_000_000,
        paidUntilMs: START_MS + 7 * DAY_MS,
        paid: price,
    };
    assert_eq!(net.events::<ITerritories::Bought>(), [event]);
    assert_eq!(net.territory(5, 1), 2);
    assert_eq!(net.view(TERRITORIES, &ITerritories::territoryCountCall {}), 2);
}

#[test]
fn buying_names_what_is_wrong() {
    let mut net = net();
    let funds = U256::from(FUNDS);
    let size: ITerritories::InvalidSize = refusal(net.try_pay(ALICE, TERRITORIES, funds, &buy(0, 1)));
    assert_eq!(size, ITerritories::InvalidSize { size: 0 });
    for days in [0, 3_651, u32::MAX] {
        let term: ITerritories::InvalidTerm = refusal(net.try_pay(ALICE, TERRITORIES, funds, &buy(1, days)));
        assert_eq!(term, ITerritories::InvalidTerm { daysCount: days });
    }
    let (due, paid) = (U256::from(2_000), U256::from(1_999));
    let short: ITerritories::Underpaid = refusal(net.try_pay(ALICE, TERRITORIES, paid, &buy(1, 2)));
    assert_eq!(short, ITerritories::Underpaid { due, paid });
    assert_eq!(net.world.balance(ALICE), funds);
    assert!(net.world.storage.is_empty() && net.world.logs.is_empty());
}

#[test]
fn extending_continues_from_what_is_paid() {
    let mut net = net();
    let id = net.territory(1_000, 2);
    net.world.block.timestamp_ms += 5 * DAY_MS;
    let call = ITerritories::extendCall { territory: id, daysCount: 4 };
    let due = U256::from(1_000u64 * 4 * 1_000);
    let before = net.world.balance(TERRITORIES);
    net.pay(ALICE, TERRITORIES, due + due, &call);
    assert_eq!(net.world.balance(TERRITORIES), before + due);
    assert_eq!(net.account(id).paidUntilMs, START_MS + 6 * DAY_MS);
    assert_eq!(net.events::<ITerritories::Extended>()[0].paid, due);

    let short: ITerritories::Underpaid = refusal(net.try_pay(ALICE, TERRITORIES, due - U256::from(1), &call));
    assert_eq!(short.due, due);
    let stranger: ITerritories::NotTerritoryOwner = refusal(net.try_pay(BOB, TERRITORIES, due, &call));
    assert_eq!(stranger, ITerritories::NotTerritoryOwner { territory: id, caller: BOB });
    let unknown = ITerritories::extendCall { territory: 9, daysCount: 4 };
    let unknown: ITerritories::UnknownTerritory = refusal(net.try_pay(ALICE, TERRITORIES, due, &unknown));
    assert_eq!(unknown.territory, 9);
    let long = ITerritories::extendCall { territory: id, daysCount: 3_650 };
    let long: ITerritories::InvalidTerm = refusal(net.try_pay(ALICE, TERRITORIES, U256::from(FUNDS / 2), &long));
    assert_eq!(long.daysCount, 3_650);
}

#[test]
fn enlarging_pays_for_the_time_that_is_left() {
    let mut net = net();
    let id = net.territory(1_000, 2);
    net.world.block.timestamp_ms += DAY_MS / 2 + 1;
    let call = ITerritories::enlargeCall { territory: id, size: 500 };
    // A day and a half less a millisecond, rounded up.
    let due = U256::from(500u64 * 1_000 * 3 / 2);
    let short: ITerritories::Underpaid = refusal(net.try_pay(ALICE, TERRITORIES, due - U256::from(1), &call));
    assert_eq!(short.due, due);
    net.pay(ALICE, TERRITORIES, due, &call);
    assert_eq!(net.account(id).bytesBought, 1_500);
    assert_eq!(net.events::<ITerritories::Enlarged>()[0].size, 1_500);

    let stranger: ITerritories::NotTerritoryOwner = refusal(net.try_pay(BOB, TERRITORIES, due, &call));
    assert_eq!(stranger.caller, BOB);
    for size in [0, u64::MAX] {
        let call = ITerritories::enlargeCall { territory: id, size };
        let size_error: ITerritories::InvalidSize =
            refusal(net.try_pay(ALICE, TERRITORIES, U256::from(FUNDS / 2), &call));
        assert_eq!(size_error, ITerritories::InvalidSize { size });
    }
    net.world.block.timestamp_ms = START_MS + 2 * DAY_MS;
    let expired: ITerritories::TerritoryExpired = refusal(net.try_pay(ALICE, TERRITORIES, due, &call));
    assert_eq!(expired.paidUntilMs, START_MS + 2 * DAY_MS);
}

#[test]
fn transfer_changes_the_owner() {
    let mut net = net();
    let id = net.territory(1_000, 2);
    let stranger = net.try_call(BOB, TERRITORIES, &ITerritories::transferCall { territory: id, to: BOB });
    let _: ITerritories::NotTerritoryOwner = refusal(stranger);
    let nobody = net.try_call(ALICE, TERRITORIES, &ITerritories::transferCall { territory: id, to: Address::ZERO });
    let _: ITerritories::InvalidOwner = refusal(nobody);
    net.call(ALICE, TERRITORIES, &ITerritories::transferCall { territory: id, to: BOB });
    assert_eq!(net.account(id).owner, BOB);
    assert_eq!(
        net.events::<ITerritories::Transferred>(),
        [ITerritories::Transferred { territory: id, from: ALICE, to: BOB }]
    );
}

#[test]
fn nothing_is_reclaimed_that_was_not_released() {
    let mut net = net();
    let id = net.territory(1_000, 2);
    let call = ITerritories::reclaimCall { territory: id, day: 3 };
    let none: ITerritories::NothingToReclaim = refusal(net.try_call(ALICE, TERRITORIES, &call));
    assert_eq!(none, ITerritories::NothingToReclaim { territory: id, day: 3 });
    let call = ITerritories::reclaimCall { territory: 7, day: 3 };
    let _: ITerritories::UnknownTerritory = refusal(net.try_call(ALICE, TERRITORIES, &call));
}

#[test]
fn accounting_is_closed_to_everyone_but_volumes() {
    let mut net = net();
    let id = net.territory(1_000, 2);
    let inputs = [
        ITerritoryAccounts::billCall { territory: id, account: ALICE, leased: 0, free: 1, paidUntilMs: 0 }.abi_encode(),
        ITerritoryAccounts::reserveCall { territory: id, account: ALICE, size: 1 }.abi_encode(),
        ITerritoryAccounts::unreserveCall { territory: id, size: 0 }.abi_encode(),
        ITerritoryAccounts::unbillCall { territory: id, size: 0, termEndMs: 0 }.abi_encode(),
    ];
    for input in inputs {
        for from in [ALICE, crate::SYSTEM, TERRITORIES, types::abi::MINERS, types::abi::BUCKETS] {
            let error = net.raw(from, TERRITORIES, U256::ZERO, &input).result.expect_err("refused");
            assert!(error.decode::<errors::UnknownSelector>().is_some(), "{error:?}");
        }
    }
}

#[test]
fn refuses_static_writes_stray_value_and_malformed_calls() {
    let mut net = net();
    let modules = crate::modules(&net.spec);
    let mut request = Request { from: ALICE, to: TERRITORIES, value: U256::ZERO, is_static: true, gas: GAS };
    let result = net.world.call(&modules, &request, &buy(1, 1).abi_encode()).result;
    assert!(result.unwrap_err().is(&errors::StaticCallNotAllowed {}));

    request = Request { is_static: false, value: U256::from(1), ..request };
    let transfer = ITerritories::transferCall { territory: 1, to: BOB }.abi_encode();
    let quote = ITerritories::quoteCall { size: 1, daysCount: 1 }.abi_encode();
    for input in [&transfer, &quote] {
        let result = net.world.call(&modules, &request, input).result;
        assert!(result.unwrap_err().is(&errors::NotPayable {}));
    }

    request.value = U256::ZERO;
    let mut dirty = quote.clone();
    dirty[4] = 1;
    for input in [&quote[..35], &dirty] {
        let result = net.world.call(&modules, &request, input).result;
        assert!(result.unwrap_err().decode::<errors::InvalidCalldata>().is_some());
    }
    for input in [&[][..], &[1, 2, 3], &[1, 2, 3, 4, 5]] {
        let result = net.world.call(&modules, &request, input).result;
        assert!(result.unwrap_err().decode::<errors::UnknownSelector>().is_some());
    }
}

#[test]
fn a_call_without_enough_gas_changes_nothing() {
    let mut net = net();
    let modules = crate::modules(&net.spec);
    let mut request = Request { from: ALICE, to: TERRITORIES, value: U256::from(1_000), is_static: false, gas: GAS };
    let before = net.world.clone();
    let used = net.world.clone().call(&modules, &request, &buy(1, 1).abi_encode()).gas_used;
    for gas in (0..used).step_by(97).chain([used - 1]) {
        request.gas = gas;
        let response = net.world.call(&modules, &request, &buy(1, 1).abi_encode());
        assert_eq!(response.result, Err(crate::Fault::OutOfGas.into()));
        assert!(net.world == before);
    }
    request.gas = used;
    assert!(net.world.call(&modules, &request, &buy(1, 1).abi_encode()).result.is_ok());
}

#[test]
fn slots_are_where_the_specification_says() {
    let mut net = net();
    net.territory(0x1122, 2);
    let mut record = [0; 64];
    record[31] = 1;
    record[63] = 1;
    let base: U256 = alloy_primitives::keccak256(record).into();
    let slot = |position: U256| B256::from(net.world.storage[&(TERRITORIES, position)]);
    assert_eq!(slot(U256::ZERO), B256::with_last_byte(1));
    let mut title = [0; 32];
    title[12..].copy_from_slice(ALICE.as_slice());
    title[4..12].copy_from_slice(&(START_MS + 2 * DAY_MS).to_be_bytes());
    assert_eq!(slot(base), B256::from(title));
    assert_eq!(slot(base + U256::from(1)), B256::from(U256::from(0x1122)));
    assert_eq!(net.world.storage.len(), 3);
}
