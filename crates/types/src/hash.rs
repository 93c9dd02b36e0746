//! Hash protocol objects, each under a domain of its own.

use alloy_primitives::B256;

/// The domains of protocol hashes: `derive_key` contexts of BLAKE3, with a version in each.
pub mod domain {
    /// Leaf of a [`merkle`](crate::merkle) tree.
    pub const MERKLE_LEAF: &str = "cess merkle leaf v1";
    /// Inner node of a [`merkle`](crate::merkle) tree.
    pub const MERKLE_NODE: &str = "cess merkle node v1";
    /// Padding leaf of a [`merkle`](crate::merkle) tree.
    pub const MERKLE_EMPTY: &str = "cess merkle empty v1";
    /// Identity of a segment.
    pub const SEGMENT: &str = "cess segment v1";
    /// Leaf of a volume's stripe log.
    pub const STRIPE: &str = "cess stripe v1";
    /// Message that a member signs when it holds a batch.
    pub const RECEIPT: &str = "cess receipt v1";
    /// Message that proves possession of a receipt key.
    pub const RECEIPT_KEY: &str = "cess receipt key v1";
    /// Identity of a bucket.
    pub const BUCKET: &str = "cess bucket v1";
    /// Randomness of a volume's formation.
    pub const FORMATION: &str = "cess formation v1";
    /// Randomness of the replacement of members.
    pub const REPLACEMENT: &str = "cess replacement v1";
    /// Randomness of the time before a new lot may be drawn.
    pub const ELIGIBILITY: &str = "cess eligibility v1";
    /// Message that a newcomer signs for who helped it.
    pub const HELP: &str = "cess help v1";
    /// Message that members sign about a fragment that never was.
    pub const GHOST: &str = "cess ghost v1";
}

/// Hashes the concatenation of `parts` under `domain`.
pub fn derive(domain: &str, parts: &[&[u8]]) -> B256 {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(part);
    }
    B256::from(*hasher.finalize().as_bytes())
}
