//! Prove entries of the state under a header.

use crate::state::Databases;
use alloy_primitives::Bytes;
use commonware_codec::Encode;
use commonware_runtime::Spawner;
use commonware_storage::Context as StorageContext;
use execution::ReadError;
use light::consensus::Key;
use types::{Header, proof::ProvedEntry, state::StateKey};

/// Entries with their proofs; nothing while the applied state is not the header's.
pub async fn prove<E: StorageContext + Spawner>(
    databases: &Databases<E>,
    header: &Header,
    keys: &[StateKey],
) -> Result<Option<Vec<ProvedEntry>>, ReadError> {
    let failed = |error: &dyn std::fmt::Display| ReadError(error.to_string());
    let state = databases.0.read().await;
    if header.state_root.0 != state.root().0 {
        return Ok(None);
    }
    let mut entries = Vec::with_capacity(keys.len());
    for key in keys {
        let hashed = Key::from(key.hashed().0);
        let value = state.get(&hashed).await.map_err(|error| failed(&error))?;
        let proof = match &value {
            Some(_) => state.key_value_proof(hashed).await.map_err(|error| failed(&error))?.encode(),
            None => state.exclusion_proof(&hashed).await.map_err(|error| failed(&error))?.encode(),
        };
        let (address, slot) = match key {
            StateKey::Account(address) => (*address, None),
            StateKey::Slot(address, slot) => (*address, Some(*slot)),
        };
        let value = value.map(|value| Bytes::copy_from_slice(value.as_ref()));
        entries.push(ProvedEntry { address, slot, value, proof: proof.to_vec().into() });
    }
    Ok(Some(entries))
}
