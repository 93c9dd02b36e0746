//! Answer a round for a lot of 64 GiB: processor time, and what its disk has to do.
//!
//! The content is a file (`RESPOND_FILE_MIB`, 2,048 unless set) that stands in for the lot again and again; reads go past the
//! page cache as far as the system lets them. A spinning disk is computed from the same reads: 12.7 ms to get to a place, then
//! 180 MB/s.

#![allow(clippy::print_stdout)]

use alloy_primitives::B256;
use proofs::{
    response::{Duty, Responses, Source, Unit, Witness},
    round::{Place, Round, Shape},
};
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};
use types::{
    StripeLeaf,
    spec::{AuditSpec, StorageSpec},
};

mod processor_time;
use processor_time::measured;

const SEEK_MS: f64 = 12.7;
const DISK_BYTES_PER_MS: f64 = 180_000.0;

struct Lot {
    file: Option<File>,
    bytes: u64,
    shape: Shape,
    reads: AtomicU64,
    read_bytes: AtomicU64,
}

impl Source for Lot {
    type Error = io::Error;

    fn duty(&self, _: u32) -> Duty {
        Duty { service: None, idle_root: Some(B256::ZERO) }
    }

    fn read(&self, place: Place, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match &self.file {
            Some(file) => {
                file.read_exact_at(bytes, (u64::from(place.slot) * self.shape.slot_bytes + offset) % self.bytes)
            }
            None => {
                bytes.fill(7);
                Ok(())
            }
        }
    }

    fn stripe(&self, _: u32, _: u64) -> io::Result<Witness> {
        unreachable!("it is in no volume")
    }

    fn fragment(&self, _: u32, _: &StripeLeaf) -> io::Result<Vec<u8>> {
        unreachable!("it is in no volume")
    }

    fn unit(&self, _: u32, _: u32) -> io::Result<Unit> {
        unreachable!("nothing is opened")
    }
}

fn main() -> io::Result<()> {
    let sizes = StorageSpec { slot_bytes: 2 << 20, lot_slots: 32_768, unit_slots: 32, ..StorageSpec::devnet() };
    let shape = Shape::of(&sizes, &AuditSpec::main());
    let mib = std::env::var("RESPOND_FILE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(2_048u64);
    let folder = std::env::current_dir()?;
    let mut file = tempfile::tempfile_in(folder)?;
    let block = vec![7; 1 << 20];
    for _ in 0..mib {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;

    let lot = |file| Lot { file, bytes: mib << 20, shape, reads: 0.into(), read_bytes: 0.into() };
    let round = |number: u8| Round { shape, beacon: B256::repeat_byte(number), miner: 1, lots: 1 };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let memory = lot(None);
    let time = one.install(|| measured(8, || drop(Responses::collect(&round(1), &memory)))) / 8;
    let (reads, bytes) = (memory.reads.into_inner() / 8, memory.read_bytes.into_inner() / 8);
    // 16 lots are a TiB.
    println!(
        "proofs::respond: a lot of 64 GiB: {reads} reads, {:.1} MiB, {time:?} of a core; a TiB {:?}",
        bytes as f64 / 1_048_576.0,
        time * 16
    );

    let disk = lot(Some(file));
    let start = Instant::now();
    Responses::collect(&round(2), &disk)?;
    let solid = start.elapsed();
    println!("proofs::respond: this machine's disk: {solid:?} a lot, {:?} a TiB", solid * 16);
    let spinning = (reads as f64 * SEEK_MS + bytes as f64 / DISK_BYTES_PER_MS) / 1_000.0;
    println!(
        "proofs::respond: a spinning disk: {spinning:.2} s a lot, {:.1} s a TiB, {:.1} min for 18 TB of the 20 min window",
        spinning * 16.0,
        spinning * 18e12 / 68_719_476_736.0 / 60.0
    );
    Ok(())
}
