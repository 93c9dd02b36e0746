//! Find logs by address and topics over many blocks.
//!
//! Every term of a log has a posting in order of position, so a filter is the intersection of unions of sorted lists:
//! each list is asked for its first position from where the others stand, and what all agree on is a match. Blocks
//! without matches cost nothing.

use crate::{
    archive::{Archive, View},
    error::ArchiveError,
    record::{LogRecord, decode_log},
    table::{Position, Term, log_key, position_of},
};
use alloy_primitives::{Address, B256};
use fjall::Readable;
use types::Header;

/// What logs to find: in a range of heights, from any of the addresses, with any of the given topics in each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First height.
    pub from: u64,
    /// Last height; heights that are not there yet do not matter.
    pub to: u64,
    /// Who emitted them; anybody where there is none.
    pub addresses: Vec<Address>,
    /// Topics by place; `None` and an empty list take any, and none at all.
    pub topics: [Option<Vec<B256>>; 4],
}

/// Why a filter was not answered.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// There is too much; the first part of the range can be had.
    #[error("the filter matches more than {limit} logs: ask for heights {from} to {to}, and then for the rest")]
    TooMany { limit: usize, from: u64, to: u64 },
    /// A single block has too much.
    #[error("the filter matches more than {limit} logs in block {height} alone: narrow it by address or topics")]
    TooManyInBlock { limit: usize, height: u64 },
    /// Finding them takes too long; the first part of the range can be had.
    #[error("the filter takes too long: ask for heights {from} to {to}, and then for the rest")]
    TooSlow { from: u64, to: u64 },
    /// It lists too many addresses or topics.
    #[error("the filter lists {count} addresses or topics in one place, the limit is {}", LogFilter::VALUES_MAX)]
    TooManyValues { count: usize },
    /// The range ends before it begins.
    #[error("the range is empty: from {from} to {to}")]
    EmptyRange { from: u64, to: u64 },
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl LogFilter {
    /// Most logs that one answer has.
    pub const RESULTS_MAX: usize = 10_000;
    /// Most addresses, and most topics in one place.
    pub const VALUES_MAX: usize = 256;
    /// Most steps from posting to posting: about a second.
    const STEPS_MAX: usize = 400_000;

    /// Whether a log passes, wherever it is.
    pub fn matches(&self, log: &alloy_primitives::Log) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        address
            && self.topics.iter().enumerate().all(|(place, wanted)| match wanted.as_deref() {
                None | Some([]) => true,
                Some(wanted) => log.topics().get(place).is_some_and(|topic| wanted.contains(topic)),
            })
    }

    /// Lists of terms of which a log must have one each.
    fn clauses(&self) -> Result<Vec<Vec<Term>>, LogsError> {
        let addresses = self.addresses.iter().map(|address| Term::address(*address)).collect();
        let topics =
            self.topics.iter().enumerate().map(|(place, wanted)| {
                wanted.iter().flatten().map(|topic| Term::topic(place, *topic)).collect::<Vec<_>>()
            });
        let mut clauses: Vec<Vec<Term>> = std::iter::once(addresses).chain(topics).collect();
        clauses.retain(|terms| !terms.is_empty());
        for terms in &mut clauses {
            if terms.len() > Self::VALUES_MAX {
                return Err(LogsError::TooManyValues { count: terms.len() });
            }
            terms.sort_unstable();
            terms.dedup();
        }
        Ok(clauses)
    }
}

impl Archive {
    /// The logs that pass `filter`, in order; all of them or an error that says which range can be had.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRecord>, LogsError> {
        self.logs_within(filter, LogFilter::RESULTS_MAX, LogFilter::STEPS_MAX)
    }

    pub(crate) fn logs_within(
        &self,
        filter: &LogFilter,
        results_max: usize,
        steps_max: usize,
    ) -> Result<Vec<LogRecord>, LogsError> {
        let LogFilter { from, to, .. } = *filter;
        if from > to {
            return Err(LogsError::EmptyRange { from, to });
        }
        let view = self.view();
        let clauses = filter.clauses()?;
        let mut search = Search::new(&view, &clauses, (from, to));
        let mut found: Vec<LogRecord> = Vec::new();
        let mut header: Option<(B256, Header)> = None;
        while let Some(position) = search.next(steps_max)? {
            if found.len() == results_max {
                let last = found.last().map_or(position.0, |log| log.height);
                // The block where the answer overflows is not complete.
                let complete = if last < position.0 { last } else { last.saturating_sub(1) };
                let too_many = LogsError::TooMany { limit: results_max, from, to: complete };
                let in_block = LogsError::TooManyInBlock { limit: results_max, height: position.0 };
                let first_is_complete = found.first().is_some_and(|log| log.height <= complete);
                return Err(if first_is_complete { too_many } else { in_block });
            }
            found.push(view.log(position, &mut header)?);
        }
        Ok(found)
    }
}

