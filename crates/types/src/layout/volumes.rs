//! Lay out volumes, their logs, and leases.

use super::{LANES, Missing, Query, Words, elements, entry, lane_slots, lanes, offset};
use crate::{
    Profile, SegmentId,
    abi::{IVolumes, VOLUMES},
    merkle::{Frontier, LOG_DEPTH},
    packed,
};
use alloy_primitives::{Address, B256, U256};

/// Room for the seats of any profile.
pub const SEATS_MAX: usize = 256;

/// `uint32`: volumes ever formed.
pub const COUNT: U256 = U256::from_limbs([1, 0, 0, 0]);
/// `mapping(uint32 policy => uint32[])`: volumes that take writes.
pub const OPEN: U256 = U256::from_limbs([2, 0, 0, 0]);
/// `mapping(uint32 volume => Volume)`.
pub const RECORDS: U256 = U256::from_limbs([3, 0, 0, 0]);
/// `mapping(uint64 territory => mapping(uint32 volume => Lease))`.
pub const LEASES: U256 = U256::from_limbs([4, 0, 0, 0]);
/// `mapping(uint64 territory => mapping(uint64 word => uint256))`: sequences that were used, a bit each.
pub const SEQUENCES: U256 = U256::from_limbs([5, 0, 0, 0]);

/// Places in a record.
const FRONTIER: u64 = 1;
const LOTS: u64 = FRONTIER + LOG_DEPTH as u64;
const MINERS: u64 = LOTS + (SEATS_MAX / LANES) as u64;
const POSITIONS: u64 = MINERS + (SEATS_MAX / LANES) as u64;
const CARE: u64 = POSITIONS + 6;
/// Places in what is kept of a seat that is not whole.
const TARGET: u64 = 1;
const PAY: u64 = 2;

packed! {
    /// What a volume is and how far it is filled.
    pub struct Head {
        profile: u8,
        open: bool,
        policy: u32,
        stripe_count: u32,
        /// Position in the list of open volumes.
        open_position: u32,
        /// Length of each column.
        column_bytes: u64,
        /// Full: takes no writes for ever. One that is neither open nor full waits for its repair.
        full: bool,
        /// Formed under a policy that earns emission.
        subsidised: bool,
        /// One more than the urgency of the queue for repair that it stands in.
        queued: u8,
    }
}

packed! {
    /// What each member may still stage for a territory.
    pub struct Lease {
        column_bytes: u64,
        until_ms: u64,
    }
}

packed! {
    /// What goes on at a seat; all zero for one that is whole.
    pub struct SeatState {
        /// As `IVolumes.Seat` numbers its states.
        phase: u8,
        /// Of the loss.
        reason: u8,
        /// The successor's, while a seat is handed over.
        lot: u32,
        /// The successor, while a seat is handed over.
        miner: u32,
        /// When it came into this phase.
        since_ms: u64,
        /// The newcomer owes the column up to here, and what was committed since it took the seat.
        watermark: u64,
    }
}

packed! {
    /// Pay for a rebuild, in wei.
    pub struct Pay {
        /// For the whole column.
        total: u128,
        /// Not yet claimed.
        left: u128,
    }
}

fn record(volume: u32) -> U256 {
    entry(&volume, RECORDS)
}

/// Heights of the entries that count in a frontier of so many leaves.
fn frontier_heights(count: u64) -> impl Iterator<Item = usize> {
    // The full log keeps its root at the top entry.
    let is_full = count >> LOG_DEPTH != 0;
    (0..LOG_DEPTH).filter(move |height| count >> height & 1 == 1 || is_full && height + 1 == LOG_DEPTH)
}

fn frontier_slots(base: U256, count: u64) -> impl Iterator<Item = U256> {
    frontier_heights(count).map(move |height| offset(base, FRONTIER + height as u64))
}

fn read_frontier(words: &Words, base: U256, count: u64) -> Result<Frontier, Missing> {
    let siblings = words.many(VOLUMES, frontier_slots(base, count))?;
    let mut left = [B256::ZERO; LOG_DEPTH];
    frontier_heights(count).zip(siblings).for_each(|(height, sibling)| left[height] = sibling.into());
    Ok(Frontier::new(count, left))
}

/// Who sits in a volume, and how full it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    /// Its code.
    pub profile: Profile,
    /// The policy it was formed under.
    pub policy: u32,
    /// Whether it takes writes.
    pub open: bool,
    /// Stripes in its log.
    pub stripe_count: u32,
    /// Bytes of each column so far.
    pub column_bytes: u64,
    /// Miners by seat.
    pub miners: Vec<u32>,
}

/// The seats of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatsQuery {
    /// The volume.
    pub volume: u32,
    /// The code that it most likely has.
    pub profile: Profile,
}

impl Query for SeatsQuery {
    /// Nothing if there is no such volume, or its code is not known here.
    type Record = Option<Seats>;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        let base = record(self.volume);
        let miners = lane_slots(offset(base, MINERS), self.profile.total().into());
        std::iter::once(base).chain(miners).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = record(self.volume);
        let Head { profile, open, policy, stripe_count, column_bytes, .. } = words.one(VOLUMES, base)?;
        let Some(profile) = Profile::from_u8(profile) else { return Ok(None) };
        let miners = words.lanes(VOLUMES, offset(base, MINERS), profile.total().into())?;
        // Miners count from 1: who has formed has no empty seat.
        let has_formed = miners.iter().all(|miner| *miner > 0);
        Ok(has_formed.then_some(Seats { profile, policy, open, stripe_count, column_bytes, miners }))
    }
}

