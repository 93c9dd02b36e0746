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

mod group;
mod repack;
mod snapshot;
mod stage;
mod view;

pub use repack::{RepackBudget, RepackError, Repacked};
pub use snapshot::Snapshot;
pub(crate) use view::Writes;
pub use view::{View, ViewError};

use crate::{
    Client,
    body::Body,
    bucket::{Bucket, BucketError},
    get::GetError,
    index::Entry,
    put::PutError,
    update::UpdateError,
    write::Session,
};
use bytes::Bytes;
use futures::Stream;
use group::{Groups, Job, Newest, WAITING_MAX, Waiting};
use repack::Pass;
use stage::Stage;
use std::{ops::Range, sync::Arc};
use tokio::{
    io::AsyncRead,
    sync::{Mutex, mpsc},
};

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

/// A bucket that is open. Cheap to clone; one for each bucket of a process, since each groups its own changes.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    client: Client,
    bucket: Arc<Bucket>,
    session: Arc<Session>,
    newest: Arc<Newest>,
    changes: mpsc::Sender<Box<dyn Job>>,
    /// The re-packing under way.
    pass: Mutex<Pass>,
}

impl Client {
    /// Opens a bucket for many readers and writers.
    pub async fn open(&self, bucket: &str) -> Result<Store, BucketError> {
        let (bucket, record) = self.open_bucket(bucket).await?;
        let profile = self.profile_of(&bucket.name, &record)?;
        let session = self.session(record.territory, record.policy, profile);
        let newest = Arc::new(Newest::default());
        let (changes, waiting) = mpsc::channel(WAITING_MAX);
        let groups = Groups {
            client: self.clone(),
            bucket: bucket.clone(),
            session: session.clone(),
            newest: newest.clone(),
            waiting,
            releasing: Arc::new(Mutex::new(())),
        };
        tokio::spawn(groups.run());
        let pass = Mutex::default();
        Ok(Store(Arc::new(Shared { client: self.clone(), bucket, session, newest, changes, pass })))
    }
}

impl Store {
    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.0.bucket.name
    }

    /// Seals bytes and hands them to members; they are in no block, and under no key, before a change puts them there.
    /// Waits while as many bytes are on their way as this client may hold; a short body takes its share of that until it is
    /// put or dropped. A `size` must be exact.
    pub async fn stage(&self, reader: impl AsyncRead + Send + Unpin, size: Option<u64>) -> Result<Body, PutError> {
        let Shared { client, bucket, session, .. } = &*self.0;
        let mut reader = reader;
        Stage { client, bucket, session }.run(&mut reader, size).await
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
        let (job, answer) = Waiting::new(change);
        let closed = || ChangeError::Failed(UpdateError::Closed);
        self.0.changes.send(Box::new(job)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// The bucket as it is now: at most [`StoreConfig::root_age_max`](crate::config::StoreConfig::root_age_max) old, and
    /// never older than a change of this process that has returned.
    pub async fn snapshot(&self) -> Result<Snapshot, BucketError> {
        let Shared { client, bucket, newest, .. } = &*self.0;
        let read = async {
            let record = client.record_of(bucket).await?;
            let root = bucket.reader.root(&record.root.into()).await?;
            Ok::<_, BucketError>((root, record.version))
        };
        let (root, version) = newest.get(client.config().store.root_age_max, read).await?;
        Ok(Snapshot { bucket: bucket.clone(), root, version })
    }

    /// The plaintext of an entry, or of a range of it, in order and verified. A range beyond the end is cut.
    pub fn read(
        &self,
        entry: &Entry,
        range: Option<Range<u64>>,
    ) -> Result<impl Stream<Item = Result<Bytes, GetError>> + Send + Unpin + use<>, GetError> {
        let Shared { client, bucket, .. } = &*self.0;
        client.stream(bucket.clone(), entry.clone(), range)
    }
}
