//! Encode what the index knows of a fragment.
//!
//! # Format
//! ```text
//! key    = segment (32) ‖ volume (4)
//! record = 1 (1) ‖ state (1) ‖ seat (2) ‖ territory (8) ‖ profile (1) ‖ length (8) ‖ root (32) ‖ expires at height (8)
//!          ‖ file (8) ‖ hashes length (4) ‖ path length (1) ‖ path nodes (32 each)          integers big endian
//! ```

use crate::disk::FileId;
use alloy_primitives::B256;
use types::{Profile, SegmentId, segment::FragmentProof};

const VERSION: u8 = 1;
/// Length of an encoded key.
pub(crate) const KEY_BYTES: usize = 36;
/// Files are padded to a multiple of this, as the file system would occupy it anyway.
pub(crate) const FILE_STEP_BYTES: u64 = 4096;

/// A fragment by its segment and the volume it is for: one seat of a volume is one miner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    /// The segment.
    pub segment: SegmentId,
    /// The volume.
    pub volume: u32,
}

/// How far a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentState {
    /// On disk, its segment not in the volume's log yet.
    Staged,
    /// Owed: its segment is in the log.
    Kept,
}

/// What the index knows of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentRecord {
    /// Which fragment.
    pub key: FragmentKey,
    /// Its index in the segment.
    pub seat: u16,
    /// The territory that it is staged for.
    pub territory: u64,
    /// The segment's code.
    pub profile: Profile,
    /// Bytes of the segment.
    pub length: u64,
    /// BLAKE3 of the fragment.
    pub root: B256,
    /// Siblings from the fragment root up to the segment's root.
    pub path: Vec<B256>,
    /// How far it is.
    pub state: FragmentState,
    /// Last height at which a staged fragment must be held.
    pub expires_at_height: u64,
    pub(crate) file: FileId,
    pub(crate) hashes_bytes: u32,
}

impl FragmentRecord {
    /// Bytes of the fragment.
    pub fn fragment_bytes(&self) -> u64 {
        self.profile.fragment_bytes(self.length)
    }

    /// Its file, by which tests spoil it.
    pub fn file(&self) -> FileId {
        self.file
    }

    /// The proof that the fragment is the segment's.
    pub fn proof(&self) -> FragmentProof {
        FragmentProof { index: self.seat, root: self.root, path: self.path.clone() }
    }

    /// Bytes that the file occupies.
    pub(crate) fn file_bytes(&self) -> u64 {
        file_bytes(self.fragment_bytes(), u64::from(self.hashes_bytes))
    }
}

/// Bytes that a file with a fragment and its hashes occupies.
pub(crate) fn file_bytes(fragment_bytes: u64, hashes_bytes: u64) -> u64 {
    fragment_bytes.saturating_add(hashes_bytes).div_ceil(FILE_STEP_BYTES).saturating_mul(FILE_STEP_BYTES)
}

impl FragmentKey {
    pub(crate) fn encode(&self) -> [u8; KEY_BYTES] {
        let mut out = [0; KEY_BYTES];
        out[..32].copy_from_slice(self.segment.as_slice());
        out[32..].copy_from_slice(&self.volume.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (segment, volume) = bytes.split_first_chunk::<32>()?;
        Some(Self { segment: B256::from(*segment), volume: u32::from_be_bytes(volume.try_into().ok()?) })
    }
}

impl FragmentRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(74 + self.path.len() * 32);
        out.push(VERSION);
        out.push(match self.state {
            FragmentState::Staged => 0,
            FragmentState::Kept => 1,
        });
        out.extend(self.seat.to_be_bytes());
        out.extend(self.territory.to_be_bytes());
        out.push(self.profile as u8);
        out.extend(self.length.to_be_bytes());
        out.extend(self.root);
        out.extend(self.expires_at_height.to_be_bytes());
        out.extend(self.file.get().to_be_bytes());
        out.extend(self.hashes_bytes.to_be_bytes());
        out.push(self.path.len() as u8);
        self.path.iter().for_each(|node| out.extend(node));
        out
    }

    pub(crate) fn decode(key: FragmentKey, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.array::<1>()? != [VERSION] {
            return None;
        }
        let state = match fields.array::<1>()? {
            [0] => FragmentState::Staged,
            [1] => FragmentState::Kept,
            _ => return None,
        };
        let seat = u16::from_be_bytes(fields.array()?);
        let territory = fields.u64()?;
        let [profile] = fields.array()?;
        let profile = Profile::from_u8(profile)?;
        let (length, root) = (fields.u64()?, B256::from(fields.array::<32>()?));
        let (expires_at_height, file) = (fields.u64()?, FileId::new(fields.u64()?));
        let hashes_bytes = u32::from_be_bytes(fields.array()?);
        let [nodes] = fields.array()?;
        let path = (0..nodes).map(|_| fields.array().map(B256::from)).collect::<Option<_>>()?;
        let record =
            Self { key, seat, territory, profile, length, root, path, state, expires_at_height, file, hashes_bytes };
        fields.0.is_empty().then_some(record)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_refuse_what_was_cut() {
        let key = FragmentKey { segment: B256::repeat_byte(3), volume: 4 };
        let record = FragmentRecord {
            key,
            seat: 5,
            territory: 6,
            profile: Profile::Standard,
            length: 7,
            root: B256::repeat_byte(8),
            path: vec![B256::repeat_byte(9); 6],
            state: FragmentState::Kept,
            expires_at_height: 10,
            file: FileId::new(11),
            hashes_bytes: 128,
        };
        assert_eq!(FragmentKey::decode(&key.encode()), Some(key));
        let bytes = record.encode();
        assert_eq!(FragmentRecord::decode(key, &bytes), Some(record));
        for length in 0..bytes.len() {
            assert_eq!(FragmentRecord::decode(key, &bytes[..length]), None);
        }
        assert_eq!(FragmentRecord::decode(key, &[&bytes[..], &[0]].concat()), None);
    }
}
