//! Keep index pages in memory, up to a number of bytes.

use crate::index::{Extent, Page, Part};
use lru::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

/// Memory that a page takes once it is decoded, in terms of its sealed bytes.
const DECODED_FACTOR: usize = 2;

/// Pages and lists of parts, those used last.
pub(super) struct PageCache {
    state: Mutex<State>,
    bytes_max: usize,
}

struct State {
    kept: LruCache<Place, (Kept, usize)>,
    bytes: usize,
}

/// Where something lies: a page that claims another height is another page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Page(Extent, u8),
    List(Vec<Extent>),
}

#[derive(Clone)]
enum Kept {
    Page(Arc<Page>),
    List(Arc<Vec<Part>>),
}

impl PageCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::new(State { kept: LruCache::unbounded(), bytes: 0 }), bytes_max }
    }

    pub(super) fn page(&self, extent: Extent, height: u8) -> Option<Arc<Page>> {
        match self.state.lock().kept.get(&Place::Page(extent, height)) {
            Some((Kept::Page(page), _)) => Some(page.clone()),
            _ => None,
        }
    }

    pub(super) fn keep_page(&self, extent: Extent, height: u8, page: Arc<Page>) {
        self.keep(Place::Page(extent, height), Kept::Page(page), extent.length as usize * DECODED_FACTOR);
    }

    pub(super) fn list(&self, pieces: &[Extent]) -> Option<Arc<Vec<Part>>> {
        match self.state.lock().kept.get(&Place::List(pieces.to_vec())) {
            Some((Kept::List(parts), _)) => Some(parts.clone()),
            _ => None,
        }
    }

    pub(super) fn keep_list(&self, pieces: &[Extent], parts: Arc<Vec<Part>>) {
        let bytes: usize = pieces.iter().map(|piece| piece.length as usize).sum();
        self.keep(Place::List(pieces.to_vec()), Kept::List(parts), bytes * DECODED_FACTOR);
    }

    fn keep(&self, place: Place, kept: Kept, bytes: usize) {
        if bytes > self.bytes_max {
            return;
        }
        let mut state = self.state.lock();
        state.bytes += bytes;
        if let Some((_, before)) = state.kept.put(place, (kept, bytes)) {
            state.bytes -= before;
        }
        while state.bytes > self.bytes_max {
            let Some((_, (_, oldest))) = state.kept.pop_lru() else { break };
            state.bytes -= oldest;
        }
    }
}
