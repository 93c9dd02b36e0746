//! Encode what a miner notes beside its fragments.
//!
//! # Format
//! ```text
//! "h"                       → height followed (8)
//! "v" volume (4)            → 1 (1) ‖ seat (2) ‖ profile (1) ‖ count (8) ‖ left siblings (32 each, depth of the log)
//! "l" volume (4) index (4)  → segment (32) ‖ territory ‖ offset ‖ fragment bytes ‖ length ‖ committed at ‖ term end (8 each)
//! "m" volume (4) index (4)  → segment (32): the stripe is in the log and its fragment is not here
//! "r" volume (4) index (4)  → nothing: the stripe was released, on a chain with audits
//! "g" volume (4) index (4)  → root (32): over all fragments of the stripe as k verified ones make them
//! "b" volume (4) index (4)  → seat (2) ‖ lot (4) ‖ bytes (8): that member rebuilt it for this miner's lot
//! "k" volume (4) seat (4)   → lot (4) ‖ bytes (8) ‖ cashed (8) ‖ signature (96): what that newcomer has acknowledged
//! "a" volume (4) index (4)  → nothing: rounds may or may not ask for the stripe, the chain knows
//! ```
//! All integers are big endian, so that notes of a volume lie in order. Tags `i` and `u` are those of idle space.

use crate::state::VolumeLog;
use alloy_primitives::B256;
use std::ops::Range;
use store::{Change, Store, StoreError};
use types::{
    Profile, SegmentId, StripeLeaf,
    bls::SIGNATURE_BYTES,
    merkle::{Frontier, LOG_DEPTH},
};

const LOG_VERSION: u8 = 1;
const LEAF_BYTES: usize = 80;
const LOG_BYTES: usize = 12 + 32 * LOG_DEPTH;

pub(crate) const HEIGHT_KEY: &[u8] = b"h";

/// Notes that are read at once.
const PAGE: usize = 4096;

/// All notes in a range of keys.
pub(crate) async fn all(store: &Store, mut keys: Range<Vec<u8>>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let mut all = Vec::new();
    loop {
        match next_page(store, &mut keys).await? {
            page if page.is_empty() => return Ok(all),
            page => all.extend(page),
        }
    }
}

/// The next notes in a range of keys, which shrinks by them; none at its end.
pub(crate) async fn next_page(store: &Store, keys: &mut Range<Vec<u8>>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
    let page = store.notes(keys.clone(), PAGE).await?;
    if let Some((last, _)) = page.last() {
        keys.start = [&last[..], &[0]].concat();
    }
    Ok(page)
}

pub(crate) fn numbered(tag: u8, numbers: &[u32]) -> Vec<u8> {
    let mut key = vec![tag];
    numbers.iter().for_each(|number| key.extend(number.to_be_bytes()));
    key
}

pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> Change {
    Change::Note { key, value: Some(value) }
}

pub(crate) fn put_height(height: u64) -> Change {
    put(HEIGHT_KEY.to_vec(), height.to_be_bytes().to_vec())
}

pub(crate) fn read_height(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn log_keys() -> Range<Vec<u8>> {
    vec![b'v']..vec![b'v' + 1]
}

pub(crate) fn put_log(volume: u32, log: &VolumeLog) -> Change {
    let mut value = Vec::with_capacity(LOG_BYTES);
    value.push(LOG_VERSION);
    value.extend(log.seat.to_be_bytes());
    value.push(log.profile as u8);
    value.extend(log.frontier.count().to_be_bytes());
    log.frontier.left().iter().for_each(|node| value.extend(node));
    put(numbered(b'v', &[volume]), value)
}

pub(crate) fn read_log(key: &[u8], value: &[u8]) -> Option<(u32, VolumeLog)> {
    let volume = u32::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (version, rest) = value.split_first()?;
    let (seat, rest) = rest.split_first_chunk::<2>()?;
    let (profile, rest) = rest.split_first()?;
    let (count, rest) = rest.split_first_chunk::<8>()?;
    if *version != LOG_VERSION || rest.len() != 32 * LOG_DEPTH {
        return None;
    }
    let mut left = [B256::ZERO; LOG_DEPTH];
    left.iter_mut().zip(rest.chunks_exact(32)).for_each(|(node, bytes)| *node = B256::from_slice(bytes));
    let frontier = Frontier::new(u64::from_be_bytes(*count), left);
    Some((volume, VolumeLog::new(u16::from_be_bytes(*seat), Profile::from_u8(*profile)?, frontier)))
}

pub(crate) fn leaf_keys(volume: u32, indices: Range<u32>) -> Range<Vec<u8>> {
    numbered(b'l', &[volume, indices.start])..numbered(b'l', &[volume, indices.end])
}

pub(crate) fn leaf_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'l', &[volume, index])
}

