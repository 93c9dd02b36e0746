use super::*;
use crate::idle::UnitId;

fn layer() -> LayerHash {
    let unit = UnitId { chain_id: 1, miner: 2, lot: 3, unit: 4, beacon: [5; 32].into() };
    LayerHash::new(&unit.key(), 7)
}

#[test]
fn wide_labels_equal_those_of_the_public_functions() {
    let mut bytes = blake3::Hasher::new().finalize_xof();
    let mut inputs = [[[0; LABEL_BYTES]; DEGREE]; WORDS];
    inputs.iter_mut().for_each(|input| bytes.fill(input.as_flattened_mut()));
    for node in [0, 1, 2_097_151] {
        let (mut source, mut labels) = ([[0; LABEL_BYTES]; WORDS], [[0; LABEL_BYTES]; WORDS]);
        layer().source_node(node, &mut source);
        layer().node(node, &inputs, &mut labels);
        for word in 0..WORDS {
            let position = (node * WORDS + word) as u64;
            assert_eq!(source[word], layer().source(position));
            assert_eq!(labels[word], layer().label(position, &inputs[word]));
        }
    }
}

#[test]
fn a_label_depends_on_its_layer_and_position() {
    let input = [[9; LABEL_BYTES]; DEGREE];
    let other = LayerHash::new(&UnitId { chain_id: 1, miner: 2, lot: 3, unit: 4, beacon: [5; 32].into() }.key(), 8);
    assert_ne!(layer().label(0, &input), layer().label(1, &input));
    assert_ne!(layer().label(0, &input), other.label(0, &input));
    assert_ne!(layer().source(0), layer().source(1));
}
