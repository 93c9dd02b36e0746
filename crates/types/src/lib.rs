//! Name the things the network agrees on.
//!
//! Identifiers, encodings and parameters that cross a wire, a disk or a language. Everything here is plain data with
//! rules: no network, no clock, no storage.

pub mod abi;
pub mod bls;
pub mod bucket;
pub mod endpoint;
pub mod hash;
pub mod header;
pub mod lane;
pub mod layout;
pub mod merkle;
pub mod permit;
pub mod proof;
pub mod receipt;
pub mod repair;
pub mod segment;
pub mod spec;
pub mod state;
pub mod stripe;
pub mod transaction;

pub use bls::{ReceiptKey, ReceiptPublicKey, ReceiptSignature};
pub use bucket::{BucketId, RootLocator};
pub use endpoint::Endpoint;
pub use header::{Beacon, Block, Header, SyncTarget};
pub use lane::LaneCall;
pub use segment::{Profile, SegmentId};
pub use spec::ChainSpec;
pub use stripe::{StripeLeaf, StripeLog};
pub use transaction::Transaction;
