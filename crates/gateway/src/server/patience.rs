//! Cut off clients that neither send nor take anything.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Frame, Incoming};
use s3s::Body;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// What is known about the progress of a connection.
#[derive(Clone)]
pub struct Patience(Arc<Progress>);

struct Progress {
    began: Instant,
    idle_timeout: Duration,
    /// Answers that a client is taking.
    answers: AtomicUsize,
    /// When one of them last went on, milliseconds since the beginning.
    last_ms: AtomicU64,
}

impl Patience {
    /// For a new connection.
    pub fn new(idle_timeout: Duration) -> Self {
        let progress =
            Progress { began: Instant::now(), idle_timeout, answers: AtomicUsize::new(0), last_ms: AtomicU64::new(0) };
        Self(Arc::new(progress))
    }

    /// Ends when the client has taken nothing of an answer for too long.
    pub async fn lost(&self) {
        loop {
            let idle =
                self.0.began.elapsed().saturating_sub(Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed)));
            let is_taking = self.0.answers.load(Ordering::Relaxed) > 0;
            if is_taking && idle >= self.0.idle_timeout {
                return;
            }
            let rest = if is_taking { self.0.idle_timeout.saturating_sub(idle) } else { self.0.idle_timeout };
            sleep(rest.max(Duration::from_millis(10))).await;
        }
    }

    /// A request's body, each piece of which has to come in time.
    pub fn incoming(&self, body: Incoming, received: impl Fn(u64) + Send + 'static) -> Body {
        if hyper::body::Body::is_end_stream(&body) {
            return Body::empty();
        }
        let idle_timeout = self.0.idle_timeout;
        let exact = hyper::body::Body::size_hint(&body).exact();
        let pieces = futures::stream::unfold(Some((body, received)), move |state| async move {
            let (mut body, received) = state?;
            match timeout(idle_timeout, body.frame()).await {
                Ok(None) => None,
                Ok(Some(Ok(frame))) => {
                    received(frame.data_ref().map_or(0, |data| data.len() as u64));
                    Some((Ok(frame), Some((body, received))))
                }
                Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
                Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
            }
        });
        Body::http_body_unsync(Sized { pieces: StreamBody::new(Box::pin(pieces)), exact })
    }

    /// An answer's body, watched for whether the client takes it.
    pub fn outgoing(&self, body: Body, sent: impl Fn(u64) + Send + 'static) -> Body {
        if hyper::body::Body::is_end_stream(&body) {
            return body;
        }
        let exact = hyper::body::Body::size_hint(&body).exact();
        let taking = Taking::new(self.clone());
        let pieces = BodyStream::new(body).map(move |frame| {
            taking.0.note();
            if let Ok(frame) = &frame {
                sent(frame.data_ref().map_or(0, |data: &Bytes| data.len() as u64));
            }
            frame
        });
        Body::http_body_unsync(Sized { pieces: StreamBody::new(Box::pin(pieces)), exact })
    }

    fn note(&self) {
        let now_ms = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// An answer that a client is taking, until it is dropped.
struct Taking(Patience);

impl Taking {
    fn new(patience: Patience) -> Self {
        patience.note();
        patience.0.answers.fetch_add(1, Ordering::Relaxed);
        Self(patience)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that still says how long it is.
struct Sized<B> {
    pieces: B,
    exact: Option<u64>,
}

impl<S, E> hyper::body::Body for Sized<StreamBody<S>>
where
    S: Stream<Item = Result<Frame<Bytes>, E>> + Unpin,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, E>>> {
        std::pin::Pin::new(&mut self.pieces).poll_frame(context)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.exact.map(hyper::body::SizeHint::with_exact).unwrap_or_default()
    }
}
