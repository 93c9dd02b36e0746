//! Write anew what lives in segments that are mostly out of use, so that these can be released.
//!
//! # Design
//! The index says how much of each segment is in use, but not by whom: entries that refer to a segment are found by a walk
//! over the bucket. An index the other way round would double what every put writes, for a question that is asked once in a
//! while. So one *pass* first takes the segments with less than half of their bytes in use, all of them, and then walks once
//! over all entries; each call goes on where the last one ended, within its budget.

use super::{ChangeError, Snapshot, Store, View, ViewError};
use crate::{
    ReleaseError,
    body::{Body, Held, NewPart, Piece, Source},
    bucket::BucketError,
    index::{Content, Entry, Extent, Key, Part, Value},
    pages::IndexError,
    read::ReadError,
    update::{UpdateError, unused_in},
};
use parking_lot::Mutex as SyncMutex;
use std::{
    collections::{HashMap, HashSet},
    ops::Bound,
    sync::Arc,
};
use types::SegmentId;

/// Segments of one pass; the next pass takes further ones.
const SEGMENTS_MAX: usize = 1 << 16;
/// Sealed bytes that are moved by one change.
const CHANGE_BYTES_MAX: u64 = 8 << 20;
/// Entries that are redirected by one change.
const CHANGE_ENTRIES_MAX: usize = 256;
/// Leaves that are fetched ahead.
const LEAVES_AHEAD: usize = 16;

/// What a re-packing may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepackBudget {
    /// Sealed bytes that are read and written anew; the last entry may exceed it.
    pub bytes: u64,
    /// Entries that are looked at.
    pub entries: usize,
}

/// What a re-packing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repacked {
    /// Sealed bytes that were written anew.
    pub bytes: u64,
    /// Entries that were redirected.
    pub entries: usize,
    /// Segments that were released.
    pub released: usize,
    /// Whether the pass is complete: every entry was looked at since it began.
    pub complete: bool,
}

/// Why a re-packing stopped. What it had moved by then stays so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepackError {
    /// The bucket cannot be looked at.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Its index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The bytes to be moved cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new places could not be committed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// What is out of use could not be released.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// How far a pass has come.
#[derive(Default)]
pub(super) struct Pass {
    /// Segments that are to be emptied; nothing between two passes.
    sparse: Option<HashSet<SegmentId>>,
    /// The first key that was not looked at.
    from: Option<Key>,
    /// Parts that were moved: where others refer to the same bytes, these stay shared.
    moved: HashMap<Vec<Extent>, Arc<NewPart>>,
}

/// An entry that is to be redirected.
struct Move {
    key: Key,
    before: Entry,
    body: Option<Body>,
}

impl Store {
    /// Writes anew what lives in segments that are mostly out of use, and releases what nothing refers to. Goes on where the
    /// last call ended.
    pub async fn repack(&self, budget: RepackBudget) -> Result<Repacked, RepackError> {
        let mut pass = self.0.pass.lock().await;
        let mut done = Repacked::default();
        let snapshot = self.snapshot().await?;
        if pass.sparse.is_none() {
            let (sparse, unused) = sparse_segments(&snapshot).await?;
            done.released += self.0.client.release(unused).await?;
            *pass = Pass { sparse: Some(sparse), from: Some(Key::first()), moved: HashMap::new() };
        }
        self.advance(&snapshot, &mut pass, budget, &mut done).await?;
        if pass.from.is_none() {
            *pass = Pass::default();
            done.complete = true;
        }
        let unused = unused_in(&self.snapshot().await?.root.page.delta).collect();
        done.released += self.0.client.release(unused).await?;
        Ok(done)
    }

    /// Looks at entries and moves what they refer to, as far as the budget goes.
    async fn advance(
        &self,
        snapshot: &Snapshot,
        pass: &mut Pass,
        budget: RepackBudget,
        done: &mut Repacked,
    ) -> Result<(), RepackError> {
        let sparse = pass.sparse.clone().unwrap_or_default();
        let Some(from) = pass.from.clone().filter(|_| !sparse.is_empty()) else {
            pass.from = None;
            return Ok(());
        };
        let mut walk = snapshot.walk(Bound::Included(from), LEAVES_AHEAD);
        let (mut looked, mut moves, mut bytes) = (0, Vec::new(), 0);
        while let Some((leaf, items)) = walk.next_leaf().await? {
            // A leaf that lies in a sparse segment itself is written anew once one of its keys has changed.
            let mut touch = leaf.is_some_and(|leaf| sparse.contains(&leaf.segment.id));
            for (key, value) in items {
                let Value::Object(entry) = value else { continue };
                if looked >= budget.entries || done.bytes + bytes >= budget.bytes {
                    self.redirect(std::mem::take(&mut moves), bytes, done).await?;
                    pass.from = Some(key);
                    return Ok(());
                }
                looked += 1;
                let (body, moved) = self.gather(&entry, &sparse, &mut pass.moved).await?;
                if body.is_some() || std::mem::take(&mut touch) {
                    bytes += moved;
                    moves.push(Move { key, before: entry, body });
                }
                if bytes >= CHANGE_BYTES_MAX || moves.len() >= CHANGE_ENTRIES_MAX {
                    self.redirect(std::mem::take(&mut moves), std::mem::take(&mut bytes), done).await?;
                }
            }
        }
        self.redirect(moves, bytes, done).await?;
        pass.from = None;
        Ok(())
    }

