//! Keep access keys: who may do what through the gateway, secrets sealed at rest.
//!
//! # Format
//! A JSON file. Each secret is sealed under a key that comes from the account's storage seed; everything else about its key
//! is bound to it.

use crate::rules::acl::Users;
use base64::{Engine, prelude::BASE64_STANDARD};
use rand::Rng;
use s3s::auth::SecretKey;
use sealing::{PageKey, StorageSeed, open_page, seal_page};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The user of keys that name no other: the account itself.
pub const ACCOUNT_USER: &str = "account";
/// Most keys of a gateway.
const KEYS_MAX: usize = 10_000;
const FILE_BYTES_MAX: u64 = 16 << 20;
const VERSION: u32 = 1;
const ID_CHARACTERS: usize = 20;
const SECRET_BYTES: usize = 30;

/// What a key may do, whatever the bucket's own policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPolicy {
    /// Read and list.
    ReadOnly,
    /// Read, list, write and delete objects.
    ReadWrite,
    /// Everything, also make and remove buckets and configure them.
    Admin,
}

/// An access key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// The access key id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// The name that is shown for the user.
    pub display_name: String,
    /// The user's mail address, for grants by address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// What it may do.
    pub policy: KeyPolicy,
    /// Where; everywhere if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// Until when, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: Vec<SealedKey>,
}

#[derive(Clone, Serialize, Deserialize)]
struct SealedKey {
    #[serde(flatten)]
    key: AccessKey,
    sealed_secret: String,
}

/// Why keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("access keys {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file is none of ours.
    #[error("access keys {path} are malformed or of another version")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The secrets are not sealed by this account, or were tampered with.
    #[error("access keys {path} belong to another account, or were changed by hand")]
    Sealed {
        /// The file.
        path: String,
    },
    /// There is no such key.
    #[error("there is no access key {id}: see `cess gateway key list`")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// There are too many.
    #[error("a gateway has at most {KEYS_MAX} access keys: remove some")]
    TooMany,
    /// There is one of this id.
    #[error("there is an access key {id} already")]
    Exists {
        /// Its id.
        id: String,
    },
}

/// The access keys of a gateway, in a file.
pub struct KeyFile {
    path: PathBuf,
    seal: PageKey,
}

impl KeyFile {
    /// The file at `path`, sealed for the account of this seed.
    pub fn new(path: &Path, storage: &StorageSeed) -> Self {
        // No bucket has this id: real ones are hashes of other things.
        let place = blake3::derive_key("cess gateway access keys v1", b"");
        Self { path: path.into(), seal: storage.page_key(&place, 0) }
    }

    /// Makes a key; returns its secret, which is shown once.
    pub fn create(&self, mut key: AccessKey, secret: Option<String>) -> Result<(AccessKey, SecretKey), KeyError> {
        let mut file = self.read()?;
        if file.keys.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        if key.id.is_empty() {
            key.id = new_id();
        }
        if file.keys.iter().any(|known| known.key.id == key.id) {
            return Err(KeyError::Exists { id: key.id });
        }
        let secret = secret.unwrap_or_else(new_secret);
        let sealed = seal_page(&self.seal, &context(&key), secret.as_bytes(), &mut rand::rng());
        file.keys.push(SealedKey { key: key.clone(), sealed_secret: BASE64_STANDARD.encode(sealed) });
        self.write(&file)?;
        Ok((key, secret.into()))
    }

    /// All keys.
    pub fn list(&self) -> Result<Vec<AccessKey>, KeyError> {
        Ok(self.read()?.keys.into_iter().map(|sealed| sealed.key).collect())
    }

    /// Removes a key.
    pub fn remove(&self, id: &str) -> Result<(), KeyError> {
        let mut file = self.read()?;
        let before = file.keys.len();
        file.keys.retain(|sealed| sealed.key.id != id);
        if file.keys.len() == before {
            return Err(KeyError::Unknown { id: id.into() });
        }
        self.write(&file)
    }

    /// All keys with their secrets.
    pub fn open(&self) -> Result<Keyring, KeyError> {
        let mut keys = BTreeMap::new();
        for sealed in self.read()?.keys {
            let bytes = BASE64_STANDARD.decode(&sealed.sealed_secret).map_err(|_| self.malformed())?;
            let secret = open_page(&self.seal, &context(&sealed.key), &bytes).map_err(|_| self.sealed())?;
            let secret = String::from_utf8(secret).map_err(|_| self.malformed())?;
            keys.insert(sealed.key.id.clone(), (sealed.key, SecretKey::from(secret)));
        }
        Ok(Keyring { keys })
    }

    /// When the file was changed last; nothing if there is none.
    pub fn modified(&self) -> Option<SystemTime> {
        fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok()
    }

    fn read(&self) -> Result<File, KeyError> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(File { version: VERSION, keys: Vec::new() });
            }
            Err(error) => return Err(self.failed(&error)),
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Err(self.malformed()),
            Ok(_) => {}
        }
        let text = fs::read(&self.path).map_err(|error| self.failed(&error))?;
        let file: File = serde_json::from_slice(&text).map_err(|_| self.malformed())?;
        if file.version == VERSION { Ok(file) } else { Err(self.malformed()) }
    }

    fn write(&self, file: &File) -> Result<(), KeyError> {
        let text = serde_json::to_vec_pretty(file).expect("plain data has a JSON form");
        write_secret(&self.path, &text).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> KeyError {
        KeyError::File { path: self.path.display().to_string(), reason: error.to_string() }
    }

    fn malformed(&self) -> KeyError {
        KeyError::Malformed { path: self.path.display().to_string() }
    }

    fn sealed(&self) -> KeyError {
        KeyError::Sealed { path: self.path.display().to_string() }
    }
}

/// Opened keys.
#[derive(Default)]
pub struct Keyring {
    keys: BTreeMap<String, (AccessKey, SecretKey)>,
}

impl Keyring {
    /// A key by its id.
    pub fn get(&self, id: &str) -> Option<&(AccessKey, SecretKey)> {
        self.keys.get(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Users for Keyring {
    fn display_name(&self, id: &str) -> Option<String> {
        let of_user = self.keys.values().find(|(key, _)| key.user == id);
        of_user.map(|(key, _)| key.display_name.clone()).or_else(|| (id == ACCOUNT_USER).then(|| ACCOUNT_USER.into()))
    }

    fn by_mail(&self, address: &str) -> Option<String> {
        self.keys.values().find(|(key, _)| key.mail.as_deref() == Some(address)).map(|(key, _)| key.user.clone())
    }
}

/// What a secret is bound to: nobody can give a key more rights than it was made with.
fn context(key: &AccessKey) -> Vec<u8> {
    serde_json::to_vec(key).expect("plain data has a JSON form")
}

fn new_id() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut rng = rand::rng();
    let random = (0..ID_CHARACTERS - 4).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    "CESS".chars().chain(random).collect()
}

fn new_secret() -> String {
    BASE64_STANDARD.encode(rand::random::<[u8; SECRET_BYTES]>()).replace(['+', '/'], "x")
}

/// Replaces a file that only its owner can read, in one step.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests;
