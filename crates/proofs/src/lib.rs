//! Prove that bytes are held: idle units, pledges, rounds.
//!
//! Pure functions of bytes: no network, no clock, no storage. The chain, miners and anyone who re-checks them use the same.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod opening;
pub mod response;
pub mod round;
pub mod sample;

#[cfg(test)]
mod tests;
