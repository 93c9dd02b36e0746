//! Lose miners for good while objects are written and read, and see the volumes heal without a hand.

use super::{Options, compare, generate, path, report};
use crate::{network::Devnet, run};
use serde_json::Value;
use std::{
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// Bytes that are written while miners die.
const BYTES: u64 = 2 << 30;
/// The dead.
const LOST: [&str; 3] = ["miner-1", "miner-6", "miner-10"];
/// When they die, after put and get began.
const AFTER: Duration = Duration::from_secs(2);
/// Reads before anybody dies.
const READS: usize = 5;
/// Until all is whole again.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// One loss of three of twelve miners, on a network of its own.
pub fn run(cess: &Path, options: &Options) -> Result<(), String> {
    let devnet = Devnet::start_in(cess, &options.dir.join("losses"), &["--audit-round", "20"])?;
    let result = lose(&devnet, options);
    devnet.stop(result)
}

fn lose(devnet: &Devnet, options: &Options) -> Result<(), String> {
    run::step("three miners die for good during a put and a get");
    let (source, copy) = (options.dir.join("source"), options.dir.join("copy"));
    let size = BYTES.min(options.size_bytes);
    generate(&source, size, 1).map_err(|error| format!("{}: {error}", source.display()))?;
    devnet.run(&["territory", "buy", "--size", &format!("{}B", size * 3), "--days", "2"])?;
    devnet.run(&["bucket", "create", "losses"])?;
    devnet.run(&["put", path(&source)?, "cess://losses/before"])?;
    let undisturbed = (0..READS).map(|_| read(devnet, options)).collect::<Result<Vec<_>, _>>()?;

    let started = Instant::now();
    let begin = |line: &[&str]| {
        let spawned = devnet.cess().args(line).stdout(Stdio::null()).spawn();
        spawned.map_err(|error| format!("{line:?}: {error}"))
    };
    let mut put = begin(&["put", path(&source)?, "cess://losses/during"])?;
    let mut get = begin(&["get", "cess://losses/before", path(&copy)?])?;
    thread::sleep(AFTER);
    for miner in LOST {
        devnet.run(&["devnet", "kill", miner])?;
    }
    let died = Instant::now();
    for (what, process) in [("put", &mut put), ("get", &mut get)] {
        let status = process.wait().map_err(|error| format!("{what}: {error}"))?;
        if !status.success() {
            return Err(format!("the {what} during which miners died failed"));
        }
        report(what, size, started);
    }
    compare(&copy, size, 1)?;
    heal(devnet, options, died, undisturbed)?;
    devnet.run(&["get", "cess://losses/during", path(&copy)?])?;
    compare(&copy, size, 1)
}

/// Time to read what was there before.
fn read(devnet: &Devnet, options: &Options) -> Result<Duration, String> {
    let started = Instant::now();
    devnet.run(&["get", "cess://losses/before", path(&options.dir.join("read"))?])?;
    Ok(started.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

/// Waits until no seat of a volume with stripes is a dead miner's, and every one has its column; reads on meanwhile.
fn heal(devnet: &Devnet, options: &Options, died: Instant, undisturbed: Vec<Duration>) -> Result<(), String> {
    let (mut degraded, mut repairing) = (Vec::new(), Vec::new());
    loop {
        let volumes = volumes(devnet)?;
        let written: Vec<&Value> = volumes.iter().filter(|volume| volume["stripes"].as_u64() > Some(0)).collect();
        let whole = written.iter().filter(|volume| is_whole(volume)).count();
        let after = died.elapsed();
        if whole == written.len() {
            eprintln!("    {whole} volumes whole after {:.0} s", after.as_secs_f64());
            let (before, without, during) = (median(undisturbed), median(degraded), median(repairing));
            eprintln!(
                "    a read took {before:.2} s before, {without:.2} s without the dead, {during:.2} s during repair: \
                 {:.0} % and {:.0} % of the speed",
                before / without * 100.0,
                before / during * 100.0
            );
            return Ok(());
        }
        if after > PATIENCE {
            return Err(format!("{whole} of {} volumes are whole after {} s", written.len(), after.as_secs()));
        }
        let is_repairing = written.iter().any(|volume| is_rebuilding(volume));
        let time = read(devnet, options)?;
        if is_repairing { &mut repairing } else { &mut degraded }.push(time);
    }
}

fn is_rebuilding(volume: &Value) -> bool {
    let members = volume["members"].as_array();
    members.into_iter().flatten().any(|member| member["repair"]["state"] == "rebuilding")
}

fn volumes(devnet: &Devnet) -> Result<Vec<Value>, String> {
    let output = devnet.cess().args(["network", "volumes", "--json"]).output();
    let output = output.map_err(|error| format!("cess network volumes: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cess network volumes: {error}"))
}

fn is_whole(volume: &Value) -> bool {
    let seats = volume["members"].as_array().map(|members| members.len() as u64);
    // Their columns are there, and they answer.
    seats.is_some() && [&volume["live"], &volume["survivors"]].iter().all(|count| count.as_u64() == seats)
}
