//! Append stripes that enough members hold, and set bucket roots with them.

use super::{
    Volumes,
    record::{Head, Volume},
    signers::Signers,
};
use crate::{
    Checked, Ledger, Result,
    internal::{IBucketRoots, ILots, ITerritoryAccounts},
};
use alloy_primitives::{Address, B256, U256};
use types::{
    Profile, ReceiptPublicKey, ReceiptSignature, StripeLeaf,
    abi::{BATCH_STRIPES_MAX, BUCKETS, Batch, IVolumes, MINERS, RootUpdate, TERRITORIES},
    bls::{PUBLIC_KEY_BYTES, verify_aggregate},
    merkle::LOG_DEPTH,
    receipt::{Receipt, batch_root},
    segment::{SegmentId, segment_id},
};

/// Most batches of one commit.
pub const BATCHES_MAX: usize = 64;
/// Most bucket roots of one commit.
pub const ROOTS_MAX: usize = 64;
/// Gas of checking an aggregate signature.
pub const SIGNATURE_GAS: u64 = 150_000;
/// Gas of adding one signer's key to that check.
pub const SIGNER_GAS: u64 = 1_500;

/// A stripe as the log will have it.
struct Placed {
    segment: SegmentId,
    length: u64,
    fragment_bytes: u64,
    offset: u64,
}

