//! Lay out what is stored of volumes, leases and the draw.

use crate::{
    Checked, Ledger, Result, layout,
    storage::{Array, Bitmap, Mapping, Ring, Slot, U32Array, U32List},
};
use alloy_primitives::{B256, U256};
pub use types::layout::volumes::{Head, Lease, Pay, SeatState};
use types::{
    Profile,
    abi::IVolumes,
    layout::volumes::SEATS_MAX,
    merkle::{Frontier, LOG_DEPTH},
    packed,
};

packed! {
    /// The draw that is pending: for which policy, and by the seed of which view.
    pub struct Draw {
        epoch: u64,
        view: u64,
        policy: u32,
        pending: bool,
        /// Whether it replaces members instead of forming a volume.
        replaces: bool,
        /// Whether what can be drawn is a large part of all.
        subsidised: bool,
        /// Whether the last draw replaced members.
        replaced_last: bool,
        /// The view that an audit round waits for, or zero; of the same epoch once a block has begun.
        audit_view: u64,
    }
}

packed! {
    /// A volume as it was at beacon A of a round, kept by its first change after that.
    pub struct Snapshot {
        round: u64,
        column_bytes: u64,
        stripe_count: u32,
    }
}

packed! {
    /// Where the column ended when the first stripe of a day was appended, and of the day before; a day is a fixed number
    /// of rounds.
    pub struct Marks {
        day: u64,
        start: u64,
        before: u64,
    }
}

packed! {
    /// The volumes whose members the pending draw replaces.
    pub struct Batch {
        first: u32,
        second: u32,
        third: u32,
        fourth: u32,
    }
}

packed! {
    /// Who answered for a seat at beacon A of a round, kept by its first change after that.
    pub struct Tenure {
        round: u64,
        lot: u32,
        /// The lot that the seat was being handed over to; it answers for the column below `gap_from`.
        successor: u32,
        /// What a newcomer had not taken over yet; [`NOTHING_OWED`] where the lot owes nothing any more.
        gap_from: u64,
        gap_to: u64,
    }
}

/// The gap of a lot that is known to have lost its column.
pub const NOTHING_OWED: u64 = u64::MAX;

packed! {
    /// Something to look at when its time has come.
    pub struct Timer {
        volume: u32,
        seat: u16,
        /// Since when the seat must have been as it was when this was set.
        since_ms: u64,
        due_ms: u64,
    }
}

layout! {
    /// A seat that is not whole, or was not for long.
    pub struct Care {
        state: Slot<SeatState>,
        /// Bytes of the column to take over.
        target: Slot<u64>,
        pay: Slot<Pay>,
        /// Bytes that each helper's seat was paid for.
        helped: Mapping<u32, Slot<u64>>,
        tenure: Slot<Tenure>,
    }
}

layout! {
    /// A volume.
    pub struct VolumeRecord {
        head: Slot<Head>,
        /// Left siblings of the log, by height.
        frontier: Array<Slot<B256>, LOG_DEPTH>,
        lots: U32Array<SEATS_MAX>,
        miners: U32Array<SEATS_MAX>,
        /// One more than the index of a live segment.
        positions: Mapping<B256, Slot<u32>>,
        /// Indices of released stripes.
        released: Bitmap,
        /// Seats that did not sign a stripe, a bit each; none for a stripe that all signed.
        missing: Mapping<u32, Slot<U256>>,
        /// Seats that are lost or rebuilding, a bit each.
        lost: Slot<U256>,
        /// Seats whose holders wait for a successor.
        leaving: Slot<U256>,
        /// Seats that the pending draw fills.
        drawing: Slot<U256>,
        /// By seat.
        care: Mapping<u32, Care>,
        snapshot: Slot<Snapshot>,
        /// Root of the log as of the snapshot.
        snapshot_root: Slot<B256>,
        marks: Slot<Marks>,
        /// By word of `released`: the round of its last change, and what it was at that round's beacon A.
        released_round: Mapping<u64, Slot<u64>>,
        released_before: Mapping<u64, Slot<U256>>,
        /// By stripe: the round in which a seat last took it on, and `missing` at that round's beacon A.
        missing_round: Mapping<u32, Slot<u64>>,
        missing_before: Mapping<u32, Slot<U256>>,
    }
}

layout! {
    /// The module's storage.
    pub struct Storage {
        draw: Slot<Draw>,
        volume_count: Slot<u32>,
        /// By policy.
        open: Mapping<u32, U32List>,
        volumes: Mapping<u32, VolumeRecord>,
        /// By territory and volume.
        leases: Mapping<u64, Mapping<u32, Slot<Lease>>>,
        /// By territory: sequences that were used.
        sequences: Mapping<u64, Bitmap>,
        batch: Slot<Batch>,
        /// Policies beside the public one that want volumes.
        hungry: Ring<u32>,
        /// Losses in their order, until their grace is over.
        graces: Ring<Timer>,
        /// Rebuilds in their order, until their deadline.
        deadlines: Ring<Timer>,
        /// Which queues for repair are not empty, a bit each.
        urgencies: Slot<U256>,
        /// Volumes to repair, by the number of members they can still lose.
        queues: Mapping<u32, Ring<u32>>,
        /// The last audit round that was opened.
        round: Slot<u64>,
    }
}

/// A volume that exists.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Its number.
    pub id: u32,
    /// Where it is stored.
    pub record: VolumeRecord,
    /// What was read of it.
    pub head: Head,
    /// Its code.
    pub profile: Profile,
}

impl Storage {
    /// Finds a volume.
    pub fn volume(&self, ledger: &mut dyn Ledger, id: u32) -> Result<Volume> {
        let unknown = IVolumes::UnknownVolume { volume: id };
        if id == 0 || id > self.volume_count.get(ledger)? {
            return Err(unknown.into());
        }
        let record = self.volumes.at(ledger, &id)?;
        let head = record.head.get(ledger)?;
        let profile = Profile::from_u8(head.profile).ok_or(unknown)?;
        Ok(Volume { id, record, head, profile })
    }

    /// Finds a volume that takes writes.
    pub fn open_volume(&self, ledger: &mut dyn Ledger, id: u32) -> Result<Volume> {
        let volume = self.volume(ledger, id)?;
        if !volume.head.open {
            return Err(IVolumes::VolumeClosed { volume: id }.into());
        }
        Ok(volume)
    }
}

impl Volume {
    /// Number of seats.
    pub fn seats(&self) -> u16 {
        self.profile.total()
    }

    /// Bytes of all columns together.
    pub fn billed(&self, column_bytes: u64) -> Result<u64> {
        column_bytes.times(self.seats().into())
    }

    /// Reads the left edge of the log: only the siblings that count.
    pub fn frontier(&self, ledger: &mut dyn Ledger) -> Result<Frontier> {
        let count = u64::from(self.head.stripe_count);
        let mut left = [B256::ZERO; LOG_DEPTH];
        for (height, sibling) in left.iter_mut().enumerate() {
            // The full log keeps its root at the top entry.
            let is_full_root = count.wrapping_shr(LOG_DEPTH as u32) != 0 && height.saturating_add(1) == LOG_DEPTH;
            if count.wrapping_shr(height as u32) & 1 == 1 || is_full_root {
                *sibling = self.record.frontier.at(height)?.get(ledger)?;
            }
        }
        Ok(Frontier::new(count, left))
    }
}
