//! Hold the secp256k1 key pair that content keys are wrapped for.

use k256::{NonZeroScalar, PublicKey, SecretKey, elliptic_curve::sec1::ToEncodedPoint};
use std::fmt;
use thiserror::Error;

/// Bytes of a compressed point.
pub(crate) const POINT_LENGTH: usize = 33;

/// Bytes are no key on secp256k1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("these bytes are no secp256k1 key")]
pub struct InvalidKey;

/// The secret half of a policy key: it unwraps content keys.
#[derive(Clone)]
pub struct PolicySecret(SecretKey);

/// The public half of a policy key: content keys are wrapped for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PolicyPublic(PublicKey);

impl PolicySecret {
    /// Take a secret scalar, 32 bytes big-endian, greater than zero and below the group's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        SecretKey::from_bytes(bytes.into()).map(Self).map_err(|_| InvalidKey)
    }

    /// The public half.
    pub fn public(&self) -> PolicyPublic {
        PolicyPublic(self.0.public_key())
    }

    pub(crate) fn scalar(&self) -> NonZeroScalar {
        self.0.to_nonzero_scalar()
    }
}

impl fmt::Debug for PolicySecret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PolicySecret(secret)")
    }
}

impl PolicyPublic {
    /// Parse a compressed point.
    pub fn from_bytes(bytes: &[u8; POINT_LENGTH]) -> Result<Self, InvalidKey> {
        parse_point(bytes).map(Self).ok_or(InvalidKey)
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; POINT_LENGTH] {
        compress(&self.0)
    }

    pub(crate) fn point(&self) -> &PublicKey {
        &self.0
    }
}

impl fmt::Debug for PolicyPublic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PolicyPublic(0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A point other than infinity from its compressed form, and from no other form.
pub(crate) fn parse_point(bytes: &[u8; POINT_LENGTH]) -> Option<PublicKey> {
    matches!(bytes[0], 2 | 3).then(|| PublicKey::from_sec1_bytes(bytes).ok())?
}

pub(crate) fn compress(point: &PublicKey) -> [u8; POINT_LENGTH] {
    point.to_encoded_point(true).as_bytes().try_into().expect("a compressed point has 33 bytes")
}
