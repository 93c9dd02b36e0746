//! Draw what the second beacon of a round has opened.
//!
//! # Format
//! ```text
//! word(purpose, try) = first 16 bytes, big endian, of
//!                      BLAKE3-derive("cess audit sample v1", beacon B (32) ‖ number (4) ‖ purpose (1) ‖ try (1))
//! lot    = 1 + word(0, try) mod lots          the first of 8 tries that hits a live lot counts; its miner is asked
//! aim    = word(1, 0) mod 4                   0, 1: deep; 2: fresh; 3: light
//! entry  = deep:  word(2, 0) mod deep
//!          fresh: covered + word(2, 0) mod lots of the miner
//!          light: deep + word(2, 0) mod (covered − deep), or word(2, 0) mod covered if all are deep
//! chunk  = word(3, 0) mod chunks of a slot    of a deep response
//!          word(3, 0) mod chunks of the fragment, with number 2^32 − 1 − (id mod 2^32): of a directed challenge
//! ```

use crate::{chunk, round::Round};
use alloy_primitives::B256;
use types::hash::derive;

const SAMPLE: &str = "cess audit sample v1";

/// Tries for a live lot.
pub const TRIES_MAX: u8 = 8;

/// One sample of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Beacon B.
    pub beacon: B256,
    /// Its number within the round.
    pub number: u32,
}

/// Which kind of entry a sample opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// A response over a whole slot.
    Deep,
    /// A response over a chunk of what was written lately.
    Fresh,
    /// A response over one chunk.
    Light,
}

impl Sample {
    fn word(&self, purpose: u8, attempt: u8, below: u64) -> u64 {
        let hash = derive(SAMPLE, &[self.beacon.as_slice(), &self.number.to_be_bytes(), &[purpose, attempt]]);
        let word = hash.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        // Below `below`, which is 64 bits wide.
        word.checked_rem(u128::from(below)).unwrap_or_default() as u64
    }

    /// The lot, from 1 on, that one of the tries hits.
    pub fn lot(&self, attempt: u8, lots: u32) -> u32 {
        (self.word(0, attempt, lots.into()) as u32).saturating_add(1)
    }

    /// The kind of entry: half are deep, a quarter fresh.
    pub fn aim(&self) -> Aim {
        match self.word(1, 0, 4) {
            0 | 1 => Aim::Deep,
            2 => Aim::Fresh,
            _ => Aim::Light,
        }
    }

    /// The entry of a miner's responses that this sample opens; `Light` also serves where nothing is fresh.
    pub fn entry(&self, round: &Round, aim: Aim) -> u64 {
        let (covered, deep) = (round.covered(), round.deep());
        match aim {
            Aim::Deep => self.word(2, 0, deep),
            Aim::Fresh => covered.saturating_add(self.word(2, 0, round.lots.into())),
            Aim::Light if covered > deep => deep.saturating_add(self.word(2, 0, covered - deep)),
            Aim::Light => self.word(2, 0, covered),
        }
    }

    /// The chunk of a deep response that is shown.
    pub fn chunk(&self, chunks: u64) -> u64 {
        self.word(3, 0, chunks)
    }
}

/// The chunk of the fragment that a directed challenge asks for.
pub fn challenged_chunk(beacon: B256, challenge: u64, fragment_bytes: u64) -> u64 {
    // Numbers of samples end far below.
    let number = u32::MAX.wrapping_sub(challenge as u32);
    Sample { beacon, number }.chunk(chunk::count(fragment_bytes))
}
