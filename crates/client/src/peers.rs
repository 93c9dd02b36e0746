//! Remember how peers behaved, and whom to ask first.

use alloy_primitives::B256;
use parking_lot::Mutex;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// How long a peer that did not answer is passed over; doubles with every further time.
const REST: Duration = Duration::from_secs(5);
/// Longest time a peer is passed over.
const REST_MAX: Duration = Duration::from_secs(300);
/// Weight of the newest measurement in the moving average, as one part of so many.
const SMOOTHING: u32 = 4;
/// Time that a peer nobody has measured is assumed to take.
const UNKNOWN: Duration = Duration::from_millis(50);

/// What is known of one peer.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Moving average of the time to answer.
    latency: Option<Duration>,
    /// Failures since the last answer.
    failures: u32,
    /// Bytes that did not verify, and answers that broke the format.
    lies: u32,
    /// Until when others are preferred.
    resting_until: Option<Instant>,
}

/// How a peer did, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The peer's transport key.
    pub peer: B256,
    /// Average time to answer.
    pub latency: Option<Duration>,
    /// Failures since the last answer.
    pub failures: u32,
    /// Proven lies.
    pub lies: u32,
}

/// Everything known of the peers that were asked.
#[derive(Debug, Default)]
pub struct Scoreboard(Mutex<HashMap<B256, Record>>);

impl Scoreboard {
    /// Notes an answer and how long it took.
    pub fn answered(&self, peer: B256, took: Duration) {
        let mut records = self.0.lock();
        let record = records.entry(peer).or_default();
        record.latency = Some(match record.latency {
            Some(average) => (average * (SMOOTHING - 1) + took) / SMOOTHING,
            None => took,
        });
        record.failures = 0;
        if record.lies == 0 {
            record.resting_until = None;
        }
    }

    /// Notes that no answer came.
    pub fn failed(&self, peer: B256, now: Instant) {
        let mut records = self.0.lock();
        let record = records.entry(peer).or_default();
        record.failures = record.failures.saturating_add(1);
        let rest = REST.saturating_mul(1 << record.failures.min(8).saturating_sub(1)).min(REST_MAX);
        record.resting_until = Some(now + rest);
    }

    /// Notes a lie. The peer is asked again only where nobody else is left.
    pub fn lied(&self, peer: B256, now: Instant) {
        let mut records = self.0.lock();
        let record = records.entry(peer).or_default();
        record.lies = record.lies.saturating_add(1);
        record.resting_until = Some(now + REST_MAX);
        tracing::warn!(%peer, lies = record.lies, "a peer sent what does not verify");
    }

    /// Whether others should be asked before this peer.
    pub fn is_resting(&self, peer: &B256, now: Instant) -> bool {
        self.0.lock().get(peer).is_some_and(|record| record.resting_until.is_some_and(|until| until > now))
    }

    /// What to sort peers by: those that rest last, then the quick before the slow.
    pub fn rank(&self, peer: &B256, now: Instant) -> (bool, u32, Duration) {
        let record = self.0.lock().get(peer).copied().unwrap_or_default();
        let resting = record.resting_until.is_some_and(|until| until > now);
        (resting, record.lies, record.latency.unwrap_or(UNKNOWN))
    }

    /// The time within which a peer usually answers.
    pub fn usual(&self, peer: &B256) -> Duration {
        self.0.lock().get(peer).and_then(|record| record.latency).unwrap_or(UNKNOWN)
    }

    /// How every peer did.
    pub fn standings(&self) -> Vec<Standing> {
        let records = self.0.lock();
        let mut standings: Vec<_> = records
            .iter()
            .map(|(peer, record)| Standing {
                peer: *peer,
                latency: record.latency,
                failures: record.failures,
                lies: record.lies,
            })
            .collect();
        standings.sort_by_key(|standing| standing.peer);
        standings
    }
}

#[cfg(test)]
mod tests;
