//! Keep the gateway's buckets on the network, through `client`'s stores.

use crate::{
    storage::{Bucket, Bytestream, Staged, Storage},
    view::{Key, Record, Stop, View},
};

use bytes::Bytes;
use client::{
    Body, BucketError, ChangeError, Client, Entry, PutError, SendError, Store, UpdateError, ViewError, WriteError,
    index::EntryError,
};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use s3s::{S3Error, S3ErrorCode, s3_error};
use std::{collections::HashMap, io, ops::Range, sync::Arc};
use tokio_util::io::StreamReader;

/// Who pays for new buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// The territory; without one, that with the most free space.
    pub territory: Option<u64>,
    /// What is bought where the account has no territory.
    pub purchase: Option<Purchase>,
}

/// A territory to buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Its size.
    pub bytes: u64,
    /// For how long.
    pub days: u32,
}

/// Buckets that are open, by name.
type Opened = Arc<Mutex<HashMap<String, Store>>>;

/// The buckets of an account.
pub struct Buckets {
    client: Client,
    billing: Billing,
    opened: Opened,
    /// Buckets are made one after the other, so that one territory is bought and not two.
    making: tokio::sync::Mutex<()>,
}

impl Buckets {
    /// The buckets of the client's account.
    pub fn new(client: Client, billing: Billing) -> Self {
        Self { client, billing, opened: Opened::default(), making: tokio::sync::Mutex::default() }
    }

    async fn territory(&self) -> Result<u64, S3Error> {
        if let Some(territory) = self.billing.territory {
            return Ok(territory);
        }
        let now_ms = self.client.chain().head().await.map_err(unavailable)?.timestamp_ms;
        let territories = self.client.list_territories().await.map_err(unavailable)?;
        let paid = territories.into_iter().filter(|territory| territory.paid_until_ms > now_ms);
        let free = |territory: &client::Territory| territory.bytes_bought.saturating_sub(territory.bytes_used);
        if let Some(roomiest) = paid.max_by_key(free) {
            return Ok(roomiest.id);
        }
        match self.billing.purchase {
            Some(Purchase { bytes, days }) => self.client.buy_territory(bytes, days).await.map_err(unavailable),
            None => {
                Err(quota("the account has no territory: buy one with `cess territory buy --size 10GiB --days 30`"))
            }
        }
    }
}

impl Storage for Buckets {
    type Bucket = NetworkBucket;

    async fn open(&self, name: &str) -> Result<NetworkBucket, S3Error> {
        if let Some(store) = self.opened.lock().get(name) {
            return Ok(NetworkBucket { store: store.clone(), opened: self.opened.clone() });
        }
        let store = self.client.open(name).await.map_err(bucket_error)?;
        // Of several that open it at once, all get the first one's: it groups the changes of all.
        let store = self.opened.lock().entry(name.into()).or_insert(store).clone();
        Ok(NetworkBucket { store, opened: self.opened.clone() })
    }

    async fn create(&self, name: &str) -> Result<(), S3Error> {
        let _turn = self.making.lock().await;
        match self.open(name).await {
            Ok(_) => return Err(s3_error!(BucketAlreadyExists)),
            Err(error) if error.code().as_str() == "NoSuchBucket" => {}
            Err(error) => return Err(error),
        }
        let territory = self.territory().await?;
        self.client.create_bucket(name, territory).await.map(drop).map_err(bucket_error)
    }

    async fn remove(&self, name: &str) -> Result<(), S3Error> {
        let removed = self.client.remove_bucket(name).await;
        self.opened.lock().remove(name);
        match removed {
            // The bucket is gone; what it took is released when its leases end.
            Ok(()) | Err(BucketError::Release(_)) => Ok(()),
            Err(error) => Err(bucket_error(error)),
        }
    }

    async fn list(&self) -> Result<Vec<String>, S3Error> {
        let buckets = self.client.list_buckets().await.map_err(bucket_error)?;
        Ok(buckets.into_iter().map(|bucket| bucket.name).collect())
    }
}

/// A bucket on the network.
#[derive(Clone)]
pub struct NetworkBucket {
    store: Store,
    opened: Opened,
}

impl NetworkBucket {
    /// A bucket that was removed, here or elsewhere, is not held open: there may be another of its name soon.
    fn refused(&self, error: S3Error) -> S3Error {
        if error.code().as_str() == "NoSuchBucket" {
            self.opened.lock().remove(self.store.name());
        }
        error
    }
}

/// Where the bytes of a record are.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// It has none.
    #[default]
    Nothing,
    /// A record has them.
    Stored(Box<Entry>),
    /// No record has them yet.
    Staged(Body),
}

impl Content {
    fn body(&self) -> Option<Body> {
        match self {
            Self::Nothing => None,
            Self::Stored(entry) => Some(Body::of(entry)),
            Self::Staged(body) => Some(body.clone()),
        }
    }
}

