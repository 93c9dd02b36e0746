//! Hold every transport to the same promises.

use crate::{
    fragment::covering_groups,
    message::{
        Acknowledge, Disown, Fetch, FragmentReply, LeavesQuery, MinerStatus, Rebuild, Refusal, RefusalReason, Request,
        Response, Stage, StageHeader, StatusQuery,
        sample::{fragment, leaf, sign, stage, status},
    },
    transport::{FetchError, RequestError, Service, Transport, TransportError},
    verify::Lie,
};
use alloy_primitives::B256;
use async_trait::async_trait;
use bytes::BytesMut;
use parking_lot::Mutex;
use std::{collections::HashMap, ops::Range, time::Duration};
use types::{Endpoint, SegmentId};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What a shelf does wrong.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mischief {
    #[default]
    None,
    FlipBit,
    WrongKind,
    TooMuch,
}

/// Keeps what is staged, and answers everything else with samples.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) fragments: Mutex<HashMap<SegmentId, Stage>>,
    pub(crate) callers: Mutex<Vec<B256>>,
    pub(crate) closed_volume: Option<u32>,
    pub(crate) mischief: Mischief,
}

impl Shelf {
    fn fetch(&self, fetch: &Fetch) -> Result<FragmentReply, Refusal> {
        let fragments = self.fragments.lock();
        let unknown = || Refusal::new(RefusalReason::Unknown, "no such fragment");
        let Stage { header, fragment } = fragments.get(&fetch.segment).ok_or_else(unknown)?;
        let all = 0..fragment.bytes().len() as u64;
        let mut groups = covering_groups(&fetch.range.clone().unwrap_or(all.clone()), all.end);
        if self.mischief == Mischief::TooMuch {
            groups = all;
        }
        let mut bytes = fragment.bytes().slice(groups.start as usize..groups.end as usize);
        if self.mischief == Mischief::FlipBit {
            let mut copy = BytesMut::from(&bytes[..]);
            copy[20_000] ^= 128;
            bytes = copy.freeze();
        }
        Ok(FragmentReply {
            profile: header.profile,
            length: header.length,
            proof: header.proof.clone(),
            groups: fragment.groups().clone(),
            offset: groups.start,
            bytes,
        })
    }
}

#[async_trait]
impl Service for Shelf {
    async fn admit(&self, _: B256, header: &StageHeader) -> Result<(), Refusal> {
        match self.closed_volume {
            Some(volume) if volume == header.volume => Err(Refusal::new(RefusalReason::VolumeClosed, "closed")),
            _ => Ok(()),
        }
    }

    async fn handle(&self, from: B256, request: Request) -> Response {
        self.callers.lock().push(from);
        let wanted = request.wanted();
        match request {
            _ if self.mischief == Mischief::WrongKind => Response::Signature([0; 96]),
            Request::Stage(stage) => {
                self.fragments.lock().insert(stage.header.segment, stage);
                Response::Staged
            }
            Request::Sign(sign) => Response::Signature([sign.segments.len() as u8; 96]),
            Request::Fetch(fetch) => self.fetch(&fetch).map_or_else(Response::from, Response::Fragment),
            Request::Status(StatusQuery { from_volume }) => {
                Response::Status(MinerStatus { miner: from_volume, ..status() })
            }
            Request::Leaves(query) => Response::Leaves((0..query.limit.into()).map(leaf).collect()),
            Request::Disown(disown) => Response::Signature([disown.index as u8; 96]),
            Request::Rebuild(_) => {
                let wanted = wanted.expect("a fragment");
                self.fetch(&wanted).map_or_else(Response::from, Response::Fragment)
            }
            Request::Acknowledge(_) => Response::Acknowledged,
        }
    }
}

pub(crate) async fn put(transport: &dyn Transport, to: &Endpoint, length: u64) -> Result<SegmentId, RequestError> {
    let stage = stage(length);
    let segment = stage.header.segment;
    transport.stage(to, stage.header, stage.fragment, SOON).await.map(|()| segment)
}

/// Asks for the fragment that samples are of.
pub(crate) fn third(segment: SegmentId, range: Option<Range<u64>>) -> Fetch {
    Fetch { segment, index: 3, range }
}

