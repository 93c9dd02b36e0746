//! Exercise the server as a client would, over a chain of one node.

#[path = "../../examples/solo/chain.rs"]
mod solo;

mod blocks;
mod cess;
mod errors;
mod logs;
mod server;
mod subscriptions;
mod transactions;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use archive::Finalized;
use jsonrpsee::{
    core::{ClientError, client::ClientT, params::ArrayParams},
    http_client::HttpClient,
    types::ErrorObjectOwned,
    ws_client::{WsClient, WsClientBuilder},
};
use rpc::{RpcConfig, RpcHandle};
use serde_json::{Value, json};
use solo::{FUNDED_KEY, Solo, spec};
use std::{net::Ipv4Addr, sync::Arc};
use tempfile::TempDir;

/// Deploys code that logs topic 1 whenever it is called.
const LOGGER: [u8; 14] = hex!("6560015f5fa1005f526006601af3");
/// Deploys code that reverts with whatever it is given.
const REVERTER: [u8; 15] = hex!("66365f5f37365ffd5f5260076019f3");
/// Receiver of the tests' transfers.
const OTHER: Address = Address::repeat_byte(7);
const GWEI: u128 = 1_000_000_000;

/// A chain, its server and a client.
struct Net {
    solo: Arc<Solo>,
    server: RpcHandle,
    http: HttpClient,
    signer: PrivateKeySigner,
    _folder: TempDir,
}

impl Net {
    /// A chain whose first block laid the genesis.
    async fn start() -> Self {
        Self::start_with(RpcConfig::new((Ipv4Addr::LOCALHOST, 0).into())).await
    }

    async fn start_with(config: RpcConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let solo = Arc::new(Solo::open(folder.path(), spec()).expect("opens"));
        solo.step().await.expect("the first block");
        let server = solo.serve(config).await.expect("serves");
        let http = HttpClient::builder().build(format!("http://{}", server.local_address())).expect("a client");
        Self { solo, server, http, signer: FUNDED_KEY.parse().expect("a key"), _folder: folder }
    }

    async fn web_socket(&self) -> WsClient {
        WsClientBuilder::default().build(format!("ws://{}", self.server.local_address())).await.expect("connects")
    }

    async fn try_ask(&self, method: &str, parameters: Value) -> Result<Value, ErrorObjectOwned> {
        match self.http.request(method, array(parameters)).await {
            Ok(answer) => Ok(answer),
            Err(ClientError::Call(error)) => Err(error),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    async fn ask(&self, method: &str, parameters: Value) -> Value {
        self.try_ask(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The error's code, message and data.
    async fn refusal(&self, method: &str, parameters: Value) -> (i32, String, Value) {
        let error = self.try_ask(method, parameters).await.expect_err("this is refused");
        let data = error.data().map_or(Value::Null, |data| serde_json::from_str(data.get()).expect("JSON"));
        (error.code(), error.message().to_owned(), data)
    }

    /// Sends, and makes the block that has it.
    async fn mine(&self, raw: &Bytes) -> Arc<Finalized> {
        self.ask("eth_sendRawTransaction", json!([raw])).await;
        let block = self.solo.step().await.expect("a block");
        assert!(block.block.transactions.iter().any(|inside| inside.raw() == raw), "it was included");
        block
    }

    /// Deploys `code` and says where.
    async fn deploy(&self, nonce: u64, code: &[u8]) -> Address {
        self.mine(&self.sign(TxEip1559 { to: TxKind::Create, input: code.to_vec().into(), ..unsigned(nonce) })).await;
        self.signer.address().create(nonce)
    }

    fn sign(&self, transaction: TxEip1559) -> Bytes {
        sign(&self.signer, transaction)
    }

    fn transfer(&self, nonce: u64) -> Bytes {
        self.sign(unsigned(nonce))
    }

    fn call(&self, nonce: u64, to: Address) -> Bytes {
        self.sign(TxEip1559 { to: TxKind::Call(to), value: U256::ZERO, ..unsigned(nonce) })
    }
}

fn unsigned(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: 1_337,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI / 2,
        to: TxKind::Call(OTHER),
        value: U256::from(5),
        input: Bytes::new(),
        access_list: Default::default(),
    }
}

fn sign(signer: &PrivateKeySigner, transaction: TxEip1559) -> Bytes {
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).expect("signs");
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    alloy_eips::Encodable2718::encoded_2718(&envelope).into()
}

fn array(parameters: Value) -> ArrayParams {
    let Value::Array(parameters) = parameters else { panic!("parameters are an array") };
    parameters.into_iter().fold(ArrayParams::new(), |mut array, parameter| {
        array.insert(parameter).expect("JSON");
        array
    })
}
