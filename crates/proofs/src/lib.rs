//! Prove that bytes are held: idle units, pledges, rounds.
//!
//! Pure functions of bytes: no network, no clock, no storage. The chain, miners and anyone who checks again use the
//! same.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod idle;
pub mod pledge;
