//! Begin a chain: identities, a draft of its specification, and the ceremony that makes the group key.

mod preset;

pub use preset::{DEVNET_CHAIN_ID, Preset};

use crate::{
    cli::{CeremonyArgs, DraftArgs, GenesisCommand},
    config,
    devnet::write_whole,
};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use anyhow::{Context, Result, bail, ensure};
use chain::ceremony::{self, CeremonyConfig, Generated};
use std::{
    fs, io::Write, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::Path, sync::mpsc, thread, time::Duration,
};
use tokio::sync::watch;
use types::{
    ChainSpec,
    spec::{Allocation, ValidatorSpec},
};

/// Runs one command.
pub fn run(command: GenesisCommand) -> Result<()> {
    match command {
        GenesisCommand::Key { out } => make_key(&out),
        GenesisCommand::Draft(arguments) => draft(arguments),
        GenesisCommand::Ceremony(arguments) => take_part(arguments),
    }
}

fn make_key(out: &Path) -> Result<()> {
    let key: [u8; 32] = rand::random();
    write_new_secret(out, &hex::encode(key))?;
    writeln!(std::io::stdout(), "{}", ceremony::identity(&key))?;
    eprintln!("This is the public key; the secret one is in {}. Keep it private.", out.display());
    Ok(())
}

