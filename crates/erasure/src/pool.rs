//! Keep the memory of parity fragments and decoded segments for the next segment.
//!
//! Fresh memory costs a page fault per 4 KiB, which takes as long as encoding and hashing together: results are
//! therefore written into the memory of those that were dropped. What it holds is ciphertext and parity of it.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes a pool keeps while nobody uses them: the parity of one `standard` segment, or two such segments.
const IDLE_BYTES_MAX: usize = 64 << 20;

/// Buffers that were used and dropped.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that returns to its pool when dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// A buffer of `length` bytes with any content.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().rposition(|bytes| bytes.len() == length);
        let bytes = found.map(|at| idle.swap_remove(at)).unwrap_or_else(|| vec![0; length]);
        Buffer { bytes, pool: self.clone() }
    }

    /// Keep a buffer if there is room for it, at the cost of buffers of other lengths.
    fn give(&self, bytes: Vec<u8>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = idle.iter().map(Vec::len).sum();
        if held + bytes.len() > IDLE_BYTES_MAX {
            idle.retain(|other| other.len() == bytes.len());
        }
        if idle.iter().map(Vec::len).sum::<usize>() + bytes.len() <= IDLE_BYTES_MAX {
            idle.push(bytes);
        }
    }

    #[cfg(test)]
    fn idle_lengths(&self) -> Vec<usize> {
        self.0.lock().expect("no test panics with it").iter().map(Vec::len).collect()
    }
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Share the buffer; it returns to its pool when the last share is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests;
