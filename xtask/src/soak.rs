//! Live through the simulator's scenarios, then store and read large files for hours while processes are killed.

mod losses;

use crate::{network::Devnet, run, sim};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Smaller objects that each round writes beside the large one.
const SMALL_SIZES: [u64; 6] = [0, 1, 65_535, 65_537, 8 << 20, (100 << 20) + 12_345];
/// Bytes generated and compared at a time.
const BUFFER_BYTES: usize = 1 << 20;

struct Options {
    hours: f64,
    size_bytes: u64,
    dir: PathBuf,
    /// With so many seeds each scenario of the simulator is lived through first.
    seeds: u64,
}

/// Runs rounds until the time is up; the first difference or failure ends it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let options = parse(arguments)?;
    sim::all(options.seeds)?;
    let cess = run::build_cess()?;
    let deadline = Instant::now() + Duration::from_secs_f64(options.hours * 3600.0);
    let devnet = Devnet::start_in(&cess, &options.dir.join("net"), &[])?;
    let result = soak(&devnet, &options, deadline);
    devnet.stop(result)?;
    losses::run(&cess, &options)
}

fn soak(devnet: &Devnet, options: &Options, deadline: Instant) -> Result<(), String> {
    let round_bytes = options.size_bytes + SMALL_SIZES.iter().sum::<u64>();
    // Removed objects keep their quota until their term ends, so every round needs space of its own.
    let mut round = 0;
    while round == 0 || Instant::now() < deadline {
        run::step(&format!("round {round}"));
        let size = format!("{}B", round_bytes + round_bytes / 4 + (64 << 20));
        devnet.run(&["territory", "buy", "--size", &size, "--days", "2"])?;
        let bucket = format!("round-{round}");
        devnet.run(&["bucket", "create", &bucket])?;
        store_and_read(devnet, options, &bucket, round)?;
        restart_a_validator(devnet, round)?;
        without_four_miners(devnet, round, || read_all(devnet, options, &bucket, round))?;
        for (index, _) in sizes(options).enumerate() {
            devnet.run(&["rm", &url(&bucket, index)])?;
        }
        round += 1;
    }
    run::step(&format!("{round} rounds without a difference"));
    Ok(())
}

fn sizes(options: &Options) -> impl Iterator<Item = u64> {
    SMALL_SIZES.into_iter().chain([options.size_bytes])
}

fn url(bucket: &str, index: usize) -> String {
    format!("cess://{bucket}/object-{index}")
}

fn store_and_read(devnet: &Devnet, options: &Options, bucket: &str, round: u64) -> Result<(), String> {
    let source = options.dir.join("source");
    for (index, size) in sizes(options).enumerate() {
        generate(&source, size, seed(round, index)).map_err(|error| format!("{}: {error}", source.display()))?;
        let started = Instant::now();
        devnet.run(&["put", path(&source)?, &url(bucket, index)])?;
        report("put", size, started);
    }
    read_all(devnet, options, bucket, round)
}

fn read_all(devnet: &Devnet, options: &Options, bucket: &str, round: u64) -> Result<(), String> {
    let copy = options.dir.join("copy");
    for (index, size) in sizes(options).enumerate() {
        let started = Instant::now();
        devnet.run(&["get", &url(bucket, index), path(&copy)?])?;
        report("get", size, started);
        compare(&copy, size, seed(round, index))?;
    }
    Ok(())
}

/// Kills a validator and brings it back.
fn restart_a_validator(devnet: &Devnet, round: u64) -> Result<(), String> {
    let validator = format!("validator-{}", round % 4);
    devnet.run(&["devnet", "kill", &validator])?;
    devnet.run(&["devnet", "start", &validator])
}

/// Does something while four of the twelve miners are dead: no volume loses more than it can bear.
fn without_four_miners(devnet: &Devnet, round: u64, act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let miners: Vec<String> = (0..4).map(|offset| format!("miner-{}", (round + 3 * offset) % 12)).collect();
    for miner in &miners {
        devnet.run(&["devnet", "kill", miner])?;
    }
    act()?;
    for miner in &miners {
        devnet.run(&["devnet", "start", miner])?;
    }
    Ok(())
}

fn report(what: &str, size: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("    {what} of {size} bytes: {seconds:.2} s, {:.0} MB/s", size as f64 / 1e6 / seconds);
}

fn seed(round: u64, index: usize) -> u64 {
    round * 1_000 + index as u64 + 1
}

fn path(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is no text", path.display()))
}

/// Bytes that are the same for the same seed and do not compress.
pub struct Stream(u64);

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Fills the buffer with what comes next.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for word in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

/// Writes a file of the seed's bytes.
pub fn generate(path: &Path, size: u64, seed: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut stream = Stream::new(seed);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = size;
    while left > 0 {
        stream.fill(&mut buffer);
        let length = left.min(BUFFER_BYTES as u64);
        file.write_all(&buffer[..length as usize])?;
        left -= length;
    }
    file.flush()
}

/// Compares a file with the seed's bytes.
pub fn compare(path: &Path, size: u64, seed: u64) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length != size {
        return Err(format!("{} has {length} bytes, not {size}", path.display()));
    }
    let mut file = BufReader::new(file);
    let mut stream = Stream::new(seed);
    let mut expected = vec![0; BUFFER_BYTES];
    let mut found = vec![0; BUFFER_BYTES];
    let mut offset = 0;
    while offset < size {
        let count = (size - offset).min(BUFFER_BYTES as u64) as usize;
        stream.fill(&mut expected);
        file.read_exact(&mut found[..count]).map_err(failed)?;
        if found[..count] != expected[..count] {
            return Err(format!("{} differs from what was stored after byte {offset}", path.display()));
        }
        offset += count as u64;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { hours: 2.0, size_bytes: 10 << 30, dir: run::release_dir().join("soak"), seeds: 20 };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<f64>().map_err(|_| format!("{word} needs a number, not `{value}`"));
        match word.as_str() {
            "--hours" => options.hours = number()?,
            "--size" => options.size_bytes = (number()? * f64::from(1 << 30)) as u64,
            "--seeds" => options.seeds = number()? as u64,
            "--data" => options.dir = PathBuf::from(value),
            _ => return Err(format!("there is no option {word}: see `cargo xtask help`")),
        }
    }
    Ok(options)
}
