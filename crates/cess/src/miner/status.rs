//! Show how a miner stands: `cess miner status`.

use crate::{
    cli::{MinerCommand, MinerStatusArgs, format_amount, format_bytes},
    network::{
        audits,
        members::{self, Member, Members},
        volumes::SeatView,
    },
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{Address, U256};
use anyhow::{Context, Result, ensure};
use client::{
    Region,
    audits::AuditHistory,
    chain::{ChainApi, Network},
};
use serde::Serialize;
use types::abi::{AUDITS, IAudits, IMiners, IVolumes, MINERS, VOLUMES};

/// Most lots that are looked at one by one.
const LOTS_MAX: u32 = 2_048;

/// `cess miner status --json`
#[derive(Serialize)]
struct StatusView {
    id: u32,
    name: String,
    operator: Address,
    region: String,
    /// Its autonomous system as declared; 0 for none.
    network: u32,
    retired: bool,
    draining: bool,
    /// Missed so many rounds in a row that none of its lots is drawn.
    silent: bool,
    collateral_wei: U256,
    lots: LotsView,
    /// What the miner says of itself; absent if it does not answer.
    own: Option<OwnView>,
    endpoint: Option<String>,
    /// Absent on a chain without audits.
    rounds: Option<RoundsView>,
    earnings: Option<EarningsView>,
    /// Its seats, as far as they are not whole.
    repairs: Vec<RepairView>,
    /// What to do, most pressing first.
    advice: Vec<String>,
}

#[derive(Serialize)]
struct LotsView {
    /// Not counting withdrawn ones.
    all: u32,
    free: u32,
    /// In volumes.
    members: u32,
    /// Of those, how many hold seats that are lost or being rebuilt; absent if there are too many to look at.
    broken: Option<usize>,
}

#[derive(Serialize)]
struct OwnView {
    height: u64,
    free_bytes: u64,
}

#[derive(Serialize)]
struct RoundsView {
    /// The present one.
    number: u64,
    stage: &'static str,
    last_answered: u64,
    missed_in_a_row: u16,
    /// First height that the counts below are of.
    from_height: u64,
    answered: u64,
    missed: u64,
    samples_opened: u64,
    faults: Vec<FaultView>,
    fines_wei: U256,
    /// Rounds to be answered with additional samples.
    watched_rounds: u8,
    walks: WalksView,
}

/// Demands of walks over its idle units.
#[derive(Serialize)]
struct WalksView {
    /// To be met.
    open: u32,
    met: u64,
    failed: u64,
}

#[derive(Serialize)]
struct FaultView {
    round: u64,
    sample: u32,
    lot: u32,
    slot: u32,
    fine_wei: U256,
}

#[derive(Serialize)]
struct EarningsView {
    earned_wei: U256,
    claimed_wei: U256,
    claimable_wei: U256,
    vesting_wei: U256,
}

#[derive(Serialize)]
struct RepairView {
    volume: u32,
    seat: u16,
    lot: u32,
    #[serde(flatten)]
    state: SeatView,
}

/// Does what `cess miner …` says, but for running one.
pub async fn show(command: MinerCommand, session: &Session) -> Result<()> {
    match command {
        MinerCommand::Status(arguments) => status(arguments, session).await,
        MinerCommand::Retire(_) => unreachable!("it needs no session"),
    }
}

async fn status(arguments: MinerStatusArgs, session: &Session) -> Result<()> {
    let network = Network(&*session.chain);
    let id = find(&arguments, session).await?;
    let all = Members::of(session, [id]).await?;
    let member = all.all().next().context("the registry is empty")?;
    let own = all.statuses().await?.remove(&id);
    let stamp = network.stamp().await?;
    let placed = network.read(MINERS, &IMiners::standingCall { id }).await?;
    let standing = audits::standings(session, &all).await?.and_then(|mut standings| standings.pop());
    let (mut rounds, mut earnings, mut repairs, mut broken) = (None, None, Vec::new(), None);
    if let Some(standing) = &standing {
        let history = network.audit_history(id, stamp.height.saturating_sub(arguments.blocks)).await?;
        let round = network.read(AUDITS, &IAudits::roundCall {}).await?;
        earnings = Some(EarningsView {
            earned_wei: history.earned,
            claimed_wei: history.claimed,
            claimable_wei: standing.claimable,
            vesting_wei: standing.vesting,
        });
        let demands = network.read(AUDITS, &IAudits::demandCountCall { miner: id }).await?;
        rounds = Some(rounds_view(&round, standing, history, demands.open));
        if standing.lots <= LOTS_MAX {
            repairs = seats(session, id, standing.lots, stamp.timestamp_ms).await?;
            broken = Some(repairs.iter().filter(|repair| matches!(repair.state.state, "lost" | "rebuilding")).count());
        }
    }
    let record = &member.record;
    let mut view = StatusView {
        id,
        name: member.name.clone(),
        operator: record.operator,
        region: Region::from(record.region).to_string(),
        network: placed.network,
        retired: record.retired,
        draining: placed.draining,
        silent: placed.silent,
        collateral_wei: record.collateral,
        lots: LotsView {
            all: record.lots,
            free: record.lotsFree,
            members: record.lots.saturating_sub(record.lotsFree),
            broken,
        },
        own: own.map(|own| OwnView { height: own.height, free_bytes: own.free_bytes }),
        endpoint: member.endpoint.as_ref().map(members::shown),
        rounds,
        earnings,
        repairs,
        advice: Vec::new(),
    };
    view.advice = advice(&view, stamp.height);
    if session.json() {
        return print::json(&view);
    }
    view.print(member, stamp.timestamp_ms)
}

/// The miner that is meant.
async fn find(arguments: &MinerStatusArgs, session: &Session) -> Result<u32> {
    let network = Network(&*session.chain);
    if let Some(id) = arguments.id {
        let count = network.miner_count().await?;
        ensure!((1..=count).contains(&id), "miner {id} does not exist: list them with `cess network miners`");
        return Ok(id);
    }
    let (address, whose) = match arguments.address {
        Some(address) => (address, "no miner is operated by"),
        None => (session.address()?, "name a miner with --id or --address: this account has none,"),
    };
    let id = network.miner_of(address).await?;
    ensure!(id > 0, "{whose} {address} (`cess network miners` lists all)");
    Ok(id)
}

fn rounds_view(round: &IAudits::Round, standing: &IAudits::Standing, history: AuditHistory, open: u32) -> RoundsView {
    let fines_wei = history.fines();
    let walks = WalksView { open, met: history.demands_met, failed: history.demands_failed };
    let faults = history.faults.iter().map(|fault| FaultView {
        round: fault.round,
        sample: fault.sample,
        lot: fault.lot,
        slot: fault.slot,
        fine_wei: fault.fine,
    });
    RoundsView {
        number: round.number,
        stage: audits::stage_name(round.stage),
        last_answered: standing.committed,
        missed_in_a_row: standing.missedRounds,
        from_height: history.from_height,
        answered: history.answered,
        missed: history.missed,
        samples_opened: history.opened,
        faults: faults.collect(),
        fines_wei,
        watched_rounds: standing.watchedRounds,
        walks,
    }
}

/// The miner's seats that are not whole.
async fn seats(session: &Session, miner: u32, lots: u32, now_ms: u64) -> Result<Vec<RepairView>> {
    let network = Network(&*session.chain);
    let storage = &session.chain.spec().await?.storage;
    let numbers: Vec<_> = (0..lots).map(|number| IAudits::lotOfCall { miner, number }).collect();
    let lots = network.read_many(AUDITS, &numbers).await?;
    let places: Vec<_> = lots.iter().map(|&id| IMiners::lotCall { id }).collect();
    let places = network.read_many(MINERS, &places).await?;
    let seated: Vec<_> = lots.into_iter().zip(places).filter(|(_, place)| place.volume > 0).collect();
    let calls: Vec<_> =
        seated.iter().map(|(_, place)| IVolumes::seatOfCall { volume: place.volume, seat: place.seat }).collect();
    let states = network.read_many(VOLUMES, &calls).await?;
    let all = seated.into_iter().zip(states).map(|((lot, place), state)| {
        let state = SeatView::new(&state, storage, now_ms);
        RepairView { volume: place.volume, seat: place.seat, lot, state }
    });
    Ok(all.filter(|repair| !repair.state.is_whole()).collect())
}

/// What the operator should do, most pressing first.
fn advice(view: &StatusView, height: u64) -> Vec<String> {
    let mut advice = Vec::new();
    match &view.own {
        None if view.retired => {}
        None => advice.push(
            "it does not answer: check that it runs and that peers reach its endpoint (firewall, `announce`, `relay`)"
                .into(),
        ),
        // Two minutes of blocks at the fastest rate.
        Some(own) if own.height + 1_200 < height => {
            advice.push(format!("it is {} blocks behind the chain: check its `nodes`", height - own.height));
        }
        Some(_) => {}
    }
    let states = |state: &str, reason: &str| {
        view.repairs.iter().filter(|repair| repair.state.state == state && repair.state.reason == Some(reason)).count()
    };
    if states("lost", "silent") > 0 {
        advice.push("seats were lost by silence: once it runs it takes those back that are not replaced yet".into());
    }
    if states("lost", "faulty") > 0 {
        advice.push("seats were lost by faults, for good: check the disk, then pledge new lots".into());
    }
    if let Some(rounds) = &view.rounds {
        if rounds.missed_in_a_row > 0 {
            let missed = rounds.missed_in_a_row;
            advice.push(format!("it missed the last {missed} rounds: if it goes on, its seats are given to others"));
        }
        if let Some(fault) = rounds.faults.last() {
            advice.push(format!(
                "it could not show bytes that it owes, last in round {}: look for disk errors and `a sample cannot be \
                 opened` in its log; `cess audit verify --round {0} --miner {}` shows the evidence",
                fault.round, view.id
            ));
        }
    }
    if let Some(rounds) = view.rounds.as_ref().filter(|rounds| rounds.walks.failed > 0) {
        let failed = rounds.walks.failed;
        advice.push(format!(
            "{failed} demands of walks over its idle units were not met: keep it running and reaching the chain, and look \
             for `cannot be shown` in its log; it names the roots again by itself"
        ));
    }
    if view.collateral_wei.is_zero() && view.lots.all > 0 {
        advice.push("its collateral is used up: the next fault costs a seat".into());
    }
    if view.silent {
        advice.push("it is silent: none of its free lots is drawn until it has answered a round".into());
    }
    if view.draining {
        advice.push("it drains: it takes no new seats until its operator calls `setDraining(false)`".into());
    }
    advice
}

impl StatusView {
    fn print(&self, member: &Member, now_ms: u64) -> Result<()> {
        let standing = match self {
            Self { retired: true, .. } => "retired",
            Self { silent: true, .. } => "silent",
            Self { draining: true, .. } => "draining",
            _ => "active",
        };
        let network = if self.network == 0 { "no network declared".into() } else { format!("AS{}", self.network) };
        let LotsView { all, free, members, broken } = &self.lots;
        let broken = broken.filter(|count| *count > 0).map(|count| format!(", {count} of them lost or rebuilt"));
        let mut lines = vec![
            format!("miner       {} (number {}), {standing}", member.name, self.id),
            format!("operator    {}", self.operator),
            format!("place       {}, {network}", self.region),
            format!("endpoint    {}", self.endpoint.as_deref().unwrap_or("unknown")),
            match &self.own {
                Some(own) => {
                    format!("answers     yes, at height {}, {} free", own.height, format_bytes(own.free_bytes))
                }
                None => "answers     no".into(),
            },
            format!("lots        {all}: {members} in volumes{}, {free} free", broken.unwrap_or_default()),
            format!("collateral  {}", format_amount(self.collateral_wei)),
        ];
        if let Some(rounds) = &self.rounds {
            let RoundsView { number, stage, answered, missed, samples_opened, from_height, .. } = rounds;
            lines.push(format!("round       {number}, {stage}; last answered {}", rounds.last_answered));
            let since = if *from_height == 0 { String::new() } else { format!(" since height {from_height}") };
            lines.push(format!(
                "rounds      {answered} answered, {missed} missed{since}; {samples_opened} samples opened"
            ));
            let (faults, fines) = (rounds.faults.len(), format_amount(rounds.fines_wei));
            let WalksView { open, met, failed } = rounds.walks;
            if open > 0 || met > 0 || failed > 0 {
                lines.push(format!("pledges     {open} demands of walks open, {met} met, {failed} failed{since}"));
            }
            lines.push(format!("faults      {faults}; fined {fines} in all"));
        }
        if let Some(earnings) = &self.earnings {
            let amounts = [earnings.earned_wei, earnings.claimed_wei, earnings.claimable_wei, earnings.vesting_wei];
            let [earned, claimed, claimable, vesting] = amounts.map(format_amount);
            lines.push(format!(
                "earnings    {earned} earned: {claimed} paid out, {claimable} claimable, {vesting} vesting"
            ));
        }
        print::line(lines.join("\n"))?;
        if !self.repairs.is_empty() {
            let mut table = Table::new(["volume", "seat", "lot", "state"]);
            for repair in &self.repairs {
                let numbers = [repair.volume, repair.seat.into(), repair.lot].map(|number| number.to_string());
                let [volume, seat, lot] = numbers;
                table.row([volume, seat, lot, repair.state.sentence(now_ms)]);
            }
            table.print()?;
        }
        for line in &self.advice {
            print::line(format!("to do: {line}"))?;
        }
        Ok(())
    }
}
