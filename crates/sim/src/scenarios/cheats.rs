//! Let one miner cheat among honest ones.

use super::{heal, put};
use crate::{
    Broken, ensure,
    link::Lie,
    net::{BLOCK, Net, ROUND, Setting, places, storage},
    watch::Books,
};
use alloy_primitives::U256;
use client::chain::Network;
use std::time::Duration;
use store::FragmentRecord;
use types::abi::{AUDITS, IAudits};

/// Rounds within which what was dropped is found: some twenty times the mean at the smallest part.
const ROUNDS_MAX: u32 = 600;
const DAY_MS: u64 = 86_400_000;

/// Twelve miners with some volumes that are full, and the machine that cheats: the one with the most fragments.
async fn network(setting: Setting) -> Result<(Net, usize), Broken> {
    let mut net = Net::start(setting, storage(), &places(12, 6)).await?;
    for _ in 0..40 {
        put(&mut net).await?;
    }
    net.pass(ROUND * 2).await?;
    let (mut most, mut cheat) = (0, 0);
    for index in 0..net.hosts.len() {
        let held = net.hosts[index].fragments().await?.len();
        if held > most {
            (most, cheat) = (held, index);
        }
    }
    Ok((net, cheat))
}

/// Makes the machine a suspect.
fn suspect(net: &mut Net, cheat: usize) -> u32 {
    let number = net.hosts[cheat].number;
    net.watch.suspects.insert(number);
    number
}

/// What keeping these bytes would have earned at most in this time, and so the most that dropping them saves: fees, and
/// as much emission.
fn saved(bytes: u64, time: Duration) -> U256 {
    let wei_per_day = U256::from(bytes) * U256::from(2 * storage().price_per_byte_day);
    wei_per_day * U256::from(time.as_millis() as u64) / U256::from(DAY_MS)
}

fn total(fragments: &[FragmentRecord]) -> u64 {
    fragments.iter().map(FragmentRecord::fragment_bytes).sum()
}

/// Drops a part of the fragments, says nothing, and opens only what it can.
pub(super) async fn drop_data(setting: Setting, percent: u8, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let (mut net, cheat) = network(setting).await?;
    let number = suspect(&mut net, cheat);
    let mut left = net.hosts[cheat].fragments().await?;
    let held = left.len();
    let mut dropped = Vec::new();
    for _ in 0..(held * usize::from(percent)).div_ceil(100) {
        let at = net.chance.within(0..left.len() as u64) as usize;
        dropped.push(left.swap_remove(at));
    }
    net.hosts[cheat].set_lie(Lie::HideDamage);
    dropped.iter().for_each(|fragment| net.hosts[cheat].disk().drop_bytes(fragment.file()));
    let (began, before) = (net.age(), net.watch.of(number));
    let mut rounds = 0;
    while net.watch.of(number).faults == 0 {
        ensure(rounds < ROUNDS_MAX, "who drops data is found", || format!("{percent} % after {rounds} rounds"))?;
        net.pass(ROUND).await?;
        net.read_any().await?;
        rounds += 1;
    }
    let after = net.watch.of(number);
    let gained = saved(total(&dropped), net.age() - began);
    ensure(gained < after.losses() - before.losses(), "cheaters' profit is negative", || {
        format!("{gained} wei saved, {after:?}")
    })?;
    notes.push(format!(
        "{} of {held} fragments dropped: fined in round {rounds} after that, {} wei; at most {gained} wei were saved; it \
         had earned {} wei in all",
        dropped.len(),
        after.fines,
        after.earned,
    ));
    if percent >= 30 {
        // A lot that fails again loses its seat, and others rebuild the column.
        net.until("seats that fail again go to others", async |net| {
            Ok(net.watch.volumes.values().any(|seats| seats.drawn > 0).then_some(()))
        })
        .await?;
    }
    heal(&mut net).await?;
    Ok(net)
}

