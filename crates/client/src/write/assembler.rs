//! Pack sealed bytes into segments, and keep several segments on their way.

use super::{CommitError, Committed, Filled, Memory, Session, Staged, WriteError, allocator::Demand, encode::Encoded};
use crate::{
    index::{Extent, Op, SegmentRef, Usage},
    journal::{Journal, Note},
    progress::Progress,
    write::Chunk,
};
use sealing::{Sealer, TAG_LENGTH};
use std::{collections::BTreeSet, pin::pin, sync::Arc};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};
use types::abi::RootUpdate;

/// Where bytes were put: a segment by its number in this write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// Fills segments one after the other; full ones are sealed, staged and committed meanwhile.
pub(crate) struct Assembler {
    session: Arc<Session>,
    progress: Progress,
    journal: Option<Arc<Journal>>,
    memory: Memory,
    /// Bytes of staged segments that are committed together.
    commit_bytes: usize,
    /// Bytes that are still to come, as far as the caller knows.
    expected_bytes: u64,
    keeps_reserve: bool,
    open: Option<Open>,
    segments: Vec<State>,
    staged: Vec<Staged>,
    tasks: JoinSet<Result<Done, WriteError>>,
    committing: bool,
    committed: Committed,
}

/// The segment that is being filled.
struct Open {
    number: usize,
    filled: Filled,
    memory: OwnedSemaphorePermit,
    note: Option<Note>,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    segment: Option<SegmentRef>,
    /// Bytes of objects in it.
    object_bytes: u32,
    /// Bytes that the index pages of this attempt take.
    index_bytes: u32,
    /// Whether the chain has it.
    committed: bool,
}

enum Done {
    Staged(Staged),
    Committed(Committed),
}

impl Assembler {
    /// An assembler within a bound of memory that it may share with others.
    pub(crate) fn new(
        session: Arc<Session>,
        memory: Memory,
        expected_bytes: u64,
        progress: Progress,
        journal: Option<Arc<Journal>>,
    ) -> Self {
        Self {
            session,
            progress,
            journal,
            commit_bytes: memory.bytes() / 4 * 3,
            memory,
            expected_bytes,
            keeps_reserve: true,
            open: None,
            segments: Vec::new(),
            staged: Vec::new(),
            tasks: JoinSet::new(),
            committing: false,
            committed: Committed::default(),
        }
    }

