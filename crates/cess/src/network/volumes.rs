//! Show the health of volumes: `cess network volumes`.

use super::members::Members;
use crate::{
    cli::{NumberPage, format_bytes, profile_name},
    print::{self, Table},
    session::Session,
};
use alloy_primitives::U256;
use alloy_sol_types::SolEvent;
use anyhow::{Context, Result};
use client::chain::{ChainApi, LogFilter, Network};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use types::{
    Profile,
    abi::{IVolumes, VOLUMES},
    layout::volumes::{CountQuery, Seats, SeatsQuery},
    spec::StorageSpec,
};

/// How far back it is looked why a repair does not begin: three hours of blocks at one a second.
const LOOKED_BACK_BLOCKS: u64 = 10_000;

/// An element of `cess network volumes --json`
#[derive(Serialize)]
struct VolumeView {
    id: u32,
    /// Absent if this program does not know it.
    profile: Option<&'static str>,
    policy: u32,
    /// open; sealed: it is full; paused: it takes no writes until it is repaired
    state: &'static str,
    open: bool,
    stripes: u32,
    column_bytes: u64,
    /// Of each column.
    fill_percent: f64,
    /// Seats whose columns are there.
    live: u16,
    /// Repair begins at this number of live seats.
    trigger: u16,
    /// Live seats whose miners answer now.
    survivors: usize,
    /// That nobody could be drawn for lost seats lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<WaitView>,
    members: Vec<MemberView>,
}

/// Why a repair does not begin.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct WaitView {
    /// Seats for which no miner was found that the policy allows, that has a free lot and takes over no other column.
    seats: u16,
    /// When it is tried again.
    again_ms: u64,
}

/// A seat of a volume.
#[derive(Serialize)]
struct MemberView {
    seat: usize,
    miner: u32,
    name: String,
    answers: bool,
    lost: bool,
    /// What goes on there; of a list, only where the seat is lost or rebuilt.
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<SeatView>,
}

/// What goes on at a seat.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeatView {
    /// whole, lost, rebuilding, leaving, handing over, settling
    pub state: &'static str,
    /// Why it was lost: silent, faulty, left, missed its deadline.
    pub reason: Option<&'static str>,
    /// Who takes over while the seat is handed over.
    pub successor: Option<u32>,
    pub since_ms: u64,
    /// The column up to here is there.
    pub watermark: u64,
    pub target_bytes: u64,
    /// Since the newcomer took the seat.
    pub bytes_per_second: Option<u64>,
    /// At that rate.
    pub left_ms: Option<u64>,
    /// When the newcomer loses the seat again.
    pub deadline_ms: Option<u64>,
}

impl SeatView {
    /// What the chain says of a seat, at a time of the chain.
    pub fn new(seat: &IVolumes::Seat, storage: &StorageSpec, now_ms: u64) -> Self {
        let names = ["whole", "lost", "rebuilding", "leaving", "handing over", "settling"];
        let state = names.get(usize::from(seat.state)).copied().unwrap_or("unknown");
        let reason = match seat.reason {
            1 => Some("silent"),
            2 => Some("faulty"),
            3 => Some("left"),
            4 => Some("missed its deadline"),
            _ => None,
        };
        // Somebody is reading the column only in these.
        let reads = matches!(seat.state, 2 | 4);
        let elapsed_ms = now_ms.saturating_sub(seat.sinceMs);
        let rate = seat.watermark.saturating_mul(1_000).checked_div(elapsed_ms).filter(|_| reads);
        let left_bytes = seat.targetBytes.saturating_sub(seat.watermark);
        Self {
            state,
            reason,
            successor: (seat.successor > 0).then_some(seat.successor),
            since_ms: seat.sinceMs,
            watermark: seat.watermark,
            target_bytes: seat.targetBytes,
            bytes_per_second: rate,
            left_ms: rate.and_then(|rate| left_bytes.saturating_mul(1_000).checked_div(rate)),
            deadline_ms: reads.then(|| seat.sinceMs.saturating_add(storage.repair.deadline_ms)),
        }
    }

