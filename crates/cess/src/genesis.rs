//! Begin a chain: identities, a draft of its specification, and the ceremony that makes the group key.

mod ceremony;
mod preset;

pub use ceremony::run_here;
pub use preset::{DEVNET_CHAIN_ID, Preset};

use crate::{
    cli::{Amount, DraftArgs, GenesisCommand},
    devnet::write_whole,
    secret,
};
use alloy_primitives::{Address, B256, hex};
use anyhow::{Context, Result, ensure};
use std::{io::Write, net::SocketAddr, path::Path};
use types::{
    ChainSpec,
    spec::{Allocation, ValidatorSpec},
};

/// Runs one command.
pub fn run(command: GenesisCommand) -> Result<()> {
    match command {
        GenesisCommand::Key { out } => make_key(&out),
        GenesisCommand::Draft(arguments) => draft(arguments),
        GenesisCommand::Ceremony(arguments) => ceremony::take_part(arguments),
    }
}

fn make_key(out: &Path) -> Result<()> {
    let key: [u8; 32] = rand::random();
    secret::write_new(out, &hex::encode(key))?;
    writeln!(std::io::stdout(), "{}", chain::identity(&key))?;
    eprintln!("This is the public key; the secret one is in {}. Keep it private.", out.display());
    Ok(())
}

fn draft(arguments: DraftArgs) -> Result<()> {
    let mut spec = arguments.preset.spec(unix_ms());
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

/// This machine's time, milliseconds since 1970.
pub fn unix_ms() -> u64 {
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
    let Amount(balance) = coins.parse().map_err(anyhow::Error::msg)?;
    Ok(Allocation { address, balance })
}

#[cfg(test)]
mod tests;
