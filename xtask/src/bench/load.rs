//! Measure transactions per second and time to finality, with the load generator of `crates/cess/examples`.

use super::report::Report;
use crate::{network::Devnet, run};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Rates at which time to finality is measured, per second.
const RATES: [u32; 3] = [1, 100, 1_000];

/// Builds the load generator and returns its path.
pub fn build() -> Result<PathBuf, String> {
    run::run(run::cargo().args(["build", "--release", "--locked", "--package", "cess", "--example", "load"]))?;
    Ok(run::release_dir().join("examples/load"))
}

/// As fast as it goes, then at fixed rates.
pub fn measure(report: &mut Report, devnet: &Devnet, load: &Path, time: Duration) -> Result<(), String> {
    report.section(
        "Transactions",
        "Through JSON-RPC, spread over the four validators. Time to finality is from the submission to the moment at which the \
         client has seen the final block.",
    );
    report.table(["load", "transactions/s", "finality p50", "p99"]);
    for kind in ["transfer", "erc20"] {
        let figures = generate(devnet, load, time, kind, None)?;
        row(report, &format!("{kind}, as fast as it goes"), &figures)?;
    }
    for rate in RATES {
        let figures = generate(devnet, load, time, "transfer", Some(rate))?;
        row(report, &format!("transfer, {rate}/s"), &figures)?;
    }
    Ok(())
}

fn generate(devnet: &Devnet, load: &Path, time: Duration, kind: &str, rate: Option<u32>) -> Result<Value, String> {
    let mut command = run::program(load.to_str().ok_or("the target folder's name is no text")?);
    command.arg("--devnet").arg(devnet.dir()).args(["--kind", kind, "--seconds", &time.as_secs().to_string()]);
    if let Some(rate) = rate {
        command.args(["--rate", &rate.to_string()]);
    }
    let text = run::output(&mut command)?;
    serde_json::from_str(&text).map_err(|error| format!("the load generator printed no JSON: {error}"))
}

fn row(report: &mut Report, name: &str, figures: &Value) -> Result<(), String> {
    let number = |key: &str| figures[key].as_f64().ok_or_else(|| format!("the load generator printed no {key}"));
    let rate = format!("{:.0}", number("per_second")?);
    let [p50, p99] = [number("finality_p50_ms")?, number("finality_p99_ms")?].map(|time| format!("{time:.0} ms"));
    report.row([name, &rate, &p50, &p99]);
    Ok(())
}
