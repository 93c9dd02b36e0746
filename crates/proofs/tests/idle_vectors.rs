//! Hold units and walks against `vectors/idle.json`, which other implementations read too.

use alloy_primitives::B256;
use proofs::{
    idle::{Graph, Plotter, Progress, UnitId, UnitShape},
    pledge::{Walks, sample, seed, spot_lot},
};
use serde::Deserialize;
use std::sync::Arc;
use types::merkle::Tree;

#[derive(Deserialize)]
struct Vectors {
    graphs: Vec<GraphVector>,
    lot: Lot,
    draw: Draw,
    spots: Spots,
}

#[derive(Deserialize)]
struct GraphVector {
    unit_bytes: u64,
    /// Position, edge, parent.
    parents: Vec<(u64, usize, u64)>,
}

#[derive(Deserialize)]
struct Lot {
    chain_id: u64,
    miner: u32,
    lot: u32,
    beacon: B256,
    unit_bytes: u64,
    layers: u32,
    units: u32,
    unit_keys: Vec<B256>,
    unit_roots: Vec<B256>,
    idle_root: B256,
}

#[derive(Deserialize)]
struct Draw {
    beacon: B256,
    first_lot: u32,
    lots: u32,
    seed: B256,
    walks: Vec<WalkVector>,
}

#[derive(Deserialize)]
struct Spots {
    beacon: B256,
    draws: Vec<SpotVector>,
}

#[derive(Deserialize)]
struct SpotVector {
    spot: u32,
    attempt: u32,
    lots: u32,
    lot: u32,
}

#[derive(Deserialize)]
struct WalkVector {
    number: u32,
    unit: u64,
    position: u64,
    edges: Vec<u8>,
    walk_bytes: usize,
    walk_blake3: B256,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../vectors/idle.json")).expect("the vectors are well-formed")
}

impl Lot {
    fn shape(&self) -> UnitShape {
        UnitShape::new(self.unit_bytes, self.layers).expect("a shape")
    }

    fn unit(&self, unit: u32) -> UnitId {
        UnitId { chain_id: self.chain_id, miner: self.miner, lot: self.lot, unit, beacon: self.beacon }
    }
}

fn hash(bytes: &[u8]) -> B256 {
    B256::from(*blake3::hash(bytes).as_bytes())
}

#[test]
fn graphs_are_pinned() {
    for vector in vectors().graphs {
        let graph = Graph::new(UnitShape::new(vector.unit_bytes, 4).expect("a shape"));
        for (position, edge, parent) in vector.parents {
            assert_eq!(graph.parent(position, edge), parent);
        }
    }
}

#[test]
fn units_are_pinned() {
    let lot = vectors().lot;
    let mut plotter = Plotter::new(lot.shape());
    let mut content = vec![0; lot.shape().bytes()];
    for unit in 0..lot.units {
        assert_eq!(lot.unit(unit).key().as_bytes(), &lot.unit_keys[unit as usize].0);
        let root = plotter.plot(&lot.unit(unit), &mut content, &Progress::default()).expect("a buffer of its size");
        assert_eq!(root, lot.unit_roots[unit as usize]);
    }
    assert_eq!(Tree::new(&lot.unit_roots).root(), lot.idle_root);
}

#[test]
fn walks_are_pinned() {
    let Vectors { lot, draw, .. } = vectors();
    assert_eq!(seed(&draw.beacon, lot.miner, draw.first_lot, draw.lots), draw.seed);
    let mut plotter = Plotter::new(lot.shape());
    let walks = Walks::new(lot.shape(), Arc::clone(plotter.graph()), lot.units);
    let mut content = vec![0; lot.shape().bytes()];
    for vector in draw.walks {
        let asked = sample(lot.shape(), &draw.seed, lot.units.into(), vector.number);
        assert_eq!((asked.unit, asked.position, &asked.edges), (vector.unit, vector.position, &vector.edges));
        let unit = lot.unit(asked.unit as u32);
        let (tree, one) = (Tree::new(&lot.unit_roots), [asked]);
        let shown = walks.prove(&mut plotter, &unit, &one, &tree, &mut content, &Progress::default());
        let walk = &shown.expect("a buffer of its size")[0];
        assert_eq!((walk.len(), hash(walk)), (vector.walk_bytes, vector.walk_blake3));
        assert_eq!(walks.verify(&unit, &lot.idle_root, &one[0], walk), Ok(()));
    }
}

#[test]
fn later_checks_are_pinned() {
    let Spots { beacon, draws } = vectors().spots;
    assert!(!draws.is_empty());
    for SpotVector { spot, attempt, lots, lot } in draws {
        assert_eq!(spot_lot(&beacon, spot, attempt, lots), lot);
    }
}
