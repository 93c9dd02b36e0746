//! Look at the network: `cess network`.

mod audits;
mod members;

use crate::{
    cli::{NetworkCommand, format_bytes},
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{Address, B256, Bytes};
use anyhow::Result;
use client::{Region, chain::Network};
use members::{Member, Members};
use serde::Serialize;
use std::collections::BTreeMap;
use types::{
    Profile,
    abi::{IMiners, IVolumes, MINERS, VOLUMES},
};

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
    /// Bytes it has to hold.
    used: u64,
    /// Faults that audits found; none on a chain without them.
    faults: u32,
    retired: bool,
}

/// An element of `cess network volumes --json`
#[derive(Serialize)]
struct VolumeView {
    id: u32,
    /// Absent if this program does not know it.
    profile: Option<Profile>,
    open: bool,
    stripes: u32,
    column_bytes: u64,
    members: Vec<MemberView>,
    /// Members that answer now.
    survivors: usize,
}

/// A seat of a volume.
#[derive(Serialize)]
struct MemberView {
    seat: usize,
    miner: u32,
    name: String,
    answers: bool,
}

/// Does what `cess network …` says.
pub async fn run(command: NetworkCommand, session: &Session) -> Result<()> {
    match command {
        NetworkCommand::Status => status(session).await,
        NetworkCommand::Volumes => volumes(session).await,
        NetworkCommand::Miners => miners(session).await,
        NetworkCommand::Audits => audits::run(session).await,
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

async fn miners(session: &Session) -> Result<()> {
    let members = Members::read(session).await?;
    let mut used: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, volume) in all_volumes(session).await? {
        for miner in volume.miners {
            *used.entry(miner).or_default() += volume.columnBytes;
        }
    }
    let standings = audits::standings(session, &members).await?.unwrap_or_default();
    let faults = standings.iter().map(|standing| standing.faults).chain(std::iter::repeat(0));
    let calls: Vec<_> = members.all().map(|member| IMiners::standingCall { id: member.id }).collect();
    let places = Network(&*session.chain).read_many(MINERS, &calls).await?;
    let all = members.all().zip(places).zip(faults);
    let views: Vec<MinerView> =
        all.map(|((member, place), faults)| miner_view(member, place.network, &used, faults)).collect();
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
            format_bytes(view.used),
            view.faults.to_string(),
            endpoint,
        ]);
    }
    table.print()
}

fn miner_view(member: &Member, network: u32, used: &BTreeMap<u32, u64>, faults: u32) -> MinerView {
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
        used: used.get(&member.id).copied().unwrap_or_default(),
        faults,
        retired: record.retired,
    }
}

async fn volumes(session: &Session) -> Result<()> {
    let volumes = all_volumes(session).await?;
    let members = Members::read(session).await?;
    let answering = members.answering().await?;
    let views: Vec<VolumeView> = volumes
        .into_iter()
        .map(|(id, volume)| {
            let seats = volume.miners.iter().enumerate().map(|(seat, &miner)| MemberView {
                seat,
                miner,
                name: members.name(miner),
                answers: answering.contains(&miner),
            });
            let seats: Vec<MemberView> = seats.collect();
            VolumeView {
                id,
                profile: Profile::from_u8(volume.profile),
                open: volume.open,
                stripes: volume.stripeCount,
                column_bytes: volume.columnBytes,
                survivors: seats.iter().filter(|seat| seat.answers).count(),
                members: seats,
            }
        })
        .collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["volume", "profile", "state", "stripes", "column", "survivors", "members"]);
    for view in views {
        let state = if view.open { "open" } else { "full" };
        let survivors = format!("{} of {}", view.survivors, view.members.len());
        let names: Vec<&str> = view.members.iter().map(|member| member.name.as_str()).collect();
        table.row([
            view.id.to_string(),
            view.profile.map_or("unknown".into(), |profile| format!("{profile:?}").to_lowercase()),
            state.into(),
            view.stripes.to_string(),
            format_bytes(view.column_bytes),
            survivors,
            names.join(" "),
        ]);
    }
    table.print()
}

/// Every volume with its number.
async fn all_volumes(session: &Session) -> Result<Vec<(u32, IVolumes::Volume)>> {
    let network = Network(&*session.chain);
    let ids = 1..=network.volume_count().await?;
    let calls: Vec<_> = ids.clone().map(|id| IVolumes::volumeCall { id }).collect();
    Ok(ids.zip(network.read_many(VOLUMES, &calls).await?).collect())
}