/// What a step uses of the index, whatever the lifetimes of the one it gets.
trait Index {
    fn get(&mut self, key: &client::Key) -> Result<Option<Entry>, ViewError>;
    fn scan(&mut self, range: Range<client::Key>, limit: usize) -> Result<Vec<(client::Key, Entry)>, ViewError>;
    fn put(&mut self, key: client::Key, entry: Entry, body: Option<&Body>) -> Result<(), ViewError>;
    fn remove(&mut self, key: &client::Key) -> Result<(), ViewError>;
}

impl Index for client::View<'_> {
    fn get(&mut self, key: &client::Key) -> Result<Option<Entry>, ViewError> {
        client::View::get(self, key).map(|entry| entry.cloned())
    }

    fn scan(&mut self, range: Range<client::Key>, limit: usize) -> Result<Vec<(client::Key, Entry)>, ViewError> {
        client::View::scan(self, range, limit)
    }

    fn put(&mut self, key: client::Key, entry: Entry, body: Option<&Body>) -> Result<(), ViewError> {
        client::View::put(self, key, entry, body)
    }

    fn remove(&mut self, key: &client::Key) -> Result<(), ViewError> {
        client::View::remove(self, key)
    }
}

/// The records of a bucket in one step.
pub struct NetworkView<'a> {
    index: &'a mut dyn Index,
    /// Why the step stops, where the index is the reason.
    failure: Option<ViewError>,
}

/// Why a step of a store stops.
#[derive(Debug)]
enum Stopped {
    Refused(S3Error),
    View(ViewError),
}

impl From<ViewError> for Stopped {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl Bucket for NetworkBucket {
    type Content = Content;
    type View<'a> = NetworkView<'a>;

    async fn change<T: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut NetworkView<'_>) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, S3Error> {
        let changed = self.store.change(move |index| run(index, &mut step)).await;
        changed.map_err(|error| self.refused(change_error(error)))
    }

    async fn look<T: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut NetworkView<'_>) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, S3Error> {
        let snapshot = self.store.snapshot().await.map_err(|error| self.refused(bucket_error(error)))?;
        snapshot.view(move |index| run(index, &mut step)).await.map_err(change_error)
    }

    async fn stage(&self, bytes: Bytestream, size: Option<u64>) -> Result<Staged<Content>, S3Error> {
        let body = self.store.stage(StreamReader::new(bytes), size).await.map_err(put_error)?;
        Ok(Staged { size: body.size(), blake3: body.etag().0, content: Content::Staged(body) })
    }

    fn read(&self, record: &Record<Content>, range: Range<u64>) -> Bytestream {
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let Content::Stored(entry) = &record.content else {
            return stream::once(async { Err(io::Error::other("the record has no bytes")) }).boxed();
        };
        match self.store.read(entry, Some(range)) {
            Ok(bytes) => bytes.map_err(io::Error::other).boxed(),
            Err(error) => stream::once(async { Err(io::Error::other(error)) }).boxed(),
        }
    }
}

/// Runs a step; what the index answered comes before what the step made of it.
fn run<T>(
    index: &mut client::View<'_>,
    step: &mut impl FnMut(&mut NetworkView<'_>) -> Result<T, Stop>,
) -> Result<T, Stopped> {
    let mut view = NetworkView { index, failure: None };
    let result = step(&mut view);
    match (view.failure, result) {
        (Some(failure), _) => Err(Stopped::View(failure)),
        (None, Ok(done)) => Ok(done),
        (None, Err(Stop::Refused(error))) => Err(Stopped::Refused(error)),
        (None, Err(Stop::Unready)) => Err(Stopped::View(ViewError::NotAtHand)),
    }
}

impl NetworkView<'_> {
    fn note<T>(&mut self, result: Result<T, ViewError>) -> Result<T, Stop> {
        result.map_err(|error| {
            self.failure = Some(error);
            Stop::Unready
        })
    }
}

impl View for NetworkView<'_> {
    type Content = Content;

    fn get(&mut self, key: &Key) -> Result<Option<Record<Content>>, Stop> {
        let found = self.index.get(&to_network(key));
        Ok(self.note(found)?.map(record))
    }

    fn scan(&mut self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Record<Content>)>, Stop> {
        let found = self.index.scan(to_network(from)..to_network(to), limit);
        let read = self.note(found)?.into_iter().filter_map(|(key, entry)| Some((from_network(key)?, record(entry))));
        Ok(read.collect())
    }

    fn put(&mut self, key: Key, record: Record<Content>) -> Result<(), Stop> {
        let Record { size: _, blake3: _, modified_ms, content_type, metadata, attributes, content } = record;
        let entry =
            Entry { modified_ms, content_type, metadata, attributes: Bytes::from(attributes), ..Entry::default() };
        let put = self.index.put(to_network(&key), entry, content.body().as_ref());
        self.note(put)
    }

    fn remove(&mut self, key: &Key) -> Result<(), Stop> {
        let removed = self.index.remove(&to_network(key));
        self.note(removed)
    }

    fn join(&mut self, contents: Vec<Content>) -> Result<Content, Stop> {
        Ok(Content::Staged(Body::join(contents.iter().filter_map(Content::body))))
    }
}

