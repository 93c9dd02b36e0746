//! Fill pledged space with bytes that cost more to make again than to keep.
//!
//! A unit is the last layer of a stack of expanders over labels of 32 bytes. Every label is a hash of sixteen labels of
//! the layer below, so one lost label drags in nearly all of the unit's hashing; no label is longer than a hash, so
//! nothing shorter than the unit expands to it. `docs/spec/idle.md` has the format and the argument.
//!
//! # Format
//! ```text
//! label(0, x) = cv(0, x, 64 zero bytes)
//! label(l, x) = cv(l, x, label(l−1, parent(x, 0)) ‖ … ‖ label(l−1, parent(x, 15)))
//! content     = label(layers−1, 0) ‖ label(layers−1, 1) ‖ …
//! cv(l, x, m) = the chaining value of m as chunk number 2^40·l + x under BLAKE3 keyed with the unit's key
//! ```
//!
//! # Example
//! ```
//! use proofs::idle::{Plotter, Progress, UnitId, UnitShape};
//!
//! let shape = UnitShape::new(64 << 10, 4)?;
//! let unit = UnitId { chain_id: 1, miner: 2, lot: 3, unit: 0, beacon: [7; 32].into() };
//! let mut content = vec![0; shape.bytes()];
//! let root = Plotter::new(shape).plot(&unit, &mut content, &Progress::default())?;
//! assert_eq!(root, *blake3::hash(&content).as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod graph;
mod hashes;
mod key;
mod label;
mod plot;
mod shape;

pub use graph::Graph;
pub use hashes::UnitHashes;
pub use key::{UnitId, UnitKey};
pub(crate) use label::{Input, Label, LayerHash, Node};
pub use label::{LABEL_BYTES, WORDS};
pub use plot::{PlotError, Plotter, Progress};
pub use shape::{DEGREE, NODE_BYTES, ShapeError, UnitShape};

/// The domains of idle units: `derive_key` contexts of BLAKE3.
pub mod domain {
    /// Key of a unit.
    pub const UNIT: &str = "cess idle unit v1";
    /// Permutations and rotations of the graph.
    pub const GRAPH: &str = "cess idle graph v1";
}
