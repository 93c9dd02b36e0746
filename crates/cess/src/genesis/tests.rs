//! Check drafts, and make keys for a committee on this machine.

use super::*;
use alloy_primitives::U256;

#[test]
fn presets_are_specifications_once_they_have_validators() {
    for preset in [Preset::Devnet, Preset::Testnet] {
        let mut spec = preset.spec(1);
        assert!(ChainSpec::from_toml(&spec.to_toml()).is_err());
        let account = Address::repeat_byte(7);
        spec.validators =
            vec![parse_validator(&format!("{}@192.0.2.1:26700={account}", B256::repeat_byte(3))).unwrap()];
        assert_eq!(ChainSpec::from_toml(&spec.to_toml()).unwrap(), spec);
    }
}

#[test]
fn what_is_no_validator_or_allocation_is_refused() {
    let key = B256::repeat_byte(3);
    let account = Address::repeat_byte(7);
    for wrong in [
        "".into(),
        format!("{key}@192.0.2.1:26700"),
        format!("{key}@example.org:26700={account}"),
        format!("{key}@192.0.2.1={account}"),
        format!("{key}@:1={account}"),
        format!("{key}@192.0.2.1:70000={account}"),
        format!("0x12@192.0.2.1:26700={account}"),
        format!("{key}@192.0.2.1:26700=0x12"),
    ] {
        assert!(parse_validator(&wrong).is_err(), "{wrong}");
    }
    assert!(parse_validator(&format!("{key}@[::1]:26700={account}")).is_ok());
    assert!(parse_allocation(&format!("{account}=12")).is_ok());
    assert!(parse_allocation(&format!("{account}={}", U256::MAX)).is_err());
    assert!(parse_allocation("12").is_err());
}

fn draft_here(count: u16) -> (ChainSpec, Vec<[u8; 32]>) {
    let mut keys: Vec<[u8; 32]> = (0..count).map(|_| rand::random()).collect();
    keys.sort_by_key(chain::identity);
    let mut draft = Preset::Devnet.spec(1);
    let listeners: Vec<_> = keys.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    draft.validators = (keys.iter().zip(&listeners))
        .map(|(key, listener)| ValidatorSpec {
            public_key: chain::identity(key),
            beneficiary: Address::ZERO,
            address: listener.local_addr().unwrap().to_string(),
        })
        .collect();
    (draft, keys)
}

#[test]
fn a_committee_makes_one_key_and_a_share_for_each() {
    for count in [1, 4] {
        let (draft, keys) = draft_here(count);
        let (output, shares) = run_here(&draft, &keys).unwrap();
        assert!(!output.is_empty());
        let distinct: std::collections::BTreeSet<_> = shares.iter().collect();
        assert_eq!(distinct.len(), usize::from(count));
    }
}

#[test]
fn a_stranger_takes_no_part() {
    let (draft, _) = draft_here(1);
    let error = run_here(&draft, &[rand::random()]).unwrap_err();
    assert!(format!("{error:#}").contains("the draft names no validator"), "{error:#}");
}
