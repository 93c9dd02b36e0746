//! Release stripes that nothing needs any more, with proof of their place in the log.

use crate::{
    ChainError, Client, SendError,
    chain::{LogFilter, Network, OpenVolume},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use std::{collections::BTreeMap, time::Duration};
use transport::{LeavesQuery, limits::LEAVES_MAX};
use types::{
    Endpoint, SegmentId, StripeLeaf, StripeLog,
    abi::{IVolumes, Release, VOLUMES},
    layout::volumes::Log,
    merkle::Frontier,
};

/// Stripes of one transaction: each takes about 100,000 gas and 1 KB.
const RELEASES_MAX: usize = 48;
/// Attempts while others append to the same volume.
const ATTEMPTS_MAX: usize = 8;
/// Time limit of one page of leaves.
const LEAVES_TIMEOUT: Duration = Duration::from_secs(10);

/// Why stripes could not be released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Nobody has the log of the volume.
    #[error("neither members nor the chain's logs give the {count} stripes of volume {volume}")]
    NoLog {
        /// The volume.
        volume: u32,
        /// Its stripes.
        count: u32,
    },
    /// The volume's log kept growing.
    #[error("volume {volume} is too busy to release stripes of it: try again")]
    Busy {
        /// The volume.
        volume: u32,
    },
}

impl Client {
    /// Releases segments in the volumes where they are; those that the chain does not have are passed over. Returns how
    /// many were released.
    pub async fn release(&self, segments: Vec<(SegmentId, u32)>) -> Result<usize, ReleaseError> {
        let mut volumes: BTreeMap<u32, Vec<SegmentId>> = BTreeMap::new();
        for (segment, volume) in segments {
            volumes.entry(volume).or_default().push(segment);
        }
        let mut released = 0;
        for (volume, segments) in volumes {
            for some in segments.chunks(RELEASES_MAX) {
                released += self.release_in(volume, some).await?;
            }
        }
        Ok(released)
    }

    async fn release_in(&self, volume: u32, segments: &[SegmentId]) -> Result<usize, ReleaseError> {
        for _ in 0..ATTEMPTS_MAX {
            let positions = self.positions(volume, segments).await?;
            if positions.is_empty() {
                return Ok(0);
            }
            let known = self.directory().volume(volume).await?;
            let log = Network(&**self.chain()).log(volume, known.stripe_count).await?;
            let leaves = self.leaves(&known, &log).await?;
            let log = StripeLog::new(leaves);
            let stripes: Vec<_> = positions.iter().filter_map(|index| log.shown(*index)).collect();
            let count = stripes.len();
            match self.sender().call(VOLUMES, U256::ZERO, &IVolumes::releaseCall { volume, stripes }).await {
                Ok(_) => return Ok(count),
                // Somebody appended or released in between.
                Err(error) if error.is_revert::<IVolumes::NotInLog>() => {}
                Err(error) if error.is_revert::<IVolumes::AlreadyReleased>() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReleaseError::Busy { volume })
    }

    /// A live stripe of a volume with its place in the log; nothing if there is none of this segment.
    pub(crate) async fn release_of(&self, volume: u32, segment: SegmentId) -> Result<Option<Release>, ReleaseError> {
        let positions = self.positions(volume, &[segment]).await?;
        let Some(&index) = positions.first() else { return Ok(None) };
        let known = self.directory().volume(volume).await?;
        let log = Network(&**self.chain()).log(volume, known.stripe_count).await?;
        let leaves = self.leaves(&known, &log).await?;
        Ok(StripeLog::new(leaves).shown(index))
    }

    /// The places in the log of those segments that are live.
    pub(crate) async fn positions(&self, volume: u32, segments: &[SegmentId]) -> Result<Vec<u32>, ReleaseError> {
        let places: Vec<_> = segments.iter().map(|segment| (volume, *segment)).collect();
        let mut positions = Network(&**self.chain()).positions(&places).await?;
        positions.sort_unstable();
        positions.dedup();
        Ok(positions.into_iter().filter_map(|position| position.checked_sub(1)).collect())
    }

    /// The log of a volume, which makes the root on chain.
    pub(crate) async fn leaves(&self, volume: &OpenVolume, log: &Log) -> Result<Vec<StripeLeaf>, ReleaseError> {
        for member in &volume.members {
            let Some(endpoint) = &member.endpoint else { continue };
            if let Some(leaves) = self.leaves_of(volume.id, log, endpoint).await
                && root_of(&leaves) == Some(log.root)
            {
                return Ok(leaves);
            }
        }
        let leaves = self.logged_leaves(volume.id, log).await?;
        if root_of(&leaves) != Some(log.root) {
            return Err(ReleaseError::NoLog { volume: volume.id, count: log.stripe_count });
        }
        Ok(leaves)
    }

    /// As many leaves as the volume has, from one member.
    async fn leaves_of(&self, volume: u32, log: &Log, endpoint: &Endpoint) -> Option<Vec<StripeLeaf>> {
        let mut leaves = Vec::new();
        while (leaves.len() as u32) < log.stripe_count {
            let from = leaves.len() as u32;
            let limit = (log.stripe_count - from).min(LEAVES_MAX);
            let query = LeavesQuery { volume, from, limit };
            let page = self.transport().leaves(endpoint, query, LEAVES_TIMEOUT).await.ok()?;
            if page.is_empty() || page.len() as u32 > limit {
                return None;
            }
            leaves.extend(page);
        }
        Some(leaves)
    }

    /// The same from the chain's logs: slower, but always there.
    async fn logged_leaves(&self, volume: u32, log: &Log) -> Result<Vec<StripeLeaf>, ReleaseError> {
        let appended = Some(vec![IVolumes::Appended::SIGNATURE_HASH]);
        let of_volume = Some(vec![B256::from(U256::from(volume))]);
        let filter = LogFilter { address: VOLUMES, topics: [appended, of_volume, None, None], ..LogFilter::default() };
        let logs = self.chain().logs(filter).await?;
        let events = logs.iter().filter_map(|entry| IVolumes::Appended::decode_log_data(&entry.log.data).ok());
        let leaves = events.take(log.stripe_count as usize).map(|event| StripeLeaf::from(&event));
        Ok(leaves.collect())
    }
}

fn root_of(leaves: &[StripeLeaf]) -> Option<B256> {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(&leaf.hash()).ok()?;
    }
    Some(frontier.root())
}
