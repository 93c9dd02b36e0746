//! Seal small records, such as index pages, under one key.
//!
//! # Format
//! ```text
//! salt 32 | encrypted page | tag 16
//! ```
//! A page is sealed by AES-256-GCM with a zero nonce under a key of its own, the keyed BLAKE3 hash of the salt. With
//! random nonces of 12 bytes a key would be worn out after 2^32 pages; salts of 32 bytes never repeat.

use crate::{
    cipher::{Cipher, ONLY_NONCE},
    keys::PageKey,
    layout::TAG_LENGTH,
};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

const SALT_LENGTH: usize = 32;

/// Bytes by which a sealed page is longer than the page.
pub const PAGE_OVERHEAD: usize = SALT_LENGTH + TAG_LENGTH;

/// Why a page does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenPageError {
    /// There is no room for salt and tag.
    #[error("a sealed page has at least {PAGE_OVERHEAD} bytes, not {found}")]
    TooShort {
        /// Bytes given.
        found: usize,
    },
    /// The page does not authenticate.
    #[error("the page does not open: it is under another key or context, or was altered")]
    Refused,
}

/// Seal a page; it opens only with the same `context`, which says what it is and where it belongs.
pub fn seal_page(key: &PageKey, context: &[u8], page: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut sealed = vec![0; PAGE_OVERHEAD + page.len()];
    let (salt, body) = sealed.split_first_chunk_mut().expect("the overhead holds the salt");
    rng.fill_bytes(salt);
    cipher(key, salt).seal(ONLY_NONCE, context, page, body);
    sealed
}

/// Open a page that was sealed with the same key and context.
pub fn open_page(key: &PageKey, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenPageError> {
    let too_short = OpenPageError::TooShort { found: sealed.len() };
    let length = sealed.len().checked_sub(PAGE_OVERHEAD).ok_or(too_short)?;
    let (salt, body) = sealed.split_first_chunk().ok_or(too_short)?;
    let mut page = vec![0; length];
    cipher(key, salt).open(ONLY_NONCE, context, body, &mut page).map_err(|_| OpenPageError::Refused)?;
    Ok(page)
}

fn cipher(key: &PageKey, salt: &[u8; SALT_LENGTH]) -> Cipher {
    Cipher::new(&Zeroizing::new(*blake3::keyed_hash(key.as_bytes(), salt).as_bytes()))
}

#[cfg(test)]
mod tests;
