//! Find the folder of a devnet, remember it, and lay out what is in it.

use anyhow::{Context, Result, bail};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::description::{FILE_NAME, write_whole};
use crate::{
    cli::{DevnetChoice, Globals},
    config,
};
use types::ChainSpec;

/// A devnet's folder; the path is absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder to start a devnet in, created if needed.
    pub fn to_start(globals: &Globals) -> Result<Self> {
        let named = globals.data.clone().or_else(|| named_devnet(globals));
        let path = named.map_or_else(default_path, Ok)?;
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be created", path.display()))?;
        Self::existing(&path)
    }

    /// The folder of the devnet that is meant: named, or the one that was started last.
    pub fn of_running(globals: &Globals) -> Result<Self> {
        match globals.data.clone().or_else(|| named_devnet(globals)) {
            Some(path) => Self::existing(&path),
            None => Self::last(),
        }
    }

    /// The folder that `--devnet` names, or the one that was started last.
    pub fn of_option(devnet: &DevnetChoice) -> Result<Self> {
        match devnet {
            DevnetChoice::Last => Self::last(),
            DevnetChoice::At(path) => Self::existing(path),
        }
    }

    /// The devnet that was started last.
    pub fn last() -> Result<Self> {
        let Ok(path) = fs::read_to_string(memory_path()?) else {
            bail!("no devnet was started on this machine: start one with `cess devnet`, or name its folder");
        };
        Self::existing(Path::new(path.trim_end_matches('\n')))
    }

    /// Remembers this devnet as the last one that was started.
    pub fn remember(&self) -> Result<()> {
        let path = memory_path()?;
        let dir = path.parent().expect("the file is in a folder");
        fs::create_dir_all(dir)
            .and_then(|()| write_whole(&path, format!("{}\n", self.0.display()).as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    fn existing(path: &Path) -> Result<Self> {
        let absolute = path.canonicalize().with_context(|| format!("there is no folder {}", path.display()))?;
        Ok(Self(absolute))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The chain's specification.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.toml")
    }

    /// What the specification says.
    pub fn spec(&self) -> Result<ChainSpec> {
        let path = self.genesis();
        ChainSpec::from_toml(&config::read_text(&path)?).with_context(|| path.display().to_string())
    }

    /// The file whose lock the supervisor holds while it lives.
    pub fn lock(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    /// Name of the supervisor's socket, within the folder.
    pub const SOCKET: &str = "supervisor.sock";

    /// A role's folder.
    pub fn role(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A role's configuration.
    pub fn config(&self, name: &str) -> PathBuf {
        self.role(name).join("config.toml")
    }

    /// A process's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    /// Whether a devnet is kept here.
    pub fn is_devnet(&self) -> bool {
        self.genesis().exists()
    }

    /// Deletes the devnet; refuses a folder that holds anything else.
    pub fn clear(&self) -> Result<()> {
        let context = || format!("{} cannot be read", self.0.display());
        let entries = fs::read_dir(&self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>).with_context(context)?;
        let foreign = entries.iter().find(|entry| !entry.file_name().to_str().is_some_and(is_ours));
        if let Some(entry) = foreign {
            let path = entry.path();
            bail!("{} is not part of a devnet: nothing was deleted (choose another folder)", path.display());
        }
        // Whoever deletes holds the lock.
        for path in entries.iter().map(fs::DirEntry::path).filter(|path| *path != self.lock()) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("{} cannot be deleted", path.display()))?;
        }
        Ok(())
    }
}

/// Whether a devnet makes files of this name.
fn is_ours(name: &str) -> bool {
    let files = [FILE_NAME, "genesis.toml", "genesis.toml.new", "supervisor.lock", Folder::SOCKET, "logs", "client"];
    let is_role = |kind: &str| {
        let number = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    files.contains(&name) || name == "devnet.json.new" || ["validator", "miner", "gateway"].into_iter().any(is_role)
}

fn named_devnet(globals: &Globals) -> Option<PathBuf> {
    match &globals.devnet {
        Some(DevnetChoice::At(path)) => Some(path.clone()),
        Some(DevnetChoice::Last) | None => None,
    }
}

fn default_path() -> Result<PathBuf> {
    Ok(crate::folders::data()?.join("devnet"))
}

fn memory_path() -> Result<PathBuf> {
    Ok(crate::folders::state()?.join("devnet"))
}
