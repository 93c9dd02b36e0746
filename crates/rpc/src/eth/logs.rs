//! Answer with logs, at once or by polling.

use super::name;
use crate::{
    error::{Answer, RpcError},
    filters::{FilterId, Watch},
    service::Service,
    shapes,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use archive::LogRecord;
use serde::Serialize;
use tokio::sync::broadcast::error::TryRecvError;

/// Most block hashes of one poll; the next poll has the rest.
const POLL_BLOCKS_MAX: u64 = 10_000;

/// What is new since the last poll.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
}

/// `eth_getLogs`.
pub(super) fn query(service: &Service, filter: &Filter) -> Answer<Vec<Log>> {
    let tip = service.history.tip()?.height;
    let (from, to) = match &filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = BlockId::from(*hash);
            let height = service.history.height_of(block)?.ok_or_else(|| RpcError::UnknownBlock(name(block)))?;
            (height, height)
        }
        FilterBlockOption::Range { .. } => range(filter, tip),
    };
    if from > to && to < tip {
        return Err(RpcError::InvalidParams(format!("invalid block range: it begins at {from} and ends at {to}")));
    }
    shaped(service.history.logs(filter, from, to.min(tip)))
}

fn shaped(found: Answer<Vec<LogRecord>>) -> Answer<Vec<Log>> {
    Ok(found?.into_iter().map(shapes::log).collect())
}

/// The blocks that a filter names, which may lie ahead; without a name it is the latest.
fn range(filter: &Filter, tip: u64) -> (u64, u64) {
    let height = |block: Option<BlockNumberOrTag>, tip| match block {
        Some(BlockNumberOrTag::Number(number)) => number,
        Some(BlockNumberOrTag::Earliest) => 0,
        _ => tip,
    };
    let FilterBlockOption::Range { from_block, to_block } = &filter.block_option else { return (tip, tip) };
    (height(*from_block, tip), height(*to_block, tip))
}

/// `eth_newFilter`.
pub(super) fn install_logs(service: &Service, filter: Filter) -> Answer<FilterId> {
    if matches!(filter.block_option, FilterBlockOption::AtBlockHash(_)) {
        return Err(RpcError::InvalidParams("a filter follows new blocks, it cannot name one by its hash".into()));
    }
    let after = service.history.tip()?.height;
    install(service, Watch::Logs { filter: Box::new(filter), after })
}

/// `eth_newBlockFilter`.
pub(super) fn install_blocks(service: &Service) -> Answer<FilterId> {
    let after = service.history.tip()?.height;
    install(service, Watch::Blocks { after })
}

/// `eth_newPendingTransactionFilter`.
pub(super) fn install_pending(service: &Service) -> Answer<FilterId> {
    install(service, Watch::Pending(service.mempool.subscribe()))
}

fn install(service: &Service, watch: Watch) -> Answer<FilterId> {
    let id = FilterId::from(rand::random::<[u8; 16]>());
    service.filters.lock().install(id, watch, service.now_ms())?;
    Ok(id)
}

/// What a poll has to look up once the filters are no longer locked.
enum Poll {
    Blocks { after: u64 },
    Logs { filter: Box<Filter>, after: u64 },
    Pending(Vec<B256>),
}

/// `eth_getFilterChanges`. A poll that fails loses nothing: the next one begins at the same block.
pub(super) fn changes(service: &Service, id: &FilterId) -> Answer<Changes> {
    let tip = service.history.tip()?.height;
    let (changes, seen) = match poll(service, id)? {
        Poll::Pending(hashes) => return Ok(Changes::Hashes(hashes)),
        Poll::Blocks { after } => {
            let to = tip.min(after.saturating_add(POLL_BLOCKS_MAX));
            let hashes = (after + 1..=to).map(|height| Ok(service.history.known_header(height)?.0));
            (Changes::Hashes(hashes.collect::<Answer<_>>()?), to)
        }
        Poll::Logs { filter, after } => {
            let (from, to) = followed(&filter);
            let (from, to) = (from.max(after + 1), to.min(tip));
            (Changes::Logs(shaped(service.history.logs(&filter, from, to))?), tip)
        }
    };
    if let Ok(Watch::Blocks { after } | Watch::Logs { after, .. }) = service.filters.lock().find(id, service.now_ms()) {
        *after = seen.max(*after);
    }
    Ok(changes)
}

fn poll(service: &Service, id: &FilterId) -> Answer<Poll> {
    Ok(match service.filters.lock().find(id, service.now_ms())? {
        Watch::Blocks { after } => Poll::Blocks { after: *after },
        Watch::Logs { filter, after } => Poll::Logs { filter: filter.clone(), after: *after },
        Watch::Pending(announced) => {
            let mut hashes = Vec::new();
            loop {
                match announced.try_recv() {
                    Ok(transaction) => hashes.push(transaction.hash()),
                    // Some were missed: a client that polls this seldom cannot have them all.
                    Err(TryRecvError::Lagged(_)) => (),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break Poll::Pending(hashes),
                }
            }
        }
    })
}

/// The blocks that a filter follows: without numbers, all that come.
fn followed(filter: &Filter) -> (u64, u64) {
    (filter.get_from_block().unwrap_or(0), filter.get_to_block().unwrap_or(u64::MAX))
}

/// `eth_getFilterLogs`.
pub(super) fn of_filter(service: &Service, id: &FilterId) -> Answer<Vec<Log>> {
    match poll(service, id)? {
        Poll::Logs { filter, .. } => query(service, &filter),
        Poll::Blocks { .. } | Poll::Pending(_) => Err(RpcError::UnknownFilter),
    }
}
