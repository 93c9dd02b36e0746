use super::*;

fn spec() -> ChainSpec {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../vectors/light.json")).expect("vectors");
    ChainSpec::from_toml(vectors["genesis"].as_str().expect("text")).expect("a specification")
}

#[test]
fn each_node_has_a_file_of_its_own() {
    let of = |url| path(Path::new("data"), url);
    assert_eq!(of("http://127.0.0.1:8545"), Path::new("data/chains/127.0.0.1_8545.toml"));
    assert_eq!(of("http://127.0.0.1:8545/"), of("http://127.0.0.1:8545"));
    assert_eq!(of("https://rpc.example.org/../x"), Path::new("data/chains/rpc.example.org_.._x.toml"));
}

#[test]
fn what_was_kept_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(dir.path(), "http://127.0.0.1:8545");
    assert_eq!(read(&path).unwrap(), None);
    write(&path, &spec(), "http://127.0.0.1:8545\n[evil]").unwrap();
    assert_eq!(read(&path).unwrap(), Some(spec()));
    let broken = ChainSpec { chain_id: 0, ..spec() };
    assert!(format!("{:#}", write(&path, &broken, "http://node").unwrap_err()).contains("http://node"));
    assert_eq!(read(&path).unwrap(), Some(spec()), "what was kept stays");
}
