//! Let one miner cheat among honest ones.

use super::{filled, heal};
use crate::Broken;
use crate::net::Net;
use std::time::Duration;
pub(super) async fn drop_data(seed: u64, _percent: u8, _notes: &mut Vec<String>) -> Result<Net, Broken> {
    let mut net = filled(seed, 10, 3, 4).await?;
    heal(&mut net).await?;
    Ok(net)
}
pub(super) async fn late(seed: u64, _notes: &mut Vec<String>) -> Result<Net, Broken> {
    filled(seed, 10, 3, 4).await
}
pub(super) async fn borrow(seed: u64, _time: Duration, _notes: &mut Vec<String>) -> Result<Net, Broken> {
    filled(seed, 10, 3, 4).await
}
pub(super) async fn withhold(seed: u64, _notes: &mut Vec<String>) -> Result<Net, Broken> {
    filled(seed, 10, 3, 4).await
}