    /// What an entry has, with what lies in sparse segments read; nothing if none of it does.
    async fn gather(
        &self,
        entry: &Entry,
        sparse: &HashSet<SegmentId>,
        moved: &mut HashMap<Vec<Extent>, Arc<NewPart>>,
    ) -> Result<(Option<Body>, u64), RepackError> {
        let parts = self.0.bucket.reader.parts(entry).await?;
        let is_sparse = |extent: &Extent| sparse.contains(&extent.segment.id);
        let mut bytes = 0;
        let (mut sources, mut is_moved) = (Vec::with_capacity(parts.len()), entry.extents().any(is_sparse));
        for part in parts.iter() {
            if !part.extents.iter().any(is_sparse) {
                let content = Content::Parts(vec![part.clone()]);
                sources.push(Source::Stored { content, size: part.plain_length });
                continue;
            }
            is_moved = true;
            let known = moved.get(&part.extents).cloned();
            let new = match known {
                Some(new) => new,
                None => {
                    let (new, read) = self.read_part(part, sparse).await?;
                    bytes += read;
                    moved.insert(part.extents.clone(), new.clone());
                    new
                }
            };
            sources.push(Source::Part(new));
        }
        Ok((is_moved.then(|| Body::moved(entry, sources)), bytes))
    }

    /// A part with the bytes that lie in sparse segments in memory. They stay sealed as they are.
    async fn read_part(&self, part: &Part, sparse: &HashSet<SegmentId>) -> Result<(Arc<NewPart>, u64), RepackError> {
        let mut bytes = 0;
        let mut pieces = Vec::with_capacity(part.extents.len());
        for extent in &part.extents {
            if !sparse.contains(&extent.segment.id) {
                pieces.push(Piece::Stored(*extent));
                continue;
            }
            let sealed = self.0.client.fetcher().read(extent.segment, extent.range()).await?;
            bytes += sealed.len() as u64;
            pieces.push(Piece::Held(Arc::new(Held { bytes: sealed, _memory: None })));
        }
        let (generation, key, plain_length) = (part.generation, part.key.clone(), part.plain_length);
        let pieces = SyncMutex::new(pieces);
        Ok((Arc::new(NewPart { bucket: self.0.bucket.id, generation, key, plain_length, pieces }), bytes))
    }

    /// Puts the new places under those keys whose entries are still the same.
    async fn redirect(&self, moves: Vec<Move>, bytes: u64, done: &mut Repacked) -> Result<(), RepackError> {
        if moves.is_empty() {
            return Ok(());
        }
        let change = move |view: &mut View<'_>| {
            let mut redirected = 0;
            for Move { key, before, body } in &moves {
                if view.get(key)? == Some(before) {
                    view.put(key.clone(), before.clone(), body.as_ref())?;
                    redirected += usize::from(body.is_some());
                }
            }
            Ok::<_, ViewError>(redirected)
        };
        match self.change(change).await {
            Ok(redirected) => {
                done.entries += redirected;
                done.bytes += bytes;
                Ok(())
            }
            Err(ChangeError::Refused(error)) => Err(UpdateError::from(error).into()),
            Err(ChangeError::Failed(error)) => Err(error.into()),
        }
    }
}

/// Segments of which less than half is in use, and those that wait for their release.
async fn sparse_segments(snapshot: &Snapshot) -> Result<(HashSet<SegmentId>, Vec<(SegmentId, u32)>), RepackError> {
    let (mut sparse, mut unused) = (HashSet::new(), Vec::new());
    let own = snapshot.root.place.map(|place| place.segment.id);
    let mut walk = snapshot.walk(Bound::Included(Key::Segment(SegmentId::ZERO)), LEAVES_AHEAD);
    while let Some(items) = walk.next().await? {
        for (key, value) in items {
            match (key, value) {
                // What the next update writes makes way for the present root anyway.
                (Key::Segment(id), Value::Segment(usage))
                    if usage.used * 2 < u64::from(usage.length) && Some(id) != own && sparse.len() < SEGMENTS_MAX =>
                {
                    sparse.insert(id);
                }
                (Key::Unused(id), Value::Unused(volume)) => unused.push((id, volume)),
                (Key::Record(_), _) => return Ok((sparse, unused)),
                _ => {}
            }
        }
    }
    Ok((sparse, unused))
}
