//! Fetch and open the pages of an index.

mod cache;
mod disk;
mod scan;

pub(crate) use scan::Scan;

use crate::{
    chain::ChainError,
    config::StoreConfig,
    index::{
        DecodeError, Entry, Extent, Missing, Page, Pages, Part, RootPage, SegmentRef,
        entry::{Content, decode_parts},
    },
    read::{Fetcher, ReadError},
};
use alloy_primitives::B256;
use bytes::Bytes;
use cache::PageCache;
use disk::DiskCache;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use sealing::{OpenPageError, PAGE_OVERHEAD, PageKey};
use std::sync::Arc;
use types::{BucketId, RootLocator};

/// Pages that are fetched at the same time.
pub(crate) const FETCHES_MAX: usize = 16;
/// Longest sealed page.
const SEALED_PAGE_BYTES_MAX: u32 = 4 << 20;

/// What a page is, in the associated data of its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The page that the chain points at.
    Root,
    /// A page of the tree at this height.
    Tree(u8),
    /// A piece of a list of parts.
    Piece,
}

impl PageKind {
    /// The kind as a byte.
    fn byte(self) -> u8 {
        match self {
            Self::Root => 0,
            Self::Tree(height) => height,
            Self::Piece => 255,
        }
    }

    /// The height of a page of the tree; others have none.
    pub(crate) fn height(self) -> u8 {
        match self {
            Self::Tree(height) => height,
            Self::Root | Self::Piece => 0,
        }
    }
}

/// Why a page of an index cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Too few members had it.
    #[error("cannot read the bucket's index: {0}")]
    Read(#[from] ReadError),
    /// It is not sealed under this bucket's key.
    #[error("cannot open the bucket's index: {0}; is this the keystore that made the bucket?")]
    Open(#[from] OpenPageError),
    /// What a writer put there is no page.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The page is not the one that the chain names.
    #[error("the root page is not the one that the chain names")]
    WrongRoot,
}

/// The associated data of a page's seal.
pub fn page_context(bucket: &BucketId, kind: PageKind) -> Vec<u8> {
    [b"cess index page v1", bucket.as_slice(), &[kind.byte()]].concat()
}

/// Reads the index of one bucket.
pub(crate) struct IndexReader {
    fetcher: Arc<Fetcher>,
    bucket: BucketId,
    key: PageKey,
    cache: PageCache,
    disk: Option<Arc<DiskCache>>,
    root: Mutex<Option<(B256, Arc<Root>)>>,
}

/// A root page and where it lies.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) page: RootPage,
    pub(crate) place: Option<Extent>,
}

impl IndexReader {
    pub(crate) fn new(fetcher: Arc<Fetcher>, bucket: BucketId, key: PageKey, config: &StoreConfig) -> Self {
        let disk = |folder| Arc::new(DiskCache::new(folder, &bucket, &key, config.page_disk_bytes));
        let disk = config.page_folder.clone().map(disk);
        Self { fetcher, bucket, key, cache: PageCache::new(config.page_memory_bytes), disk, root: Mutex::default() }
    }

    /// The root page that `locator` points at; the empty one if it points nowhere.
    pub(crate) async fn root(&self, locator: &RootLocator) -> Result<Arc<Root>, IndexError> {
        if locator.is_empty() {
            return Ok(Arc::default());
        }
        let known = self.root.lock().clone();
        if let Some((_, root)) = known.filter(|(hash, _)| *hash == locator.page_hash) {
            return Ok(root);
        }
        let place = place_of(locator).ok_or(IndexError::WrongRoot)?;
        let sealed = self.fetcher.read(place.segment, place.range()).await?;
        if blake3::hash(&sealed).as_bytes() != locator.page_hash.as_slice() {
            return Err(IndexError::WrongRoot);
        }
        let bytes = sealing::open_page(&self.key, &page_context(&self.bucket, PageKind::Root), &sealed)?;
        let root = Arc::new(Root { page: RootPage::decode(&bytes, place.segment)?, place: Some(place) });
        *self.root.lock() = Some((locator.page_hash, root.clone()));
        Ok(root)
    }

    /// Takes a root page in that was just written.
    pub(crate) fn remember(&self, locator: &RootLocator, page: &[u8]) -> Result<Arc<Root>, IndexError> {
        let place = place_of(locator).ok_or(IndexError::WrongRoot)?;
        let root = Arc::new(Root { page: RootPage::decode(page, place.segment)?, place: Some(place) });
        *self.root.lock() = Some((locator.page_hash, root.clone()));
        Ok(root)
    }

    /// Takes a page of the tree in that was just written.
    pub(crate) fn keep(&self, extent: Extent, height: u8, sealed: Bytes, page: &[u8]) -> Result<(), IndexError> {
        self.cache.keep_page(extent, height, Arc::new(Page::decode(page, height, extent.segment)?));
        self.keep_on_disk(extent, PageKind::Tree(height), sealed);
        Ok(())
    }

