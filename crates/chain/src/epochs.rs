//! Let committees follow each other: one term an epoch, one group key for all of them.
//!
//! # Design
//! In each epoch the signers hand the group's secret on to those who sign next, without anyone learning it (Feldman and
//! Desmedt's resharing, of the consensus library): dealings in the first half, dealers' logs in blocks of the second, and
//! in the last block the result, with who receives shares next and who after them. A ceremony that fails leaves the old
//! signers in their seats.

mod candidates;
mod first;
mod schemes;
mod secrets;
#[cfg(test)]
mod tests;

pub use candidates::Candidates;
pub use first::{FirstError, first_epoch, validators};
pub use schemes::Schemes;
pub use secrets::Secrets;
