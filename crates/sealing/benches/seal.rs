//! Measure sealing and opening in bytes of plaintext per second, and wrapping keys in keys per second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use sealing::{CHUNK_LENGTH, ContentKey, SEALED_CHUNK_LENGTH, Sealer, StorageSeed, unwrap, wrap};
use std::{hint::black_box, time::Duration};

const OBJECT_LENGTH: usize = 32 << 20;

fn object(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(7);
    let key = ContentKey::generate(&mut rng);
    let mut plain = vec![0; OBJECT_LENGTH];
    rng.fill_bytes(&mut plain);
    let sealer = Sealer::new(&key, OBJECT_LENGTH as u64).expect("not too long");
    let mut sealed = vec![0; OBJECT_LENGTH / CHUNK_LENGTH * SEALED_CHUNK_LENGTH];
    let seal = |sealed: &mut [u8]| {
        let outputs = sealed.chunks_mut(SEALED_CHUNK_LENGTH);
        for (index, (chunk, out)) in (0..).zip(plain.chunks(CHUNK_LENGTH).zip(outputs)) {
            sealer.seal_into(index, chunk, out).expect("whole chunks");
        }
    };
    let mut group = c.benchmark_group("sealing");
    group.throughput(Throughput::BytesDecimal(OBJECT_LENGTH as u64));
    group.bench_function("seal/size=32MiB", |b| b.iter(|| seal(&mut sealed)));
    seal(&mut sealed);
    let opener = sealing::Opener::new(&key, sealer.header()).expect("its own header");
    let mut opened = vec![0; OBJECT_LENGTH];
    group.bench_function("open/size=32MiB", |b| {
        b.iter(|| {
            let outputs = opened.chunks_mut(CHUNK_LENGTH);
            for (index, (chunk, out)) in (0..).zip(sealed.chunks(SEALED_CHUNK_LENGTH).zip(outputs)) {
                opener.open_into(index, chunk, out).expect("untouched");
            }
        });
    });
    assert!(opened == plain);
}

fn key(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(7);
    let policy = StorageSeed::from_bip39_seed(&[1; 64]).policy_secret(&[2; 32], 0);
    let (public, key) = (policy.public(), ContentKey::generate(&mut rng));
    let wrapped = wrap(&public, &key, b"context", &mut rng);
    let mut group = c.benchmark_group("sealing");
    group.throughput(Throughput::Elements(1));
    group.bench_function("wrap", |b| b.iter(|| black_box(wrap(&public, &key, b"context", &mut rng))));
    group.bench_function("unwrap", |b| b.iter(|| black_box(unwrap(&policy, &wrapped, b"context").expect("its own"))));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = object, key
}
criterion_main!(benches);
