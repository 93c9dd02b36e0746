//! Speak S3 at the edge.
//!
//! # Design
//! `s3s` parses, signs and serialises S3. What requests mean is decided by plain functions ([`rules`]) over a small view of a
//! bucket ([`view`]), whose records are laid out in [`record`]. [`service`] puts the two together: it knows who asks and
//! whether they may. [`storage`] names what it needs of the network, and is served by `client`'s stores.
//! `docs/spec/gateway.md` has the records to the byte.

pub mod checksum;
pub mod keys;
pub mod metrics;
pub mod network;
pub mod record;
pub mod rules;
pub mod server;
pub mod service;
pub mod storage;
pub mod tls;
pub mod view;
