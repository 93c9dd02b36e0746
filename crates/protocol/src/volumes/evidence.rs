//! Void stripes that their writers made wrong, on evidence that the chain checks itself.
//!
//! A voided stripe is gone like a released one, but its deposit is burned, and so is what was paid for seats that never
//! healed; the space comes back at the end of the term that was paid.

use super::{Volumes, record::Volume, release::require_in_log, signers::Signers};
use crate::{Checked, Ledger, Result};
use alloy_primitives::{Address, B256};
use proofs::chunk::{self, CHUNK_BYTES, Hash};
use types::{
    abi::{Column, IVolumes, Leaf, Release},
    merkle::LOG_DEPTH,
    repair::Ghost,
    segment::{FragmentProof, segment_id},
};

/// Deepest path of a chunk in a fragment: of 64 MiB.
const CHUNK_PATH_MAX: usize = 16;

impl Volumes {
    pub(super) fn void_malformed(
        &self,
        ledger: &mut dyn Ledger,
        call: &IVolumes::voidMalformedCall,
    ) -> Result<IVolumes::voidMalformedReturn> {
        let IVolumes::voidMalformedCall { volume, stripe, chunk, columns } = call;
        let volume = self.logged(ledger, *volume, stripe)?;
        if columns.len() != usize::from(volume.profile.data()).saturating_add(1) {
            return Err(IVolumes::InvalidEvidence {}.into());
        }
        for column in columns {
            require_opened(ledger, &volume, &stripe.leaf, u64::from(*chunk), column)?;
        }
        if !contradict(ledger, &volume, columns)? {
            return Err(IVolumes::InvalidEvidence {}.into());
        }
        self.void(ledger, &volume, stripe)?;
        Ok(IVolumes::voidMalformedReturn {})
    }

    pub(super) fn void_ghost(
        &self,
        ledger: &mut dyn Ledger,
        call: &IVolumes::voidGhostCall,
    ) -> Result<IVolumes::voidGhostReturn> {
        let IVolumes::voidGhostCall { volume, stripe, rebuilt, signers, signature } = call;
        let volume = self.logged(ledger, *volume, stripe)?;
        let segment = stripe.leaf.segment;
        ledger.charge_hashes(1, 64)?;
        if segment_id(volume.profile, stripe.leaf.length, rebuilt) == segment {
            return Err(IVolumes::InvalidEvidence {}.into());
        }
        let signers = Signers::parse(signers, volume.seats())?;
        signers.require_quorum(volume.profile)?;
        let (chain_id, index) = (ledger.block().chain_id, stripe.index);
        let ghost = Ghost { chain_id, volume: volume.id, index, segment, rebuilt: *rebuilt };
        self.require_signed(ledger, &volume, &signers, &ghost.message(), signature)?;
        self.void(ledger, &volume, stripe)?;
        Ok(IVolumes::voidGhostReturn {})
    }

    /// The volume, if its log has this stripe.
    fn logged(&self, ledger: &mut dyn Ledger, id: u32, stripe: &Release) -> Result<Volume> {
        let volume = self.storage.volume(ledger, id)?;
        ledger.charge_hashes(LOG_DEPTH as u64, 64)?;
        let root = volume.frontier(ledger)?.root();
        require_in_log(ledger, &volume, &root, stripe)?;
        Ok(volume)
    }

    fn void(&self, ledger: &mut dyn Ledger, volume: &Volume, stripe: &Release) -> Result<()> {
        let Release { index, leaf, .. } = stripe;
        let unhealed = self.leave_log(ledger, volume, stripe)?;
        let burned = self.spec.stripe_deposit.plus(self.rebuild_price(leaf.fragmentBytes.times(unhealed)?)?)?;
        ledger.pay(Address::ZERO, burned)?;
        let Leaf { segment, territory, .. } = *leaf;
        Ok(ledger.emit(&IVolumes::Voided { volume: volume.id, territory, segment, index: *index })?)
    }
}

/// Checks that a fragment is the segment's.
fn require_fragment(
    ledger: &mut dyn Ledger,
    volume: &Volume,
    segment: B256,
    length: u64,
    index: u16,
    root: B256,
    path: &[B256],
) -> Result<()> {
    ledger.charge_hashes((path.len().min(LOG_DEPTH) as u64).saturating_add(2), 64)?;
    let proof = FragmentProof { index, root, path: path.to_vec() };
    if !proof.verify(volume.profile, length, &segment) {
        return Err(IVolumes::InvalidEvidence {}.into());
    }
    Ok(())
}

/// Checks that a column's chunk is in its fragment, and the fragment in the segment.
fn require_opened(ledger: &mut dyn Ledger, volume: &Volume, leaf: &Leaf, chunk: u64, column: &Column) -> Result<()> {
    let Column { index, root, path, .. } = column;
    require_fragment(ledger, volume, leaf.segment, leaf.length, *index, *root, path)?;
    ledger.charge_hashes(1, CHUNK_BYTES)?;
    ledger.charge_hashes(column.chunkPath.len().min(CHUNK_PATH_MAX) as u64, 64)?;
    if column.chunk.len() != CHUNK_BYTES
        || !chunk::verify(Hash::Plain, root, leaf.fragmentBytes, chunk, &column.chunk, &column.chunkPath)
    {
        return Err(IVolumes::InvalidEvidence {}.into());
    }
    Ok(())
}

/// Whether the last column is not what the others make it.
fn contradict(ledger: &mut dyn Ledger, volume: &Volume, columns: &[Column]) -> Result<bool> {
    let k = u64::from(volume.profile.data());
    // The inverse of a k × k matrix, and k products for each byte.
    ledger.charge_gas(k.saturating_mul(k).saturating_mul(k).saturating_add(k.saturating_mul(CHUNK_BYTES as u64)))?;
    let invalid = || IVolumes::InvalidEvidence {};
    let (last, sources) = columns.split_last().ok_or_else(invalid)?;
    let present: Vec<usize> = sources.iter().map(|column| column.index.into()).collect();
    if present.contains(&last.index.into()) {
        return Err(invalid().into());
    }
    let parity = volume.seats().saturating_sub(volume.profile.data());
    let code = erasure::Code::new(volume.profile.data().into(), parity.into()).map_err(|_| invalid())?;
    let plan = code.reconstruct(&present, &[last.index.into()]).map_err(|_| invalid())?;
    let chunks: Vec<&[u8]> = sources.iter().map(|column| column.chunk.as_ref()).collect();
    let mut rebuilt = vec![0; CHUNK_BYTES];
    plan.apply(&chunks, &mut [rebuilt.as_mut_slice()]).map_err(|_| invalid())?;
    Ok(rebuilt != last.chunk)
}
