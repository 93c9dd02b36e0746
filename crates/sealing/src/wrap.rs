//! Wrap a content key for a policy key, and unwrap it.

use crate::{
    capsule::{CAPSULE_LENGTH, Capsule},
    cipher::{Cipher, ONLY_NONCE, hkdf},
    keys::ContentKey,
    layout::TAG_LENGTH,
    policy::{PolicyPublic, PolicySecret},
};
use rand::CryptoRng;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a wrapped key: a capsule of 98, a sealed key of 32, a tag of 16.
pub const WRAPPED_KEY_LENGTH: usize = CAPSULE_LENGTH + 32 + TAG_LENGTH;

const WRAPPING_KEY_INFO: &[u8] = b"cess wrapped key v1";

/// A content key that only the holder of a policy key can read.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey([u8; WRAPPED_KEY_LENGTH]);

/// Why a wrapped key does not unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnwrapError {
    /// The length is wrong.
    #[error("a wrapped key has {WRAPPED_KEY_LENGTH} bytes, not {found}")]
    Length {
        /// Bytes given.
        found: usize,
    },
    /// The capsule's points or scalar are no such, or do not satisfy its equation: it was altered.
    #[error("the capsule of the wrapped key is invalid: it was altered")]
    Capsule,
    /// The capsule is good, but the key behind it does not open.
    #[error("the wrapped key does not open: it is for another policy key or context, or was altered")]
    Refused,
}

impl WrappedKey {
    /// Take the bytes of a wrapped key; they are checked when it is unwrapped.
    pub fn from_bytes(bytes: [u8; WRAPPED_KEY_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes of the wrapped key.
    pub fn as_bytes(&self) -> &[u8; WRAPPED_KEY_LENGTH] {
        &self.0
    }

    fn parts(&self) -> (&[u8; CAPSULE_LENGTH], &[u8]) {
        self.0.split_first_chunk().expect("a wrapped key is longer than a capsule")
    }
}

impl TryFrom<&[u8]> for WrappedKey {
    type Error = UnwrapError;

    fn try_from(bytes: &[u8]) -> Result<Self, UnwrapError> {
        bytes.try_into().map(Self).map_err(|_| UnwrapError::Length { found: bytes.len() })
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("WrappedKey(0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Wrap a content key for a policy key; it unwraps only with the same `context`, say bucket id and generation.
pub fn wrap(policy: &PolicyPublic, key: &ContentKey, context: &[u8], rng: &mut impl CryptoRng) -> WrappedKey {
    let (capsule, shared) = Capsule::encapsulate(policy, rng);
    let capsule = capsule.to_bytes();
    let mut wrapped = [0; WRAPPED_KEY_LENGTH];
    wrapped[..CAPSULE_LENGTH].copy_from_slice(&capsule);
    let bound = [&capsule, context].concat();
    wrapping_cipher(&*shared).seal(ONLY_NONCE, &bound, key.as_bytes(), &mut wrapped[CAPSULE_LENGTH..]);
    WrappedKey(wrapped)
}

/// Unwrap a content key with the policy key it was wrapped for.
pub fn unwrap(policy: &PolicySecret, wrapped: &WrappedKey, context: &[u8]) -> Result<ContentKey, UnwrapError> {
    let (capsule, sealed) = wrapped.parts();
    let shared = Capsule::from_bytes(capsule).and_then(|capsule| capsule.decapsulate(policy));
    let shared = shared.ok_or(UnwrapError::Capsule)?;
    let bound = [capsule, context].concat();
    let mut key = Zeroizing::new([0; 32]);
    let opened = wrapping_cipher(&*shared).open(ONLY_NONCE, &bound, sealed, &mut *key);
    opened.map_err(|_| UnwrapError::Refused)?;
    Ok(ContentKey::from_bytes(*key))
}

/// The cipher of a shared point, which is fresh for every wrapped key.
fn wrapping_cipher(shared: &[u8]) -> Cipher {
    Cipher::new(&hkdf(shared, &[WRAPPING_KEY_INFO]))
}

#[cfg(test)]
mod tests;
