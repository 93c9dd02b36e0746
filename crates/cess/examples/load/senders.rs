//! Make accounts with coins and tokens, and sign their transactions in advance.

use crate::{Kind, chain::Node};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolValue, sol};
use anyhow::{Context, Result, ensure};
use std::{collections::VecDeque, thread, time::Duration};

/// The repository's example token, compiled with solc 0.8.37 (contracts/examples/Token.sol).
const TOKEN: &str = include_str!("token.hex");
/// Whole coins, or tokens, that each sender begins with.
const COINS: u64 = 100;
/// Fees that always get in on a devnet.
const MAX_FEE: u128 = 100_000_000_000;
const TIP: u128 = 1_000_000_000;
/// How often we look whether accounts are funded.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

sol! {
    function transfer(address to, uint256 value) external returns (bool);
    function balanceOf(address account) external returns (uint256);
}

/// A transaction as it travels.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

/// An account with signed transactions in the order of their nonces.
pub struct Sender(VecDeque<Signed>);

impl Sender {
    /// The next transactions, at most `count`.
    pub fn take(&mut self, count: usize) -> Vec<Signed> {
        self.0.drain(..count.min(self.0.len())).collect()
    }
}

/// Makes `count` accounts that send `transactions` in all.
pub async fn prepare(
    nodes: &[Node],
    funder: &PrivateKeySigner,
    kind: Kind,
    count: usize,
    transactions: usize,
) -> Result<Vec<Sender>> {
    let chain_id = nodes[0].chain_id().await?;
    let keys: Vec<PrivateKeySigner> = (0..count).map(|_| PrivateKeySigner::random()).collect();
    let token = fund(&nodes[0], funder, chain_id, kind, &keys).await?;
    let each = transactions.div_ceil(count);
    // Signing takes as much of the processor as executing: it is done before the clock starts.
    let threads = thread::available_parallelism()?.get();
    let signed = thread::scope(|scope| {
        let shares: Vec<_> = keys
            .chunks(count.div_ceil(threads))
            .map(|share| {
                scope.spawn(move || share.iter().map(|key| sign_all(key, chain_id, token, each)).collect::<Vec<_>>())
            })
            .collect();
        shares.into_iter().flat_map(|share| share.join().expect("signing does not fail")).collect()
    });
    Ok(signed)
}

fn sign_all(key: &PrivateKeySigner, chain_id: u64, token: Option<Address>, count: usize) -> Sender {
    let signed = (0..count as u64).map(|nonce| {
        // Every receiver is new, as in the worst case: a new entry in the state each time.
        let receiver = Address::from_word(keccak256([key.address().as_slice(), &nonce.to_be_bytes()].concat()));
        match token {
            None => sign(key, chain_id, nonce, receiver.into(), U256::from(1), Bytes::new(), 21_000),
            Some(token) => {
                let input = transferCall { to: receiver, value: U256::from(1) }.abi_encode();
                sign(key, chain_id, nonce, token.into(), U256::ZERO, input.into(), 80_000)
            }
        }
    });
    Sender(signed.collect())
}

/// Gives every account coins, and tokens if that is what it sends.
async fn fund(
    node: &Node,
    funder: &PrivateKeySigner,
    chain_id: u64,
    kind: Kind,
    keys: &[PrivateKeySigner],
) -> Result<Option<Address>> {
    let amount = U256::from(COINS) * U256::from(10u64).pow(U256::from(18u64));
    let mut nonce = node.nonce(funder.address()).await?;
    let mut transactions = Vec::new();
    for key in keys {
        transactions.push(sign(funder, chain_id, nonce, key.address().into(), amount, Bytes::new(), 21_000));
        nonce += 1;
    }
    let mut token = None;
    if kind == Kind::Erc20 {
        let mut code = hex::decode(TOKEN.trim()).context("the token's code is hexadecimal")?;
        code.extend(("Load".to_string(), "LOAD".to_string(), amount * amount).abi_encode_params());
        let address = funder.address().create(nonce);
        transactions.push(sign(funder, chain_id, nonce, TxKind::Create, U256::ZERO, code.into(), 3_000_000));
        nonce += 1;
        for key in keys {
            let input = transferCall { to: key.address(), value: amount }.abi_encode();
            transactions.push(sign(funder, chain_id, nonce, address.into(), U256::ZERO, input.into(), 80_000));
            nonce += 1;
        }
        token = Some(address);
    }
    for batch in transactions.chunks(100) {
        node.send_batch(batch).await?;
    }
    let last = keys.last().context("no accounts")?.address();
    wait_for_funds(node, last, token).await?;
    Ok(token)
}

async fn wait_for_funds(node: &Node, account: Address, token: Option<Address>) -> Result<()> {
    for _ in 0..LOOKS {
        let balance = match token {
            None => node.balance(account).await?,
            Some(token) => {
                let output = node.call(token, balanceOfCall { account }.abi_encode().into()).await?;
                U256::try_from_be_slice(&output).unwrap_or_default()
            }
        };
        if !balance.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    ensure!(false, "the accounts were not funded in time");
    Ok(())
}

fn sign(
    key: &PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    to: TxKind,
    value: U256,
    input: Bytes,
    gas_limit: u64,
) -> Signed {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: TIP,
        to,
        value,
        input,
        access_list: Default::default(),
    };
    let signature = key.sign_hash_sync(&transaction.signature_hash()).expect("a local key signs any hash");
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() }
}