pub(crate) fn released_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'r', &[volume, index])
}

pub(crate) fn put_released(volume: u32, index: u32) -> Change {
    put(released_key(volume, index), Vec::new())
}

pub(crate) fn doubtful_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'a', &[volume, index])
}

pub(crate) fn put_doubtful(volume: u32, index: u32) -> Change {
    put(doubtful_key(volume, index), Vec::new())
}

pub(crate) fn remade_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'g', &[volume, index])
}

pub(crate) fn put_remade(volume: u32, index: u32, root: B256) -> Change {
    put(remade_key(volume, index), root.to_vec())
}

pub(crate) fn helper_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'b', &[volume, index])
}

pub(crate) fn helper_keys(volume: u32) -> Range<Vec<u8>> {
    numbered(b'b', &[volume, 0])..numbered(b'b', &[volume, u32::MAX])
}

pub(crate) fn put_helper(volume: u32, index: u32, seat: u16, lot: u32, bytes: u64) -> Change {
    let value = [&seat.to_be_bytes()[..], &lot.to_be_bytes(), &bytes.to_be_bytes()].concat();
    put(helper_key(volume, index), value)
}

pub(crate) fn remove_helper(volume: u32, index: u32) -> Change {
    Change::Note { key: helper_key(volume, index), value: None }
}

/// Seat, lot and bytes of a note about who rebuilt a fragment.
pub(crate) fn read_helper(value: &[u8]) -> Option<(u16, u32, u64)> {
    let (seat, rest) = value.split_first_chunk::<2>()?;
    let (lot, bytes) = rest.split_first_chunk::<4>()?;
    let bytes = u64::from_be_bytes(bytes.try_into().ok()?);
    Some((u16::from_be_bytes(*seat), u32::from_be_bytes(*lot), bytes))
}

/// The second number of a key.
pub(crate) fn index_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(5..)?.try_into().ok()?))
}

/// What a newcomer has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HelpNote {
    pub(crate) lot: u32,
    /// In all, and what of it the chain has paid.
    pub(crate) bytes: u64,
    pub(crate) cashed: u64,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

pub(crate) fn help_key(volume: u32, seat: u16) -> Vec<u8> {
    numbered(b'k', &[volume, seat.into()])
}

pub(crate) fn help_keys() -> Range<Vec<u8>> {
    vec![b'k']..vec![b'k' + 1]
}

/// Volume and seat of a key of a [`HelpNote`].
pub(crate) fn help_place(key: &[u8]) -> Option<(u32, u16)> {
    let volume = u32::from_be_bytes(key.get(1..5)?.try_into().ok()?);
    Some((volume, index_of(key)?.try_into().ok()?))
}

pub(crate) fn put_help(volume: u32, seat: u16, help: &HelpNote) -> Change {
    let HelpNote { lot, bytes, cashed, signature } = help;
    let numbers = [lot.to_be_bytes().as_slice(), &bytes.to_be_bytes(), &cashed.to_be_bytes()].concat();
    put(help_key(volume, seat), [&numbers, &signature[..]].concat())
}

pub(crate) fn remove_help(volume: u32, seat: u16) -> Change {
    Change::Note { key: help_key(volume, seat), value: None }
}

pub(crate) fn read_help(value: &[u8]) -> Option<HelpNote> {
    let (lot, rest) = value.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_first_chunk::<8>()?;
    let (cashed, signature) = rest.split_first_chunk::<8>()?;
    let (bytes, cashed) = (u64::from_be_bytes(*bytes), u64::from_be_bytes(*cashed));
    Some(HelpNote { lot: u32::from_be_bytes(*lot), bytes, cashed, signature: signature.try_into().ok()? })
}

/// Forgets all about the stripe of this leaf.
pub(crate) fn forget_stripe(leaf_key: Vec<u8>) -> impl Iterator<Item = Change> {
    b"lmragb".iter().map(move |tag| {
        let mut key = leaf_key.clone();
        key[0] = *tag;
        Change::Note { key, value: None }
    })
}

pub(crate) fn forget_log(volume: u32) -> Change {
    Change::Note { key: numbered(b'v', &[volume]), value: None }
}

pub(crate) fn missing_key(volume: u32, index: u32) -> Vec<u8> {
    numbered(b'm', &[volume, index])
}

pub(crate) fn put_leaf(volume: u32, index: u32, leaf: &StripeLeaf) -> Change {
    let numbers =
        [leaf.territory, leaf.offset, leaf.fragment_bytes, leaf.length, leaf.committed_at_ms, leaf.term_end_ms];
    let value = [leaf.segment.as_slice(), &numbers.map(u64::to_be_bytes).concat()].concat();
    put(leaf_key(volume, index), value)
}

