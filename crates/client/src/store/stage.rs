//! Seal bytes from a source and hand them to members, within the memory that writes share.

use crate::{
    Client, PutError,
    body::{Body, Held, NewPart, Piece, StagedSegment},
    bucket::Bucket,
    index::Extent,
    object::{DraftPart, ObjectWriter},
    progress::Progress,
    put::require_end,
    write::{Assembler, Chunk, Filled, Memory, Session},
};
use alloy_primitives::B256;
use bytes::Bytes;
use parking_lot::Mutex;
use sealing::{CHUNK_LENGTH, HEADER_LENGTH, Sealer, TAG_LENGTH};
use std::{collections::HashMap, io::Cursor, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::OwnedSemaphorePermit,
};

/// Bytes that are read at once where nobody said how many come.
const STEP_BYTES: usize = 64 << 10;

/// What one staging needs.
pub(super) struct Stage<'a> {
    pub(super) client: &'a Client,
    pub(super) bucket: &'a Bucket,
    pub(super) session: &'a Arc<Session>,
}

/// The short end of a large body.
struct End {
    /// Its segment.
    number: usize,
    /// Sealed.
    bytes: Bytes,
    /// What it takes, until a piece has that.
    memory: Mutex<Option<OwnedSemaphorePermit>>,
}

type Source<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

impl Stage<'_> {
    /// Reads a source to its end.
    pub(super) async fn run(&self, source: Source<'_>, size: Option<u64>) -> Result<Body, PutError> {
        let most = self.held_bytes_max();
        match size {
            Some(size) if size <= most as u64 => self.hold(source, size as usize).await,
            Some(size) => self.send(source, Some(size)).await,
            None => {
                let memory = self.client.put_memory().fill(most).await;
                let mut start = Vec::new();
                while start.len() <= most {
                    let before = start.len();
                    let step = STEP_BYTES.min(most + 1 - before) as u64;
                    (&mut *source).take(step).read_to_end(&mut start).await.map_err(PutError::source)?;
                    if start.len() == before {
                        return self.hold(&mut start.as_slice(), start.len()).await;
                    }
                }
                drop(memory);
                self.send(&mut Cursor::new(start).chain(source), None).await
            }
        }
    }

    /// Bodies up to this length share segments with what is put at the same time.
    fn held_bytes_max(&self) -> usize {
        self.client.spec().storage.segment_bytes_max() as usize / 2
    }

    /// Seals a small body, which is sent together with the change that puts it.
    async fn hold(&self, source: Source<'_>, size: usize) -> Result<Body, PutError> {
        let sealed_bytes = sealing::sealed_length(size as u64) as usize;
        let memory = self.client.put_memory().fill(sealed_bytes).await;
        let (key, wrapped) = self.bucket.new_content_key();
        let sealer = Arc::new(Sealer::new(&key, size as u64).map_err(|_| PutError::TooLarge)?);
        let mut filled = Filled { buffer: Vec::with_capacity(sealed_bytes), chunks: Vec::new() };
        let mut hasher = blake3::Hasher::new();
        filled.buffer.extend_from_slice(sealer.header());
        debug_assert_eq!(filled.buffer.len(), HEADER_LENGTH);
        for index in 0..sealer.layout().chunk_count() {
            let length = sealer.layout().chunk_length(index).expect("within the layout");
            debug_assert!(length <= CHUNK_LENGTH);
            let start = filled.buffer.len();
            filled.buffer.resize(start + length + TAG_LENGTH, 0);
            let space = &mut filled.buffer[start..start + length];
            crate::object::read_exact(source, space).await?;
            hasher.update(space);
            filled.chunks.push(Chunk { sealer: sealer.clone(), index, range: start..start + length + TAG_LENGTH });
        }
        require_end(source).await?;
        let bytes = seal(filled).await;
        let held = Arc::new(Held { bytes, _memory: Some(memory) });
        let part = self.part(wrapped, size as u64, vec![Piece::Held(held)]);
        Ok(Body::new(B256::from(*hasher.finalize().as_bytes()), vec![part]))
    }

    /// Sends a large body to members while it is read; only a short end is sent with the change.
    async fn send(&self, source: Source<'_>, size: Option<u64>) -> Result<Body, PutError> {
        let progress = Progress::default();
        let memory = self.client.put_memory().clone();
        let mut assembler =
            Assembler::new(self.session.clone(), memory, size.unwrap_or_default(), progress.clone(), None);
        let mut writer = ObjectWriter::new(&mut assembler, self.bucket, &progress);
        match size {
            Some(size) => {
                writer.write_sized(source, size).await?;
                require_end(source).await?;
            }
            None => {
                writer.write_unsized(source).await?;
            }
        }
        let (etag, parts) = writer.finish();
        let end = self.end(&mut assembler).await;
        assembler.settle().await?;
        let segments: HashMap<usize, Arc<StagedSegment>> = assembler
            .take_staged()
            .into_iter()
            .map(|staged| (staged.number, Arc::new(StagedSegment(Mutex::new(Some(staged))))))
            .collect();
        let piece = |place: crate::write::Place| match (&end, segments.get(&place.number)) {
            (Some(End { number, bytes, memory }), _) if *number == place.number => {
                let from = place.offset as usize;
                let bytes = bytes.slice(from..from + place.length as usize);
                Piece::Held(Arc::new(Held { bytes, _memory: memory.lock().take() }))
            }
            (_, Some(segment)) => {
                Piece::Staged { segment: segment.clone(), offset: place.offset, length: place.length }
            }
            (_, None) => Piece::Stored(Extent {
                segment: assembler.segment(place.number),
                offset: place.offset,
                length: place.length,
            }),
        };
        let part =
            |part: DraftPart| self.part(part.key, part.plain_length, part.places.into_iter().map(piece).collect());
        Ok(Body::new(etag, parts.into_iter().map(part).collect()))
    }

    /// The sealed bytes of the segment that is not full, if it is short; else it is sent.
    async fn end(&self, assembler: &mut Assembler) -> Option<End> {
        if assembler.room() < self.held_bytes_max() {
            assembler.close();
            return None;
        }
        let (number, filled, memory) = assembler.take_open()?;
        let bytes = seal(filled).await;
        let memory = Memory::shrink(memory, bytes.len());
        Some(End { number, bytes, memory: Mutex::new(Some(memory)) })
    }

    fn part(&self, key: sealing::WrappedKey, plain_length: u64, pieces: Vec<Piece>) -> NewPart {
        NewPart { bucket: self.bucket.id, generation: 0, key, plain_length, pieces: Mutex::new(pieces) }
    }
}

async fn seal(filled: Filled) -> Bytes {
    offload::run(move || filled.seal()).await.expect("sealing does not panic")
}
