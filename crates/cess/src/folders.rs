//! Know where a user's files belong (XDG base directories).

use crate::cli::Globals;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Keystores: below the folder of `--data`, or the user's.
pub fn keystores(globals: &Globals) -> Result<PathBuf> {
    let base = globals.data.clone().map_or_else(data, Ok)?;
    Ok(base.join("keystores"))
}

/// Keystores and devnets: `$XDG_DATA_HOME/cess` or `~/.local/share/cess`.
pub fn data() -> Result<PathBuf> {
    base("XDG_DATA_HOME", ".local/share")
}

/// What the program remembers between runs: `$XDG_STATE_HOME/cess` or `~/.local/state/cess`.
pub fn state() -> Result<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

fn base(variable: &str, below_home: &str) -> Result<PathBuf> {
    // The specification says to ignore relative paths.
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match set {
        Some(path) => path,
        None => std::env::home_dir().context("HOME is not set: name a folder with --data DIR")?.join(below_home),
    };
    Ok(base.join("cess"))
}
