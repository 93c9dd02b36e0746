//! Get an object, or a range of it, in order and verified.

use crate::{
    Client, ReadError,
    bucket::{Bucket, BucketError},
    client::MEMORY_UNIT,
    evidence::{EvidenceError, Examined},
    index::{DecodeError, Entry, Extent, Key, Part, SegmentRef},
    list::{ListError, Object},
    pages::IndexError,
    progress::{Event, Progress},
    read::{Fetcher, own},
};
use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use sealing::{HEADER_LENGTH, OpenError, Opener, SEALED_CHUNK_LENGTH, Sealer};
use std::{collections::VecDeque, io, ops::Range, sync::Arc};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::task::AbortOnDropHandle;
use types::SegmentId;

/// What a get does beside.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// The bytes wanted; all if absent. An end beyond the object means its end.
    pub range: Option<Range<u64>>,
    /// Receives events.
    pub progress: Progress,
}

/// What a get did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetReport {
    /// Bytes written.
    pub bytes: u64,
    /// The object.
    pub object: Object,
}

/// Why a get failed.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The bucket is the problem.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is no such object.
    #[error("object {key:?} does not exist: list what there is with `cess object list`")]
    NotFound {
        /// Its key.
        key: String,
    },
    /// The range begins behind the end.
    #[error("bytes {start} to {end} are no range of an object of {size} bytes")]
    Range {
        /// First byte asked for.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// Bytes of the object.
        size: u64,
    },
    /// Too few members had it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes are the ones that were stored, but do not open.
    #[error("the object does not open: {0}")]
    Open(#[from] OpenError),
    /// The bytes are made of fragments that contradict each other: whoever wrote them wrote no codeword.
    #[error("segment {segment} cannot be read: its fragments are no codeword, its writer stored garbage ({evidence})")]
    Malformed {
        /// The segment.
        segment: SegmentId,
        /// What became of the evidence.
        evidence: String,
    },
    /// The content key does not unwrap.
    #[error("the object's key does not unwrap: is this the keystore that stored it?")]
    Key,
    /// The destination cannot be written.
    #[error("cannot write the destination: {0}")]
    Destination(#[source] io::Error),
}

impl From<ListError> for GetError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Bucket(error) => error.into(),
            ListError::Index(error) => error.into(),
        }
    }
}

/// Chunks of the first run of a read: what comes soon is short.
const RUN_CHUNKS_FIRST: u64 = 2;
/// Most chunks of a run.
const RUN_CHUNKS_MAX: u64 = 32;
/// Runs of one read that are fetched at the same time.
const RUNS_AHEAD: usize = 8;

/// Sealed chunks that lie together, and what is wanted of them.
struct Run {
    opener: Arc<Opener>,
    extent: Extent,
    /// Where they lie in the segment.
    range: Range<u64>,
    chunks: Range<u64>,
    /// The part's plaintext bytes that are wanted.
    wanted: Range<u64>,
}

/// Why chunks could not be had.
enum Unread {
    /// They are there, and do not open.
    Unopened(SegmentRef, OpenError),
    Other(GetError),
}

impl From<GetError> for Unread {
    fn from(error: GetError) -> Self {
        Self::Other(error)
    }
}

