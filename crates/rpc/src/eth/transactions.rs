//! Take transactions and find them again.

use crate::{
    error::{Answer, RpcError},
    service::{Service, WAIT_MS_MAX},
    shapes::{self, Place},
};
use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth as eth;
use std::time::Duration;
use types::Transaction;

/// How long `eth_sendRawTransactionSync` waits unless told otherwise.
const RECEIPT_WAIT_MS: u64 = 20_000;

/// `eth_sendRawTransaction`.
pub(super) async fn send(service: &Service, raw: Bytes) -> Answer<B256> {
    let transaction = Transaction::decode(raw)?;
    Ok(service.node.submit(transaction).await?)
}

/// `eth_sendRawTransactionSync` (EIP-7966): answers when the transaction is in a block.
pub(super) async fn send_and_wait(
    service: &Service,
    raw: Bytes,
    timeout_ms: Option<u64>,
) -> Answer<eth::TransactionReceipt> {
    let _permit = service.wait()?;
    let mut tips = service.history.tips();
    let hash = send(service, raw).await?;
    let included = async {
        loop {
            if let Some(receipt) = receipt(service, hash).await? {
                return Ok(receipt);
            }
            tips.changed().await.map_err(|_| RpcError::ReceiptTimeout(hash))?;
        }
    };
    let timeout_ms = timeout_ms.unwrap_or(RECEIPT_WAIT_MS).min(WAIT_MS_MAX);
    let mut stopping = service.stopping.clone();
    tokio::select! {
        answer = tokio::time::timeout(Duration::from_millis(timeout_ms), included) => {
            answer.unwrap_or(Err(RpcError::ReceiptTimeout(hash)))
        }
        _ = stopping.wait_for(|stopping| *stopping) => Err(RpcError::ReceiptTimeout(hash)),
    }
}

/// `eth_getTransactionByHash`, also of one that waits.
pub(super) fn by_hash(service: &Service, hash: B256) -> Answer<Option<eth::Transaction>> {
    if let Some((height, index)) = service.history.locate(&hash)? {
        return at(service, height, index);
    }
    Ok(service.mempool.get(&hash).map(|waiting| shapes::transaction(&waiting, None)))
}

/// `eth_getRawTransactionByHash`.
pub(super) fn raw_by_hash(service: &Service, hash: B256) -> Answer<Option<Bytes>> {
    if let Some(waiting) = service.mempool.get(&hash) {
        return Ok(Some(waiting.raw().clone()));
    }
    let Some((height, index)) = service.history.locate(&hash)? else { return Ok(None) };
    let found = service.history.transaction_at(height, index)?;
    Ok(found.map(|found| found.transaction.raw().clone()))
}

/// `eth_getTransactionByBlock*AndIndex`.
pub(super) fn by_position(service: &Service, block: BlockId, index: usize) -> Answer<Option<eth::Transaction>> {
    let Some(height) = service.history.height_of(block)? else { return Ok(None) };
    let Ok(index) = u32::try_from(index) else { return Ok(None) };
    at(service, height, index)
}

fn at(service: &Service, height: u64, index: u32) -> Answer<Option<eth::Transaction>> {
    let Some(found) = service.history.transaction_at(height, index)? else { return Ok(None) };
    let (hash, header) = service.history.known_header(height)?;
    let place = Place::new(&header, hash, index.into());
    Ok(Some(shapes::transaction(&found.transaction, Some(place))))
}

/// `eth_getTransactionReceipt`.
pub(super) async fn receipt(service: &Service, hash: B256) -> Answer<Option<eth::TransactionReceipt>> {
    let Some((height, index)) = service.history.locate(&hash)? else { return Ok(None) };
    let shape = move |service: &Service| {
        Ok(service.history.block(height)?.and_then(|found| shapes::receipt(&found, index as usize)))
    };
    service.on_block(height, shape).await
}
