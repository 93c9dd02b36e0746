//! Let one operator pretend to be many.

use super::{heal, put};
use crate::{
    Broken, ensure,
    net::{Net, ROUND, Setting, places, storage},
};
use std::time::Duration;
use types::spec::{RepairSpec, StorageSpec};

/// Identities of the one operator: as many as there are honest miners.
const IDENTITIES: usize = 12;
const CAP_DIVISOR: u16 = 4;
/// The number of the region that they share, beyond those of the honest ones.
const REGION: usize = 100;
const NETWORK: u32 = 64_512;

/// All identities are in one region and one network: no volume has more of them than the caps allow, whatever dies.
pub(super) async fn identities(setting: Setting, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let repair = RepairSpec { cap_divisor: CAP_DIVISOR, ..storage().repair };
    let mut all = places(12, 3);
    let identity = |mut place: crate::host::Place| {
        (place.region, place.code, place.network) = (REGION, "IS", NETWORK);
        place
    };
    all.extend(places(IDENTITIES, 3).into_iter().map(identity));
    let mut net = Net::start(setting, StorageSpec { repair, ..storage() }, &all).await?;
    let end = net.age() + time;
    let mut kills = 0;
    loop {
        for _ in 0..3 {
            put(&mut net).await?;
            capped(&net)?;
        }
        if net.age() >= end && kills > 0 {
            break;
        }
        // Honest members die, and somebody is drawn for each of their seats.
        let honest: Vec<usize> =
            net.alive().into_iter().filter(|index| net.hosts[*index].place.region != REGION).collect();
        let seated: Vec<usize> =
            honest.iter().copied().filter(|index| !net.volumes_of(net.hosts[*index].number).is_empty()).collect();
        if honest.len() > 9
            && let Some(index) = net.chance.choose(&seated)
        {
            net.kill(index).await;
            kills += 1;
        }
        net.pass(ROUND * 6).await?;
        capped(&net)?;
    }
    heal(&mut net).await?;
    capped(&net)?;
    let seats: usize = net.watch.volumes.values().map(|seats| seats.miners.len()).sum();
    let theirs: usize = net.watch.volumes.values().map(|seats| of_operator(&net, &seats.miners)).sum();
    notes.push(format!("{IDENTITIES} identities of {} miners have {theirs} of {seats} seats", net.hosts.len()));
    Ok(net)
}

fn of_operator(net: &Net, miners: &[u32]) -> usize {
    let is_theirs = |miner: &&u32| net.hosts.iter().any(|host| host.number == **miner && host.place.region == REGION);
    miners.iter().filter(is_theirs).count()
}

fn capped(net: &Net) -> Result<(), Broken> {
    let cap = usize::from(storage().profile.total() / CAP_DIVISOR);
    for (id, seats) in &net.watch.volumes {
        let theirs = of_operator(net, &seats.miners);
        ensure(theirs <= cap, "caps hold", || format!("{theirs} seats of volume {id} are in one region"))?;
    }
    Ok(())
}
