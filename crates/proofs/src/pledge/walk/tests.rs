use super::*;
use crate::pledge::{sample, seed};
use proptest::prelude::*;
use std::sync::LazyLock;

const UNITS: u32 = 3;

/// A lot of three tiny units, made label by label: a second implementation of the format, and the cheaters' workshop.
struct World {
    walks: Walks,
    layers: Vec<Vec<Vec<Label>>>,
}

fn shape() -> UnitShape {
    UnitShape::new(32 << 10, 5).expect("a shape")
}

fn unit(unit: u32) -> UnitId {
    UnitId { chain_id: 1, miner: 2, lot: 3, unit, beacon: [5; 32].into() }
}

impl World {
    /// Makes a lot whose labels are `tamper`ed with, layer by layer, before the next layer hashes them.
    fn new(tamper: impl Fn(usize, u64, Label) -> Label) -> Self {
        let graph = Arc::new(Graph::new(shape()));
        let labels = |unit: u32| {
            let mut layers: Vec<Vec<Label>> = Vec::new();
            for layer in 0..shape().layers() as usize {
                let hash = LayerHash::new(self::unit(unit).key(), layer as u32);
                let label = |x| match layers.last() {
                    None => hash.source(x),
                    Some(below) => hash.label(x, &std::array::from_fn(|j| below[graph.parent(x, j) as usize])),
                };
                layers.push((0..shape().labels()).map(|x| tamper(layer, x, label(x))).collect());
            }
            layers
        };
        let layers = (0..UNITS).map(labels).collect();
        Self { walks: Walks::new(shape(), graph, UNITS), layers }
    }

    fn content(&self, unit: u32) -> &[u8] {
        self.layers[unit as usize][shape().layers() as usize - 1].as_flattened()
    }

    fn tree(&self) -> merkle::Tree {
        let roots: Vec<B256> =
            (0..UNITS).map(|unit| B256::from(*blake3::hash(self.content(unit)).as_bytes())).collect();
        merkle::Tree::new(&roots)
    }

    /// The best walk that whoever has these layers can show.
    fn walk(&self, sample: &Sample) -> Vec<u8> {
        let (mut walk, positions) = (Vec::new(), self.walks.positions(sample));
        let layers = &self.layers[sample.unit as usize];
        for layer in 1..layers.len() {
            let edge = sample.edges[layers.len() - 1 - layer];
            for other in (0..DEGREE).filter(|other| *other != usize::from(edge)) {
                let parent = self.walks.graph.parent(positions[layer], other);
                walk.extend_from_slice(&layers[layer - 1][parent as usize]);
            }
        }
        let (content, chunk) = (self.content(sample.unit as u32), chunk_of(sample.position));
        walk.extend_from_slice(&content[chunk as usize * CHUNK_BYTES..][..CHUNK_BYTES]);
        chunk::path(Hash::Plain, content, chunk).expect("a chunk").iter().for_each(|value| walk.extend(value));
        let path = self.tree().path(sample.unit as usize).expect("a unit of the lot");
        path.iter().for_each(|sibling| walk.extend_from_slice(sibling.as_slice()));
        walk
    }

    fn verify(&self, sample: &Sample, walk: &[u8]) -> Result<(), WalkError> {
        self.walks.verify(&unit(sample.unit as u32), &self.tree().root(), sample, walk)
    }

    /// How many of 400 walks pass.
    fn passing(&self) -> usize {
        let root = self.tree().root();
        (0..400)
            .map(asked)
            .filter(|sample| self.walks.verify(&unit(sample.unit as u32), &root, sample, &self.walk(sample)).is_ok())
            .count()
    }
}

static HONEST: LazyLock<World> = LazyLock::new(|| World::new(|_, _, label| label));

fn asked(number: u32) -> Sample {
    sample(shape(), &seed(&[8; 32].into(), 2, 3, 1), UNITS.into(), number)
}

