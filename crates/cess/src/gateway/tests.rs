//! Check a gateway's configuration, and write its example.

use super::{
    file::{CacheFile, Tls},
    *,
};
use crate::config::example;

#[test]
fn example_is_as_documented() {
    let complete = GatewayFile {
        nodes: vec!["http://127.0.0.1:8545".into(), "https://rpc.example.org".into()],
        genesis: Some("genesis.toml".into()),
        data: "data".into(),
        listen: "127.0.0.1:9000".parse().unwrap(),
        metrics: "127.0.0.1:9001".parse().unwrap(),
        region: "us-east-1".into(),
        territory: Some(7),
        connections_max: 1024,
        lifecycle_day_s: 86_400,
        log: config::log_level(),
        cache: CacheFile::default(),
        tls: Some(Tls { certificate: "certificate.pem".into(), key: "key.pem".into() }),
        owner: Owner::Keystore { file: "owner.json".into(), passphrase_file: "passphrase".into() },
    };
    example::write(
        "gateway.toml",
        "Configuration of `cess gateway`. Relative paths count from this file's folder.",
        &complete,
        &[
            ("nodes", "Nodes to ask, by the URLs of their RPC; the next one is asked when one does not answer."),
            (
                "genesis",
                "Optional: the chain's specification, whose committee is believed. Without it, what the node that \
                 answers first says is kept in the data folder and believed from then on.",
            ),
            (
                "data",
                "Folder of everything it keeps: sealed access keys, and caches of the buckets' indexes and of what was read.",
            ),
            ("listen", "Where it listens for S3."),
            (
                "metrics",
                "Where it shows metrics, for Prometheus (/metrics) and `cess gateway status`. Keep it private.",
            ),
            ("region", "Optional: the region that it says it is."),
            ("territory", "Optional: the territory that pays for new buckets; that with the most free space without."),
            ("connections_max", "Optional: most connections at once; more wait."),
            ("cache.memory_mb", "Optional: what is kept in memory of what was read, sealed; in MB."),
            ("cache.disk_mb", "The same on disk, in the data folder; 0 for none, otherwise at least 34."),
            ("log", "Optional: error, warn, info, debug or trace, by crate too."),
            ("tls.certificate", "Optional, if no proxy does TLS: the certificate with those above it, PEM."),
            ("tls.key", "Its key, PEM. Keep it private (mode 0600)."),
            ("owner.keystore.file", "Keystore of the account whose buckets are served (`cess account new`)."),
            ("owner.keystore.passphrase_file", "File with its passphrase. Keep it private (mode 0600)."),
        ],
    );
}

#[test]
fn a_devnets_file_is_short() {
    let text = "nodes = ['http://127.0.0.1:1']\ndata = 'data'\nlisten = '127.0.0.1:2'\nmetrics = '127.0.0.1:3'\n\
                [owner]\ndevnet = 0\n";
    let file: GatewayFile = toml::from_str(text).unwrap();
    assert_eq!((file.owner.clone(), file.lifecycle_day_s), (Owner::Devnet(0), 86_400));
    assert!(file.billing().purchase.is_some());
    assert_eq!(file.cache, CacheFile { memory_mb: 256, disk_mb: 4096 });
}
