//! Put, get and share objects, and check what the chain says.
//!
//! A [`Client`] has a user's [`Keys`], a way to the chain ([`ChainApi`]) and a way to the miners (`transport`). Objects
//! live in buckets, by keys; all that leaves this crate is sealed. `docs/spec/client.md` says how objects travel,
//! `docs/spec/index.md` how a bucket finds them.
//!
//! # Example
//! ```no_run
//! # async fn example(transport: std::sync::Arc<dyn transport::Transport>) -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Client, ClientConfig, Keys, PutOptions, Source, chain::RpcChain};
//!
//! let chain = std::sync::Arc::new(RpcChain::new("http://127.0.0.1:8545")?);
//! let client = Client::new(chain, transport, Keys::devnet(0), ClientConfig::default()).await?;
//! let territory = client.buy_territory(1 << 30, 30).await?;
//! client.create_bucket("photos", territory).await?;
//! client.put("photos", "2026/cat.jpg", Source::File("cat.jpg".into()), PutOptions::default()).await?;
//! let first = client.read("photos", "2026/cat.jpg", Some(0..1024)).await?;
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod audits;
mod body;
mod bucket;
pub mod chain;
mod challenge;
mod client;
mod config;
mod directory;
pub mod evidence;
mod get;
pub mod index;
mod journal;
pub mod keys;
mod list;
mod object;
pub mod pages;
pub mod peers;
pub mod policy;
mod progress;
mod put;
mod read;
mod release;
pub mod store;
mod territory;
mod update;
mod write;

pub use account::{SendError, Sender};
pub use body::Body;
pub use bucket::{BucketError, BucketSummary, PUBLIC_POLICY};
pub use chain::{ChainApi, ChainError};
pub use challenge::{Challenge, ChallengeError, ChallengeState};
pub use client::Client;
pub use config::{ClientConfig, ReadConfig, StoreConfig, WriteConfig};
pub use evidence::{EvidenceError, Examined};
pub use get::{GetError, GetOptions, GetReport};
pub use index::{Condition, Conflict, Entry, Key};
pub use keys::{Keys, KeysError};
pub use list::{ListError, Listing, Object};
pub use policy::{NewPolicy, PolicyError, PolicySummary, Region, RegionError};
pub use progress::{Event, Progress};
pub use put::{PutError, PutOptions, PutReport, Source};
pub use read::{ReadError, code};
pub use release::ReleaseError;
pub use store::{ChangeError, RepackBudget, RepackError, Repacked, Snapshot, Store, View, ViewError};
pub use territory::{Territory, TerritoryError, billed_bytes, user_bytes};
pub use update::UpdateError;
pub use write::WriteError;
