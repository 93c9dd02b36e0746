//! Ask for secrets: from a file, or from a person, never on the command line.

use crate::cli::Globals;
use anyhow::{Context, Result, bail, ensure};
use console::Term;
use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};
use zeroize::Zeroizing;

/// Most bytes of recovery words.
const WORDS_BYTES_MAX: u64 = 4096;

/// The passphrase of a keystore that exists.
pub fn existing(globals: &Globals, keystore: &Path) -> Result<Zeroizing<String>> {
    match from_file(globals)? {
        Some(passphrase) => Ok(passphrase),
        None => ask(&format!("Passphrase of {}: ", keystore.display())),
    }
}

/// A passphrase for a new keystore; a person types it twice.
pub fn new(globals: &Globals) -> Result<Zeroizing<String>> {
    let passphrase = match from_file(globals)? {
        Some(passphrase) => passphrase,
        None => {
            let first = ask("Passphrase for the new keystore: ")?;
            ensure!(first == ask("The same again: ")?, "the two passphrases differ: nothing was written");
            first
        }
    };
    ensure!(!passphrase.is_empty(), "an empty passphrase protects nothing: choose another");
    Ok(passphrase)
}

/// Recovery words: typed by a person, or piped in.
pub fn recovery_words() -> Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        return ask("Recovery words: ");
    }
    let mut words = Zeroizing::new(String::new());
    io::stdin().take(WORDS_BYTES_MAX).read_to_string(&mut words).context("the recovery words cannot be read")?;
    Ok(Zeroizing::new(words.trim().to_string()))
}

fn from_file(globals: &Globals) -> Result<Option<Zeroizing<String>>> {
    let Some(path) = &globals.passphrase_file else { return Ok(None) };
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let text = Zeroizing::new(text);
    // Editors end files with a line break; nobody means it as part of the passphrase.
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_string())))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    let terminal = Term::stderr();
    if !terminal.is_term() || !io::stdin().is_terminal() {
        bail!("the keystore needs its passphrase: give --passphrase-file FILE, or run on a terminal");
    }
    terminal.write_str(prompt)?;
    Ok(Zeroizing::new(terminal.read_secure_line().context("the passphrase cannot be read")?))
}
