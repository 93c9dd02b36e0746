use super::*;
use crate::idle::ShapeError;

fn shape(nodes: u64, layers: u32) -> UnitShape {
    UnitShape::new(nodes * NODE_BYTES as u64, layers).expect("a shape")
}

fn unit(unit: u32) -> UnitId {
    UnitId { chain_id: 1, miner: 2, lot: 3, unit, beacon: [5; 32].into() }
}

fn plot(shape: UnitShape, unit: &UnitId) -> Vec<u8> {
    let mut content = vec![0; shape.bytes()];
    Plotter::new(shape).plot(unit, &mut content, &Progress::default()).expect("a buffer of the unit's size");
    content
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let shape = shape(6, 5);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| plot(shape, &unit(0)))
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn a_used_plotter_makes_the_same_unit() {
    for layers in [2, 3, 4] {
        let shape = shape(3, layers);
        let mut plotter = Plotter::new(shape);
        let mut content = vec![7; shape.bytes()];
        plotter.plot(&unit(0), &mut content, &Progress::default()).expect("a buffer of the unit's size");
        plotter.plot(&unit(1), &mut content, &Progress::default()).expect("a buffer of the unit's size");
        assert_eq!(content, plot(shape, &unit(1)));
    }
}

#[test]
fn every_part_of_a_units_name_changes_all_of_it() {
    let (shape, id) = (shape(2, 3), unit(0));
    let content = plot(shape, &id);
    let others = [
        UnitId { chain_id: 9, ..id },
        UnitId { miner: 9, ..id },
        UnitId { lot: 9, ..id },
        UnitId { unit: 9, ..id },
        UnitId { beacon: B256::ZERO, ..id },
    ];
    for other in others {
        let other = plot(shape, &other);
        let equal = content.as_chunks::<32>().0.iter().zip(other.as_chunks::<32>().0).filter(|(a, b)| a == b).count();
        assert_eq!(equal, 0);
    }
}

#[test]
fn a_stopped_plotter_gives_up_between_layers_and_can_start_again() {
    let shape = shape(2, 4);
    let (mut plotter, progress) = (Plotter::new(shape), Progress::default());
    let mut content = vec![0; shape.bytes()];
    let stopped = plotter.plot_observed(&unit(0), &mut content, &progress, &mut |layer, _| {
        if layer == 1 {
            progress.stop();
        }
    });
    assert_eq!(stopped, Err(PlotError::Stopped));
    assert_eq!((progress.units(), progress.content_bytes(shape)), (0, shape.bytes() as u64 / 2));
    plotter.plot(&unit(0), &mut content, &Progress::default()).expect("a buffer of the unit's size");
    assert!(plotter.check(&unit(0), &content, &Progress::default()).expect("not stopped"));
    content[77] ^= 1;
    assert!(!plotter.check(&unit(0), &content, &Progress::default()).expect("not stopped"));
}

#[test]
fn a_list_is_plotted_until_its_taker_breaks_off() {
    let (shape, progress) = (shape(2, 3), Progress::default());
    let mut taken = Vec::new();
    let result = Plotter::new(shape).plot_all((0..5).map(unit), &progress, |id, root, content| {
        assert_eq!(root, B256::from(*blake3::hash(content).as_bytes()));
        assert_eq!(content, plot(shape, id));
        taken.push(id.unit);
        if id.unit == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((result, taken), (Err(PlotError::Stopped), vec![0, 1, 2]));
    assert_eq!((progress.units(), progress.content_bytes(shape)), (3, 3 * shape.bytes() as u64));
    assert_eq!(progress.rate(shape, Duration::from_secs(2)), 3 * shape.bytes() as u64 / 2);
}

#[test]
fn a_buffer_of_another_size_is_refused() {
    let shape = shape(2, 3);
    let result = Plotter::new(shape).plot(&unit(0), &mut [0; 1024], &Progress::default());
    assert_eq!(result, Err(PlotError::Buffer { expected: shape.bytes(), actual: 1024 }));
}

#[test]
fn shapes_without_units_are_refused() {
    for bytes in [0, 1, NODE_BYTES as u64, 3 * NODE_BYTES as u64 + 1024, 4 << 30, u64::MAX] {
        assert_eq!(UnitShape::new(bytes, 4), Err(ShapeError::Bytes(bytes)));
    }
    for layers in [0, 1, 65, u32::MAX] {
        assert_eq!(UnitShape::new(8 << 20, layers), Err(ShapeError::Layers(layers)));
    }
}