/// Every request gets its answer, and fragments come back as they went, whole and in part.
pub(crate) async fn answers_everything(transport: &dyn Transport, to: &Endpoint) {
    for length in [1, 300_000, 8 << 20] {
        let segment = put(transport, to, length).await.unwrap();
        let (_, proof, expected) = fragment(length, 3);
        let whole = transport.fetch(to, third(segment, None), SOON).await.unwrap();
        assert_eq!((&whole.bytes, &whole.proof, whole.length), (expected.bytes(), &proof, length));
        assert_eq!(whole.groups, *expected.groups());
        for range in [0..1, 16_383..16_385, 40_000..65_536] {
            let part = transport.fetch(to, third(segment, Some(range.clone())), SOON).await.unwrap();
            assert_eq!(part.bytes, expected.bytes().slice(range.start as usize..range.end as usize));
        }
    }
    assert_eq!(transport.sign(to, sign(64), SOON).await, Ok([64; 96]));
    assert_eq!(transport.status(to, StatusQuery { from_volume: 3 }, SOON).await.unwrap().miner, 3);
    let leaves = transport.leaves(to, LeavesQuery { volume: 1, from: 0, limit: 1024 }, SOON).await.unwrap();
    assert_eq!(leaves.len(), 1024);
    let disown = Disown { volume: 1, index: 2, rebuilt: B256::ZERO };
    assert_eq!(transport.disown(to, disown, SOON).await, Ok([2; 96]));
    let segment = put(transport, to, 300_000).await.unwrap();
    let rebuild = Rebuild { volume: 1, index: 2, segment, seat: 3 };
    assert_eq!(transport.rebuild(to, rebuild, SOON).await.unwrap().bytes, fragment(300_000, 3).2.bytes());
    let acknowledge = Acknowledge { volume: 1, seat: 2, bytes: 3, signature: [4; 96] };
    assert_eq!(transport.acknowledge(to, acknowledge, SOON).await, Ok(()));
}

/// Refusals arrive typed, also before the body was taken.
pub(crate) async fn refuses_in_words(transport: &dyn Transport, to: &Endpoint) {
    let refused = transport.fetch(to, third(B256::ZERO, None), SOON).await;
    assert!(matches!(refused, Err(FetchError::Refused(Refusal { reason: RefusalReason::Unknown, .. }))), "{refused:?}");
    let refused = put(transport, to, 8 << 20).await;
    let closed = |refusal: &Refusal| refusal.reason == RefusalReason::VolumeClosed;
    assert!(matches!(&refused, Err(RequestError::Refused(refusal)) if closed(refusal)), "{refused:?}");
}

/// A shelf that flips a bit is caught; its bytes reach nobody.
pub(crate) async fn catches_flipped_bits(transport: &dyn Transport, to: &Endpoint) {
    let segment = put(transport, to, 300_000).await.unwrap();
    let caught = transport.fetch(to, third(segment, None), SOON).await;
    assert_eq!(caught, Err(FetchError::Lied(Lie::Group { index: 1 })));
    let rebuild = Rebuild { volume: 1, index: 2, segment, seat: 3 };
    let caught = transport.rebuild(to, rebuild, SOON).await;
    assert_eq!(caught, Err(FetchError::Lied(Lie::Group { index: 1 })), "what was rebuilt is no better");
}

/// A shelf that sends more than was asked for is caught.
pub(crate) async fn catches_too_much(transport: &dyn Transport, to: &Endpoint) {
    let segment = put(transport, to, 300_000).await.unwrap();
    let caught = transport.fetch(to, third(segment, Some(0..1)), SOON).await;
    assert_eq!(caught, Err(FetchError::Lied(Lie::Range)));
}

/// An answer to another question is the peer's fault.
pub(crate) async fn catches_the_wrong_kind(transport: &dyn Transport, to: &Endpoint) {
    let caught = put(transport, to, 1).await;
    assert_eq!(caught, Err(RequestError::Transport(TransportError::UnexpectedResponse)));
    assert!(TransportError::UnexpectedResponse.is_fault());
}
