//! Tell the time of day as one validator sees it: its machine's clock, and how far that is off.

use commonware_runtime::Clock;
use std::time::{Duration, SystemTime};

/// A validator's clock on the wall. Only block timestamps hang on it; how long something takes does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wall {
    /// Milliseconds by which it is ahead of the runtime's clock; negative if it is behind.
    ahead_ms: i64,
}

impl Wall {
    /// A clock that is this far ahead of the runtime's, or behind it: for simulations.
    #[cfg(any(test, feature = "simulation"))]
    pub fn ahead_by_ms(ahead_ms: i64) -> Self {
        Self { ahead_ms }
    }

    fn ahead(self) -> Duration {
        Duration::from_millis(self.ahead_ms.unsigned_abs())
    }

    /// What it shows.
    pub fn now<E: Clock>(self, clock: &E) -> SystemTime {
        let now = clock.current();
        match self.ahead_ms < 0 {
            true => now.checked_sub(self.ahead()).unwrap_or(SystemTime::UNIX_EPOCH),
            false => now + self.ahead(),
        }
    }

    /// Waits until it shows `time`.
    pub async fn sleep_until<E: Clock>(self, clock: &E, time: SystemTime) {
        if let Ok(left) = time.duration_since(self.now(clock)) {
            clock.sleep(left).await;
        }
    }
}
