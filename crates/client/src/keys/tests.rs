use super::*;
use alloy_primitives::address;

#[test]
fn the_devnet_phrase_gives_the_accounts_that_wallets_know() {
    assert_eq!(Keys::devnet(0).address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    assert_eq!(Keys::devnet(1).address(), address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
    assert!(Keys::devnet(0).storage == Keys::devnet(1).storage);
}

#[test]
fn a_keystore_opens_with_its_password_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys").join("main.json");
    let phrase = new_phrase();
    let saved = save_keystore(&path, &phrase, "correct horse").expect("saves");
    let loaded = load_keystore(&path, "correct horse", 0).expect("opens");
    assert_eq!(saved.address(), loaded.address());
    assert!(saved.storage == loaded.storage);
    assert_eq!(keystore_address(&path).expect("reads"), saved.address());
    assert!(matches!(load_keystore(&path, "wrong", 0), Err(KeysError::Password { .. })));
    assert!(matches!(save_keystore(&path, &phrase, "again"), Err(KeysError::File { .. })), "never overwrites");
    let text = fs::read_to_string(&path).expect("reads");
    // One word alone may be there by chance: `add` in `address`.
    let words: Vec<&str> = phrase.split(' ').collect();
    assert!(words.windows(2).all(|pair| !text.contains(&pair.join(" "))));
}

#[test]
fn refuses_what_is_no_keystore() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("k.json");
    let phrase = new_phrase();
    save_keystore(&path, &phrase, "p").expect("saves");
    let text = fs::read_to_string(&path).expect("reads");
    for (from, to) in [("\"log_n\": 17", "\"log_n\": 63"), ("scrypt", "md5"), ("\"version\": 1", "\"version\": 2")] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from} is there");
        fs::write(&path, changed).expect("writes");
        assert!(matches!(load_keystore(&path, "p", 0), Err(KeysError::Malformed { .. })), "{from} -> {to}");
    }
    assert!(matches!(Keys::from_phrase("one two three", 0), Err(KeysError::Phrase(_))));
}
