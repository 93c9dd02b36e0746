//! Have live members rebuild a column that is taken over, and acknowledge what they did.
//!
//! # Design
//! Each stripe has its turn among the live members, so that each rebuilds a share, and the newcomer receives its column once.
//! Who is slow, silent or lying is left out for a while; its share goes to the next, and what nobody gives the newcomer rebuilds
//! itself. Who rebuilt a stripe is noted before it is kept: the sum of these notes is what a helper is owed, after a crash as
//! before.

use super::{Chair, REBUILDING, RepairError, Repairer, UNSETTLED};
use crate::{notes, rebuild::Rebuilt};
use client::chain::{Network, OpenVolume};
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};
use store::FragmentKey;
use transport::{Acknowledge, FetchError, Fragment, Rebuild, RefusalReason, TransportError};
use types::{StripeLeaf, layout::volumes::SeatQuery, repair::Help};

/// Longest wait for a fragment that a helper rebuilds, its own waits included.
const HELP_TIMEOUT: Duration = Duration::from_secs(30);
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Helpers that are asked for a stripe before it is rebuilt here.
const HELPERS_PER_STRIPE: usize = 2;
/// Chain time that a helper is left out for.
const LEFT_OUT_MS: u64 = 60_000;

/// What helpers did, and who is left out.
#[derive(Default)]
pub(super) struct Helpers {
    /// By volume.
    tallies: Mutex<BTreeMap<u32, Tally>>,
    /// By volume and seat, until when.
    left_out: Mutex<BTreeMap<(u32, u16), u64>>,
}

/// What helpers rebuilt of one column.
#[derive(Default)]
struct Tally {
    lot: u32,
    /// Bytes in all, by seat.
    bytes: BTreeMap<u16, u64>,
    /// What of it they have a signature for.
    acknowledged: BTreeMap<u16, u64>,
}

impl Repairer {
    /// The seats that can help with a column that is taken over: those of live members.
    pub(super) async fn live_others(&self, chair: &Chair) -> Result<Vec<u16>, RepairError> {
        if chair.record.state != REBUILDING {
            return Ok(Vec::new());
        }
        let volume = chair.volume;
        let queries: Vec<_> = (0..chair.profile.total()).map(|seat| SeatQuery { volume, seat }).collect();
        let (_, seats) = Network(&*self.chain).query_many(&queries).await?;
        let is_live = |seat: &super::IVolumes::Seat| !matches!(seat.state, super::LOST | REBUILDING);
        Ok((0..)
            .zip(&seats)
            .filter(|(seat, record)| *seat != chair.seat && is_live(record))
            .map(|(seat, _)| seat)
            .collect())
    }

    /// Has a live member rebuild a fragment; nothing if none does.
    pub(super) async fn helped(
        &self,
        chair: &Chair,
        members: &OpenVolume,
        live: &[u16],
        index: u32,
        leaf: &StripeLeaf,
    ) -> Option<(Rebuilt, u16)> {
        if leaf.offset >= chair.record.targetBytes || live.is_empty() {
            return None;
        }
        let (volume, seat) = (chair.volume, chair.seat);
        let rebuild = Rebuild { volume, index, segment: leaf.segment, seat };
        let turn = (0..live.len()).map(|at| live[(index as usize + at) % live.len()]);
        for helper in turn.filter(|helper| !self.is_left_out(volume, *helper)).take(HELPERS_PER_STRIPE) {
            let Some(endpoint) = members.members.get(usize::from(helper)).and_then(|member| member.endpoint.as_ref())
            else {
                continue;
            };
            match self.rebuilder.transport.rebuild(endpoint, rebuild, HELP_TIMEOUT).await {
                Ok(fetched) if fetched.length == leaf.length => {
                    let (profile, length, proof) = (fetched.profile, fetched.length, fetched.proof);
                    let fragment = Fragment::new(fetched.bytes);
                    return Some((Rebuilt { profile, length, proof, fragment }, helper));
                }
                // It has seen that there is no such fragment: so will we.
                Err(FetchError::Refused(refusal)) if refusal.reason == RefusalReason::WrongFragment => return None,
                Err(FetchError::Refused(refusal)) if matches!(refusal.reason, RefusalReason::Busy { .. }) => {}
                failed => {
                    let error = failed.err().unwrap_or(FetchError::Transport(TransportError::UnexpectedResponse));
                    tracing::debug!(volume, helper, index, %error, "does not help: left out");
                    let until_ms = self.state.lock().now_ms.saturating_add(LEFT_OUT_MS);
                    self.helpers.left_out.lock().insert((volume, helper), until_ms);
                }
            }
        }
        None
    }

    fn is_left_out(&self, volume: u32, seat: u16) -> bool {
        let now_ms = self.state.lock().now_ms;
        let mut left_out = self.helpers.left_out.lock();
        left_out.retain(|_, until_ms| now_ms < *until_ms);
        left_out.contains_key(&(volume, seat))
    }

