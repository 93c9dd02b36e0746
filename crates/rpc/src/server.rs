//! Listen, and stop listening.

use crate::{
    RpcConfig,
    cess::CessServer,
    eth::EthServer,
    history::History,
    node::Node,
    service::Service,
    web3::{NetServer, Web3Server},
};
use archive::Archive;
use execution::Executor;
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    server::{BatchRequestConfig, IdProvider, PingConfig, ServerBuilder, ServerConfig, ServerHandle},
    types::SubscriptionId,
};
use mempool::Mempool;
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use tower::ServiceBuilder;
use tower_http::cors::{Any, CorsLayer};
use types::ChainSpec;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    /// Two methods have one name.
    #[error(transparent)]
    Method(#[from] RegisterMethodError),
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct RpcHandle {
    local_address: SocketAddr,
    server: ServerHandle,
    stopping: watch::Sender<bool>,
}

impl RpcHandle {
    /// Where the server listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Answers what was asked, then closes all connections.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        let _ = self.server.stop();
        self.server.clone().stopped().await;
    }
}

/// Serves the chain on one port, over HTTP and WebSocket.
pub async fn serve(
    config: RpcConfig,
    spec: Arc<ChainSpec>,
    executor: Executor,
    archive: Archive,
    mempool: Mempool,
    node: Arc<dyn Node>,
) -> Result<RpcHandle, ServeError> {
    let address = config.address;
    let listen = |source| ServeError::Listen { address, source };
    let server = ServerBuilder::with_config(limits(&config))
        .set_http_middleware(ServiceBuilder::new().layer(cors()))
        .build(address)
        .await
        .map_err(listen)?;
    let local_address = server.local_addr().map_err(listen)?;
    let (stopping, stops) = watch::channel(false);
    let service = Service::new(config, spec, executor, History::new(archive), mempool, node, stops);
    let server = server.start(methods(&service)?);
    tracing::info!(%local_address, "JSON-RPC listens");
    Ok(RpcHandle { local_address, server, stopping })
}

fn methods(service: &Service) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(());
    module.merge(EthServer::into_rpc(service.clone()))?;
    module.merge(CessServer::into_rpc(service.clone()))?;
    module.merge(NetServer::into_rpc(service.clone()))?;
    module.merge(Web3Server::into_rpc(service.clone()))?;
    Ok(module)
}

fn limits(config: &RpcConfig) -> ServerConfig {
    ServerConfig::builder()
        .max_connections(config.connections_max)
        .max_request_body_size(config.request_bytes_max)
        .max_response_body_size(config.response_bytes_max)
        .max_subscriptions_per_connection(config.subscriptions_per_connection_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .build()
}

/// Any web page may ask: there are no cookies, and the server signs nothing.
fn cors() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any)
}

/// Names subscriptions as Ethereum's clients expect: a hexadecimal text.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        format!("{:#034x}", rand::random::<u128>()).into()
    }
}
