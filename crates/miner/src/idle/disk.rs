//! Reach the files of idle units through the few operations whose order matters in a crash.

mod file;
mod memory;

pub use file::FileUnits;
pub use memory::MemoryUnits;

use crate::idle::UnitPlace;
use std::{fmt::Debug, io};

/// Files of idle units, each replaced as a whole. Every call may block.
pub trait UnitFiles: Debug + Send + Sync + 'static {
    /// Writes the parts one after the other as a file under a temporary name, and syncs its content. What a failure leaves
    /// is removed by the next write of the unit, or by [`remove_unfinished`](Self::remove_unfinished).
    fn write(&self, place: UnitPlace, parts: &[&[u8]]) -> io::Result<()>;

    /// Gives what was written its name, in place of the file that had it; done when that survives a crash.
    fn publish(&self, place: UnitPlace) -> io::Result<()>;

    /// Reads a part of a file.
    fn read(&self, place: UnitPlace, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Cuts a file to a length, unless it is shorter. It may be as long as before after a crash.
    fn truncate(&self, place: UnitPlace, bytes: u64) -> io::Result<()>;

    /// Removes a file if it is there. It may be back after a crash.
    fn remove(&self, place: UnitPlace) -> io::Result<()>;

    /// All files with a name, and their lengths.
    fn list(&self) -> io::Result<Vec<(UnitPlace, u64)>>;

    /// Removes files with a temporary name; returns how many.
    fn remove_unfinished(&self) -> io::Result<u64>;
}
