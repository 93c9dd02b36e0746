//! Page through miners and volumes by asking the protocol's modules.

use super::{MinerEndpoint, MinerEntry, MinerPage, PAGE_MAX, VolumeEntry, VolumePage};
use crate::{
    error::{Answer, RpcError},
    eth::run,
    service::Service,
};
use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use execution::{CallRequest, CallStatus};
use types::{
    Endpoint, Profile,
    abi::{
        IMiners::{self, minerCall, minerCountCall},
        IVolumes::{self, volumeCall, volumeCountCall},
        MINERS, VOLUMES,
    },
};

/// `cess_getMiners`.
pub(super) fn miners(service: &Service, from: Option<u32>, limit: Option<u32>) -> Answer<MinerPage> {
    let height = service.history.tip()?.height;
    let total = ask(service, height, MINERS, minerCountCall {})?;
    let miners = page(from, limit, total)?
        .map(|id| Ok(miner_entry(id, ask(service, height, MINERS, minerCall { id })?)))
        .collect::<Answer<_>>()?;
    Ok(MinerPage { total, miners })
}

/// `cess_getVolumes`.
pub(super) fn volumes(service: &Service, from: Option<u32>, limit: Option<u32>) -> Answer<VolumePage> {
    let height = service.history.tip()?.height;
    let total = ask(service, height, VOLUMES, volumeCountCall {})?;
    let volumes = page(from, limit, total)?
        .map(|id| Ok(volume_entry(id, ask(service, height, VOLUMES, volumeCall { id })?)))
        .collect::<Answer<_>>()?;
    Ok(VolumePage { total, volumes })
}

/// Calls a module on the state after the block at `height`.
pub(super) fn ask<C: SolCall>(service: &Service, height: u64, module: Address, call: C) -> Answer<C::Return> {
    let request = CallRequest { to: Some(module), data: call.abi_encode().into(), ..CallRequest::default() };
    let outcome = run(service, request, height)?;
    match outcome.status {
        CallStatus::Success => C::abi_decode_returns(&outcome.output)
            .map_err(|error| RpcError::Internal(format!("a module answered what its interface does not say: {error}"))),
        CallStatus::Revert => Err(RpcError::Reverted(outcome.output)),
        CallStatus::Halt(reason) => Err(RpcError::Internal(format!("a module failed: {reason:?}"))),
    }
}

/// Numbers of a page; the registries count from 1.
fn page(from: Option<u32>, limit: Option<u32>, total: u32) -> Answer<impl Iterator<Item = u32>> {
    let limit = page_limit(limit)?;
    let first = from.unwrap_or(1).max(1);
    Ok((first..=total).take(limit))
}

/// The length of a page.
pub(super) fn page_limit(limit: Option<u32>) -> Answer<usize> {
    match limit.unwrap_or(PAGE_MAX) {
        limit @ 1..=PAGE_MAX => Ok(limit as usize),
        _ => Err(RpcError::InvalidParams(format!("a page has 1 to {PAGE_MAX} entries"))),
    }
}

fn miner_entry(id: u32, miner: IMiners::Miner) -> MinerEntry {
    MinerEntry {
        id,
        operator: miner.operator,
        receipt_key: miner.receiptKey,
        endpoint: Endpoint::decode(&miner.endpoint).ok().map(MinerEndpoint::from),
        region: String::from_utf8_lossy(&miner.region.0).trim_end_matches('\0').to_owned(),
        lots: miner.lots,
        lots_free: miner.lotsFree,
        collateral: miner.collateral,
        retired: miner.retired,
    }
}

impl From<Endpoint> for MinerEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id(),
            addresses: endpoint.addresses().iter().map(ToString::to_string).collect(),
            relay: endpoint.relay().map(str::to_owned),
        }
    }
}

fn volume_entry(id: u32, volume: IVolumes::Volume) -> VolumeEntry {
    VolumeEntry {
        id,
        profile: profile_name(volume.profile),
        policy: volume.policy,
        open: volume.open,
        stripe_count: volume.stripeCount,
        column_bytes: volume.columnBytes,
        stripes_root: volume.stripesRoot,
        lots: volume.lots,
        miners: volume.miners,
    }
}

fn profile_name(number: u8) -> String {
    let known = Profile::from_u8(number).and_then(|profile| serde_json::to_value(profile).ok());
    known.as_ref().and_then(|name| name.as_str()).map_or_else(|| number.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
