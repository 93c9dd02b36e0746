use super::*;
use alloy_primitives::{B256, FixedBytes, U256};
use serde_json::json;

#[test]
fn pages_count_from_one_and_end_with_the_registry() {
    let numbers = |from, limit, total| page(from, limit, total).expect("valid").collect::<Vec<_>>();
    assert_eq!(numbers(None, None, 3), [1, 2, 3]);
    assert_eq!(numbers(Some(0), Some(2), 3), [1, 2]);
    assert_eq!(numbers(Some(3), Some(2), 3), [3]);
    assert!(numbers(Some(4), None, 3).is_empty());
    assert_eq!(numbers(None, None, 1_000).len(), PAGE_MAX as usize);
}

#[test]
fn refuses_pages_without_bound() {
    assert!(page_limit(Some(0)).is_err());
    assert!(page_limit(Some(PAGE_MAX + 1)).is_err());
}

#[test]
fn a_miner_has_readable_region_and_endpoint() {
    let endpoint = Endpoint::new(B256::repeat_byte(9), vec!["127.0.0.1:4000".parse().expect("an address")], None);
    let miner = IMiners::Miner {
        operator: Address::repeat_byte(1),
        receiptKey: vec![2].into(),
        endpoint: endpoint.expect("valid").encode().into(),
        region: FixedBytes(*b"DE\0\0\0\0"),
        lots: 4,
        lotsFree: 1,
        collateral: U256::from(7),
        retired: false,
    };
    let expected = json!({
        "id": 3,
        "operator": Address::repeat_byte(1),
        "receiptKey": "0x02",
        "endpoint": { "id": B256::repeat_byte(9), "addresses": ["127.0.0.1:4000"], "relay": null },
        "region": "DE",
        "lots": 4,
        "lotsFree": 1,
        "collateral": "0x7",
        "retired": false,
    });
    assert_eq!(serde_json::to_value(miner_entry(3, miner)).expect("JSON"), expected);
}

#[test]
fn profiles_have_their_names() {
    assert_eq!(profile_name(0), "devnet");
    assert_eq!(profile_name(200), "200");
}
