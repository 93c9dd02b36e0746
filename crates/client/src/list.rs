//! List objects, look one up, and remove some.

use crate::{
    Client,
    bucket::BucketError,
    index::{Condition, Entry, Key, Value},
    pages::IndexError,
    progress::Progress,
    put::PutError,
    store::View,
    update::{Asked, Placement, Update, UpdateError, Updated, unused_in},
    write::Assembler,
};
use alloy_primitives::B256;
use std::{collections::BTreeMap, ops::Bound};

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
        let (_, snapshot) = self.look(bucket).await?;
        let start = match after {
            // What was folded into a prefix counts as listed with it.
            Some(after) if delimiter.is_some_and(|delimiter| after.ends_with(delimiter)) => behind_prefix(after),
            Some(after) => format!("{after}\0"),
            None => String::new(),
        };
        let mut walk = snapshot.walk(Bound::Included(Key::Object(start.max(prefix.to_owned()))), 1);
        let mut listing = Listing::default();
        while let Some(items) = walk.next().await? {
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
                        walk = snapshot.walk(Bound::Included(Key::Object(behind_prefix(&folded))), 1);
                        listing.prefixes.push(folded);
                        break;
                    }
                    None => listing.objects.push(Object::new(key, entry)),
                }
            }
        }
        Ok(listing)
    }

    /// What is known of one object; nothing if there is none under this key.
    pub async fn stat(&self, bucket: &str, key: &str) -> Result<Option<Object>, ListError> {
        let (_, snapshot) = self.look(bucket).await?;
        Ok(snapshot.get(&Key::object(key)).await?.map(|entry| Object::new(key, &entry)))
    }

    /// Removes objects with one update of the index, and releases the segments that nothing needs any more.
    pub async fn remove(&self, bucket: &str, keys: &[&str], when: Condition) -> Result<(), PutError> {
        let (bucket, record) = self.open_bucket(bucket).await?;
        let profile = self.profile_of(&bucket.name, &record)?;
        let session = self.session(record.territory, record.policy, profile);
        let progress = Progress::default();
        let memory = self.commit_memory().clone();
        let mut assembler = Assembler::new(session, memory, 0, progress.clone(), None);
        let update = Update {
            bucket: &bucket,
            assembler: &mut assembler,
            progress: &progress,
            placement: Placement::default(),
            unused: Vec::new(),
        };
        let mut change = Asked::new(|view: &mut View<'_>| {
            for key in keys {
                let tree_key = Key::object(*key);
                when.check(key, view.get(&tree_key)?)?;
                view.remove(&tree_key)?;
            }
            Ok::<_, UpdateError>(())
        });
        let Updated { root, .. } = update.run(std::slice::from_mut(&mut change)).await?;
        if let Some(Err(error)) = change.said {
            return Err(error.into());
        }
        let unused: Vec<_> = unused_in(&root.page.delta).collect();
        if let Err(error) = self.release(unused).await {
            tracing::warn!(%error, "segments out of use were not released; a later update will try again");
        }
        Ok(())
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
