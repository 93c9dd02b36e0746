//! Write a new root of a bucket's index, again on the newest one whenever another writer was quicker.

use crate::{
    ChainError,
    bucket::Bucket,
    chain::Network,
    index::{
        Child, Condition, Conflict, Content, Extent, Item, Key, Op, Plan, PlanError, RootPage, SegmentRef, Usage,
        Value,
        entry::{PIECE_BYTES, encode_parts},
        page::{encode_inner, encode_leaf},
        plan,
        tree::{DELTA_BYTES_MAX, NewPage, Pages},
    },
    object::Draft,
    pages::{AskError, IndexError, PageKind, Root, page_context},
    progress::{Event, Progress},
    write::{Assembler, CommitError, Place, WriteError},
};
use alloy_primitives::B256;
use sealing::PAGE_OVERHEAD;
use std::collections::BTreeMap;
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
}

/// What changes: objects that were written, keys to remove, segments that turned out useless.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) removals: Vec<(String, Condition)>,
    pub(crate) unused: Vec<SegmentRef>,
}

/// The update as it came about.
pub(crate) struct Updated {
    pub(crate) root: RootPage,
}

/// An update under way.
pub(crate) struct Update<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) assembler: &'a mut Assembler,
    pub(crate) progress: &'a Progress,
}

impl Update<'_> {
    /// Commits everything staged together with the new root.
    pub(crate) async fn run(mut self, changes: &Changes) -> Result<Updated, UpdateError> {
        // Only one update at a time from this process: more would but replay each other.
        let bucket = self.bucket;
        let _turn = bucket.turn.lock().await;
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
        Err(UpdateError::Contended { bucket: bucket.name.clone(), replays: replays_max })
    }

    /// One attempt on the present root; nothing if it has to be made anew.
    async fn attempt(&mut self, changes: &Changes) -> Result<Option<Updated>, UpdateError> {
        let chain = self.assembler.session().sender.chain().clone();
        let record = Network(&*chain).bucket(self.bucket.id).await?;
        let (locator, version) = (RootLocator::from(record.root), record.version);
        let root = self.bucket.reader.root(&locator).await?;
        let mut ops = self.released(&root).await?;
        ops.extend(self.put_ops(changes).await?);
        ops.extend(changes.removals.iter().map(|(key, when)| Op::Remove { key: key.clone(), when: *when }));
        ops.extend(changes.unused.iter().map(|segment| Op::Unused(segment.id, segment.volume)));
        let plan = self.plan(&root, &ops).await?;
        let (locator, page) = self.write(plan, &root).await?;
        let update = RootUpdate { bucket: self.bucket.id, expectedVersion: version, root: locator.into() };
        match self.assembler.commit(&update).await {
            Ok(()) => {
                self.bucket.reader.remember(&locator, &page)?;
                let root = self.bucket.reader.root(&locator).await?;
                Ok(Some(Updated { root: root.page.clone() }))
            }
            Err(CommitError::RootChanged | CommitError::Moved) => Ok(None),
            Err(CommitError::Failed(error)) => Err(error.into()),
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
                    PlanError::Conflict(conflict) => AskError::Other(UpdateError::from(conflict)),
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

    /// The operations that put the objects, with the lists of parts that do not fit into entries written.
    async fn put_ops(&mut self, changes: &Changes) -> Result<Vec<Op>, UpdateError> {
        self.assembler.settle().await?;
        if changes.drafts.iter().any(|draft| draft.needs_pieces(self.assembler)) {
            // A list names the segments, so all of them need a name.
            self.assembler.close();
            self.assembler.settle().await?;
        }
        let mut lists: BTreeMap<usize, Vec<Place>> = BTreeMap::new();
        for (number, draft) in changes.drafts.iter().enumerate() {
            if draft.needs_pieces(self.assembler) {
                lists.insert(number, self.write_list(draft).await?);
            }
        }
        self.assembler.settle().await?;
        let mut ops = self.assembler.segment_ops();
        for (number, draft) in changes.drafts.iter().enumerate() {
            let parts = draft.parts(self.assembler);
            let (content, listed) = match lists.get(&number) {
                Some(places) => {
                    let pieces = places.iter().map(|place| self.assembler.extent(place)).collect();
                    (Content::Pieces(pieces), parts.into_iter().flat_map(|part| part.extents).collect())
                }
                None => (Content::Parts(parts), Vec::new()),
            };
            let entry = draft.entry(content);
            entry.check()?;
            let (key, when) = (draft.facts.key.clone(), draft.facts.when);
            ops.push(Op::Put { key, entry: Box::new(entry), listed, when });
        }
        Ok(ops)
    }

    async fn write_list(&mut self, draft: &Draft) -> Result<Vec<Place>, UpdateError> {
        let list = encode_parts(&draft.parts(self.assembler));
        let mut places = Vec::new();
        for piece in list.chunks(PIECE_BYTES.min(self.assembler.segment_bytes_max() / 2)) {
            places.push(self.write_page(PageKind::Piece, |_| piece.to_vec()).await?.place);
        }
        Ok(places)
    }

    /// Writes the planned pages and the root page; returns where the root is, and its bytes.
    async fn write(&mut self, plan: Plan, before: &Root) -> Result<(RootLocator, Vec<u8>), UpdateError> {
        // Extents of the plan without a segment lie in the one that is being filled now.
        let open = self.assembler.open_number();
        let next = self.assembler.next_number();
        let mut placed: Vec<Place> = Vec::new();
        for page in &plan.pages {
            let kind = PageKind::Tree(page.height());
            let written = self.write_page(kind, |assembler| encode_page(page, &placed, open, assembler)).await?;
            placed.push(written.place);
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
                let usage = Usage { volume, length, used: assembler.used_bytes(number) };
                delta.insert(Key::Segment(id), Some(Value::Segment(usage)));
            }
            let root = RootPage { name: name.clone(), tree, delta };
            // The page counts itself.
            let bytes = root.encode(0).len() + PAGE_OVERHEAD;
            root.encode(assembler.open_used() + bytes as u64)
        };
        let Written { place, hash, page } = self.write_page(PageKind::Root, make).await?;
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
        Ok((locator, page))
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
        Ok(Written { place, hash: B256::from(*blake3::hash(&sealed).as_bytes()), page })
    }
}

/// A page that has its place.
struct Written {
    place: Place,
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
