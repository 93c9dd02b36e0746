//! Pass transactions on to the other validators, so that whoever leads next can include them.
//!
//! # Format
//! A message is a list of encoded transactions: `count (varint) ‖ count × (length (varint) ‖ bytes)`.

use crate::node::admit;
use archive::Archive;
use commonware_codec::{Decode, Encode, RangeCfg};
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Spawner};
use futures::future::{Either, select};
use light::consensus::PublicKey;
use mempool::Mempool;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{debug, trace};
use types::Transaction;

/// Largest message: several of the longest transactions, or thousands of short ones.
pub const MESSAGE_BYTES_MAX: usize = 512 << 10;
const TRANSACTIONS_MAX: usize = 4_096;
/// Transactions waiting to be passed on; more are left to the pool of the validator that took them.
pub const QUEUE_MAX: usize = 32_768;

/// Sends what was submitted here and admits what others send; ends with the network.
pub async fn run<E, S, R>(
    clock: E,
    pool: Mempool,
    archive: Archive,
    mut submitted: mpsc::Receiver<Arc<Transaction>>,
    channel: (S, R),
) where
    E: Clock + Spawner,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let (mut sender, mut receiver) = channel;
    loop {
        let step = {
            let next = std::pin::pin!(submitted.recv());
            let message = std::pin::pin!(receiver.recv());
            match select(next, message).await {
                Either::Left((transaction, _)) => Either::Left(transaction),
                Either::Right((message, _)) => Either::Right(message),
            }
        };
        match step {
            Either::Left(Some(first)) => {
                let batch = collect(first, &mut submitted);
                sender.send(Recipients::All, batch.encode(), false);
            }
            Either::Right(Ok((peer, message))) => {
                let bytes = bytes::Bytes::from(message);
                receive(&clock, &pool, &archive, &peer, bytes).await;
            }
            Either::Left(None) | Either::Right(Err(_)) => return,
        }
    }
}

/// Takes what else is waiting, up to a message.
fn collect(first: Arc<Transaction>, queue: &mut mpsc::Receiver<Arc<Transaction>>) -> Vec<bytes::Bytes> {
    const LENGTH_BYTES: usize = 5;
    let mut size = LENGTH_BYTES + first.raw().len() + LENGTH_BYTES;
    let mut batch = vec![first.raw().0.clone()];
    while batch.len() < TRANSACTIONS_MAX && size + Transaction::SIZE_BYTES_MAX + LENGTH_BYTES <= MESSAGE_BYTES_MAX {
        let Ok(next) = queue.try_recv() else { break };
        size += next.raw().len() + LENGTH_BYTES;
        batch.push(next.raw().0.clone());
    }
    batch
}

async fn receive<E: Clock>(clock: &E, pool: &Mempool, archive: &Archive, peer: &PublicKey, message: bytes::Bytes) {
    let limits = (RangeCfg::from(0..=TRANSACTIONS_MAX), RangeCfg::from(0..=Transaction::SIZE_BYTES_MAX));
    let Ok(batch) = Vec::<bytes::Bytes>::decode_cfg(message, &limits) else {
        debug!(%peer, "unreadable transactions");
        return;
    };
    for raw in batch {
        if pool.get(&alloy_primitives::keccak256(&raw)).is_some() {
            continue;
        }
        let added = match Transaction::decode(raw.into()) {
            Ok(transaction) => {
                admit(clock, pool, archive, Arc::new(transaction)).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = added {
            trace!(%peer, reason, "transaction not taken");
        }
    }
}
