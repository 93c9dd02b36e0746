//! Define `eth_*` and hand each method to who answers it.

mod accounts;
mod blocks;
mod calls;
mod fees;
mod logs;
mod subscriptions;
mod transactions;

pub(crate) use calls::run;

use crate::{
    error::{Answer, RpcError},
    filters::FilterId,
    service::Service,
    shapes::{BlockJson, Detail},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use alloy_rpc_types_eth::{
    FeeHistory, Filter, Index, Log, Transaction, TransactionReceipt, TransactionRequest, pubsub::SubscriptionKind,
};
use alloy_serde::JsonStorageKey;
use jsonrpsee::{core::SubscriptionResult, proc_macros::rpc};
use serde_json::Value;

/// `eth_*`.
#[rpc(server, namespace = "eth")]
pub(crate) trait Eth {
    #[method(name = "chainId")]
    fn chain_id(&self) -> Answer<U64>;
    #[method(name = "blockNumber")]
    fn block_number(&self) -> Answer<U64>;
    #[method(name = "syncing")]
    fn syncing(&self) -> Answer<bool>;
    #[method(name = "accounts")]
    fn accounts(&self) -> Answer<Vec<Address>>;

    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> Answer<U128>;
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee_per_gas(&self) -> Answer<U128>;
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        count: Index,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Answer<FeeHistory>;

    #[method(name = "getBalance")]
    async fn balance(&self, address: Address, block: Option<BlockId>) -> Answer<U256>;
    #[method(name = "getTransactionCount")]
    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Answer<U64>;
    #[method(name = "getCode")]
    async fn code(&self, address: Address, block: Option<BlockId>) -> Answer<Bytes>;
    #[method(name = "getStorageAt")]
    async fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> Answer<B256>;

    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Answer<Bytes>;
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Answer<U64>;

    #[method(name = "sendRawTransaction")]
    async fn send_raw_transaction(&self, raw: Bytes) -> Answer<B256>;
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_transaction_sync(&self, raw: Bytes, timeout_ms: Option<u64>) -> Answer<TransactionReceipt>;
    #[method(name = "getTransactionByHash")]
    async fn transaction_by_hash(&self, hash: B256) -> Answer<Option<Transaction>>;
    #[method(name = "getRawTransactionByHash")]
    async fn raw_transaction_by_hash(&self, hash: B256) -> Answer<Option<Bytes>>;
    #[method(name = "getTransactionByBlockHashAndIndex")]
    async fn transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<Transaction>>;
    #[method(name = "getTransactionByBlockNumberAndIndex")]
    async fn transaction_by_block_number(&self, number: BlockNumberOrTag, index: Index) -> Answer<Option<Transaction>>;
    #[method(name = "getTransactionReceipt")]
    async fn transaction_receipt(&self, hash: B256) -> Answer<Option<TransactionReceipt>>;

    #[method(name = "getBlockByHash")]
    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Answer<Option<BlockJson>>;
    #[method(name = "getBlockByNumber")]
    async fn block_by_number(&self, number: BlockNumberOrTag, full: Option<bool>) -> Answer<Option<BlockJson>>;
    #[method(name = "getBlockReceipts")]
    async fn block_receipts(&self, block: BlockId) -> Answer<Option<Vec<TransactionReceipt>>>;
    #[method(name = "getBlockTransactionCountByHash")]
    async fn transaction_count_by_hash(&self, hash: B256) -> Answer<Option<U64>>;
    #[method(name = "getBlockTransactionCountByNumber")]
    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U64>>;
    #[method(name = "getUncleCountByBlockHash")]
    async fn uncle_count_by_hash(&self, hash: B256) -> Answer<Option<U64>>;
    #[method(name = "getUncleCountByBlockNumber")]
    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U64>>;
    #[method(name = "getUncleByBlockHashAndIndex")]
    fn uncle_by_hash(&self, hash: B256, index: Index) -> Answer<Option<BlockJson>>;
    #[method(name = "getUncleByBlockNumberAndIndex")]
    fn uncle_by_number(&self, number: BlockNumberOrTag, index: Index) -> Answer<Option<BlockJson>>;

    #[method(name = "getLogs")]
    async fn logs(&self, filter: Filter) -> Answer<Vec<Log>>;
    #[method(name = "newFilter")]
    fn new_filter(&self, filter: Filter) -> Answer<FilterId>;
    #[method(name = "newBlockFilter")]
    fn new_block_filter(&self) -> Answer<FilterId>;
    #[method(name = "newPendingTransactionFilter")]
    fn new_pending_transaction_filter(&self) -> Answer<FilterId>;
    #[method(name = "getFilterChanges")]
    async fn filter_changes(&self, id: FilterId) -> Answer<logs::Changes>;
    #[method(name = "getFilterLogs")]
    async fn filter_logs(&self, id: FilterId) -> Answer<Vec<Log>>;
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: FilterId) -> Answer<bool>;

    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = Value)]
    async fn subscribe(&self, kind: SubscriptionKind, parameters: Option<Value>) -> SubscriptionResult;
}

#[jsonrpsee::core::async_trait]
impl EthServer for Service {
    fn chain_id(&self) -> Answer<U64> {
        Ok(U64::from(self.spec.chain_id))
    }

    fn block_number(&self) -> Answer<U64> {
        Ok(U64::from(self.history.tip()?.height))
    }

    /// A block is served only once it is final, so there is nothing to wait for that a client could see.
    fn syncing(&self) -> Answer<bool> {
        Ok(false)
    }

    /// The server holds no keys.
    fn accounts(&self) -> Answer<Vec<Address>> {
        Ok(Vec::new())
    }

