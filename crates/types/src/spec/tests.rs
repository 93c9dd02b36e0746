//! Check which idle units a specification may ask for.

use super::*;

#[test]
fn specifications_from_before_idle_units_read_and_write_as_ever() {
    let text = toml::to_string(&StorageSpec::devnet()).unwrap();
    assert!(!text.contains("unit_"));
    assert_eq!(toml::from_str::<StorageSpec>(&text).unwrap(), StorageSpec::devnet());
    let public = StorageSpec { unit_slots: 32, unit_layers: 32, lot_slots: 32_768, ..StorageSpec::devnet() };
    let text = toml::to_string(&public).unwrap();
    assert!(text.contains("unit_slots = 32") && text.contains("unit_layers = 32"));
    assert_eq!(toml::from_str::<StorageSpec>(&text).unwrap(), public);
    assert_eq!((public.unit_bytes(), public.lot_units()), (64 << 20, 1_024));
}

#[test]
fn units_fill_a_lot_and_can_be_opened_slot_by_slot() {
    let devnet = StorageSpec::devnet();
    assert!(devnet.units_fit() && StorageSpec { unit_slots: 1, ..devnet.clone() }.units_fit());
    let wrong = [
        StorageSpec { unit_slots: 0, ..devnet.clone() },
        StorageSpec { unit_slots: 3, lot_slots: 129, ..devnet.clone() },
        StorageSpec { unit_slots: 256, ..devnet.clone() },
        StorageSpec { unit_slots: 2_048, lot_slots: 4_096, ..devnet.clone() },
        StorageSpec { slot_bytes: 96 << 10, ..devnet },
    ];
    for storage in wrong {
        assert!(!storage.units_fit(), "{storage:?}");
    }
}
