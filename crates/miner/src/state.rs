//! Decide what the chain's events mean for a member: which leaves to append, which fragments to keep or let go.

use crate::{
    notes,
    staging::{NOBODY, Staging},
};
use alloy_primitives::Bytes;
use std::collections::{BTreeMap, HashMap};
use store::{Change, FragmentKey};
use types::{Profile, SegmentId, StripeLeaf, merkle::Frontier};

/// A member's knowledge of one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumeLog {
    /// The seat that this miner holds.
    pub(crate) seat: u16,
    pub(crate) profile: Profile,
    /// All leaves so far, by their left edge.
    pub(crate) frontier: Frontier,
    /// Whether the log is known to differ from the chain's: nothing is signed then.
    pub(crate) is_broken: bool,
}

impl VolumeLog {
    pub(crate) fn new(seat: u16, profile: Profile, frontier: Frontier) -> Self {
        Self { seat, profile, frontier, is_broken: false }
    }

    /// Stripes in the log; its depth bounds them to 2^20.
    pub(crate) fn stripe_count(&self) -> u32 {
        self.frontier.count() as u32
    }
}

/// What happened on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// This miner became a member, of a new volume or in the place of another.
    Formed { volume: u32, seat: u16, profile: Profile },
    /// A stripe was appended.
    Appended {
        volume: u32,
        index: u32,
        leaf: StripeLeaf,
        /// Bit j (least significant first) set: the member in seat j did not sign, and owes nothing of it.
        unsigned: Bytes,
    },
    /// A stripe was released.
    Released { volume: u32, index: u32, segment: SegmentId },
}

/// What is to be done about events: to be written in one update, then [applied](State::apply).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) changes: Vec<Change>,
    volumes: BTreeMap<u32, VolumeLog>,
    kept: Vec<FragmentKey>,
    removed: Vec<FragmentKey>,
    /// Fragments that go back to staging, since a receipt may still call for them.
    returned: Vec<(FragmentKey, Held)>,
    missing: Vec<(FragmentKey, u32)>,
    no_longer_missing: Vec<FragmentKey>,
}

/// What the store knows of a fragment that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bytes: u64,
    pub(crate) hold_until_height: u64,
}

impl Step {
    /// The stripes whose fragments are not here, and their places.
    pub(crate) fn missing_keys(&self) -> Vec<(FragmentKey, u32)> {
        self.missing.iter().filter(|(key, _)| !self.kept.contains(key)).copied().collect()
    }
}

impl Event {
    /// The volume that it is about.
    pub(crate) fn volume(&self) -> u32 {
        match self {
            Self::Formed { volume, .. } | Self::Appended { volume, .. } | Self::Released { volume, .. } => *volume,
        }
    }
}

/// What a miner knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Number of the miner on chain; zero before it is registered.
    pub(crate) miner: u32,
    /// Height that was followed to.
    pub(crate) height: u64,
    /// Time of the newest block seen; zero before the first since the start.
    pub(crate) now_ms: u64,
    pub(crate) volumes: BTreeMap<u32, VolumeLog>,
    pub(crate) staging: Staging,
    /// Counts what has moved fragments out of staging: a lease that was read before is read anew.
    pub(crate) moves: u64,
    /// Whether rounds may still ask for what was released: such fragments go between rounds only.
    pub(crate) is_audited: bool,
    /// Stripes in the log whose fragment is not here, or is here but is not owed before it is healed, by position. Repair
    /// begins here.
    pub(crate) missing: HashMap<FragmentKey, u32>,
}

impl State {
    /// Whether the chain has been followed since the start: before that, nothing is judged.
    pub(crate) fn has_begun(&self) -> bool {
        self.now_ms > 0
    }

    /// Plans what to do about events, in their order. `held` are the fragments here that releases among them name.
    pub(crate) fn plan(&self, events: &[Event], held: &HashMap<FragmentKey, Held>) -> Step {
        let mut step = Step::default();
        for event in events {
            match event {
                Event::Formed { volume, seat, profile } => self.formed(&mut step, *volume, *seat, *profile),
                Event::Appended { volume, index, leaf, unsigned } => {
                    self.appended(&mut step, *volume, *index, leaf, unsigned);
                }
                Event::Released { volume, index, segment } => {
                    let key = FragmentKey { segment: *segment, volume: *volume };
                    self.released(&mut step, key, *index, held.get(&key));
                }
            }
        }
        let logs = step.volumes.iter().filter(|(_, log)| !log.is_broken);
        let logs: Vec<_> = logs.map(|(volume, log)| notes::put_log(*volume, log)).collect();
        step.changes.extend(logs);
        step
    }

