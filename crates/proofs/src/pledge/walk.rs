//! Show walks, and judge them.

use crate::{
    chunk::{self, CHUNK_BYTES, Hash},
    idle::{
        DEGREE, Graph, Input, LABEL_BYTES, Label, LayerHash, Node, PlotError, Plotter, Progress, UnitId, UnitShape,
        WORDS,
    },
    pledge::Sample,
};
use alloy_primitives::B256;
use std::sync::Arc;
use types::merkle;

/// Bytes of the labels beside a walk at one layer.
const SIBLINGS_BYTES: usize = (DEGREE - 1) * LABEL_BYTES;

/// The walks of units of one shape: what the chain, a miner and a second look have in common.
#[derive(Clone)]
pub struct Walks {
    shape: UnitShape,
    graph: Arc<Graph>,
    units_per_lot: u32,
}

/// A walk proves nothing: its miner is at fault, unless the caller asked for what there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    #[error("the walk was asked for at a position, over edges or in a unit that does not exist")]
    Sample,
    #[error("a walk has {expected} bytes, not {actual}")]
    Length { expected: usize, actual: usize },
    #[error("the walk from the source leads to another label than the content has")]
    Label,
    #[error("the content's chunk is not under the lot's idle root")]
    Root,
}

/// A walk cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error("the walk was asked for at a position, over edges or in a unit that does not exist")]
    Sample,
}

impl Walks {
    /// The walks over units of this shape.
    ///
    /// # Panics
    /// If the graph is of another size.
    pub fn new(shape: UnitShape, graph: Arc<Graph>, units_per_lot: u32) -> Self {
        assert_eq!(shape.nodes(), graph.nodes(), "the graph is of another size");
        Self { shape, graph, units_per_lot }
    }

    /// Bytes of a walk that ends at `position`.
    pub fn walk_bytes(&self, position: u64) -> usize {
        // Past the end there is no walk: `exists` says so of such a sample.
        let chunk_path = chunk::depth(self.shape.bytes() as u64, chunk_of(position)).unwrap_or_default();
        let labels = chunk_path + self.unit_path_len();
        self.steps() * SIBLINGS_BYTES + CHUNK_BYTES + labels * LABEL_BYTES
    }

    /// Judges a walk in unit `unit` of a lot with `idle_root`.
    pub fn verify(&self, unit: &UnitId, idle_root: &B256, sample: &Sample, walk: &[u8]) -> Result<(), WalkError> {
        if !self.exists(unit, sample) {
            return Err(WalkError::Sample);
        }
        let (expected, actual) = (self.walk_bytes(sample.position), walk.len());
        if expected != actual {
            return Err(WalkError::Length { expected, actual });
        }
        let (siblings, rest) = walk.split_at(self.steps() * SIBLINGS_BYTES);
        let (chunk, paths) = rest.split_first_chunk::<CHUNK_BYTES>().expect("the length is checked");
        let labels = chunk.as_chunks::<LABEL_BYTES>().0;
        if self.climb(unit, sample, siblings) != labels[sample.position as usize % labels.len()] {
            return Err(WalkError::Label);
        }
        match self.idle_root(unit, chunk, chunk_of(sample.position), paths.as_chunks().0) == Some(*idle_root) {
            true => Ok(()),
            false => Err(WalkError::Root),
        }
    }

