//! Keep a bucket's index: a copy-on-write B+tree of sealed pages under a root page with the newest changes.
//!
//! # Design
//! The root page carries the changes since the tree was last rewritten (the *delta*, at most
//! [`DELTA_BYTES_MAX`](tree::DELTA_BYTES_MAX)), so that a small update writes one page. When the delta is full it is
//! folded into the tree; only pages on the way to changed keys are written anew. Beside objects, the tree holds how many
//! bytes of each segment are still in use, so that a segment nobody needs is found without a search.
//!
//! Everything in here is a pure function of pages: what is not at hand is named as [`Missing`] and fetched by
//! [`store`](crate::store). The bytes are drawn in `docs/spec/index.md` and pinned by `vectors/index.json`.

pub mod codec;
pub mod entry;
pub mod page;
pub mod plan;
pub mod tree;

pub use codec::DecodeError;
pub use entry::{Content, Entry, EntryError, Extent, Part, SegmentRef};
pub use page::{Child, Inner, Item, Key, Leaf, Page, RootPage, Usage, Value};
pub use plan::{Condition, Conflict, Op, Plan, PlanError, plan};
pub use tree::{Missing, Pages};
