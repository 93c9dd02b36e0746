//! Be the one program.

mod account;
mod audit;
mod bucket;
mod cli;
mod config;
mod devnet;
mod folders;
mod gateway;
mod genesis;
mod miner;
mod network;
mod nodes;
mod object;
mod passphrase;
mod pin;
mod policy;
mod print;
mod secret;
mod session;
mod supervised;
mod territory;
mod validator;

use anyhow::Result;
use clap::Parser;
use cli::{Cli, Command, GatewayArgs, Globals, MinerArgs, MinerCommand, RoleArgs};
use devnet::Interrupts;
use session::Session;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// What shells use for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;
/// What the parser uses for a command line it does not understand.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(cli::complete_devnet(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return complain(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", print::one_line(&error));
            if error.is::<Interrupted>() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn complain(error: &clap::Error) -> ExitCode {
    match cli::one_line(error) {
        Some(line) => {
            eprintln!("{line}");
            ExitCode::from(MISUSED)
        }
        None => {
            // There is nobody to tell that help could not be shown.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(MISUSED) } else { ExitCode::SUCCESS }
        }
    }
}

fn run(Cli { globals, command }: Cli) -> Result<()> {
    match command {
        // The consensus library brings its own runtime.
        Command::Validator(arguments) => validator::run(arguments),
        Command::Miner(MinerArgs { config: Some(config), supervised, command: None }) => {
            in_runtime(miner::run(RoleArgs { config, supervised }))
        }
        Command::Gateway(GatewayArgs { config: Some(config), supervised, command: None }) => {
            in_runtime(gateway::run(RoleArgs { config, supervised }))
        }
        Command::Miner(MinerArgs { command: Some(MinerCommand::Retire(arguments)), .. }) => {
            in_runtime(interruptible(miner::retire(arguments)))
        }
        Command::Genesis(command) => genesis::run(command),
        Command::Devnet(arguments) => in_runtime(devnet::run(arguments, &globals)),
        command => in_runtime(interruptible(act(command, &globals))),
    }
}

/// Commands that are done when they return.
async fn act(command: Command, globals: &Globals) -> Result<()> {
    config::start_log_if_asked()?;
    let reads = command.only_reads();
    let open = || if reads { Session::reading(globals) } else { Session::open(globals) };
    match command {
        Command::Account(command) => account::run(command, globals).await,
        Command::Territory(command) => territory::run(command, &open()?).await,
        Command::Bucket(command) => bucket::run(command, &open()?).await,
        Command::Policy(command) => policy::run(command, &open()?).await,
        Command::Object(command) => object::run(command, &open()?).await,
        Command::Network(command) => network::run(command, &open()?).await,
        Command::Audit(command) => audit::run(command, &open()?).await,
        Command::Put(arguments) => object::put(arguments, &open()?).await,
        Command::Get(arguments) => object::get(arguments, &open()?).await,
        Command::Ls(arguments) => object::ls(arguments, &open()?).await,
        Command::Rm(arguments) => object::remove(arguments, &open()?).await,
        Command::Miner(MinerArgs { command: Some(command), .. }) => miner::show(command, &open()?).await,
        Command::Gateway(GatewayArgs { command: Some(command), .. }) => gateway::show(command, globals).await,
        Command::Genesis(_) | Command::Validator(_) | Command::Miner(_) | Command::Gateway(_) | Command::Devnet(_) => {
            unreachable!("these run on their own")
        }
    }
}

/// Drops a command that Ctrl-C interrupts: temporary files go, and what was staged expires or is taken up again.
async fn interruptible(command: impl Future<Output = Result<()>>) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    tokio::select! {
        result = command => result,
        () = interrupts.next() => Err(Interrupted.into()),
    }
}

fn in_runtime(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread may still wait for input that nobody types.
    runtime.shutdown_background();
    result
}

/// Somebody has ended the command.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted: nothing is half done, and an upload goes on when the same command runs again")
    }
}

impl std::error::Error for Interrupted {}
