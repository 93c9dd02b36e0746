//! Believe the chain from one key: headers, certificates, state proofs.
//!
//! A [`Verifier`] holds the committee's group key. It takes bytes from anyone and gives back headers and state values
//! that the committee finalised, or says what is wrong. It keeps no state: that a proof is recent, and never older than
//! the last one seen, is for the caller to demand of the header's `timestamp_ms` and `height`.

pub mod consensus;
mod verifier;

pub use verifier::{LightError, Verifier};
