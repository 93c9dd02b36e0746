//! Keep fragments on disk through crashes.
//!
//! A fragment is *staged* when it is on disk, *kept* once its segment is in the log of a volume, and gone once it is
//! released. [`Store::stage`] and [`Store::update`] return when what they did survives a crash; what was not
//! acknowledged leaves nothing behind.
//!
//! # Example
//! ```
//! use store::{Change, FileDisk, FragmentKey, NewFragment, Store, StoreConfig};
//! # use {alloy_primitives::B256, bytes::Bytes, types::Profile};
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let disk = FileDisk::open(folder.path())?;
//! let (store, recovery) = Store::open(disk, StoreConfig { capacity_bytes: 1 << 30 })?;
//! assert!(recovery.lost.is_empty());
//!
//! # let bytes = Bytes::from(vec![7; 64 << 10]);
//! let key = FragmentKey { segment: B256::repeat_byte(1), volume: 9 };
//! # let root = B256::from(*blake3::hash(&bytes).as_bytes());
//! # let (profile, path, hashes) = (Profile::Devnet, vec![], Bytes::new());
//! let fragment = NewFragment { key, seat: 3, territory: 1, profile, length: 100, root, path, expires_at_height: 50, bytes, hashes };
//! store.stage(fragment).await?;
//! store.update(vec![Change::Keep(key)]).await?;
//! let read = store.read(key, Some(0..10)).await?.expect("it was kept");
//! assert_eq!(&read.bytes[..], &[7; 10]);
//! # Ok(()) }
//! ```
//!
//! # Design
//! A fragment is one file that is never changed, named by a number that is never used twice while it matters. An index
//! ([redb](https://docs.rs/redb)) says which files count; its commit is the one moment at which anything takes effect.
//! So nothing is renamed, and recovery is one rule: a file without a record goes. Commits of concurrent callers share
//! one sync of the directory and one of the index.

mod books;
mod committer;
mod disk;
mod index;
mod record;
mod recovery;
mod store;

pub use disk::{Disk, FileDisk, FileId, Files, MemoryDisk};
pub use index::Note;
pub use record::{FragmentKey, FragmentRecord, FragmentState};
pub use recovery::Recovery;
pub use store::{
    Change, NewFragment, ReadError, ReadFragment, Reader, ScrubPage, StageError, Staged, Store, StoreConfig, StoreError,
};
