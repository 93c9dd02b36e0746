//! Measure plotting beside raw BLAKE3 on one core, in bytes hashed per second of processor time.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proofs::idle::{Plotter, Progress, UnitId, UnitShape};
use std::{hint::black_box, time::Duration};

mod processor_time;
use processor_time::measured;

/// Unit size in MiB, layers. A layer costs the same in a stack of any depth; a shallow one keeps the bench short.
const SHAPES: [(u64, u32); 4] = [(2, 32), (8, 4), (8, 32), (64, 8)];

fn plot(c: &mut Criterion) {
    let mut group = c.benchmark_group("idle::plot");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let input = vec![7; 16 << 10];
    group.throughput(Throughput::Bytes(256 * input.len() as u64));
    group.bench_function("raw: keyed hash of 16KiB", |b| {
        b.iter_custom(|times| {
            measured(times * 256, || {
                black_box(blake3::keyed_hash(&[7; 32], black_box(&input)));
            })
        });
    });
    for (mib, layers) in SHAPES {
        let shape = UnitShape::new(mib << 20, layers).expect("a shape");
        let mut plotter = Plotter::new(shape);
        let mut content = vec![0; shape.bytes()];
        let unit = UnitId { chain_id: 1, miner: 2, lot: 3, unit: 4, beacon: [5; 32].into() };
        group.throughput(Throughput::Bytes(shape.hashed_bytes()));
        group.bench_function(format!("unit={mib}MiB layers={layers}"), |b| {
            b.iter_custom(|times| {
                pool.install(|| {
                    measured(times, || {
                        plotter.plot(&unit, &mut content, &Progress::default()).expect("a buffer of the unit's size");
                    })
                })
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = plot
}
criterion_main!(benches);
