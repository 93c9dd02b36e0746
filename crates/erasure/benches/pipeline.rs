//! Measure what a writer does to each segment: seal, encode and hash, in bytes of plaintext per second.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use erasure::{Code, EncodedSegment, encode_segment};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use sealing::{CHUNK_LENGTH, ContentKey, SEALED_CHUNK_LENGTH, Sealer};
use std::{hint::black_box, time::Duration};

const FRAGMENT_LENGTH: usize = 2 << 20;

/// Seal the plaintext straight into a segment buffer, and encode that.
fn write(code: &Code, sealer: &Sealer, plain: &[u8], mut segment: Vec<u8>) -> EncodedSegment {
    let outputs = segment.chunks_mut(SEALED_CHUNK_LENGTH);
    for (index, (chunk, out)) in (0..).zip(plain.chunks(CHUNK_LENGTH).zip(outputs)) {
        sealer.seal_into(index, chunk, out).expect("whole chunks");
    }
    encode_segment(code, Bytes::from(segment)).expect("not empty")
}

fn pipeline(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline::seal+hash+encode");
    for (data, parity) in [(4, 4), (16, 24)] {
        let code = Code::new(data, parity).expect("a profile");
        let mut rng = StdRng::seed_from_u64(7);
        let chunks = data * FRAGMENT_LENGTH / SEALED_CHUNK_LENGTH;
        let mut plain = vec![0; chunks * CHUNK_LENGTH];
        rng.fill_bytes(&mut plain);
        let sealer = Sealer::new(&ContentKey::generate(&mut rng), plain.len() as u64).expect("not too long");
        group.throughput(Throughput::BytesDecimal(plain.len() as u64));
        group.bench_function(format!("fragment=2MiB k={data} m={parity}"), |b| {
            b.iter_batched(
                || vec![1; chunks * SEALED_CHUNK_LENGTH],
                |segment| black_box(write(&code, &sealer, &plain, segment)),
                criterion::BatchSize::PerIteration,
            );
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = pipeline
}
criterion_main!(benches);
