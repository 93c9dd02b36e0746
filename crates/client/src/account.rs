//! Send transactions from one account: nonces in order, fees that get in, errors in words.

mod revert;

pub use revert::explain;

use crate::chain::{CallRequest, ChainApi, ChainError, TransactionReceipt};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolError};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// Most gas of one transaction (EIP-7825).
pub const TRANSACTION_GAS_MAX: u64 = 1 << 24;
/// Tip per gas, wei.
const PRIORITY_FEE_WEI: u128 = 1_000_000_000;
/// How often a nonce that somebody else took is chosen anew.
const NONCE_ATTEMPTS: usize = 5;
/// Blocks after which a transaction that is in none is sent again.
const RESEND_BLOCKS: u64 = 5;
/// The same where another may have its nonce.
const CONTESTED_BLOCKS: u64 = 2;
/// Blocks after which we stop waiting.
const PATIENCE_BLOCKS: u64 = 120;
/// How long no node may be in reach while a transaction that was sent is waited for.
const REACH_PATIENCE: Duration = Duration::from_secs(60);
/// Wait before a node that was out of reach is asked again.
const REACH_PAUSE: Duration = Duration::from_secs(1);

/// A transaction did not have its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The chain could not be asked, or refused before anything was sent.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction is in a block, but reverted there.
    #[error("transaction {hash} failed: {}", explain(data))]
    Failed {
        /// The transaction.
        hash: B256,
        /// Revert data; empty if it could not be found out.
        data: Bytes,
    },
    /// The account cannot pay.
    #[error("account {account} has {balance} wei and needs {needed}: send it some first")]
    Funds {
        /// The account.
        account: Address,
        /// What it has.
        balance: U256,
        /// What the transaction may cost.
        needed: U256,
    },
    /// Another program used the nonce.
    #[error("transaction {hash} was replaced by another of the same account: try again")]
    Replaced {
        /// Our transaction.
        hash: B256,
    },
    /// No block took it.
    #[error("transaction {hash} is in no block after {blocks} blocks: check the fee and try again")]
    NotIncluded {
        /// The transaction.
        hash: B256,
        /// Blocks we waited.
        blocks: u64,
    },
    /// It was sent, and nobody can say what became of it.
    #[error("transaction {hash} was sent, but {source}; look whether a block has it before you do it again")]
    Unknown {
        /// The transaction.
        hash: B256,
        /// Why nobody can say.
        source: ChainError,
    },
    /// One transaction cannot do that much.
    #[error("the transaction takes more than {TRANSACTION_GAS_MAX} gas: do it in smaller steps")]
    TooMuchGas,
}

impl SendError {
    /// Revert data, whether found before sending or after.
    pub fn revert_data(&self) -> Option<&Bytes> {
        match self {
            Self::Chain(ChainError::Reverted { data }) | Self::Failed { data, .. } => Some(data),
            _ => None,
        }
    }

    /// Whether the transaction reverted with this error.
    pub fn is_revert<E: SolError>(&self) -> bool {
        self.revert_data().is_some_and(|data| E::abi_decode(data).is_ok())
    }
}

/// What a transaction offers for its gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fee {
    /// Twice the base fee at most, and a tip.
    Usual,
    /// Nothing: it travels in the audit lane.
    None,
}

/// A transaction on its way.
struct Sent {
    hash: B256,
    nonce: u64,
    raw: Bytes,
    /// A node has said that it has it.
    is_received: bool,
}

/// What a node says of a transaction that is offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    /// It waits for a block.
    Waits,
    /// Another with its nonce waits, or this one.
    Contested,
    /// A block has one with its nonce.
    Taken,
}

/// How far it is with a transaction that is waited for.
#[derive(Default)]
struct Waiting {
    /// The block at which the wait began, and the newest.
    heights: Option<(u64, u64)>,
    /// When it was offered last.
    sent_at: Option<u64>,
    was_taken: bool,
    /// Another transaction may have its nonce.
    is_contested: bool,
    has_failed: bool,
}

/// Sends transactions of one account, one nonce after the other.
pub struct Sender {
    chain: Arc<dyn ChainApi>,
    signer: PrivateKeySigner,
    /// Next nonce, once known.
    nonce: Mutex<Option<u64>>,
}