    /// Whether there is anything to say.
    pub fn is_whole(&self) -> bool {
        self.state == "whole"
    }

    /// The seat in words.
    pub fn sentence(&self, now_ms: u64) -> String {
        let mut text = self.state.to_string();
        if let Some(reason) = self.reason {
            text.push_str(&format!(" ({reason})"));
        }
        if let Some(rate) = self.bytes_per_second {
            let (done, all) = (format_bytes(self.watermark), format_bytes(self.target_bytes));
            let left = self.left_ms.map_or("no rate yet".into(), |ms| format!("{} left", print::span(ms)));
            text.push_str(&format!(": {done} of {all}, {}/s, {left}", format_bytes(rate)));
        }
        if let Some(deadline_ms) = self.deadline_ms {
            text.push_str(&format!(", due in {}", print::span(deadline_ms.saturating_sub(now_ms))));
        }
        text
    }
}

/// Lists a page of all volumes.
pub async fn list(page: NumberPage, session: &Session) -> Result<()> {
    let count = Network(&*session.chain).query(CountQuery).await?;
    let last = count.min(page.after.saturating_add(page.limit));
    let ids: Vec<u32> = (page.after.saturating_add(1)..=last).collect();
    let (views, now_ms) = read(session, &ids, false).await?;
    if session.json() {
        return print::json(&views);
    }
    let mut table =
        Table::new(["volume", "policy", "profile", "state", "stripes", "column", "fill", "live", "survivors"]);
    for view in &views {
        table.row([
            view.id.to_string(),
            view.policy.to_string(),
            view.profile.unwrap_or("unknown").into(),
            view.state.into(),
            view.stripes.to_string(),
            format_bytes(view.column_bytes),
            format!("{:.1} %", view.fill_percent),
            format!("{} of {} (repair at {})", view.live, view.members.len(), view.trigger),
            format!("{} of {}", view.survivors, view.members.len()),
        ]);
    }
    table.print()?;
    for view in &views {
        if let Some(wait) = &view.waits {
            print::line(format!("volume {}: {}", view.id, wait.sentence(view.policy, now_ms)))?;
        }
        for line in repairs(view, now_ms) {
            print::line(format!("volume {}: {line}", view.id))?;
        }
    }
    print::more(page, count.saturating_sub(last))
}

/// Shows one volume.
pub async fn one(volume: u32, session: &Session) -> Result<()> {
    let (mut views, now_ms) = read(session, &[volume], true).await?;
    let view = views.pop().with_context(|| format!("volume {volume} does not exist: see `cess network volumes`"))?;
    if session.json() {
        return print::json(&view);
    }
    let seats = view.members.len();
    let lines = [
        format!("volume     {}, {}, policy {}", view.id, view.profile.unwrap_or("unknown"), view.policy),
        format!("state      {}", view.state),
        format!("stripes    {}", view.stripes),
        format!("column     {}, {:.1} % full", format_bytes(view.column_bytes), view.fill_percent),
        format!("live       {} of {seats}, repair at {}", view.live, view.trigger),
        format!("survivors  {} of {seats}", view.survivors),
    ];
    print::line(lines.join("\n"))?;
    if let Some(wait) = &view.waits {
        print::line(format!("repair     {}", wait.sentence(view.policy, now_ms)))?;
    }
    let mut table = Table::new(["seat", "miner", "answers", "state"]);
    for member in &view.members {
        let state = member.repair.as_ref().map_or("whole".into(), |seat| seat.sentence(now_ms));
        let answers = if member.answers { "yes" } else { "no" };
        table.row([member.seat.to_string(), member.name.clone(), answers.into(), state]);
    }
    table.print()
}

