//! Lay out the present round.

use super::{Missing, Query, Words};
use crate::{abi::AUDITS, packed};
use alloy_primitives::{Address, B256, U256};

const CLOCK: U256 = U256::ZERO;
const SAMPLED: U256 = U256::from_limbs([2, 0, 0, 0]);
const BEACON_A: U256 = U256::from_limbs([3, 0, 0, 0]);
const BEACON_B: U256 = U256::from_limbs([4, 0, 0, 0]);

/// What a round is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Between rounds.
    #[default]
    Rest = 0,
    /// The view whose seed is beacon A is fixed.
    AwaitA = 1,
    /// Commitments are taken.
    Commit = 2,
    /// The view whose seed is beacon B is fixed.
    AwaitB = 3,
    /// Openings are taken.
    Open = 4,
    /// Missing openings are judged.
    Settle = 5,
}

impl Stage {
    /// The stage with this number.
    pub fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::AwaitA,
            2 => Self::Commit,
            3 => Self::AwaitB,
            4 => Self::Open,
            5 => Self::Settle,
            _ => Self::Rest,
        }
    }
}

packed! {
    /// Where the present round is.
    pub struct Clock {
        /// Counts the rounds that were opened.
        number: u64,
        /// A [`Stage`].
        stage: u8,
        /// End of the stage, where it has one.
        deadline_ms: u64,
        /// When beacon A was asked for.
        opened_ms: u64,
    }
}

packed! {
    /// Whom the round asks.
    pub struct Sampled {
        /// Lots numbered at beacon A, withdrawn ones too.
        lots: u32,
        /// Of these, not withdrawn.
        live: u32,
        /// Samples, with those of watched miners.
        samples: u32,
        /// Samples judged.
        cursor: u32,
        /// Samples opened.
        opened: u32,
        /// Number in the queue of the first miner watched.
        watch_first: u64,
        /// Miners watched.
        watched: u32,
    }
}

/// Where the present round is, and what it asks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Counts the rounds that were opened.
    pub number: u64,
    /// What it is at.
    pub stage: Stage,
    /// Lots numbered at beacon A.
    pub lots: u32,
    /// Samples, from beacon B on.
    pub samples: u32,
    /// Says what is asked.
    pub beacon_a: B256,
    /// Says what is opened.
    pub beacon_b: B256,
}

/// The present round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundQuery;

impl Query for RoundQuery {
    type Record = Round;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![CLOCK, SAMPLED, BEACON_A, BEACON_B]
    }

    fn read(&self, words: &Words) -> Result<Round, Missing> {
        let clock: Clock = words.one(AUDITS, CLOCK)?;
        let sampled: Sampled = words.one(AUDITS, SAMPLED)?;
        Ok(Round {
            number: clock.number,
            stage: Stage::from_u8(clock.stage),
            lots: sampled.lots,
            samples: sampled.samples,
            beacon_a: words.one(AUDITS, BEACON_A)?,
            beacon_b: words.one(AUDITS, BEACON_B)?,
        })
    }
}
