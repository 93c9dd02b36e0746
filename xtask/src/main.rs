//! Build, test and measure the project: `cargo xtask up | test | lint | bench | sim | soak | s3-tests`.

mod bench;
mod lint;
mod machine;
mod network;
mod run;
mod s3_tests;
mod sim;
mod soak;
mod test;
mod up;

use std::process::ExitCode;

const HELP: &str = "\
Build, test and measure CESS.

Usage: cargo xtask <COMMAND> [-- ARGS]

Commands:
  up      Install what the build needs, build, and start a whole network on this machine.
          ARGS go to `cess devnet`: cargo xtask up -- --miners 8 --detach
  test    Run the whole test suite: crates, real processes, wallets of others.
  lint    Check format and lints.
  bench   Measure, and write docs/benchmarks.md.
          ARGS: --quick for a first impression (the page stays as it is)
  sim     Live through hours of a whole network in minutes, from one seed.
          ARGS: --seed S (default 1), --scenario X (default churn), --hours H (default 1),
          --chain memory or validators (default memory); or --seeds N: all scenarios, each with seeds 1 to N
  soak    Live through all scenarios of the simulator with many seeds, then store and read large files for hours
          while processes are killed.
          ARGS: --hours H (default 2), --size GIB (default 10), --data DIR, --seeds N (default 20)
  s3-tests
          Run the public S3 compatibility suite against a gateway, and compare with tests/s3/expected.txt.
          ARGS: the folder of a copy of github.com/ceph/s3-tests; --write: note the results; -k EXPRESSION: some cases
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.skip_while(|argument| argument == "--").collect();
    let result = match command.as_str() {
        "up" => up::run(&rest),
        "test" => refuse_arguments(&rest).and_then(|()| test::run()),
        "lint" => refuse_arguments(&rest).and_then(|()| lint::run()),
        "bench" => bench::run(&rest),
        "sim" => sim::run(&rest),
        "soak" => soak::run(&rest),
        "s3-tests" => s3_tests::run(&rest),
        "" | "help" | "-h" | "--help" => {
            eprint!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("there is no command `{other}`: see `cargo xtask help`")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse_arguments(rest: &[String]) -> Result<(), String> {
    match rest.first() {
        Some(argument) => Err(format!("`{argument}` means nothing here: this command takes no arguments")),
        None => Ok(()),
    }
}
