//! Read an object from its source into segments.

use crate::{
    bucket::Bucket,
    journal::{Journal, Note, Recorded, RecordedPart},
    progress::{Event, Progress},
    put::PutError,
    write::{Assembler, Place},
};
use alloy_primitives::B256;
use sealing::{ContentKey, HEADER_LENGTH, SEALED_CHUNK_LENGTH, Sealer, WrappedKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Segments of one part of an upload that keeps a journal: what begins anew if the source changed.
const PART_SEGMENTS: u64 = 64;

/// A part whose bytes are in segments of an assembler, before these have names.
pub(crate) struct DraftPart {
    pub(crate) key: WrappedKey,
    pub(crate) plain_length: u64,
    pub(crate) places: Vec<Place>,
}

/// Writes one object.
pub(crate) struct ObjectWriter<'a> {
    pub(crate) assembler: &'a mut Assembler,
    pub(crate) bucket: &'a Bucket,
    pub(crate) progress: &'a Progress,
    hasher: blake3::Hasher,
    parts: Vec<DraftPart>,
}

/// How an upload that keeps a journal goes on.
pub(crate) struct Resume {
    pub(crate) journal: Arc<Journal>,
    /// Parts whose recorded plaintext is still the source's, with the segments that the chain has.
    pub(crate) parts: BTreeMap<u32, ResumedPart>,
}

/// A part that goes on under its old key.
pub(crate) struct ResumedPart {
    key: ContentKey,
    wrapped: WrappedKey,
    committed: BTreeMap<u32, crate::index::SegmentRef>,
}

impl<'a> ObjectWriter<'a> {
    pub(crate) fn new(assembler: &'a mut Assembler, bucket: &'a Bucket, progress: &'a Progress) -> Self {
        Self { assembler, bucket, progress, hasher: blake3::Hasher::new(), parts: Vec::new() }
    }

    /// Reads `size` bytes into one part, sharing segments with what came before and comes after.
    pub(crate) async fn write_sized(
        &mut self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
    ) -> Result<(), PutError> {
        let (key, wrapped) = self.bucket.new_content_key();
        let sealer = Arc::new(Sealer::new(&key, size).map_err(|_| PutError::TooLarge)?);
        let mut places = Vec::new();
        for index in 0..sealer.layout().chunk_count() {
            self.write_chunk(source, &sealer, index, &mut places).await?;
        }
        self.finish_part(wrapped, size, places);
        Ok(())
    }

    /// Reads to the end of a source of unknown size: a part for each segment, since a part's length comes first.
    pub(crate) async fn write_unsized(&mut self, source: &mut (dyn AsyncRead + Send + Unpin)) -> Result<u64, PutError> {
        let capacity = chunks_per_segment(self.assembler) as usize * sealing::CHUNK_LENGTH;
        let mut total = 0;
        loop {
            let mut buffer = Vec::new();
            (&mut *source).take(capacity as u64).read_to_end(&mut buffer).await.map_err(PutError::source)?;
            let is_last = buffer.len() < capacity;
            if !buffer.is_empty() || total == 0 {
                total += buffer.len() as u64;
                self.write_sized(&mut buffer.as_slice(), buffer.len() as u64).await?;
            }
            if is_last {
                return Ok(total);
            }
        }
    }

    /// Reads `size` bytes in parts that a journal keeps; every part and every segment of it begins at a fixed place.
    pub(crate) async fn write_resumable(
        &mut self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        resume: Resume,
    ) -> Result<(), PutError> {
        let Resume { journal, mut parts } = resume;
        for (number, plain_length) in (0u32..).zip(part_lengths(self.assembler, size)) {
            let (key, wrapped, committed) = match parts.remove(&number) {
                Some(part) => (part.key, part.wrapped, part.committed),
                None => {
                    let (key, wrapped) = self.bucket.new_content_key();
                    journal.part(number, wrapped.as_bytes())?;
                    (key, wrapped, BTreeMap::new())
                }
            };
            let sealer = Arc::new(Sealer::new(&key, plain_length).map_err(|_| PutError::TooLarge)?);
            let mut places = Vec::new();
            for (segment, chunks) in (0u32..).zip(segment_chunks(self.assembler, sealer.layout().chunk_count())) {
                if let Some(known) = committed.get(&segment) {
                    places.push(self.adopt(source, &sealer, chunks, *known).await?);
                    continue;
                }
                self.assembler.close();
                for index in chunks {
                    self.write_chunk(source, &sealer, index, &mut places).await?;
                }
                self.assembler.set_note(Note { part: number, segment, key: key.clone() });
            }
            self.finish_part(wrapped, plain_length, places);
        }
        Ok(())
    }

    /// Reads past chunks that are stored already.
    async fn adopt(
        &mut self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        sealer: &Sealer,
        chunks: std::ops::Range<u64>,
        known: crate::index::SegmentRef,
    ) -> Result<Place, PutError> {
        let mut buffer = vec![0; sealing::CHUNK_LENGTH];
        let mut sealed = if chunks.start == 0 { HEADER_LENGTH } else { 0 };
        for index in chunks {
            let length = sealer.layout().chunk_length(index).expect("within the layout");
            read_exact(source, &mut buffer[..length]).await?;
            self.hasher.update(&buffer[..length]);
            self.progress.event(Event::Resumed(length as u64));
            sealed += length + sealing::TAG_LENGTH;
        }
        Ok(self.assembler.adopt(known, sealed as u32))
    }

