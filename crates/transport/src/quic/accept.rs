//! Take QUIC connections in, a stream for every request.

use crate::serve::{Answer, HANDSHAKES_MAX, Server};
use alloy_primitives::B256;
use iroh::endpoint::{Connection, Incoming, RecvStream, SendStream, VarInt};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

/// Code of connections that are closed because there are too many.
const TOO_MANY_CONNECTIONS: u32 = 1;

pub(super) async fn accept(endpoint: iroh::Endpoint, server: Arc<Server>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        match handshakes.clone().try_acquire_owned() {
            Ok(permit) => drop(connections.spawn(connection(server.clone(), incoming, permit))),
            Err(_) => incoming.refuse(),
        }
    }
}

async fn connection(server: Arc<Server>, incoming: Incoming, handshake: OwnedSemaphorePermit) {
    let connection = match timeout(server.config.connect_timeout, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
        Err(_) => return tracing::debug!("handshake took too long"),
    };
    drop(handshake);
    let peer = B256::from(*connection.remote_id().as_bytes());
    match server.connect(peer) {
        Some(_lease) => streams(&server, peer, connection).await,
        None => connection.close(VarInt::from_u32(TOO_MANY_CONNECTIONS), b"too many connections"),
    }
}

async fn streams(server: &Arc<Server>, peer: B256, connection: Connection) {
    let mut requests = JoinSet::new();
    while let Ok((send, receive)) = connection.accept_bi().await {
        while requests.try_join_next().is_some() {}
        let server = server.clone();
        requests.spawn(async move { request(&server, peer, send, receive).await });
    }
}

async fn request(server: &Server, peer: B256, mut send: SendStream, mut receive: RecvStream) {
    let Some(Answer { message, lease, .. }) = server.answer(peer, &mut receive).await else { return };
    let limit = server.config.body_timeout(message.body.len() as u64);
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