    async fn gas_price(&self) -> Answer<U128> {
        self.heavy(fees::gas_price).await
    }

    async fn max_priority_fee_per_gas(&self) -> Answer<U128> {
        self.heavy(|service| fees::priority_fee(service).map(U128::from)).await
    }

    async fn fee_history(
        &self,
        count: Index,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Answer<FeeHistory> {
        self.heavy(move |service| fees::history(service, count.0, newest, percentiles)).await
    }

    async fn balance(&self, address: Address, block: Option<BlockId>) -> Answer<U256> {
        accounts::balance(self, address, block).await
    }

    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Answer<U64> {
        accounts::nonce(self, address, block).await
    }

    async fn code(&self, address: Address, block: Option<BlockId>) -> Answer<Bytes> {
        accounts::code(self, address, block).await
    }

    async fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> Answer<B256> {
        accounts::storage(self, address, slot, block).await
    }

    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Answer<Bytes> {
        calls::refuse_overrides([state_overrides, block_overrides])?;
        self.heavy(move |service| calls::call(service, request, block)).await
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Answer<U64> {
        calls::refuse_overrides([state_overrides])?;
        self.heavy(move |service| calls::estimate_gas(service, request, block)).await
    }

    async fn send_raw_transaction(&self, raw: Bytes) -> Answer<B256> {
        transactions::send(self, raw).await
    }

    async fn send_raw_transaction_sync(&self, raw: Bytes, timeout_ms: Option<u64>) -> Answer<TransactionReceipt> {
        transactions::send_and_wait(self, raw, timeout_ms).await
    }

    async fn transaction_by_hash(&self, hash: B256) -> Answer<Option<Transaction>> {
        transactions::by_hash(self, hash)
    }

    async fn raw_transaction_by_hash(&self, hash: B256) -> Answer<Option<Bytes>> {
        transactions::raw_by_hash(self, hash)
    }

    async fn transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<Transaction>> {
        transactions::by_position(self, hash.into(), index.0)
    }

    async fn transaction_by_block_number(&self, number: BlockNumberOrTag, index: Index) -> Answer<Option<Transaction>> {
        transactions::by_position(self, number.into(), index.0)
    }

    async fn transaction_receipt(&self, hash: B256) -> Answer<Option<TransactionReceipt>> {
        transactions::receipt(self, hash).await
    }

    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Answer<Option<BlockJson>> {
        blocks::block(self, hash.into(), Detail::of(full)).await
    }

    async fn block_by_number(&self, number: BlockNumberOrTag, full: Option<bool>) -> Answer<Option<BlockJson>> {
        blocks::block(self, number.into(), Detail::of(full)).await
    }

    async fn block_receipts(&self, block: BlockId) -> Answer<Option<Vec<TransactionReceipt>>> {
        blocks::receipts(self, block).await
    }

    async fn transaction_count_by_hash(&self, hash: B256) -> Answer<Option<U64>> {
        blocks::transaction_count(self, hash.into())
    }

    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U64>> {
        blocks::transaction_count(self, number.into())
    }

    async fn uncle_count_by_hash(&self, hash: B256) -> Answer<Option<U64>> {
        blocks::uncle_count(self, hash.into())
    }

    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U64>> {
        blocks::uncle_count(self, number.into())
    }

    /// There are no uncles where the first block is the last.
    fn uncle_by_hash(&self, _hash: B256, _index: Index) -> Answer<Option<BlockJson>> {
        Ok(None)
    }

    fn uncle_by_number(&self, _number: BlockNumberOrTag, _index: Index) -> Answer<Option<BlockJson>> {
        Ok(None)
    }

    async fn logs(&self, filter: Filter) -> Answer<Vec<Log>> {
        self.heavy(move |service| logs::query(service, &filter)).await
    }

    fn new_filter(&self, filter: Filter) -> Answer<FilterId> {
        logs::install_logs(self, filter)
    }

    fn new_block_filter(&self) -> Answer<FilterId> {
        logs::install_blocks(self)
    }

    fn new_pending_transaction_filter(&self) -> Answer<FilterId> {
        logs::install_pending(self)
    }

    async fn filter_changes(&self, id: FilterId) -> Answer<logs::Changes> {
        self.heavy(move |service| logs::changes(service, &id)).await
    }

    async fn filter_logs(&self, id: FilterId) -> Answer<Vec<Log>> {
        self.heavy(move |service| logs::of_filter(service, &id)).await
    }

    fn uninstall_filter(&self, id: FilterId) -> Answer<bool> {
        Ok(self.filters.lock().uninstall(&id))
    }

    async fn subscribe(
        &self,
        pending: jsonrpsee::PendingSubscriptionSink,
        kind: SubscriptionKind,
        parameters: Option<Value>,
    ) -> SubscriptionResult {
        subscriptions::serve(self, pending, kind, parameters).await
    }
}

/// The block that a request means when it names none.
fn latest() -> BlockId {
    BlockNumberOrTag::Latest.into()
}

/// The height that `block` names, which must exist.
fn height_of(service: &Service, block: Option<BlockId>) -> Answer<u64> {
    let block = block.unwrap_or_else(latest);
    service.history.height_of(block)?.ok_or_else(|| RpcError::UnknownBlock(name(block)))
}

/// What the client called the block.
fn name(block: BlockId) -> String {
    match block {
        BlockId::Hash(hash) => hash.block_hash.to_string(),
        BlockId::Number(BlockNumberOrTag::Number(number)) => number.to_string(),
        BlockId::Number(tag) => tag.to_string(),
    }
}
