//! Check a validator's configuration, and write its example.

use super::*;
use crate::config::example;

fn complete() -> ValidatorFile {
    ValidatorFile {
        genesis: "genesis.toml".into(),
        data: "data".into(),
        key_file: "key".into(),
        share_file: Some("share".into()),
        beneficiary: Some(Address::repeat_byte(0xfe)),
        listen: "0.0.0.0:26700".parse().unwrap(),
        history_blocks: history_blocks(),
        log: config::log_level(),
        rpc: RpcConfig::default(),
    }
}

#[test]
fn example_is_as_documented() {
    let title = "Configuration of `cess validator`. Relative paths count from this file's folder.";
    example::write(
        "validator.toml",
        title,
        &complete(),
        &[
            ("genesis", "The chain's specification; every validator has the same."),
            ("data", "Folder of everything it keeps."),
            ("key_file", "The Ed25519 seed of its identity, 64 hexadecimal digits. Keep it private (mode 0600)."),
            (
                "share_file",
                "Optional: its share from the chain's first ceremony, hexadecimal. Taken into `data` at the first start, and deleted.",
            ),
            ("beneficiary", "Who gets the priority fees of its blocks; those in the specification may leave it out."),
            ("listen", "Where the committee reaches it, TCP. The specification names its public address."),
            ("history_blocks", "Optional: recent blocks whose state `eth_call` can read."),
            ("log", "Optional: error, warn, info, debug or trace, by crate too."),
            ("rpc.address", "Where wallets and tools reach it: HTTP and WebSocket on one port."),
            ("rpc.connections_max", "Most connections at a time."),
            ("rpc.request_bytes_max", "Longest request, or batch of requests."),
            ("rpc.response_bytes_max", "Longest response, or batch of responses."),
            ("rpc.batch_max", "Most requests of a batch."),
            ("rpc.subscriptions_per_connection_max", "Most subscriptions of a WebSocket connection."),
            ("rpc.filters_max", "Most filters of all clients together."),
            ("rpc.filter_expiry_ms", "How long a filter lives without being asked."),
            ("rpc.calls_max", "Most calls and estimates that run at a time; others queue."),
            ("rpc.waits_max", "Most clients that wait for a block or a receipt."),
        ],
    );
}

#[test]
fn optional_settings_have_defaults() {
    let text = "genesis = 'genesis.toml'\ndata = 'data'\nkey_file = 'key'\nlisten = '0.0.0.0:26700'\n";
    let complete = ValidatorFile { share_file: None, beneficiary: None, ..complete() };
    assert_eq!(toml::from_str::<ValidatorFile>(text).unwrap(), complete);
}

#[test]
fn unknown_settings_are_refused_by_name_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let text = toml::to_string(&complete()).unwrap().replace("history_blocks", "histroy_blocks");
    std::fs::write(&path, text).unwrap();
    let error = crate::print::one_line(&config::read::<ValidatorFile>(&path).unwrap_err());
    assert!(error.contains("histroy_blocks") && error.contains("config.toml:7"), "{error}");
}

#[test]
fn what_is_no_specification_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genesis.toml"), "name = 1").unwrap();
    let error = resolve(&complete(), &dir.path().join("config.toml")).err().unwrap();
    assert!(crate::print::one_line(&error).contains("genesis.toml"), "{error:#}");
}
