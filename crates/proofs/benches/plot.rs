//! Measure plotting beside raw BLAKE3 on one core, in bytes hashed per second of processor time.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proofs::idle::{Plotter, Progress, UnitId, UnitShape};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Unit size in MiB, layers. A layer costs the same in a stack of any depth; a shallow one keeps the bench short.
const SHAPES: [(u64, u32); 4] = [(2, 32), (8, 4), (8, 32), (64, 8)];

/// Processor time of this thread, where the system tells; other work on the machine must not count.
fn thread_time(start: Instant) -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Runs `work` so often on a pool of one thread; returns the processor time it took.
fn measured(pool: &rayon::ThreadPool, times: u64, mut work: impl FnMut() + Send) -> Duration {
    pool.install(|| {
        let start = Instant::now();
        let before = thread_time(start);
        (0..times).for_each(|_| work());
        thread_time(start) - before
    })
}

fn plot(c: &mut Criterion) {
    let mut group = c.benchmark_group("idle::plot");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let input = vec![7; 16 << 10];
    group.throughput(Throughput::Bytes(256 * input.len() as u64));
    group.bench_function("raw: keyed hash of 16KiB", |b| {
        b.iter_custom(|times| {
            measured(&pool, times * 256, || {
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
                measured(&pool, times, || {
                    plotter.plot(&unit, &mut content, &Progress::default()).expect("a buffer of the unit's size");
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