    /// Shows the walks `samples`, all of them in one unit, by plotting it once more into `content`, a buffer of the
    /// unit's size; `lot` is the tree over the unit roots of its lot. What the miner has on disk is not needed.
    pub fn prove(
        &self,
        plotter: &mut Plotter,
        unit: &UnitId,
        samples: &[Sample],
        lot: &merkle::Tree,
        content: &mut [u8],
        progress: &Progress,
    ) -> Result<Vec<Vec<u8>>, ProveError> {
        if plotter.shape() != self.shape || !samples.iter().all(|sample| self.exists(unit, sample)) {
            return Err(ProveError::Sample);
        }
        let unit_path = lot.path(unit.unit as usize).filter(|path| path.len() == self.unit_path_len());
        let unit_path = unit_path.ok_or(ProveError::Sample)?;
        let positions: Vec<Vec<u64>> = samples.iter().map(|sample| self.positions(sample)).collect();
        let mut walks = vec![Vec::new(); samples.len()];
        plotter.plot_observed(unit, content, progress, &mut |layer, labels| {
            for ((walk, sample), positions) in walks.iter_mut().zip(samples).zip(&positions) {
                let (above, edge) = (layer as usize + 1, sample.edges[self.steps() - 1 - layer as usize]);
                self.push_siblings(walk, labels, positions[above], edge.into());
            }
        })?;
        for (walk, sample) in walks.iter_mut().zip(samples) {
            let chunk = chunk_of(sample.position);
            walk.extend_from_slice(&content[chunk as usize * CHUNK_BYTES..][..CHUNK_BYTES]);
            let chunk_path = chunk::path(Hash::Plain, content, chunk).unwrap_or_default();
            chunk_path.iter().chain(&unit_path).for_each(|sibling| walk.extend_from_slice(sibling.as_slice()));
        }
        Ok(walks)
    }

    fn steps(&self) -> usize {
        self.shape.layers() as usize - 1
    }

    fn unit_path_len(&self) -> usize {
        (self.units_per_lot as usize).next_power_of_two().trailing_zeros() as usize
    }

    fn exists(&self, unit: &UnitId, sample: &Sample) -> bool {
        unit.unit < self.units_per_lot
            && sample.position < self.shape.labels()
            && sample.edges.len() == self.steps()
            && sample.edges.iter().all(|edge| usize::from(*edge) < DEGREE)
    }

    /// The walk's positions by layer, from the source on.
    fn positions(&self, sample: &Sample) -> Vec<u64> {
        let mut positions = vec![sample.position];
        for edge in &sample.edges {
            positions.push(self.graph.parent(positions[positions.len() - 1], (*edge).into()));
        }
        positions.reverse();
        positions
    }

    /// The label of the content that the walk leads to.
    fn climb(&self, unit: &UnitId, sample: &Sample, siblings: &[u8]) -> Label {
        let (key, positions) = (unit.key(), self.positions(sample));
        let mut label = LayerHash::new(key, 0).source(positions[0]);
        let steps = siblings.as_chunks::<LABEL_BYTES>().0.as_chunks::<{ DEGREE - 1 }>().0;
        for ((layer, siblings), edge) in (1..).zip(steps).zip(sample.edges.iter().rev()) {
            label = LayerHash::new(key, layer).label(positions[layer as usize], &insert(siblings, *edge, label));
        }
        label
    }

    fn push_siblings(&self, walk: &mut Vec<u8>, below: &[Node], position: u64, edge: usize) {
        for other in (0..DEGREE).filter(|other| *other != edge) {
            let parent = self.graph.parent(position, other) as usize;
            walk.extend_from_slice(&below[parent / WORDS][parent % WORDS]);
        }
    }

    fn idle_root(&self, unit: &UnitId, bytes: &[u8; CHUNK_BYTES], chunk: u64, paths: &[Label]) -> Option<B256> {
        let paths: Vec<B256> = paths.iter().map(B256::from).collect();
        let (chunk_path, unit_path) = paths.split_at(paths.len() - self.unit_path_len());
        let unit_root = chunk::root_of(Hash::Plain, self.shape.bytes() as u64, chunk, bytes, chunk_path)?;
        merkle::root_of(&unit_root, unit.unit.into(), unit_path)
    }
}

fn chunk_of(position: u64) -> u64 {
    position * LABEL_BYTES as u64 / CHUNK_BYTES as u64
}

/// All sixteen parents' labels: the walk's own at its edge, the others around it.
fn insert(siblings: &[Label; DEGREE - 1], edge: u8, own: Label) -> Input {
    let edge = usize::from(edge);
    std::array::from_fn(|j| match j.cmp(&edge) {
        std::cmp::Ordering::Less => siblings[j],
        std::cmp::Ordering::Equal => own,
        std::cmp::Ordering::Greater => siblings[j - 1],
    })
}

#[cfg(test)]
mod tests;
