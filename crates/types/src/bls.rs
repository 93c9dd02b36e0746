//! Sign and aggregate receipts: BLS12-381, public keys in G1, signatures in G2, proof of possession.
//!
//! Ciphersuite `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_` of draft-irtf-cfrg-bls-signature-05. Keys that enter a
//! committee have proved possession, so signatures on one message add up without a rogue-key attack.

use crate::hash::{derive, domain};
use alloy_primitives::{Address, B256};
use blst::{BLST_ERROR, min_pk};
use zeroize::Zeroizing;

const SIGN: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const PROVE: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Length of a compressed public key.
pub const PUBLIC_KEY_BYTES: usize = 48;
/// Length of a compressed signature.
pub const SIGNATURE_BYTES: usize = 96;

/// A member's signing key.
#[derive(Clone)]
pub struct ReceiptKey(min_pk::SecretKey);

/// The public half: a point of G1 in the right subgroup, not infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptPublicKey(min_pk::PublicKey);

/// A signature, alone or aggregated: a point of G2 in the right subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptSignature(min_pk::Signature);

/// Bytes are no key, no signature, or no list of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlsError {
    #[error("not a BLS12-381 public key")]
    PublicKey,
    #[error("not a BLS12-381 signature")]
    Signature,
    #[error("not a BLS12-381 secret key")]
    SecretKey,
    #[error("there is nothing to aggregate")]
    Empty,
}

impl ReceiptKey {
    /// Derives a key from at least 32 secret bytes.
    pub fn derive(secret: &[u8; 32]) -> Self {
        Self(min_pk::SecretKey::key_gen(secret, b"cess receipt key").expect("32 bytes are enough"))
    }

    /// Reads a stored key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BlsError> {
        min_pk::SecretKey::from_bytes(bytes).map(Self).map_err(|_| BlsError::SecretKey)
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> ReceiptPublicKey {
        ReceiptPublicKey(self.0.sk_to_pk())
    }

    /// Signs a receipt.
    pub fn sign(&self, message: &B256) -> ReceiptSignature {
        ReceiptSignature(self.0.sign(message.as_slice(), SIGN, &[]))
    }

    /// Proves to the chain that the operator holds this key.
    pub fn prove_possession(&self, chain_id: u64, operator: Address) -> ReceiptSignature {
        let message = possession_message(chain_id, operator, &self.public());
        ReceiptSignature(self.0.sign(message.as_slice(), PROVE, &[]))
    }
}

impl std::fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiptKey(..)")
    }
}

fn possession_message(chain_id: u64, operator: Address, key: &ReceiptPublicKey) -> B256 {
    derive(domain::RECEIPT_KEY, &[&chain_id.to_be_bytes(), operator.as_slice(), &key.to_bytes()])
}

impl ReceiptPublicKey {
    /// Reads and checks a compressed point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        if bytes.len() != PUBLIC_KEY_BYTES {
            return Err(BlsError::PublicKey);
        }
        min_pk::PublicKey::key_validate(bytes).map(Self).map_err(|_| BlsError::PublicKey)
    }

    /// Reads a compressed point that was checked before it was stored.
    pub fn from_checked_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        if bytes.len() != PUBLIC_KEY_BYTES {
            return Err(BlsError::PublicKey);
        }
        min_pk::PublicKey::uncompress(bytes).map(Self).map_err(|_| BlsError::PublicKey)
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.compress()
    }

    /// Whether the holder of this key made `proof` for `operator`.
    pub fn verify_possession(&self, chain_id: u64, operator: Address, proof: &ReceiptSignature) -> bool {
        let message = possession_message(chain_id, operator, self);
        proof.0.verify(false, message.as_slice(), PROVE, &[], &self.0, false) == BLST_ERROR::BLST_SUCCESS
    }

    /// Whether this key signed `message`.
    pub fn verify(&self, message: &B256, signature: &ReceiptSignature) -> bool {
        verify_aggregate(&[*self], message, signature)
    }
}

impl ReceiptSignature {
    /// Reads and checks a compressed point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        if bytes.len() != SIGNATURE_BYTES {
            return Err(BlsError::Signature);
        }
        min_pk::Signature::sig_validate(bytes, true).map(Self).map_err(|_| BlsError::Signature)
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; SIGNATURE_BYTES] {
        self.0.compress()
    }

    /// Adds signatures up.
    pub fn aggregate(signatures: &[Self]) -> Result<Self, BlsError> {
        let points: Vec<_> = signatures.iter().map(|signature| &signature.0).collect();
        let sum = min_pk::AggregateSignature::aggregate(&points, false).map_err(|_| BlsError::Empty)?;
        Ok(Self(sum.to_signature()))
    }
}

/// Whether all of `keys` signed `message`: two pairings, whatever their number. False for no keys.
pub fn verify_aggregate(keys: &[ReceiptPublicKey], message: &B256, signature: &ReceiptSignature) -> bool {
    let keys: Vec<_> = keys.iter().map(|key| &key.0).collect();
    !keys.is_empty()
        && signature.0.fast_aggregate_verify(false, message.as_slice(), SIGN, &keys) == BLST_ERROR::BLST_SUCCESS
}

#[cfg(test)]
mod tests;
