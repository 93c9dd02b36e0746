//! Define `cess_*`: what this network has beyond Ethereum.

mod registry;
mod stripes;

pub(crate) use stripes::StripeIndex;

use crate::{
    error::{Answer, RpcError},
    service::{Service, WAIT_MS_MAX},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::{ChainSpec, proof::StateProof, state::StateKey};

/// Most entries of a page.
pub(crate) const PAGE_MAX: u32 = 256;
/// Most entries of a proof.
const PROOF_KEYS_MAX: usize = 256;

/// Where the chain is, and who makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Height of the last block.
    pub height: u64,
    /// Hash of the last block.
    pub hash: B256,
    /// Time of the last block.
    pub timestamp_ms: u64,
    /// Base fee of the last block, wei.
    pub base_fee_per_gas: u64,
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view.
    pub view: u64,
    /// Ed25519 keys of the committee.
    pub committee: Vec<B256>,
    /// The group's public key.
    pub group_key: Bytes,
    /// Peers of the validator that answers.
    pub peers: usize,
}

/// An entry of the state to prove: an account, or one of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofKey {
    /// The account.
    pub address: Address,
    /// The slot; none means the account's own entry.
    #[serde(default)]
    pub slot: Option<U256>,
}

/// A header with its finality certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The header's canonical bytes.
    pub header: Bytes,
    /// The certificate.
    pub certificate: Bytes,
}

/// A miner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerEntry {
    /// Number in the registry, from 1.
    pub id: u32,
    /// Account that operates it.
    pub operator: Address,
    /// BLS12-381 key that signs receipts.
    pub receipt_key: Bytes,
    /// Where peers reach it.
    pub endpoint: Option<MinerEndpoint>,
    /// ISO 3166 code.
    pub region: String,
    /// Lots pledged.
    pub lots: u32,
    /// Of these, in no volume.
    pub lots_free: u32,
    /// Wei held.
    pub collateral: U256,
    /// Whether its free lots are out of the draw.
    pub retired: bool,
}

/// Where a miner is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerEndpoint {
    /// Ed25519 transport key.
    pub id: B256,
    /// Socket addresses.
    pub addresses: Vec<String>,
    /// Relay URL.
    pub relay: Option<String>,
}

/// A page of miners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerPage {
    /// Miners in all; the last has this number.
    pub total: u32,
    /// Miners of this page, by number.
    pub miners: Vec<MinerEntry>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeEntry {
    /// Number, from 1.
    pub id: u32,
    /// Its code, such as `devnet`; the number where it is unknown.
    pub profile: String,
    /// Who may be in it.
    pub policy: u32,
    /// Whether it takes writes.
    pub open: bool,
    /// Stripes in its log.
    pub stripe_count: u32,
    /// Length of each column.
    pub column_bytes: u64,
    /// Root of the log.
    pub stripes_root: B256,
    /// Lots by seat.
    pub lots: Vec<u32>,
    /// Miners by seat.
    pub miners: Vec<u32>,
}

/// A page of volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumePage {
    /// Volumes in all; the last has this number.
    pub total: u32,
    /// Volumes of this page, by number.
    pub volumes: Vec<VolumeEntry>,
}

/// A leaf of a volume's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StripeEntry {
    /// Position in the log.
    pub index: u32,
    /// The segment.
    pub segment: B256,
    /// Territory that pays.
    pub territory: u64,
    /// Where its fragment begins in each column.
    pub offset: u64,
    /// Bytes of each fragment.
    pub fragment_bytes: u64,
    /// Bytes of the segment.
    pub length: u64,
    /// Time of the block that committed it.
    pub committed_at_ms: u64,
    /// End of its minimum term.
    pub term_end_ms: u64,
    /// Seats that had not signed: a bitmap, least significant bit first.
    pub missing: Bytes,
    /// Whether it was released since.
    pub released: bool,
    /// Block that committed it.
    pub height: u64,
}

/// A page of stripes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StripePage {
    /// Stripes in all.
    pub total: u32,
    /// Stripes of this page, by index.
    pub stripes: Vec<StripeEntry>,
}

