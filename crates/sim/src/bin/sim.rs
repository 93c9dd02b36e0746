//! Run one scenario of the simulator: `sim --seed S --scenario X --hours H --chain C`; `sim --list` names them all.

#![allow(clippy::print_stdout)]

use sim::{Chain, Options, Report, SCENARIOS, Scenario, run};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
    if std::env::args().nth(1).as_deref() == Some("--list") {
        SCENARIOS.iter().for_each(|scenario| println!("{scenario}"));
        return ExitCode::SUCCESS;
    }
    match parse(std::env::args().skip(1)) {
        Ok(options) => live(options),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seed: 1, scenario: Scenario::Churn, hours: 1.0, chain: Chain::Memory };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = |what: &str| format!("{word} needs {what}, not `{value}`");
        match word.as_str() {
            "--seed" => options.seed = value.parse().map_err(|_| number("a whole number"))?,
            "--hours" => options.hours = value.parse().map_err(|_| number("a number"))?,
            "--chain" => options.chain = chain(&value).ok_or_else(|| number("`memory` or `validators`"))?,
            "--scenario" => options.scenario = value.parse().map_err(|error| format!("{error}"))?,
            _ => {
                let names = SCENARIOS.map(|scenario| scenario.to_string()).join(", ");
                return Err(format!(
                    "there is no option {word}: --seed S, --hours H, --chain memory or validators, --scenario one of {names}"
                ));
            }
        }
    }
    Ok(options)
}

fn chain(name: &str) -> Option<Chain> {
    match name {
        "memory" => Some(Chain::Memory),
        "validators" => Some(Chain::Validators),
        _ => None,
    }
}

fn live(options: Options) -> ExitCode {
    let Options { seed, scenario, hours, chain } = options;
    let began = Instant::now();
    let result = run(options);
    let took = began.elapsed().as_secs_f64();
    match result {
        Ok(report) => {
            print(&report);
            println!("sim/scenario={scenario} seed={seed}: all holds, in {took:.1} s");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            eprintln!("error: {broken}");
            let chain = if chain == Chain::Validators { " --chain validators" } else { "" };
            eprintln!("to see it again: cargo xtask sim --seed {seed} --scenario {scenario} --hours {hours}{chain}");
            ExitCode::FAILURE
        }
    }
}

fn print(report: &Report) {
    let Report { blocks, rounds, objects, refused_puts, reads, opened, faults, drawn, worst, digest, .. } = report;
    println!(
        "{:.2} h, {blocks} blocks, {rounds} rounds: {opened} openings, {faults} faults",
        report.lived.as_secs_f64() / 3600.0
    );
    println!(
        "{objects} objects ({refused_puts} puts refused), {reads} reads; {drawn} seats drawn, at worst {worst} of a volume lost"
    );
    for note in &report.notes {
        println!("{note}");
    }
    println!("digest {digest}");
}
