use super::*;
use crate::keys::StorageSeed;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

fn policy(generation: u64) -> PolicySecret {
    StorageSeed::from_bip39_seed(&[1; 64]).policy_secret(&[2; 32], generation)
}

fn wrapped(key: [u8; 32]) -> WrappedKey {
    let key = ContentKey::from_bytes(key);
    wrap(&policy(0).public(), &key, b"context", &mut StdRng::seed_from_u64(9))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_key_comes_back(key: [u8; 32], generation: u64, context: Vec<u8>, seed: u64) {
        let (policy, key) = (policy(generation), ContentKey::from_bytes(key));
        let wrapped = wrap(&policy.public(), &key, &context, &mut StdRng::seed_from_u64(seed));
        let received = WrappedKey::try_from(&wrapped.as_bytes()[..]).expect("the right length");
        prop_assert_eq!(unwrap(&policy, &received, &context), Ok(key));
    }
}

#[test]
fn an_altered_key_is_refused_for_what_was_altered() {
    let wrapped = *wrapped([3; 32]).as_bytes();
    for at in 0..WRAPPED_KEY_LENGTH {
        let mut altered = wrapped;
        altered[at] ^= 0x10;
        let expected = if at < CAPSULE_LENGTH { UnwrapError::Capsule } else { UnwrapError::Refused };
        assert_eq!(unwrap(&policy(0), &WrappedKey::from_bytes(altered), b"context"), Err(expected), "byte {at}");
    }
}

#[test]
fn another_policy_key_or_context_is_refused() {
    let wrapped = wrapped([3; 32]);
    assert_eq!(unwrap(&policy(1), &wrapped, b"context"), Err(UnwrapError::Refused));
    assert_eq!(unwrap(&policy(0), &wrapped, b"contexT"), Err(UnwrapError::Refused));
    assert!(unwrap(&policy(0), &wrapped, b"context").is_ok());
}

#[test]
fn a_capsule_does_not_carry_another_key() {
    let mut rng = StdRng::seed_from_u64(9);
    let public = policy(0).public();
    let [a, b] = [1, 2].map(|byte| *wrap(&public, &ContentKey::from_bytes([byte; 32]), b"", &mut rng).as_bytes());
    let mut mixed = a;
    mixed[CAPSULE_LENGTH..].copy_from_slice(&b[CAPSULE_LENGTH..]);
    assert_eq!(unwrap(&policy(0), &WrappedKey::from_bytes(mixed), b""), Err(UnwrapError::Refused));
}

#[test]
fn other_lengths_are_refused() {
    for found in [0, 145, 147] {
        assert_eq!(WrappedKey::try_from(&vec![2; found][..]), Err(UnwrapError::Length { found }));
    }
}
