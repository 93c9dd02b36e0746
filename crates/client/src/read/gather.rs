//! Decide whom to ask for which part of a fragment, and when there is enough.
//!
//! The data members are asked for exactly the bytes wanted. Whatever one of them does not deliver is computed from the
//! same columns of `k` other fragments.

use bytes::Bytes;
use erasure::Code;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};
use types::Profile;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything wanted is there or can be computed.
    Done,
    /// Ask these seats for these ranges of their fragments.
    Ask(Vec<(u16, Range<u64>)>),
    /// Wait for an answer.
    Wait,
    /// There is nobody left to ask.
    Failed {
        /// Fragments that are there.
        found: usize,
        /// Fragments that would be enough.
        needed: usize,
    },
}

/// The state of one read.
#[derive(Debug)]
pub(super) struct Gather {
    data: u16,
    /// The part wanted of each data fragment that is wanted.
    wanted: BTreeMap<u16, Range<u64>>,
    /// What arrived, by seat.
    have: BTreeMap<u16, Vec<(Range<u64>, Bytes)>>,
    /// Seats that were asked and have not answered.
    asked: BTreeMap<u16, Range<u64>>,
    /// Seats that will not be asked again.
    failed: BTreeSet<u16>,
    /// Seats that are asked only where others do not suffice: slow ones.
    slow: BTreeSet<u16>,
    /// All seats, the preferred ones first.
    order: Vec<(u16, bool)>,
    started: bool,
}

/// Fragments to compute, ready to be moved to another thread.
pub(super) struct Work {
    sources: Vec<(usize, Bytes)>,
    wanted: Vec<(u16, Range<u64>)>,
    columns: Range<u64>,
}

impl Gather {
    /// A read of `range` of a segment of `length` bytes; `order` has the seats that can be asked, best first, and
    /// whether each had better be left alone.
    pub(super) fn new(profile: Profile, length: u64, range: Range<u64>, order: Vec<(u16, bool)>) -> Self {
        let fragment_bytes = profile.fragment_bytes(length);
        let first = range.start / fragment_bytes;
        let last = (range.end - 1) / fragment_bytes;
        let part = |index: u64| {
            let start = index * fragment_bytes;
            let part = range.start.max(start) - start..range.end.min(start + fragment_bytes) - start;
            (index as u16, part)
        };
        // Fragments behind the segment's end are zeros: nobody need be asked for them.
        let zeros = length.div_ceil(fragment_bytes)..u64::from(profile.data());
        let zero = Bytes::from(if zeros.is_empty() { Vec::new() } else { vec![0; fragment_bytes as usize] });
        let have = zeros.map(|index| (index as u16, vec![(0..fragment_bytes, zero.clone())])).collect();
        Self {
            data: profile.data(),
            wanted: (first..=last).map(part).collect(),
            have,
            asked: BTreeMap::new(),
            failed: BTreeSet::new(),
            slow: BTreeSet::new(),
            order,
            started: false,
        }
    }

    /// Decides what to do next.
    pub(super) fn poll(&mut self) -> Step {
        if !self.started {
            self.started = true;
            let direct = self.ask_data_members();
            if !direct.is_empty() {
                return Step::Ask(direct);
            }
        }
        let columns = self.columns();
        let Some(columns) = columns else { return Step::Done };
        let needed = usize::from(self.data);
        let found = self.have.keys().filter(|seat| self.piece(**seat, &columns).is_some()).count();
        if found >= needed {
            return Step::Done;
        }
        if self.all_wanted_are_coming() {
            return Step::Wait;
        }
        let is_coming = |(seat, range): &(&u16, &Range<u64>)| {
            covers(range, &columns) && !self.slow.contains(seat) && !self.have_covers(**seat, &columns)
        };
        let coming = self.asked.iter().filter(is_coming).count();
        let more = self.candidates(&columns, needed.saturating_sub(found + coming));
        if !more.is_empty() {
            for (seat, range) in &more {
                self.asked.insert(*seat, range.clone());
                self.slow.remove(seat);
            }
            return Step::Ask(more);
        }
        if self.asked.is_empty() { Step::Failed { found, needed } } else { Step::Wait }
    }

    /// Notes an answer.
    pub(super) fn arrived(&mut self, seat: u16, range: Range<u64>, bytes: Bytes) {
        // A seat may have been asked twice, the second time for more.
        if self.asked.get(&seat).is_some_and(|asked| *asked == range) {
            self.asked.remove(&seat);
        }
        self.have.entry(seat).or_default().push((range, bytes));
    }

    /// Notes that a seat will not help.
    pub(super) fn failed(&mut self, seat: u16) {
        self.asked.remove(&seat);
        self.failed.insert(seat);
    }

