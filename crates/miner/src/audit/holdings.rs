//! Find what this miner has, as of the beacon that opened a round.
//!
//! # Design
//! A round asks for what was owed at beacon A, which may lie blocks ago. What was released since is still here: such
//! fragments go back to staging and are let go between rounds only. So it is enough to know of a stripe whether it was
//! released at all, and to ask the chain about those few that are still here.

use crate::{
    idle::{IdleSpace, SlotError, UnitWitness, Verify},
    notes,
};
use alloy_primitives::B256;
use client::chain::{ChainApi, ChainError, Network};
use proofs::{
    chunk::{CHUNK_BYTES, Hash},
    response::{Duty, Service, Source, Unit, Witness},
    round::{Place, Shape},
};
use std::sync::Arc;
use store::{FragmentKey, FragmentRecord, ReadError, Reader, StoreError};
use tokio::runtime::Handle;
use types::{
    StripeLeaf,
    abi::{AUDITS, IAudits},
    merkle::Tree,
};

/// Bytes cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HoldingError {
    /// They are owed and not here.
    #[error("stripe {stripe} of volume {volume} is owed and not here")]
    Lost { volume: u32, stripe: u32 },
    /// The log has no such place.
    #[error("the log of volume {0} is not the one that the round asks about")]
    OtherLog(u32),
    /// This miner fills no idle space.
    #[error("lot {0} has no idle content here")]
    NotPlotted(u32),
    #[error(transparent)]
    Idle(#[from] SlotError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A lot of this miner, as of beacon A.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lot {
    /// Its number on the chain.
    pub(crate) id: u32,
    /// The volume it serves; 0 for none.
    pub(crate) volume: u32,
    pub(crate) duty: Duty,
}

/// What this miner has, for one round. Blocks: never to be used where others wait.
pub(crate) struct Holdings {
    pub(crate) store: Reader,
    pub(crate) idle: Option<IdleSpace>,
    pub(crate) chain: Arc<dyn ChainApi>,
    pub(crate) runtime: Handle,
    pub(crate) shape: Shape,
    pub(crate) lots: Vec<Lot>,
}

/// A stripe where a column is read.
struct Stripe {
    volume: u32,
    index: u32,
    leaf: StripeLeaf,
}

impl Holdings {
    fn lot(&self, number: u32) -> Lot {
        self.lots.get(number as usize).copied().unwrap_or_default()
    }

    /// The number of the lot in a seat.
    pub(crate) fn lot_in(&self, volume: u32, seat: u16) -> Option<u32> {
        let serves = |lot: &Lot| lot.volume == volume && lot.duty.service.is_some_and(|service| service.seat == seat);
        self.lots.iter().position(serves).map(|number| number as u32)
    }

    fn service(&self, number: u32) -> Result<(u32, Service), HoldingError> {
        let lot = self.lot(number);
        lot.duty.service.map(|service| (lot.volume, service)).ok_or(HoldingError::OtherLog(lot.volume))
    }

    /// The idle space, and a lot's number there.
    fn idle(&self, number: u32) -> Result<(&IdleSpace, u32), HoldingError> {
        let Lot { id, .. } = self.lot(number);
        self.idle.as_ref().map(|idle| (idle, id)).ok_or(HoldingError::NotPlotted(id))
    }

    /// Reads idle content. A whole slot is checked at the price of hashing it: rot is better found before the commitment.
    fn read_idle(&self, place: Place, offset: u64, bytes: &mut [u8]) -> Result<(), HoldingError> {
        let (idle, lot) = self.idle(place.lot)?;
        if bytes.len() as u64 != self.shape.slot_bytes {
            return Ok(idle.read(lot, place.slot, offset, bytes)?);
        }
        bytes.copy_from_slice(&idle.read_slot(lot, place.slot, Verify::Hash)?);
        Ok(())
    }

    fn leaf(&self, volume: u32, index: u32) -> Result<StripeLeaf, HoldingError> {
        let note = self.store.note(&notes::leaf_key(volume, index))?;
        note.as_deref().and_then(notes::read_leaf).ok_or(HoldingError::OtherLog(volume))
    }

    /// The stripe that covers a position of a column. Columns have no gaps, so stripes are searched by halves.
    fn covering(&self, volume: u32, stripe_count: u32, position: u64) -> Result<Stripe, HoldingError> {
        let (mut low, mut high) = (0, stripe_count);
        while low < high {
            let index = low + (high - low) / 2;
            let leaf = self.leaf(volume, index)?;
            if position < leaf.offset {
                high = index;
            } else if position - leaf.offset < leaf.fragment_bytes {
                return Ok(Stripe { volume, index, leaf });
            } else {
                low = index + 1;
            }
        }
        Err(HoldingError::OtherLog(volume))
    }

    /// The fragment of a stripe, if the seat owed it at beacon A.
    fn owed(&self, stripe: &Stripe, service: &Service) -> Result<Option<FragmentRecord>, HoldingError> {
        let Stripe { volume, index, leaf } = *stripe;
        if service.is_absent(&leaf) {
            return Ok(None);
        }
        let is_released = self.store.note(&notes::released_key(volume, index))?.is_some();
        let is_missing = self.store.note(&notes::missing_key(volume, index))?.is_some();
        let record = self.store.record(FragmentKey { segment: leaf.segment, volume })?;
        let is_doubtful = self.store.note(&notes::doubtful_key(volume, index))?.is_some();
        if !is_released && !is_missing && !is_doubtful {
            return record.map(Some).ok_or(HoldingError::Lost { volume, stripe: index });
        }
        if is_released && record.is_none() {
            return Ok(None);
        }
        let call = IAudits::owesCall { volume, stripe: index, seat: service.seat };
        let _clock = self.runtime.enter();
        match offload::wait(Network(&*self.chain).read(AUDITS, &call))? {
            true => record.map(Some).ok_or(HoldingError::Lost { volume, stripe: index }),
            false => Ok(None),
        }
    }

