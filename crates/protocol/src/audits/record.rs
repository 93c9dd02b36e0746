//! Lay out what is stored of rounds, miners' standing, plots and challenges.

use crate::{
    layout,
    storage::{Bitmap, Mapping, Slot, U32Array},
};
use alloy_primitives::{Address, B256, U256};
pub use types::layout::audits::{Clock, Demand, DemandState, Load, Roll, Run, Sampled, Stage};
use types::{abi::DECLARED_MAX, packed};

packed! {
    /// The view whose seed is awaited.
    pub struct Target {
        epoch: u64,
        view: u64,
    }
}

packed! {
    /// Lots of all miners now.
    pub struct Census {
        lots: u32,
        live: u32,
    }
}

packed! {
    /// Bytes of commitments and openings in a block.
    pub struct Lane {
        height: u64,
        bytes: u64,
        at_ms: u64,
    }
}

packed! {
    /// Running numbers of the queue of watched miners.
    pub struct Queue {
        first: u64,
        end: u64,
    }
}

packed! {
    /// What is known of a miner's answers.
    pub struct Standing {
        /// Rounds up to this one were answered or fined.
        booked: u64,
        /// Last round with a commitment.
        committed: u64,
        /// Last round with a fault.
        faulted: u64,
        faults: u32,
        /// Rounds still to be answered with additional samples; in the queue while not zero.
        watched: u8,
        /// Entries declared lost in the last commitment.
        declared: u8,
        /// Rounds in a row that were not answered.
        missed: u16,
    }
}

packed! {
    /// What is not yet paid, by the time it was earned.
    pub struct Earned {
        /// In the present era.
        current: u128,
        /// In the era before.
        previous: u128,
    }
}

packed! {
    /// What may be claimed.
    pub struct Vested {
        amount: u128,
        /// The era that [`Earned`] is of.
        era: u64,
    }
}

layout! {
    /// A miner.
    pub struct MinerRecord {
        roll: Slot<Roll>,
        standing: Slot<Standing>,
        commitment: Slot<B256>,
        declared: U32Array<DECLARED_MAX>,
        earned: Slot<Earned>,
        vested: Slot<Vested>,
        /// Fined for missed rounds since the last answered one.
        outage: Slot<u128>,
        load: Slot<Load>,
        runs: Mapping<u32, Slot<Run>>,
        /// Its demands, in order.
        demands: Mapping<u32, Slot<u64>>,
    }
}

packed! {
    /// Rounds in the life of a lot.
    pub struct Marks {
        /// During which its idle root was named.
        named: u64,
        /// Last one in which it failed.
        faulted: u64,
        /// The demand that was made when its root was named; zero where pledges are not checked.
        demand: u64,
    }
}

packed! {
    /// Demands of the network, numbered from 1 on in the order of their deadlines.
    pub struct Docket {
        /// The first that is not settled.
        first: u64,
        /// All that were made.
        made: u64,
        /// Later checks of the present round.
        spots: u32,
        /// Of these, drawn.
        drawn: u32,
    }
}

layout! {
    /// What a lot's idle space is checked against, and how it fared.
    pub struct Plot {
        root: Slot<B256>,
        marks: Slot<Marks>,
    }
}

packed! {
    /// What a directed challenge asks.
    pub struct Terms {
        volume: u32,
        stripe: u32,
        seat: u16,
        miner: u32,
        round: u64,
        state: u8,
        /// With which the miner holds the seat.
        lot: u32,
    }
}

packed! {
    /// Where the challenged fragment lies in the column.
    pub struct Span {
        offset: u64,
        fragment_bytes: u64,
    }
}

layout! {
    /// A directed challenge.
    pub struct ChallengeRecord {
        terms: Slot<Terms>,
        span: Slot<Span>,
        challenger: Slot<Address>,
    }
}

layout! {
    /// The module's storage.
    pub struct Storage {
        clock: Slot<Clock>,
        target: Slot<Target>,
        sampled: Slot<Sampled>,
        beacon_a: Slot<B256>,
        beacon_b: Slot<B256>,
        census: Slot<Census>,
        lane: Slot<Lane>,
        reserve: Slot<U256>,
        queue: Slot<Queue>,
        /// Miners under additional sampling.
        watch: Mapping<u64, Slot<u32>>,
        miners: Mapping<u32, MinerRecord>,
        plots: Mapping<u32, Plot>,
        /// Samples of the present round that were opened.
        opened: Bitmap,
        challenge_count: Slot<u64>,
        challenges: Mapping<u64, ChallengeRecord>,
        /// Beacon A of every round: what the idle units of lots come from that were pledged before it.
        beacons: Mapping<u64, Slot<B256>>,
        docket: Slot<Docket>,
        demands: Mapping<u64, Slot<Demand>>,
    }
}
