//! Hold a user's secrets, and derive each from one seed.

use crate::{cipher::hkdf, policy::PolicySecret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use rand::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

const STORAGE_SEED_INFO: &[u8] = b"cess storage seed v1";
const POLICY_KEY_INFO: &[u8] = b"cess policy key v1";
const PAGE_KEY_INFO: &[u8] = b"cess page key v1";
const BUCKET_NAME_INFO: &[u8] = b"cess bucket name v1";

/// Define a 32-byte secret: wiped when dropped, compared in constant time, never printed.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<[u8; 32]>);

        impl $name {
            /// Take the secret's bytes.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Zeroizing::new(bytes))
            }

            /// The secret's bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                verify_slices_are_equal(&*self.0, &*other.0).is_ok()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    };
}

secret! {
    /// The random key of one sealed object or part; it seals one plaintext and no other.
    ContentKey
}

secret! {
    /// The key of a bucket's index pages; it seals any number of them.
    PageKey
}

secret! {
    /// The root of all storage keys of a user.
    StorageSeed
}

impl ContentKey {
    /// Draw a new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }
}

impl StorageSeed {
    /// Derive the storage seed from the 64 bytes that BIP-39 makes of a mnemonic and a passphrase.
    ///
    /// HKDF keeps it apart from the account keys, which BIP-32 derives from the same bytes by HMAC-SHA-512.
    pub fn from_bip39_seed(seed: &[u8; 64]) -> Self {
        Self(hkdf(seed, &[STORAGE_SEED_INFO]))
    }

    /// The policy key of one generation of a bucket.
    pub fn policy_secret(&self, bucket_id: &[u8; 32], generation: u64) -> PolicySecret {
        let generation = generation.to_be_bytes();
        let attempt =
            |n: u8| PolicySecret::from_bytes(&hkdf(&*self.0, &[POLICY_KEY_INFO, bucket_id, &generation, &[n]]));
        // An attempt fails with a chance of 2^-128: the second one is never seen.
        (0..=u8::MAX).find_map(|n| attempt(n).ok()).expect("256 outputs of HKDF are not all out of range")
    }

    /// The page key of one generation of a bucket.
    pub fn page_key(&self, bucket_id: &[u8; 32], generation: u64) -> PageKey {
        PageKey(hkdf(&*self.0, &[PAGE_KEY_INFO, bucket_id, &generation.to_be_bytes()]))
    }

    /// The tag that stands for a bucket's name on the chain: nobody without the seed can guess names by it.
    pub fn bucket_name_tag(&self, name: &str) -> [u8; 32] {
        *blake3::keyed_hash(&hkdf(&*self.0, &[BUCKET_NAME_INFO]), name.as_bytes()).as_bytes()
    }
}

#[cfg(test)]
mod tests;
