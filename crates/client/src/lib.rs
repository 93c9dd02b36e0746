//! Put, get and share objects, and check what the chain says.

pub mod account;
pub mod chain;

pub use account::{SendError, Sender};
pub use chain::{ChainApi, ChainError};
