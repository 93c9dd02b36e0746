//! Tell how far plotting is, how fast it goes, and what is in its way.

use crate::idle::UnitPlace;
use std::time::Duration;

/// How far a miner's idle space is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlotStatus {
    /// Units of all lots.
    pub units_total: u64,
    /// Units that need no plotting.
    pub units_done: u64,
    /// The lot in hand, or the next one.
    pub lot: Option<u32>,
    /// Bytes of idle content on disk, and of the units in hand.
    pub idle_bytes: u64,
    /// Content plotted per second, disk included, since plotting last began; zero while nothing is plotted.
    pub bytes_per_second: u64,
    /// Time until all is plotted, at that rate.
    pub left: Option<Duration>,
    /// What plotting waits for, or has met.
    pub trouble: Option<Trouble>,
    /// Everything is plotted, and the plotting threads wait for more.
    pub is_at_rest: bool,
}

/// What is in the way of plotting. All but the last two pass by themselves: it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The space that the operator gave, or the disk, is used up.
    #[error(
        "no space for idle units: {free_bytes} bytes are free of {needed_bytes}; make room on the disk or give the miner \
         more space"
    )]
    Full {
        /// What a unit needs, and what is left to fragments.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// The disk refused to write.
    #[error("idle units cannot be written: {0}; make room on the disk or look whether it fails")]
    Disk(String),
    /// There is not enough memory for the units in hand.
    #[error("idle units cannot be plotted: {0}; three units have to fit in memory")]
    Memory(String),
    /// A unit was plotted again and is another one: this machine computes wrongly, now or the first time.
    #[error("unit {} of lot {} has another root than when it was plotted first: test this machine's memory", .0.unit, .0.lot)]
    Unequal(UnitPlace),
    /// The store has stopped, and plotting with it.
    #[error("plotting has stopped: {0}")]
    Stopped(String),
}

/// Measures a rate since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    began: Duration,
    bytes: u64,
}

impl Meter {
    pub(crate) fn new(now: Duration) -> Self {
        Self { began: now, bytes: 0 }
    }

    /// So much is done; returns bytes per second.
    pub(crate) fn add(&mut self, now: Duration, bytes: u64) -> u64 {
        self.bytes = self.bytes.saturating_add(bytes);
        let micros = now.saturating_sub(self.began).as_micros().max(1);
        u64::try_from(u128::from(self.bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_all_work_so_far() {
        let second = Duration::from_secs;
        let mut meter = Meter::new(second(10));
        assert_eq!((meter.add(second(12), 100), meter.add(second(14), 100)), (50, 50));
        assert_eq!(meter.add(second(9), u64::MAX), u64::MAX);
    }
}