    fn formed(&self, step: &mut Step, volume: u32, seat: u16, profile: Profile) {
        if !self.volumes.contains_key(&volume) {
            step.volumes.insert(volume, VolumeLog::new(seat, profile, Frontier::default()));
        }
    }

    fn log<'a>(&self, step: &'a mut Step, volume: u32) -> Option<&'a mut VolumeLog> {
        if let Some(log) = self.volumes.get(&volume) {
            step.volumes.entry(volume).or_insert_with(|| log.clone());
        }
        step.volumes.get_mut(&volume)
    }

    fn appended(&self, step: &mut Step, volume: u32, index: u32, leaf: &StripeLeaf, unsigned: &[u8]) {
        let Some(log) = self.log(step, volume) else { return };
        if log.is_broken || index < log.stripe_count() {
            // Known, or to be found out about in another way.
            return;
        }
        if index > log.stripe_count() || log.frontier.push(&leaf.hash()).is_err() {
            log.is_broken = true;
            return;
        }
        let bits = unsigned.get(usize::from(log.seat / 8)).copied().unwrap_or_default();
        let is_unsigned = bits >> (log.seat % 8) & 1 == 1;
        step.changes.push(notes::put_leaf(volume, index, leaf));
        let key = FragmentKey { segment: leaf.segment, volume };
        let was_returned = step.returned.iter().any(|(returned, _)| *returned == key);
        let is_here = was_returned || self.staging.is_staged(&key) && !step.removed.contains(&key);
        if is_here {
            step.returned.retain(|(returned, _)| *returned != key);
            step.changes.push(Change::Keep(key));
            step.kept.push(key);
        }
        // A receipt that came too late is no receipt: the seat owes nothing of it, and rounds want zeros, until repair has
        // told the chain that it is here.
        if is_unsigned || !is_here {
            step.changes.push(notes::put_missing(volume, index, leaf.segment));
            step.missing.push((key, index));
        }
    }

    fn released(&self, step: &mut Step, key: FragmentKey, index: u32, held: Option<&Held>) {
        if self.is_audited {
            step.changes.push(notes::put_released(key.volume, index));
        }
        let is_missing = |(missing, at): &(FragmentKey, u32)| *missing == key && *at == index;
        if self.missing.get(&key) == Some(&index) || step.missing.iter().any(is_missing) {
            step.missing.retain(|missing| !is_missing(missing));
            step.no_longer_missing.push(key);
            step.changes.push(notes::remove_missing(key.volume, index));
        }
        match held {
            // A round may ask for it still. Or another receipt for the same fragment is about: a commit with it would
            // make this member owe bytes that it has let go.
            Some(held) if self.is_audited || held.hold_until_height >= self.height => {
                step.kept.retain(|kept| *kept != key);
                step.returned.push((key, *held));
                step.changes.push(Change::Return(key));
            }
            Some(_) => {
                step.changes.push(Change::Remove(key));
                step.removed.push(key);
            }
            None => {}
        }
    }

    /// Follows a step that has been written.
    pub(crate) fn apply(&mut self, step: Step) {
        self.volumes.extend(step.volumes);
        self.moves += u64::from(!step.kept.is_empty() || !step.removed.is_empty());
        for key in step.kept.into_iter().chain(step.removed) {
            self.staging.remove(&key);
        }
        for (key, Held { bytes, hold_until_height }) in step.returned {
            self.staging.restore(key, NOBODY, bytes, hold_until_height);
        }
        for key in step.no_longer_missing {
            self.missing.remove(&key);
        }
        self.missing.extend(step.missing);
    }

    /// The place in the log at which a fragment is missed that is here by now.
    pub(crate) fn missed(&self, key: &FragmentKey) -> Option<u32> {
        self.missing.get(key).copied()
    }

    /// A missed fragment is here and kept.
    pub(crate) fn found(&mut self, key: &FragmentKey) {
        self.missing.remove(key);
        self.staging.remove(key);
    }
}

#[cfg(test)]
mod tests;
