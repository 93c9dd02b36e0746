//! Plot units, all cores on one at a time.
//!
//! # Design
//! Two layers are in memory, whatever the number of cores: the caller's buffer and one of the plotter's own. The nodes
//! of a layer are independent, so the cores share them (`rayon`, in the caller's pool); several units at a time would
//! gain nothing and take two more layers each. A caller that writes one unit while the next is plotted has two buffers.

use crate::idle::{
    DEGREE, Graph, LABEL_BYTES, NODE_BYTES, UnitId, UnitShape,
    label::{Group, Input, LANES, LayerHash, Node},
};
use alloy_primitives::B256;
use rayon::prelude::*;
use std::{
    ops::ControlFlow,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Groups that a core takes at a time.
const TASK_GROUPS: usize = 64;

/// How far ahead of the hash the memory is asked: less comes too late, more leaves the cache again.
const PREFETCH: usize = 2 * LANES;

/// Counts what plotters have done, and tells them to stop; shared by those who plot and those who watch.
#[derive(Debug, Default)]
pub struct Progress {
    nodes: AtomicU64,
    units: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    /// Asks plotters to give up the unit in hand after the layer in hand.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether plotters were asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Units finished.
    pub fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    /// Nodes made in layers of all kinds, of finished and unfinished units.
    pub fn nodes(&self) -> u64 {
        self.nodes.load(Ordering::Relaxed)
    }

    /// Bytes of content that the work done so far amounts to: grows layer by layer.
    pub fn content_bytes(&self, shape: UnitShape) -> u64 {
        self.nodes() * NODE_BYTES as u64 / u64::from(shape.layers())
    }

    /// Bytes of content per second, when the work so far took `elapsed`.
    pub fn rate(&self, shape: UnitShape, elapsed: Duration) -> u64 {
        let micros = elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.content_bytes(shape)) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

/// A unit was not plotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlotError {
    #[error("a unit takes a buffer of {expected} bytes, not {actual}")]
    Buffer { expected: usize, actual: usize },
    #[error("plotting was stopped; plot the unit again from its start")]
    Stopped,
}

/// Makes units of one shape.
pub struct Plotter {
    shape: UnitShape,
    graph: Arc<Graph>,
    spare: Box<dyn AsMut<[u8]> + Send>,
}

impl Plotter {
    /// A plotter with a graph of its own.
    pub fn new(shape: UnitShape) -> Self {
        Self::with_graph(shape, Arc::new(Graph::new(shape)))
    }

    /// A plotter on the graph of its shape.
    ///
    /// # Panics
    /// If the graph is of another size.
    pub fn with_graph(shape: UnitShape, graph: Arc<Graph>) -> Self {
        Self::with_spare(shape, graph, Box::new(vec![0; shape.bytes()]))
    }

    /// A plotter that keeps its other layer in the caller's memory, as many bytes as a unit has: huge pages make large
    /// units faster.
    ///
    /// # Panics
    /// If the graph is of another size.
    pub fn with_spare(shape: UnitShape, graph: Arc<Graph>, spare: Box<dyn AsMut<[u8]> + Send>) -> Self {
        assert_eq!(shape.nodes(), graph.nodes(), "the graph is of another size");
        Self { shape, graph, spare }
    }

    /// The shape of the units.
    pub fn shape(&self) -> UnitShape {
        self.shape
    }

    /// The graph, to share it.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Plots a unit into `content`; returns its root.
    pub fn plot(&mut self, unit: &UnitId, content: &mut [u8], progress: &Progress) -> Result<B256, PlotError> {
        self.fill(unit, content, progress)?;
        Ok(B256::from(*blake3::hash(content).as_bytes()))
    }

    /// Plots a unit into `content` and leaves hashing it to the caller.
    pub fn fill(&mut self, unit: &UnitId, content: &mut [u8], progress: &Progress) -> Result<(), PlotError> {
        self.plot_observed(unit, content, progress, &mut |_, _| ())?;
        progress.units.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Plots `units` one after the other and hands each to `take`, with its root, until the list ends, `take` breaks
    /// off or the progress is stopped. To resume, call it with the units that were not taken.
    pub fn plot_all(
        &mut self,
        units: impl IntoIterator<Item = UnitId>,
        progress: &Progress,
        mut take: impl FnMut(&UnitId, B256, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), PlotError> {
        let mut content = vec![0; self.shape.bytes()];
        for unit in units {
            let root = self.plot(&unit, &mut content, progress)?;
            if take(&unit, root, &content).is_break() {
                return Err(PlotError::Stopped);
            }
        }
        Ok(())
    }

    /// Whether `content` is what `unit` must hold, by plotting the unit once more.
    pub fn check(&mut self, unit: &UnitId, content: &[u8], progress: &Progress) -> Result<bool, PlotError> {
        let mut again = vec![0; self.shape.bytes()];
        self.plot(unit, &mut again, progress)?;
        Ok(again == content)
    }

    /// Plots a unit and shows `observe` each layer but the last before the next one replaces it.
    pub(crate) fn plot_observed(
        &mut self,
        unit: &UnitId,
        content: &mut [u8],
        progress: &Progress,
        observe: &mut dyn FnMut(u32, &[Node]),
    ) -> Result<(), PlotError> {
        let expected = self.shape.bytes();
        let spare = (*self.spare).as_mut();
        for actual in [content.len(), spare.len()] {
            if expected != actual {
                return Err(PlotError::Buffer { expected, actual });
            }
        }
        // The buffers take turns, so that the last layer ends in the caller's.
        let (mut below, mut above) = (nodes(content), nodes(spare));
        if self.shape.layers().is_multiple_of(2) {
            std::mem::swap(&mut below, &mut above);
        }
        let key = unit.key();
        let source = LayerHash::new(key, 0);
        make_layer(below, progress, |first, _, out| source.source_group(first as u64, out))?;
        for layer in 1..self.shape.layers() {
            observe(layer - 1, below);
            let hash = LayerHash::new(key, layer);
            make_layer(above, progress, |first, inputs, out| {
                self.graph.gather(below, first, inputs);
                self.graph.prefetch(below, first + PREFETCH);
                hash.group(first as u64, inputs, out);
            })?;
            std::mem::swap(&mut below, &mut above);
        }
        Ok(())
    }
}

/// The nodes in a buffer.
fn nodes(bytes: &mut [u8]) -> &mut [Node] {
    bytes.as_chunks_mut().0.as_chunks_mut().0
}

fn make_layer(
    layer: &mut [Node],
    progress: &Progress,
    make: impl Fn(usize, &mut [Input; LANES], &mut Group) + Sync,
) -> Result<(), PlotError> {
    if progress.is_stopped() {
        return Err(PlotError::Stopped);
    }
    layer.as_flattened_mut().as_chunks_mut().0.par_chunks_mut(TASK_GROUPS).enumerate().for_each(|(task, groups)| {
        let mut inputs = [[[0; LABEL_BYTES]; DEGREE]; LANES];
        for (offset, group) in groups.iter_mut().enumerate() {
            make((task * TASK_GROUPS + offset) * LANES, &mut inputs, group);
        }
    });
    progress.nodes.fetch_add(layer.len() as u64, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests;
