//! Page through the log of a volume.
//!
//! # Design
//! The leaves are in the events of commits, which the archive finds by volume but not by position. So the positions of
//! each volume's commits are kept in memory, 16 bytes per commit, and brought up to date when somebody asks.

use super::{
    PAGE_MAX, StripeEntry, StripePage,
    registry::{ask, page_limit},
};
use crate::{
    error::{Answer, RpcError},
    service::Service,
};
use alloy_primitives::U256;
use alloy_sol_types::SolEvent;
use archive::{LogFilter, LogRecord};
use std::collections::HashMap;
use types::abi::{
    IVolumes::{Appended, isReleasedCall, volumeCall},
    VOLUMES,
};

/// Where the stripes of each volume were committed, as far as anybody asked.
#[derive(Debug, Default)]
pub(crate) struct StripeIndex {
    volumes: HashMap<u32, VolumeIndex>,
}

#[derive(Debug, Default)]
struct VolumeIndex {
    /// Blocks with commits: the first position that each brought, and its height.
    commits: Vec<(u32, u64)>,
    /// The first height that was not looked at.
    next_height: u64,
}

impl VolumeIndex {
    fn add(&mut self, index: u32, height: u64) {
        if self.commits.last().is_none_or(|(_, last)| *last < height) {
            self.commits.push((index, height));
        }
    }

    /// The block that brought the stripe at `index`.
    fn height_of(&self, index: u32) -> Option<u64> {
        let after = self.commits.partition_point(|(first, _)| *first <= index);
        self.commits.get(after.checked_sub(1)?).map(|(_, height)| *height)
    }
}

/// `cess_getStripes`.
pub(super) fn page(service: &Service, volume: u32, from: Option<u32>, limit: Option<u32>) -> Answer<StripePage> {
    let from = from.unwrap_or_default();
    let limit = page_limit(limit)?;
    let tip = service.history.tip()?.height;
    let total = ask(service, tip, VOLUMES, volumeCall { id: volume })?.stripeCount;
    let end = total.min(from.saturating_add(limit as u32));
    let Some((first, last)) = heights(service, volume, (from, end), tip)? else {
        return Ok(StripePage { total, stripes: Vec::new() });
    };
    let leaves = appended(service, volume, (first, last))?;
    let stripes = leaves
        .into_iter()
        .filter(|(_, leaf)| (from..end).contains(&leaf.index))
        .map(|(record, leaf)| {
            let released = ask(service, tip, VOLUMES, isReleasedCall { volume, index: leaf.index })?;
            Ok(entry(record.height, leaf, released))
        })
        .collect::<Answer<_>>()?;
    Ok(StripePage { total, stripes })
}

/// The blocks that brought the first and the last stripe of a page.
fn heights(service: &Service, volume: u32, (from, end): (u32, u32), tip: u64) -> Answer<Option<(u64, u64)>> {
    if from >= end {
        return Ok(None);
    }
    let mut index = service.stripes.lock();
    let known = index.volumes.entry(volume).or_default();
    while known.next_height <= tip {
        let (records, next_height) = search(service, volume, (known.next_height, tip))?;
        for (record, leaf) in records {
            known.add(leaf.index, record.height);
        }
        known.next_height = next_height;
    }
    Ok(known.height_of(from).zip(known.height_of(end - 1)))
}

/// All leaves that the blocks `first` to `last` brought.
fn appended(service: &Service, volume: u32, (first, last): (u64, u64)) -> Answer<Vec<(LogRecord, Appended)>> {
    let mut leaves = Vec::new();
    let mut next = first;
    while next <= last && leaves.len() <= PAGE_MAX as usize * 2 {
        let (found, next_height) = search(service, volume, (next, last))?;
        leaves.extend(found);
        next = next_height;
    }
    Ok(leaves)
}

/// The leaves of as many blocks as one look into the archive can have, and the first height beyond.
fn search(service: &Service, volume: u32, (from, mut to): (u64, u64)) -> Answer<(Vec<(LogRecord, Appended)>, u64)> {
    loop {
        let topics = [Some(vec![Appended::SIGNATURE_HASH]), Some(vec![U256::from(volume).into()]), None, None];
        match service.history.logs_or_less(&LogFilter { from, to, addresses: vec![VOLUMES], topics })? {
            Ok(records) => return Ok((records.into_iter().map(decode).collect::<Answer<_>>()?, to + 1)),
            Err(less) if less >= from && less < to => to = less,
            Err(_) => return Err(RpcError::Limit(format!("block {from} holds too much"))),
        }
    }
}

fn decode(record: LogRecord) -> Answer<(LogRecord, Appended)> {
    let leaf = Appended::decode_log_data(&record.log.data)
        .map_err(|error| RpcError::Internal(format!("a commit's event is malformed: {error}")))?;
    Ok((record, leaf))
}

fn entry(height: u64, leaf: Appended, released: bool) -> StripeEntry {
    StripeEntry {
        index: leaf.index,
        segment: leaf.segment,
        territory: leaf.territory,
        offset: leaf.offset,
        fragment_bytes: leaf.fragmentBytes,
        length: leaf.length,
        committed_at_ms: leaf.committedAtMs,
        term_end_ms: leaf.termEndMs,
        missing: leaf.missing,
        released,
        height,
    }
}

#[cfg(test)]
mod tests;