    /// Notes that those who were asked take too long.
    pub(super) fn hedge(&mut self) {
        self.slow.extend(self.asked.keys());
    }

    /// The seats whose answers are awaited.
    pub(super) fn waiting_for(&self) -> impl Iterator<Item = u16> {
        self.asked.keys().filter(|seat| !self.slow.contains(seat)).copied()
    }

    /// What has to be computed once all is there.
    pub(super) fn missing_work(&self) -> Option<Work> {
        let columns = self.columns()?;
        let covering = self.have.keys().filter_map(|seat| Some((usize::from(*seat), self.piece(*seat, &columns)?)));
        let sources = covering.take(self.data.into());
        Some(Work { sources: sources.collect(), wanted: self.outstanding().collect(), columns })
    }

    /// Takes what was computed.
    pub(super) fn rebuilt(&mut self, fragments: Vec<(u16, Range<u64>, Bytes)>) {
        for (seat, range, bytes) in fragments {
            self.have.entry(seat).or_default().push((range, bytes));
        }
    }

    /// The wanted parts in order.
    pub(super) fn wanted(&self) -> Vec<Bytes> {
        let part =
            |(seat, part): (&u16, &Range<u64>)| self.piece(*seat, part).expect("all is there when this is asked");
        self.wanted.iter().map(part).collect()
    }

    fn ask_data_members(&mut self) -> Vec<(u16, Range<u64>)> {
        let willing: BTreeSet<u16> = self.order.iter().filter(|(_, resting)| !resting).map(|(seat, _)| *seat).collect();
        let asks: Vec<_> = self.outstanding().filter(|(seat, _)| willing.contains(seat)).collect();
        self.asked.extend(asks.iter().cloned());
        asks
    }

    /// The wanted parts that are not there.
    fn outstanding(&self) -> impl Iterator<Item = (u16, Range<u64>)> {
        self.wanted
            .iter()
            .filter(|(seat, part)| !self.have_covers(**seat, part))
            .map(|(seat, part)| (*seat, part.clone()))
    }

    fn have_covers(&self, seat: u16, part: &Range<u64>) -> bool {
        self.piece(seat, part).is_some()
    }

    /// A part of a seat's fragment, if it is there.
    fn piece(&self, seat: u16, part: &Range<u64>) -> Option<Bytes> {
        let (range, bytes) = self.have.get(&seat)?.iter().find(|(range, _)| covers(range, part))?;
        Some(bytes.slice((part.start - range.start) as usize..(part.end - range.start) as usize))
    }

    /// The columns that hold all outstanding parts.
    fn columns(&self) -> Option<Range<u64>> {
        self.outstanding().map(|(_, part)| part).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
    }

    /// Whether every outstanding part was asked of its own member, which is not slow.
    fn all_wanted_are_coming(&self) -> bool {
        self.outstanding().all(|(seat, part)| {
            !self.slow.contains(&seat) && self.asked.get(&seat).is_some_and(|range| covers(range, &part))
        })
    }

    /// Up to `count` seats to ask for `columns`: first those that nothing speaks against.
    fn candidates(&self, columns: &Range<u64>, count: usize) -> Vec<(u16, Range<u64>)> {
        let useful = |seat: u16| {
            let is_asked = self.asked.get(&seat).is_some_and(|range| covers(range, columns));
            !is_asked && !self.failed.contains(&seat) && !self.have_covers(seat, columns)
        };
        let seats = self.order.iter().map(|(seat, _)| *seat).filter(|seat| useful(*seat));
        // A member that is slow already is the last to be asked for more.
        let (slow, quick): (Vec<_>, Vec<_>) = seats.partition(|seat| self.slow.contains(seat));
        quick.into_iter().chain(slow).take(count).map(|seat| (seat, columns.clone())).collect()
    }
}

impl Work {
    /// Computes the outstanding parts.
    pub(super) fn run(self, code: &Code) -> Vec<(u16, Range<u64>, Bytes)> {
        let present: Vec<usize> = self.sources.iter().map(|(index, _)| *index).collect();
        let wanted: Vec<usize> = self.wanted.iter().map(|(seat, _)| usize::from(*seat)).collect();
        let plan = code.reconstruct(&present, &wanted).expect("k distinct fragments of the code are present");
        let length = (self.columns.end - self.columns.start) as usize;
        let mut outputs = vec![vec![0u8; length]; wanted.len()];
        let sources: Vec<&[u8]> = self.sources.iter().map(|(_, bytes)| &**bytes).collect();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        plan.apply(&sources, &mut slices).expect("all parts are of the same columns");
        let seats = self.wanted.iter().map(|(seat, _)| *seat);
        seats.zip(outputs).map(|(seat, bytes)| (seat, self.columns.clone(), Bytes::from(bytes))).collect()
    }
}

fn covers(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests;
