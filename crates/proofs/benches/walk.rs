//! Measure what a walk costs whoever judges it.

use criterion::{Criterion, criterion_group, criterion_main};
use proofs::{
    idle::{Graph, Plotter, Progress, UnitId, UnitShape},
    pledge::{Walks, sample, seed},
};
use std::{hint::black_box, sync::Arc, time::Duration};
use types::merkle::Tree;

mod processor_time;
use processor_time::measured;

/// Units of a 64 GiB lot.
const UNITS: u32 = 1024;

fn verify(c: &mut Criterion) {
    let shape = UnitShape::new(64 << 20, 32).expect("a shape");
    let unit = UnitId { chain_id: 1, miner: 2, lot: 3, unit: 0, beacon: [5; 32].into() };
    let mut plotter = Plotter::new(shape);
    let mut content = vec![0; shape.bytes()];
    let walks = Walks::new(shape, Arc::clone(plotter.graph()), UNITS);
    let samples: Vec<_> = (0..64).map(|number| sample(shape, &seed(&[1; 32].into(), 2, 3, 1), 1, number)).collect();
    // The root of the unit is known only after plotting; a first pass makes it.
    let root = plotter.plot(&unit, &mut content, &Progress::default()).expect("a buffer of the unit's size");
    let lot = Tree::new(&[&[root][..], &[[0; 32].into(); UNITS as usize - 1]].concat());
    let shown = walks.prove(&mut plotter, &unit, &samples, &lot, &mut content, &Progress::default());
    let shown = shown.expect("a buffer of the unit's size");
    let mut group = c.benchmark_group("pledge");
    group.bench_function(format!("verify a walk of {} bytes, unit=64MiB layers=32", shown[0].len()), |b| {
        let mut turn = (0..samples.len()).cycle();
        b.iter_custom(|times| {
            measured(times, || {
                let i = turn.next().expect("an endless list");
                walks.verify(&unit, &lot.root(), &samples[i], black_box(&shown[i])).expect("an honest walk");
            })
        });
    });
    group.bench_function("make the graph of 64MiB units", |b| {
        b.iter_custom(|times| measured(times, || drop(black_box(Graph::new(shape)))));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = verify
}
criterion_main!(benches);