    async fn write_chunk(
        &mut self,
        source: &mut (dyn AsyncRead + Send + Unpin),
        sealer: &Arc<Sealer>,
        index: u64,
        places: &mut Vec<Place>,
    ) -> Result<(), PutError> {
        let length = sealer.layout().chunk_length(index).expect("within the layout");
        let header = if index == 0 { HEADER_LENGTH } else { 0 };
        self.assembler.make_room(header + length + sealing::TAG_LENGTH).await?;
        let (space, place) = self.assembler.chunk_space(sealer, index, length);
        read_exact(source, space).await?;
        self.hasher.update(space);
        self.progress.event(Event::Read(length as u64));
        match places.last_mut() {
            Some(last) if last.number == place.number => last.length += place.length,
            _ => places.push(place),
        }
        Ok(())
    }

    fn finish_part(&mut self, key: WrappedKey, plain_length: u64, places: Vec<Place>) {
        self.parts.push(DraftPart { key, plain_length, places });
    }

    /// BLAKE3 of what was written, and where that is.
    pub(crate) fn finish(self) -> (B256, Vec<DraftPart>) {
        (B256::from(*self.hasher.finalize().as_bytes()), self.parts)
    }
}

/// Whole chunks that fit into a segment beside a header.
fn chunks_per_segment(assembler: &Assembler) -> u64 {
    ((assembler.segment_bytes_max() - HEADER_LENGTH) / SEALED_CHUNK_LENGTH) as u64
}

/// The lengths of the parts of an object of `size` bytes.
pub(crate) fn part_lengths(assembler: &Assembler, size: u64) -> Vec<u64> {
    let part = chunks_per_segment(assembler) * PART_SEGMENTS * sealing::CHUNK_LENGTH as u64;
    let count = size.div_ceil(part).max(1);
    (0..count).map(|index| (size - index * part).min(part)).collect()
}

/// The chunks of each segment of a part.
fn segment_chunks(assembler: &Assembler, chunk_count: u64) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
    let each = chunks_per_segment(assembler);
    (0..chunk_count.div_ceil(each)).map(move |segment| segment * each..((segment + 1) * each).min(chunk_count))
}

pub(crate) async fn read_exact(source: &mut (dyn AsyncRead + Send + Unpin), space: &mut [u8]) -> Result<(), PutError> {
    match source.read_exact(space).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(PutError::SourceChanged),
        Err(error) => Err(PutError::source(error)),
    }
}

/// Checks what a journal recorded against the source as it is now; the parts that may go on.
pub(crate) async fn verify_recorded(
    assembler: &Assembler,
    bucket: &Bucket,
    path: &std::path::Path,
    size: u64,
    recorded: &Recorded,
    live: &BTreeSet<B256>,
) -> Result<BTreeMap<u32, ResumedPart>, PutError> {
    let mut parts = BTreeMap::new();
    let mut start = 0;
    for (number, plain_length) in (0u32..).zip(part_lengths(assembler, size)) {
        if let Some(part) = recorded.parts.get(&number)
            && let Some(key) = bucket.unwrap(&part.wrapped_key)
            && is_unchanged(assembler, path, start, plain_length, &key, part).await?
        {
            let staged = part.segments.iter().filter_map(|(segment, record)| Some((*segment, record.staged?)));
            let committed = staged.filter(|(_, segment)| live.contains(&segment.id)).collect();
            let wrapped = WrappedKey::try_from(part.wrapped_key.as_ref()).expect("it was unwrapped");
            parts.insert(number, ResumedPart { key, wrapped, committed });
        }
        start += plain_length;
    }
    Ok(parts)
}

/// Whether every segment recorded of a part still has its plaintext.
async fn is_unchanged(
    assembler: &Assembler,
    path: &std::path::Path,
    start: u64,
    plain_length: u64,
    key: &ContentKey,
    part: &RecordedPart,
) -> Result<bool, PutError> {
    let chunk = sealing::CHUNK_LENGTH as u64;
    let ranges: Vec<_> = segment_chunks(assembler, plain_length.div_ceil(chunk).max(1)).collect();
    let mut checks = Vec::new();
    for (segment, record) in &part.segments {
        let Some(chunks) = ranges.get(*segment as usize) else { return Ok(false) };
        let range = start + chunks.start * chunk..start + (chunks.end * chunk).min(plain_length);
        checks.push((range, record.plaintext));
    }
    let (path, key) = (path.to_owned(), *key.as_bytes());
    let checked = offload::run(move || {
        let mut file = std::fs::File::open(path)?;
        for (range, expected) in checks {
            let mut hasher = blake3::Hasher::new_keyed(&key);
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(range.start))?;
            let mut rest = std::io::Read::take(&mut file, range.end - range.start);
            std::io::copy(&mut rest, &mut hasher)?;
            if hasher.finalize().as_bytes() != expected.as_slice() {
                return Ok(false);
            }
        }
        Ok(true)
    });
    checked.await.expect("reading does not panic").map_err(PutError::source)
}
