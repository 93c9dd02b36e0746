//! Say how large a unit is and how deep its stack.

use crate::idle::label::{LABEL_BYTES, WORDS};

/// Labels of the layer below that a label hashes.
pub const DEGREE: usize = 16;
/// Bytes of a node: the labels that the graph moves together.
pub const NODE_BYTES: usize = WORDS * LABEL_BYTES;

/// Most nodes of a unit: 2 GiB, 32 of the longest slots.
const NODES_MAX: usize = 1 << 17;
/// Most layers of a unit.
const LAYERS_MAX: u32 = 64;

/// Size and depth of the units of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitShape {
    nodes: u32,
    layers: u32,
}

/// No unit can have this shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("a unit of {0} bytes is not a whole number of nodes of {NODE_BYTES} bytes, from 2 to {NODES_MAX}")]
    Bytes(u64),
    #[error("a unit has from 2 to {LAYERS_MAX} layers, not {0}")]
    Layers(u32),
}

impl UnitShape {
    /// A unit of `bytes` bytes under `layers` layers, the source included.
    pub fn new(bytes: u64, layers: u32) -> Result<Self, ShapeError> {
        let nodes = bytes / NODE_BYTES as u64;
        let whole = bytes.is_multiple_of(NODE_BYTES as u64) && (2..=NODES_MAX as u64).contains(&nodes);
        match u32::try_from(nodes) {
            Ok(nodes) if whole => Self::of(nodes, layers),
            _ => Err(ShapeError::Bytes(bytes)),
        }
    }

    fn of(nodes: u32, layers: u32) -> Result<Self, ShapeError> {
        if !(2..=LAYERS_MAX).contains(&layers) {
            return Err(ShapeError::Layers(layers));
        }
        Ok(Self { nodes, layers })
    }

    /// Nodes of a layer.
    pub fn nodes(&self) -> usize {
        self.nodes as usize
    }

    /// Labels of a layer.
    pub fn labels(&self) -> u64 {
        u64::from(self.nodes) * WORDS as u64
    }

    /// Layers, the source included.
    pub fn layers(&self) -> u32 {
        self.layers
    }

    /// Bytes of the content.
    pub fn bytes(&self) -> usize {
        self.nodes() * NODE_BYTES
    }

    /// Bytes that BLAKE3 compresses to plot the unit, without its root: the yardstick of a plotter.
    pub fn hashed_bytes(&self) -> u64 {
        self.labels() * (64 + u64::from(self.layers - 1) * (DEGREE * LABEL_BYTES) as u64)
    }
}