pub(crate) fn read_leaf(value: &[u8]) -> Option<StripeLeaf> {
    if value.len() != LEAF_BYTES {
        return None;
    }
    let (segment, rest) = value.split_first_chunk::<32>()?;
    let (numbers, _) = rest.as_chunks::<8>();
    let &[territory, offset, fragment_bytes, length, committed_at_ms, term_end_ms] =
        <&[[u8; 8]; 6]>::try_from(numbers).ok()?;
    Some(StripeLeaf {
        segment: B256::from(*segment),
        territory: u64::from_be_bytes(territory),
        offset: u64::from_be_bytes(offset),
        fragment_bytes: u64::from_be_bytes(fragment_bytes),
        length: u64::from_be_bytes(length),
        committed_at_ms: u64::from_be_bytes(committed_at_ms),
        term_end_ms: u64::from_be_bytes(term_end_ms),
    })
}

pub(crate) fn missing_keys() -> Range<Vec<u8>> {
    vec![b'm']..vec![b'm' + 1]
}

pub(crate) fn put_missing(volume: u32, index: u32, segment: SegmentId) -> Change {
    put(missing_key(volume, index), segment.to_vec())
}

pub(crate) fn remove_missing(volume: u32, index: u32) -> Change {
    Change::Note { key: missing_key(volume, index), value: None }
}

/// Volume, index and segment of a note about a missing fragment.
pub(crate) fn read_missing(key: &[u8], value: &[u8]) -> Option<(u32, u32, SegmentId)> {
    let (volume, index) = key.get(1..)?.split_first_chunk::<4>()?;
    let index = u32::from_be_bytes(index.try_into().ok()?);
    Some((u32::from_be_bytes(*volume), index, SegmentId::try_from(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_and_value(change: Change) -> (Vec<u8>, Vec<u8>) {
        match change {
            Change::Note { key, value: Some(value) } => (key, value),
            other => panic!("{other:?} puts no note"),
        }
    }

    fn leaf() -> StripeLeaf {
        StripeLeaf {
            segment: B256::repeat_byte(1),
            territory: 2,
            offset: 3,
            fragment_bytes: 4,
            length: 5,
            committed_at_ms: 6,
            term_end_ms: 7,
        }
    }

    #[test]
    fn notes_round_trip() {
        let mut log = VolumeLog::new(5, Profile::Standard, Frontier::default());
        for number in 0..9 {
            log.frontier.push(&B256::repeat_byte(number)).unwrap();
        }
        let (key, value) = key_and_value(put_log(77, &log));
        assert_eq!(read_log(&key, &value), Some((77, log)));
        let (_, value) = key_and_value(put_leaf(1, 2, &leaf()));
        assert_eq!(read_leaf(&value), Some(leaf()));
        let (key, value) = key_and_value(put_missing(1, 2, B256::repeat_byte(3)));
        assert_eq!(read_missing(&key, &value), Some((1, 2, B256::repeat_byte(3))));
        let (key, value) = key_and_value(put_helper(1, 2, 3, 4, 5));
        assert_eq!((index_of(&key), read_helper(&value)), (Some(2), Some((3, 4, 5))));
        let help = HelpNote { lot: 1, bytes: 2, cashed: 3, signature: [4; SIGNATURE_BYTES] };
        let (key, value) = key_and_value(put_help(7, 8, &help));
        assert_eq!((help_place(&key), read_help(&value)), (Some((7, 8)), Some(help)));
        let (_, value) = key_and_value(put_height(9));
        assert_eq!(read_height(&value), Some(9));
    }

    #[test]
    fn damaged_notes_are_refused() {
        let (key, value) = key_and_value(put_log(77, &VolumeLog::new(5, Profile::Devnet, Frontier::default())));
        assert_eq!(read_log(&key, &value[1..]), None);
        assert_eq!(read_log(&key[1..], &value), None);
        assert_eq!(read_leaf(&[0; 79]), None);
        assert_eq!(read_missing(b"m", &[0; 32]), None);
        assert_eq!(read_height(&[0; 7]), None);
        assert_eq!(read_helper(&[0; 13]), None);
        assert_eq!(read_help(&[0; 115]), None);
        assert_eq!((index_of(&[0; 8]), help_place(&[255; 9])), (None, None));
    }

    #[test]
    fn leaves_of_a_volume_lie_in_order_and_apart_from_the_next() {
        let range = leaf_keys(1, 0..300);
        let (inside, _) = key_and_value(put_leaf(1, 299, &leaf()));
        let (outside, _) = key_and_value(put_leaf(2, 0, &leaf()));
        assert!(range.contains(&inside) && !range.contains(&outside));
    }
}
