//! Show how a transfer goes on: a bar for a person, nothing for a program.

use crate::print;
use client::{Event, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Redraws per second at most.
const REDRAWS: u8 = 10;

/// A bar for one transfer; it goes when this is dropped.
pub struct Transfer {
    bar: ProgressBar,
}

/// Which events move the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the network: what members hold counts.
    Put,
    /// Out of the network: what is written counts.
    Get,
}

impl Transfer {
    /// A transfer of so many bytes, if that is known.
    pub fn start(name: &str, total_bytes: Option<u64>) -> Self {
        if !print::is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr_with_hz(REDRAWS));
        let template = match total_bytes {
            Some(_) => "{prefix} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left {msg}",
            None => "{prefix} {spinner} {bytes}  {bytes_per_sec} {msg}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        bar.set_prefix(name.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// What the client tells its events.
    pub fn progress(&self, direction: Direction) -> Progress {
        let bar = self.bar.clone();
        Progress::new(move |event| match (event, direction) {
            (Event::Staged(bytes) | Event::Resumed(bytes), Direction::Put) => advance(&bar, bytes),
            (Event::Written(bytes), Direction::Get) => advance(&bar, bytes),
            (Event::WaitingForVolume, _) => bar.set_message("(waiting for a volume)"),
            (Event::Replaying, _) => bar.set_message("(another writer was quicker, once more)"),
            (Event::Committed(_), _) => bar.set_message("(committed)"),
            (Event::Read(_) | Event::Staged(_) | Event::Resumed(_) | Event::Written(_), _) => {}
        })
    }
}

/// Sealing adds a little to what the user knows as the size: the bar stops at its end.
fn advance(bar: &ProgressBar, bytes: u64) {
    bar.inc(bytes);
    if let Some(length) = bar.length()
        && bar.position() > length
    {
        bar.set_position(length);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