    /// Notes who rebuilt a stripe, before it is kept; nobody if it was rebuilt here.
    pub(super) async fn note_helper(
        &self,
        chair: &Chair,
        index: u32,
        leaf: &StripeLeaf,
        helper: Option<u16>,
    ) -> Result<(), RepairError> {
        let (volume, lot) = (chair.volume, chair.record.lot);
        let change = match helper {
            Some(helper) => notes::put_helper(volume, index, helper, lot, leaf.fragment_bytes),
            // Another may have been noted for what a crash has taken.
            None if self.store.note(notes::helper_key(volume, index)).await?.is_some() => {
                notes::remove_helper(volume, index)
            }
            None => return Ok(()),
        };
        Ok(self.store.update(vec![change]).await?)
    }

    /// Adds a stripe that is kept now to what is owed to its helper.
    pub(super) async fn count_helper(&self, chair: &Chair, index: u32) -> Result<(), RepairError> {
        let volume = chair.volume;
        if chair.record.state == REBUILDING
            && let Some(note) = self.store.note(notes::helper_key(volume, index)).await?
            && let Some((helper, lot, bytes)) = notes::read_helper(&note)
            && let Some(tally) = self.helpers.tallies.lock().get_mut(&volume).filter(|tally| tally.lot == lot)
        {
            *tally.bytes.entry(helper).or_default() += bytes;
        }
        Ok(())
    }

    /// Adds up what helpers did for a column, unless that was done: what is missing still does not count.
    pub(super) async fn add_up(&self, chair: &Chair) -> Result<(), RepairError> {
        let (volume, lot) = (chair.volume, chair.record.lot);
        let is_owed = matches!(chair.record.state, REBUILDING | UNSETTLED);
        if !is_owed || self.helpers.tallies.lock().get(&volume).is_some_and(|tally| tally.lot == lot) {
            return Ok(());
        }
        let mut tally = Tally { lot, ..Tally::default() };
        for (key, value) in notes::all(&self.store, notes::helper_keys(volume)).await? {
            let (index, noted) = (notes::index_of(&key), notes::read_helper(&value));
            let (Some(index), Some((helper, noted_lot, bytes))) = (index, noted) else {
                return Err(RepairError::Log(volume));
            };
            let segment = self.leaf(volume, index).await?.segment;
            let is_missing = self.state.lock().missed(&FragmentKey { segment, volume }) == Some(index);
            if noted_lot == lot && !is_missing {
                *tally.bytes.entry(helper).or_default() += bytes;
            }
        }
        self.helpers.tallies.lock().insert(volume, tally);
        Ok(())
    }

    /// Gives helpers signatures for what they did. Who cannot be reached gets its own later: it is for all there was.
    pub(super) async fn acknowledge(&self, chair: &Chair) -> Result<(), RepairError> {
        let (volume, seat, lot) = (chair.volume, chair.seat, chair.record.lot);
        if !matches!(chair.record.state, REBUILDING | UNSETTLED) {
            self.helpers.tallies.lock().remove(&volume);
            return Ok(());
        }
        let owed: Vec<(u16, u64)> = {
            let tallies = self.helpers.tallies.lock();
            let Some(tally) = tallies.get(&volume).filter(|tally| tally.lot == lot) else { return Ok(()) };
            let told = |helper: &u16| tally.acknowledged.get(helper).copied().unwrap_or_default();
            tally
                .bytes
                .iter()
                .filter(|(helper, bytes)| **bytes > told(helper))
                .map(|(at, bytes)| (*at, *bytes))
                .collect()
        };
        if owed.is_empty() {
            return Ok(());
        }
        let chain_id = self.chain.spec().await?.chain_id;
        let members = Network(&*self.chain).volume_with_members(volume).await?;
        for (helper_seat, bytes) in owed {
            let Some(member) = members.members.get(usize::from(helper_seat)) else { continue };
            let Some(endpoint) = &member.endpoint else { continue };
            let help = Help { chain_id, volume, seat, lot, helper_seat, helper: member.miner, bytes };
            let signature = self.receipt_key.sign(&help.message()).to_bytes();
            let acknowledge = Acknowledge { volume, seat, bytes, signature };
            match self.rebuilder.transport.acknowledge(endpoint, acknowledge, ACKNOWLEDGE_TIMEOUT).await {
                Ok(()) => {
                    if let Some(tally) = self.helpers.tallies.lock().get_mut(&volume) {
                        tally.acknowledged.insert(helper_seat, bytes);
                    }
                }
                Err(error) => tracing::debug!(volume, helper_seat, bytes, %error, "not acknowledged yet"),
            }
        }
        Ok(())
    }
}
