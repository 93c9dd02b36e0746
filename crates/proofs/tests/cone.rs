//! Measure what a missing label forces, which is what makes keeping a unit cheaper than making it.

use proofs::idle::{DEGREE, Graph, UnitShape};

/// Labels of 1 KiB of content: what an opening shows.
const CHUNK: u64 = 32;

struct Stack {
    graph: Graph,
    shape: UnitShape,
}

impl Stack {
    fn new(mib: u64, layers: u32) -> Self {
        let shape = UnitShape::new(mib << 20, layers).expect("a shape");
        Self { graph: Graph::new(shape), shape }
    }

    /// The part of a unit's hashing that brings back the first chunk of its content, when the labels of `kept` layers'
    /// positions are at hand.
    fn forced(&self, kept: impl Fn(u32, u64) -> bool) -> f64 {
        let labels = self.shape.labels();
        let mut wanted: Vec<bool> = (0..labels).map(|x| x < CHUNK).collect();
        let mut hashed = 0;
        for layer in (1..self.shape.layers()).rev() {
            let mut below = vec![false; labels as usize];
            let missing = (0..labels).filter(|x| wanted[*x as usize] && !kept(layer, *x));
            for x in missing {
                hashed += 1;
                (0..DEGREE).for_each(|j| below[self.graph.parent(x, j) as usize] = true);
            }
            wanted = below;
        }
        f64::from(hashed) / (labels as f64 * f64::from(self.shape.layers() - 1))
    }

    /// Which layer below the content keeps every label but one in `one_in`.
    fn kept_but(layer: u32, one_in: u64) -> impl Fn(u32, u64) -> bool {
        // A multiplicative hash scatters the gaps over nodes and positions alike.
        move |l, x| l == layer && !(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(one_in)
    }
}

/// The graph is fixed, so these figures are exact up to their last digit.
fn assert_share(share: f64, expected: f64) {
    assert!((share - expected).abs() < 0.000_1, "{share}, not {expected}");
}

#[test]
fn one_missing_chunk_forces_nearly_the_whole_unit() {
    assert_share(Stack::new(2, 32).forced(|_, _| false), 0.9029);
    assert_share(Stack::new(8, 32).forced(|_, _| false), 0.8847);
    // Four layers are for networks on one machine: they show the mechanism and cost nothing to fake.
    assert_share(Stack::new(8, 4).forced(|_, _| false), 0.0110);
}

#[test]
fn one_missing_chunk_forces_nearly_the_whole_public_unit_slow() {
    assert_share(Stack::new(64, 32).forced(|_, _| false), 0.8613);
}

#[test]
fn an_inner_layer_with_gaps_saves_nothing() {
    // Keeping layer l in place of the content, with gaps, costs all layers below l, as soon as one gap is met.
    let stack = Stack::new(2, 32);
    let measured = [(30, 4, 0.8847), (29, 16, 0.8703), (28, 64, 0.8483), (28, 256, 0.8305), (16, 64, 0.8454)];
    for (layer, one_in, expected) in measured {
        assert_share(stack.forced(Stack::kept_but(layer, one_in)), expected);
    }
}
