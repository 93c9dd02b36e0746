//! Read accounts: balances, nonces, code and storage.

use super::height_of;
use crate::{error::Answer, history::account, service::Service};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U64, U256};
use alloy_serde::JsonStorageKey;
use execution::StateReader;
use types::state::{StateKey, decode_slot};

/// `eth_getBalance`.
pub(super) async fn balance(service: &Service, address: Address, block: Option<BlockId>) -> Answer<U256> {
    let state = service.history.state(height_of(service, block)?)?;
    Ok(account(&state, address).await?.balance)
}

/// `eth_getTransactionCount`; `pending` counts what waits in the pool.
pub(super) async fn nonce(service: &Service, address: Address, block: Option<BlockId>) -> Answer<U64> {
    let state = service.history.state(height_of(service, block)?)?;
    let nonce = account(&state, address).await?.nonce;
    let waiting = match block {
        Some(BlockId::Number(BlockNumberOrTag::Pending)) => service.mempool.pending_nonce(address).unwrap_or_default(),
        _ => 0,
    };
    Ok(U64::from(nonce.max(waiting)))
}

/// `eth_getCode`.
pub(super) async fn code(service: &Service, address: Address, block: Option<BlockId>) -> Answer<Bytes> {
    let state = service.history.state(height_of(service, block)?)?;
    let hash = account(&state, address).await?.code_hash;
    if hash == KECCAK256_EMPTY {
        return Ok(Bytes::new());
    }
    Ok(state.code(&hash).await?.unwrap_or_default())
}

/// `eth_getStorageAt`.
pub(super) async fn storage(
    service: &Service,
    address: Address,
    slot: JsonStorageKey,
    block: Option<BlockId>,
) -> Answer<B256> {
    let state = service.history.state(height_of(service, block)?)?;
    let values = state.read(&[StateKey::Slot(address, slot.as_b256().into())]).await?;
    Ok(values.first().copied().flatten().map(|value| decode_slot(&value)).unwrap_or_default().into())
}