#[test]
fn plotted_units_answer_every_walk() {
    let mut plotter = Plotter::with_graph(shape(), Arc::clone(&HONEST.walks.graph));
    let mut content = vec![0; shape().bytes()];
    for unit in 0..UNITS {
        let samples: Vec<Sample> = (0..40).map(asked).filter(|sample| sample.unit == u64::from(unit)).collect();
        assert!(!samples.is_empty());
        let (id, tree) = (self::unit(unit), HONEST.tree());
        let walks = HONEST.walks.prove(&mut plotter, &id, &samples, &tree, &mut content, &Progress::default());
        assert_eq!(content, HONEST.content(unit));
        for (sample, walk) in samples.iter().zip(walks.expect("a buffer of the unit's size")) {
            assert_eq!(walk.len(), HONEST.walks.walk_bytes(sample.position));
            assert_eq!(walk, HONEST.walk(sample));
            assert_eq!(HONEST.verify(sample, &walk), Ok(()));
        }
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let (sample, root) = (asked(0), HONEST.tree().root());
    let mut walk = HONEST.walk(&sample);
    let unit = unit(sample.unit as u32);
    for bit in 0..walk.len() * 8 {
        walk[bit / 8] ^= 1 << (bit % 8);
        assert!(HONEST.walks.verify(&unit, &root, &sample, &walk).is_err(), "bit {bit}");
        walk[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(HONEST.walks.verify(&unit, &root, &sample, &walk), Ok(()));
}

#[test]
fn a_walk_answers_its_own_question_only() {
    let (sample, root) = (asked(0), HONEST.tree().root());
    let (walk, id) = (HONEST.walk(&sample), unit(sample.unit as u32));
    let verify = |unit: &UnitId, sample: &Sample| HONEST.walks.verify(unit, &root, sample, &walk);
    for layer in 0..sample.edges.len() {
        let mut other = sample.clone();
        other.edges[layer] = (other.edges[layer] + 1) % DEGREE as u8;
        assert_eq!(verify(&id, &other), Err(WalkError::Label));
    }
    let moved = |position| Sample { position, ..sample.clone() };
    assert_eq!(verify(&id, &moved((sample.position + 1) % shape().labels())), Err(WalkError::Label));
    let others = [
        UnitId { chain_id: 9, ..id },
        UnitId { miner: 9, ..id },
        UnitId { lot: 9, ..id },
        UnitId { unit: (id.unit + 1) % UNITS, ..id },
        UnitId { beacon: B256::ZERO, ..id },
    ];
    for other in others {
        assert_eq!(verify(&other, &sample), Err(WalkError::Label));
    }
    assert_eq!(HONEST.walks.verify(&id, &B256::ZERO, &sample, &walk), Err(WalkError::Root));
}

#[test]
fn layers_do_not_stand_in_for_each_other() {
    let sample = asked(0);
    let mut walk = HONEST.walk(&sample);
    let (first, rest) = walk.split_at_mut(SIBLINGS_BYTES);
    first.swap_with_slice(&mut rest[..SIBLINGS_BYTES]);
    assert_eq!(HONEST.verify(&sample, &walk), Err(WalkError::Label));
}

#[test]
fn a_walk_of_another_length_is_refused() {
    let sample = asked(0);
    let walk = HONEST.walk(&sample);
    let expected = walk.len();
    for actual in [0, 1, SIBLINGS_BYTES, expected - 32, expected - 1] {
        assert_eq!(HONEST.verify(&sample, &walk[..actual]), Err(WalkError::Length { expected, actual }));
    }
    for more in [1, 32, 1024] {
        let walk = [&walk[..], &vec![0; more]].concat();
        assert_eq!(HONEST.verify(&sample, &walk), Err(WalkError::Length { expected, actual: expected + more }));
    }
}

#[test]
fn questions_about_nothing_are_refused() {
    let sample = asked(0);
    let walk = HONEST.walk(&sample);
    let id = unit(sample.unit as u32);
    let mut short = sample.clone();
    short.edges.pop();
    let mut wide = sample.clone();
    wide.edges[0] = DEGREE as u8;
    let far = Sample { position: shape().labels(), ..sample.clone() };
    for wrong in [short, wide, far] {
        assert_eq!(HONEST.walks.verify(&id, &B256::ZERO, &wrong, &walk), Err(WalkError::Sample));
    }
    assert_eq!(HONEST.walks.verify(&unit(UNITS), &B256::ZERO, &sample, &walk), Err(WalkError::Sample));
}

#[test]
fn a_unit_cut_at_any_layer_shows_no_walk() {
    for cut in 0..shape().layers() as usize {
        let cheap = |layer, x: u64, label| if layer == cut { [x as u8; LABEL_BYTES] } else { label };
        assert_eq!(World::new(cheap).passing(), 0, "layer {cut}");
    }
}

#[test]
fn a_unit_cut_in_part_is_found_in_proportion() {
    // Half of the labels of one layer: half of the walks cross the honest half.
    let cheap = |layer, x: u64, label| if layer == 3 && x.is_multiple_of(2) { [0; LABEL_BYTES] } else { label };
    let passing = World::new(cheap).passing();
    assert!((150..250).contains(&passing), "{passing}");
}

#[test]
fn random_bytes_are_no_unit() {
    let random = |layer, x: u64, label| if layer == 4 { *blake3::hash(&x.to_be_bytes()).as_bytes() } else { label };
    assert_eq!(World::new(random).passing(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_are_judged_and_fail(
        number in 0u32..1000,
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        fill in any::<bool>(),
    ) {
        let sample = asked(number);
        let mut walk = bytes;
        if fill {
            walk.resize(HONEST.walks.walk_bytes(sample.position), 7);
        }
        prop_assert!(HONEST.verify(&sample, &walk).is_err());
    }

    #[test]
    fn honest_walks_pass(number in any::<u32>()) {
        let sample = asked(number);
        prop_assert_eq!(HONEST.verify(&sample, &HONEST.walk(&sample)), Ok(()));
    }

    #[test]
    fn parts_of_other_walks_do_not_fit(number in 1u32..1000, at in 0usize..56) {
        let (sample, other) = (asked(0), asked(number));
        let (mut walk, donor) = (HONEST.walk(&sample), HONEST.walk(&other));
        let range = at * LABEL_BYTES..(at + 1) * LABEL_BYTES;
        prop_assume!(walk[range.clone()] != donor[range.clone()]);
        walk[range.clone()].copy_from_slice(&donor[range]);
        prop_assert!(HONEST.verify(&sample, &walk).is_err());
    }
}
