//! Test.

use super::*;
use crate::{keys::*, metrics::Metrics, server::*, storage::memory::Buckets};

#[tokio::test(flavor = "multi_thread")]
async fn dev_serve() {
    let Ok(port) = std::env::var("DEV_PORT") else { return };
    let dir = std::path::PathBuf::from("/tmp/s3t/keys.json");
    let _ = std::fs::remove_file(&dir);
    let seed = sealing::StorageSeed::from_bip39_seed(&[7; 64]);
    let file = KeyFile::new(&dir, &seed);
    for (id, secret, user, name, mail) in [
        ("0555b35654ad1656d804", "h7GhxuBLTrlhVUyxSPUKUV8r/2EI4ngqJxD7iBdBYLhwluN30JaT3Q==", "account", "M. Tester", "tester@ceph.com"),
        ("NOPQRSTUVWXYZABCDEFG", "nopqrstuvwxyzabcdefghijklmnabcdefghijklm", "56789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234", "john.doe", "john.doe@example.com"),
        ("HIJKLMNOPQRSTUVWXYZA", "opqrstuvwxyzabcdefghijklmnopqrstuvwxyzab", "testx$9876543210abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "testx$tenanteduser", "tenanteduser@example.com"),
        ("ABCDEFGHIJKLMNOPQRST", "abcdefghijklmnopqrstuvwxyzabcdefghijklmn", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "youruseridhere", "s3@example.com"),
    ] {
        let key = AccessKey { id: id.into(), user: user.into(), display_name: name.into(), mail: Some(mail.into()), policy: KeyPolicy::Admin, buckets: vec![], expires_ms: None };
        file.create(key, Some(secret.into())).unwrap();
    }
    let service = Service::new(Buckets::default(), file, ServiceConfig { region: "us-east-1".into(), lifecycle_day_ms: 10_000 });
    let server = Server::bind(([127, 0, 0, 1], port.parse().unwrap()).into(), service.clone(), Arc::new(Metrics::default()), ServerLimits::default(), None).await.unwrap();
    tokio::spawn(async move { loop { tokio::time::sleep(std::time::Duration::from_secs(2)).await; service.sweep().await; } });
    server.run(std::future::pending()).await;
}