impl WaitView {
    fn sentence(&self, policy: u32, now_ms: u64) -> String {
        let again = match self.again_ms.saturating_sub(now_ms) {
            0 => "as soon as another repair or a new lot allows".into(),
            ms => format!("in {}", print::span(ms)),
        };
        format!(
            "waits for {} more miners with a free lot that policy {policy} allows and that take over no other column; \
             drawn again {again}",
            self.seats
        )
    }
}

/// A line for each seat that is not whole.
fn repairs(view: &VolumeView, now_ms: u64) -> Vec<String> {
    let broken = view.members.iter().filter_map(|member| Some((member, member.repair.as_ref()?)));
    broken
        .filter(|(_, seat)| !seat.is_whole())
        .map(|(member, seat)| format!("seat {} of {}: {}", member.seat, member.name, seat.sentence(now_ms)))
        .collect()
}

/// Reads these volumes, as far as they exist, and the chain's time. `every_seat` asks for those too that are whole.
async fn read(session: &Session, ids: &[u32], every_seat: bool) -> Result<(Vec<VolumeView>, u64)> {
    let network = Network(&*session.chain);
    let storage = &session.chain.spec().await?.storage;
    let profile = storage.profile;
    let queries: Vec<_> = ids.iter().map(|&volume| SeatsQuery { volume, profile }).collect();
    let (stamp, records) = network.query_many(&queries).await?;
    let known: Vec<(u32, Seats)> = ids.iter().zip(records).filter_map(|(&id, record)| Some((id, record?))).collect();
    let healths: Vec<_> = known.iter().map(|&(volume, _)| IVolumes::healthCall { volume }).collect();
    let healths = network.read_many(VOLUMES, &healths).await?;
    let is_short = |health: &IVolumes::Health| health.live <= health.trigger;
    let short = known.iter().zip(&healths).filter(|(_, health)| is_short(health)).map(|((id, _), _)| *id).collect();
    let waits = waits(&network, short, stamp.height).await?;
    let miners: BTreeSet<u32> = known.iter().flat_map(|(_, seats)| seats.miners.iter().copied()).collect();
    let members = Members::of(session, miners).await?;
    let answering = members.answering().await?;

    let mut views = Vec::with_capacity(known.len());
    for ((id, seats), health) in known.into_iter().zip(healths) {
        let is_lost = |seat: usize| health.lost.get(seat / 8).is_some_and(|byte| byte >> (seat % 8) & 1 == 1);
        let asked: Vec<usize> = (0..seats.miners.len()).filter(|&seat| every_seat || is_lost(seat)).collect();
        let calls: Vec<_> = asked.iter().map(|&seat| IVolumes::seatOfCall { volume: id, seat: seat as u16 }).collect();
        let states = network.read_many(VOLUMES, &calls).await?;
        let mut views_of_seats: Vec<Option<SeatView>> = vec![None; seats.miners.len()];
        for (&seat, state) in asked.iter().zip(&states) {
            views_of_seats[seat] = Some(SeatView::new(state, storage, stamp.timestamp_ms));
        }
        let all = seats.miners.iter().enumerate().zip(views_of_seats);
        let members: Vec<MemberView> = all
            .map(|((seat, &miner), repair)| MemberView {
                seat,
                miner,
                name: members.name(miner),
                answers: answering.contains(&miner),
                lost: is_lost(seat),
                repair,
            })
            .collect();
        let waits = waits.get(&id).cloned().filter(|_| health.lost.iter().any(|byte| *byte != 0));
        views.push(view(id, &seats, &health, waits, members, storage.lot_bytes()));
    }
    Ok((views, stamp.timestamp_ms))
}

