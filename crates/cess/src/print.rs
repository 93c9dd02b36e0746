//! Print results: tables and lines for people, JSON for programs.

use crate::cli::NumberPage;
use anyhow::Result;
use serde::Serialize;
use std::{
    env,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Prints a line of result.
pub fn line(text: impl AsRef<str>) -> Result<()> {
    write(text.as_ref())
}

/// Prints a result as JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    write(&serde_json::to_string_pretty(value)?)
}

/// Tells a person what happened; programs need not hear it.
pub fn note(text: &str) -> Result<()> {
    if is_terminal() {
        eprintln!("{text}");
    }
    Ok(())
}

/// Tells a person how a list goes on of which this was a page.
pub fn more(page: NumberPage, more: u32) -> Result<()> {
    match more {
        0 => Ok(()),
        more => note(&format!("{more} more: --after {}", page.after.saturating_add(page.limit))),
    }
}

/// A span of time for people.
pub fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// How a person calls this program: by its name if the shell finds it, by its path otherwise.
pub fn program() -> String {
    let Ok(here) = env::current_exe() else { return "cess".into() };
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join("cess")).find(|path| path.is_file());
    if found.and_then(|path| path.canonicalize().ok()).is_some_and(|path| path == here) {
        return "cess".into();
    }
    // The shell's folder, not ours: a devnet works in its own.
    let shell = env::var_os("PWD").map(PathBuf::from);
    let relative = shell.and_then(|shell| here.strip_prefix(shell).ok().map(Path::to_path_buf));
    relative.unwrap_or(here).display().to_string()
}

/// Whether a person watches.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

fn write(text: &str) -> Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // Whoever reads our output may have seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Columns of text with a heading.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_uppercase).to_vec()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Prints it, with columns as wide as they need to be.
    pub fn print(self) -> Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines: Vec<String> = self.rows.iter().map(|row| aligned(row, &widths)).collect();
        write(&lines.join("\n"))
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
}

/// An error as one line: what happened, and the causes that add something to it.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// A time for people, UTC.
pub fn time(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| format!("{ms} ms after 1970"))
}
