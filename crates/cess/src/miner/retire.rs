//! Leave the network in order: `cess miner retire`.

use super::{MinerFile, believed};
use crate::{cli::MinerRetireArgs, config, nodes::Nodes, print};
use alloy_primitives::U256;
use anyhow::{Result, ensure};
use client::{ChainApi, Sender, chain::Network};
use std::{path::Path, sync::Arc};
use types::abi::{IMiners, MINERS};

/// Takes the free lots out; the running miner hands over the rest.
pub async fn retire(arguments: MinerRetireArgs) -> Result<()> {
    let path = &arguments.config;
    let file: MinerFile = config::read(path)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let chain: Arc<dyn ChainApi> = Arc::new(Nodes::new(&file.nodes, believed(&file, dir, &dir.join(&file.data))?)?);
    let sender = Sender::new(chain.clone(), file.operator.unlock(dir).await?);
    let network = Network(&*chain);
    let id = network.miner_of(sender.address()).await?;
    ensure!(id > 0, "{} operates no miner: is this the configuration of the one that is to leave?", sender.address());
    let before = network.miner(id).await?;
    ensure!(!before.retired, "miner {id} has retired already: keep it running until `cess miner status` shows no lots");
    ensure!(
        arguments.yes,
        "miner {id} would leave for good: {} free lots at once, {} in volumes when others have their columns. Add --yes to go on",
        before.lotsFree,
        before.lots - before.lotsFree
    );
    let mut waits = false;
    loop {
        let height = chain.head().await?.height;
        match sender.call(MINERS, U256::ZERO, &IMiners::retireCall {}).await {
            Ok(_) => break,
            Err(error) if error.is_revert::<IMiners::RoundPending>() || error.is_revert::<IMiners::DrawPending>() => {
                if !std::mem::replace(&mut waits, true) {
                    print::note("waiting until the present audit round, or draw of members, is over")?;
                }
                chain.wait_above(height).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let left = network.miner(id).await?.lots;
    print::line(match left {
        0 => format!("miner {id} has left: stop it, and delete its data"),
        _ => format!(
            "miner {id} hands {left} seats over: keep it running until `cess miner status --id {id}` shows no lots"
        ),
    })
}