    /// Takes memory for further segments from another bound.
    pub(crate) fn set_memory(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Says whether what is kept free for removals may be taken.
    pub(crate) fn keep_reserve(&mut self, keeps_reserve: bool) {
        self.keeps_reserve = keeps_reserve;
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Most bytes of a segment.
    pub(crate) fn segment_bytes_max(&self) -> usize {
        let storage = &self.session.spec.storage;
        usize::try_from(storage.slot_bytes).expect("slots have at most 64 MiB")
            * usize::from(self.session.profile.data())
    }

    /// Bytes that still fit into the segment being filled.
    pub(crate) fn room(&self) -> usize {
        self.open.as_ref().map_or(0, |open| self.segment_bytes_max() - open.filled.buffer.len())
    }

    /// The segment being filled: its number, if there is one.
    pub(crate) fn open_number(&self) -> Option<usize> {
        self.open.as_ref().map(|open| open.number)
    }

    /// Makes room for `bytes` in one segment, sending the present one off if need be.
    pub(crate) async fn make_room(&mut self, bytes: usize) -> Result<(), WriteError> {
        if bytes > self.segment_bytes_max() {
            return Err(WriteError::RecordTooLong { bytes });
        }
        if self.open.is_some() && self.room() < bytes {
            self.close();
        }
        if self.open.is_none() {
            let memory = self.reserve().await?;
            let number = self.segments.len();
            self.segments.push(State::default());
            // As much as will come, as far as we know: a small object takes little.
            let expected = usize::try_from(self.expected_bytes).unwrap_or(usize::MAX).saturating_add(bytes);
            let buffer = Vec::with_capacity(expected.min(self.segment_bytes_max()));
            self.open = Some(Open { number, filled: Filled { buffer, chunks: Vec::new() }, memory, note: None });
        }
        Ok(())
    }

    /// Appends plaintext of a chunk by letting `fill` write it where it will be sealed. There must be room.
    pub(crate) fn chunk_space(&mut self, sealer: &Arc<Sealer>, index: u64, length: usize) -> (&mut [u8], Place) {
        let open = self.open.as_mut().expect("room was made");
        let buffer = &mut open.filled.buffer;
        let start = buffer.len();
        if index == 0 {
            buffer.extend_from_slice(sealer.header());
        }
        let chunk = buffer.len();
        let end = chunk + length + TAG_LENGTH;
        buffer.resize(end, 0);
        open.filled.chunks.push(Chunk { sealer: sealer.clone(), index, range: chunk..end });
        let place = Place { number: open.number, offset: start as u32, length: (end - start) as u32 };
        self.segments[open.number].object_bytes += place.length;
        (&mut open.filled.buffer[chunk..chunk + length], place)
    }

    /// Appends a sealed page of the index. There must be room.
    pub(crate) fn append_page(&mut self, sealed: &[u8]) -> Place {
        let place = self.append(sealed);
        self.segments[place.number].index_bytes += place.length;
        place
    }

    /// Appends sealed bytes of an object. There must be room.
    pub(crate) fn append_object(&mut self, sealed: &[u8]) -> Place {
        let place = self.append(sealed);
        self.segments[place.number].object_bytes += place.length;
        place
    }

    /// Appends a sealed piece of a list of parts. There must be room.
    pub(crate) fn append_piece(&mut self, sealed: &[u8]) -> Place {
        self.append(sealed)
    }

    fn append(&mut self, sealed: &[u8]) -> Place {
        let open = self.open.as_mut().expect("room was made");
        let offset = open.filled.buffer.len() as u32;
        open.filled.buffer.extend_from_slice(sealed);
        Place { number: open.number, offset, length: sealed.len() as u32 }
    }

    /// Has the journal keep the segment being filled under `note`.
    pub(crate) fn set_note(&mut self, note: Note) {
        if let Some(open) = &mut self.open {
            open.note = Some(note);
        }
    }

    /// Takes in a segment that an earlier attempt committed, with the bytes of the object in it.
    pub(crate) fn adopt(&mut self, segment: SegmentRef, length: u32) -> Place {
        let number = self.segments.len();
        let state = State { segment: Some(segment), object_bytes: length, committed: true, ..State::default() };
        self.segments.push(state);
        self.expected_bytes = self.expected_bytes.saturating_sub(length.into());
        Place { number, offset: 0, length }
    }

    /// Takes in a segment that was staged by another assembler.
    pub(crate) fn adopt_staged(&mut self, staged: Staged) -> usize {
        let number = self.segments.len();
        let Staged { segment, .. } = staged;
        self.segments.push(State { segment: Some(segment), object_bytes: segment.length, ..State::default() });
        self.staged.push(Staged { number, ..staged });
        number
    }

    /// Gives the segment being filled back instead of sending it: its number, what it holds, and its memory.
    pub(crate) fn take_open(&mut self) -> Option<(usize, Filled, OwnedSemaphorePermit)> {
        let Open { number, filled, memory, .. } = self.open.take()?;
        Some((number, filled, memory))
    }

    /// Gives the segments back that are staged and were not committed, by their numbers.
    pub(crate) fn take_staged(&mut self) -> Vec<Staged> {
        std::mem::take(&mut self.staged)
    }

    /// Sends the segment being filled on its way.
    pub(crate) fn close(&mut self) {
        let Some(Open { number, filled, memory, note }) = self.open.take() else { return };
        let (session, progress) = (self.session.clone(), self.progress.clone());
        let (journal, room) = (self.journal.clone().zip(note), self.memory.clone());
        let fragment_bytes = session.profile.fragment_bytes(filled.buffer.len() as u64);
        let data = u64::from(session.profile.data());
        let expected_bytes = (self.expected_bytes.div_ceil(data)).max(fragment_bytes);
        let demand = Demand { expected_bytes, keeps_reserve: self.keeps_reserve };
        self.expected_bytes = self.expected_bytes.saturating_sub(filled.buffer.len() as u64);
        self.tasks.spawn(async move {
            let profile = session.profile;
            let parity = u64::from(profile.total() - profile.data()) * fragment_bytes;
            let parity = room.send(usize::try_from(parity).expect("a segment has at most 12 GiB")).await;
            let noted = journal.clone();
            let encoded = offload::run(move || {
                // What is about to be sealed is on disk before any of it leaves: see `journal`.
                if let Some((journal, note)) = noted {
                    journal.sealing(&note, &filled)?;
                }
                Ok::<_, WriteError>(Encoded::new(profile, filled.seal()))
            });
            let encoded = encoded.await.expect("encoding does not panic")?;
            let staged = session.place(number, &encoded, demand, BTreeSet::new(), &progress).await?;
            if let Some((journal, note)) = journal {
                journal.staged(&note, staged.segment)?;
            }
            drop((encoded, memory, parity));
            Ok(Done::Staged(staged))
        });
    }

    /// Waits until memory for one more segment is free.
    async fn reserve(&mut self) -> Result<OwnedSemaphorePermit, WriteError> {
        let (memory, session, bytes) = (self.memory.clone(), self.session.clone(), self.segment_bytes_max());
        let mut acquire = pin!(memory.fill(bytes));
        loop {
            self.commit_from(self.commit_bytes);
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => self.note(done.expect("tasks do not panic")?),
                permit = &mut acquire => return Ok(permit),
                () = session.allocator.starved() => self.commit_from(1),
            }
        }
    }

    fn note(&mut self, done: Done) {
        match done {
            Done::Staged(staged) => {
                self.segments[staged.number].segment = Some(staged.segment);
                self.staged.push(staged);
            }
            Done::Committed(committed) => {
                self.committing = false;
                self.note_committed(committed);
            }
        }
    }

    fn note_committed(&mut self, committed: Committed) {
        for (number, segment) in committed.segments {
            let state = &mut self.segments[number];
            (state.segment, state.committed) = (Some(segment), true);
        }
        self.committed.transactions.extend(committed.transactions);
        self.committed.degraded |= committed.degraded;
    }

    /// Commits what is staged, in the background, once it is as much as this.
    fn commit_from(&mut self, least_bytes: usize) {
        let bytes: usize = self.staged.iter().map(|staged| staged.segment.length as usize).sum();
        if self.committing || bytes < least_bytes {
            return;
        }
        self.committing = true;
        let mut staged = std::mem::take(&mut self.staged);
        let (session, progress) = (self.session.clone(), self.progress.clone());
        self.tasks.spawn(async move {
            match session.commit(&mut staged, None, &progress).await {
                Ok(committed) => Ok(Done::Committed(committed)),
                Err(CommitError::Failed(error)) => Err(error),
                Err(CommitError::RootChanged | CommitError::Moved) => unreachable!("there was no root to set"),
            }
        });
    }

    /// Waits until every segment that was sent off is staged, and every commit under way done.
    pub(crate) async fn settle(&mut self) -> Result<(), WriteError> {
        let session = self.session.clone();
        loop {
            tokio::select! {
                biased;
                done = self.tasks.join_next() => match done {
                    Some(done) => self.note(done.expect("tasks do not panic")?),
                    None => return Ok(()),
                },
                () = session.allocator.starved() => self.commit_from(1),
            }
        }
    }
}

impl Assembler {
    /// The extent of a place, as pages in the segment being filled say it: that one has no name yet. Other segments
    /// must be settled.
    pub(crate) fn extent(&self, place: &Place) -> Extent {
        let segment =
            if self.open_number() == Some(place.number) { SegmentRef::OWN } else { self.segment(place.number) };
        Extent { segment, offset: place.offset, length: place.length }
    }

