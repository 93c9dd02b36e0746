//! Bound everything that a peer can make us hold or wait for.

use std::time::Duration;

/// Longest header of a request or a response.
pub const HEADER_BYTES_MAX: usize = 192 << 10;
/// Longest fragment that the format can carry; the configuration may say less.
pub const FRAGMENT_BYTES_MAX: u64 = 64 << 20;
/// Longest path of a fragment in its segment: 2^8 fragments.
pub const PATH_NODES_MAX: usize = 8;
/// Segments of one receipt.
pub const SIGN_SEGMENTS_MAX: usize = types::abi::BATCH_STRIPES_MAX;
/// Leaves in one answer.
pub const LEAVES_MAX: u32 = 1024;
/// Volumes in one status page.
pub const STATUS_VOLUMES_MAX: usize = 1024;
/// Bytes of the text in a refusal.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 160;
/// Longest a peer may ask us to wait before it is asked again.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
