//! Hold buckets in memory, for tests of the service.

use super::{Bucket, Bytestream, Staged, Storage};
use crate::view::{Record, Stop, memory::Memory};
use futures::{FutureExt, TryStreamExt, stream};
use parking_lot::Mutex;
use s3s::{S3Error, s3_error};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Buckets in memory.
#[derive(Default)]
pub struct Buckets(Mutex<BTreeMap<String, MemoryBucket>>);

/// A bucket in memory.
#[derive(Clone, Default)]
pub struct MemoryBucket(Arc<Mutex<Memory>>);

impl Storage for Buckets {
    type Bucket = MemoryBucket;

    async fn open(&self, name: &str) -> Result<MemoryBucket, S3Error> {
        self.0.lock().get(name).cloned().ok_or_else(|| s3_error!(NoSuchBucket))
    }

    async fn create(&self, name: &str) -> Result<(), S3Error> {
        let mut buckets = self.0.lock();
        if buckets.contains_key(name) {
            return Err(s3_error!(BucketAlreadyExists));
        }
        buckets.insert(name.into(), MemoryBucket::default());
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), S3Error> {
        self.0.lock().remove(name).map(drop).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    async fn list(&self) -> Result<Vec<String>, S3Error> {
        Ok(self.0.lock().keys().cloned().collect())
    }
}

impl Bucket for MemoryBucket {
    type Content = Vec<u8>;
    type View<'a> = Memory;

    async fn change<T: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut Memory) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, S3Error> {
        let mut state = self.0.lock();
        let mut changed = state.clone();
        let result = step(&mut changed).map_err(refusal)?;
        *state = changed;
        Ok(result)
    }

    async fn look<T: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut Memory) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, S3Error> {
        step(&mut self.0.lock().clone()).map_err(refusal)
    }

    async fn stage(&self, bytes: Bytestream, _: Option<u64>) -> Result<Staged<Vec<u8>>, S3Error> {
        let pieces: Vec<bytes::Bytes> = bytes.try_collect().await.map_err(S3Error::internal_error)?;
        let content = pieces.concat();
        Ok(Staged { size: content.len() as u64, blake3: *blake3::hash(&content).as_bytes(), content })
    }

    fn read(&self, record: &Record<Vec<u8>>, range: Range<u64>) -> Bytestream {
        let bytes = record.content[range.start as usize..range.end as usize].to_vec();
        Box::pin(stream::once(async move { Ok(bytes.into()) }.boxed()))
    }
}

fn refusal(stop: Stop) -> S3Error {
    match stop {
        Stop::Refused(error) => error,
        Stop::Unready => unreachable!("everything is at hand"),
    }
}
