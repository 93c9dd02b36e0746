//! Answer requests: take in only what there is room for, and no peer forever.

use super::{
    config::IrohConfig,
    stream::{StreamError, read_body, read_end, read_head},
};
use crate::{
    fragment::{Fragment, GROUP_HASH_BYTES, GroupHashes, group_count, group_hash},
    message::{Fetch, Refusal, RefusalReason, Request, Response, Stage, StageHeader},
    quota::{Lease, Quota},
    transport::{Service, busy},
    wire::{RequestHead, WireError, decode_request, encode_response},
};
use alloy_primitives::B256;
use iroh::endpoint::{Connection, Incoming, RecvStream, SendStream, VarInt};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// Handshakes that may be under way.
const HANDSHAKES_MAX: usize = 128;
/// When to come back if there is no room for a body.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Code of connections that are closed because there are too many.
const TOO_MANY_CONNECTIONS: u32 = 1;

/// Answers requests until it is dropped.
#[derive(Debug)]
pub struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Server {
    service: Arc<dyn Service>,
    config: Arc<IrohConfig>,
    quota: Quota,
}

pub(super) fn serve(endpoint: iroh::Endpoint, service: Arc<dyn Service>, config: Arc<IrohConfig>) -> Serving {
    let quota = Quota::new(config.quota_limits());
    Serving(tokio::spawn(accept(endpoint, Arc::new(Server { service, config, quota }))))
}

/// Dropping the set of tasks ends them: nothing outlives the handle.
async fn accept(endpoint: iroh::Endpoint, server: Arc<Server>) {
    let handshakes = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES_MAX));
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        match handshakes.clone().try_acquire_owned() {
            Ok(permit) => {
                let server = server.clone();
                connections.spawn(async move { server.connection(incoming, permit).await });
            }
            Err(_) => incoming.refuse(),
        }
    }
}

impl Server {
    async fn connection(self: Arc<Self>, incoming: Incoming, handshake: tokio::sync::OwnedSemaphorePermit) {
        let connection = match timeout(self.config.connect_timeout, incoming).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
            Err(_) => return tracing::debug!("handshake took too long"),
        };
        drop(handshake);
        let peer = B256::from(*connection.remote_id().as_bytes());
        match self.quota.connect(peer) {
            Some(_lease) => self.streams(peer, connection).await,
            None => connection.close(VarInt::from_u32(TOO_MANY_CONNECTIONS), b"too many connections"),
        }
    }

    async fn streams(self: &Arc<Self>, peer: B256, connection: Connection) {
        let mut requests = JoinSet::new();
        while let Ok((send, receive)) = connection.accept_bi().await {
            while requests.try_join_next().is_some() {}
            let server = self.clone();
            requests.spawn(async move { server.request(peer, send, receive).await });
        }
    }

    async fn request(&self, peer: B256, mut send: SendStream, mut receive: RecvStream) {
        let Some((response, lease)) = self.answer(peer, &mut receive).await else { return };
        let message = encode_response(&response).or_else(|WireError(why)| {
            tracing::error!(why, "our answer breaks the format");
            encode_response(&Refusal::new(RefusalReason::Unavailable, "no valid answer").into())
        });
        let message = message.expect("a refusal is within the limits");
        let limit = self.config.body_timeout(message.body.len() as u64);
        let mut parts = [message.head, message.body];
        let sent = timeout(limit, async {
            send.write_all_chunks(&mut parts).await.map_err(|error| error.to_string())?;
            send.finish().map_err(|error| error.to_string())?;
            // Wait until it has arrived: the bytes count as in flight until then.
            send.stopped().await.map_err(|error| error.to_string())
        });
        match sent.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%peer, error, "the answer was not taken"),
            Err(_) => {
                tracing::debug!(%peer, "cut off: takes the answer too slowly");
                drop(send.reset(VarInt::from_u32(0)));
            }
        }
        drop(lease);
    }

    /// The answer, with the room it takes; nothing if the request never came.
    async fn answer(&self, peer: B256, receive: &mut RecvStream) -> Option<(Response, Option<Lease>)> {
        let head = match timeout(self.config.header_timeout, read_head(receive)).await {
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
        Some(answered.unwrap_or_else(|refusal| (refusal.into(), None)))
    }

    async fn complete(
        &self,
        peer: B256,
        receive: &mut RecvStream,
        request: Request,
    ) -> Result<(Response, Option<Lease>), Refusal> {
        if !matches!(timeout(self.config.header_timeout, read_end(receive)).await, Ok(Ok(()))) {
            return Err(Refusal::new(RefusalReason::Malformed, "the request does not end"));
        }
        let lease = match &request {
            Request::Fetch(fetch) => Some(self.room(peer, self.fetch_bytes_max(fetch))?),
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
        receive: &mut RecvStream,
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

async fn read_fragment(receive: &mut RecvStream, bytes: u64) -> Result<Fragment, StreamError> {
    let mut hashes = Vec::with_capacity(group_count(bytes) as usize * GROUP_HASH_BYTES);
    let body = read_body(receive, bytes, |position, group| {
        hashes.extend(group_hash(position / crate::fragment::GROUP_BYTES, group));
        Ok(())
    });
    let body = body.await?;
    let groups = GroupHashes::from_bytes(hashes.into()).expect("whole hashes were added");
    Ok(Fragment::hashed(body, groups))
}
