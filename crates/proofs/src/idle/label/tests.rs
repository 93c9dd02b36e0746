use super::*;
use crate::idle::UnitId;

fn layer(layer: u32) -> LayerHash {
    let unit = UnitId { chain_id: 1, miner: 2, lot: 3, unit: 4, beacon: [5; 32].into() };
    LayerHash::new(unit.key(), layer)
}

#[test]
fn labels_side_by_side_equal_those_of_the_public_functions() {
    let mut bytes = blake3::Hasher::new().finalize_xof();
    let mut inputs = [[[0; LABEL_BYTES]; DEGREE]; LANES];
    inputs.iter_mut().for_each(|input| bytes.fill(input.as_flattened_mut()));
    for (number, first) in [(0, 0), (7, 32), (63, (1 << 26) - 32)] {
        let (mut source, mut labels) = ([[0; LABEL_BYTES]; LANES], [[0; LABEL_BYTES]; LANES]);
        layer(number).source_group(first, &mut source);
        layer(number).group(first, &inputs, &mut labels);
        for (lane, position) in (first..).take(LANES).enumerate() {
            assert_eq!(source[lane], layer(number).source(position));
            assert_eq!(labels[lane], layer(number).label(position, &inputs[lane]));
        }
    }
}

#[test]
fn a_label_depends_on_its_layer_and_position() {
    let input = [[9; LABEL_BYTES]; DEGREE];
    assert_ne!(layer(7).label(0, &input), layer(7).label(1, &input));
    assert_ne!(layer(7).label(0, &input), layer(8).label(0, &input));
    assert_ne!(layer(0).source(0), layer(0).source(1));
}