impl Client {
    /// Writes an object, or a range of it, to `destination`.
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
        options: GetOptions,
    ) -> Result<GetReport, GetError> {
        let (bucket, entry) = self.open_object(bucket, key).await?;
        let mut opened = self.stream(bucket, entry.clone(), options.range)?;
        let mut written = 0;
        while let Some(plaintext) = opened.next().await {
            let plaintext = plaintext?;
            destination.write_all(&plaintext).await.map_err(GetError::Destination)?;
            written += plaintext.len() as u64;
            options.progress.event(Event::Written(plaintext.len() as u64));
        }
        destination.flush().await.map_err(GetError::Destination)?;
        Ok(GetReport { bytes: written, object: Object::new(key, &entry) })
    }

    /// The plaintext of an entry, or of a range of it, in order. All reads of a client share a bound of memory.
    pub(crate) fn stream(
        &self,
        bucket: Arc<Bucket>,
        entry: Entry,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, GetError>>, GetError> {
        let range = clip(range, entry.size)?;
        let (client, fetcher, memory) = (self.clone(), self.fetcher().clone(), self.get_memory().clone());
        let units_max = (self.config().get_memory_bytes / MEMORY_UNIT).max(1);
        let runs = async move {
            let parts = bucket.reader.parts(&entry).await?;
            Ok::<_, GetError>(stream::iter(Runs::new(bucket, parts, range)))
        };
        let opened = stream::once(runs)
            .try_flatten()
            // In their order, so that those whose turn it is are never behind others of the same read.
            .and_then(move |run| {
                let memory = memory.clone();
                async move {
                    let units = ((run.range.end - run.range.start) as usize).div_ceil(MEMORY_UNIT).clamp(1, units_max);
                    let units = u32::try_from(units).unwrap_or(u32::MAX);
                    let memory = memory.acquire_many_owned(units).await.expect("the semaphore is never closed");
                    Ok((run, memory))
                }
            })
            .map_err(Unread::Other)
            .map_ok(move |(run, memory)| {
                let task = AbortOnDropHandle::new(tokio::spawn(run.read(fetcher.clone())));
                async move {
                    let plaintext = task.await.expect("reading does not panic")?;
                    drop(memory);
                    Ok(plaintext)
                }
            })
            .try_buffered(RUNS_AHEAD)
            .or_else(move |unread| client.clone().explain(unread))
            .try_filter(|plaintext| ready(!plaintext.is_empty()));
        Ok(opened.boxed())
    }

    async fn explain(self, unread: Unread) -> Result<Bytes, GetError> {
        Err(match unread {
            Unread::Unopened(segment, error) => self.find_cause(segment, error).await,
            Unread::Other(error) => error,
        })
    }

    /// Why what members gave does not open. If its fragments are no codeword, which shows only where some were computed
    /// from others, the chain is shown so.
    async fn find_cause(&self, segment: SegmentRef, error: OpenError) -> GetError {
        let evidence = match self.report_segment(segment.volume, segment.id).await {
            Ok(Examined::Voided) => "the chain has voided it".into(),
            Err(EvidenceError::Send(error)) => format!("it could not be reported: {error}"),
            // Sound, gone, or not to be found out now: then all that is known is that it does not open.
            Ok(_) | Err(_) => return error.into(),
        };
        tracing::warn!(segment = %segment.id, volume = segment.volume, evidence, "fragments are no codeword");
        GetError::Malformed { segment: segment.id, evidence }
    }

    /// Reads an object, or a range of it, into memory.
    pub async fn read(&self, bucket: &str, key: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, GetError> {
        let mut bytes = Vec::new();
        self.get(bucket, key, &mut bytes, GetOptions { range, ..GetOptions::default() }).await?;
        Ok(bytes)
    }

    /// Where the sealed bytes of an object lie, in their order.
    pub(crate) async fn extents(&self, bucket: &str, key: &str) -> Result<Vec<Extent>, GetError> {
        let (bucket, entry) = self.open_object(bucket, key).await?;
        let parts = bucket.reader.parts(&entry).await?;
        Ok(parts.iter().flat_map(|part| part.extents.iter().copied()).collect())
    }

    async fn open_object(&self, bucket: &str, key: &str) -> Result<(Arc<Bucket>, Entry), GetError> {
        let (bucket, snapshot) = self.look(bucket).await?;
        let entry = snapshot.get(&Key::object(key)).await?;
        Ok((bucket, entry.ok_or_else(|| GetError::NotFound { key: key.to_owned() })?))
    }
}

fn clip(range: Option<Range<u64>>, size: u64) -> Result<Range<u64>, GetError> {
    let Some(Range { start, end }) = range else { return Ok(0..size) };
    if start > end || start > size {
        return Err(GetError::Range { start, end, size });
    }
    Ok(start..end.min(size))
}

/// The runs of sealed chunks that hold a range of an object. A part's key is unwrapped when its turn comes.
struct Runs {
    bucket: Arc<Bucket>,
    parts: Arc<Vec<Part>>,
    next: usize,
    /// Where the next part begins in the object.
    start: u64,
    range: Range<u64>,
    /// Of the part whose turn it is.
    runs: VecDeque<Run>,
    chunks_max: u64,
}

impl Runs {
    fn new(bucket: Arc<Bucket>, parts: Arc<Vec<Part>>, range: Range<u64>) -> Self {
        Self { bucket, parts, next: 0, start: 0, range, runs: VecDeque::new(), chunks_max: RUN_CHUNKS_FIRST }
    }

    /// Goes on to the next part that has anything of the range.
    fn advance(&mut self) -> Result<bool, GetError> {
        let parts = self.parts.clone();
        while let Some(part) = parts.get(self.next) {
            let (start, end) = (self.start, self.start + part.plain_length);
            (self.next, self.start) = (self.next + 1, end);
            let wanted = self.range.start.max(start)..self.range.end.min(end);
            // An empty part is opened all the same: so that nothing, too, is authenticated.
            if wanted.start < wanted.end || part.plain_length == 0 {
                let wanted = wanted.start - start..wanted.end.max(wanted.start) - start;
                part_runs(&self.bucket, part, wanted, &mut self.runs)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Iterator for Runs {
    type Item = Result<Run, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.runs.is_empty() {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next = self.parts.len();
                    return Some(Err(error));
                }
            }
        }
        let mut run = self.runs.pop_front()?;
        if let Some(rest) = run.split_off(self.chunks_max) {
            self.runs.push_front(rest);
        }
        self.chunks_max = (self.chunks_max * 2).min(RUN_CHUNKS_MAX);
        Some(Ok(run))
    }
}

fn part_runs(bucket: &Bucket, part: &Part, wanted: Range<u64>, runs: &mut VecDeque<Run>) -> Result<(), GetError> {
    let key = bucket.unwrap(part.key.as_bytes()).ok_or(GetError::Key)?;
    // Key and length determine the header, so that it need not be read.
    let sealer = Sealer::new(&key, part.plain_length)
        .map_err(|_| DecodeError("a part is too long"))
        .map_err(IndexError::from)?;
    let opener = Arc::new(Opener::new(&key, sealer.header())?);
    let layout = opener.layout();
    let span = layout.span(wanted.clone()).map_err(|_| IndexError::from(DecodeError("a range outside its part")))?;
    let mut sealed_start = 0;
    for extent in &part.extents {
        let sealed_end = sealed_start + u64::from(extent.length);
        let first = first_chunk(sealed_start)?;
        let last = if sealed_end == layout.sealed_length() { layout.chunk_count() } else { first_chunk(sealed_end)? };
        let chunks = span.chunks.start.max(first)..span.chunks.end.min(last);
        if chunks.start < chunks.end {
            let from = chunk_start(chunks.start) - sealed_start;
            let to = chunk_start(chunks.end).min(layout.sealed_length()) - sealed_start;
            let range = u64::from(extent.offset) + from..u64::from(extent.offset) + to;
            runs.push_back(Run { opener: opener.clone(), extent: *extent, range, chunks, wanted: wanted.clone() });
        }
        sealed_start = sealed_end;
    }
    Ok(())
}

/// The chunk that begins at a byte of the sealed part.
fn first_chunk(sealed: u64) -> Result<u64, GetError> {
    if sealed == 0 {
        return Ok(0);
    }
    let behind = sealed.checked_sub(HEADER_LENGTH as u64).filter(|behind| behind % SEALED_CHUNK_LENGTH as u64 == 0);
    let behind = behind.ok_or_else(|| IndexError::from(DecodeError("an extent does not begin at a chunk")))?;
    Ok(behind / SEALED_CHUNK_LENGTH as u64)
}

fn chunk_start(index: u64) -> u64 {
    HEADER_LENGTH as u64 + index * SEALED_CHUNK_LENGTH as u64
}

impl Run {
    /// Cuts off what comes behind so many chunks.
    fn split_off(&mut self, chunks: u64) -> Option<Self> {
        let at = self.chunks.start.saturating_add(chunks);
        if at >= self.chunks.end {
            return None;
        }
        let byte = self.range.start + chunks * SEALED_CHUNK_LENGTH as u64;
        let rest = Self {
            opener: self.opener.clone(),
            extent: self.extent,
            range: byte..self.range.end,
            chunks: at..self.chunks.end,
            wanted: self.wanted.clone(),
        };
        (self.range.end, self.chunks.end) = (byte, at);
        Some(rest)
    }

    /// The plaintext that is wanted.
    async fn read(self, fetcher: Arc<Fetcher>) -> Result<Bytes, Unread> {
        let (segment, chunks) = (self.extent.segment, self.sealed_chunks());
        let sealed = fetcher.read_pieces(segment, &chunks).await.map_err(GetError::from)?;
        let run = Arc::new(self);
        let mut opened = run.clone().open(sealed.bytes).await;
        if opened.is_err() && sealed.were_kept {
            // The cache is on a disk, which may have changed what it was given. Members' bytes are verified.
            fetcher.forget_pieces(segment, &chunks);
            let fetched = fetcher.read(segment, run.range.clone()).await.map_err(GetError::from)?;
            opened = run.open(own(fetched)).await;
        }
        opened.map_err(|error| Unread::Unopened(segment, error))
    }

    /// Opens the chunks on another thread.
    async fn open(self: Arc<Self>, sealed: BytesMut) -> Result<Bytes, OpenError> {
        let opened = offload::run(move || self.open_in_place(sealed));
        Ok(opened.await.expect("opening does not panic")?.freeze())
    }

    /// Where each of its chunks lies in the segment.
    fn sealed_chunks(&self) -> Vec<Range<u64>> {
        let Range { start, end } = self.range;
        let starts = (start..end).step_by(SEALED_CHUNK_LENGTH);
        starts.map(|start| start..end.min(start + SEALED_CHUNK_LENGTH as u64)).collect()
    }

    /// Opens the chunks where they lie, and moves what is wanted of them together.
    fn open_in_place(&self, mut buffer: BytesMut) -> Result<BytesMut, OpenError> {
        let (mut at, mut filled) = (0, 0);
        for index in self.chunks.clone() {
            let end = buffer.len().min(at + SEALED_CHUNK_LENGTH);
            let length = self.opener.open_chunk(index, &mut buffer[at..end])?.len() as u64;
            let plain = index * sealing::CHUNK_LENGTH as u64;
            let from = self.wanted.start.max(plain) - plain;
            let to = self.wanted.end.clamp(plain, plain + length) - plain;
            if from < to {
                buffer.copy_within(at + from as usize..at + to as usize, filled);
                filled += (to - from) as usize;
            }
            at = end;
        }
        buffer.truncate(filled);
        Ok(buffer)
    }
}
