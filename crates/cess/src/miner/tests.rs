//! Check a miner's configuration, and write its example.

use super::*;
use crate::config::example;
use std::num::NonZeroUsize;

fn complete() -> MinerFile {
    MinerFile {
        nodes: vec!["http://127.0.0.1:8545".into(), "https://rpc.example.org".into()],
        genesis: Some("genesis.toml".into()),
        data: "data".into(),
        listen: "0.0.0.0:26800".parse().unwrap(),
        tcp: true,
        announce: vec!["203.0.113.7:26800".parse().unwrap()],
        relay: Some("https://relay.example.org".into()),
        region: "DE-BE".into(),
        network: 64_512,
        lots: 16,
        plot_threads: Some(2),
        plot_lots: Some(16),
        rebuild_stripes: NonZeroUsize::new(4),
        help_stripes: Some(2),
        log: config::log_level(),
        operator: Operator::Keystore { file: "operator.json".into(), passphrase_file: "passphrase".into() },
    }
}

#[test]
fn example_is_as_documented() {
    example::write(
        "miner.toml",
        "Configuration of `cess miner`. Relative paths count from this file's folder.",
        &complete(),
        &[
            ("nodes", "Nodes to ask, by the URLs of their RPC; the next one is asked when one does not answer."),
            (
                "genesis",
                "Optional: the chain's specification, whose committee is believed. Without it, what the node that \
                 answers first says is kept in the data folder and believed from then on.",
            ),
            (
                "data",
                "Folder of everything it keeps: fragments, their index, and miner.key, the secret of its own keys.",
            ),
            ("listen", "Where it listens for peers, UDP and TCP."),
            (
                "tcp",
                "Optional: whether peers reach the same addresses over TCP too, which costs half the work per byte.",
            ),
            ("announce", "Optional: where peers reach it, if that is not where it listens. At most four."),
            ("relay", "Optional: relay through which peers reach it when they cannot directly."),
            ("region", "Region it declares: ISO 3166-1 or 3166-2."),
            (
                "network",
                "Optional: network it declares, by the number of its autonomous system (ASN). Policies that cap the \
                 members of a network count all miners without one as one network.",
            ),
            ("lots", "Lots to pledge in all; their collateral is taken from the operator's account."),
            (
                "plot_threads",
                "Optional: cores that fill pledged space with idle content, behind all else; half of them without.",
            ),
            ("plot_lots", "Optional: lots to fill with idle content at most; all that are pledged without."),
            (
                "rebuild_stripes",
                "Optional: stripes of its own that it rebuilds at the same time; each takes the memory of a segment with its \
                 parity. 4 without.",
            ),
            (
                "help_stripes",
                "Optional: stripes that it rebuilds for newcomers at the same time, for pay; 0 helps nobody. 2 without.",
            ),
            ("log", "Optional: error, warn, info, debug or trace, by crate too."),
            ("operator.keystore.file", "Keystore of the account that registers the miner (`cess account new`)."),
            ("operator.keystore.passphrase_file", "File with its passphrase. Keep it private (mode 0600)."),
        ],
    );
}

#[test]
fn a_devnets_file_is_short() {
    let text = "nodes = ['http://127.0.0.1:1']\ndata = 'data'\nlisten = '127.0.0.1:2'\nregion = 'DE'\nlots = 16\n\
                [operator]\nkey_file = 'operator.key'\n";
    let file: MinerFile = toml::from_str(text).unwrap();
    assert_eq!(file.operator, Operator::KeyFile("operator.key".into()));
    assert!(file.tcp);
    assert_eq!(file.capacity_bytes(&types::spec::StorageSpec::devnet()), 5 << 30);
}

#[test]
fn a_secret_is_made_once_and_stays_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("miner.key");
    let made = secret(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(*secret(&path).unwrap(), *made);
    fs::write(&path, "short").unwrap();
    assert!(format!("{:#}", secret(&path).unwrap_err()).contains("miner.key"));
}
