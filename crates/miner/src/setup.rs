//! Register with the chain, pledge lots, and keep the registered endpoint true.

use crate::actor::MinerError;
use alloy_primitives::{FixedBytes, U256};
use alloy_signer_local::PrivateKeySigner;
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network},
};
use std::{sync::Arc, time::Duration};
use types::{
    Endpoint, ReceiptKey,
    abi::{IMiners, MINERS},
};

/// Lots that one transaction pledges.
const PLEDGE_LOTS_MAX: u32 = 256;
/// Wait before the chain is asked again after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a miner pledges and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerConfig {
    /// ISO 3166-1 alpha-2 or 3166-2 code of the place, such as `DE` or `US-CA`.
    pub region: String,
    /// Number of the autonomous system (ASN) that it is in; 0 if that is not said.
    pub network: u32,
    /// Lots to pledge in all; more are never taken back.
    pub lots: u32,
    /// Where peers reach this miner.
    pub endpoint: Endpoint,
    /// How much of the machine goes into repair.
    pub repair: RepairConfig,
}

/// How much of a machine goes into repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairConfig {
    /// Stripes that this miner rebuilds for itself at the same time; with none, what is missing stays missing.
    pub stripes_at_once: usize,
    /// Stripes that it rebuilds for newcomers at the same time; with none, it helps nobody.
    pub helps_at_once: usize,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self { stripes_at_once: 4, helps_at_once: 2 }
    }
}

/// The keys of a miner, beside the transport's.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The operator's account, which pays.
    pub operator: PrivateKeySigner,
    /// Signs receipts.
    pub receipt: ReceiptKey,
}

/// Brings the chain's record in line with the configuration, waiting for funds and for the node as long as it takes.
/// Returns the number of the miner.
pub(crate) async fn set_up(chain: &Arc<dyn ChainApi>, config: &MinerConfig, keys: &Keys) -> Result<u32, MinerError> {
    let sender = Sender::new(chain.clone(), keys.operator.clone());
    let mut told = String::new();
    loop {
        let error = match try_set_up(chain, &sender, config, keys).await {
            Ok(miner) => return Ok(miner),
            Err(SetupError::Final(error)) => return Err(error),
            Err(SetupError::Send(error)) if is_final(&error) => return Err(MinerError::Setup(error.to_string())),
            Err(SetupError::Send(error)) => error,
        };
        // Said once, not once a block; balances in the text of a lack of funds change with every attempt.
        let text = match &error {
            SendError::Funds { account, .. } => format!("account {account} needs funds: {error}"),
            other => other.to_string(),
        };
        if told != text {
            tracing::warn!("not registered yet: {text}");
            told = text;
        }
        wait(chain).await;
    }
}

enum SetupError {
    Send(SendError),
    Final(MinerError),
}

impl<E: Into<SendError>> From<E> for SetupError {
    fn from(error: E) -> Self {
        Self::Send(error.into())
    }
}

/// Whether trying again cannot help: the chain has refused what we are or what we pledge.
fn is_final(error: &SendError) -> bool {
    matches!(error, SendError::Chain(ChainError::Reverted { .. }) | SendError::Failed { .. } | SendError::TooMuchGas)
}

/// Waits for the next block, or a while if the chain cannot be reached.
async fn wait(chain: &Arc<dyn ChainApi>) {
    let next = async {
        let head = chain.head().await?;
        chain.wait_above(head.height).await
    };
    if next.await.is_err() {
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn try_set_up(
    chain: &Arc<dyn ChainApi>,
    sender: &Sender,
    config: &MinerConfig,
    keys: &Keys,
) -> Result<u32, SetupError> {
    let network = Network(&**chain);
    let spec = chain.spec().await?;
    let endpoint = config.endpoint.encode();
    let mut miner = network.miner_of(sender.address()).await?;
    if miner == 0 {
        let operator = sender.address();
        let call = IMiners::registerInCall {
            receiptKey: keys.receipt.public().to_bytes().to_vec().into(),
            proofOfPossession: keys.receipt.prove_possession(spec.chain_id, operator).to_bytes().to_vec().into(),
            endpoint: endpoint.clone().into(),
            region: region(&config.region)?,
            network: config.network,
        };
        sender.call(MINERS, U256::ZERO, &call).await?;
        miner = network.miner_of(sender.address()).await?;
        if miner == 0 {
            // Another node may be a block behind: it is looked at again.
            return Err(ChainError::Invalid("the registration is not in the state yet".into()).into());
        }
        tracing::info!(miner, %operator, "registered");
    }
    let record = network.miner(miner).await?;
    if record.receiptKey[..] != keys.receipt.public().to_bytes() {
        return Err(SetupError::Final(MinerError::ReceiptKey { miner }));
    }
    if record.endpoint[..] != endpoint {
        sender.call(MINERS, U256::ZERO, &IMiners::setEndpointCall { endpoint: endpoint.into() }).await?;
        tracing::info!(miner, "endpoint changed");
    }
    let mut lots = if record.retired { 0 } else { config.lots.saturating_sub(record.lots) };
    while lots > 0 {
        let now = lots.min(PLEDGE_LOTS_MAX);
        let collateral = spec.storage.lot_collateral.saturating_mul(U256::from(now));
        sender.call(MINERS, collateral, &IMiners::pledgeCall { lots: now }).await?;
        tracing::info!(miner, lots = now, "pledged");
        lots -= now;
    }
    Ok(miner)
}

fn region(code: &str) -> Result<FixedBytes<6>, SetupError> {
    let mut bytes = [0; 6];
    match bytes.get_mut(..code.len()) {
        Some(start) if !code.is_empty() && code.is_ascii() => start.copy_from_slice(code.as_bytes()),
        _ => return Err(SetupError::Final(MinerError::Region(code.to_owned()))),
    }
    Ok(bytes.into())
}