/// Of volumes at their trigger, those for which the last draw found too few newcomers. Logs are the node's word.
async fn waits(network: &Network<'_>, volumes: Vec<u32>, height: u64) -> Result<BTreeMap<u32, WaitView>> {
    let mut waits = BTreeMap::new();
    if volumes.is_empty() {
        return Ok(waits);
    }
    let events = vec![IVolumes::NoNewcomer::SIGNATURE_HASH, IVolumes::SeatDrawn::SIGNATURE_HASH];
    let volumes = volumes.into_iter().map(|id| U256::from(id).into()).collect();
    let topics = [Some(events), Some(volumes), None, None];
    let from = height.saturating_sub(LOOKED_BACK_BLOCKS);
    for entry in network.0.logs(LogFilter { from, to: None, address: VOLUMES, topics }).await? {
        let data = &entry.log.data;
        if let Ok(event) = IVolumes::NoNewcomer::decode_log_data(data) {
            waits.insert(event.volume, WaitView { seats: event.seats, again_ms: event.againMs });
        } else if let Ok(event) = IVolumes::SeatDrawn::decode_log_data(data) {
            // The same draw may have filled other seats before it said that some were left.
            waits.remove(&event.volume);
        }
    }
    Ok(waits)
}

fn view(
    id: u32,
    seats: &Seats,
    health: &IVolumes::Health,
    waits: Option<WaitView>,
    members: Vec<MemberView>,
    lot_bytes: u64,
) -> VolumeView {
    let state = match (health.full, seats.open) {
        (true, _) => "sealed",
        (false, true) => "open",
        (false, false) => "paused",
    };
    let profile: Profile = seats.profile;
    VolumeView {
        id,
        profile: Some(profile_name(profile)),
        policy: seats.policy,
        state,
        open: seats.open,
        stripes: seats.stripe_count,
        column_bytes: seats.column_bytes,
        fill_percent: (seats.column_bytes as f64 / lot_bytes.max(1) as f64 * 1_000.0).round() / 10.0,
        live: health.live,
        trigger: health.trigger,
        survivors: members.iter().filter(|member| member.answers && !member.lost).count(),
        waits,
        members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(state: u8, watermark: u64) -> IVolumes::Seat {
        IVolumes::Seat {
            state,
            reason: 1,
            lot: 9,
            miner: 3,
            successorLot: 0,
            successor: 0,
            sinceMs: 1_000_000,
            watermark,
            targetBytes: 100 << 20,
            payLeft: U256::ZERO,
        }
    }

    #[test]
    fn rate_and_time_left_follow_the_watermark() {
        let storage = StorageSpec::devnet();
        let view = SeatView::new(&seat(2, 20 << 20), &storage, 1_010_000);
        assert_eq!((view.bytes_per_second, view.left_ms), (Some(2 << 20), Some(40_000)));
        let said = "rebuilding (silent): 20 MiB of 100 MiB, 2 MiB/s, 40 s left, due in 9 min";
        assert_eq!(view.sentence(1_010_000), said);
    }

    #[test]
    fn a_repair_that_waits_says_for_what() {
        let wait = WaitView { seats: 2, again_ms: 1_090_000 };
        let said = "waits for 2 more miners with a free lot that policy 3 allows and that take over no other column; \
                    drawn again in 90 s";
        assert_eq!(wait.sentence(3, 1_000_000), said);
        assert!(wait.sentence(3, 1_100_000).ends_with("as soon as another repair or a new lot allows"));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let storage = StorageSpec::devnet();
        let fresh = SeatView::new(&seat(2, 0), &storage, 1_000_000);
        assert_eq!((fresh.bytes_per_second, fresh.left_ms), (None, None));
        let stuck = SeatView::new(&seat(2, 0), &storage, 1_500_000);
        assert_eq!((stuck.bytes_per_second, stuck.left_ms), (Some(0), None));
        assert!(stuck.sentence(1_500_000).contains("no rate yet"));
        // A clock that is behind is no reason to fail.
        assert_eq!(SeatView::new(&seat(2, 1), &storage, 0).bytes_per_second, None);
        let lost = SeatView::new(&seat(1, 0), &storage, 1_500_000);
        assert_eq!((lost.sentence(1_500_000).as_str(), lost.deadline_ms), ("lost (silent)", None));
    }
}
