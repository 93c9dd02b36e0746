//! Keep one bucket open: stage bytes, change its index with others in one transaction, and read.
//!
//! # Design
//! Bytes come first, the index after: [`Store::stage`] seals bytes and hands them to members, [`Store::change`] puts them
//! under keys. Changes of many callers are grouped: all that come while the last group is on its way, or within
//! [`StoreConfig::group_window`], are one transaction with one new root. A change is a closure over a [`View`], which is
//! judged on the root that is replaced, again if another program was quicker. See `docs/spec/index.md`.
//!
//! # Example
//! ```no_run
//! # async fn example(client: client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use client::{ChangeError, Entry, Key, ViewError};
//!
//! let store = client.open("photos").await?;
//! let body = store.stage(&b"bytes"[..], Some(5)).await?;
//! let put = move |view: &mut client::View<'_>| {
//!     let entry = Entry { modified_ms: 1_750_000_000_000, ..Entry::default() };
//!     let before = view.get(&Key::object("cat.jpg"))?.is_some();
//!     view.put(Key::object("cat.jpg"), entry, Some(&body))?;
//!     Ok::<_, ViewError>(before)
//! };
//! let replaced: Result<bool, ChangeError<ViewError>> = store.change(put).await;
//! # Ok(())
//! # }
//! ```

mod view;
mod snapshot;

pub use snapshot::Snapshot;
pub use view::{View, ViewError};

use crate::{
    Client,
    body::Body,
    bucket::{Bucket, BucketError},
    get::GetError,
    index::Entry,
    put::PutError,
    update::UpdateError,
};
use bytes::Bytes;
use futures::Stream;
use std::{ops::Range, sync::Arc};
use tokio::io::AsyncRead;

/// Why a change did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E> {
    /// The change itself said so, on the newest root.
    #[error(transparent)]
    Refused(E),
    /// It could not be committed. Nothing of it has happened, unless the chain was lost on the way.
    #[error(transparent)]
    Failed(UpdateError),
}

/// What a re-packing may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepackBudget {
    /// Sealed bytes that are read and written anew.
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
    /// Whether the whole bucket has been looked at since the first call.
    pub complete: bool,
}

/// Why a re-packing stopped.
#[derive(Debug, thiserror::Error)]
pub enum RepackError {
    /// The bytes to be moved could not be read.
    #[error(transparent)]
    Read(#[from] GetError),
    /// The new index could not be written.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

/// A bucket that is open. Cheap to clone; one for each bucket of a process, since each groups its own changes.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    client: Client,
    bucket: Arc<Bucket>,
}

impl Client {
    /// Opens a bucket for many readers and writers.
    pub async fn open(&self, bucket: &str) -> Result<Store, BucketError> {
        let (bucket, _) = self.open_bucket(bucket).await?;
        Ok(Store(Arc::new(Shared { client: self.clone(), bucket })))
    }
}

impl Store {
    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.0.bucket.name
    }

    /// Seals bytes and hands them to members; they are in no block, and under no key, before a change puts them there.
    /// Waits while as many bytes are on their way as this client may hold. A `size` must be exact.
    pub async fn stage(&self, reader: impl AsyncRead + Send + Unpin, size: Option<u64>) -> Result<Body, PutError> {
        let _ = (reader, size);
        todo!()
    }

    /// Changes the index at once or not at all; final when it returns. The closure must be pure: it runs again where a
    /// page had to be fetched, and on a newer root. It goes on if the caller stops waiting.
    pub async fn change<T, E>(
        &self,
        change: impl FnMut(&mut View<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ChangeError<E>>
    where
        T: Send + 'static,
        E: From<ViewError> + Send + 'static,
    {
        let _ = change;
        todo!()
    }

    /// The bucket as it is now: at most [`StoreConfig::root_age_max`](crate::config::StoreConfig::root_age_max) old, and
    /// never older than a change of this process that has returned.
    pub async fn snapshot(&self) -> Result<Snapshot, BucketError> {
        todo!()
    }

    /// The plaintext of an entry, or of a range of it, in order and verified. A range beyond the end is cut.
    pub fn read(
        &self,
        entry: &Entry,
        range: Option<Range<u64>>,
    ) -> Result<impl Stream<Item = Result<Bytes, GetError>> + Send + Unpin + use<>, GetError> {
        let _ = (entry, range);
        Ok(futures::stream::empty())
    }

    /// Writes anew what lives in segments that are mostly out of use, and releases them. Goes on where the last call
    /// ended.
    pub async fn repack(&self, budget: RepackBudget) -> Result<Repacked, RepackError> {
        let _ = budget;
        todo!()
    }
}
