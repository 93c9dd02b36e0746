//! Derive a user's keys from one phrase, and keep the phrase encrypted.
//!
//! # Format
//! A keystore is a JSON file: the phrase, sealed by AES-256-GCM under a key that scrypt makes of the password.
//! The address stands beside in the clear, bound as associated data.

use alloy_primitives::{Address, Bytes};
use alloy_signer_local::{
    MnemonicBuilder, PrivateKeySigner,
    coins_bip39::{English, Mnemonic},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rand::RngCore;
use scrypt::{Params, scrypt};
use sealing::StorageSeed;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::Path,
};
use zeroize::Zeroizing;

/// The phrase whose accounts every devnet funds. Everybody knows it: keep nothing of value under it elsewhere.
pub const DEVNET_PHRASE: &str = "test test test test test test test test test test test junk";

const VERSION: u32 = 1;
/// scrypt cost: 128 MiB and a few tenths of a second.
const LOG_N: u8 = 17;
const BLOCK: u32 = 8;
const LANES: u32 = 1;
/// Highest cost that a file may ask of us: 1 GiB.
const LOG_N_MAX: u8 = 20;
const KEYSTORE_BYTES_MAX: u64 = 16 << 10;

/// All keys of a user.
#[derive(Clone)]
pub struct Keys {
    /// Signs transactions and permits.
    pub signer: PrivateKeySigner,
    /// Root of all storage keys.
    pub storage: StorageSeed,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The words are no phrase.
    #[error("not a BIP-39 phrase of 12 to 24 English words: {0}")]
    Phrase(String),
    /// The file cannot be read or written.
    #[error("keystore {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file is no keystore.
    #[error("keystore {path} is malformed or of another version")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The password is wrong.
    #[error("the password does not open keystore {path}")]
    Password {
        /// The file.
        path: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keystore {
    version: u32,
    address: Address,
    kdf: Kdf,
    nonce: Bytes,
    sealed_phrase: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    log_n: u8,
    r: u32,
    p: u32,
    salt: Bytes,
}

impl Keys {
    /// The keys of account `index` (m/44'/60'/0'/0/index) of a phrase. The storage seed is the same for all of them.
    pub fn from_phrase(phrase: &str, index: u32) -> Result<Self, KeysError> {
        let wrong = |error: &dyn std::fmt::Display| KeysError::Phrase(error.to_string());
        let mnemonic = Mnemonic::<English>::new_from_phrase(phrase).map_err(|error| wrong(&error))?;
        let seed = Zeroizing::new(mnemonic.to_seed(None).map_err(|error| wrong(&error))?);
        let signer = MnemonicBuilder::<English>::default()
            .phrase(phrase)
            .index(index)
            .and_then(|builder| builder.build())
            .map_err(|error| wrong(&error))?;
        Ok(Self { signer, storage: StorageSeed::from_bip39_seed(&seed) })
    }

    /// The keys of a devnet's account.
    pub fn devnet(index: u32) -> Self {
        Self::from_phrase(DEVNET_PHRASE, index).expect("the phrase is one")
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.signer.address()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A new phrase of 24 words.
pub fn new_phrase() -> Zeroizing<String> {
    let mut entropy = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut *entropy);
    let mnemonic = Mnemonic::<English>::new_from_entropy((*entropy).into());
    Zeroizing::new(mnemonic.to_phrase())
}

/// Writes a new keystore; an existing file is never replaced.
pub fn save_keystore(path: &Path, phrase: &str, password: &str) -> Result<Keys, KeysError> {
    let keys = Keys::from_phrase(phrase, 0)?;
    let (mut salt, mut nonce) = ([0; 32], [0; 12]);
    rand::rng().fill_bytes(&mut salt);
    rand::rng().fill_bytes(&mut nonce);
    let kdf = Kdf { name: "scrypt".into(), log_n: LOG_N, r: BLOCK, p: LANES, salt: salt.into() };
    let cipher = kdf.cipher(password).expect("our own parameters are valid");
    let mut sealed = Zeroizing::new(phrase.as_bytes().to_vec());
    let nonce_used = Nonce::assume_unique_for_key(nonce);
    let address = keys.address();
    cipher.seal_in_place_append_tag(nonce_used, Aad::from(address), &mut *sealed).expect("a short message seals");
    let sealed_phrase = Bytes::copy_from_slice(&sealed);
    let keystore = Keystore { version: VERSION, address, kdf, nonce: nonce.into(), sealed_phrase };
    write_new(path, &serde_json::to_vec_pretty(&keystore).expect("a keystore has a JSON form"))
        .map_err(|error| file_error(path, &error))?;
    Ok(keys)
}

/// Opens a keystore; the keys of account `index` of its phrase.
pub fn load_keystore(path: &Path, password: &str, index: u32) -> Result<Keys, KeysError> {
    let malformed = || KeysError::Malformed { path: path.display().to_string() };
    let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
    if metadata.len() > KEYSTORE_BYTES_MAX {
        return Err(malformed());
    }
    let text = fs::read(path).map_err(|error| file_error(path, &error))?;
    let keystore: Keystore = serde_json::from_slice(&text).map_err(|_| malformed())?;
    if keystore.version != VERSION || keystore.kdf.name != "scrypt" {
        return Err(malformed());
    }
    let cipher = keystore.kdf.cipher(password).ok_or_else(malformed)?;
    let nonce: [u8; 12] = keystore.nonce.as_ref().try_into().map_err(|_| malformed())?;
    let mut sealed = Zeroizing::new(keystore.sealed_phrase.to_vec());
    let opened = cipher
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(keystore.address), &mut sealed)
        .map_err(|_| KeysError::Password { path: path.display().to_string() })?;
    Keys::from_phrase(std::str::from_utf8(opened).map_err(|_| malformed())?, index)
}

/// The account that a keystore is of, without its password.
pub fn keystore_address(path: &Path) -> Result<Address, KeysError> {
    let text = fs::read(path).map_err(|error| file_error(path, &error))?;
    let keystore: Keystore =
        serde_json::from_slice(&text).map_err(|_| KeysError::Malformed { path: path.display().to_string() })?;
    Ok(keystore.address)
}

impl Kdf {
    fn cipher(&self, password: &str) -> Option<LessSafeKey> {
        if self.log_n > LOG_N_MAX || self.r > 16 || self.p > 4 {
            return None;
        }
        let params = Params::new(self.log_n, self.r, self.p).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt(password.as_bytes(), &self.salt, &params, &mut *key).ok()?;
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).ok()?))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn file_error(path: &Path, error: &io::Error) -> KeysError {
    KeysError::File { path: path.display().to_string(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
