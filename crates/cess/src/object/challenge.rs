//! Have the members that hold an object show it: `cess object challenge`.

use crate::{
    cli::ChallengeArgs,
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{U256, utils::format_ether};
use anyhow::{Context, Result, bail, ensure};
use client::{
    Challenge, ChallengeState, Client,
    chain::{ChainApi, Network},
};
use serde::Serialize;

/// A challenge as `--json` shows it.
#[derive(Serialize)]
struct ChallengeView {
    challenge: u64,
    volume: u32,
    seat: u16,
    miner: u32,
    round: u64,
    state: &'static str,
}

/// Challenges members, and waits for the round that answers.
pub async fn challenge(arguments: ChallengeArgs, session: &Session) -> Result<()> {
    let ChallengeArgs { url, segments, seats } = arguments;
    let client = session.client().await?;
    let fee = client.challenge_fee().context("this network has no audit rounds, so nobody can be challenged")?;
    let stored = client.segments_of(url.bucket(), url.key()).await?;
    ensure!(!stored.is_empty(), "{url} is empty: no member holds anything of it");
    let mut challenges = Vec::new();
    for (segment, volume) in spread(&stored, segments as usize) {
        let members = Network(&*session.chain).volume(volume).await?.miners.len() as u16;
        if let Some(seat) = seats.iter().find(|seat| **seat >= members) {
            bail!("volume {volume} has no seat {seat}: its seats are 0 to {}", members - 1);
        }
        let seats = if seats.is_empty() { (0..members).collect() } else { seats.clone() };
        challenges.extend(client.challenge(segment, volume, &seats).await?);
    }
    let rounds: Vec<u64> = challenges.iter().map(|challenge| challenge.round).collect();
    let (count, round) = (challenges.len(), rounds.iter().max().copied().unwrap_or_default());
    let paid = format_ether(fee * U256::from(count));
    print::note(&format!(
        "{count} members are challenged for {paid}; they answer in round {round} (Ctrl-C: do not wait)"
    ))?;
    let mut views = Vec::new();
    for challenge in &challenges {
        let state = outcome(&client, session, challenge).await?;
        let Challenge { id, volume, seat, miner, round } = *challenge;
        views.push(ChallengeView { challenge: id, volume, seat, miner, round, state: word(state) });
    }
    report(&views, session)
}

fn report(views: &[ChallengeView], session: &Session) -> Result<()> {
    if session.json() {
        print::json(views)?;
    } else {
        let mut table = Table::new(["challenge", "volume", "seat", "miner", "round", "outcome"]);
        for view in views {
            let numbers = [view.challenge, view.volume.into(), view.seat.into(), view.miner.into(), view.round];
            let [challenge, volume, seat, miner, round] = numbers.map(|number| number.to_string());
            table.row([challenge, volume, seat, miner, round, view.state.into()]);
        }
        table.print()?;
    }
    let failed = views.iter().filter(|view| view.state == word(ChallengeState::Failed)).count();
    ensure!(failed == 0, "{failed} of {} members could not show what they owe, and were fined", views.len());
    Ok(())
}

/// So many of them, evenly spread.
fn spread<T: Copy>(all: &[T], count: usize) -> impl Iterator<Item = T> {
    let count = count.clamp(1, all.len());
    (0..count).map(move |number| all[number * all.len() / count])
}

async fn outcome(client: &Client, session: &Session, challenge: &Challenge) -> Result<ChallengeState> {
    let mut height = session.chain.head().await?.height;
    loop {
        match client.challenge_state(challenge).await? {
            ChallengeState::Open => height = session.chain.wait_above(height).await?.height,
            // Somebody else may have ended it meanwhile.
            ChallengeState::Missed => match client.end_challenge(challenge).await {
                Ok(state) => return Ok(state),
                Err(error) => match client.challenge_state(challenge).await? {
                    ChallengeState::Missed | ChallengeState::Open => return Err(error.into()),
                    state => return Ok(state),
                },
            },
            state => return Ok(state),
        }
    }
}

fn word(state: ChallengeState) -> &'static str {
    match state {
        ChallengeState::Open => "open",
        ChallengeState::Missed => "missed",
        ChallengeState::Answered => "shown",
        ChallengeState::Failed => "fined",
        ChallengeState::Void => "void",
    }
}
