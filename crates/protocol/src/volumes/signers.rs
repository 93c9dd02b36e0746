//! Read which members signed a batch.

use crate::Result;
use alloy_primitives::{Bytes, U256};
use types::{Profile, abi::IVolumes};

/// Which members signed.
#[derive(Clone, Copy, Debug)]
pub struct Signers {
    seats: u16,
    signed: U256,
}

impl Signers {
    /// Reads a bitmap, least significant bit first, of exactly as many bytes as the seats need and no other bits.
    pub fn parse(bytes: &[u8], seats: u16) -> Result<Self> {
        let mut word = [0; 32];
        let fits = bytes.len() == usize::from(seats.div_ceil(8)) && bytes.len() <= word.len();
        for (place, byte) in word.iter_mut().zip(bytes) {
            *place = *byte;
        }
        let signed = U256::from_le_bytes(word);
        if !fits || signed.bit_len() > usize::from(seats) {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        Ok(Self { seats, signed })
    }

    /// How many signed.
    pub fn count(&self) -> u64 {
        self.signed.count_ones() as u64
    }

    /// How many did not sign.
    pub fn skipped(&self) -> u64 {
        u64::from(self.seats).saturating_sub(self.count())
    }

    /// Refuses fewer than the profile's write quorum.
    pub fn require_quorum(&self, profile: Profile) -> Result<()> {
        let (signed, needed) = (self.count(), u64::from(profile.write_quorum()));
        if signed < needed {
            return Err(IVolumes::QuorumMissing { signed: U256::from(signed), needed: U256::from(needed) }.into());
        }
        Ok(())
    }

    /// Those of `seats` that signed.
    pub fn select(&self, seats: &[u32]) -> impl Iterator<Item = u32> {
        seats.iter().enumerate().filter(|(seat, _)| self.signed.bit(*seat)).map(|(_, miner)| *miner)
    }

    /// The seats that did not sign.
    pub fn missing(&self) -> U256 {
        let all = U256::MAX.wrapping_shr(256usize.saturating_sub(self.seats.into()));
        all & !self.signed
    }

    /// The same as a bitmap, least significant bit first.
    pub fn missing_bytes(&self) -> Bytes {
        let bytes = self.missing().to_le_bytes::<32>();
        bytes.iter().take(self.seats.div_ceil(8).into()).copied().collect()
    }
}
