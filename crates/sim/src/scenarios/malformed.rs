//! x
use crate::{Broken, net::Net};
use std::time::Duration;
pub(super) async fn malformed(seed: u64, _time: Duration, _notes: &mut Vec<String>) -> Result<Net, Broken> {
    super::filled(seed, 10, 3, 4).await
}
