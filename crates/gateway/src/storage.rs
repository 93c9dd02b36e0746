//! Name what the service needs of the network: buckets whose records change atomically, and bytes.

use crate::view::{Record, Stop, View};
use bytes::Bytes;
use futures::stream::BoxStream;
use s3s::S3Error;
use std::{fmt::Debug, future::Future, io, ops::Range};

/// A stream of bytes.
pub type Bytestream = BoxStream<'static, io::Result<Bytes>>;

/// The buckets of one account.
pub trait Storage: Send + Sync + 'static {
    /// A bucket.
    type Bucket: Bucket;

    /// Opens a bucket; `NoSuchBucket` if there is none.
    fn open(&self, name: &str) -> impl Future<Output = Result<Self::Bucket, S3Error>> + Send;

    /// Makes a bucket; `BucketAlreadyExists` if there is one.
    fn create(&self, name: &str) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Removes an empty bucket.
    fn remove(&self, name: &str) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Names of all buckets.
    fn list(&self) -> impl Future<Output = Result<Vec<String>, S3Error>> + Send;
}

/// A bucket.
pub trait Bucket: Clone + Send + Sync + 'static {
    /// Where bytes are.
    type Content: Clone + Default + Debug + Send + Sync + 'static;
    /// What a step sees.
    type View<'a>: View<Content = Self::Content>;

    /// Changes records in one step that is final when this returns; the step may run several times.
    fn change<T: Send + 'static>(
        &self,
        step: impl FnMut(&mut Self::View<'_>) -> Result<T, Stop> + Send + 'static,
    ) -> impl Future<Output = Result<T, S3Error>> + Send;

    /// Reads records as they are at one moment; the step may run several times and changes nothing.
    fn look<T: Send + 'static>(
        &self,
        step: impl FnMut(&mut Self::View<'_>) -> Result<T, Stop> + Send + 'static,
    ) -> impl Future<Output = Result<T, S3Error>> + Send;

    /// Stores bytes that no record refers to yet.
    fn stage(
        &self,
        bytes: Bytestream,
        size: Option<u64>,
    ) -> impl Future<Output = Result<Staged<Self::Content>, S3Error>> + Send;

    /// Reads bytes of a record.
    fn read(&self, record: &Record<Self::Content>, range: Range<u64>) -> Bytestream;
}

/// Bytes that wait for a record.
#[derive(Clone, Debug)]
pub struct Staged<C> {
    /// Where they are.
    pub content: C,
    /// How many.
    pub size: u64,
    /// Their BLAKE3.
    pub blake3: [u8; 32],
}

#[cfg(test)]
pub mod memory;
