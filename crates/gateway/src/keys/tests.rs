//! Try access keys: make, open, remove, tamper.

use super::*;
use tempfile::TempDir;

fn key(user: &str) -> AccessKey {
    AccessKey {
        id: String::new(),
        user: user.into(),
        display_name: user.into(),
        mail: None,
        policy: KeyPolicy::ReadOnly,
        buckets: vec!["photos".into()],
        expires_ms: Some(5),
    }
}

#[test]
fn keys_are_kept_sealed_and_opened_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    let seed = StorageSeed::from_bip39_seed(&[1; 64]);
    let file = KeyFile::new(&path, &seed);
    assert!(file.open().unwrap().is_empty());
    let (made, secret) = file.create(key("alice"), None).unwrap();
    assert_eq!((made.id.len(), secret.expose().len()), (ID_CHARACTERS, 40));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&made.id) && !text.contains(secret.expose()));
    let opened = file.open().unwrap();
    let (found, again) = opened.get(&made.id).unwrap();
    assert_eq!((found, again.expose()), (&made, secret.expose()));
    assert_eq!(opened.display_name("alice"), Some("alice".into()));
    assert!(matches!(file.create(made.clone(), None), Err(KeyError::Exists { .. })));
    file.remove(&made.id).unwrap();
    assert!(matches!(file.remove(&made.id), Err(KeyError::Unknown { .. })));
}

#[test]
fn nobody_gives_a_key_more_rights_by_hand() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    let file = KeyFile::new(&path, &StorageSeed::from_bip39_seed(&[1; 64]));
    file.create(key("alice"), None).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("read-only", "admin")).unwrap();
    assert!(matches!(file.open(), Err(KeyError::Sealed { .. })));
    fs::write(&path, &text).unwrap();
    let other = KeyFile::new(&path, &StorageSeed::from_bip39_seed(&[2; 64]));
    assert!(matches!(other.open(), Err(KeyError::Sealed { .. })));
    fs::write(&path, "{}").unwrap();
    assert!(matches!(file.open(), Err(KeyError::Malformed { .. })));
}
