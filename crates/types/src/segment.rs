//! Name segments and their codes.
//!
//! # Format
//! ```text
//! fragment root   = BLAKE3(fragment)
//! fragments root  = Merkle root over the n fragment roots
//! segment id      = BLAKE3-derive("cess segment v1", profile (1) ‖ k (2, BE) ‖ n (2, BE) ‖ length (8, BE) ‖ fragments root)
//! fragment length = 4 KiB × ceil(length / (4 KiB × k)), at least 64 KiB
//! ```

use crate::{
    hash::{derive, domain},
    merkle,
};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// Fragments are multiples of this.
pub const FRAGMENT_STEP_BYTES: u64 = 4 << 10;
/// No fragment is shorter.
pub const FRAGMENT_BYTES_MIN: u64 = 64 << 10;

/// Identity of a segment: it commits to the code, the length and every fragment.
pub type SegmentId = B256;

/// An erasure code with its write quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Profile {
    /// 4 + 4, for one machine.
    Devnet = 0,
    /// 16 + 24, for small networks.
    Standard = 1,
    /// 32 + 48, for the main network.
    Wide = 2,
}

impl Profile {
    /// The profile with this number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Devnet),
            1 => Some(Self::Standard),
            2 => Some(Self::Wide),
            _ => None,
        }
    }

    /// Fragments that carry data: k.
    pub const fn data(self) -> u16 {
        match self {
            Self::Devnet => 4,
            Self::Standard => 16,
            Self::Wide => 32,
        }
    }

    /// Fragments in all: n.
    pub const fn total(self) -> u16 {
        match self {
            Self::Devnet => 8,
            Self::Standard => 40,
            Self::Wide => 80,
        }
    }

    /// Members that must have signed before a write counts.
    pub const fn write_quorum(self) -> u16 {
        match self {
            Self::Devnet => 6,
            Self::Standard => 36,
            Self::Wide => 72,
        }
    }

    /// An open volume with this many live members, or fewer, is repaired.
    pub const fn open_trigger(self) -> u16 {
        self.total() - 1
    }

    /// A sealed volume with this many live members, or fewer, is repaired.
    pub const fn sealed_trigger(self) -> u16 {
        match self {
            Self::Devnet => 6,
            Self::Standard => 34,
            Self::Wide => 68,
        }
    }

    /// A volume with this many live members, or fewer, is repaired without grace.
    pub const fn urgent_trigger(self) -> u16 {
        match self {
            Self::Devnet => 5,
            Self::Standard => 28,
            Self::Wide => 56,
        }
    }

    /// Length of each fragment of a segment of `length` bytes.
    pub const fn fragment_bytes(self, length: u64) -> u64 {
        let steps = length.div_ceil(FRAGMENT_STEP_BYTES * self.data() as u64);
        let bytes = steps.saturating_mul(FRAGMENT_STEP_BYTES);
        if bytes < FRAGMENT_BYTES_MIN { FRAGMENT_BYTES_MIN } else { bytes }
    }

    /// Bytes that a segment of `length` bytes occupies and is billed for.
    pub const fn billed_bytes(self, length: u64) -> u64 {
        self.fragment_bytes(length).saturating_mul(self.total() as u64)
    }
}

/// The identity of a segment from the root over its fragment roots.
pub fn segment_id(profile: Profile, length: u64, fragments_root: &B256) -> SegmentId {
    derive(
        domain::SEGMENT,
        &[
            &[profile as u8],
            &profile.data().to_be_bytes(),
            &profile.total().to_be_bytes(),
            &length.to_be_bytes(),
            fragments_root.as_slice(),
        ],
    )
}

/// Proof that a fragment belongs to a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentProof {
    /// Which of the n fragments.
    pub index: u16,
    /// BLAKE3 of the fragment.
    pub root: B256,
    /// Siblings from the fragment root up.
    pub path: Vec<B256>,
}

impl FragmentProof {
    /// Whether the fragment is the segment's.
    pub fn verify(&self, profile: Profile, length: u64, id: &SegmentId) -> bool {
        let depth = usize::from(profile.total()).next_power_of_two().trailing_zeros() as usize;
        self.index < profile.total()
            && self.path.len() == depth
            && merkle::root_of(&self.root, u64::from(self.index), &self.path)
                .is_some_and(|root| segment_id(profile, length, &root) == *id)
    }
}
