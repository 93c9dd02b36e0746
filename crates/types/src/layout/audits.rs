//! Lay out the present round.

use super::{Missing, Query, Words, entry, offset};
use crate::{abi::AUDITS, packed};
use alloy_primitives::{Address, B256, U256};

const CLOCK: U256 = U256::ZERO;
const SAMPLED: U256 = U256::from_limbs([2, 0, 0, 0]);
const BEACON_A: U256 = U256::from_limbs([3, 0, 0, 0]);
const BEACON_B: U256 = U256::from_limbs([4, 0, 0, 0]);
/// `mapping(uint32 miner => Miner)`, 10 slots each.
const MINERS: U256 = U256::from_limbs([10, 0, 0, 0]);
/// `mapping(uint64 round => bytes32)`.
const BEACONS: U256 = U256::from_limbs([15, 0, 0, 0]);
/// `mapping(uint64 => Demand)`.
const DEMANDS: U256 = U256::from_limbs([17, 0, 0, 0]);
/// Places in a miner's record: what it is asked beside rounds, its runs, and its demands.
const LOAD: u64 = 7;
const RUNS: u64 = 8;
const DEMAND_LIST: u64 = 9;

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

packed! {
    /// A miner's lots, numbered in the order of their pledges.
    pub struct Roll {
        /// Ever pledged.
        lots: u32,
        /// Not withdrawn.
        live: u32,
        /// How they came: consecutive lots of one pledge.
        runs: u32,
        /// Lots before the first change in `round`.
        before: u32,
        /// The last round with a change.
        round: u64,
    }
}

packed! {
    /// Consecutive lots of one pledge.
    pub struct Run {
        /// Number of the first one within the miner.
        start: u32,
        /// The first one.
        lot: u32,
        /// The first round that opens after the pledge: its beacon A is what their idle units come from.
        round: u64,
    }
}

packed! {
    /// What a miner is asked beside rounds.
    pub struct Load {
        /// During which `challenges` were made.
        round: u64,
        /// Directed challenges.
        challenges: u32,
        /// Demands ever made of it.
        demands: u32,
        /// Of these, not settled.
        pending: u32,
        /// The round until which the last of these may be met.
        until: u64,
    }
}

/// How a demand stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DemandState {
    /// Walks are to be shown.
    Open = 1,
    /// All were.
    Met = 2,
    /// Not in time.
    Failed = 3,
    /// The lot's root was taken back meanwhile.
    Void = 4,
}

packed! {
    /// Walks that a beacon asks of consecutive lots of a miner.
    pub struct Demand {
        /// The miner.
        miner: u32,
        /// The first lot.
        first: u32,
        /// How many.
        lots: u8,
        /// Number of the first walk.
        first_walk: u32,
        /// How many.
        walks: u8,
        /// Bit t: walk `first_walk + t` was shown.
        shown: u32,
        /// Whose beacon A draws them.
        round: u64,
        /// Rounds after that one in which they may be shown.
        window: u16,
        /// Of these, over when the last one was shown.
        met: u16,
        /// A [`DemandState`]; zero if there is no such demand.
        state: u8,
    }
}

impl Demand {
    /// The last round in which walks may be shown.
    pub fn deadline(&self) -> u64 {
        self.round.saturating_add(self.window.into())
    }

    /// The round during which the last walk was shown, if it was.
    pub fn met_in(&self) -> Option<u64> {
        (self.state == DemandState::Met as u8).then(|| self.round.saturating_add(self.met.into()))
    }

    /// Whether walk `first_walk + walk` was shown.
    pub fn has(&self, walk: u8) -> bool {
        self.shown.checked_shr(walk.into()).unwrap_or_default() & 1 == 1
    }

    /// Walks that were not shown.
    pub fn missing(&self) -> u32 {
        u32::from(self.walks).saturating_sub(self.shown.count_ones())
    }
}

/// How much a miner is asked beside rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadQuery {
    /// The miner.
    pub miner: u32,
}

impl LoadQuery {
    fn slot(&self) -> U256 {
        offset(entry(&self.miner, MINERS), LOAD)
    }
}

impl Query for LoadQuery {
    type Record = Load;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<Load, Missing> {
        words.one(AUDITS, self.slot())
    }
}

/// The number of one of a miner's demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemandNumberQuery {
    /// The miner.
    pub miner: u32,
    /// Which of its demands, from 0 on.
    pub index: u32,
}

impl DemandNumberQuery {
    fn slot(&self) -> U256 {
        entry(&self.index, offset(entry(&self.miner, MINERS), DEMAND_LIST))
    }
}

impl Query for DemandNumberQuery {
    type Record = u64;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<u64, Missing> {
        words.one(AUDITS, self.slot())
    }
}

/// A demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemandQuery {
    /// Its number.
    pub demand: u64,
}

impl Query for DemandQuery {
    type Record = Demand;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![entry(&self.demand, DEMANDS)]
    }

    fn read(&self, words: &Words) -> Result<Demand, Missing> {
        words.one(AUDITS, entry(&self.demand, DEMANDS))
    }
}

/// How many lots a miner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollQuery {
    /// The miner.
    pub miner: u32,
}

impl Query for RollQuery {
    type Record = Roll;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![entry(&self.miner, MINERS)]
    }

    fn read(&self, words: &Words) -> Result<Roll, Missing> {
        words.one(AUDITS, entry(&self.miner, MINERS))
    }
}

/// One of a miner's pledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunQuery {
    /// The miner.
    pub miner: u32,
    /// Which of its pledges, from 0 on.
    pub index: u32,
}

impl RunQuery {
    fn slot(&self) -> U256 {
        entry(&self.index, offset(entry(&self.miner, MINERS), RUNS))
    }
}

impl Query for RunQuery {
    type Record = Run;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<Run, Missing> {
        words.one(AUDITS, self.slot())
    }
}

/// Beacon A of a round; zero before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeaconQuery {
    /// The round.
    pub round: u64,
}

impl Query for BeaconQuery {
    type Record = B256;
    const MODULE: Address = AUDITS;

    fn slots(&self) -> Vec<U256> {
        vec![entry(&self.round, BEACONS)]
    }

    fn read(&self, words: &Words) -> Result<B256, Missing> {
        words.one(AUDITS, entry(&self.round, BEACONS))
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
