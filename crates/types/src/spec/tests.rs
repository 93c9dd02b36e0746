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
        AuditSpec { unit_slots: 3, ..devnet.clone() },
        AuditSpec { unit_slots: 256, ..devnet.clone() },
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
