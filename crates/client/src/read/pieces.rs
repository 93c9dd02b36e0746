//! Read pieces of a segment that lie together: from the cache what it has, from members the rest.

use super::{Fetcher, ReadError};
use crate::index::SegmentRef;
use bytes::{Bytes, BytesMut};
use cache::Place;
use futures::future::join_all;
use std::{ops::Range, sync::Arc};

/// Bytes of pieces, one after the other.
pub(crate) struct Pieces {
    pub(crate) bytes: BytesMut,
    /// Whether any were from the cache.
    pub(crate) were_kept: bool,
}

impl Fetcher {
    /// Reads pieces that lie together in a segment. What is between the first and the last that the cache does not have
    /// is fetched at once, and kept.
    pub(crate) async fn read_pieces(
        self: &Arc<Self>,
        segment: SegmentRef,
        pieces: &[Range<u64>],
    ) -> Result<Pieces, ReadError> {
        let range = pieces.first().map_or(0, |first| first.start)..pieces.last().map_or(0, |last| last.end);
        let Some(cache) = &self.cache else {
            return Ok(Pieces { bytes: own(self.read(segment, range).await?), were_kept: false });
        };
        let place = |piece: &Range<u64>| Place { segment: segment.id, start: piece.start as u32 };
        let find = |piece: &Range<u64>| {
            let (place, length) = (place(piece), (piece.end - piece.start) as usize);
            async move { cache.get(&place, length).await }
        };
        let kept: Vec<Option<Bytes>> = join_all(pieces.iter().map(find)).await;
        let first = kept.iter().position(Option::is_none).unwrap_or(kept.len());
        let last = kept.iter().rposition(Option::is_none).map_or(first, |last| last + 1);
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        kept[..first].iter().flatten().for_each(|piece| bytes.extend_from_slice(piece));
        if let [start, .., end] | [start @ end] = &pieces[first..last] {
            let fetched = self.read(segment, start.start..end.end).await?;
            for piece in &pieces[first..last] {
                let bytes = &fetched[(piece.start - start.start) as usize..(piece.end - start.start) as usize];
                cache.insert(place(piece), bytes);
            }
            bytes.extend_from_slice(&fetched);
        }
        kept[last..].iter().flatten().for_each(|piece| bytes.extend_from_slice(piece));
        Ok(Pieces { bytes, were_kept: first > 0 || last < pieces.len() })
    }

    /// Forgets pieces that the cache has and that are not what they should be.
    pub(crate) fn forget_pieces(&self, segment: SegmentRef, pieces: &[Range<u64>]) {
        let Some(cache) = &self.cache else { return };
        tracing::warn!(segment = %segment.id, "what the cache has of a segment is damaged");
        for piece in pieces {
            cache.remove(&Place { segment: segment.id, start: piece.start as u32 });
        }
    }
}

/// Bytes to write on; copied only if somebody else has them too.
pub(crate) fn own(bytes: Bytes) -> BytesMut {
    bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared))
}
