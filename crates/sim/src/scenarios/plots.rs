//! Let miners fill their lots with idle units, and one of them with units that are not those of its pledge.

use super::{heal, put};
use crate::{
    Broken, ensure,
    host::Place,
    link::Lie,
    net::{Net, ROUND, Setting, places, storage},
};
use alloy_primitives::U256;
use client::chain::Network;
use std::time::Duration;
use types::{
    abi::{AUDITS, IAudits},
    layout::audits::{RollQuery, RunQuery},
};

const MINERS: usize = 9;
const LOTS: u32 = 3;

/// The liar plots from a beacon of its own choice: so it could have made one plot before all pledges, and show it for any
/// number of lots. Its program does all else as it should: it commits, opens, and shows walks, of its own units.
pub(super) async fn plots(setting: Setting, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let honest: Vec<_> = places(MINERS, LOTS).into_iter().map(|place| Place { plots: true, ..place }).collect();
    let mut net = Net::start(setting, storage(), &honest).await?;
    for _ in 0..12 {
        put(&mut net).await?;
    }
    net.until("walks of honest plots are shown", async |net| {
        Ok(net.hosts.iter().all(|host| net.watch.of(host.number).met > 0).then_some(()))
    })
    .await?;
    let network = net.chain.clone();
    let liar = net.join(Place { network: MINERS as u32 + 1, ..honest[0] }).await?;
    let miner = net.hosts[liar].number;
    net.watch.suspects.insert(miner);
    let roll = Network(&*network).query(RollQuery { miner }).await.map_err(Broken::chain)?;
    ensure(roll.runs == 1, "a miner pledges once", || format!("{roll:?}"))?;
    let run = Network(&*network).query(RunQuery { miner, index: 0 }).await.map_err(Broken::chain)?;
    net.hosts[liar].set_lie(Lie::OtherBeacon(run.round));
    let root = || async {
        Network(&*network).read(AUDITS, &IAudits::idleRootCall { lot: run.lot }).await.map_err(Broken::chain)
    };
    net.until("the liar names its roots", async |_| Ok((!root().await?.is_zero()).then_some(()))).await?;
    let taken_back = "roots are taken back whose walks are not shown";
    net.until(taken_back, async |net| Ok((net.watch.of(miner).walk_faults > 0).then_some(()))).await?;
    ensure(net.watch.of(miner).met == 0, "no walk leads through other units", || format!("{:?}", net.watch.of(miner)))?;
    net.pass(time.max(ROUND * 4)).await?;
    let books = net.watch.of(miner);
    // It names them again, and is fined again; what it may have earned is for data, of which it holds what it should.
    ensure(books.met == 0 && books.walk_fines > U256::ZERO, "who names other units is fined", || format!("{books:?}"))?;
    ensure(books.losses() > books.earned, "cheaters' profit is negative", || format!("{books:?}"))?;
    let met: u32 = net.hosts.iter().map(|host| net.watch.of(host.number).met).sum();
    notes.push(format!(
        "{met} demands met by honest miners; the liar failed {} for {} wei, and earned {} wei with data",
        books.walk_faults, books.walk_fines, books.earned
    ));
    heal(&mut net).await?;
    Ok(net)
}
