//! View a module's storage by type, laid out as Solidity lays out the same declarations.
//!
//! [`packed!`](types::packed) declares a struct of one slot, [`layout!`] one of several. The first field
//! takes the lowest slot, and within a slot the low-order bytes. Readers without a ledger have `types::layout`.

mod array;
mod bitmap;
mod bytes;
mod ring;

pub use array::{Array, U32Array, U32List};
pub use bitmap::{Bitmap, WORD_BITS};
pub use bytes::ByteString;
pub use ring::Ring;

use crate::{Fault, Ledger};
use alloy_primitives::U256;
use std::marker::PhantomData;
use types::layout::offset;
pub use types::layout::word::{MapKey, Word};

/// Storage that begins at a slot, and the number of slots it takes there.
pub trait Layout {
    /// Slots taken, not counting what is found by hashing.
    const SLOTS: u64;

    /// The storage that begins at `base`.
    fn at(base: U256) -> Self;
}

/// One slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot<T> {
    slot: U256,
    value: PhantomData<T>,
}

impl<T: Word> Slot<T> {
    /// Reads the value.
    pub fn get(&self, ledger: &mut dyn Ledger) -> Result<T, Fault> {
        ledger.sload(self.slot).map(T::decode)
    }

    /// Writes the value.
    pub fn set(&self, ledger: &mut dyn Ledger, value: T) -> Result<(), Fault> {
        ledger.sstore(self.slot, value.encode())
    }
}

impl<T> Slot<T> {
    /// Where it is.
    pub fn position(&self) -> U256 {
        self.slot
    }
}

impl<T> Layout for Slot<T> {
    const SLOTS: u64 = 1;

    fn at(slot: U256) -> Self {
        Self { slot, value: PhantomData }
    }
}

/// `mapping(K => V)`; `V` may be a mapping itself.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<K, V> {
    slot: U256,
    entry: PhantomData<(K, V)>,
}

impl<K: MapKey, V: Layout> Mapping<K, V> {
    /// The storage of one entry; pays for the hash that locates it.
    pub fn at(&self, ledger: &mut dyn Ledger, key: &K) -> Result<V, Fault> {
        let preimage = [key.to_key().0, self.slot.to_be_bytes::<32>()];
        Ok(V::at(ledger.keccak256(preimage.as_flattened())?.into()))
    }
}

#[cfg(test)]
impl<K, V> Mapping<K, V> {
    /// The slot that its entries are hashed with.
    pub fn position(&self) -> U256 {
        self.slot
    }
}

impl<K, V> Layout for Mapping<K, V> {
    const SLOTS: u64 = 1;

    fn at(slot: U256) -> Self {
        Self { slot, entry: PhantomData }
    }
}

/// Declares storage of several slots: fields take consecutive ones.
macro_rules! layout {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl $crate::storage::Layout for $name {
            const SLOTS: u64 = 0 $(+ <$type as $crate::storage::Layout>::SLOTS)*;

            fn at(base: ::alloy_primitives::U256) -> Self {
                let mut cursor = $crate::storage::Cursor::new(base);
                Self { $($field: cursor.take(),)* }
            }
        }
    };
}

pub(crate) use layout;

/// Hands out consecutive slots.
#[derive(Debug)]
pub struct Cursor(U256);

impl Cursor {
    /// Starts at `base`.
    pub fn new(base: U256) -> Self {
        Self(base)
    }

    /// Storage at the next free slot.
    pub fn take<L: Layout>(&mut self) -> L {
        let layout = L::at(self.0);
        self.0 = offset(self.0, L::SLOTS);
        layout
    }
}

#[cfg(test)]
mod tests;
