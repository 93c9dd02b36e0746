//! Measure encoding, decoding and rebuilding beside `reed-solomon-simd`, in bytes of original data per second.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use erasure::{Code, Reconstruction, decode_segment, encode_segment};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};
use std::{hint::black_box, time::Duration};

const FRAGMENT_LENGTH: usize = 2 << 20;
/// Data and parity fragments of the profiles measured: `devnet`, `standard`.
const PROFILES: [(usize, usize); 2] = [(4, 4), (16, 24)];

struct Fixture {
    name: String,
    code: Code,
    /// All fragments, data first.
    fragments: Vec<Vec<u8>>,
}

impl Fixture {
    fn new(data: usize, parity: usize) -> Self {
        let code = Code::new(data, parity).expect("a profile");
        let mut fragments = vec![vec![0; FRAGMENT_LENGTH]; data + parity];
        let mut rng = StdRng::seed_from_u64(7);
        fragments[..data].iter_mut().for_each(|fragment| rng.fill_bytes(fragment));
        let (sources, outputs) = fragments.split_at_mut(data);
        code.encode(&views(sources), &mut views_mut(outputs)).expect("one length");
        Self { name: format!("fragment=2MiB k={data} m={parity}"), code, fragments }
    }

    fn throughput(&self) -> Throughput {
        Throughput::BytesDecimal((self.code.data() * FRAGMENT_LENGTH) as u64)
    }

    /// How many data fragments the decoding benches lose.
    fn lost(&self) -> usize {
        self.code.parity().min(self.code.data())
    }

    /// A plan that makes `wanted` from the last `k` fragments.
    fn plan(&self, wanted: &[usize]) -> Reconstruction {
        let last: Vec<usize> = (self.code.total() - self.code.data()..self.code.total()).collect();
        self.code.reconstruct(&last, wanted).expect("k fragments")
    }
}

fn views(fragments: &[Vec<u8>]) -> Vec<&[u8]> {
    fragments.iter().map(Vec::as_slice).collect()
}

fn views_mut(fragments: &mut [Vec<u8>]) -> Vec<&mut [u8]> {
    fragments.iter_mut().map(Vec::as_mut_slice).collect()
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("erasure::encode");
    for fixture in PROFILES.map(|(data, parity)| Fixture::new(data, parity)) {
        let (data, parity) = (fixture.code.data(), fixture.code.parity());
        let sources = views(&fixture.fragments[..data]);
        let mut outputs = vec![vec![0; FRAGMENT_LENGTH]; parity];
        group.throughput(fixture.throughput());
        group.bench_function(&fixture.name, |b| {
            b.iter(|| fixture.code.encode(&sources, &mut views_mut(&mut outputs)).expect("one length"));
        });
        assert!(outputs == fixture.fragments[data..]);
        let mut encoder = ReedSolomonEncoder::new(data, parity, FRAGMENT_LENGTH).expect("a profile");
        group.bench_function(format!("{} reed-solomon-simd", fixture.name), |b| {
            b.iter(|| {
                sources.iter().for_each(|source| encoder.add_original_shard(source).expect("in turn"));
                black_box(encoder.encode().expect("all added"));
            });
        });
    }
}

fn segment(c: &mut Criterion) {
    let mut group = c.benchmark_group("erasure::encode_segment");
    for fixture in PROFILES.map(|(data, parity)| Fixture::new(data, parity)) {
        let segment = Bytes::from(fixture.fragments[..fixture.code.data()].concat());
        group.throughput(fixture.throughput());
        group.bench_function(&fixture.name, |b| {
            b.iter(|| black_box(encode_segment(&fixture.code, segment.clone()).expect("not empty")));
        });
    }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("erasure::decode_segment");
    for fixture in PROFILES.map(|(data, parity)| Fixture::new(data, parity)) {
        let (data, length) = (fixture.code.data(), (fixture.code.data() * FRAGMENT_LENGTH) as u64);
        let fragments: Vec<(usize, Bytes)> = (0..).zip(fixture.fragments.iter().cloned().map(Bytes::from)).collect();
        group.throughput(fixture.throughput());
        for lost in [0, fixture.lost()] {
            group.bench_function(format!("{} lost={lost}", fixture.name), |b| {
                let survivors = &fragments[lost..lost + data];
                b.iter(|| black_box(decode_segment(&fixture.code, length, survivors).expect("k fragments")));
            });
        }
    }
    group.finish();
    let mut group = c.benchmark_group("erasure::decode");
    for fixture in PROFILES.map(|(data, parity)| Fixture::new(data, parity)) {
        let lost = fixture.lost();
        let name = format!("{} lost={lost}", fixture.name);
        let wanted: Vec<usize> = (0..lost).collect();
        bench_plan(&mut group, &fixture, &name, &wanted);
        bench_other(&mut group, &fixture, &name, lost);
    }
}

fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("erasure::rebuild");
    for fixture in PROFILES.map(|(data, parity)| Fixture::new(data, parity)) {
        let name = format!("{} lost=1", fixture.name);
        bench_plan(&mut group, &fixture, &name, &[0]);
        bench_other(&mut group, &fixture, &name, 1);
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Plan and make the wanted fragments.
fn bench_plan(group: &mut Group, fixture: &Fixture, name: &str, wanted: &[usize]) {
    let mut outputs = vec![vec![0; FRAGMENT_LENGTH]; wanted.len()];
    group.throughput(fixture.throughput());
    group.bench_function(name, |b| {
        b.iter(|| {
            let plan = fixture.plan(wanted);
            let sources: Vec<&[u8]> = plan.sources().iter().map(|&j| &fixture.fragments[j][..]).collect();
            plan.apply(&sources, &mut views_mut(&mut outputs)).expect("one length");
        });
    });
    assert!(outputs == fixture.fragments[..wanted.len()]);
}

/// The same with `reed-solomon-simd`: the first `lost` data fragments are made from as many parity fragments.
fn bench_other(group: &mut Group, fixture: &Fixture, name: &str, lost: usize) {
    let (data, parity) = (fixture.code.data(), fixture.code.parity());
    let mut encoder = ReedSolomonEncoder::new(data, parity, FRAGMENT_LENGTH).expect("a profile");
    fixture.fragments[..data].iter().for_each(|source| encoder.add_original_shard(source).expect("in turn"));
    let encoded = encoder.encode().expect("all added");
    let recovery: Vec<&[u8]> = encoded.recovery_iter().collect();
    let mut decoder = ReedSolomonDecoder::new(data, parity, FRAGMENT_LENGTH).expect("a profile");
    group.bench_function(format!("{name} reed-solomon-simd"), |b| {
        b.iter(|| {
            (lost..data).for_each(|j| decoder.add_original_shard(j, &fixture.fragments[j]).expect("new"));
            (0..lost).for_each(|i| decoder.add_recovery_shard(i, recovery[i]).expect("new"));
            black_box(decoder.decode().expect("enough"));
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = encode, segment, decode, rebuild
}
criterion_main!(benches);