impl View<'_> {
    /// The log at `position`; `header` keeps the block's header for the next one.
    fn log(&self, position: Position, header: &mut Option<(B256, Header)>) -> Result<LogRecord, ArchiveError> {
        if header.as_ref().is_none_or(|(_, header)| header.height != position.0) {
            *header = self.header(position.0)?;
        }
        let (hash, header) = header.as_ref().ok_or(ArchiveError::Damaged("header"))?;
        let bytes = self.get(log_key(position))?.ok_or(ArchiveError::Damaged("log"))?;
        decode_log(&bytes, position.1, (*hash, header))
    }
}

/// A walk over the positions that every clause has.
struct Search<'a> {
    clauses: Vec<Union<'a>>,
    all: Option<List<'a>>,
    from: u64,
    next: Option<Position>,
    steps: usize,
}

impl<'a> Search<'a> {
    fn new(view: &'a View<'a>, clauses: &[Vec<Term>], (from, to): (u64, u64)) -> Self {
        let lists = |terms: &Vec<Term>| terms.iter().map(|term| List::of_term(view, *term, to)).collect();
        let unions = clauses.iter().map(|terms| Union { lists: lists(terms) }).collect();
        let all = clauses.is_empty().then(|| List::of_all(view, to));
        Self { clauses: unions, all, from, next: Some((from, 0)), steps: 0 }
    }

    /// The next match.
    fn next(&mut self, steps_max: usize) -> Result<Option<Position>, LogsError> {
        let Some(mut candidate) = self.next else { return Ok(None) };
        if let Some(all) = &mut self.all {
            let found = all.seek(candidate)?;
            self.next = found.and_then(after);
            return Ok(found);
        }
        // How many clauses in a row have agreed on the candidate.
        let (mut agreed, mut turn) = (0, 0);
        while agreed < self.clauses.len() {
            self.steps += 1;
            if self.steps > steps_max {
                return Err(LogsError::TooSlow { from: self.from, to: candidate.0.saturating_sub(1).max(self.from) });
            }
            match self.clauses[turn].seek(candidate)? {
                Some(found) if found == candidate => agreed += 1,
                Some(found) => (candidate, agreed) = (found, 1),
                None => {
                    self.next = None;
                    return Ok(None);
                }
            }
            turn = (turn + 1) % self.clauses.len();
        }
        self.next = after(candidate);
        Ok(Some(candidate))
    }
}

/// The position after `position`.
fn after((height, index): Position) -> Option<Position> {
    match index.checked_add(1) {
        Some(index) => Some((height, index)),
        None => Some((height.checked_add(1)?, 0)),
    }
}

/// Lists of which any may hold a position.
struct Union<'a> {
    lists: Vec<List<'a>>,
}

impl Union<'_> {
    fn seek(&mut self, target: Position) -> Result<Option<Position>, ArchiveError> {
        let mut first: Option<Position> = None;
        for list in &mut self.lists {
            if let Some(position) = list.seek(target)? {
                first = Some(first.map_or(position, |first| first.min(position)));
            }
        }
        Ok(first)
    }
}

/// Sorted positions: those of a term, or those of all logs.
struct List<'a> {
    view: &'a View<'a>,
    term: Option<Term>,
    to: u64,
    iter: Option<fjall::Iter>,
    head: Head,
}

/// Where a list stands.
#[derive(Clone, Copy)]
enum Head {
    Start,
    At(Position),
    End,
}

impl<'a> List<'a> {
    /// Steps forward before a list is entered anew further on, which costs about as much as this.
    const STEPS_MAX: usize = 16;

    fn of_term(view: &'a View<'a>, term: Term, to: u64) -> Self {
        Self { view, term: Some(term), to, iter: None, head: Head::Start }
    }

    fn of_all(view: &'a View<'a>, to: u64) -> Self {
        Self { view, term: None, to, iter: None, head: Head::Start }
    }

    fn key(&self, position: Position) -> Vec<u8> {
        self.term.map_or_else(|| log_key(position), |term| term.key(position))
    }

    /// The first position from `target` on. Targets never go back.
    fn seek(&mut self, target: Position) -> Result<Option<Position>, ArchiveError> {
        if target.0 > self.to {
            self.head = Head::End;
        }
        for _ in 0..Self::STEPS_MAX {
            match self.head {
                Head::At(position) if position >= target => return Ok(Some(position)),
                Head::End => return Ok(None),
                Head::Start => break,
                Head::At(_) => self.step()?,
            }
        }
        let range = self.key(target)..=self.key((self.to, u32::MAX));
        self.iter = Some(self.view.snapshot.range(self.view.tree, range));
        self.step()?;
        match self.head {
            Head::At(position) => Ok(Some(position)),
            Head::Start | Head::End => Ok(None),
        }
    }

    fn step(&mut self) -> Result<(), ArchiveError> {
        self.head = match self.iter.as_mut().and_then(Iterator::next) {
            Some(item) => Head::At(position_of(&item.key()?).ok_or(ArchiveError::Damaged("posting"))?),
            None => Head::End,
        };
        Ok(())
    }
}
