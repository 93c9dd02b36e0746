//! Encode values as words, packed as Solidity packs them.

use alloy_primitives::{Address, B256, FixedBytes, U256};

/// A value type: at most 32 bytes, stored as the low-order bytes of a word.
pub trait Scalar: Copy {
    /// Width.
    const BYTES: usize;
    /// Width.
    const BITS: usize = Self::BYTES.saturating_mul(8);

    /// The word with this value in its low-order bytes and zeros above.
    fn to_word(self) -> U256;
    /// Reads the low-order `BYTES` bytes; the others may be anything.
    fn from_word(word: U256) -> Self;
}

/// A value that fills one slot: a [`Scalar`] by itself, or a struct declared with `packed!`.
pub trait Word: Copy {
    /// The slot's content.
    fn encode(self) -> U256;
    /// Reads the slot's content.
    fn decode(word: U256) -> Self;
}

/// A key of a mapping.
pub trait MapKey {
    /// The 32 bytes that Solidity hashes.
    fn to_key(&self) -> B256;
}

macro_rules! scalars {
    ($($type:ty, $bytes:literal, $to:expr, $from:expr;)*) => {$(
        impl Scalar for $type {
            const BYTES: usize = $bytes;

            fn to_word(self) -> U256 {
                ($to)(self)
            }

            fn from_word(word: U256) -> Self {
                ($from)(word)
            }
        }

        impl Word for $type {
            fn encode(self) -> U256 {
                Scalar::to_word(self)
            }

            fn decode(word: U256) -> Self {
                <Self as Scalar>::from_word(word)
            }
        }
    )*};
}

scalars! {
    bool, 1, U256::from, |word: U256| word.byte(0) != 0;
    u8, 1, U256::from, |word: U256| word.byte(0);
    u16, 2, U256::from, |word: U256| word.wrapping_to();
    u32, 4, U256::from, |word: U256| word.wrapping_to();
    u64, 8, U256::from, |word: U256| word.wrapping_to();
    u128, 16, U256::from, |word: U256| word.wrapping_to();
    U256, 32, |value| value, |word| word;
    B256, 32, |value: B256| value.into(), |word: U256| word.into();
    Address, 20, |value: Address| value.into_word().into(), |word: U256| Address::from_word(B256::from(word));
}

/// `bytes6`: like every `bytesN` in Solidity's storage, it takes the low-order bytes of its place.
impl Scalar for FixedBytes<6> {
    const BYTES: usize = 6;

    fn to_word(self) -> U256 {
        U256::from_be_slice(self.as_slice())
    }

    fn from_word(word: U256) -> Self {
        let bytes = word.to_be_bytes::<32>();
        Self(bytes.last_chunk().copied().unwrap_or_default())
    }
}

macro_rules! keys {
    ($($type:ty),*) => {$(
        impl MapKey for $type {
            fn to_key(&self) -> B256 {
                Scalar::to_word(*self).into()
            }
        }
    )*};
}

// A `bytesN` below 32 would be padded on the right as a key: it must not use `to_word`.
keys!(u8, u16, u32, u64, U256, B256, Address);

/// Declares a struct that fits one slot; the first field takes the low-order bytes, as in Solidity.
#[macro_export]
macro_rules! packed {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name { $($(#[$doc])* pub $field: $type,)* }

        const _: () = assert!(0 $(+ <$type as $crate::layout::word::Scalar>::BYTES)* <= 32, "wider than a slot");

        impl $crate::layout::word::Word for $name {
            fn encode(self) -> ::alloy_primitives::U256 {
                let mut writer = $crate::layout::word::Writer::default();
                $(writer.put(self.$field);)*
                writer.finish()
            }

            fn decode(word: ::alloy_primitives::U256) -> Self {
                let mut reader = $crate::layout::word::Reader::new(word);
                Self { $($field: reader.take(),)* }
            }
        }
    };
}

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
