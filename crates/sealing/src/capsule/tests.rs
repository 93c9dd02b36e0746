use super::*;
use crate::keys::StorageSeed;
use rand::{SeedableRng, rngs::StdRng};

fn policy() -> PolicySecret {
    StorageSeed::from_bip39_seed(&[1; 64]).policy_secret(&[2; 32], 3)
}

#[test]
fn both_sides_know_one_point() {
    let mut rng = StdRng::seed_from_u64(4);
    let (capsule, shared) = Capsule::encapsulate(&policy().public(), &mut rng);
    let received = Capsule::from_bytes(&capsule.to_bytes()).expect("untouched");
    assert_eq!(received.decapsulate(&policy()).expect("not infinity"), shared);
}

#[test]
fn the_holder_of_another_key_finds_another_point() {
    let mut rng = StdRng::seed_from_u64(4);
    let (capsule, shared) = Capsule::encapsulate(&policy().public(), &mut rng);
    let stranger = StorageSeed::from_bip39_seed(&[1; 64]).policy_secret(&[2; 32], 4);
    assert_ne!(capsule.decapsulate(&stranger).expect("not infinity"), shared);
}

#[test]
fn an_altered_capsule_is_refused() {
    let (capsule, _) = Capsule::encapsulate(&policy().public(), &mut StdRng::seed_from_u64(4));
    let bytes = capsule.to_bytes();
    for at in 0..CAPSULE_LENGTH {
        let mut altered = bytes;
        altered[at] ^= 1;
        assert!(Capsule::from_bytes(&altered).is_none(), "byte {at}");
    }
}

#[test]
fn a_scalar_beyond_the_order_is_refused() {
    let (capsule, _) = Capsule::encapsulate(&policy().public(), &mut StdRng::seed_from_u64(4));
    let mut bytes = capsule.to_bytes();
    bytes[2 * POINT_LENGTH..].fill(0xff);
    assert!(Capsule::from_bytes(&bytes).is_none());
}

#[test]
fn points_that_cancel_hide_nothing() {
    // E = r·G and V = -E with s = -r + r·h satisfy the equation, but E + V is infinity.
    let r = random_scalar(&mut StdRng::seed_from_u64(4));
    let e = PublicKey::from_secret_scalar(&r);
    let v = PublicKey::from_affine((-e.to_projective()).to_affine()).expect("not infinity");
    let s = -*r + *r * *hash_points(&e, &v);
    let capsule = Capsule::from_bytes(&Capsule { e, v, s }.to_bytes()).expect("the equation holds");
    assert!(capsule.decapsulate(&policy()).is_none());
}

#[test]
fn a_capsule_of_the_public_implementation_opens() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        umbral_capsule: UmbralCapsule,
    }
    #[derive(serde::Deserialize)]
    struct UmbralCapsule {
        secret: String,
        capsule: String,
        shared_point: String,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../../../vectors/sealing.json")).expect("well-formed");
    let UmbralCapsule { secret, capsule, shared_point } = vectors.umbral_capsule;
    let secret: [u8; 32] = hex::decode(secret).expect("hexadecimal").try_into().expect("32 bytes");
    let policy = PolicySecret::from_bytes(&secret).expect("a scalar");
    let bytes: [u8; CAPSULE_LENGTH] = hex::decode(capsule).expect("hexadecimal").try_into().expect("98 bytes");
    let capsule = Capsule::from_bytes(&bytes).expect("it satisfies the equation");
    assert_eq!(capsule.to_bytes(), bytes);
    assert_eq!(hex::encode(capsule.decapsulate(&policy).expect("not infinity")), shared_point);
}
