//! Write secrets to files that only their owner can read.

use anyhow::{Context, Result};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Writes a file that was not there.
pub fn write_new(path: &Path, secret: &str) -> Result<()> {
    write_with(File::options().create_new(true), path, secret)
}

/// Writes a file, in place of what may be there.
pub fn write(path: &Path, secret: &str) -> Result<()> {
    write_with(File::options().create(true).truncate(true), path, secret)
}

fn write_with(options: &mut OpenOptions, path: &Path, secret: &str) -> Result<()> {
    let open = options.write(true).mode(0o600).open(path);
    open.and_then(|mut file| {
        writeln!(file, "{secret}")?;
        file.sync_all()
    })
    .with_context(|| format!("{} cannot be written", path.display()))
}
