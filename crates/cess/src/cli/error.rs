//! Say in one line what is wrong with a command line.

use clap::error::ErrorKind;

/// The parser's complaint as one line; nothing if it is no complaint but help or a version.
pub fn one_line(error: &clap::Error) -> Option<String> {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion) {
        return None;
    }
    let text = error.render().to_string();
    // The parser says what is wrong, perhaps what was meant, and then how the command is used.
    let said = text.lines().map(str::trim).filter(|line| !line.is_empty()).take_while(|line| !is_usage(line));
    let line = said.collect::<Vec<_>>().join(" ");
    Some(format!("{line} (see --help)"))
}

fn is_usage(line: &str) -> bool {
    line.starts_with("Usage:") || line.starts_with("For more information")
}
