use super::*;
use crate::{
    Module, Result,
    memory::{Modules, Request, World},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, address, b256, keccak256};
use proptest::prelude::*;
use std::sync::Mutex;
use types::packed;

const PLACE: Address = Address::repeat_byte(0xce);

packed! {
    struct Packed {
        flag: bool,
        owner: Address,
        count: u32,
        region: FixedBytes<6>,
    }
}

layout! {
    struct Pair {
        left: Slot<U256>,
        right: Slot<u64>,
    }
}

layout! {
    struct Root {
        first: Pair,
        nested: Mapping<Address, Mapping<u64, Pair>>,
        array: Array<Pair, 3>,
        lanes: U32Array<20>,
        list: U32List,
        text: ByteString<100>,
        set: Bitmap,
        last: Slot<Packed>,
    }
}

/// A module that runs a closure.
struct Script<F>(Mutex<F>);

impl<F: FnMut(&mut dyn Ledger) -> Result<()> + Send> Module for Script<F> {
    fn call(&self, ledger: &mut dyn Ledger, _: &[u8]) -> Result<Bytes> {
        (self.0.lock().unwrap())(ledger).map(|()| Bytes::new())
    }
}

/// Runs `script` as a module with empty storage, and gives the slots it leaves behind.
fn run(script: impl FnMut(&mut dyn Ledger) -> Result<()> + Send + 'static) -> impl Fn(U256) -> U256 {
    let modules = Modules::from([(PLACE, Box::new(Script(Mutex::new(script))) as Box<dyn Module>)]);
    let mut world = World::default();
    let request = Request { from: PLACE, to: PLACE, value: U256::ZERO, is_static: false, gas: 100_000_000 };
    world.call(&modules, &request, &[]).result.expect("the script runs");
    move |slot| world.storage.get(&(PLACE, slot)).copied().unwrap_or_default()
}

fn root() -> Root {
    Root::at(U256::ZERO)
}

fn hash(parts: &[U256]) -> U256 {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes::<32>()).collect();
    keccak256(bytes).into()
}

#[test]
fn packs_from_the_low_order_byte() {
    let value = Packed {
        flag: true,
        owner: address!("00112233445566778899aabbccddeeff00112233"),
        count: 0xa1b2c3d4,
        region: FixedBytes(*b"US-CA\0"),
    };
    let word = b256!("0055532d434100a1b2c3d400112233445566778899aabbccddeeff0011223301");
    assert_eq!(value.encode(), U256::from_be_bytes(word.0));
    assert_eq!(Packed::decode(value.encode()), value);
}

#[test]
fn fields_take_consecutive_slots() {
    assert_eq!(Root::SLOTS, 2 + 1 + 6 + 3 + 1 + 1 + 1 + 1);
    assert_eq!(root().last.position(), U256::from(15));
}

#[test]
fn nested_mapping_lies_where_solidity_puts_it() {
    let owner = Address::repeat_byte(7);
    let slots = run(move |ledger| {
        let entry = root().nested.at(ledger, &owner)?.at(ledger, &9)?;
        entry.left.set(ledger, U256::from(4))?;
        Ok(entry.right.set(ledger, 5)?)
    });
    let outer = hash(&[U256::from_be_slice(owner.as_slice()), U256::from(2)]);
    let entry = hash(&[U256::from(9), outer]);
    assert_eq!((slots(entry), slots(entry + U256::from(1))), (U256::from(4), U256::from(5)));
}

#[test]
fn arrays_lie_in_line_and_end() {
    let slots = run(|ledger| {
        root().first.right.set(ledger, 6)?;
        root().array.at(2)?.right.set(ledger, 8)?;
        assert!(root().array.at(3).is_err());
        root().lanes.store(ledger, &(1..=17).collect::<Vec<u32>>())?;
        assert_eq!(root().lanes.load(ledger, 17)?, (1..=17).collect::<Vec<u32>>());
        assert!(root().lanes.load(ledger, 21).is_err());
        assert!(root().lanes.store(ledger, &[0; 21]).is_err());
        Ok(())
    });
    assert_eq!(slots(U256::from(1)), U256::from(6));
    assert_eq!(slots(U256::from(3 + 2 * 2 + 1)), U256::from(8));
    let lanes = b256!("0000000800000007000000060000000500000004000000030000000200000001");
    assert_eq!(slots(U256::from(9)), U256::from_be_bytes(lanes.0));
    assert_eq!(slots(U256::from(11)), U256::from(17));
}

#[test]
fn bitmap_is_a_mapping_of_words() {
    let slots = run(|ledger| {
        assert!(root().set.insert(ledger, 515)?);
        assert!(!root().set.insert(ledger, 515)?);
        assert!(root().set.contains(ledger, 515)?);
        assert!(!root().set.contains(ledger, 514)?);
        Ok(())
    });
    assert_eq!(slots(hash(&[U256::from(2), U256::from(14)])), U256::from(8));
}

#[test]
fn short_and_long_strings_lie_where_solidity_puts_them() {
    let slots = run(|ledger| root().text.store(ledger, b"short"));
    let word = b256!("73686f727400000000000000000000000000000000000000000000000000000a");
    assert_eq!(slots(U256::from(13)), U256::from_be_bytes(word.0));
    let slots = run(|ledger| root().text.store(ledger, &[7; 33]));
    assert_eq!(slots(U256::from(13)), U256::from(67));
    let start = hash(&[U256::from(13)]);
    assert_eq!(slots(start), U256::from_be_bytes([7; 32]));
    assert_eq!(slots(start + U256::from(1)), U256::from(7) << 248);
}

proptest! {
    #[test]
    fn strings_come_back_and_leave_nothing_behind(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=100), 1..6)) {
        let last = texts.last().cloned().unwrap_or_default();
        let words = if last.len() > 31 { last.len().div_ceil(32) } else { 0 };
        let slots = run(move |ledger| {
            for text in &texts {
                root().text.store(ledger, text)?;
                assert_eq!(root().text.load(ledger)?, *text);
            }
            Ok(())
        });
        let start = hash(&[U256::from(13)]);
        for index in words..4 {
            prop_assert_eq!(slots(start + U256::from(index)), U256::ZERO);
        }
    }

    #[test]
    fn list_behaves_like_a_vector(operations in prop::collection::vec(any::<(bool, u32)>(), 0..60)) {
        let _ = run(move |ledger| {
            let mut model: Vec<u32> = Vec::new();
            for (push, number) in &operations {
                if *push || model.is_empty() {
                    assert_eq!(root().list.push(ledger, *number)? as usize, model.len());
                    model.push(*number);
                } else {
                    let position = *number as usize % model.len();
                    let moved = root().list.swap_remove(ledger, position as u32)?;
                    model.swap_remove(position);
                    assert_eq!(moved, model.get(position).copied());
                }
                assert_eq!(root().list.load(ledger)?, model);
            }
            assert!(root().list.swap_remove(ledger, model.len() as u32).is_err());
            Ok(())
        });
    }
}

#[test]
fn refuses_strings_that_are_too_long() {
    let _ = run(|ledger| {
        assert!(root().text.store(ledger, &[0; 101]).is_err());
        Ok(())
    });
}

#[test]
fn keys_are_padded_on_the_left() {
    assert_eq!(5u32.to_key(), B256::from(U256::from(5)));
    assert_eq!(PLACE.to_key(), PLACE.into_word());
}
