//! Write a new root of a bucket's index, again on the newest one whenever another writer was quicker.

mod place;

pub(crate) use place::Placement;

use crate::{
    ChainError,
    body::{Body, Source},
    bucket::Bucket,
    chain::Network,
    index::{
        Child, Conflict, Content, Entry, Extent, Item, Key, Missing, Op, Part, Plan, PlanError, RootPage, SegmentRef,
        Usage, Value,
        entry::{PARTS_INLINE_BYTES_MAX, PIECE_BYTES, encode_parts, part_bytes, parts_bytes},
        page::{encode_inner, encode_leaf},
        plan,
        tree::{DELTA_BYTES_MAX, NewPage, Pages},
    },
    pages::{AskError, IndexError, PageKind, Root, page_context},
    progress::{Event, Progress},
    store::{View, ViewError, Writes},
    write::{Assembler, CommitError, Place, WriteError},
};
use alloy_primitives::B256;
use bytes::Bytes;
use sealing::PAGE_OVERHEAD;
use std::{collections::BTreeMap, sync::Arc};
use types::{RootLocator, SegmentId, abi::RootUpdate};

/// Unused segments that are looked up on the chain with each update.
const UNUSED_CHECKED_MAX: usize = 64;

/// Why an index could not be updated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The present index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A condition of an operation does not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The new pages could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Too many others write the same bucket.
    #[error("bucket {bucket:?} was changed by others {replays} times in a row: try again")]
    Contended {
        /// The bucket's name.
        bucket: String,
        /// How often the update was made anew.
        replays: usize,
    },
    /// An entry breaks a limit.
    #[error(transparent)]
    Entry(#[from] crate::index::EntryError),
    /// The change itself was wrong.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A change put bytes that are no longer kept.
    #[error("segment {segment}, in which the bytes were, is no longer in use: read again what had them")]
    Gone {
        /// Where they were.
        segment: SegmentId,
    },
    /// The program ends.
    #[error("the change was not begun: the program ends")]
    Closed,
}

impl UpdateError {
    /// Whether it may be the fault of one of the changes only.
    pub(crate) fn is_about_one(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Entry(_) | Self::View(_) | Self::Gone { .. } => true,
            Self::Write(error) => matches!(
                error,
                WriteError::TerritoryFull { .. }
                    | WriteError::RecordTooLong { .. }
                    | WriteError::ReadBack(_)
                    | WriteError::Stuck(_)
            ),
            Self::Chain(_) | Self::Index(_) | Self::Contended { .. } | Self::Closed => false,
        }
    }
}

/// A change of the index, which may be asked for again on another root.
pub(crate) trait Change: Send {
    /// Looks and writes; whether what it wrote is to count.
    fn apply(&mut self, view: &mut View<'_>) -> bool;
}

impl<T: Change + ?Sized> Change for Box<T> {
    fn apply(&mut self, view: &mut View<'_>) -> bool {
        (**self).apply(view)
    }
}

/// A closure with what it said last.
pub(crate) struct Asked<F, T, E> {
    closure: F,
    pub(crate) said: Option<Result<T, E>>,
}

impl<F, T, E> Asked<F, T, E> {
    pub(crate) fn new(closure: F) -> Self {
        Self { closure, said: None }
    }
}

impl<F: FnMut(&mut View<'_>) -> Result<T, E> + Send, T: Send, E: Send> Change for Asked<F, T, E> {
    fn apply(&mut self, view: &mut View<'_>) -> bool {
        let said = (self.closure)(view);
        let counts = said.is_ok();
        self.said = Some(said);
        counts
    }
}

/// The update as it came about.
pub(crate) struct Updated {
    pub(crate) root: Arc<Root>,
    pub(crate) version: u64,
}

/// An update under way.
pub(crate) struct Update<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) assembler: &'a mut Assembler,
    pub(crate) progress: &'a Progress,
    pub(crate) placement: Placement,
    /// Segments that turned out useless.
    pub(crate) unused: Vec<SegmentRef>,
}

