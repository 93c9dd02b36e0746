//! View a module's storage by type, laid out as Solidity lays out the same declarations.
//!
//! [`packed!`] declares a struct of one slot, [`layout!`] one of several. The first field
//! takes the lowest slot, and within a slot the low-order bytes.

mod array;
mod bitmap;
mod bytes;
mod ring;
mod value;

pub use array::{Array, U32Array, U32List};
pub use bitmap::Bitmap;
pub use bytes::ByteString;
pub use ring::Ring;
pub use value::{MapKey, Scalar, Word};

use crate::{Fault, Ledger};
use alloy_primitives::U256;
use std::marker::PhantomData;

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

/// The slot `index` after `base`.
fn offset(base: U256, index: u64) -> U256 {
    // Solidity's slot numbers wrap as well.
    base.wrapping_add(U256::from(index))
}

/// Declares a struct that fits one slot; the first field takes the low-order bytes, as in Solidity.
macro_rules! packed {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name { $($(#[$doc])* pub $field: $type,)* }

        const _: () = assert!(0 $(+ <$type as $crate::storage::Scalar>::BYTES)* <= 32, "wider than a slot");

        impl $crate::storage::Word for $name {
            fn encode(self) -> ::alloy_primitives::U256 {
                let mut writer = $crate::storage::Writer::default();
                $(writer.put(self.$field);)*
                writer.finish()
            }

            fn decode(word: ::alloy_primitives::U256) -> Self {
                let mut reader = $crate::storage::Reader::new(word);
                Self { $($field: reader.take(),)* }
            }
        }
    };
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

pub(crate) use {layout, packed};

/// Packs scalars into a word, from the low-order byte up.
#[derive(Debug, Default)]
pub struct Writer {
    word: U256,
    bits: usize,
}

impl Writer {
    /// Puts `value` above what is there.
    pub fn put<T: Scalar>(&mut self, value: T) {
        self.word |= value.to_word().wrapping_shl(self.bits);
        self.bits = self.bits.saturating_add(T::BITS);
    }

    /// The word.
    pub fn finish(self) -> U256 {
        self.word
    }
}

/// Takes scalars out of a word, from the low-order byte up.
#[derive(Debug)]
pub struct Reader(U256);

impl Reader {
    /// Starts at the low-order byte of `word`.
    pub fn new(word: U256) -> Self {
        Self(word)
    }

    /// The next scalar.
    pub fn take<T: Scalar>(&mut self) -> T {
        let value = T::from_word(self.0);
        self.0 = self.0.wrapping_shr(T::BITS);
        value
    }
}

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
