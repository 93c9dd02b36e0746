//! Take TCP connections in, and answer one request after the other on each.

use super::{Stream, frame::Frames, identity};
use crate::serve::{Answer, HANDSHAKES_MAX, Server};
use alloy_primitives::B256;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsStream, rustls::ServerConfig};

/// How long to wait after the system took no connection in, for want of file handles say.
const PAUSE: Duration = Duration::from_millis(50);
/// How long, and how much, to listen on after a refusal, so that it is read before the connection is reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 << 20;

pub(super) async fn accept(listener: Arc<TcpListener>, tls: Arc<ServerConfig>, server: Arc<Server>) {
    let acceptor = TlsAcceptor::from(tls);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Ok(permit) = handshakes.clone().try_acquire_owned() {
                    connections.spawn(connection(server.clone(), acceptor.clone(), stream, permit));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(server: Arc<Server>, acceptor: TlsAcceptor, stream: TcpStream, handshake: OwnedSemaphorePermit) {
    let accepted = timeout(server.config.connect_timeout, async {
        stream.set_nodelay(true)?;
        acceptor.accept(stream).await
    });
    let stream = match accepted.await {
        Ok(Ok(stream)) => TlsStream::from(stream),
        Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
        Err(_) => return tracing::debug!("handshake took too long"),
    };
    drop(handshake);
    let Some(peer) = identity::peer(&stream) else { return };
    let Some(_lease) = server.connect(peer) else { return tracing::debug!(%peer, "too many connections") };
    if let Err(error) = requests(&server, peer, Frames::new(stream)).await {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

async fn requests(server: &Server, peer: B256, mut frames: Frames<Stream>) -> io::Result<()> {
    // Nothing to say for a while is the end of a connection, and no failure.
    while let Ok(true) = timeout(server.config.idle_timeout, frames.wait()).await.unwrap_or(Ok(false)) {
        let Some(Answer { message, request_read, lease }) = server.answer(peer, &mut frames).await else { break };
        let limit = server.config.body_timeout(message.body.len() as u64);
        let sent = timeout(limit, async {
            frames.stream.write_all(&message.head).await?;
            frames.stream.write_all(&message.body).await?;
            frames.stream.flush().await
        });
        sent.await.unwrap_or_else(|_| Err(io::Error::other("cut off: takes the answer too slowly")))?;
        drop(lease);
        if !request_read {
            return refuse_the_rest(frames.stream).await;
        }
    }
    timeout(LINGER, frames.stream.shutdown()).await.unwrap_or(Ok(()))
}

/// Ends a connection on which a body is still coming.
async fn refuse_the_rest(mut stream: Stream) -> io::Result<()> {
    let rest = async {
        stream.shutdown().await?;
        let mut buffer = [0; 16 << 10];
        let mut taken = 0;
        while taken < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => taken += count,
            }
        }
        Ok(())
    };
    timeout(LINGER, rest).await.unwrap_or(Ok(()))
}
