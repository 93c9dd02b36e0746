//! Push new blocks, logs and pending transactions to WebSocket clients.
//!
//! # Design
//! A subscription remembers the last block it told of and reads on from the archive whenever the tip moves. So a client
//! that is slow for a while gets everything later, and nothing is buffered for it beyond its connection's queue.

use crate::{
    error::{Answer, RpcError},
    history::wanted,
    service::Service,
    shapes,
};
use alloy_rpc_types_eth::{
    Filter,
    pubsub::{Params, SubscriptionKind},
};
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink, core::SubscriptionResult};
use serde::Serialize;
use serde_json::{Value, value::to_raw_value};
use tokio::sync::broadcast::error::RecvError;

/// What a client wants to hear of.
enum Topic {
    Heads,
    Logs(Box<Filter>),
    Pending(Form),
}

/// How much of a pending transaction is told.
#[derive(Clone, Copy)]
enum Form {
    Hash,
    Full,
}

/// `eth_subscribe`: answers until the client leaves or the server stops.
pub(super) async fn serve(
    service: &Service,
    pending: PendingSubscriptionSink,
    kind: SubscriptionKind,
    parameters: Option<Value>,
) -> SubscriptionResult {
    let topic = match topic(kind, parameters) {
        Ok(topic) => topic,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    // From here on: a client may act on the answer before this task goes on.
    let after = service.history.tip().map(|tip| tip.height).unwrap_or_default();
    let announced = service.mempool.subscribe();
    let sink = pending.accept().await?;
    let closed = sink.clone();
    let mut stopping = service.stopping.clone();
    let told = async {
        match topic {
            Topic::Heads => heads(service, &sink, after).await,
            Topic::Logs(filter) => logs(service, &sink, &filter, after).await,
            Topic::Pending(form) => transactions(&sink, form, announced).await,
        }
    };
    tokio::select! {
        ended = told => ended.map_err(|error| error.to_string().into()),
        () = closed.closed() => Ok(()),
        _ = stopping.wait_for(|stopping| *stopping) => Ok(()),
    }
}

fn topic(kind: SubscriptionKind, parameters: Option<Value>) -> Answer<Topic> {
    let parameters = Params::from_json_value(parameters.unwrap_or_default())
        .map_err(|error| RpcError::InvalidParams(error.to_string()))?;
    match (kind, parameters) {
        (SubscriptionKind::NewHeads, Params::None) => Ok(Topic::Heads),
        (SubscriptionKind::Logs, Params::None) => Ok(Topic::Logs(Box::default())),
        (SubscriptionKind::Logs, Params::Logs(filter)) => Ok(Topic::Logs(filter)),
        (SubscriptionKind::NewPendingTransactions, Params::None | Params::Bool(false)) => {
            Ok(Topic::Pending(Form::Hash))
        }
        (SubscriptionKind::NewPendingTransactions, Params::Bool(true)) => Ok(Topic::Pending(Form::Full)),
        (kind, _) => Err(RpcError::InvalidParams(format!("cannot subscribe to {kind} with these parameters"))),
    }
}

/// Why a subscription ends before the client ends it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Failed(#[from] RpcError),
    #[error("the client is gone")]
    Gone,
}

async fn heads(service: &Service, sink: &SubscriptionSink, mut after: u64) -> Result<(), Ended> {
    let mut tips = service.history.tips();
    loop {
        let tip = service.history.tip()?.height;
        while after < tip {
            after += 1;
            if let Some(found) = service.history.block(after)? {
                tell(sink, &shapes::block_header(&found)).await?;
            }
        }
        tips.changed().await.map_err(|_| Ended::Gone)?;
    }
}

async fn logs(service: &Service, sink: &SubscriptionSink, filter: &Filter, mut after: u64) -> Result<(), Ended> {
    let mut tips = service.history.tips();
    let wanted = wanted(filter);
    loop {
        let tip = service.history.tip()?.height;
        while after < tip {
            after += 1;
            // Block by block, so that no number of logs is too large for one answer.
            let Some(found) = service.history.block(after)? else { continue };
            for record in found.logs.iter().filter(|record| wanted.matches(&record.log)) {
                tell(sink, &shapes::log(record.clone())).await?;
            }
        }
        tips.changed().await.map_err(|_| Ended::Gone)?;
    }
}

async fn transactions(
    sink: &SubscriptionSink,
    form: Form,
    mut announced: tokio::sync::broadcast::Receiver<std::sync::Arc<types::Transaction>>,
) -> Result<(), Ended> {
    loop {
        match (announced.recv().await, form) {
            (Ok(transaction), Form::Hash) => tell(sink, &transaction.hash()).await?,
            (Ok(transaction), Form::Full) => tell(sink, &shapes::transaction(&transaction, None)).await?,
            // The pool does not wait for slow readers.
            (Err(RecvError::Lagged(_)), _) => (),
            (Err(RecvError::Closed), _) => return Err(Ended::Gone),
        }
    }
}

async fn tell(sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), Ended> {
    let item = to_raw_value(item).map_err(|error| RpcError::Internal(error.to_string()))?;
    sink.send(item).await.map_err(|_| Ended::Gone)
}
