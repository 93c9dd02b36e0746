//! Answer requests: take in only what there is room for, and no peer forever.

use crate::{
    config::PeerConfig,
    fragment::{Fragment, GROUP_HASH_BYTES, GroupHashes, group_count, group_hash},
    message::{Fetch, Refusal, RefusalReason, Request, Response, Stage, StageHeader},
    quota::{Lease, Quota},
    stream::{Receive, StreamError, read_body},
    transport::{Service, busy},
    wire::{Message, RequestHead, WireError, decode_request, encode_response},
};
use alloy_primitives::B256;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// Handshakes that may be under way, on each kind of connection.
pub(crate) const HANDSHAKES_MAX: usize = 128;
/// When to come back if there is no room for a body.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Answers requests until it is dropped.
#[derive(Debug)]
pub struct Serving {
    /// Dropping the set ends its tasks: nothing outlives the handle.
    _tasks: JoinSet<()>,
}

impl Serving {
    pub(crate) fn new(tasks: JoinSet<()>) -> Self {
        Self { _tasks: tasks }
    }
}

/// What all connections share, of whatever kind.
pub(crate) struct Server {
    service: Arc<dyn Service>,
    pub(crate) config: Arc<PeerConfig>,
    quota: Quota,
}

/// An answer ready to be sent.
pub(crate) struct Answer {
    pub(crate) message: Message,
    /// Whether the request was read to its end: another may follow on the same stream.
    pub(crate) request_read: bool,
    /// The bytes count as in flight until this is dropped.
    pub(crate) lease: Option<Lease>,
}

impl Server {
    pub(crate) fn new(service: Arc<dyn Service>, config: Arc<PeerConfig>) -> Self {
        let quota = Quota::new(config.quota_limits());
        Self { service, config, quota }
    }

    /// Counts a connection until the lease is dropped; nothing if there are too many.
    pub(crate) fn connect(&self, peer: B256) -> Option<Lease> {
        self.quota.connect(peer)
    }

    /// The answer to the next request; nothing if it never came.
    pub(crate) async fn answer(&self, peer: B256, receive: &mut impl Receive) -> Option<Answer> {
        let head = match timeout(self.config.header_timeout, receive.head()).await {
            Ok(Ok((kind, header))) => decode_request(kind, &header).map_err(|WireError(why)| why),
            Ok(Err(StreamError::Malformed(why))) => Err(why),
            Ok(Err(_)) => return None,
            Err(_) => {
                tracing::debug!(%peer, "cut off: sends its request too slowly");
                return None;
            }
        };
        let answered = match head {
            Err(why) => Err(Refusal::new(RefusalReason::Malformed, why)),
            Ok(RequestHead::Stage(header)) => self.stage(peer, receive, header).await,
            Ok(RequestHead::Complete(request)) => self.complete(peer, receive, request).await,
        };
        let request_read = answered.is_ok();
        let (response, lease) = answered.unwrap_or_else(|refusal| (refusal.into(), None));
        Some(Answer { message: message(&response), request_read, lease })
    }

    async fn complete(
        &self,
        peer: B256,
        receive: &mut impl Receive,
        request: Request,
    ) -> Result<(Response, Option<Lease>), Refusal> {
        if !matches!(timeout(self.config.header_timeout, receive.end()).await, Ok(Ok(()))) {
            return Err(Refusal::new(RefusalReason::Malformed, "the request does not end"));
        }
        let lease = match &request {
            Request::Fetch(fetch) => Some(self.room(peer, self.fetch_bytes_max(fetch))?),
            Request::Rebuild(_) => Some(self.room(peer, self.config.fragment_bytes_max())?),
            _ => None,
        };
        Ok((self.handle(peer, request).await, lease))
    }

    /// Most bytes that answering may take: two groups more than asked for.
    fn fetch_bytes_max(&self, fetch: &Fetch) -> u64 {
        let whole = self.config.fragment_bytes_max();
        fetch.range.as_ref().map_or(whole, |range| {
            let groups = (range.end - range.start).div_ceil(crate::fragment::GROUP_BYTES).saturating_add(1);
            groups.saturating_mul(crate::fragment::GROUP_BYTES).min(whole)
        })
    }

    async fn stage(
        &self,
        peer: B256,
        receive: &mut impl Receive,
        header: StageHeader,
    ) -> Result<(Response, Option<Lease>), Refusal> {
        let bytes = header.fragment_bytes();
        if bytes > self.config.fragment_bytes_max() {
            return Err(Refusal::new(RefusalReason::TooLarge, "the fragment is longer than a slot"));
        }
        let admitted = timeout(self.config.handle_timeout, self.service.admit(peer, &header)).await;
        admitted.unwrap_or_else(|_| Err(busy(RETRY_AFTER, "took too long")))?;
        let lease = self.room(peer, bytes)?;
        let fragment = timeout(self.config.body_timeout(bytes), read_fragment(receive, bytes)).await;
        let fragment = match fragment {
            Ok(Ok(fragment)) => fragment,
            Ok(Err(StreamError::Malformed(why))) => return Err(Refusal::new(RefusalReason::Malformed, why)),
            Ok(Err(_)) => return Err(Refusal::new(RefusalReason::Malformed, "the fragment did not arrive")),
            Err(_) => return Err(busy(RETRY_AFTER, "the fragment comes too slowly")),
        };
        Ok((self.handle(peer, Request::Stage(Stage { header, fragment })).await, Some(lease)))
    }

    fn room(&self, peer: B256, bytes: u64) -> Result<Lease, Refusal> {
        self.quota.reserve(peer, bytes).ok_or_else(|| busy(RETRY_AFTER, "too much in flight"))
    }

    async fn handle(&self, peer: B256, request: Request) -> Response {
        let handled = timeout(self.config.handle_timeout, self.service.handle(peer, request)).await;
        handled.unwrap_or_else(|_| busy(RETRY_AFTER, "took too long").into())
    }
}

fn message(response: &Response) -> Message {
    let message = encode_response(response).or_else(|WireError(why)| {
        tracing::error!(why, "our answer breaks the format");
        encode_response(&Refusal::new(RefusalReason::Unavailable, "no valid answer").into())
    });
    message.expect("a refusal is within the limits")
}

async fn read_fragment(receive: &mut impl Receive, bytes: u64) -> Result<Fragment, StreamError> {
    let mut hashes = Vec::with_capacity(group_count(bytes) as usize * GROUP_HASH_BYTES);
    let body = read_body(receive, bytes, |position: u64, group: &[u8]| {
        hashes.extend(group_hash(position / crate::fragment::GROUP_BYTES, group));
        Ok(())
    });
    let body = body.await?;
    let groups = GroupHashes::from_bytes(hashes.into()).expect("whole hashes were added");
    Ok(Fragment::hashed(body, groups))
}