impl Sender {
    /// Sends for the account of `signer`.
    pub fn new(chain: Arc<dyn ChainApi>, signer: PrivateKeySigner) -> Self {
        Self { chain, signer, nonce: Mutex::new(None) }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The account's key.
    pub fn signer(&self) -> &PrivateKeySigner {
        &self.signer
    }

    /// The chain it sends to.
    pub fn chain(&self) -> &Arc<dyn ChainApi> {
        &self.chain
    }

    /// Calls a module or contract and waits until the effect is final.
    pub async fn call<C: SolCall>(&self, to: Address, value: U256, call: &C) -> Result<TransactionReceipt, SendError> {
        self.send(to, value, call.abi_encode().into()).await
    }

    /// Makes a call that travels in the audit lane, and costs nothing, and waits until the effect is final.
    pub async fn call_in_lane<C: SolCall>(&self, to: Address, call: &C) -> Result<TransactionReceipt, SendError> {
        let data = call.abi_encode().into();
        self.send_for(CallRequest { from: self.address(), to, value: U256::ZERO, data }, Fee::None).await
    }

    /// Sends a transaction and waits until its effect is final.
    pub async fn send(&self, to: Address, value: U256, data: Bytes) -> Result<TransactionReceipt, SendError> {
        self.send_for(CallRequest { from: self.address(), to, value, data }, Fee::Usual).await
    }

    async fn send_for(&self, request: CallRequest, fee: Fee) -> Result<TransactionReceipt, SendError> {
        let mut attempt = 1;
        let receipt = loop {
            let sent = self.submit(&request, fee).await?;
            match self.wait(&request, fee, &sent).await {
                // It never arrived, and never can: another has its nonce.
                Err(SendError::Replaced { .. }) if !sent.is_received && attempt < NONCE_ATTEMPTS => attempt += 1,
                result => break result?,
            }
        };
        if receipt.succeeded {
            return Ok(receipt);
        }
        let hash = receipt.transaction_hash;
        // What made it fail stands in no receipt; the same call fails in the same way now, or we cannot know.
        let data = match self.chain.estimate_gas(request).await {
            Err(ChainError::Reverted { data }) => data,
            _ => Bytes::new(),
        };
        Err(SendError::Failed { hash, data })
    }

    /// Signs and hands over, choosing another nonce while somebody else is quicker.
    async fn submit(&self, request: &CallRequest, fee: Fee) -> Result<Sent, SendError> {
        let chain_id = self.chain.spec().await?.chain_id;
        let gas = self.gas_limit(request).await?;
        let base_fee = u128::from(self.chain.head().await?.base_fee_per_gas);
        let (max_fee, priority_fee) = match fee {
            Fee::Usual => (base_fee.saturating_mul(2).saturating_add(PRIORITY_FEE_WEI), PRIORITY_FEE_WEI),
            Fee::None => (0, 0),
        };
        let mut next = self.nonce.lock().await;
        for attempt in 1.. {
            let nonce = match *next {
                Some(nonce) => nonce,
                None => self.chain.account(self.address()).await?.pending_nonce,
            };
            let raw = self.sign(TxEip1559 {
                chain_id,
                nonce,
                gas_limit: gas,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: priority_fee,
                to: TxKind::Call(request.to),
                value: request.value,
                input: request.data.clone(),
                access_list: Default::default(),
            });
            match self.chain.send_raw(raw.clone()).await {
                Ok(hash) => {
                    *next = Some(nonce + 1);
                    return Ok(Sent { hash, nonce, raw, is_received: true });
                }
                // The answer may have been lost, not the transaction: with another nonce it could be in two blocks.
                Err(ChainError::Unreachable { .. }) => {
                    *next = Some(nonce + 1);
                    return Ok(Sent { hash: keccak256(&raw), nonce, raw, is_received: false });
                }
                Err(error) if is_nonce_error(&error) && attempt < NONCE_ATTEMPTS => *next = None,
                Err(error) => {
                    *next = None;
                    return Err(self.blame(error, request, gas, max_fee).await);
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn gas_limit(&self, request: &CallRequest) -> Result<u64, SendError> {
        let gas = match self.chain.estimate_gas(request.clone()).await {
            Ok(gas) => gas,
            Err(error) => return Err(self.blame(error, request, 0, 0).await),
        };
        if gas > TRANSACTION_GAS_MAX {
            return Err(SendError::TooMuchGas);
        }
        // State may change until the block: a fifth more pays for that.
        Ok((gas + gas / 5).min(TRANSACTION_GAS_MAX))
    }

    /// Finds out whether a refusal is about money, which nodes word in many ways.
    async fn blame(&self, error: ChainError, request: &CallRequest, gas: u64, max_fee: u128) -> SendError {
        if !matches!(error, ChainError::Rpc { .. }) {
            return error.into();
        }
        let needed = request.value.saturating_add(U256::from(gas) * U256::from(max_fee));
        match self.chain.account(self.address()).await {
            Ok(state) if state.balance < needed => {
                SendError::Funds { account: self.address(), balance: state.balance, needed }
            }
            _ => error.into(),
        }
    }

    fn sign(&self, transaction: TxEip1559) -> Bytes {
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash()).expect("a local key signs any hash");
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
    }

    /// Waits until a block has what was sent, also while no node can be reached for a while.
    async fn wait(&self, request: &CallRequest, fee: Fee, sent: &Sent) -> Result<TransactionReceipt, SendError> {
        let (mut waiting, mut unreachable_since) = (Waiting::default(), None);
        loop {
            match self.look(request, fee, sent, &mut waiting).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => unreachable_since = None,
                Err(SendError::Chain(source @ ChainError::Unreachable { .. })) => {
                    let since = *unreachable_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > REACH_PATIENCE {
                        *self.nonce.lock().await = None;
                        return Err(SendError::Unknown { hash: sent.hash, source });
                    }
                    tokio::time::sleep(REACH_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks for a receipt, and waits for the next block if there is none.
    async fn look(
        &self,
        request: &CallRequest,
        fee: Fee,
        sent: &Sent,
        waiting: &mut Waiting,
    ) -> Result<Option<TransactionReceipt>, SendError> {
        let Sent { hash, nonce, ref raw, is_received } = *sent;
        let (start, height) = match waiting.heights {
            Some(heights) => heights,
            None => {
                let height = self.chain.head().await?.height;
                waiting.heights = Some((height, height));
                waiting.sent_at = is_received.then_some(height);
                (height, height)
            }
        };
        if let Some(receipt) = self.chain.receipt(hash).await? {
            return Ok(Some(receipt));
        }
        if height >= start + PATIENCE_BLOCKS {
            *self.nonce.lock().await = None;
            return Err(SendError::NotIncluded { hash, blocks: height - start });
        }
        let pause = if waiting.is_contested { CONTESTED_BLOCKS } else { RESEND_BLOCKS };
        if waiting.sent_at.is_none_or(|sent_at| height >= sent_at + pause) {
            let offered = self.send_again(nonce, raw).await?;
            waiting.sent_at = Some(height);
            let (is_taken, was_taken) = (offered == Offered::Taken, waiting.was_taken);
            // State runs ahead of receipts: what took the nonce may be this very transaction.
            if is_taken && was_taken {
                *self.nonce.lock().await = None;
                return Err(SendError::Replaced { hash });
            }
            waiting.was_taken = is_taken;
            waiting.is_contested = offered != Offered::Waits;
            // No block takes a call in the lane that fails. But state runs ahead of receipts here too.
            if fee == Fee::None
                && let Some(data) = self.would_fail(request).await?
                && std::mem::replace(&mut waiting.has_failed, true)
            {
                // The next call takes its place in the pool.
                *self.nonce.lock().await = Some(nonce);
                return Err(SendError::Failed { hash, data });
            }
        }
        let newest = self.chain.wait_above(height).await?.height;
        waiting.heights = Some((start, newest));
        Ok(None)
    }

    /// What a call would revert with now.
    async fn would_fail(&self, request: &CallRequest) -> Result<Option<Bytes>, ChainError> {
        match self.chain.estimate_gas(request.clone()).await {
            Ok(_) => Ok(None),
            Err(ChainError::Reverted { data }) => Ok(Some(data)),
            Err(error) => Err(error),
        }
    }

    /// Offers a transaction anew that has no receipt: the pool may have dropped it.
    async fn send_again(&self, nonce: u64, raw: &Bytes) -> Result<Offered, SendError> {
        match self.chain.send_raw(raw.clone()).await {
            Err(error) if is_nonce_error(&error) => {
                let is_taken = self.chain.account(self.address()).await?.nonce > nonce;
                Ok(if is_taken { Offered::Taken } else { Offered::Contested })
            }
            Err(ChainError::Rpc { .. }) | Ok(_) => Ok(Offered::Waits),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a refusal means that the nonce is taken: by another process with the same key, say.
fn is_nonce_error(error: &ChainError) -> bool {
    let ChainError::Rpc { message, .. } = error else { return false };
    let message = message.to_lowercase();
    message.contains("nonce") || message.contains("underpriced")
}

#[cfg(test)]
mod tests;
