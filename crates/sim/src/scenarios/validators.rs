//! Let the chain's validators fail, and their clocks differ, while everybody is honest.

use super::{heal, put};
use crate::{
    Broken, ensure,
    net::{BLOCK, Net, ROUND, places, storage},
    validators::{CLOCK_DRIFT_MAX_MS, Clocks, FAULTS_MAX, SEATS, Validators},
};
use chain::committee::{ArchiveFate, Links};
use std::{sync::Arc, time::Duration};

/// What lies between validators in bad times.
const LOSSY: Links = Links { latency_ms: 120, jitter_ms: 40, loss_per_million: 20_000 };
/// What is on its way when a quorum is gone may still become final.
const LAST_BLOCKS: Duration = Duration::from_secs(10);
/// Longest time until a validator has what the others have, and until a chain goes on that stood still.
const RECOVERY: Duration = Duration::from_secs(180);
/// Longest time without a quorum.
const STANDSTILL_S_MAX: u64 = 60;
/// Furthest that a validator's clock is off.
const OFF_MS_MAX: u64 = 3_000;
/// Furthest that a miner's or client's clock is off.
const READERS_MS_MAX: u64 = 10_000;

/// Validators lose power during rounds, and what they had not synced, and come back; links between them are lossy.
pub(super) async fn crashes(seed: u64, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let mut net = Net::start_with_validators(seed, storage(), &places(10, 3), Clocks::default()).await?;
    let chain = validators(&net)?;
    for _ in 0..4 {
        put(&mut net).await?;
    }
    chain.set_links(LOSSY);
    let end = net.age() + time;
    let mut crash_count = 0;
    while net.age() < end {
        // Sometimes the next one falls as soon as the last one has come back.
        for _ in 0..net.chance.within(1..3) {
            crash_one(&mut net, &chain).await?;
            crash_count += 1;
        }
        put(&mut net).await?;
        net.read_any().await?;
        let pause = net.chance.within(1..20);
        net.pass(BLOCK * pause as u32).await?;
    }
    let stood = excused(&mut net, &chain).await?;
    put(&mut net).await?;
    heal(&mut net).await?;
    let (blocks, views) = chain.progress()?;
    notes.push(format!(
        "{crash_count} crashes of one validator, then of {} for {} s, for which {} samples were fined; {blocks} blocks \
         in {views} views",
        FAULTS_MAX + 1,
        stood.time.as_secs(),
        stood.faults
    ));
    Ok(net)
}

fn validators(net: &Net) -> Result<Arc<Validators>, Broken> {
    net.validators.clone().ok_or_else(|| Broken::new("validators make the chain", "they do not".into()))
}

/// One validator falls, the last leader more often than others, and comes back.
async fn crash_one(net: &mut Net, chain: &Arc<Validators>) -> Result<(), Broken> {
    let any = net.chance.within(0..SEATS as u64) as usize;
    let seat = if net.chance.happens(500_000) { chain.last_leader()? } else { any };
    fall(net, chain, seat);
    let down = net.chance.within(1..60);
    net.pass(Duration::from_secs(down)).await?;
    chain.restart(seat);
    catch_up(net, chain, &[seat]).await
}

fn fall(net: &mut Net, chain: &Arc<Validators>, seat: usize) {
    let archive = if net.chance.happens(250_000) { ArchiveFate::Lost } else { ArchiveFate::Kept };
    tracing::debug!(seat, ?archive, "a validator falls");
    chain.crash(seat, archive);
}

