//! Work out what missing labels force, which is what makes keeping a unit cheaper than making it.

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

/// What share of a layer any share of the next one has as parents, at least, under random permutations: the largest
/// for which the union bound over all pairs of sets leaves no exception.
struct Expansion(Vec<f64>);

impl Expansion {
    const STEPS: usize = 1000;

    fn new() -> Self {
        let entropy = |x: f64| if x <= 0.0 || x >= 1.0 { 0.0 } else { -x * x.log2() - (1.0 - x) * (1.0 - x).log2() };
        let exceptions = |a: f64, b: f64| entropy(a) + entropy(b) + DEGREE as f64 * (b * entropy(a / b) - entropy(a));
        let reach = |step: usize| {
            let a = step as f64 / Self::STEPS as f64;
            let wider = (1..).map(|i| a + f64::from(i) * 1e-4).take_while(|b| *b < 1.0 && exceptions(a, *b) < 0.0);
            wider.last().unwrap_or(a)
        };
        Self((0..=Self::STEPS).map(reach).collect())
    }

    fn of(&self, share: f64) -> f64 {
        self.0[(share * Self::STEPS as f64) as usize]
    }

    /// The part of the hashing that remakes what is missing when `missing` of the content is, and as much as that, but
    /// `gap`, is kept of the layer `helped` layers below.
    fn forced(&self, gap: f64, missing: f64, helped: u32, layers: u32) -> f64 {
        let (mut wanted, mut hashed) = (missing, missing);
        for depth in 1..layers - 1 {
            wanted = self.of(wanted);
            if depth == helped {
                wanted = (wanted - (missing - gap)).max(0.0);
            }
            hashed += wanted;
        }
        hashed / f64::from(layers - 1)
    }
}

#[test]
fn keeping_all_but_a_hundredth_in_any_two_layers_saves_less_than_a_tenth() {
    let expansion = Expansion::new();
    assert!((expansion.of(0.1) - 0.555).abs() < 0.001 && (expansion.of(0.5) - 0.917).abs() < 0.001);
    for gap in [0.01, 0.02, 0.05, 0.1, 0.3] {
        for split in 0..=200 {
            let missing = gap + f64::from(split) * (1.0 - gap) / 200.0;
            let least = (1..31).map(|helped| expansion.forced(gap, missing, helped, 32)).fold(1.0, f64::min);
            assert!(least > 0.92, "{least} with a gap of {gap} and {missing} of the content missing");
        }
    }
}
