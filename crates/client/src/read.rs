//! Read ranges of segments: from the data members, and from any others when those are slow, gone or lying.

mod gather;
mod pieces;

use crate::{
    chain::{ChainError, OpenVolume},
    config::ReadConfig,
    directory::Directory,
    index::SegmentRef,
    peers::Scoreboard,
};
use bytes::{Bytes, BytesMut};
use cache::Cache;
use erasure::Code;
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, WeakShared},
    stream::FuturesUnordered,
};
use gather::{Gather, Step};
use parking_lot::Mutex;
pub(crate) use pieces::own;
use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};
use tokio::time::Instant;
use transport::{Fetch, FetchError, Transport};
use types::{Profile, SegmentId};

/// Entries of fetches under way beyond which those are forgotten that nobody waits for.
const READINGS_MAX: usize = 4096;

/// Why bytes of a segment could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The chain does not say who holds them.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Too few members sent what verifies.
    #[error(
        "segment {segment}: {found} of {needed} fragments could be had from volume {volume}; the last member said: \
         {reason}"
    )]
    TooFewFragments {
        /// The segment.
        segment: SegmentId,
        /// Its volume.
        volume: u32,
        /// Fragments that verified.
        found: usize,
        /// Fragments that are enough.
        needed: usize,
        /// Why the last one failed.
        reason: String,
    },
    /// The range is not one of the segment.
    #[error("bytes {start} to {end} are no range of segment {segment}")]
    Range {
        /// The segment.
        segment: SegmentId,
        /// First byte asked for.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
}

/// Reads segments. Those that read the same bytes at the same time share one fetch.
pub(crate) struct Fetcher {
    transport: Arc<dyn Transport>,
    directory: Arc<Directory>,
    peers: Arc<Scoreboard>,
    config: ReadConfig,
    cache: Option<Arc<Cache>>,
    under_way: Mutex<HashMap<Span, WeakShared<Reading>>>,
}

/// Bytes of a segment.
type Span = (SegmentId, Range<u64>);

type Reading = BoxFuture<'static, Result<Bytes, ReadError>>;

/// What one member answered.
struct Answer {
    seat: u16,
    range: Range<u64>,
    result: Result<Bytes, FetchError>,
}

