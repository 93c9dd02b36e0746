use super::*;
use std::collections::HashSet;

fn graph(nodes: u64) -> Graph {
    Graph::new(UnitShape::new(nodes * crate::idle::NODE_BYTES as u64, 4).expect("a shape"))
}

#[test]
fn every_edge_permutes_the_labels_of_a_layer() {
    for nodes in [2, 3, 12, 33] {
        let graph = graph(nodes);
        let labels = nodes * WORDS as u64;
        for edge in 0..DEGREE {
            let reached: HashSet<u64> = (0..labels).map(|position| graph.parent(position, edge)).collect();
            assert_eq!(reached.len() as u64, labels);
            assert!(reached.iter().all(|position| *position < labels));
        }
    }
}

#[test]
fn gathering_follows_the_edges() {
    let graph = graph(24);
    let label = |i: usize, w: usize| {
        let mut label = [0; 32];
        label[..16].copy_from_slice(&[i as u64, w as u64].map(u64::to_le_bytes).concat());
        label
    };
    let below: Vec<Node> = (0..24).map(|i| std::array::from_fn(|w| label(i, w))).collect();
    let mut inputs = [[[0; 32]; DEGREE]; LANES];
    for first in (0..24 * WORDS).step_by(LANES) {
        graph.gather(&below, first, &mut inputs);
        for (lane, input) in inputs.iter().enumerate() {
            for (edge, label) in input.iter().enumerate() {
                let parent = graph.parent((first + lane) as u64, edge) as usize;
                assert_eq!(label, &below[parent / WORDS][parent % WORDS]);
            }
        }
    }
}

#[test]
fn sizes_have_graphs_of_their_own() {
    assert_ne!(graph(32).edges, graph(33).edges[..32]);
}