impl Update<'_> {
    /// Commits everything staged together with a root on which the changes were made.
    pub(crate) async fn run(mut self, changes: &mut [impl Change]) -> Result<Updated, UpdateError> {
        // Only one update at a time from this process: more would but replay each other.
        let bucket = self.bucket;
        let _turn = bucket.turn.lock().await;
        let result = self.replay(changes).await;
        self.placement.finish(self.assembler);
        result
    }

    async fn replay(&mut self, changes: &mut [impl Change]) -> Result<Updated, UpdateError> {
        let replays_max = self.assembler.session().config.replays_max;
        for _ in 0..replays_max {
            match self.attempt(changes).await? {
                Some(updated) => return Ok(updated),
                None => {
                    self.progress.event(Event::Replaying);
                    self.assembler.discard_pages();
                }
            }
        }
        Err(UpdateError::Contended { bucket: self.bucket.name.clone(), replays: replays_max })
    }

    /// One attempt on the present root; nothing if it has to be made anew.
    async fn attempt(&mut self, changes: &mut [impl Change]) -> Result<Option<Updated>, UpdateError> {
        let chain = self.assembler.session().sender.chain().clone();
        let record = Network(&*chain).bucket(self.bucket.id).await?;
        let (locator, version) = (RootLocator::from(record.root), record.version);
        let root = self.bucket.reader.root(&locator).await?;
        let writes = self.judge(&root, changes).await?;
        if writes.is_empty() && self.unused.is_empty() {
            return Ok(Some(Updated { root, version }));
        }
        let has_bodies = writes.values().flatten().any(|entry| matches!(entry.content, Content::Body(_)));
        self.assembler.keep_reserve(has_bodies);
        let mut ops = self.released(&root).await?;
        ops.extend(self.write_ops(writes).await?);
        ops.extend(self.unused.iter().map(|segment| Op::Unused(segment.id, segment.volume)));
        let plan = self.plan(&root, &ops).await?;
        let WrittenPages { locator, root: page, tree } = self.write(plan, &root).await?;
        let update = RootUpdate { bucket: self.bucket.id, expectedVersion: version, root: locator.into() };
        match self.assembler.commit(&update).await {
            Ok(()) => {
                let reader = &self.bucket.reader;
                for Written { place, height, sealed, page, .. } in tree {
                    let segment = self.assembler.segment(place.number);
                    reader.keep(
                        Extent { segment, offset: place.offset, length: place.length },
                        height,
                        sealed,
                        &page,
                    )?;
                }
                Ok(Some(Updated { root: reader.remember(&locator, &page)?, version: version + 1 }))
            }
            Err(CommitError::RootChanged | CommitError::Moved) => Ok(None),
            Err(CommitError::Failed(error)) => Err(error.into()),
        }
    }

    /// What the changes write on a root, one after the other; those that fail write nothing.
    async fn judge(&self, root: &Root, changes: &mut [impl Change]) -> Result<Writes, IndexError> {
        let mut pages = Pages::default();
        loop {
            let (mut writes, mut missing) = (Writes::new(), Missing::default());
            for change in &mut *changes {
                let mut view = View::new(self.bucket.id, &root.page, &pages, &writes);
                let counts = change.apply(&mut view);
                let (own, lacked) = view.into_parts();
                // What comes behind one that lacks a page is judged again, but says now what it will lack itself.
                if lacked.is_empty() && counts {
                    writes.extend(own);
                }
                missing.extend(lacked);
            }
            if missing.is_empty() {
                return Ok(writes);
            }
            self.bucket.reader.fetch(&mut pages, missing).await?;
        }
    }

    async fn plan(&self, root: &Root, ops: &[Op]) -> Result<Plan, UpdateError> {
        let reader = &self.bucket.reader;
        let mut pages = Pages::default();
        // Where segments are small, a root page must leave room in one.
        let delta_bytes_max = DELTA_BYTES_MAX.min(self.assembler.segment_bytes_max() / 4);
        reader
            .with_pages(&mut pages, |pages| {
                plan(&root.page, root.place, pages, ops, delta_bytes_max).map_err(|error| match error {
                    PlanError::Missing(missing) => AskError::Missing(missing),
                    PlanError::Gone { segment } => AskError::Other(UpdateError::Gone { segment }),
                })
            })
            .await
    }

    /// Segments of the newest changes that wait for their release and were released meanwhile.
    async fn released(&self, root: &Root) -> Result<Vec<Op>, UpdateError> {
        let unused = unused_in(&root.page.delta).take(UNUSED_CHECKED_MAX);
        let places: Vec<_> = unused.map(|(segment, volume)| (volume, segment)).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let chain = self.assembler.session().sender.chain().clone();
        let positions = Network(&*chain).positions(&places).await?;
        let gone = places.into_iter().zip(positions).filter(|(_, position)| *position == 0);
        Ok(gone.map(|((_, segment), _)| Op::Released(segment)).collect())
    }

    /// The operations that do what was written: bodies get their places, and lists of parts that do not fit into entries
    /// are written.
    async fn write_ops(&mut self, writes: Writes) -> Result<Vec<Op>, UpdateError> {
        for entry in writes.values().flatten() {
            if let Content::Body(body) = &entry.content {
                self.placement.place(body, self.assembler).await?;
            }
        }
        self.assembler.settle().await?;
        let mut lists: BTreeMap<Key, Listed> = BTreeMap::new();
        let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
        let mut ops = Vec::new();
        for (key, entry) in writes {
            match entry {
                None => ops.push(Op::Remove { key }),
                Some(entry) => {
                    if let Some(listed) = self.listed(&entry).await? {
                        lists.insert(key.clone(), listed);
                    }
                    entries.insert(key, entry);
                }
            }
        }
        if lists.values().any(|listed| matches!(listed, Listed::New(_))) {
            // A list names the segments, so all of them need a name.
            self.assembler.close();
            self.assembler.settle().await?;
        }
        let mut places: BTreeMap<Key, Vec<Place>> = BTreeMap::new();
        for (key, listed) in &lists {
            if let Listed::New(sources) = listed {
                let list = encode_parts(&self.parts(sources));
                places.insert(key.clone(), self.write_list(&list).await?);
            }
        }
        self.assembler.settle().await?;
        for (key, mut entry) in entries {
            let mut listed = Vec::new();
            match (lists.remove(&key), places.remove(&key)) {
                (Some(Listed::New(sources)), Some(places)) => {
                    listed = self.parts(&sources).into_iter().flat_map(|part| part.extents).collect();
                    let pieces = places.iter().map(|place| self.assembler.extent(place)).collect();
                    entry.content = Content::Pieces(pieces);
                }
                (Some(Listed::Stored(content, extents)), _) => (entry.content, listed) = (content, extents),
                _ => {
                    if let Content::Body(body) = &entry.content {
                        entry.content = Content::Parts(self.parts(&self.known(body).await?));
                    }
                }
            }
            entry.check()?;
            ops.push(Op::Put { key, entry: Box::new(entry), listed });
        }
        // Segments first: what is put refers to them.
        let mut all = self.assembler.segment_ops();
        all.extend(ops);
        Ok(all)
    }

    /// What an entry of many parts needs, whose list lies in pieces.
    async fn listed(&self, entry: &Entry) -> Result<Option<Listed>, UpdateError> {
        let extents = |parts: &[Part]| parts.iter().flat_map(|part| part.extents.iter().copied()).collect();
        let body = match &entry.content {
            Content::Parts(_) => return Ok(None),
            Content::Pieces(pieces) => {
                let parts = self.bucket.reader.list(pieces, entry.size).await?;
                return Ok(Some(Listed::Stored(entry.content.clone(), extents(&parts))));
            }
            Content::Body(body) => body,
        };
        // A list that stays as it is need not be written again.
        if let [Source::Stored { content: content @ Content::Pieces(pieces), size }] = body.sources.as_slice() {
            let parts = self.bucket.reader.list(pieces, *size).await?;
            return Ok(Some(Listed::Stored(content.clone(), extents(&parts))));
        }
        let known = self.known(body).await?;
        let is_long = self.list_bytes(&known) > PARTS_INLINE_BYTES_MAX;
        Ok(is_long.then_some(Listed::New(known)))
    }

    /// A body's sources, with the lists that lie in pieces read.
    async fn known(&self, body: &Body) -> Result<Vec<Source>, UpdateError> {
        let mut sources = Vec::with_capacity(body.sources.len());
        for source in &body.sources {
            sources.push(match source {
                Source::Stored { content: Content::Pieces(pieces), size } => {
                    let parts = self.bucket.reader.list(pieces, *size).await?;
                    Source::Stored { content: Content::Parts(parts.to_vec()), size: *size }
                }
                source => source.clone(),
            });
        }
        Ok(sources)
    }

    /// Bytes of the list of parts of sources that are known.
    fn list_bytes(&self, sources: &[Source]) -> usize {
        let bytes = |source: &Source| match source {
            Source::Part(part) => part_bytes(self.placement.extent_count(part)),
            Source::Stored { content: Content::Parts(parts), .. } => parts_bytes(parts),
            Source::Stored { .. } => 0,
        };
        sources.iter().map(bytes).sum()
    }

    /// The parts of sources that are known. Segments must be settled.
    fn parts(&self, sources: &[Source]) -> Vec<Part> {
        let mut parts = Vec::with_capacity(sources.len());
        for source in sources {
            match source {
                Source::Part(part) => parts.push(self.placement.part(part, self.assembler)),
                Source::Stored { content: Content::Parts(stored), .. } => parts.extend(stored.iter().cloned()),
                Source::Stored { .. } => {}
            }
        }
        parts
    }

    async fn write_list(&mut self, list: &[u8]) -> Result<Vec<Place>, UpdateError> {
        let mut places = Vec::new();
        for piece in list.chunks(PIECE_BYTES.min(self.assembler.segment_bytes_max() / 2)) {
            places.push(self.write_page(PageKind::Piece, |_| piece.to_vec()).await?.place);
        }
        Ok(places)
    }

    /// Writes the planned pages and the root page.
    async fn write(&mut self, plan: Plan, before: &Root) -> Result<WrittenPages, UpdateError> {
        // Extents of the plan without a segment lie in the one that is being filled now.
        let open = self.assembler.open_number();
        let next = self.assembler.next_number();
        let used = |assembler: &Assembler, number: usize| {
            assembler.index_bytes(number) + if open == Some(number) { plan.own_used } else { 0 }
        };
        let mut placed: Vec<Place> = Vec::new();
        let mut tree = Vec::new();
        for page in &plan.pages {
            let kind = PageKind::Tree(page.height());
            let written = self.write_page(kind, |assembler| encode_page(page, &placed, open, assembler)).await?;
            placed.push(written.place);
            tree.push(written);
        }
        let name = if before.place.is_some() { before.page.name.clone() } else { self.bucket.name.clone() };
        let make = |assembler: &Assembler| {
            let tree = plan.tree.map(|(child, height)| (resolve(&child, &placed, assembler), height));
            let mut delta: BTreeMap<_, _> = plan
                .delta
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().map(|value| locate(value, open, assembler))))
                .collect();
            // Segments that were closed while the pages were written.
            let closed = open.into_iter().chain(next..assembler.next_number());
            for number in closed.filter(|number| assembler.open_number() != Some(*number)) {
                let SegmentRef { id, volume, length } = assembler.segment(number);
                let usage = Usage { volume, length, used: used(assembler, number) };
                delta.insert(Key::Segment(id), Some(Value::Segment(usage)));
            }
            let root = RootPage { name: name.clone(), tree, delta };
            // The page counts itself.
            let bytes = root.encode(0).len() + PAGE_OVERHEAD;
            let own = assembler.open_number().map_or(0, |number| used(assembler, number));
            root.encode(own + bytes as u64)
        };
        let Written { place, hash, page, .. } = self.write_page(PageKind::Root, make).await?;
        self.assembler.close();
        self.assembler.settle().await?;
        let segment = self.assembler.segment(place.number);
        let locator = RootLocator {
            segment: segment.id,
            volume: segment.volume,
            offset: place.offset.into(),
            length: place.length,
            page_hash: hash,
        };
        Ok(WrittenPages { locator, root: page, tree })
    }

    /// Seals a page and appends it where there is room. `make` is asked again once that is known.
    async fn write_page(
        &mut self,
        kind: PageKind,
        make: impl Fn(&Assembler) -> Vec<u8>,
    ) -> Result<Written, UpdateError> {
        // All references have one length, so the page has too, wherever it comes to lie.
        let bytes = make(self.assembler).len() + PAGE_OVERHEAD;
        self.assembler.make_room(bytes).await?;
        self.assembler.settle().await?;
        let page = make(self.assembler);
        let context = page_context(&self.bucket.id, kind);
        let sealed = sealing::seal_page(&self.bucket.page_key, &context, &page, &mut rand::rng());
        let place = match kind {
            PageKind::Piece => self.assembler.append_piece(&sealed),
            PageKind::Root | PageKind::Tree(_) => self.assembler.append_page(&sealed),
        };
        let (hash, height) = (B256::from(*blake3::hash(&sealed).as_bytes()), kind.height());
        Ok(Written { place, height, hash, page, sealed: sealed.into() })
    }
}

