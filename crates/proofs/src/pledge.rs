//! Check that pledged units are what they must be, by walks that anyone verifies.
//!
//! A unit's content commits to all of its layers: a label is a hash of its parents, so whoever knows a label's
//! preimage knows its parents' labels. A beacon names a position of the content and one of sixteen edges at each layer;
//! the miner shows the labels beside that walk, and the verifier hashes its way from the source, which it knows by
//! itself, up to the content. Whoever cut the stack anywhere cannot show a walk across the cut.
//!
//! # Format
//! ```text
//! walk  = siblings(1) ‖ … ‖ siblings(layers−1) ‖ chunk ‖ chunk path ‖ unit path
//! siblings(l)  15 labels: the parents of the walk's label at layer l in order of their edges, but the walk's own
//! chunk        the KiB of the content that holds the walk's first label
//! chunk path   its siblings under the unit root in BLAKE3's own tree, from below
//! unit path    the siblings of the unit root under the lot's idle root (types::merkle), from below
//! ```
//! Its length follows from the shape, the position and the units of a lot.

mod draw;
mod walk;

pub use draw::{Sample, sample, seed, spot_lot};
pub use walk::{ProveError, WalkError, Walks};

/// The domains of pledges: `derive_key` contexts of BLAKE3.
pub mod domain {
    /// Seed of the walks that one beacon asks of a batch of lots.
    pub const SEED: &str = "cess pledge seed v1";
    /// One walk.
    pub const WALK: &str = "cess pledge walk v1";
    /// Lot of a later check.
    pub const SPOT: &str = "cess pledge spot v1";
}
