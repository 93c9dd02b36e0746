//! Read configuration files and start the log they ask for.

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use std::{fs, path::Path};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

/// Reads a TOML file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        anyhow!("{}:{line}: {}", path.display(), error.message())
    })
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Reads a file of hexadecimal digits.
pub fn read_hex(path: &Path) -> Result<Vec<u8>> {
    let text = read_text(path)?;
    let digits = text.trim();
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits))
        .with_context(|| format!("{} is not hexadecimal", path.display()))
}

/// Reads a file with a key of 32 bytes.
pub fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let key = Zeroizing::new(read_hex(path)?);
    let key = <[u8; 32]>::try_from(key.as_slice());
    key.map(Zeroizing::new).with_context(|| format!("{} does not hold 32 bytes in hexadecimal", path.display()))
}

/// The default of `log`: what happens, without every step of consensus and storage.
pub fn log_level() -> String {
    "info,commonware=warn,fjall=warn,lsm_tree=warn".into()
}

/// Starts the log for commands, which say what they have to say themselves: only if `RUST_LOG` asks for it.
pub fn start_log_if_asked() -> Result<()> {
    if std::env::var_os(EnvFilter::DEFAULT_ENV).is_some() { start_log("off") } else { Ok(()) }
}

/// Starts the log on standard error; `RUST_LOG` overrides the configuration.
pub fn start_log(level: &str) -> Result<()> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) => filter,
        Err(_) => level.into(),
    };
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("`{filter}` is no log filter"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    Ok(())
}

#[cfg(test)]
pub mod example;
