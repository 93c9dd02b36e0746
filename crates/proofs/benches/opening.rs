//! Time the check of one opening at the sizes of the main network.

use alloy_primitives::B256;
use criterion::{Criterion, criterion_group, criterion_main};
use proofs::{
    chunk::{self, Hash},
    opening::{Content, FragmentChunk, Opening, Stripe, Target, UnitChunk, verify},
    response::{Duty, Responses, Service},
    round::{Entry, Place, Round, Shape},
};
use std::hint::black_box;
use types::{
    Profile, StripeLeaf,
    merkle::{EMPTY, LOG_DEPTH, Tree, node},
    segment::segment_id,
};

const SHAPE: Shape =
    Shape { slot_bytes: 2 << 20, lot_slots: 32_768, unit_slots: 32, light_divisor: 256, deep_divisor: 1_024 };
/// Lots of an 18 TB disk.
const LOTS: u32 = 280;

fn content(label: u8, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&[label]).finalize_xof().fill(&mut content);
    content
}

/// An entry of this kind among the first ones, in a slot that `wanted` takes.
fn entry(round: &Round, deep: bool, wanted: impl Fn(Place) -> bool) -> (u64, Place) {
    let range = if deep { 0..round.deep() } else { round.deep()..round.covered() };
    let mut found = range.filter_map(|index| match round.entry(index)? {
        Entry::Deep(place) | Entry::Light(place) => wanted(place).then_some((index, place)),
        Entry::Fresh(_) => None,
    });
    found.next().expect("an entry")
}

fn opened(deep: bool, service: bool) -> (Round, Duty, B256, Target, Vec<u8>) {
    let round = Round { shape: SHAPE, beacon: B256::repeat_byte(1), miner: 9, lots: LOTS };
    let (index, place) = entry(&round, deep, |_| true);
    let at = if deep { 777 } else { round.chunk(place) };
    let slot = content(1, 2 << 20);
    let start = at as usize * 1024;
    let bytes = slot[start..start + 1024].to_vec();
    let (duty, shown) =
        if service { stripe(place, &slot, at, bytes.clone()) } else { unit(place, &slot, at, bytes.clone()) };
    let key = round.deep_key(place);
    let (response, deep_path) = if deep {
        (Hash::Keyed(&key).root(&slot), chunk::path(Hash::Keyed(&key), &slot, at).expect("a chunk"))
    } else {
        (Hash::Keyed(&round.light_key(place)).root(&bytes), Vec::new())
    };
    let mut values = vec![B256::repeat_byte(3); round.entries() as usize];
    values[index as usize] = response;
    let responses = Responses::of(&values);
    let opening = Opening { content: shown, deep_path, response_path: responses.path(index).expect("an entry") };
    let target = Target { index, place, chunk: at, is_deep: deep };
    (round, duty, responses.root(), target, opening.encode())
}

fn stripe(place: Place, slot: &[u8], at: u64, bytes: Vec<u8>) -> (Duty, Content) {
    let profile = Profile::Wide;
    let mut roots = vec![B256::repeat_byte(5); 80];
    roots[7] = Hash::Plain.root(slot);
    let fragments = Tree::new(&roots);
    let length = profile.data() as u64 * (2 << 20);
    let leaf = StripeLeaf {
        segment: segment_id(profile, length, &fragments.root()),
        territory: 1,
        offset: u64::from(place.slot) * SHAPE.slot_bytes,
        fragment_bytes: 2 << 20,
        length,
        committed_at_ms: 1,
        term_end_ms: 2,
    };
    // A log of 2^20 stripes, the deepest there is.
    let stripe_count = 1 << LOG_DEPTH;
    let mut leaves = vec![B256::repeat_byte(6); 1 << 10];
    leaves[5] = leaf.hash();
    let small = Tree::new(&leaves);
    let root = EMPTY[10..LOG_DEPTH].iter().fold(small.root(), |left, right| node(&left, right));
    let mut path = small.path(5).expect("a leaf");
    path.extend_from_slice(&EMPTY[10..LOG_DEPTH]);
    let service = Service {
        profile,
        seat: 7,
        column_bytes: SHAPE.slot_bytes * u64::from(SHAPE.lot_slots),
        stripe_count,
        stripes_root: root,
        fresh_from: 0,
        gap_from: 0,
        gap_to: 0,
    };
    let fragment = FragmentChunk {
        root: roots[7],
        root_path: fragments.path(7).expect("a seat"),
        chunk: bytes,
        path: chunk::path(Hash::Plain, slot, at).expect("a chunk"),
    };
    let duty = Duty { service: Some(service), idle_root: None };
    (duty, Content::Stripe(Stripe { index: 5, leaf, path }, fragment))
}

fn unit(place: Place, slot: &[u8], at: u64, bytes: Vec<u8>) -> (Duty, Content) {
    let within = u64::from(place.slot % SHAPE.unit_slots);
    let mut unit = content(2, SHAPE.unit_bytes() as usize);
    let start = (within * SHAPE.slot_bytes) as usize;
    unit[start..start + slot.len()].copy_from_slice(slot);
    let root = Hash::Plain.root(&unit);
    let number = (place.slot / SHAPE.unit_slots) as usize;
    let mut roots = vec![B256::repeat_byte(8); 1_024];
    roots[number] = root;
    let tree = Tree::new(&roots);
    let path = chunk::path(Hash::Plain, &unit, within * SHAPE.slot_chunks() + at).expect("a chunk");
    let shown = UnitChunk { root, root_path: tree.path(number).expect("a unit"), chunk: bytes, path };
    (Duty { service: None, idle_root: Some(tree.root()) }, Content::Idle(shown))
}

fn openings(criterion: &mut Criterion) {
    for (name, deep, service) in [
        ("stripe light", false, true),
        ("stripe deep", true, true),
        ("idle light", false, false),
        ("idle deep", true, false),
    ] {
        let (round, duty, root, target, opening) = opened(deep, service);
        verify(&round, &duty, &root, &target, &opening).expect("the opening is valid");
        assert!(opening.len() <= 3_584, "{} bytes", opening.len());
        criterion.bench_function(&format!("proofs::verify/{name} bytes={}", opening.len()), |bencher| {
            bencher.iter(|| verify(black_box(&round), &duty, &root, &target, black_box(&opening)));
        });
    }
    let round = Round { shape: SHAPE, beacon: B256::repeat_byte(1), miner: 9, lots: LOTS };
    criterion.bench_function("proofs::entry/lots=280", |bencher| bencher.iter(|| round.entry(black_box(12_345))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300)).without_plots();
    targets = openings
}
criterion_main!(benches);
