//! Make a validator's consensus identity from its secret.

use alloy_primitives::B256;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::{Signer as _, ed25519};
use light::consensus::encode_public_key;

/// The public key of an ed25519 seed, as a specification names a validator.
pub fn identity(key: &[u8; 32]) -> B256 {
    encode_public_key(&signer(key).public_key())
}

/// The signer of a consensus identity.
pub(crate) fn signer(key: &[u8; 32]) -> ed25519::PrivateKey {
    ed25519::PrivateKey::decode(Copying(key)).expect("any 32 bytes are an ed25519 seed")
}
