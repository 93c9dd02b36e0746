//! Hold what handlers share.

use crate::{
    RpcConfig,
    cess::StripeIndex,
    error::{Answer, RpcError},
    filters::Filters,
    history::History,
    node::Node,
};
use execution::Executor;
use mempool::Mempool;
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use types::ChainSpec;

/// Longest wait of one request.
pub(crate) const WAIT_MS_MAX: u64 = 60_000;

/// Everything that a request can reach; clones share it.
#[derive(Clone)]
pub(crate) struct Service(Arc<Inner>);

pub(crate) struct Inner {
    pub config: RpcConfig,
    pub spec: Arc<ChainSpec>,
    pub executor: Executor,
    pub history: History,
    pub mempool: Mempool,
    pub node: Arc<dyn Node>,
    pub filters: Mutex<Filters>,
    pub stripes: Mutex<StripeIndex>,
    /// Turns true when the server stops, so that nothing waits any longer.
    pub stopping: watch::Receiver<bool>,
    heavy: Semaphore,
    waits: Semaphore,
}

impl std::ops::Deref for Service {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Service {
    pub fn new(
        config: RpcConfig,
        spec: Arc<ChainSpec>,
        executor: Executor,
        history: History,
        mempool: Mempool,
        node: Arc<dyn Node>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Inner {
            filters: Mutex::new(Filters::new(config.filters_max, config.filter_expiry_ms)),
            stripes: Mutex::default(),
            heavy: Semaphore::new(config.calls_max.max(1)),
            waits: Semaphore::new(config.waits_max),
            config,
            spec,
            executor,
            history,
            mempool,
            node,
            stopping,
        }))
    }

    /// Runs work that takes a while beside the threads that serve connections; only so many at a time.
    pub async fn heavy<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Answer<T> + Send + 'static,
    {
        let _permit = self.heavy.acquire().await.map_err(|_| stopped())?;
        let service = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&service)).await;
        done.map_err(|error| RpcError::Internal(format!("a request was cut off: {error}")))?
    }

    /// Runs work on the block at `height`: at once where the block is at hand, else as [`heavy`](Self::heavy) work.
    pub async fn on_block<T, F>(&self, height: u64, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Answer<T> + Send + 'static,
    {
        if self.history.is_recent(height)? { work(self) } else { self.heavy(work).await }
    }

    /// Leave to wait for something that a later block brings.
    pub fn wait(&self) -> Answer<SemaphorePermit<'_>> {
        let limit = self.config.waits_max;
        self.waits.try_acquire().map_err(|_| RpcError::Limit(format!("too many requests wait: the limit is {limit}")))
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn stopped() -> RpcError {
    RpcError::Internal("the server stops".into())
}