/// Waits until these have what the others have.
async fn catch_up(net: &mut Net, chain: &Arc<Validators>, seats: &[usize]) -> Result<(), Broken> {
    let end = net.age() + RECOVERY;
    while seats.iter().any(|seat| chain.tip(*seat) + 1 < chain.highest()) {
        ensure(net.age() < end, "a validator that comes back catches up", || format!("{seats:?} do not"))?;
        net.pass(Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// What it cost that the chain stood still.
struct Stood {
    time: Duration,
    faults: u32,
}

/// A round whose stage ends while the chain stands still is missed by everybody, which is nobody's fault but fined.
async fn excused(net: &mut Net, chain: &Arc<Validators>) -> Result<Stood, Broken> {
    let faults = |net: &Net| net.watch.books.values().map(|books| books.faults).sum::<u32>();
    let (everybody, before) = (net.hosts.iter().map(|host| host.number).collect::<Vec<_>>(), faults(net));
    net.watch.absent.extend(&everybody);
    net.watch.suspects.extend(&everybody);
    let time = stand_still(net, chain).await?;
    net.pass(ROUND * 2).await?;
    net.watch.absent.clear();
    net.watch.suspects.clear();
    Ok(Stood { time, faults: faults(net) - before })
}

/// One validator more falls than the others can do without.
async fn stand_still(net: &mut Net, chain: &Arc<Validators>) -> Result<Duration, Broken> {
    let began = net.age();
    let first = net.chance.within(0..SEATS as u64) as usize;
    let fallen: Vec<usize> = (0..=FAULTS_MAX).map(|offset| (first + offset) % SEATS).collect();
    fallen.iter().for_each(|seat| fall(net, chain, *seat));
    net.pass(LAST_BLOCKS).await?;
    let height = chain.highest();
    let time = net.chance.within(5..STANDSTILL_S_MAX);
    net.pass(Duration::from_secs(time)).await?;
    ensure(chain.highest() == height, "nothing is final without a quorum", || {
        format!("{} after {height}", chain.highest())
    })?;
    fallen.iter().for_each(|seat| chain.restart(*seat));
    let stood = net.age() - began;
    let end = net.age() + RECOVERY;
    while chain.highest() <= height {
        ensure(net.age() < end, "a chain that stood still goes on", || format!("height {height}"))?;
        net.pass(Duration::from_secs(1)).await?;
    }
    catch_up(net, chain, &fallen).await?;
    Ok(stood)
}

/// Nobody's clock is right: one validator's is ahead within what the others bear, one further, one behind.
pub(super) async fn clocks(seed: u64, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let ahead_ms = clocks_of(seed);
    let clocks = Clocks { ahead_ms: ahead_ms.clone(), readers_ms_max: READERS_MS_MAX };
    let mut net = Net::start_with_validators(seed, storage(), &places(10, 3), clocks).await?;
    let chain = validators(&net)?;
    let (began, rounds) = (net.age(), net.watch.rounds);
    let end = began + time;
    while net.age() < end {
        put(&mut net).await?;
        net.read_any().await?;
        net.pass(ROUND).await?;
        let off_ms = chain.off_ms()?;
        // The newest block may be as old as a leader that says nothing makes it.
        let old_ms = OFF_MS_MAX as i64 + 5 * BLOCK.as_millis() as i64;
        ensure((-old_ms..=OFF_MS_MAX as i64).contains(&off_ms), "the chain's time is about right", || {
            format!("its newest block is {off_ms} ms ahead")
        })?;
    }
    heal(&mut net).await?;
    let (lived, closed) = (net.age() - began, net.watch.rounds - rounds);
    let due = lived.as_secs() / ROUND.as_secs();
    ensure(closed + 2 >= due, "rounds keep to the chain's time", || {
        format!("{closed} rounds, {due} stretches of time")
    })?;
    let (blocks, views) = chain.progress()?;
    notes.push(format!("validators ahead by {ahead_ms:?} ms; {blocks} blocks in {views} views"));
    Ok(net)
}

/// By seat, milliseconds ahead.
fn clocks_of(seed: u64) -> Vec<i64> {
    let mut chance = crate::Chance::new(seed, "validators' clocks");
    let within = chance.within(1..CLOCK_DRIFT_MAX_MS) as i64;
    let ahead = chance.within(CLOCK_DRIFT_MAX_MS + 1..OFF_MS_MAX) as i64;
    let behind = chance.within(CLOCK_DRIFT_MAX_MS + 1..OFF_MS_MAX) as i64;
    let mut clocks = vec![0, within, ahead, -behind];
    clocks.rotate_left(chance.within(0..SEATS as u64) as usize);
    clocks
}
