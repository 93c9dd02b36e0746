//! Answer the few questions about the server itself: `net_*` and `web3_*`.

use crate::service::Service;
use alloy_primitives::{B256, Bytes, U64, keccak256};
use jsonrpsee::{core::RpcResult, proc_macros::rpc};

/// `net_*`.
#[rpc(server, namespace = "net")]
pub(crate) trait Net {
    #[method(name = "version")]
    fn version(&self) -> RpcResult<String>;
    #[method(name = "listening")]
    fn listening(&self) -> RpcResult<bool>;
    #[method(name = "peerCount")]
    fn peer_count(&self) -> RpcResult<U64>;
}

/// `web3_*`.
#[rpc(server, namespace = "web3")]
pub(crate) trait Web3 {
    #[method(name = "clientVersion")]
    fn client_version(&self) -> RpcResult<String>;
    #[method(name = "sha3")]
    fn sha3(&self, data: Bytes) -> RpcResult<B256>;
}

impl NetServer for Service {
    fn version(&self) -> RpcResult<String> {
        Ok(self.spec.chain_id.to_string())
    }

    fn listening(&self) -> RpcResult<bool> {
        Ok(true)
    }

    fn peer_count(&self) -> RpcResult<U64> {
        Ok(U64::from(self.node.status().peers))
    }
}

impl Web3Server for Service {
    fn client_version(&self) -> RpcResult<String> {
        Ok(concat!("cess/v", env!("CARGO_PKG_VERSION")).into())
    }

    fn sha3(&self, data: Bytes) -> RpcResult<B256> {
        Ok(keccak256(data))
    }
}
