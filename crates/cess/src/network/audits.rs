//! Show the present audit round and how miners stand: `cess network audits`.

use super::members::{Member, Members};
use crate::{
    cli::NumberPage,
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{U256, utils::format_ether};
use anyhow::Result;
use client::chain::{ChainApi, Network};
use serde::Serialize;
use types::{
    abi::{AUDITS, IAudits},
    layout::audits::Stage,
};

/// `cess network audits --json`
#[derive(Serialize)]
struct AuditsView {
    /// Rounds so far; nothing on a chain without audits.
    round: Option<RoundView>,
    miners: Vec<StandingView>,
}

#[derive(Serialize)]
struct RoundView {
    number: u64,
    stage: &'static str,
    deadline_ms: u64,
    lots: u32,
    samples: u32,
    /// Demands of walks that are not settled, of all miners.
    demands: u64,
}

/// How a miner stands.
#[derive(Serialize)]
struct StandingView {
    name: String,
    id: u32,
    lots: u32,
    /// The last round that it committed in.
    committed: u64,
    faults: u32,
    /// The last round with a fault; 0 for none.
    last_fault: u64,
    vesting_wei: U256,
    claimable_wei: U256,
}

/// Where these miners stand, in their order; nothing on a chain without audits.
pub async fn standings(session: &Session, members: &Members) -> Result<Option<Vec<IAudits::Standing>>> {
    if session.chain.spec().await?.storage.audits.is_none() {
        return Ok(None);
    }
    let calls: Vec<_> = members.all().map(|member| IAudits::standingCall { miner: member.id }).collect();
    Ok(Some(Network(&*session.chain).read_many(AUDITS, &calls).await?))
}

/// Does what `cess network audits` says.
pub async fn run(page: NumberPage, session: &Session) -> Result<()> {
    let (members, more) = Members::page(session, page).await?;
    let view = match standings(session, &members).await? {
        None => AuditsView { round: None, miners: Vec::new() },
        Some(standings) => {
            let network = Network(&*session.chain);
            let round = network.read(AUDITS, &IAudits::roundCall {}).await?;
            let demands = network.read(AUDITS, &IAudits::demandsCall {}).await?;
            let demands = demands.end.saturating_sub(demands.first);
            let miners =
                members.all().zip(standings).map(|(member, standing)| standing_view(member, standing)).collect();
            AuditsView { round: Some(round_view(&round, demands)), miners }
        }
    };
    if session.json() {
        return print::json(&view);
    }
    let Some(round) = view.round else { return print::line("this chain has no audits") };
    print::line(format!("round {}: {}, {} lots, {} samples", round.number, round.stage, round.lots, round.samples))?;
    if round.demands > 0 {
        print::line(format!("{} demands of walks over idle units are not settled", round.demands))?;
    }
    let mut table = Table::new(["miner", "lots", "last round", "faults", "last fault", "vesting", "claimable"]);
    for row in view.miners {
        let last_fault = if row.faults == 0 { "-".into() } else { format!("round {}", row.last_fault) };
        let [vesting, claimable] = [row.vesting_wei, row.claimable_wei].map(format_ether);
        let (lots, committed, faults) = (row.lots.to_string(), row.committed.to_string(), row.faults.to_string());
        table.row([row.name, lots, committed, faults, last_fault, vesting, claimable]);
    }
    table.print()?;
    print::more(page, more)
}

fn standing_view(member: &Member, standing: IAudits::Standing) -> StandingView {
    StandingView {
        name: member.name.clone(),
        id: member.id,
        lots: standing.lotsLive,
        committed: standing.committed,
        faults: standing.faults,
        last_fault: standing.faulted,
        vesting_wei: standing.vesting,
        claimable_wei: standing.claimable,
    }
}

/// What a round is at.
pub fn stage_name(stage: u8) -> &'static str {
    match Stage::from_u8(stage) {
        Stage::Rest => "between rounds",
        Stage::AwaitA => "waiting for its first beacon",
        Stage::Commit => "taking commitments",
        Stage::AwaitB => "waiting for its second beacon",
        Stage::Open => "taking openings",
        Stage::Settle => "judging what was not opened",
    }
}

fn round_view(round: &IAudits::Round, demands: u64) -> RoundView {
    let stage = stage_name(round.stage);
    let IAudits::Round { number, deadlineMs, lots, samples, .. } = *round;
    RoundView { number, stage, deadline_ms: deadlineMs, lots, samples, demands }
}