impl Fetcher {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        directory: Arc<Directory>,
        peers: Arc<Scoreboard>,
        config: ReadConfig,
        cache: Option<Arc<Cache>>,
    ) -> Arc<Self> {
        Arc::new(Self { transport, directory, peers, config, cache, under_way: Mutex::default() })
    }

    /// Reads a range of a segment; every byte was verified under the segment's identity.
    pub(crate) async fn read(self: &Arc<Self>, segment: SegmentRef, range: Range<u64>) -> Result<Bytes, ReadError> {
        let place = (segment.id, range.clone());
        let reading = {
            let mut under_way = self.under_way.lock();
            match under_way.get(&place).and_then(WeakShared::upgrade) {
                Some(reading) => reading,
                None => {
                    let fetcher = self.clone();
                    let reading = async move { fetcher.read_alone(segment, range).await }.boxed().shared();
                    under_way.extend(reading.downgrade().map(|weak| (place.clone(), weak)));
                    reading
                }
            }
        };
        let result = reading.clone().await;
        drop(reading);
        let mut under_way = self.under_way.lock();
        if under_way.get(&place).is_some_and(|weak| weak.upgrade().is_none()) {
            under_way.remove(&place);
        }
        // Readers that gave up leave entries behind.
        if under_way.len() > READINGS_MAX {
            under_way.retain(|_, weak| weak.upgrade().is_some());
        }
        result
    }

    async fn read_alone(&self, segment: SegmentRef, range: Range<u64>) -> Result<Bytes, ReadError> {
        if range.start >= range.end || range.end > u64::from(segment.length) {
            return Err(ReadError::Range { segment: segment.id, start: range.start, end: range.end });
        }
        let volume = self.directory.volume(segment.volume).await?;
        match self.read_from(&volume, segment, range.clone()).await {
            // Members may have been replaced since we looked.
            Err(error @ ReadError::TooFewFragments { .. }) => match self.directory.doubt(&volume).await? {
                Some(volume) => self.read_from(&volume, segment, range).await,
                None => Err(error),
            },
            result => result,
        }
    }

    async fn read_from(&self, volume: &OpenVolume, segment: SegmentRef, range: Range<u64>) -> Result<Bytes, ReadError> {
        let order = self.order(volume);
        let mut gather = Gather::new(volume.profile, segment.length.into(), range.clone(), order);
        let mut asked = FuturesUnordered::new();
        let mut reason = String::from("nobody could be asked");
        loop {
            match gather.poll() {
                Step::Done => return Ok(assemble(&mut gather, volume.profile, range).await),
                Step::Failed { found, needed } => {
                    let (segment, volume) = (segment.id, volume.id);
                    return Err(ReadError::TooFewFragments { segment, volume, found, needed, reason });
                }
                Step::Ask(asks) => {
                    for (seat, range) in asks {
                        asked.push(self.ask(volume, segment, seat, range));
                    }
                }
                Step::Wait => {
                    let patience = self.patience(volume, gather.waiting_for());
                    match tokio::time::timeout(patience, asked.next()).await {
                        Ok(Some(Answer { seat, range, result: Ok(bytes) })) => gather.arrived(seat, range, bytes),
                        Ok(Some(Answer { seat, result: Err(error), .. })) => {
                            tracing::debug!(seat, volume = volume.id, segment = %segment.id, %error, "a fetch failed");
                            reason = error.to_string();
                            gather.failed(seat);
                        }
                        Ok(None) | Err(_) => gather.hedge(),
                    }
                }
            }
        }
    }

    /// The seats, those to be preferred first.
    fn order(&self, volume: &OpenVolume) -> Vec<(u16, bool)> {
        let now = Instant::now();
        let seats = volume.members.iter().zip(0u16..);
        let mut order: Vec<_> = seats
            .filter_map(|(member, seat)| {
                let peer = member.endpoint.as_ref()?.id();
                Some((self.peers.rank(&peer, now), seat, self.peers.is_resting(&peer, now)))
            })
            .collect();
        order.sort();
        order.into_iter().map(|(_, seat, resting)| (seat, resting)).collect()
    }

    /// How long to wait for the members that were asked before others are asked too.
    fn patience(&self, volume: &OpenVolume, seats: impl Iterator<Item = u16>) -> Duration {
        let usual = seats.filter_map(|seat| {
            let endpoint = volume.members.get(usize::from(seat))?.endpoint.as_ref()?;
            Some(self.peers.usual(&endpoint.id()))
        });
        let slowest = usual.max().unwrap_or_default();
        (slowest * 3).clamp(self.config.hedge_after_min, self.config.hedge_after_max)
    }

    async fn ask(&self, volume: &OpenVolume, segment: SegmentRef, seat: u16, range: Range<u64>) -> Answer {
        let endpoint = volume.members[usize::from(seat)].endpoint.as_ref().expect("only seats with one are asked");
        let started = Instant::now();
        let fetch = Fetch { segment: segment.id, index: seat, range: Some(range.clone()) };
        let fetched = self.transport.fetch(endpoint, fetch, self.config.request_timeout).await;
        let peer = endpoint.id();
        let result = match fetched {
            // Its proof ties the length to the segment: where another is expected, the reference is wrong.
            Ok(fragment) if fragment.length == u64::from(segment.length) => {
                self.peers.answered(peer, started.elapsed());
                Ok(fragment.bytes)
            }
            Ok(_) => Err(FetchError::Lied(transport::Lie::Proof)),
            Err(error) => {
                self.blame(peer, &error);
                Err(error)
            }
        };
        Answer { seat, range, result }
    }

    fn blame(&self, peer: alloy_primitives::B256, error: &FetchError) {
        let now = Instant::now();
        match error {
            FetchError::Lied(_) => self.peers.lied(peer, now),
            FetchError::Transport(error) if error.is_fault() => self.peers.lied(peer, now),
            FetchError::Transport(_) => self.peers.failed(peer, now),
            // A refusal is an answer: a degraded write left this member without the fragment, perhaps.
            FetchError::Refused(_) => {}
        }
    }
}

/// Joins the fragments, computing those that nobody sent.
async fn assemble(gather: &mut Gather, profile: Profile, range: Range<u64>) -> Bytes {
    if let Some(work) = gather.missing_work() {
        let rebuilt = offload::run(move || work.run(&code(profile))).await;
        gather.rebuilt(rebuilt.expect("rebuilding does not panic"));
    }
    let mut pieces = gather.wanted();
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut joined = BytesMut::with_capacity((range.end - range.start) as usize);
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

/// The code of a profile; the matrices are made once.
pub fn code(profile: Profile) -> Code {
    static CODES: std::sync::OnceLock<[Code; 3]> = std::sync::OnceLock::new();
    let make = |profile: Profile| {
        let (data, total) = (usize::from(profile.data()), usize::from(profile.total()));
        Code::new(data, total - data).expect("every profile is a code")
    };
    let codes = CODES.get_or_init(|| [Profile::Devnet, Profile::Standard, Profile::Wide].map(make));
    codes[profile as usize].clone()
}
