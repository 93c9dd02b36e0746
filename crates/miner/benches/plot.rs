//! Measure plotting onto the disk beside raw BLAKE3, in bytes hashed per second of all cores' processor time; and the
//! devnet's units by the clock.

use alloy_primitives::B256;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use miner::idle::{FileUnits, IdleLayout, IdleSpace, PlotConfig};
use rustix::time::{ClockId, clock_gettime};
use std::{hint::black_box, sync::Arc, time::Duration};
use store::{FileDisk, Store, StoreConfig};
use types::spec::StorageSpec;

/// Slots of a unit of 2 MiB each, layers, units that are plotted at a time. A layer costs the same in a stack of any
/// depth; the shallow stack of large units keeps the bench short.
const SHAPES: [(u32, u32, u32); 2] = [(4, 4, 16), (32, 8, 2)];

#[derive(Clone, Copy, PartialEq)]
enum Clock {
    /// Of all threads of this process.
    Processor,
    Wall,
}

impl Clock {
    fn now(self) -> Duration {
        let time = clock_gettime(match self {
            Self::Processor => ClockId::ProcessCPUTime,
            Self::Wall => ClockId::Monotonic,
        });
        Duration::try_from(time).expect("after the start")
    }
}

fn layout(unit_slots: u32, unit_layers: u32, units: u32) -> IdleLayout {
    let lot_slots = unit_slots * units;
    let storage = StorageSpec { unit_slots, unit_layers, lot_slots, ..StorageSpec::devnet() };
    IdleLayout::new(1, 2, &storage).expect("sizes that fit")
}

/// Plots so many lots into a new folder; returns the time it took.
async fn plot(layout: IdleLayout, threads: usize, lots: u32, clock: Clock) -> Duration {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let disk = FileDisk::open(folder.path()).expect("a disk");
    let (store, _) = Store::open(disk, StoreConfig { capacity_bytes: 1 << 40 }).expect("a new store");
    let files = FileUnits::open(folder.path()).expect("a folder");
    let (space, _) = IdleSpace::open(layout, Arc::new(files), store).await.expect("a new space");
    for lot in 0..lots {
        space.add_lot(lot, B256::repeat_byte(7)).await.expect("a new lot");
    }
    let before = clock.now();
    let plotting = space.plot(PlotConfig { threads, nice: 0, ..PlotConfig::new(0) }).expect("threads");
    space.status().wait_for(|status| status.units_done == status.units_total).await.expect("it goes on");
    let taken = clock.now() - before;
    plotting.stop().await;
    taken
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, shape: (u32, u32, u32), threads: usize, clock: Clock) {
    let (unit_slots, unit_layers, units) = shape;
    let layout = layout(unit_slots, unit_layers, units);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let (unit, throughput) = match clock {
        Clock::Processor => ("processor", layout.shape().hashed_bytes()),
        Clock::Wall => ("clock", layout.unit_bytes()),
    };
    group.throughput(Throughput::Bytes(throughput * u64::from(units)));
    let name = format!("{unit}: unit={}MiB layers={unit_layers} threads={threads}", layout.unit_bytes() >> 20);
    group.bench_function(name, |b| {
        b.iter_custom(|times| runtime.block_on(plot(layout, threads, times as u32, clock)));
    });
}

fn all(c: &mut Criterion) {
    let mut group = c.benchmark_group("miner::plot");
    let input = vec![7; 16 << 10];
    group.throughput(Throughput::Bytes(4096 * input.len() as u64));
    group.bench_function("processor: raw, keyed hash of 16KiB", |b| {
        b.iter_custom(|times| {
            let before = Clock::Processor.now();
            (0..times * 4096).for_each(|_| {
                black_box(blake3::keyed_hash(&[7; 32], black_box(&input)));
            });
            Clock::Processor.now() - before
        });
    });
    for shape in SHAPES {
        bench(&mut group, shape, 1, Clock::Processor);
    }
    for threads in [1, 2] {
        bench(&mut group, SHAPES[0], threads, Clock::Wall);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
