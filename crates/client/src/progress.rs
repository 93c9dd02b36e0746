//! Tell the caller how a long operation goes on.

use std::sync::Arc;

/// What just happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes of plaintext were read from the source.
    Read(u64),
    /// Bytes of plaintext were found stored already, by an earlier attempt.
    Resumed(u64),
    /// Bytes of a segment are durable at its members, but not committed.
    Staged(u64),
    /// Bytes of segments are in the chain.
    Committed(u64),
    /// Bytes of plaintext were written to the destination.
    Written(u64),
    /// No volume takes writes; waiting for one to form.
    WaitingForVolume,
    /// Another writer changed the bucket first; the update is made anew.
    Replaying,
}

/// Receives events; must return at once.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl Progress {
    /// Calls `receiver` with every event.
    pub fn new(receiver: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(receiver)))
    }

    pub(crate) fn event(&self, event: Event) {
        if let Some(receiver) = &self.0 {
            receiver(event);
        }
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress(..)")
    }
}
