//! Rebuild what is missing of a column, and tell the chain how far it is.

use super::{Chair, HANDING_OVER, REBUILDING, RepairError, Repairer};
use crate::{notes, rebuild::RebuildError, service::keep_found};
use alloy_primitives::U256;
use client::chain::{ChainError, Network, OpenVolume};
use futures::{StreamExt, stream};
use store::FragmentKey;
use types::{
    StripeLeaf, StripeLog,
    abi::{IVolumes, Release, VOLUMES},
};

/// Stripes that are rebuilt here or received from helpers at the same time.
const STRIPES_AT_ONCE: usize = 16;
/// Stripes after which the chain is told.
const STRIPES_PER_REPORT: usize = 32;

/// What became of a fragment that was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is here, and is owed already.
    Here,
    /// It is here, and is owed once the chain is told.
    Healable,
    /// Its time comes later.
    Left,
    /// There is none: the stripe is no codeword.
    Garbage,
}

impl Repairer {
    /// Rebuilds what is missing of a column, and tells the chain.
    pub(super) async fn rebuild(&mut self, chair: &Chair) -> Result<(), RepairError> {
        let volume = chair.volume;
        let mut missing: Vec<(u32, FragmentKey)> = {
            let state = self.state.lock();
            state.missing.iter().filter(|(key, _)| key.volume == volume).map(|(key, index)| (*index, *key)).collect()
        };
        missing.sort_unstable();
        self.garbage.retain(|key, _| key.volume != volume || missing.iter().any(|(_, missing)| missing == key));
        if missing.is_empty() {
            return self.report(chair, None).await;
        }
        if self.config.stripes_at_once == 0 {
            return Ok(());
        }
        let began = tokio::time::Instant::now();
        let members = Network(&*self.chain).volume_with_members(volume).await?;
        let live = self.live_others(chair).await?;
        let (total, mut done) = (missing.len(), 0);
        // The first stripe that is owed and stays missing: the column is here up to there at most.
        let mut gap = None;
        let mut unshown = None;
        for part in missing.chunks(STRIPES_PER_REPORT) {
            let bits = self.missing_bits(chair, part).await?;
            let rebuilt =
                stream::iter(part.iter().copied().zip(bits.iter().copied())).map(|((index, key), is_unsigned)| {
                    self.rebuild_stripe(chair, (&members, &live), index, key, is_unsigned)
                });
            let results: Vec<_> = rebuilt.buffered(STRIPES_AT_ONCE).collect().await;
            let (mut unsigned, mut garbage, mut failed) = (Vec::new(), Vec::new(), None);
            for (((index, key), is_unsigned), result) in part.iter().zip(bits).zip(results) {
                match result {
                    Ok(Outcome::Here | Outcome::Left) => continue,
                    Ok(Outcome::Healable) => {
                        unsigned.push(*index);
                        continue;
                    }
                    Ok(Outcome::Garbage) => garbage.push((*index, *key)),
                    Err(error) => failed = failed.or(Some(error)),
                }
                if !is_unsigned {
                    gap = gap.or(Some(*index));
                }
            }
            self.heal(chair, &unsigned).await?;
            done += part.len();
            self.report(chair, gap.or(missing.get(done).map(|(index, _)| *index))).await?;
            self.acknowledge(chair).await?;
            for (index, key) in garbage {
                // What cannot be shown now holds up nothing else.
                if let Err(error) = self.accuse(chair, &members, index, key).await {
                    unshown = Some(error);
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            tracing::info!(volume, seat = chair.seat, stripes = done, of = total, took = ?began.elapsed(), "rebuilt");
        }
        unshown.map_or(Ok(()), Err)
    }

    /// Which of these stripes the seat had not signed: it owes nothing of them before it heals them.
    async fn missing_bits(&self, chair: &Chair, stripes: &[(u32, FragmentKey)]) -> Result<Vec<bool>, ChainError> {
        let call = |(index, _): &(u32, FragmentKey)| IVolumes::missingOfCall { volume: chair.volume, index: *index };
        let calls: Vec<_> = stripes.iter().map(call).collect();
        let bits = Network(&*self.chain).read_many(VOLUMES, &calls).await?;
        let (byte, bit) = (usize::from(chair.seat / 8), chair.seat % 8);
        Ok(bits.iter().map(|bits| bits.get(byte).is_some_and(|byte| byte >> bit & 1 == 1)).collect())
    }

    /// Rebuilds one fragment and keeps it.
    async fn rebuild_stripe(
        &self,
        chair: &Chair,
        (members, live): (&OpenVolume, &[u16]),
        index: u32,
        key: FragmentKey,
        is_unsigned: bool,
    ) -> Result<Outcome, RepairError> {
        if is_unsigned && chair.record.state == HANDING_OVER {
            // Its holder does not owe it. It is healed once the seat is ours.
            return Ok(Outcome::Left);
        }
        if self.is_known_garbage(&key) {
            return Ok(Outcome::Garbage);
        }
        if self.store.record(key).await?.is_none() {
            let leaf = self.leaf(chair.volume, index).await?;
            // Who hands a seat over has what is needed.
            let copied = match chair.record.state {
                HANDING_OVER => self.rebuilder.copy(members, chair.seat, &leaf).await,
                _ => None,
            };
            let helped = self.helped(chair, members, live, index, &leaf).await;
            let (helped, helper) = helped.unzip();
            let fragment = match copied.or(helped) {
                Some(fragment) => Some(fragment),
                None => {
                    let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
                    self.rebuilder.remake(members, Some(chair.seat), index, &leaf).await?.into_fragment(chair.seat)
                }
            };
            let Some(fragment) = fragment else { return Ok(Outcome::Garbage) };
            self.note_helper(chair, index, &leaf, helper).await?;
            self.store.stage(fragment.of(key, leaf.territory)).await.map_err(RebuildError::from)?;
        }
        if is_unsigned {
            // From now on only the chain knows in which rounds it is owed.
            self.store.update(vec![notes::put_doubtful(chair.volume, index)]).await?;
        }
        keep_found(&self.store, &self.state, key, index).await?;
        self.count_helper(chair, index).await?;
        Ok(if is_unsigned { Outcome::Healable } else { Outcome::Here })
    }

    pub(super) async fn leaf(&self, volume: u32, index: u32) -> Result<StripeLeaf, RepairError> {
        let note = self.store.note(notes::leaf_key(volume, index)).await?;
        note.as_deref().and_then(notes::read_leaf).ok_or(RepairError::Log(volume))
    }

    /// Tells the chain how much of a column that is taken over is here: all below the first stripe that is missing.
    async fn report(&self, chair: &Chair, first_missing: Option<u32>) -> Result<(), RepairError> {
        let Chair { volume, seat, ref record, .. } = *chair;
        let target = match record.state {
            REBUILDING => record.targetBytes,
            // A successor needs also what was committed meanwhile.
            HANDING_OVER => Network(&*self.chain).volume(volume).await?.columnBytes,
            _ => return Ok(()),
        };
        let here = match first_missing {
            Some(index) => self.leaf(volume, index).await?.offset,
            None => self.column_bytes(volume).await?,
        };
        // A log that has not been read yet misses nothing.
        let watermark = here.min(target);
        if watermark > record.watermark || watermark == target {
            let call = IVolumes::progressCall { volume, seat, watermark };
            match self.sender.call(VOLUMES, U256::ZERO, &call).await {
                Ok(_) => tracing::info!(volume, seat, watermark, of = target, "the column is here up to this byte"),
                // Another report of ours was quicker, or the column has grown.
                Err(error) if error.is_revert::<IVolumes::InvalidWatermark>() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Length of the column by the log that is here.
    async fn column_bytes(&self, volume: u32) -> Result<u64, RepairError> {
        let count = self.state.lock().volumes.get(&volume).map_or(0, |log| log.stripe_count());
        let Some(last) = count.checked_sub(1) else { return Ok(0) };
        let leaf = self.leaf(volume, last).await?;
        Ok(leaf.offset + leaf.fragment_bytes)
    }

    /// Tells the chain that the seat owes stripes from now on that it had not signed.
    async fn heal(&self, chair: &Chair, indices: &[u32]) -> Result<(), RepairError> {
        if indices.is_empty() {
            return Ok(());
        }
        let volume = chair.volume;
        let stripes = self.shown(volume, indices).await?;
        self.sender.call(VOLUMES, U256::ZERO, &IVolumes::healCall { volume, seat: chair.seat, stripes }).await?;
        tracing::info!(volume, seat = chair.seat, stripes = indices.len(), "healed");
        Ok(())
    }

    /// Stripes with their places in the log, as the chain wants them shown.
    pub(super) async fn shown(&self, volume: u32, indices: &[u32]) -> Result<Vec<Release>, RepairError> {
        let count = self.state.lock().volumes.get(&volume).map_or(0, |log| log.stripe_count());
        let notes = self.store.notes(notes::leaf_keys(volume, 0..count), count as usize).await?;
        let leaves: Option<Vec<_>> = notes.iter().map(|(_, value)| notes::read_leaf(value)).collect();
        let leaves = leaves.filter(|leaves| leaves.len() == count as usize).ok_or(RepairError::Log(volume))?;
        let log = StripeLog::new(leaves);
        Ok(indices.iter().filter_map(|index| log.shown(*index)).collect())
    }
}
