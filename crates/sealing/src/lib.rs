//! Seal objects, and hand a reader access without handing over the key.
//!
//! An object is sealed under a random [`ContentKey`] in chunks of 64 KiB, each of which opens alone: [`Sealer`] and
//! [`Opener`]. The content key is wrapped for the policy key of its bucket ([`wrap`], [`unwrap`]) as an Umbral capsule,
//! which proxies can later turn towards a reader without learning anything. Index pages are sealed one by one
//! ([`seal_page`]). All keys of a user come from one [`StorageSeed`]. The formats are drawn in `docs/spec/sealing.md`
//! and pinned by `vectors/sealing.json`.
//!
//! # Example
//! ```
//! use sealing::{ContentKey, StorageSeed, open_object, seal_object, unwrap, wrap};
//!
//! let mut rng = rand::rng();
//! let policy = StorageSeed::from_bip39_seed(&[7; 64]).policy_secret(&[1; 32], 0);
//! let key = ContentKey::generate(&mut rng);
//! let sealed = seal_object(&key, b"for my eyes")?;
//! let wrapped = wrap(&policy.public(), &key, b"bucket", &mut rng);
//!
//! let key = unwrap(&policy, &wrapped, b"bucket")?;
//! assert_eq!(open_object(&key, sealed)?, b"for my eyes");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capsule;
mod cipher;
mod keys;
mod layout;
mod object;
mod page;
mod policy;
mod wrap;

pub use keys::{ContentKey, PageKey, StorageSeed};
pub use layout::{
    CHUNK_LENGTH, ChunkSpan, HEADER_LENGTH, Layout, PLAIN_LENGTH_MAX, RangeError, SEALED_CHUNK_LENGTH, TAG_LENGTH,
    TooLong, sealed_length,
};
pub use object::{OpenError, Opener, SealError, Sealer, open_object, seal_object};
pub use page::{OpenPageError, PAGE_OVERHEAD, open_page, seal_page};
pub use policy::{InvalidKey, PolicyPublic, PolicySecret};
pub use wrap::{UnwrapError, WRAPPED_KEY_LENGTH, WrappedKey, unwrap, wrap};