fn record(entry: Entry) -> Record<Content> {
    let Entry { etag, size, modified_ms, .. } = entry;
    let nothing = matches!(&entry.content, client::index::Content::Parts(parts) if parts.is_empty());
    Record {
        size,
        blake3: etag.0,
        modified_ms,
        content_type: entry.content_type.clone(),
        metadata: entry.metadata.clone(),
        attributes: entry.attributes.to_vec(),
        content: if nothing { Content::Nothing } else { Content::Stored(Box::new(entry)) },
    }
}

fn to_network(key: &Key) -> client::Key {
    match key {
        Key::Object(key) => client::Key::object(key.as_str()),
        Key::Record(bytes) => client::Key::record(bytes.clone()),
    }
}

fn from_network(key: client::Key) -> Option<Key> {
    match key {
        client::Key::Object(key) => Some(Key::Object(key)),
        client::Key::Record(bytes) => Some(Key::Record(bytes.to_vec())),
        client::Key::Segment(_) | client::Key::Unused(_) => None,
    }
}

fn change_error(error: ChangeError<Stopped>) -> S3Error {
    match error {
        ChangeError::Refused(Stopped::Refused(error)) => error,
        ChangeError::Refused(Stopped::View(error)) => view_error(error),
        ChangeError::Failed(error) => update_error(error),
    }
}

fn view_error(error: ViewError) -> S3Error {
    match error {
        ViewError::Key { .. } => s3_error!(KeyTooLongError),
        ViewError::Entry(error) => entry_error(&error),
        error => internal(error),
    }
}

fn entry_error(error: &EntryError) -> S3Error {
    match error {
        EntryError::ContentType => s3_error!(InvalidArgument, "{error}"),
        EntryError::Metadata | EntryError::Attributes => s3_error!(MetadataTooLarge, "{error}"),
        EntryError::TooManySegments => s3_error!(EntityTooLarge, "{error}"),
    }
}

fn update_error(error: UpdateError) -> S3Error {
    match error {
        UpdateError::Write(error) => write_error(error),
        UpdateError::Entry(error) => entry_error(&error),
        UpdateError::View(error) => view_error(error),
        UpdateError::Conflict(_) | UpdateError::Contended { .. } | UpdateError::Gone { .. } => {
            s3_error!(OperationAborted, "others change the same objects: try again")
        }
        error => unavailable(error),
    }
}

fn write_error(error: WriteError) -> S3Error {
    match error {
        // It names the territory, and says how to get more.
        error @ WriteError::TerritoryFull { .. } => quota(&error.to_string()),
        error => unavailable(error),
    }
}

fn put_error(error: PutError) -> S3Error {
    match error {
        PutError::Write(error) => write_error(error),
        PutError::Update(error) => update_error(error),
        PutError::Bucket(error) => bucket_error(error),
        PutError::Source(_) | PutError::SourceChanged => s3_error!(IncompleteBody),
        PutError::TooLarge => s3_error!(EntityTooLarge),
        PutError::Key { .. } => s3_error!(KeyTooLongError),
        PutError::Entry(error) => entry_error(&error),
        error => unavailable(error),
    }
}

fn bucket_error(error: BucketError) -> S3Error {
    match error {
        BucketError::Unknown { .. } => s3_error!(NoSuchBucket),
        BucketError::Name { .. } => s3_error!(InvalidBucketName),
        BucketError::NotEmpty { .. } => s3_error!(BucketNotEmpty),
        BucketError::Send(SendError::Funds { .. }) => quota(&error.to_string()),
        error => unavailable(error),
    }
}

/// The account has no room, or no money: S3 has no code of its own for that; this one is what Ceph says.
fn quota(message: &str) -> S3Error {
    let code = S3ErrorCode::from_bytes(b"QuotaExceeded").unwrap_or(S3ErrorCode::ServiceUnavailable);
    let mut error = S3Error::with_message(code, message.to_string());
    error.set_status_code(hyper::StatusCode::FORBIDDEN);
    error
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::warn!(%error, "the network did not do what was asked");
    let message = error.to_string();
    let mut answer = S3Error::with_message(S3ErrorCode::ServiceUnavailable, message);
    answer.set_source(Box::new(error));
    answer
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(%error, "a step failed");
    S3Error::internal_error(error)
}
