use super::*;
use std::collections::HashSet;

fn graph(nodes: u64) -> Graph {
    Graph::new(UnitShape::new(nodes * 1024, 4).expect("a shape"))
}

#[test]
fn every_edge_permutes_the_labels_of_a_layer() {
    for nodes in [2, 3, 12, 100, 257] {
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
    let below: Vec<Node> =
        (0..24u8).map(|i| std::array::from_fn(|w| [i, w as u8].repeat(16).try_into().unwrap())).collect();
    let mut inputs = [[[0; LABEL_BYTES]; DEGREE]; WORDS];
    for node in 0..24 {
        graph.gather(&below, node, &mut inputs);
        for word in 0..WORDS {
            for edge in 0..DEGREE {
                let parent = graph.parent((node * WORDS + word) as u64, edge) as usize;
                assert_eq!(inputs[word][edge], below[parent / WORDS][parent % WORDS]);
            }
        }
    }
}

#[test]
fn sizes_have_graphs_of_their_own() {
    assert_ne!(graph(32).edges, graph(33).edges[..32]);
}
