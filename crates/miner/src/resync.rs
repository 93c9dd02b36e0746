//! Read a volume's log anew when it differs from the chain's: from the node's events, or else from other members.

use crate::{
    follow::{FollowError, Follower},
    notes,
    state::VolumeLog,
};
use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use client::chain::{ChainError, LogFilter, Network, OpenVolume};
use std::time::Duration;
use store::{Change, FragmentKey, FragmentState};
use transport::{LeavesQuery, limits::LEAVES_MAX};
use types::{
    Endpoint, StripeLeaf,
    abi::{IVolumes::Appended, VOLUMES},
    layout::volumes::Log,
    merkle::Frontier,
};

/// Longest wait for a page of leaves.
const LEAVES_TIMEOUT: Duration = Duration::from_secs(10);
/// Leaves that are written at once.
const LEAVES_PER_UPDATE: usize = 1024;

impl Follower {
    /// Reads the log anew; it stays broken if nobody has one that makes the chain's root.
    pub(crate) async fn resync(&mut self, volume: u32) -> Result<(), FollowError> {
        let network = Network(&*self.chain);
        let record = network.volume_with_members(volume).await?;
        let log = network.log(volume, record.stripe_count).await?;
        let height = self.state.lock().height;
        let leaves = match self.leaves_of_events(volume, &log).await {
            Ok(Some(leaves)) => Some(leaves),
            Ok(None) => self.leaves_of_members(&record, &log).await,
            Err(error) => {
                tracing::warn!(%error, volume, "the node does not tell the log");
                self.leaves_of_members(&record, &log).await
            }
        };
        let Some(leaves) = leaves else {
            tracing::error!(volume, height, "neither the node nor a member has the log that the chain commits to");
            return Ok(());
        };
        self.replace_log(volume, &leaves).await
    }

    async fn leaves_of_events(&self, volume: u32, log: &Log) -> Result<Option<Vec<StripeLeaf>>, ChainError> {
        let volume = B256::left_padding_from(&volume.to_be_bytes());
        let topics = [Some(vec![Appended::SIGNATURE_HASH]), Some(vec![volume]), None, None];
        let entries = self.chain.logs(LogFilter { from: 1, to: None, address: VOLUMES, topics }).await?;
        let leaves =
            entries.iter().map(|entry| Appended::decode_log(&entry.log).map(|log| StripeLeaf::from(&log.data)));
        let leaves: Result<Vec<_>, _> = leaves.take(log.stripe_count as usize).collect();
        let leaves = leaves.map_err(|error| ChainError::Invalid(error.to_string()))?;
        Ok(makes_root(&leaves, log).then_some(leaves))
    }

    async fn leaves_of_members(&self, record: &OpenVolume, log: &Log) -> Option<Vec<StripeLeaf>> {
        let own = self.state.lock().miner;
        for member in record.members.iter().filter(|member| member.miner != own) {
            let Some(endpoint) = &member.endpoint else { continue };
            if let Some(leaves) = self.leaves_of_member(endpoint, record.id, log).await {
                return Some(leaves);
            }
        }
        None
    }

    async fn leaves_of_member(&self, endpoint: &Endpoint, volume: u32, log: &Log) -> Option<Vec<StripeLeaf>> {
        let mut leaves = Vec::new();
        while leaves.len() < log.stripe_count as usize {
            let from = leaves.len() as u32;
            let limit = LEAVES_MAX.min(log.stripe_count - from);
            let query = LeavesQuery { volume, from, limit };
            let page = self.transport.leaves(endpoint, query, LEAVES_TIMEOUT).await.ok()?;
            if page.is_empty() || page.len() > limit as usize {
                return None;
            }
            leaves.extend(page);
        }
        makes_root(&leaves, log).then_some(leaves)
    }

    /// Puts a log in the place of the broken one, and compares the fragments here with it.
    async fn replace_log(&mut self, volume: u32, leaves: &[StripeLeaf]) -> Result<(), FollowError> {
        let turn = self.turn.clone();
        let _turn = turn.write().await;
        let (mut frontier, mut missing, mut kept) = (Frontier::default(), Vec::new(), Vec::new());
        let is_audited = self.state.lock().is_audited;
        for (page, start) in leaves.chunks(LEAVES_PER_UPDATE).zip((0u32..).step_by(LEAVES_PER_UPDATE)) {
            let mut changes = Vec::new();
            let places: Vec<_> = page.iter().map(|leaf| (volume, leaf.segment)).collect();
            let positions = Network(&*self.chain).positions(&places).await?;
            for ((leaf, position), index) in page.iter().zip(positions).zip(start..) {
                frontier.push(&leaf.hash()).expect("no longer than the chain's log");
                changes.push(notes::put_leaf(volume, index, leaf));
                // A position is one more than the index of the live stripe. A released one is neither missing nor to be
                // kept.
                if position != index + 1 {
                    changes.extend(is_audited.then(|| notes::put_released(volume, index)));
                    continue;
                }
                let key = FragmentKey { segment: leaf.segment, volume };
                match self.store.record(key).await?.map(|record| record.state) {
                    Some(FragmentState::Kept) => {}
                    // Whether it was signed for is found out by repair.
                    Some(FragmentState::Staged) => {
                        kept.push(key);
                        missing.push((key, index));
                    }
                    None => missing.push((key, index)),
                }
            }
            self.store.update(changes).await?;
        }
        let mut changes: Vec<_> = kept.iter().map(|key| Change::Keep(*key)).collect();
        changes.extend(missing.iter().map(|(key, index)| notes::put_missing(volume, *index, key.segment)));
        let Some(log) = self.state.lock().volumes.get(&volume).cloned() else { return Ok(()) };
        let log = VolumeLog::new(log.seat, log.profile, frontier);
        changes.push(notes::put_log(volume, &log));
        self.store.update(changes).await?;
        let mut state = self.state.lock();
        state.volumes.insert(volume, log);
        kept.iter().for_each(|key| state.staging.remove(key));
        state.missing.extend(missing);
        Ok(())
    }
}

fn makes_root(leaves: &[StripeLeaf], log: &Log) -> bool {
    let mut frontier = Frontier::default();
    let pushed = leaves.iter().all(|leaf| frontier.push(&leaf.hash()).is_ok());
    pushed && frontier.count() == u64::from(log.stripe_count) && frontier.root() == log.root
}
