//! Leave without anybody losing anything: hand seats over once the operator has retired, and take back the collateral.

use super::{Chair, RepairError, Repairer};
use alloy_primitives::U256;
use client::chain::Network;
use types::abi::{IMiners, IVolumes, MINERS, VOLUMES};

/// States of a seat, as the chain numbers them.
const WHOLE: u8 = 0;
const LEAVING: u8 = 3;
pub(super) const HANDING_OVER: u8 = 4;
/// Seats of one miner that wait for a successor or are taken over at the same time: each is a column to copy.
const HAND_OVERS_AT_ONCE: usize = 4;

impl Repairer {
    /// Hands over the seats of a miner that has retired, some at a time.
    pub(super) async fn hand_over(&self, chairs: &[Chair]) -> Result<(), RepairError> {
        let miner = self.state.lock().miner;
        let network = Network(&*self.chain);
        if !network.miner(miner).await?.retired {
            return Ok(());
        }
        let held = || chairs.iter().filter(|chair| chair.record.miner == miner);
        let under_way = held().filter(|chair| matches!(chair.record.state, LEAVING | HANDING_OVER)).count();
        let whole = held().filter(|chair| chair.record.state == WHOLE);
        for Chair { volume, seat, .. } in whole.take(HAND_OVERS_AT_ONCE.saturating_sub(under_way)) {
            let call = IVolumes::handOverCall { volume: *volume, seat: *seat };
            self.sender.call(VOLUMES, U256::ZERO, &call).await?;
            tracing::info!(volume, seat, "handing the seat over: it is kept until another has the column");
        }
        self.withdraw(miner).await
    }

    /// Takes back the collateral of lots that left, once no round holds it any more.
    async fn withdraw(&self, miner: u32) -> Result<(), RepairError> {
        let network = Network(&*self.chain);
        if network.read(MINERS, &IMiners::standingCall { id: miner }).await?.parting.is_zero() {
            return Ok(());
        }
        match self.sender.call(MINERS, U256::ZERO, &IMiners::withdrawCall {}).await {
            Ok(_) => tracing::info!(miner, "the collateral of lots that left is paid back"),
            Err(error) if error.is_revert::<IMiners::RoundPending>() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Whether a chair is one that this miner takes over while its holder still answers for it.
pub(super) fn is_successor(chair: &Chair, miner: u32) -> bool {
    chair.record.state == HANDING_OVER && chair.record.successor == miner
}