/// `cess_*`.
#[rpc(server, namespace = "cess")]
pub(crate) trait Cess {
    #[method(name = "spec")]
    fn spec(&self) -> Answer<ChainSpec>;
    #[method(name = "status")]
    fn status(&self) -> Answer<Status>;
    #[method(name = "waitHeight")]
    async fn wait_height(&self, above: u64, timeout_ms: Option<u64>) -> Answer<Status>;
    #[method(name = "getProof")]
    async fn proof(&self, keys: Vec<ProofKey>) -> Answer<StateProof>;
    #[method(name = "getCertificate")]
    async fn certificate(&self, height: Option<u64>) -> Answer<Option<Certificate>>;
    #[method(name = "getMiners")]
    async fn miners(&self, from: Option<u32>, limit: Option<u32>) -> Answer<MinerPage>;
    #[method(name = "getVolumes")]
    async fn volumes(&self, from: Option<u32>, limit: Option<u32>) -> Answer<VolumePage>;
    #[method(name = "getStripes")]
    async fn stripes(&self, volume: u32, from: Option<u32>, limit: Option<u32>) -> Answer<StripePage>;
}

#[jsonrpsee::core::async_trait]
impl CessServer for Service {
    fn spec(&self) -> Answer<ChainSpec> {
        Ok(ChainSpec::clone(&self.spec))
    }

    fn status(&self) -> Answer<Status> {
        status(self)
    }

    /// Answers once the chain is above `above`, or with what there is when the time is up.
    async fn wait_height(&self, above: u64, timeout_ms: Option<u64>) -> Answer<Status> {
        let _permit = self.wait()?;
        let mut tips = self.history.tips();
        let mut stopping = self.stopping.clone();
        let risen = async {
            while self.history.tip()?.height <= above && tips.changed().await.is_ok() {}
            Answer::Ok(())
        };
        let timeout = Duration::from_millis(timeout_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX));
        tokio::select! {
            risen = tokio::time::timeout(timeout, risen) => risen.unwrap_or(Ok(()))?,
            _ = stopping.wait_for(|stopping| *stopping) => (),
        }
        status(self)
    }

    async fn proof(&self, keys: Vec<ProofKey>) -> Answer<StateProof> {
        if keys.is_empty() || keys.len() > PROOF_KEYS_MAX {
            return Err(RpcError::InvalidParams(format!("a proof has 1 to {PROOF_KEYS_MAX} entries")));
        }
        self.node.prove(keys.into_iter().map(StateKey::from).collect()).await.map_err(RpcError::Failed)
    }

    async fn certificate(&self, height: Option<u64>) -> Answer<Option<Certificate>> {
        let found = self.node.certificate(height).await.map_err(RpcError::Failed)?;
        Ok(found.map(|(header, certificate)| Certificate { header, certificate }))
    }

    async fn miners(&self, from: Option<u32>, limit: Option<u32>) -> Answer<MinerPage> {
        self.heavy(move |service| registry::miners(service, from, limit)).await
    }

    async fn volumes(&self, from: Option<u32>, limit: Option<u32>) -> Answer<VolumePage> {
        self.heavy(move |service| registry::volumes(service, from, limit)).await
    }

    async fn stripes(&self, volume: u32, from: Option<u32>, limit: Option<u32>) -> Answer<StripePage> {
        self.heavy(move |service| stripes::page(service, volume, from, limit)).await
    }
}

impl From<ProofKey> for StateKey {
    fn from(key: ProofKey) -> Self {
        match key.slot {
            Some(slot) => Self::Slot(key.address, slot),
            None => Self::Account(key.address),
        }
    }
}

fn status(service: &Service) -> Answer<Status> {
    let height = service.history.tip()?.height;
    let (hash, header) = service.history.known_header(height)?;
    let node = service.node.status();
    Ok(Status {
        chain_id: service.spec.chain_id,
        height,
        hash,
        timestamp_ms: header.timestamp_ms,
        base_fee_per_gas: header.base_fee_per_gas,
        epoch: node.epoch,
        view: node.view,
        committee: node.committee,
        group_key: node.group_key,
        peers: node.peers,
    })
}
