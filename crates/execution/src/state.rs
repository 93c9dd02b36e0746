//! Ask for state without knowing where it is kept.

use alloy_primitives::{B256, Bytes};
use futures::FutureExt;
use std::future::Future;
use types::state::{StateKey, Value};

/// The state a block, or a call, is executed on.
///
/// Any number of reads may run at once, and a read that is dropped before it is ready has no effect. A future that is
/// ready when it is first polled (the entry is in memory) is taken at once; one that is not makes the executor fetch
/// what is missing together and go on.
pub trait StateReader: Send + Sync {
    /// The values of `keys`, in their order; `None` where there is no entry.
    fn read(&self, keys: &[StateKey]) -> impl Future<Output = Result<Vec<Option<Value>>, ReadError>> + Send;

    /// The code whose keccak-256 is `hash`.
    fn code(&self, hash: &B256) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
}

/// The state store failed: nothing can be said about the block or the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the state: {0}")]
pub struct ReadError(pub String);

/// Reads that need not wait.
pub(crate) trait ReadNow: Sync {
    /// The value of `key`; `None` if the reader would have to wait for it.
    fn read_now(&self, key: StateKey) -> Option<Result<Option<Value>, ReadError>>;

    /// The code of `hash`; `None` if the reader would have to wait for it.
    fn code_now(&self, hash: B256) -> Option<Result<Option<Bytes>, ReadError>>;
}

impl<R: StateReader> ReadNow for R {
    fn read_now(&self, key: StateKey) -> Option<Result<Option<Value>, ReadError>> {
        let values = self.read(&[key]).now_or_never()?;
        Some(values.and_then(|values| values.first().copied().ok_or_else(short_answer)))
    }

    fn code_now(&self, hash: B256) -> Option<Result<Option<Bytes>, ReadError>> {
        self.code(&hash).now_or_never()
    }
}

pub(crate) fn short_answer() -> ReadError {
    ReadError("the reader answered fewer keys than it was asked for".into())
}