fn draft(arguments: DraftArgs) -> Result<()> {
    let mut spec = arguments.preset.spec(now_ms());
    if let Some(name) = arguments.name {
        spec.name = name;
    }
    if let Some(chain_id) = arguments.chain_id {
        spec.chain_id = chain_id;
    }
    spec.validators = arguments.validators;
    spec.validators.sort_by_key(|validator| validator.public_key);
    let twice = spec.validators.windows(2).find(|pair| pair[0].public_key == pair[1].public_key);
    ensure!(twice.is_none(), "two validators have the same key: every validator makes its own with `cess genesis key`");
    spec.alloc = arguments.allocations;
    let text = spec.to_toml();
    ChainSpec::from_toml(&text)?;
    match arguments.out {
        Some(path) => {
            write_whole(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
        }
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}

fn take_part(arguments: CeremonyArgs) -> Result<()> {
    config::start_log("info,commonware=warn")?;
    let text = config::read_text(&arguments.draft)?;
    let draft = ChainSpec::from_toml(&text).with_context(|| arguments.draft.display().to_string())?;
    ensure!(draft.output.is_empty(), "{} is no draft: it has a key already", arguments.draft.display());
    let key = *config::read_key(&arguments.key)?;
    let out = arguments.out;
    fs::create_dir_all(&out).with_context(|| format!("{} cannot be created", out.display()))?;
    let (genesis, share) = (out.join("genesis.toml"), out.join("share"));
    for path in [&genesis, &share] {
        ensure!(!path.exists(), "{} is there already", path.display());
    }
    let data = tempfile::TempDir::new_in(&out).context("a folder for the ceremony cannot be made")?;
    let config = CeremonyConfig { draft: draft.clone(), key, listen: arguments.listen, data: data.path().into() };
    eprintln!("waiting for the other {} validators of the draft", draft.validators.len().saturating_sub(1));
    let (written_in, written) = mpsc::channel();
    let stay = Duration::from_secs(arguments.stay_s);
    ceremony::run(config, move |generated| {
        let done = write_new_secret(&share, &hex::encode(&generated.share)).and_then(|()| {
            let spec = ChainSpec { output: generated.output, ..draft };
            write_whole(&genesis, spec.to_toml().as_bytes())
                .with_context(|| format!("{} cannot be written", genesis.display()))
        });
        Box::pin(async move {
            let is_done = done.is_ok();
            if is_done {
                eprintln!(
                    "wrote {} and {}; helping the others for {} s more",
                    genesis.display(),
                    share.display(),
                    stay.as_secs()
                );
            }
            // The receiver outlives the ceremony.
            let _ = written_in.send(done);
            if is_done {
                tokio::select! {
                    () = tokio::time::sleep(stay) => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            }
        })
    })?;
    written.recv().context("the ceremony ended without a result")?
}

/// Runs a ceremony of all validators of a draft at once, each on a thread of its own with its own mesh: for networks on
/// one machine. The keys are in the order of the draft's validators; so are the shares.
pub fn run_here(draft: &ChainSpec, keys: &[[u8; 32]]) -> Result<(Bytes, Vec<Bytes>)> {
    let data = tempfile::TempDir::new().context("a folder for the key generation cannot be made")?;
    let (results_in, results) = mpsc::channel();
    let (release, released) = watch::channel(false);
    let take_part = |position: usize, key: &[u8; 32]| -> Result<_> {
        let listen = draft.validators[position].address.parse().context("a devnet's addresses are numbers")?;
        let config =
            CeremonyConfig { draft: draft.clone(), key: *key, listen, data: data.path().join(position.to_string()) };
        let (results_in, mut released) = (results_in.clone(), released.clone());
        let run = move || {
            let done = results_in.clone();
            let outcome = ceremony::run(config, move |generated| {
                Box::pin(async move {
                    let _ = done.send((position, Ok(generated)));
                    // Others may still need this one. The sender goes when all are done, or one has failed.
                    let _ = released.wait_for(|released| *released).await;
                })
            });
            if let Err(error) = outcome {
                let _ = results_in.send((position, Err(error)));
            }
        };
        Ok(thread::Builder::new().name(format!("ceremony-{position}")).spawn(run)?)
    };
    let threads: Vec<_> =
        keys.iter().enumerate().map(|(position, key)| take_part(position, key)).collect::<Result<_>>()?;
    let mut generated: Vec<Option<Generated>> = vec![None; keys.len()];
    let mut outcome = Ok(());
    for _ in keys {
        match results.recv_timeout(CEREMONY_HERE_MAX) {
            Ok((position, Ok(result))) => generated[position] = Some(result),
            Ok((_, Err(error))) => {
                outcome = Err(error).context("the validators' key generation failed");
                break;
            }
            Err(_) => {
                outcome =
                    Err(anyhow::anyhow!("the validators' key generation took too long; is the machine very busy?"));
                break;
            }
        }
    }
    release.send_replace(true);
    if outcome.is_ok() {
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
    outcome?;
    let generated: Vec<Generated> = generated.into_iter().flatten().collect();
    let Some(output) = generated.first().map(|first| first.output.clone()) else { bail!("there are no validators") };
    ensure!(generated.iter().all(|other| other.output == output), "the validators generated different keys");
    Ok((output, generated.into_iter().map(|generated| generated.share).collect()))
}

/// Longest ceremony on one machine; it takes seconds.
const CEREMONY_HERE_MAX: Duration = Duration::from_secs(120);

/// Writes a file that only its owner can read, and that was not there.
fn write_new_secret(path: &Path, secret: &str) -> Result<()> {
    let open = fs::File::options().create_new(true).write(true).mode(0o600).open(path);
    open.and_then(|mut file| {
        writeln!(file, "{secret}")?;
        file.sync_all()
    })
    .with_context(|| format!("{} cannot be written", path.display()))
}

fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `KEY@IP:PORT=ACCOUNT`.
pub fn parse_validator(text: &str) -> Result<ValidatorSpec> {
    let form = "a validator is `KEY@IP:PORT=ACCOUNT`: its public key, its address, who gets its fees";
    let (key, rest) = text.split_once('@').context(form)?;
    let (address, account) = rest.rsplit_once('=').context(form)?;
    let public_key: B256 = key.parse().context("the key is not 32 bytes in hexadecimal")?;
    let beneficiary: Address = account.parse().context("the account is no address")?;
    ensure!(
        address.parse::<SocketAddr>().is_ok(),
        "`{address}` is not IP:PORT: names may mean something else elsewhere"
    );
    Ok(ValidatorSpec { public_key, beneficiary, address: address.into() })
}

/// `ACCOUNT=COINS`.
pub fn parse_allocation(text: &str) -> Result<Allocation> {
    let (account, coins) = text.split_once('=').context("an allocation is `ACCOUNT=COINS`")?;
    let address = account.parse().context("the account is no address")?;
    let coins: U256 = coins.parse().context("the number of coins is no number")?;
    let balance =
        coins.checked_mul(U256::from(10u64).pow(U256::from(18u64))).context("so many coins there cannot be")?;
    Ok(Allocation { address, balance })
}

#[cfg(test)]
mod tests;