/// Commits when it is too late.
pub(super) async fn late(setting: Setting, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let (mut net, cheat) = network(setting).await?;
    let number = suspect(&mut net, cheat);
    let audits = storage().audits.expect("there are rounds");
    net.hosts[cheat].set_lie(Lie::CommitLate(Duration::from_millis(audits.commit_ms) + BLOCK * 2));
    // The round that is under way may have its commitment.
    net.pass(ROUND).await?;
    let before = net.watch.of(number);
    net.pass(ROUND * 3).await?;
    net.until("who is never in time is replaced", async |net| Ok(net.is_out(number).then_some(()))).await?;
    let after = net.watch.of(number);
    ensure(after.earned == before.earned, "who commits late earns nothing", || format!("{before:?}, {after:?}"))?;
    ensure(after.faults == 0 && after.missed_rounds > 0, "a round missed is a loss, not a fault", || {
        format!("{after:?}")
    })?;
    notes.push(format!(
        "{} rounds missed for {} wei, {} forfeited",
        after.missed_rounds, after.missed_fines, after.forfeited
    ));
    heal(&mut net).await?;
    Ok(net)
}

/// Opens nothing of what beacon B asks for.
pub(super) async fn withhold(setting: Setting, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let (mut net, cheat) = network(setting).await?;
    let number = suspect(&mut net, cheat);
    let before = net.watch.of(number);
    net.hosts[cheat].set_lie(Lie::Withhold);
    let Books { faults, fines, .. } = net
        .until("who opens nothing is fined", async |net| {
            let books = net.watch.of(number);
            Ok((books.faults > 0).then_some(books))
        })
        .await?;
    let prices = Network(&*net.chain).read(AUDITS, &IAudits::pricesCall {}).await.map_err(Broken::chain)?;
    // The price hangs on the number of live lots, which has not changed.
    let specified = prices.fine * U256::from(faults);
    ensure(fines == specified, "a fault costs twenty openings", || {
        format!("{fines} wei for {faults}, not {specified}")
    })?;
    net.until("who withholds loses its seats", async |net| Ok(net.is_out(number).then_some(()))).await?;
    let after = net.watch.of(number);
    ensure(after.losses() > before.losses() + after.earned, "cheaters' profit is negative", || format!("{after:?}"))?;
    notes.push(format!(
        "{} faults for {} wei, {} forfeited, where {} were earned",
        after.faults, after.fines, after.forfeited, after.earned
    ));
    heal(&mut net).await?;
    Ok(net)
}

/// Keeps nothing, and makes what is asked for from fragments of others when a round asks for it.
pub(super) async fn borrow(setting: Setting, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let (mut net, cheat) = network(setting).await?;
    // It is no suspect: rounds cannot see where bytes come from. What they can do is to make it dear.
    let fragments = net.hosts[cheat].fragments().await?;
    let sources = u64::from(storage().profile.data());
    fragments.iter().for_each(|fragment| net.hosts[cheat].disk().borrow_bytes(fragment.file(), sources));
    let (began, fetched) = (net.watch.rounds, net.hosts[cheat].disk().borrowed_bytes());
    net.pass(time.max(ROUND * 10)).await?;
    let rounds = net.watch.rounds - began;
    let fetched = (net.hosts[cheat].disk().borrowed_bytes() - fetched) / rounds.max(1);
    let held = total(&fragments);
    let audits = storage().audits.expect("there are rounds");
    // Deep responses alone take a slot in so many whole, each from as many sources; slots of its free lots take nothing.
    let deep = held * sources / u64::from(audits.deep_divisor);
    ensure(fetched * 2 > deep, "fetching on demand costs at least the deep responses", || {
        format!("{fetched} B a round, of {held} B held, where {deep} are expected")
    })?;
    notes.push(format!(
        "{held} B not kept: {fetched} B fetched in a round, {:.2} of them for each byte that was not kept; no fault in \
         {rounds} rounds, and none is to be expected",
        fetched as f64 / held as f64
    ));
    heal(&mut net).await?;
    Ok(net)
}
