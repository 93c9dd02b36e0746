//! Form volumes, append stripes to their logs, and let stripes go.

mod commit;
mod evidence;
mod formation;
mod heal;
mod help;
mod lease;
mod members;
mod record;
mod release;
mod repair;
mod signers;
mod snapshot;
mod tenure;

use crate::{
    Ledger, Module, Result,
    call::{decode, decode_internal, mutate, payable, view},
    internal::{
        IBlockHook::IBlockHookCalls as Hook,
        IDemand::{self, IDemandCalls as Wants},
        IMembers::IMembersCalls as Asked,
        SYSTEM,
    },
    storage::{Layout, Word},
};
use alloy_primitives::{Bytes, U256};
use record::{Draw, Storage};
use types::{
    abi::{
        AUDITS,
        IVolumes::{self, IVolumesCalls as Calls},
        POLICIES,
    },
    spec::StorageSpec,
};

pub use commit::{BATCHES_MAX, ROOTS_MAX, SIGNATURE_GAS, SIGNER_GAS};
pub use formation::DRAW_WAIT_VIEWS_MAX;
pub use lease::LEASE_VOLUMES_MAX;
pub use members::{phase, reason};
pub use release::RELEASES_MAX;

/// The module at [`VOLUMES`](types::abi::VOLUMES).
#[derive(Debug)]
pub struct Volumes {
    spec: StorageSpec,
    storage: Storage,
}

impl Module for Volumes {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        if let Some(Hook::beginBlock(call)) = decode_internal(ledger, input, SYSTEM)? {
            return mutate(ledger, call, |ledger, call| self.begin_block(ledger, call));
        }
        if let Some(call) = decode_internal(ledger, input, AUDITS)? {
            return match call {
                Asked::audited(call) => view(ledger, call, |ledger, call| self.audited(ledger, &call)),
                Asked::owes(call) => view(ledger, call, |ledger, call| self.owes(ledger, call)),
                Asked::member(call) => view(ledger, call, |ledger, call| self.member(ledger, call)),
                Asked::declareLost(call) => mutate(ledger, call, |ledger, call| self.declare_lost(ledger, &call)),
            };
        }
        if let Some(Wants::demand(call)) = decode_internal(ledger, input, POLICIES)? {
            return mutate(ledger, call, |ledger, call| {
                self.storage.hungry.push(ledger, call.policy)?;
                Ok(IDemand::demandReturn {})
            });
        }
        match decode(ledger, input)? {
            Calls::lease(call) => mutate(ledger, call, |ledger, call| self.lease(ledger, call)),
            Calls::endLease(call) => mutate(ledger, call, |ledger, call| self.end_lease(ledger, call)),
            Calls::commit(call) => payable(ledger, call, |ledger, call| self.commit(ledger, call)),
            Calls::release(call) => mutate(ledger, call, |ledger, call| self.release(ledger, call)),
            Calls::leave(call) => mutate(ledger, call, |ledger, call| self.leave(ledger, call)),
            Calls::handOver(call) => mutate(ledger, call, |ledger, call| self.hand_over(ledger, call)),
            Calls::rejoin(call) => mutate(ledger, call, |ledger, call| self.rejoin(ledger, call)),
            Calls::progress(call) => mutate(ledger, call, |ledger, call| self.progress(ledger, call)),
            Calls::claimHelp(call) => mutate(ledger, call, |ledger, call| self.claim_help(ledger, call)),
            Calls::settle(call) => mutate(ledger, call, |ledger, call| self.settle(ledger, call)),
            Calls::heal(call) => mutate(ledger, call, |ledger, call| self.heal(ledger, call)),
            Calls::voidMalformed(call) => mutate(ledger, call, |ledger, call| self.void_malformed(ledger, &call)),
            Calls::voidGhost(call) => mutate(ledger, call, |ledger, call| self.void_ghost(ledger, &call)),
            Calls::seatOf(call) => view(ledger, call, |ledger, call| self.seat_of(ledger, call)),
            Calls::health(call) => view(ledger, call, |ledger, call| self.health(ledger, call.volume)),
            Calls::missingOf(call) => view(ledger, call, |ledger, call| self.missing_of(ledger, call)),
            Calls::commitPrice(call) => view(ledger, call, |ledger, call| self.commit_price(ledger, &call.batches)),
            Calls::volume(call) => view(ledger, call, |ledger, call| self.volume(ledger, call.id)),
            Calls::volumeCount(call) => view(ledger, call, |ledger, _| Ok(self.storage.volume_count.get(ledger)?)),
            Calls::openVolumes(call) => view(ledger, call, |ledger, call| self.open_volumes(ledger, call.policy)),
            Calls::leaseOf(call) => view(ledger, call, |ledger, call| self.lease_of(ledger, call)),
            Calls::positionOf(call) => view(ledger, call, |ledger, call| self.position_of(ledger, call)),
            Calls::isReleased(call) => view(ledger, call, |ledger, call| self.is_released(ledger, call)),
            Calls::isSequenceUsed(call) => view(ledger, call, |ledger, call| self.is_sequence_used(ledger, call)),
        }
    }
}

impl Volumes {
    /// The module under the parameters of a chain.
    pub fn new(spec: &StorageSpec) -> Self {
        Self { spec: spec.clone(), storage: Storage::at(U256::ZERO) }
    }

    fn volume(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IVolumes::Volume> {
        let volume = self.storage.volume(ledger, id)?;
        let seats = usize::from(volume.seats());
        ledger.charge_hashes(types::merkle::LOG_DEPTH as u64, 64)?;
        Ok(IVolumes::Volume {
            profile: volume.head.profile,
            policy: volume.head.policy,
            open: volume.head.open,
            stripeCount: volume.head.stripe_count,
            columnBytes: volume.head.column_bytes,
            stripesRoot: volume.frontier(ledger)?.root(),
            lots: volume.record.lots.load(ledger, seats)?,
            miners: volume.record.miners.load(ledger, seats)?,
        })
    }

    fn open_volumes(&self, ledger: &mut dyn Ledger, policy: u32) -> Result<Vec<u32>> {
        self.storage.open.at(ledger, &policy)?.load(ledger)
    }

    fn position_of(&self, ledger: &mut dyn Ledger, call: IVolumes::positionOfCall) -> Result<u32> {
        let volume = self.storage.volume(ledger, call.volume)?;
        Ok(volume.record.positions.at(ledger, &call.segment)?.get(ledger)?)
    }

    fn is_released(&self, ledger: &mut dyn Ledger, call: IVolumes::isReleasedCall) -> Result<bool> {
        let volume = self.storage.volume(ledger, call.volume)?;
        Ok(volume.record.released.contains(ledger, call.index.into())?)
    }

    fn is_sequence_used(&self, ledger: &mut dyn Ledger, call: IVolumes::isSequenceUsedCall) -> Result<bool> {
        Ok(self.storage.sequences.at(ledger, &call.territory)?.contains(ledger, call.sequence)?)
    }
}

/// The slot with the views that formation and audits wait for.
pub(crate) fn target_position() -> U256 {
    Storage::at(U256::ZERO).draw.position()
}

/// What that slot says: the earlier of the two, and once its seed is there, the later.
pub(crate) fn target(word: U256) -> Option<(u64, u64)> {
    let draw = Draw::decode(word);
    let formation = draw.pending.then_some(draw.view);
    let audits = (draw.audit_view != 0).then_some(draw.audit_view);
    formation.into_iter().chain(audits).min().map(|view| (draw.epoch, view))
}

#[cfg(test)]
mod tests;