/// How the parts of an entry are listed in pieces.
enum Listed {
    /// In pieces that are there, with the extents of the parts.
    Stored(Content, Vec<Extent>),
    /// In pieces to be written.
    New(Vec<Source>),
}

/// The pages of an update that have their places.
struct WrittenPages {
    locator: RootLocator,
    /// The root page.
    root: Vec<u8>,
    tree: Vec<Written>,
}

/// A page that has its place.
struct Written {
    place: Place,
    height: u8,
    sealed: Bytes,
    /// Of the sealed page.
    hash: B256,
    /// Its plaintext.
    page: Vec<u8>,
}

/// The segments that wait for their release according to some changes.
pub(crate) fn unused_in(delta: &BTreeMap<Key, Option<Value>>) -> impl Iterator<Item = (SegmentId, u32)> {
    delta.iter().filter_map(|(key, value)| match (key, value) {
        (Key::Unused(segment), Some(Value::Unused(volume))) => Some((*segment, *volume)),
        _ => None,
    })
}

fn encode_page(page: &NewPage, placed: &[Place], open: Option<usize>, assembler: &Assembler) -> Vec<u8> {
    match page {
        NewPage::Leaf(items) => {
            let items: Vec<Item> =
                items.iter().map(|(key, value)| (key.clone(), locate(value.clone(), open, assembler))).collect();
            encode_leaf(&items)
        }
        NewPage::Inner(_, children) => {
            let children: Vec<(Key, Extent)> =
                children.iter().map(|(key, child)| (key.clone(), resolve(child, placed, assembler))).collect();
            encode_inner(&children)
        }
    }
}

fn resolve(child: &Child, placed: &[Place], assembler: &Assembler) -> Extent {
    match child {
        Child::Stored(extent) => *extent,
        Child::New(number) => assembler.extent(&placed[*number]),
    }
}

/// Fills in the segment that had no name when the plan was made.
fn locate(value: Value, open: Option<usize>, assembler: &Assembler) -> Value {
    match (value, open) {
        (Value::Object(mut entry), Some(number)) if assembler.open_number() != Some(number) => {
            let segment = assembler.segment(number);
            entry.extents_mut().filter(|extent| extent.segment.is_own()).for_each(|extent| extent.segment = segment);
            Value::Object(entry)
        }
        (value, _) => value,
    }
}