impl Volumes {
    pub(super) fn commit(&self, ledger: &mut dyn Ledger, call: IVolumes::commitCall) -> Result<IVolumes::commitReturn> {
        let IVolumes::commitCall { batches, roots } = call;
        let account = ledger.caller();
        let is_empty = batches.is_empty() && roots.is_empty();
        if is_empty || batches.len() > BATCHES_MAX || roots.len() > ROOTS_MAX {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        let mut due = U256::ZERO;
        for batch in &batches {
            due = due.plus(self.append(ledger, account, batch)?)?;
        }
        for update in roots {
            ledger.call_module(BUCKETS, &root_call(account, update))?;
        }
        ledger.collect(due, |due, paid| IVolumes::Underpaid { due, paid })?;
        Ok(IVolumes::commitReturn {})
    }

    pub(super) fn commit_price(&self, ledger: &mut dyn Ledger, batches: &[Batch]) -> Result<U256> {
        let mut due = U256::ZERO;
        for batch in batches.iter() {
            let volume = self.storage.volume(ledger, batch.volume)?;
            let signers = Signers::parse(&batch.signers, volume.seats())?;
            let lengths = self.fragment_lengths(volume.profile, batch)?;
            due = due.plus(self.price(&signers, &lengths)?)?;
        }
        Ok(due)
    }

    /// Appends one batch and returns its price.
    fn append(&self, ledger: &mut dyn Ledger, account: Address, batch: &Batch) -> Result<U256> {
        let volume = self.storage.open_volume(ledger, batch.volume)?;
        self.require_fresh(ledger, batch)?;
        let signers = Signers::parse(&batch.signers, volume.seats())?;
        signers.require_quorum(volume.profile)?;
        let lengths = self.fragment_lengths(volume.profile, batch)?;
        let placed = self.place(ledger, &volume, batch, &lengths)?;
        self.use_sequence(ledger, batch)?;
        self.verify(ledger, &volume, batch, &signers, &placed)?;
        self.bill(ledger, account, &volume, batch, &lengths)?;
        self.write(ledger, &volume, batch, &signers, &placed)?;
        self.price(&signers, &lengths)
    }

    fn require_fresh(&self, ledger: &dyn Ledger, batch: &Batch) -> Result<()> {
        let Batch { expiresAtHeight, .. } = *batch;
        match expiresAtHeight.checked_sub(ledger.block().height) {
            None => Err(IVolumes::ReceiptsExpired { expiresAtHeight }.into()),
            Some(ahead) if ahead > self.spec.receipt_expiry_max_blocks => {
                Err(IVolumes::ReceiptsTooLong { expiresAtHeight }.into())
            }
            Some(_) => Ok(()),
        }
    }

    /// The fragment length of each stripe.
    fn fragment_lengths(&self, profile: Profile, batch: &Batch) -> Result<Vec<u64>> {
        if batch.stripes.is_empty() || batch.stripes.len() > BATCH_STRIPES_MAX {
            return Err(IVolumes::InvalidBatch {}.into());
        }
        let most = self.spec.slot_bytes.times(profile.data().into())?;
        let lengths = batch.stripes.iter().enumerate().map(|(position, stripe)| {
            if stripe.length == 0 || stripe.length > most {
                return Err(IVolumes::InvalidStripe { position: U256::from(position) }.into());
            }
            Ok(profile.fragment_bytes(stripe.length))
        });
        lengths.collect()
    }

    /// Gives each stripe its identity and its place behind the log.
    fn place(&self, ledger: &mut dyn Ledger, volume: &Volume, batch: &Batch, lengths: &[u64]) -> Result<Vec<Placed>> {
        let needed = lengths.iter().try_fold(0u64, |sum, length| sum.plus(*length))?;
        let free = self.spec.lot_bytes().saturating_sub(volume.head.column_bytes);
        let room = 1u64.wrapping_shl(LOG_DEPTH as u32).saturating_sub(volume.head.stripe_count.into());
        if needed > free || lengths.len() as u64 > room {
            return Err(IVolumes::VolumeFull { volume: volume.id, bytesFree: free, bytesNeeded: needed }.into());
        }
        ledger.charge_hashes(lengths.len() as u64, 45)?;
        let mut offset = volume.head.column_bytes;
        let mut placed = Vec::with_capacity(lengths.len());
        for (stripe, fragment_bytes) in batch.stripes.iter().zip(lengths) {
            let segment = segment_id(volume.profile, stripe.length, &stripe.fragmentsRoot);
            placed.push(Placed { segment, length: stripe.length, fragment_bytes: *fragment_bytes, offset });
            offset = offset.plus(*fragment_bytes)?;
        }
        Ok(placed)
    }

    fn use_sequence(&self, ledger: &mut dyn Ledger, batch: &Batch) -> Result<()> {
        let Batch { territory, sequence, .. } = *batch;
        if !self.storage.sequences.at(ledger, &territory)?.insert(ledger, sequence)? {
            return Err(IVolumes::SequenceUsed { territory, sequence }.into());
        }
        Ok(())
    }

    /// Checks the aggregate against the keys of those who hold the seats now.
    fn verify(
        &self,
        ledger: &mut dyn Ledger,
        volume: &Volume,
        batch: &Batch,
        signers: &Signers,
        placed: &[Placed],
    ) -> Result<()> {
        let leaves = (placed.len() as u64).next_power_of_two();
        ledger.charge_hashes(leaves.saturating_mul(2), 64)?;
        let segments: Vec<SegmentId> = placed.iter().map(|stripe| stripe.segment).collect();
        let message = Receipt {
            chain_id: ledger.block().chain_id,
            volume: volume.id,
            territory: batch.territory,
            sequence: batch.sequence,
            batch_root: batch_root(&segments),
            expires_at_height: batch.expiresAtHeight,
        }
        .message();
        self.require_signed(ledger, volume, signers, &message, &batch.signature)
    }

    /// Checks an aggregate against the keys of those who hold the named seats now.
    pub(super) fn require_signed(
        &self,
        ledger: &mut dyn Ledger,
        volume: &Volume,
        signers: &Signers,
        message: &B256,
        signature: &[u8],
    ) -> Result<()> {
        ledger.charge_gas(SIGNER_GAS.saturating_mul(signers.count()).saturating_add(SIGNATURE_GAS))?;
        let seats = volume.record.miners.load(ledger, volume.seats().into())?;
        let miners: Vec<u32> = signers.select(&seats).collect();
        let keys = ledger.call_module(MINERS, &ILots::receiptKeysCall { miners })?;
        let keys: Result<Vec<ReceiptPublicKey>> = keys.chunks(PUBLIC_KEY_BYTES).map(read_key).collect();
        let signature = ReceiptSignature::from_bytes(signature).map_err(|_| IVolumes::InvalidSignature {})?;
        if !verify_aggregate(&keys?, message, &signature) {
            return Err(IVolumes::InvalidSignature {}.into());
        }
        Ok(())
    }

    /// Takes the space from the lease first, then from the free quota.
    fn bill(
        &self,
        ledger: &mut dyn Ledger,
        account: Address,
        volume: &Volume,
        batch: &Batch,
        lengths: &[u64],
    ) -> Result<()> {
        let territory = batch.territory;
        let column = lengths.iter().try_fold(0u64, |sum, length| sum.plus(*length))?;
        let leased = self.draw_lease(ledger, territory, volume.id, column)?;
        let bill = ITerritoryAccounts::billCall {
            territory,
            account,
            leased: volume.billed(leased)?,
            free: volume.billed(column.minus(leased)?)?,
            paidUntilMs: self.term_end(ledger)?,
        };
        ledger.call_module(TERRITORIES, &bill)?;
        Ok(())
    }

    fn term_end(&self, ledger: &dyn Ledger) -> Result<u64> {
        ledger.block().timestamp_ms.plus(self.spec.term_min_ms)
    }

    /// Writes the leaves and closes the volume when it is full.
    fn write(
        &self,
        ledger: &mut dyn Ledger,
        volume: &Volume,
        batch: &Batch,
        signers: &Signers,
        placed: &[Placed],
    ) -> Result<()> {
        let mut frontier = volume.frontier(ledger)?;
        self.keep_snapshot(ledger, volume, &frontier)?;
        let mut changed = [false; LOG_DEPTH];
        let mut head = volume.head;
        for stripe in placed {
            let leaf = self.leaf(ledger, batch.territory, stripe)?;
            self.index(ledger, volume, head.stripe_count, signers, &leaf)?;
            ledger.charge_hashes(1, 80)?;
            ledger.charge_hashes(u64::from(head.stripe_count.trailing_ones()).saturating_add(1), 64)?;
            // `place` made sure that there is room.
            let height = frontier.push(&leaf.hash()).map_err(|_| IVolumes::VolumeClosed { volume: volume.id })?;
            if let Some(flag) = changed.get_mut(height) {
                *flag = true;
            }
            head.stripe_count = head.stripe_count.plus(1)?;
            head.column_bytes = head.column_bytes.plus(stripe.fragment_bytes)?;
        }
        for (height, (left, _)) in frontier.left().iter().zip(changed).enumerate().filter(|(_, (_, changed))| *changed)
        {
            volume.record.frontier.at(height)?.set(ledger, *left)?;
        }
        if self.is_full(&head) {
            self.close(ledger, volume, &mut head)?;
        }
        Ok(volume.record.head.set(ledger, head)?)
    }

    fn leaf(&self, ledger: &dyn Ledger, territory: u64, stripe: &Placed) -> Result<StripeLeaf> {
        Ok(StripeLeaf {
            segment: stripe.segment,
            territory,
            offset: stripe.offset,
            fragment_bytes: stripe.fragment_bytes,
            length: stripe.length,
            committed_at_ms: ledger.block().timestamp_ms,
            term_end_ms: self.term_end(ledger)?,
        })
    }

    /// Records what can be asked about a stripe, and tells the world.
    fn index(
        &self,
        ledger: &mut dyn Ledger,
        volume: &Volume,
        index: u32,
        signers: &Signers,
        leaf: &StripeLeaf,
    ) -> Result<()> {
        let position = volume.record.positions.at(ledger, &leaf.segment)?;
        if position.get(ledger)? != 0 {
            return Err(IVolumes::SegmentAlreadyLive { segment: leaf.segment }.into());
        }
        position.set(ledger, index.plus(1)?)?;
        let missing = signers.missing();
        if !missing.is_zero() {
            volume.record.missing.at(ledger, &index)?.set(ledger, missing)?;
        }
        Ok(ledger.emit(&IVolumes::Appended {
            volume: volume.id,
            territory: leaf.territory,
            segment: leaf.segment,
            index,
            offset: leaf.offset,
            fragmentBytes: leaf.fragment_bytes,
            length: leaf.length,
            committedAtMs: leaf.committed_at_ms,
            termEndMs: leaf.term_end_ms,
            missing: signers.missing_bytes(),
        })?)
    }

    /// Whether another stripe of full length has no room.
    fn is_full(&self, head: &Head) -> bool {
        self.spec.lot_bytes().saturating_sub(head.column_bytes) < self.spec.slot_bytes
            || head.stripe_count.wrapping_shr(LOG_DEPTH as u32) != 0
    }

    fn close(&self, ledger: &mut dyn Ledger, volume: &Volume, head: &mut Head) -> Result<()> {
        self.unlist(ledger, head)?;
        head.full = true;
        Ok(ledger.emit(&IVolumes::Filled { volume: volume.id })?)
    }

    /// Deposits of the stripes, and the rebuild of what was skipped.
    fn price(&self, signers: &Signers, lengths: &[u64]) -> Result<U256> {
        let column = lengths.iter().try_fold(0u64, |sum, length| sum.plus(*length))?;
        let skipped = signers.skipped();
        let rebuild = self.rebuild_price(column.times(skipped)?)?;
        self.spec.stripe_deposit.times(U256::from(lengths.len()))?.plus(rebuild)
    }
}

pub(super) fn read_key(bytes: &[u8]) -> Result<ReceiptPublicKey> {
    // Checked when it was registered.
    Ok(ReceiptPublicKey::from_checked_bytes(bytes).map_err(|_| IVolumes::InvalidSignature {})?)
}

fn root_call(writer: Address, update: RootUpdate) -> IBucketRoots::updateForCall {
    let RootUpdate { bucket, expectedVersion, root } = update;
    IBucketRoots::updateForCall {
        writer,
        bucket,
        expectedVersion,
        segment: root.segment,
        volume: root.volume,
        offset: root.offset,
        length: root.length,
        pageHash: root.pageHash,
    }
}
