//! Wire each label to sixteen labels of the layer below.
//!
//! # Format
//! For each of the sixteen edges `j` there is a permutation π of the nodes and a rotation `s` per node:
//! ```text
//! parent(x, j) = 512·π_j(i) + (w + s_j(i)) mod 512        for x = 512·i + w
//! ```
//! Both come from the output of `BLAKE3-derive(GRAPH, nodes (4, BE) ‖ j (4, BE))` read as 32-bit words, LE. π_j is the
//! identity, shuffled: for i = nodes−1, …, 1 it swaps i and r, where r is the first word, masked to the bits of i,
//! that is not above i. The rotations follow, one word each, modulo 512.
//!
//! All layers of all units of one size share the graph. It is a rotation lift of a union of random permutations: memory
//! is read 16 KiB at a time, but the labels of a node part ways.

use crate::idle::{
    DEGREE, UnitShape, WORDS, domain,
    label::{Input, LANES, Label, Node},
};

/// Bits of an edge that hold its rotation.
const ROTATION_BITS: u32 = WORDS.trailing_zeros();

/// The edges between two layers.
#[derive(Clone)]
pub struct Graph {
    /// Per node its edges, each `π_j(i) << 9 | s_j(i)`.
    edges: Vec<[u32; DEGREE]>,
}

/// Thirty-two bit words from BLAKE3's extended output.
struct Words {
    output: blake3::OutputReader,
    block: [u8; 1024],
    used: usize,
}

impl Words {
    fn new(nodes: u32, edge: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain::GRAPH);
        hasher.update(&nodes.to_be_bytes()).update(&edge.to_be_bytes());
        Self { output: hasher.finalize_xof(), block: [0; 1024], used: 1024 }
    }

    fn next(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.output.fill(&mut self.block);
            self.used = 0;
        }
        self.used += 4;
        u32::from_le_bytes(self.block[self.used - 4..self.used].try_into().expect("four bytes"))
    }

    /// A word up to `last`.
    fn up_to(&mut self, last: u32) -> u32 {
        let mask = u32::MAX >> last.leading_zeros();
        loop {
            let word = self.next() & mask;
            if word <= last {
                return word;
            }
        }
    }
}

impl Graph {
    /// The graph of units of this shape.
    pub fn new(shape: UnitShape) -> Self {
        let nodes = u32::try_from(shape.nodes()).expect("a shape bounds its nodes");
        let mut edges = vec![[0; DEGREE]; shape.nodes()];
        let mut permutation: Vec<u32> = Vec::new();
        for edge in 0..DEGREE {
            let mut words = Words::new(nodes, edge as u32);
            permutation.clear();
            permutation.extend(0..nodes);
            for last in (1..nodes).rev() {
                permutation.swap(last as usize, words.up_to(last) as usize);
            }
            for (row, to) in edges.iter_mut().zip(&permutation) {
                row[edge] = (to << ROTATION_BITS) | (words.next() % WORDS as u32);
            }
        }
        Self { edges }
    }

    /// Nodes of a layer.
    pub fn nodes(&self) -> usize {
        self.edges.len()
    }

    /// The position in the layer below that edge `edge` of position `position` leads to.
    ///
    /// # Panics
    /// If the graph has no such position or edge.
    pub fn parent(&self, position: u64, edge: usize) -> u64 {
        let (node, word) = (position / WORDS as u64, position as usize % WORDS);
        let packed = self.edges[usize::try_from(node).expect("a position of the graph")][edge];
        let (to, rotation) = unpack(packed);
        (to * WORDS + (word + rotation) % WORDS) as u64
    }

    /// Asks the processor for what gathering from position `first` on will read, if there is such a position: memory is
    /// slower than hashing for units that leave the cache.
    pub(super) fn prefetch(&self, below: &[Node], first: usize) {
        for packed in self.edges.get(first / WORDS).into_iter().flatten() {
            let (straight, wrapped) = parents(below, first, *packed);
            straight.iter().step_by(2).chain(wrapped.iter().step_by(2)).for_each(prefetch);
        }
    }

    /// Collects from the layer `below` what the labels from position `first` on hash.
    pub(super) fn gather(&self, below: &[Node], first: usize, inputs: &mut [Input; LANES]) {
        for (edge, packed) in self.edges[first / WORDS].iter().enumerate() {
            let (straight, wrapped) = parents(below, first, *packed);
            let (low, high) = inputs.split_at_mut(straight.len());
            low.iter_mut().zip(straight).for_each(|(input, label)| input[edge] = *label);
            high.iter_mut().zip(wrapped).for_each(|(input, label)| input[edge] = *label);
        }
    }
}

/// The labels that one edge of the positions from `first` on leads to: a run of a node, and what wraps around.
fn parents(below: &[Node], first: usize, packed: u32) -> (&[Label], &[Label]) {
    let (to, rotation) = unpack(packed);
    let start = (first + rotation) % WORDS;
    let straight = LANES.min(WORDS - start);
    (&below[to][start..start + straight], &below[to][..LANES - straight])
}

/// Asks the processor for the line of a label.
#[cfg(target_arch = "x86_64")]
fn prefetch(label: &Label) {
    safe_arch::prefetch_t1(label);
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch(_: &Label) {}

fn unpack(packed: u32) -> (usize, usize) {
    ((packed >> ROTATION_BITS) as usize, packed as usize % WORDS)
}

#[cfg(test)]
mod tests;
