//! Let honest machines fail.

use super::{filled, heal, put};
use crate::{
    Broken, ensure,
    net::{BLOCK, Net, REGIONS, ROUND, Setting, places, storage},
};
use std::time::Duration;
use types::spec::{RepairSpec, StorageSpec};

/// Seats of a volume that may be gone at once when one more machine is killed.
const GONE_MAX: usize = 3;

/// Machines die for good and others join, while objects are put and read.
pub(super) async fn churn(setting: Setting, time: Duration) -> Result<Net, Broken> {
    let mut net = filled(setting, 14, 3, 6).await?;
    let end = net.age() + time;
    while net.age() < end {
        if let Some(index) = killable(&mut net) {
            net.kill(index).await;
            let place = places(net.hosts.len() + 1, 3)[net.hosts.len()];
            net.join(place).await?;
        }
        put(&mut net).await?;
        net.read_any().await?;
        let pause = net.chance.within(1..6);
        net.pass(ROUND * pause as u32).await?;
    }
    heal(&mut net).await?;
    let dead = net.hosts.iter().filter(|host| host.is_dead).count();
    ensure(
        dead > 0 && net.watch.volumes.values().any(|seats| seats.drawn > 0),
        "somebody died and was replaced",
        || format!("{dead} died"),
    )?;
    Ok(net)
}

/// A machine that can be lost without any volume being left with too few.
fn killable(net: &mut Net) -> Option<usize> {
    let gone = net.gone();
    let can_go = |index: &usize| {
        let volumes = net.volumes_of(net.hosts[*index].number);
        !volumes.is_empty() && volumes.iter().all(|id| gone.get(id).is_none_or(|gone| *gone < GONE_MAX))
    };
    let candidates: Vec<usize> = net.alive().into_iter().filter(can_go).collect();
    net.chance.choose(&candidates)
}

/// Machines lose power in the midst of anything.
pub(super) async fn crashes(setting: Setting, time: Duration) -> Result<Net, Broken> {
    let mut net = filled(setting, 10, 3, 4).await?;
    let end = net.age() + time;
    while net.age() < end {
        let count = net.chance.within(1..4);
        for _ in 0..count {
            let index = net.chance.within(0..net.hosts.len() as u64) as usize;
            let seed = net.chance.within(0..u64::MAX);
            net.hosts[index].crash(seed).await?;
        }
        put(&mut net).await?;
        net.read_any().await?;
        let pause = net.chance.within(1..60);
        net.pass(BLOCK * pause as u32).await?;
    }
    heal(&mut net).await?;
    Ok(net)
}

/// At most two members of a volume are in one region; all of one region cannot be reached for some rounds.
pub(super) async fn dark(setting: Setting, time: Duration) -> Result<Net, Broken> {
    let repair = RepairSpec { cap_divisor: 4, ..storage().repair };
    let mut net = Net::start(setting, StorageSpec { repair, ..storage() }, &places(16, 3)).await?;
    for _ in 0..6 {
        put(&mut net).await?;
    }
    let end = net.age() + time;
    loop {
        let region = net.chance.within(0..REGIONS.len() as u64) as usize;
        let there = net.hosts.iter().filter(|host| host.place.region == region).map(|host| host.number);
        let there: Vec<u32> = there.collect();
        net.watch.absent.extend(&there);
        // Who cannot open what it committed to is fined like anybody.
        net.watch.suspects.extend(&there);
        net.weather.set_dark(region, true);
        net.dark.insert(region);
        let rounds = net.chance.within(1..6) as u32;
        for _ in 0..rounds {
            net.pass(ROUND).await?;
            put(&mut net).await?;
            net.read_any().await?;
        }
        net.read_all().await?;
        net.weather.set_dark(region, false);
        net.dark.remove(&region);
        heal(&mut net).await?;
        if net.age() >= end {
            return Ok(net);
        }
    }
}

/// Everything is slow, and much is lost.
pub(super) async fn storm(setting: Setting, time: Duration) -> Result<Net, Broken> {
    let mut net = filled(setting, 10, 3, 4).await?;
    net.weather.set(50..800, 20_000);
    let end = net.age() + time;
    while net.age() < end {
        put(&mut net).await?;
        net.read_any().await?;
        net.pass(ROUND).await?;
    }
    net.weather.set(5..120, 2_000);
    heal(&mut net).await?;
    Ok(net)
}