/// A volume's log by its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Stripes in it.
    pub stripe_count: u32,
    /// Its root.
    pub root: B256,
}

/// The log of a volume. An unknown volume has an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// The volume.
    pub volume: u32,
    /// Stripes that it most likely has.
    pub stripe_count: u32,
}

impl Query for LogQuery {
    type Record = Log;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        let base = record(self.volume);
        std::iter::once(base).chain(frontier_slots(base, self.stripe_count.into())).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = record(self.volume);
        let Head { stripe_count, .. } = words.one(VOLUMES, base)?;
        let root = read_frontier(words, base, stripe_count.into())?.root();
        Ok(Log { stripe_count, root })
    }
}

/// All that a volume's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeQuery(pub SeatsQuery);

impl Query for VolumeQuery {
    /// As [`SeatsQuery`] has it.
    type Record = Option<IVolumes::Volume>;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        let base = record(self.0.volume);
        let frontier = (0..LOG_DEPTH as u64).map(|height| offset(base, FRONTIER + height));
        let lots = lane_slots(offset(base, LOTS), self.0.profile.total().into());
        self.0.slots().into_iter().chain(frontier).chain(lots).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let Some(seats) = self.0.read(words)? else { return Ok(None) };
        let base = record(self.0.volume);
        Ok(Some(IVolumes::Volume {
            profile: seats.profile as u8,
            policy: seats.policy,
            open: seats.open,
            stripeCount: seats.stripe_count,
            columnBytes: seats.column_bytes,
            stripesRoot: read_frontier(words, base, seats.stripe_count.into())?.root(),
            lots: words.lanes(VOLUMES, offset(base, LOTS), seats.miners.len())?,
            miners: seats.miners,
        }))
    }
}

/// A seat: who holds it, and what goes on there. All zero for a seat that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatQuery {
    /// The volume.
    pub volume: u32,
    /// The seat.
    pub seat: u16,
}

impl SeatQuery {
    fn care(&self) -> U256 {
        entry(&u32::from(self.seat), offset(record(self.volume), CARE))
    }

    /// The word of a list by seats that this seat is in.
    fn word(&self, list: u64) -> U256 {
        offset(record(self.volume), list + u64::from(self.seat) / LANES as u64)
    }

    fn in_word(&self, words: &Words, list: u64) -> Result<u32, Missing> {
        let word = words.many(VOLUMES, [self.word(list)])?;
        Ok(word.into_iter().flat_map(lanes).nth(usize::from(self.seat) % LANES).unwrap_or_default())
    }
}

impl Query for SeatQuery {
    type Record = IVolumes::Seat;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        let care = self.care();
        vec![self.word(LOTS), self.word(MINERS), care, offset(care, TARGET), offset(care, PAY)]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let care = self.care();
        let SeatState { phase, reason, lot, miner, since_ms, watermark } = words.one(VOLUMES, care)?;
        let Pay { left, .. } = words.one(VOLUMES, offset(care, PAY))?;
        Ok(IVolumes::Seat {
            state: phase,
            reason,
            lot: self.in_word(words, LOTS)?,
            miner: self.in_word(words, MINERS)?,
            successorLot: lot,
            successor: miner,
            sinceMs: since_ms,
            watermark,
            targetBytes: words.one(VOLUMES, offset(care, TARGET))?,
            payLeft: U256::from(left),
        })
    }
}

/// The volumes of a policy that take writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenQuery {
    /// The policy.
    pub policy: u32,
}

impl Query for OpenQuery {
    type Record = Vec<u32>;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        let list = entry(&self.policy, OPEN);
        vec![list, elements(list)]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let list = entry(&self.policy, OPEN);
        let count: u32 = words.one(VOLUMES, list)?;
        words.lanes(VOLUMES, elements(list), count as usize)
    }
}

/// What a territory may still stage on each member of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseQuery {
    /// The territory.
    pub territory: u64,
    /// The volume.
    pub volume: u32,
}

impl LeaseQuery {
    fn slot(&self) -> U256 {
        entry(&self.volume, entry(&self.territory, LEASES))
    }
}

impl Query for LeaseQuery {
    type Record = Lease;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        words.one(VOLUMES, self.slot())
    }
}

/// One more than the place of a live segment in a volume's log, or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionQuery {
    /// The volume.
    pub volume: u32,
    /// The segment.
    pub segment: SegmentId,
}

impl PositionQuery {
    fn slot(&self) -> U256 {
        entry(&self.segment, offset(record(self.volume), POSITIONS))
    }
}

impl Query for PositionQuery {
    type Record = u32;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        words.one(VOLUMES, self.slot())
    }
}

/// Whether a territory has made a commit with this sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceQuery {
    /// The territory.
    pub territory: u64,
    /// The sequence.
    pub sequence: u64,
}

impl SequenceQuery {
    fn slot(&self) -> U256 {
        entry(&(self.sequence / 256), entry(&self.territory, SEQUENCES))
    }
}

impl Query for SequenceQuery {
    type Record = bool;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        vec![self.slot()]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let word: U256 = words.one(VOLUMES, self.slot())?;
        Ok(word.bit((self.sequence % 256) as usize))
    }
}

/// How many volumes were ever formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountQuery;

impl Query for CountQuery {
    type Record = u32;
    const MODULE: Address = VOLUMES;

    fn slots(&self) -> Vec<U256> {
        vec![COUNT]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        words.one(VOLUMES, COUNT)
    }
}