    /// A segment that is settled.
    pub(crate) fn segment(&self, number: usize) -> SegmentRef {
        self.segments[number].segment.expect("the segment was settled before it is named")
    }

    /// A segment that the chain has.
    pub(crate) fn committed_segment(&self, number: usize) -> Option<SegmentRef> {
        let state = self.segments.get(number)?;
        state.segment.filter(|_| state.committed)
    }

    /// What the index has to know of the settled segments.
    pub(crate) fn segment_ops(&self) -> Vec<Op> {
        let states = self.segments.iter().enumerate();
        let settled = states.filter(|(number, _)| self.open_number() != Some(*number));
        settled
            .filter_map(|(_, state)| {
                let SegmentRef { id, volume, length } = state.segment?;
                Some(Op::Segment(id, Usage { volume, length, used: state.index_bytes.into() }))
            })
            .collect()
    }

    /// Number of the next segment that will be opened.
    pub(crate) fn next_number(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of a settled or open segment that index pages take.
    pub(crate) fn index_bytes(&self, number: usize) -> u64 {
        self.segments[number].index_bytes.into()
    }

    /// Commits everything that is staged, with a new root of the bucket.
    pub(crate) async fn commit(&mut self, root: &RootUpdate) -> Result<(), CommitError> {
        let result = self.session.commit(&mut self.staged, Some(root), &self.progress).await;
        // Segments may have moved, even where the commit as a whole did not come about.
        for staged in &self.staged {
            self.segments[staged.number].segment = Some(staged.segment);
        }
        self.note_committed(result?);
        Ok(())
    }

    /// Forgets the index pages of an attempt that failed: segments that hold nothing else are not committed.
    pub(crate) fn discard_pages(&mut self) {
        for state in &mut self.segments {
            state.index_bytes = 0;
        }
        let segments = &self.segments;
        self.staged.retain(|staged| segments[staged.number].object_bytes > 0);
        for (number, state) in self.segments.iter_mut().enumerate() {
            let is_staged = self.staged.iter().any(|staged| staged.number == number);
            if state.object_bytes == 0 && !state.committed && !is_staged {
                state.segment = None;
            }
        }
    }

    /// What the commits so far did.
    pub(crate) fn report(&self) -> &Committed {
        &self.committed
    }

    /// The segments of this write: how many, and in which volumes.
    pub(crate) fn segments_used(&self) -> (usize, BTreeSet<u32>) {
        let known: Vec<SegmentRef> = self.segments.iter().filter_map(|state| state.segment).collect();
        (known.len(), known.iter().map(|segment| segment.volume).collect())
    }
}