    /// Reads a column from a position below its length on; what is not owed, and what lies above the end, is zeros.
    fn read_column(&self, volume: u32, service: &Service, start: u64, bytes: &mut [u8]) -> Result<(), HoldingError> {
        bytes.fill(0);
        let end = service.column_bytes.min(start.saturating_add(bytes.len() as u64));
        let mut position = start;
        while position < end {
            let stripe = match self.covering(volume, service.stripe_count, position)? {
                // The first is searched for, the others follow it.
                stripe if position == start || stripe.leaf.offset == position => stripe,
                _ => return Err(HoldingError::OtherLog(volume)),
            };
            let fragment_end = stripe.leaf.offset + stripe.leaf.fragment_bytes;
            let part_end = end.min(fragment_end);
            if let Some(record) = self.owed(&stripe, service)? {
                let range = position - stripe.leaf.offset..part_end - stripe.leaf.offset;
                let lost = HoldingError::Lost { volume, stripe: stripe.index };
                let read = self.store.read(record.key, Some(range))?.ok_or(lost)?;
                bytes[(position - start) as usize..(part_end - start) as usize].copy_from_slice(&read.bytes);
            }
            position = part_end;
        }
        Ok(())
    }

    /// The fragment at a chunk, with its place in the log, if its bytes are not those that were stored.
    pub(crate) fn damaged(&self, place: Place, chunk: u64) -> Result<Option<(FragmentKey, u32)>, HoldingError> {
        let Ok((volume, service)) = self.service(place.lot) else { return Ok(None) };
        let position = u64::from(place.slot) * self.shape.slot_bytes + chunk * CHUNK_BYTES as u64;
        if position >= service.column_bytes {
            return Ok(None);
        }
        let stripe = self.covering(volume, service.stripe_count, position)?;
        let Some(record) = self.owed(&stripe, &service)? else { return Ok(None) };
        let Some(read) = self.store.read(record.key, None)? else { return Ok(None) };
        let is_whole = Hash::Plain.root(&read.bytes) == record.root;
        Ok((!is_whole).then_some((record.key, stripe.index)))
    }

    /// The siblings of a leaf in the log as it was at beacon A.
    fn log_path(&self, volume: u32, service: &Service, index: u32) -> Result<Vec<B256>, HoldingError> {
        let range = notes::leaf_keys(volume, 0..service.stripe_count);
        let leaves = self.store.notes(range, service.stripe_count as usize)?;
        let hashes: Option<Vec<B256>> =
            leaves.iter().map(|(_, value)| notes::read_leaf(value).map(|leaf| leaf.hash())).collect();
        let hashes = hashes.filter(|hashes| hashes.len() == service.stripe_count as usize);
        let path = hashes.and_then(|hashes| Tree::new(&hashes).path(index as usize));
        path.ok_or(HoldingError::OtherLog(volume))
    }
}

impl Source for Holdings {
    type Error = HoldingError;

    fn duty(&self, lot: u32) -> Duty {
        self.lot(lot).duty
    }

    fn read(&self, place: Place, offset: u64, bytes: &mut [u8]) -> Result<(), HoldingError> {
        let slot = u64::from(place.slot) * self.shape.slot_bytes;
        match self.lot(place.lot) {
            Lot { volume, duty: Duty { service: Some(service), .. }, .. } if slot < service.column_bytes => {
                match slot + offset {
                    position if position < service.column_bytes => self.read_column(volume, &service, position, bytes),
                    _ => {
                        bytes.fill(0);
                        Ok(())
                    }
                }
            }
            _ => self.read_idle(place, offset, bytes),
        }
    }

    fn stripe(&self, lot: u32, position: u64) -> Result<Witness, HoldingError> {
        let (volume, service) = self.service(lot)?;
        let stripe = self.covering(volume, service.stripe_count, position)?;
        let fragment = self.owed(&stripe, &service)?.map(|record| (record.root, record.path));
        let log_path = self.log_path(volume, &service, stripe.index)?;
        Ok(Witness { index: stripe.index, leaf: stripe.leaf, log_path, fragment })
    }

    fn fragment(&self, lot: u32, leaf: &StripeLeaf) -> Result<Vec<u8>, HoldingError> {
        let (volume, service) = self.service(lot)?;
        let read = self.store.read(FragmentKey { segment: leaf.segment, volume }, None)?;
        let Some(read) = read else {
            let stripe = self.covering(volume, service.stripe_count, leaf.offset)?.index;
            return Err(HoldingError::Lost { volume, stripe });
        };
        Ok(read.bytes.to_vec())
    }

    fn unit(&self, lot: u32, unit: u32) -> Result<Unit, HoldingError> {
        let (idle, lot) = self.idle(lot)?;
        let UnitWitness { root, path, slots } = idle.unit(lot, unit)?;
        Ok(Unit { root, path, slots })
    }
}
