use super::*;
use rand::{SeedableRng, rngs::StdRng};

#[test]
fn secrets_are_never_printed() {
    let seed = StorageSeed::from_bip39_seed(&[7; 64]);
    let printed = format!("{:?} {:?} {:?}", ContentKey::from_bytes([7; 32]), seed, seed.policy_secret(&[7; 32], 7));
    assert_eq!(printed, "ContentKey(secret) StorageSeed(secret) PolicySecret(secret)");
}

#[test]
fn every_input_changes_the_derived_key() {
    let [a, b] = [1, 2].map(|byte| StorageSeed::from_bip39_seed(&[byte; 64]));
    let policy = |seed: &StorageSeed, bucket: u8, generation| seed.policy_secret(&[bucket; 32], generation).public();
    let first = policy(&a, 1, 0);
    assert_eq!(first, policy(&a, 1, 0));
    for other in [policy(&b, 1, 0), policy(&a, 2, 0), policy(&a, 1, 1)] {
        assert_ne!(first, other);
    }
    assert_ne!(a.page_key(&[1; 32], 0), a.page_key(&[1; 32], 1));
    assert_ne!(a.page_key(&[1; 32], 0), a.page_key(&[2; 32], 0));
    assert_ne!(a.bucket_name_tag("photos"), b.bucket_name_tag("photos"));
    assert_ne!(a.bucket_name_tag("photos"), a.bucket_name_tag("photo"));
}

#[test]
fn generated_keys_differ() {
    let mut rng = StdRng::seed_from_u64(1);
    assert_ne!(ContentKey::generate(&mut rng), ContentKey::generate(&mut rng));
}