    /// Asks a question of the pages until all that it needs are there.
    pub(crate) async fn with_pages<T, E: From<IndexError>>(
        &self,
        pages: &mut Pages,
        mut ask: impl FnMut(&Pages) -> Result<T, AskError<E>>,
    ) -> Result<T, E> {
        loop {
            match ask(pages) {
                Ok(answer) => return Ok(answer),
                Err(AskError::Other(error)) => return Err(error),
                Err(AskError::Missing(missing)) => self.fetch(pages, missing).await?,
            }
        }
    }

    /// Fetches what a question lacked.
    pub(crate) async fn fetch(&self, pages: &mut Pages, missing: Missing) -> Result<(), IndexError> {
        let fetched: Vec<_> =
            stream::iter(missing.pages)
                .map(|(extent, height)| async move {
                    Ok::<_, IndexError>((extent, height, self.page(extent, height).await?))
                })
                .buffer_unordered(FETCHES_MAX)
                .try_collect()
                .await?;
        fetched.into_iter().for_each(|(extent, height, page)| pages.add(extent, height, page));
        for (pieces, size) in missing.lists {
            let parts = self.list(&pieces, size).await?;
            pages.add_list(pieces, parts);
        }
        Ok(())
    }

    pub(crate) async fn page(&self, extent: Extent, height: u8) -> Result<Arc<Page>, IndexError> {
        if let Some(page) = self.cache.page(extent, height) {
            return Ok(page);
        }
        let bytes = self.open(extent, PageKind::Tree(height)).await?;
        let page = Arc::new(Page::decode(&bytes, height, extent.segment)?);
        self.cache.keep_page(extent, height, page.clone());
        Ok(page)
    }

    async fn open(&self, extent: Extent, kind: PageKind) -> Result<Vec<u8>, IndexError> {
        if extent.length > SEALED_PAGE_BYTES_MAX || (extent.length as usize) < PAGE_OVERHEAD {
            return Err(DecodeError("a page of an impossible length").into());
        }
        let context = page_context(&self.bucket, kind);
        if let Some(disk) = self.disk.clone() {
            let kept = offload::run(move || disk.read(&extent, kind.byte())).await.expect("reading does not panic");
            if let Some(page) = kept.and_then(|sealed| sealing::open_page(&self.key, &context, &sealed).ok()) {
                return Ok(page);
            }
        }
        let sealed = self.fetcher.read(extent.segment, extent.range()).await?;
        let page = sealing::open_page(&self.key, &context, &sealed)?;
        self.keep_on_disk(extent, kind, sealed);
        Ok(page)
    }

    fn keep_on_disk(&self, extent: Extent, kind: PageKind, sealed: Bytes) {
        if let Some(disk) = self.disk.clone() {
            tokio::spawn(offload::run(move || disk.write(&extent, kind.byte(), &sealed)));
        }
    }

    /// The parts that pieces list.
    pub(crate) async fn list(&self, pieces: &[Extent], size: u64) -> Result<Arc<Vec<Part>>, IndexError> {
        if let Some(parts) = self.cache.list(pieces) {
            return Ok(parts);
        }
        let opened: Vec<Vec<u8>> = stream::iter(pieces.iter().copied())
            .map(|piece| self.open(piece, PageKind::Piece))
            .buffered(FETCHES_MAX)
            .try_collect()
            .await?;
        let parts = Arc::new(decode_parts(&opened.concat(), size)?);
        self.cache.keep_list(pieces, parts.clone());
        Ok(parts)
    }

    /// The parts of an object.
    pub(crate) async fn parts(&self, entry: &Entry) -> Result<Arc<Vec<Part>>, IndexError> {
        match &entry.content {
            Content::Parts(parts) => Ok(Arc::new(parts.clone())),
            Content::Pieces(pieces) => self.list(pieces, entry.size).await,
            Content::Body(_) => Err(DecodeError("bytes that no change has put have no place").into()),
        }
    }
}

/// Why a question has no answer yet, or none at all.
pub(crate) enum AskError<E> {
    Missing(Missing),
    Other(E),
}

impl<E> From<Missing> for AskError<E> {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// The root page's place. By rule it is the last thing in its segment.
fn place_of(locator: &RootLocator) -> Option<Extent> {
    let offset = u32::try_from(locator.offset).ok()?;
    let length = offset.checked_add(locator.length)?;
    if locator.length > SEALED_PAGE_BYTES_MAX {
        return None;
    }
    let segment = SegmentRef { id: locator.segment, volume: locator.volume, length };
    Some(Extent { segment, offset, length: locator.length })
}
