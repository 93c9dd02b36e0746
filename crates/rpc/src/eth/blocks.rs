//! Answer with blocks and their receipts.

use crate::{
    error::Answer,
    service::Service,
    shapes::{self, BlockJson, Detail},
};
use alloy_eips::BlockId;
use alloy_primitives::U64;
use alloy_rpc_types_eth::TransactionReceipt;

/// `eth_getBlockBy*`.
pub(super) async fn block(service: &Service, id: BlockId, detail: Detail) -> Answer<Option<BlockJson>> {
    let Some(height) = service.history.height_of(id)? else { return Ok(None) };
    let shape = move |service: &Service| Ok(service.history.block(height)?.map(|found| shapes::block(&found, detail)));
    service.on_block(height, shape).await
}

/// `eth_getBlockReceipts`.
pub(super) async fn receipts(service: &Service, id: BlockId) -> Answer<Option<Vec<TransactionReceipt>>> {
    let Some(height) = service.history.height_of(id)? else { return Ok(None) };
    let shape = move |service: &Service| {
        let Some(found) = service.history.block(height)? else { return Ok(None) };
        Ok(Some((0..found.receipts.len()).filter_map(|index| shapes::receipt(&found, index)).collect()))
    };
    service.on_block(height, shape).await
}

/// `eth_getBlockTransactionCountBy*`.
pub(super) fn transaction_count(service: &Service, id: BlockId) -> Answer<Option<U64>> {
    let Some(height) = service.history.height_of(id)? else { return Ok(None) };
    let hashes = service.history.transaction_hashes(height)?;
    Ok(hashes.map(|hashes| U64::from(hashes.len())))
}

/// `eth_getUncleCountBy*`: a block that exists has none.
pub(super) fn uncle_count(service: &Service, id: BlockId) -> Answer<Option<U64>> {
    Ok(service.history.height_of(id)?.map(|_| U64::ZERO))
}
