//! List objects, look one up, and remove some.

use crate::{
    Client,
    bucket::{Bucket, BucketError},
    index::{Condition, Entry, Item, Key, Value, tree::Pages},
    pages::{AskError, IndexError, Root},
    progress::Progress,
    put::PutError,
    update::{Changes, Update, Updated, unused_in},
    write::Assembler,
};
use alloy_primitives::B256;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// BLAKE3 of its bytes.
    pub etag: B256,
    /// Its bytes.
    pub size: u64,
    /// Time of the last change, milliseconds since 1970.
    pub modified_ms: u64,
    /// MIME type, or nothing.
    pub content_type: String,
    /// What was noted beside.
    pub metadata: BTreeMap<String, String>,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects in the order of their keys.
    pub objects: Vec<Object>,
    /// What the keys of further objects begin with, up to the delimiter.
    pub prefixes: Vec<String>,
    /// Where the next page begins: pass it as `after`. Nothing if this is the last.
    pub next: Option<String>,
}

/// Why a bucket cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The bucket is the problem.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Its index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Object {
    pub(crate) fn new(key: &str, entry: &Entry) -> Self {
        Self {
            key: key.to_owned(),
            etag: entry.etag,
            size: entry.size,
            modified_ms: entry.modified_ms,
            content_type: entry.content_type.clone(),
            metadata: entry.metadata.clone(),
        }
    }
}

impl Client {
    /// Lists objects whose keys begin with `prefix` and come behind `after`. With a delimiter, keys that have it behind
    /// the prefix are folded into what stands before it. Objects and prefixes together are at most `limit`.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        delimiter: Option<char>,
        limit: usize,
    ) -> Result<Listing, ListError> {
        let (bucket, record) = self.open_bucket(bucket).await?;
        let root = bucket.reader.root(&record.root.into()).await?;
        let start = match after {
            // What was folded into a prefix counts as listed with it.
            Some(after) if delimiter.is_some_and(|delimiter| after.ends_with(delimiter)) => behind_prefix(after),
            Some(after) => format!("{after}\0"),
            None => String::new(),
        };
        let mut from = Key::Object(start.max(prefix.to_owned()));
        let mut listing = Listing::default();
        let mut pages = Pages::default();
        loop {
            let (items, next) = self.items_from(&bucket, &root, &mut pages, &from).await?;
            let mut skip_to = None;
            for (key, value) in &items {
                let (Key::Object(key), Value::Object(entry)) = (key, value) else { return Ok(listing) };
                let Some(rest) = key.strip_prefix(prefix) else { return Ok(listing) };
                if listing.objects.len() + listing.prefixes.len() >= limit {
                    listing.next = listing.last();
                    return Ok(listing);
                }
                match delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len_utf8())) {
                    Some(end) => {
                        let folded = key[..prefix.len() + end].to_owned();
                        skip_to = Some(Key::Object(behind_prefix(&folded)));
                        listing.prefixes.push(folded);
                        break;
                    }
                    None => listing.objects.push(Object::new(key, entry)),
                }
            }
            from = match skip_to.or(next) {
                Some(next) => next,
                None => return Ok(listing),
            };
        }
    }

    /// What is known of one object; nothing if there is none under this key.
    pub async fn stat(&self, bucket: &str, key: &str) -> Result<Option<Object>, ListError> {
        let (bucket, record) = self.open_bucket(bucket).await?;
        let root = bucket.reader.root(&record.root.into()).await?;
        Ok(self.lookup(&bucket, &root, key).await?.map(|entry| Object::new(key, &entry)))
    }

    /// Removes objects with one update of the index, and releases the segments that nothing needs any more.
    pub async fn remove(&self, bucket: &str, keys: &[&str], when: Condition) -> Result<(), PutError> {
        let (bucket, record) = self.open_bucket(bucket).await?;
        let profile = self.profile_of(&bucket.name, &record)?;
        let session = self.session(record.territory, record.policy, profile);
        let progress = Progress::default();
        let mut assembler = Assembler::new(session, self.config().put_memory_bytes, 0, progress.clone(), None);
        assembler.use_reserve();
        let removals = keys.iter().map(|key| ((*key).to_owned(), when)).collect();
        let changes = Changes { removals, ..Changes::default() };
        let update = Update { bucket: &bucket, assembler: &mut assembler, progress: &progress };
        let Updated { root } = update.run(&changes).await?;
        let unused: Vec<_> = unused_in(&root.delta).collect();
        if let Err(error) = self.release(unused).await {
            tracing::warn!(%error, "segments out of use were not released; a later update will try again");
        }
        Ok(())
    }

    pub(crate) async fn lookup(
        &self,
        bucket: &Arc<Bucket>,
        root: &Root,
        key: &str,
    ) -> Result<Option<Entry>, IndexError> {
        let key = Key::Object(key.to_owned());
        let value = match root.page.delta.get(&key) {
            Some(value) => value.clone(),
            None => {
                let ask = |pages: &Pages| Ok::<_, AskError<IndexError>>(pages.lookup(root.page.tree, &key)?.cloned());
                bucket.reader.with_pages(&mut Pages::default(), ask).await?
            }
        };
        Ok(match value {
            Some(Value::Object(entry)) => Some(entry),
            _ => None,
        })
    }

    /// Every item of the index.
    pub(crate) async fn scan_all(&self, bucket: &Arc<Bucket>, root: &Root) -> Result<Vec<Item>, IndexError> {
        let mut all = Vec::new();
        let mut pages = Pages::default();
        let mut from = Some(Key::Object(String::new()));
        while let Some(key) = from {
            let (items, next) = self.items_from(bucket, root, &mut pages, &key).await?;
            all.extend(items);
            from = next;
        }
        Ok(all)
    }

    /// Items from a key to the end of its leaf, with the newest changes over them, and the key to go on from.
    async fn items_from(
        &self,
        bucket: &Arc<Bucket>,
        root: &Root,
        pages: &mut Pages,
        from: &Key,
    ) -> Result<(Vec<Item>, Option<Key>), IndexError> {
        let ask = |pages: &Pages| {
            let leaf = pages.leaf_at(root.page.tree, from)?;
            let (items, next) = leaf.unwrap_or_default();
            let items: BTreeMap<Key, Value> = items.iter().filter(|(key, _)| key >= from).cloned().collect();
            Ok::<_, AskError<IndexError>>((items, next.cloned()))
        };
        let (mut items, next) = bucket.reader.with_pages(pages, ask).await?;
        let end = next.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        for (key, value) in root.page.delta.range((Bound::Included(from), end)) {
            match value {
                Some(value) => items.insert(key.clone(), value.clone()),
                None => items.remove(key),
            };
        }
        Ok((items.into_iter().collect(), next))
    }
}

impl Listing {
    /// The last key or prefix of the page.
    fn last(&self) -> Option<String> {
        let object = self.objects.last().map(|object| object.key.as_str());
        object.max(self.prefixes.last().map(String::as_str)).map(str::to_owned)
    }
}

/// A key behind all that begin with `prefix`: no other character comes behind U+10FFFF.
fn behind_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}
