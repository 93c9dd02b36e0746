//! Share a secret with the holder of a policy key in a form that proxies can re-encrypt.
//!
//! # Design
//! The key encapsulation of Umbral (D. Nuñez, "Umbral: A Threshold Proxy Re-Encryption Scheme", 2018) on secp256k1,
//! byte for byte as its public implementations compute it: with generator `G` and a public key `P = p·G`, draw `r` and
//! `u`, and send `E = r·G`, `V = u·G`, `s = u + r·H(E, V)`. Both sides know the point `(r + u)·P = p·(E + V)`. Anyone
//! checks a capsule by `s·G = V + H(E, V)·E`, so a proxy does not work on what nobody could have made.
//!
//! `H(E, V)` is `1 + (SHA-256(00 00 00 0e ‖ "CAPSULE_POINTS" ‖ E ‖ V) mod (n - 1))` over compressed points, with `n` the
//! order of the group.

use crate::policy::{POINT_LENGTH, PolicyPublic, PolicySecret, compress, parse_point};
use aws_lc_rs::digest::{SHA256, digest};
use k256::{
    NonZeroScalar, ProjectivePoint, PublicKey, Scalar, U256,
    elliptic_curve::{PrimeField, ops::Reduce},
};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a capsule: two compressed points and a scalar.
pub(crate) const CAPSULE_LENGTH: usize = 2 * POINT_LENGTH + 32;

const POINTS_DOMAIN: &[u8] = b"CAPSULE_POINTS";

/// The point both sides know, compressed: what keys are derived from.
pub(crate) type SharedPoint = Zeroizing<[u8; POINT_LENGTH]>;

/// A checked capsule.
pub(crate) struct Capsule {
    e: PublicKey,
    v: PublicKey,
    s: Scalar,
}

impl Capsule {
    /// Make a capsule for `policy` and the point it hides.
    pub(crate) fn encapsulate(policy: &PolicyPublic, rng: &mut impl CryptoRng) -> (Self, SharedPoint) {
        loop {
            let (mut r, mut u) = (random_scalar(rng), random_scalar(rng));
            let (e, v) = (PublicKey::from_secret_scalar(&r), PublicKey::from_secret_scalar(&u));
            let mut sum = *r + *u;
            let s = *u + *r * *hash_points(&e, &v);
            let shared = shared_point(policy.point(), &sum);
            r.zeroize();
            u.zeroize();
            sum.zeroize();
            // There is no shared point if r = -u: chance 2^-256.
            if let Some(shared) = shared {
                return (Self { e, v, s }, shared);
            }
        }
    }

    /// The point that the capsule hides, for the holder of the policy key; `None` if it is infinity.
    pub(crate) fn decapsulate(&self, policy: &PolicySecret) -> Option<SharedPoint> {
        let sum = self.e.to_projective() + self.v.to_projective();
        let sum = PublicKey::from_affine(sum.to_affine()).ok()?;
        let mut secret = policy.scalar();
        let shared = shared_point(&sum, &secret);
        secret.zeroize();
        shared
    }

    /// Parse a capsule, and check that whoever made it knew what it hides.
    pub(crate) fn from_bytes(bytes: &[u8; CAPSULE_LENGTH]) -> Option<Self> {
        let (e, rest) = bytes.split_first_chunk()?;
        let (v, s) = rest.split_first_chunk()?;
        let s: [u8; 32] = s.try_into().ok()?;
        let s = Option::from(Scalar::from_repr(s.into()))?;
        let capsule = Self { e: parse_point(e)?, v: parse_point(v)?, s };
        capsule.holds().then_some(capsule)
    }

    fn holds(&self) -> bool {
        let h = hash_points(&self.e, &self.v);
        ProjectivePoint::GENERATOR * self.s == self.v.to_projective() + self.e.to_projective() * *h
    }

    pub(crate) fn to_bytes(&self) -> [u8; CAPSULE_LENGTH] {
        let mut bytes = [0; CAPSULE_LENGTH];
        bytes[..POINT_LENGTH].copy_from_slice(&compress(&self.e));
        bytes[POINT_LENGTH..2 * POINT_LENGTH].copy_from_slice(&compress(&self.v));
        bytes[2 * POINT_LENGTH..].copy_from_slice(&self.s.to_repr());
        bytes
    }
}

fn shared_point(point: &PublicKey, scalar: &Scalar) -> Option<SharedPoint> {
    let product = PublicKey::from_affine((point.to_projective() * scalar).to_affine()).ok()?;
    Some(Zeroizing::new(compress(&product)))
}

fn hash_points(e: &PublicKey, v: &PublicKey) -> NonZeroScalar {
    let length = (POINTS_DOMAIN.len() as u32).to_be_bytes();
    let message = [&length, POINTS_DOMAIN, &compress(e), &compress(v)].concat();
    let hash: [u8; 32] = digest(&SHA256, &message).as_ref().try_into().expect("SHA-256 has 32 bytes");
    <NonZeroScalar as Reduce<U256>>::reduce_bytes(&hash.into())
}

fn random_scalar(rng: &mut impl CryptoRng) -> NonZeroScalar {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        rng.fill_bytes(&mut *bytes);
        if let Some(scalar) = Option::from(NonZeroScalar::from_repr((*bytes).into())) {
            return scalar;
        }
    }
}

#[cfg(test)]
mod tests;
