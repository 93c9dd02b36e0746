//! Write figures down as a page.

use std::fmt::Write;

/// A page of tables.
pub struct Report {
    page: String,
}

impl Report {
    /// A page that begins with what was measured on.
    pub fn new(machine: &[String]) -> Self {
        let mut page = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`. Compare figures within this page, not with other machines.\n\n",
        );
        for line in machine {
            page.push_str(&format!("- {line}\n"));
        }
        Self { page }
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str, text: &str) {
        write!(self.page, "\n## {title}\n{text}\n").expect("a string takes everything");
    }

    /// Begins a table.
    pub fn table<const N: usize>(&mut self, headings: [&str; N]) {
        write!(self.page, "\n| {} |\n|{}\n", headings.join(" | "), "---|".repeat(N))
            .expect("a string takes everything");
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        writeln!(self.page, "| {} |", cells.join(" | ")).expect("a string takes everything");
    }

    /// The page.
    pub fn page(&self) -> &str {
        &self.page
    }
}
