//! Encode what a miner notes of its lots and idle units.
//!
//! # Format
//! ```text
//! "i" lot (4)           → 1 (1) ‖ beacon (32) ‖ slots given up (4)
//! "u" lot (4) unit (4)  → 1 (1) ‖ unit root (32) ‖ chaining values of its slots (32 each)
//! ```
//! All integers are big endian.

use crate::{
    idle::UnitPlace,
    notes::{numbered, put},
};
use alloy_primitives::B256;
use proofs::idle::UnitHashes;
use std::ops::Range;
use store::Change;

const VERSION: u8 = 1;

/// What is noted of a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LotRecord {
    /// What its units' keys come from.
    pub(crate) beacon: B256,
    /// So many of its first slots were given up.
    pub(crate) given_up: u32,
}

pub(crate) fn lot_keys() -> Range<Vec<u8>> {
    vec![b'i']..vec![b'i' + 1]
}

pub(crate) fn unit_keys() -> Range<Vec<u8>> {
    vec![b'u']..vec![b'u' + 1]
}

pub(crate) fn unit_key(place: UnitPlace) -> Vec<u8> {
    numbered(b'u', &[place.lot, place.unit])
}

pub(crate) fn put_lot(lot: u32, record: &LotRecord) -> Change {
    let value = [&[VERSION][..], record.beacon.as_slice(), &record.given_up.to_be_bytes()].concat();
    put(numbered(b'i', &[lot]), value)
}

pub(crate) fn remove_lot(lot: u32) -> Change {
    Change::Note { key: numbered(b'i', &[lot]), value: None }
}

pub(crate) fn read_lot(key: &[u8], value: &[u8]) -> Option<(u32, LotRecord)> {
    let lot = u32::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (version, rest) = value.split_first()?;
    let (beacon, given_up) = rest.split_first_chunk::<32>()?;
    let given_up = u32::from_be_bytes(given_up.try_into().ok()?);
    (*version == VERSION).then_some((lot, LotRecord { beacon: B256::from(*beacon), given_up }))
}

pub(crate) fn put_unit(place: UnitPlace, hashes: &UnitHashes) -> Change {
    let mut value = vec![VERSION];
    value.extend(hashes.root);
    hashes.slots.iter().for_each(|slot| value.extend(slot));
    put(unit_key(place), value)
}

pub(crate) fn remove_unit(place: UnitPlace) -> Change {
    Change::Note { key: unit_key(place), value: None }
}

pub(crate) fn read_place(key: &[u8]) -> Option<UnitPlace> {
    let (lot, unit) = key.get(1..)?.split_first_chunk::<4>()?;
    Some(UnitPlace { lot: u32::from_be_bytes(*lot), unit: u32::from_be_bytes(unit.try_into().ok()?) })
}

/// The hashes of a unit of `slots` slots.
pub(crate) fn read_unit(value: &[u8], slots: u32) -> Option<UnitHashes> {
    let (version, hashes) = value.split_first()?;
    let (hashes, []) = hashes.as_chunks::<32>() else { return None };
    let (root, slot_values) = hashes.split_first()?;
    let fits = *version == VERSION && slot_values.len() == slots as usize;
    fits.then(|| UnitHashes { root: B256::from(*root), slots: slot_values.iter().map(B256::from).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_and_value(change: Change) -> (Vec<u8>, Vec<u8>) {
        match change {
            Change::Note { key, value: Some(value) } => (key, value),
            other => panic!("{other:?} puts no note"),
        }
    }

    #[test]
    fn notes_round_trip_and_damaged_ones_are_refused() {
        let record = LotRecord { beacon: B256::repeat_byte(7), given_up: 300 };
        let (key, value) = key_and_value(put_lot(9, &record));
        assert!(lot_keys().contains(&key));
        assert_eq!(read_lot(&key, &value), Some((9, record)));
        assert_eq!((read_lot(&key[1..], &value), read_lot(&key, &value[..36])), (None, None));
        assert_eq!(read_lot(&key, &[2; 37]), None);

        let place = UnitPlace { lot: 1, unit: 1 << 20 };
        let hashes = UnitHashes { root: B256::repeat_byte(1), slots: vec![B256::repeat_byte(2); 4] };
        let (key, value) = key_and_value(put_unit(place, &hashes));
        assert!(unit_keys().contains(&key));
        assert_eq!((read_place(&key), read_unit(&value, 4)), (Some(place), Some(hashes)));
        assert_eq!((read_place(&key[..8]), read_unit(&value, 5), read_unit(&value[..160], 4)), (None, None, None));
        assert_eq!((read_unit(&[], 4), read_unit(&[1; 1], 0)), (None, None));
    }
}
