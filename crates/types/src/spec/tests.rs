//! Check what a specification may ask for.

use super::*;

fn audited(audits: AuditSpec) -> StorageSpec {
    StorageSpec { audits: Some(audits), ..StorageSpec::devnet() }
}

#[test]
fn a_specification_without_audits_has_no_rounds() {
    let text = toml::to_string(&StorageSpec::devnet()).unwrap();
    assert!(!text.contains("audits"));
    let read: StorageSpec = toml::from_str(&text).unwrap();
    assert_eq!(read, StorageSpec::devnet());
    let with = audited(AuditSpec::devnet());
    let read: StorageSpec = toml::from_str(&toml::to_string(&with).unwrap()).unwrap();
    assert_eq!(read, with);
}

#[test]
fn audits_fit_the_sizes_they_are_for() {
    let devnet = AuditSpec::devnet();
    let repair = RepairSpec { grace_ms: 24 * 3_600_000, ..RepairSpec::default() };
    let main = StorageSpec { lot_slots: 32_768, repair, ..StorageSpec::devnet() };
    assert!(devnet.fits(&StorageSpec::devnet()) && AuditSpec::main().fits(&main));
    let wrong = [
        AuditSpec { light_divisor: 0, ..devnet.clone() },
        AuditSpec { deep_divisor: 1, ..devnet.clone() },
        AuditSpec { round_ms: 30_000, ..devnet.clone() },
        AuditSpec { samples: 0, ..devnet.clone() },
        AuditSpec { settled_per_block_max: 0, ..devnet.clone() },
        AuditSpec { burn_percent: 101, ..devnet.clone() },
        AuditSpec { silent_rounds: 0, ..devnet.clone() },
        AuditSpec { round_ms: 60_001, ..devnet.clone() },
        AuditSpec { vest_ms: 0, ..devnet },
    ];
    for audits in wrong {
        assert!(!audits.fits(&StorageSpec::devnet()), "{audits:?}");
    }
}

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
