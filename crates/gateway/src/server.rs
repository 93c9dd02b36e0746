//! Serve HTTP: so many connections, so much time for each step, an orderly end.

mod patience;
mod refusal;

use crate::{
    metrics::{Metrics, Outcome},
    rules::cors::{Answer, Question},
    service::Service,
    storage::Storage,
};
use bytes::Bytes;
use futures::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use patience::Patience;
use s3s::{
    Body, HttpError,
    config::{S3Config, StaticConfigProvider},
    service::{S3Service, S3ServiceBuilder},
};
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// Most bytes of a document in a request.
const XML_BYTES_MAX: usize = 2 << 20;
/// Most bytes of a file in a form.
const FORM_FILE_BYTES_MAX: u64 = 64 << 20;
/// Pause after the system had no more files or sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server is told.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Most connections at once; more wait.
    pub connections_max: usize,
    /// Most bytes of the headers of a request.
    pub header_bytes_max: usize,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long a client may neither send nor take anything.
    pub idle_timeout: Duration,
    /// How long requests may go on after the end was asked for.
    pub shutdown_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_bytes_max: 64 << 10,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no access key.
    #[error(
        "there is no access key, and without one nobody could use the gateway: make one with `cess gateway key create`"
    )]
    NoKeys,
    /// The address is taken.
    #[error("{address} cannot be listened on: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
}

/// A server that listens.
pub struct Server<S> {
    listener: TcpListener,
    handler: Arc<Handler<S>>,
    config: ServerLimits,
    tls: Option<TlsAcceptor>,
}

struct Handler<S> {
    service: Service<S>,
    s3: S3Service,
    metrics: Arc<Metrics>,
}

impl<S: Storage> Server<S> {
    /// Listens; refuses to where nobody could authenticate.
    pub async fn bind(
        address: SocketAddr,
        service: Service<S>,
        metrics: Arc<Metrics>,
        config: ServerLimits,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, StartError> {
        if service.keyring().is_empty() {
            return Err(StartError::NoKeys);
        }
        let failed = |error: io::Error| StartError::Listen { address, reason: error.to_string() };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let mut builder = S3ServiceBuilder::new(service.clone());
        builder.set_auth(service.clone());
        builder.set_access(service.clone());
        let mut limits = S3Config::default();
        limits.xml_max_body_size = XML_BYTES_MAX;
        limits.post_object_max_file_size = FORM_FILE_BYTES_MAX;
        limits.form_max_fields_size = XML_BYTES_MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
        let handler = Arc::new(Handler { service, s3: builder.build(), metrics });
        Ok(Self { listener, handler, config, tls: tls.map(TlsAcceptor::from) })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end`; then lets requests finish for a while.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.config.connections_max));
        tokio::pin!(end);
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await.expect("nobody closes it");
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut end => break,
                accepted = accepted => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = self.connect(stream, peer, &graceful);
            tokio::spawn(connection.map(move |()| drop(place)));
        }
        drop(self.listener);
        if timeout(self.config.shutdown_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were cut off");
        }
    }

    fn connect(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + use<S> {
        let (handler, config, tls, watcher) =
            (self.handler.clone(), self.config.clone(), self.tls.clone(), graceful.watcher());
        async move {
            // Small answers must not wait for the next.
            let _ = stream.set_nodelay(true);
            let patience = Patience::new(config.idle_timeout);
            let served = async {
                match tls {
                    None => serve(TokioIo::new(stream), peer, handler, &config, &patience, watcher).await,
                    Some(tls) => match timeout(config.header_timeout, tls.accept(stream)).await {
                        Ok(Ok(stream)) => serve(TokioIo::new(stream), peer, handler, &config, &patience, watcher).await,
                        _ => tracing::debug!(%peer, "no TLS connection"),
                    },
                }
            };
            tokio::select! {
                () = served => {}
                () = patience.lost() => tracing::debug!(%peer, "a slow client was cut off"),
            }
        }
    }
}

async fn serve<S: Storage, I>(
    io: I,
    peer: SocketAddr,
    handler: Arc<Handler<S>>,
    config: &ServerLimits,
    patience: &Patience,
    watcher: hyper_util::server::graceful::Watcher,
) where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let patience = patience.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, patience) = (handler.clone(), patience.clone());
        async move { handler.answer(request, peer, &patience).await }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(config.header_bytes_max.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(config.header_bytes_max as u32)
        .max_concurrent_streams(64);
    let connection = builder.serve_connection(io, service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

impl<S: Storage> Handler<S> {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        patience: &Patience,
    ) -> Result<Response<Body>, HttpError> {
        let begun = Instant::now();
        let method = request.method().clone();
        let origin = request.headers().get("origin").and_then(|origin| origin.to_str().ok()).map(str::to_string);
        let is_form =
            request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
        let is_head = method == Method::HEAD;
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default().to_string();
        let mut response = if method == Method::OPTIONS {
            self.preflight(request.headers(), origin.as_deref(), &bucket).await
        } else {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(peer);
            let metrics = self.metrics.clone();
            let body = patience.incoming(body, move |bytes| metrics.received(bytes));
            let mut response = self.s3.call(Request::from_parts(parts, body)).await?;
            if let Some(origin) = &origin {
                let question = Question { origin, method: method.as_str(), headers: Vec::new() };
                if let Some(answer) = self.service.cors(&bucket, &question, false).await {
                    extend(response.headers_mut(), answer);
                }
            }
            response
        };
        let id = hex::encode(rand::random::<[u8; 8]>());
        if !is_head {
            response = refusal::complete(response, &id, is_form).await;
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        let outcome = Outcome { method, status: response.status(), took: begun.elapsed() };
        self.metrics.answered(&outcome);
        let metrics = self.metrics.clone();
        Ok(response.map(|body| patience.outgoing(body, move |bytes| metrics.sent(bytes))))
    }

    /// Answers a browser that asks before it sends.
    async fn preflight(&self, headers: &HeaderMap, origin: Option<&str>, bucket: &str) -> Response<Body> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(origin), Some(method)) = (origin, header("access-control-request-method")) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "an Origin and an Access-Control-Request-Method are needed",
            );
        };
        let asked = header("access-control-request-headers").unwrap_or_default().split(',');
        let headers = asked.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
        let question = Question { origin, method, headers };
        match self.service.cors(bucket, &question, true).await {
            Some(answer) => {
                let mut response = Response::new(Body::empty());
                extend(response.headers_mut(), answer);
                response
            }
            None => refusal(StatusCode::FORBIDDEN, "AccessForbidden", "CORSResponse: this CORS request is not allowed"),
        }
    }
}

fn extend(headers: &mut HeaderMap, answer: Answer) {
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {});
    let mut response = Response::new(Body::http_body(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
