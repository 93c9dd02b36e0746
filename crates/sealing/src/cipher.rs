//! Encrypt and authenticate with AES-256-GCM, and derive keys with HKDF-SHA-256.

use crate::layout::TAG_LENGTH;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub(crate) const NONCE_LENGTH: usize = 12;

/// The nonce of keys that seal a single message.
pub(crate) const ONLY_NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

/// The bytes did not authenticate.
#[derive(Debug)]
pub(crate) struct Refused;

/// AES-256-GCM under one key; who calls it sees to it that no nonce seals two messages.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes keys of 32 bytes")))
    }

    /// Encrypt `plain` into `sealed`, which is a tag longer.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LENGTH], bound: &[u8], plain: &[u8], sealed: &mut [u8]) {
        let (encrypted, tag) = sealed.split_at_mut(plain.len());
        let (nonce, bound) = (Nonce::assume_unique_for_key(nonce), Aad::from(bound));
        let done = self.0.seal_out_of_place_scatter(nonce, bound, plain, encrypted, &[], tag);
        done.expect("the output is a tag longer than the input");
    }

    /// Encrypt all of `buffer` but its last 16 bytes, which become the tag.
    pub(crate) fn seal_in_place(&self, nonce: [u8; NONCE_LENGTH], bound: &[u8], buffer: &mut [u8]) {
        let (text, tag) = buffer.split_at_mut(buffer.len() - TAG_LENGTH);
        let (nonce, bound) = (Nonce::assume_unique_for_key(nonce), Aad::from(bound));
        let computed = self.0.seal_in_place_separate_tag(nonce, bound, text);
        tag.copy_from_slice(computed.expect("a message far below the cipher's limit").as_ref());
    }

    /// Decrypt `sealed` into `plain`, which is a tag shorter; on failure `plain` holds nothing of use.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        bound: &[u8],
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Refused> {
        let (encrypted, tag) = sealed.split_at(plain.len());
        let (nonce, bound) = (Nonce::assume_unique_for_key(nonce), Aad::from(bound));
        self.0.open_separate_gather(nonce, bound, encrypted, tag, plain).map_err(|_| Refused)
    }

    /// Decrypt `sealed` where it lies; the plaintext is what is returned.
    pub(crate) fn open_in_place<'a>(
        &self,
        nonce: [u8; NONCE_LENGTH],
        bound: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Refused> {
        let (nonce, bound) = (Nonce::assume_unique_for_key(nonce), Aad::from(bound));
        self.0.open_in_place(nonce, bound, sealed).map_err(|_| Refused)
    }
}

/// HKDF-SHA-256 (RFC 5869) without salt; `info` is concatenated.
pub(crate) fn hkdf(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let key = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let mut out = Zeroizing::new([0; 32]);
    let expanded = key.expand(info, HKDF_SHA256).and_then(|output| output.fill(&mut *out));
    expanded.expect("32 bytes are one block of SHA-256");
    out
}
