use super::*;

fn keys() -> Vec<ReceiptKey> {
    (0..8).map(|seed| ReceiptKey::derive(&[seed; 32])).collect()
}

#[test]
fn an_aggregate_counts_for_exactly_its_signers() {
    let (keys, message) = (keys(), B256::repeat_byte(7));
    let signatures: Vec<_> = keys[..6].iter().map(|key| key.sign(&message)).collect();
    let aggregate = ReceiptSignature::aggregate(&signatures).unwrap();
    let public: Vec<_> = keys.iter().map(ReceiptKey::public).collect();
    assert!(verify_aggregate(&public[..6], &message, &aggregate));
    assert!(!verify_aggregate(&public[..7], &message, &aggregate));
    assert!(!verify_aggregate(&public[..5], &message, &aggregate));
    assert!(!verify_aggregate(&public[..6], &B256::ZERO, &aggregate));
    assert!(!verify_aggregate(&[], &message, &aggregate));
}

#[test]
fn possession_is_bound_to_operator_chain_and_purpose() {
    let key = ReceiptKey::derive(&[1; 32]);
    let (alice, bob) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let proof = key.prove_possession(5, alice);
    assert!(key.public().verify_possession(5, alice, &proof));
    assert!(!key.public().verify_possession(6, alice, &proof));
    assert!(!key.public().verify_possession(5, bob, &proof));
    assert!(!key.public().verify_possession(5, alice, &key.sign(&possession_message(5, alice, &key.public()))));
}

#[test]
fn refuses_points_that_are_not_in_the_group() {
    assert_eq!(ReceiptPublicKey::from_bytes(&[0; 48]), Err(BlsError::PublicKey));
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert_eq!(ReceiptPublicKey::from_bytes(&infinity), Err(BlsError::PublicKey));
    assert_eq!(ReceiptSignature::from_bytes(&[0xff; 96]), Err(BlsError::Signature));
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    assert_eq!(ReceiptSignature::from_bytes(&infinity), Err(BlsError::Signature));
}
