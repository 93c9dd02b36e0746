//! Measure, and write `docs/benchmarks.md`.

mod crates;
mod load;
mod machine;
mod objects;
mod process;
mod report;

use crate::{network::Devnet, run};
use report::Report;
use std::{
    fs,
    time::{Duration, Instant},
};

/// How long and how large measurements are.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Bytes of the object that is put and got.
    object_bytes: u64,
    /// Time over which the idle network is watched.
    idle: Duration,
    /// Time of each load.
    load: Duration,
    /// Whether the page is written.
    writes_page: bool,
}

const FULL: Effort =
    Effort { object_bytes: 1 << 30, idle: Duration::from_secs(60), load: Duration::from_secs(30), writes_page: true };
const QUICK: Effort =
    Effort { object_bytes: 128 << 20, idle: Duration::from_secs(10), load: Duration::from_secs(5), writes_page: false };

/// Measures everything; `--quick` gives a first impression and writes no page.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let effort = match arguments {
        [] => FULL,
        [option] if option == "--quick" => QUICK,
        _ => return Err("the only option is --quick".into()),
    };
    let cess = run::build_cess()?;
    let load = load::build()?;
    let mut report = Report::new(&machine::describe()?);
    if effort.writes_page {
        crates::measure(&mut report)?;
    }
    let started = Instant::now();
    let devnet = Devnet::start(&cess, &[])?;
    let start_up = started.elapsed();
    let result = measure_network(&mut report, &devnet, &load, effort, start_up);
    devnet.stop(result)?;
    let page = report.page();
    eprintln!("{page}");
    if effort.writes_page {
        fs::write(run::root().join("docs/benchmarks.md"), page)
            .map_err(|error| format!("docs/benchmarks.md: {error}"))?;
    }
    Ok(())
}

fn measure_network(
    report: &mut Report,
    devnet: &Devnet,
    load: &std::path::Path,
    effort: Effort,
    start_up: Duration,
) -> Result<(), String> {
    report.section(
        "A network on this machine",
        "Four validators and twelve miners, a process each, all on the machine above together with whoever drives them.",
    );
    report.table(["measure", "value"]);
    report.row(["start of a new network until it is ready", &format!("{:.1} s", start_up.as_secs_f64())]);
    let idle = process::cpu_percent(devnet, effort.idle)?;
    report.row(["idle network, all processes", &format!("{idle:.1} % of one core (goal: below 15 %)")]);
    let memory = process::resident_bytes(devnet)?;
    report.row(["memory of all processes, idle", &format!("{} MiB", memory >> 20)]);
    objects::measure(report, devnet, effort.object_bytes)?;
    load::measure(report, devnet, load, effort.load)
}
