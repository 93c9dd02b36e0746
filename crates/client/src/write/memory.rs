//! Bound the bytes of segments and fragments that all writes of a client hold.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::Profile;

/// Unit in which memory is counted.
const UNIT: usize = 4 << 10;

/// Room for segments that are being filled, and for the parity of those that are being sent. They are apart, so that
/// what is full can always be sent, however many wait for their sources.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    filling: Room,
    sending: Room,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Room {
    permits: Arc<Semaphore>,
    units: usize,
}

impl Memory {
    /// Room for `bytes` in all, or for what three segments of this code take.
    pub(crate) fn new(bytes: usize, profile: Profile, slot_bytes: u64) -> Self {
        let slot_bytes = usize::try_from(slot_bytes).expect("slots have at most 64 MiB");
        let (data, total) = (usize::from(profile.data()), usize::from(profile.total()));
        let bytes = bytes.max(3 * total * slot_bytes);
        let filling = bytes / total * data;
        Self { filling: Room::new(filling), sending: Room::new(bytes - filling), bytes }
    }

    /// All the bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Waits for room for the data of a segment.
    pub(crate) async fn fill(&self, bytes: usize) -> OwnedSemaphorePermit {
        self.filling.take(bytes).await
    }

    /// Waits for room for the parity of a segment.
    pub(crate) async fn send(&self, bytes: usize) -> OwnedSemaphorePermit {
        self.sending.take(bytes).await
    }

    /// Gives back what more was taken than these bytes.
    pub(crate) fn shrink(permit: OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
        let mut permit = permit;
        let kept = bytes.div_ceil(UNIT).min(permit.num_permits());
        permit.split(kept).unwrap_or(permit)
    }
}

impl Room {
    fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(units)), units }
    }

    /// What is larger than the room takes all of it.
    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let units = u32::try_from(bytes.div_ceil(UNIT).clamp(1, self.units)).unwrap_or(u32::MAX);
        self.permits.clone().acquire_many_owned(units).await.expect("the semaphore is never closed")
    }
}
