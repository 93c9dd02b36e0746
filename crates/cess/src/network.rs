//! Look at the network: `cess network`.

pub mod audits;
pub mod members;
pub mod volumes;

use crate::{
    cli::{NetworkCommand, NumberPage, format_bytes},
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{Address, B256, Bytes};
use anyhow::Result;
use client::{Region, chain::Network};
use members::{Member, Members};
use serde::Serialize;
use std::collections::BTreeMap;
use types::abi::{IMiners, IVolumes, MINERS, VOLUMES};

/// Most volumes that are looked at for what miners hold.
const USED_VOLUMES_MAX: u32 = 10_000;

/// `cess network status --json`
#[derive(Serialize)]
struct StatusView {
    chain_id: u64,
    height: u64,
    hash: B256,
    timestamp_ms: u64,
    base_fee_per_gas: u64,
    epoch: u64,
    view: u64,
    committee: Vec<B256>,
    group_key: Bytes,
}

/// An element of `cess network miners --json`
#[derive(Serialize)]
struct MinerView {
    name: String,
    id: u32,
    operator: Address,
    endpoint: Option<String>,
    region: String,
    /// Its autonomous system as declared; 0 for none.
    network: u32,
    lots: u32,
    lots_free: u32,
    /// Bytes it has to hold; absent where there are too many volumes to look at.
    used: Option<u64>,
    /// Faults that audits found; none on a chain without them.
    faults: u32,
    retired: bool,
}

/// Does what `cess network …` says.
pub async fn run(command: NetworkCommand, session: &Session) -> Result<()> {
    match command {
        NetworkCommand::Status => status(session).await,
        NetworkCommand::Volumes { volume: Some(volume), .. } => volumes::one(volume, session).await,
        NetworkCommand::Volumes { volume: None, page } => volumes::list(page, session).await,
        NetworkCommand::Miners(page) => miners(page, session).await,
        NetworkCommand::Audits(page) => audits::run(page, session).await,
    }
}

async fn status(session: &Session) -> Result<()> {
    let status = session.status().await?;
    let view = StatusView {
        chain_id: status.chain_id,
        height: status.height,
        hash: status.hash,
        timestamp_ms: status.timestamp_ms,
        base_fee_per_gas: status.base_fee_per_gas,
        epoch: status.epoch,
        view: status.view,
        committee: status.committee,
        group_key: status.group_key,
    };
    if session.json() {
        return print::json(&view);
    }
    let mut lines = vec![
        format!("chain      {}", view.chain_id),
        format!("height     {}", view.height),
        format!("block      {}", view.hash),
        format!("epoch      {}, view {}", view.epoch, view.view),
        format!("group key  {}", view.group_key),
    ];
    lines.extend(view.committee.iter().enumerate().map(|(seat, key)| format!("seat {seat:<5} {key}")));
    print::line(lines.join("\n"))
}

async fn miners(page: NumberPage, session: &Session) -> Result<()> {
    let (members, more) = Members::page(session, page).await?;
    let used = used(session).await?;
    let standings = audits::standings(session, &members).await?.unwrap_or_default();
    let faults = standings.iter().map(|standing| standing.faults).chain(std::iter::repeat(0));
    let calls: Vec<_> = members.all().map(|member| IMiners::standingCall { id: member.id }).collect();
    let places = Network(&*session.chain).read_many(MINERS, &calls).await?;
    let all = members.all().zip(places).zip(faults);
    let views: Vec<MinerView> =
        all.map(|((member, place), faults)| miner_view(member, place.network, used.as_ref(), faults)).collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["miner", "region", "network", "lots", "free", "used", "faults", "endpoint"]);
    for view in views {
        let endpoint = view.endpoint.unwrap_or_else(|| "unknown".into());
        let network = if view.network == 0 { "-".into() } else { format!("AS{}", view.network) };
        let [all, free] = [view.lots.to_string(), view.lots_free.to_string()];
        table.row([
            view.name,
            view.region,
            network,
            all,
            free,
            view.used.map_or("-".into(), format_bytes),
            view.faults.to_string(),
            endpoint,
        ]);
    }
    table.print()?;
    print::more(page, more)
}

fn miner_view(member: &Member, network: u32, used: Option<&BTreeMap<u32, u64>>, faults: u32) -> MinerView {
    let record = &member.record;
    MinerView {
        name: member.name.clone(),
        id: member.id,
        operator: record.operator,
        endpoint: member.endpoint.as_ref().map(members::shown),
        region: Region::from(record.region).to_string(),
        network,
        lots: record.lots,
        lots_free: record.lotsFree,
        used: used.map(|used| used.get(&member.id).copied().unwrap_or_default()),
        faults,
        retired: record.retired,
    }
}

/// Bytes of each miner's columns; nothing where there are too many volumes to look at.
async fn used(session: &Session) -> Result<Option<BTreeMap<u32, u64>>> {
    let network = Network(&*session.chain);
    let count = network.volume_count().await?;
    if count > USED_VOLUMES_MAX {
        return Ok(None);
    }
    let calls: Vec<_> = (1..=count).map(|id| IVolumes::volumeCall { id }).collect();
    let mut used: BTreeMap<u32, u64> = BTreeMap::new();
    for volume in network.read_many(VOLUMES, &calls).await? {
        for miner in volume.miners {
            *used.entry(miner).or_default() += volume.columnBytes;
        }
    }
    Ok(Some(used))
}
