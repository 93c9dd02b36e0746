//! Kill and restart validators, the whole network, and what holds it together.

use crate::harness::{Devnet, is_running};
use std::fs;

/// An account that no devnet funds.
const STRANGER: &str = "0x00000000000000000000000000000000000000aa";

fn coins(devnet: &Devnet) -> String {
    devnet.must(&["account", "balance", STRANGER, "--json"]).json()["coins"].as_str().unwrap().to_string()
}

#[test]
fn validators_die_and_nothing_is_lost_slow() {
    let mut devnet = Devnet::start(4, 0);
    devnet.must(&["account", "send", STRANGER, "1.5"]);
    assert_eq!(coins(&devnet), "1.5");
    one_validator_dies_and_catches_up(&devnet);
    all_validators_die_at_once(&devnet);
    the_supervisor_dies(&mut devnet);
    the_network_stops_and_goes_on(&mut devnet);
}

fn one_validator_dies_and_catches_up(devnet: &Devnet) {
    let seen = devnet.height("validator-0");
    devnet.kill("validator-0");
    assert_eq!(devnet.role("validator-0")["pid"], serde_json::Value::Null);
    // One that lags behind would still offer the nonce that was used.
    devnet.until("the others are as far", || (devnet.height("validator-1") >= seen).then_some(()));
    // The others go on, and commands find one of them.
    devnet.must(&["account", "send", STRANGER, "1"]);
    let height = devnet.height("validator-1");
    devnet.start_role("validator-0");
    devnet.until("the validator catches up", || (devnet.height("validator-0") > height).then_some(()));
    assert!(devnet.run(&["devnet", "start", "validator-0"]).complaint().contains("runs already"));
    assert!(devnet.run(&["devnet", "kill", "validator-9"]).complaint().contains("no role validator-9"));
}

fn all_validators_die_at_once(devnet: &Devnet) {
    let height = devnet.height("validator-0");
    let names = devnet.roles("validator");
    for name in &names {
        devnet.kill(name);
    }
    assert!(devnet.run(&["network", "status"]).complaint().contains("--rpc"));
    for name in &names {
        devnet.start_role(name);
    }
    for name in &names {
        devnet.until("the chain goes on", || (devnet.height(name) > height).then_some(()));
    }
    assert_eq!(coins(devnet), "2.5");
}

fn the_supervisor_dies(devnet: &mut Devnet) {
    let roles = devnet.pids();
    assert_eq!(roles.len(), 4);
    devnet.kill_supervisor();
    devnet.until("no role is left behind", || (!roles.iter().any(|&pid| is_running(pid))).then_some(()));
    let status = devnet.must(&["devnet", "status", "--json"]).json();
    assert_eq!((&status["ready"], &status["roles"][0]["pid"]), (&false.into(), &serde_json::Value::Null));
    devnet.resume(&[]);
    assert_eq!(coins(devnet), "2.5");
}

fn the_network_stops_and_goes_on(devnet: &mut Devnet) {
    let height = devnet.height("validator-0");
    let url = devnet.description().unwrap()["rpc_url"].clone();
    let roles = devnet.pids();
    devnet.stop();
    assert!(!roles.iter().any(|&pid| is_running(pid)), "a role outlived the network");
    assert!(devnet.run(&["devnet", "stop"]).complaint().contains("is not running"));
    let refused = devnet.run(&["devnet", "--validators", "5"]);
    assert!(refused.complaint().contains("--fresh"), "{refused:?}");
    // In the background this time.
    let ready = devnet.must(&["devnet", "--detach", "--json"]).json();
    assert_eq!((&ready["ready"], &ready["rpc_url"]), (&true.into(), &url));
    assert!(devnet.height("validator-0") > height);
    assert_eq!(coins(devnet), "2.5");
    devnet.must(&["devnet", "stop"]);
    devnet.must(&["devnet", "--fresh", "--validators", "1", "--miners", "0", "--detach"]);
    assert_eq!(coins(devnet), "0");
    devnet.must(&["devnet", "stop"]);
}

#[test]
fn accounts_live_in_encrypted_keystores_slow() {
    let devnet = Devnet::start(1, 0);
    let home = &devnet.home;
    fs::write(home.path().join("secret"), "correct horse\n").unwrap();
    fs::write(home.path().join("wrong"), "battery staple\n").unwrap();
    let made = home.run(&["account", "new", "--name", "mine", "--passphrase-file", "secret", "--json"]).json();
    let (address, keystore) = (made["address"].as_str().unwrap(), made["keystore"].as_str().unwrap());
    let listed = home.run(&["account", "list", "--json"]).json();
    assert_eq!((&listed[0]["name"], &listed[0]["address"]), (&"mine".into(), &made["address"]));

    devnet.must(&["account", "send", address, "2"]);
    let spend = |passphrase: &str| {
        devnet.run(&["--keystore", keystore, "--passphrase-file", passphrase, "account", "send", STRANGER, "0.5"])
    };
    assert!(spend("wrong").complaint().contains("password"));
    assert!(spend("secret").ok);
    assert_eq!(coins(&devnet), "0.5");
    let poor = devnet.run(&["--keystore", keystore, "--passphrase-file", "secret", "account", "send", STRANGER, "100"]);
    assert!(poor.complaint().contains("send it some first"), "{poor:?}");
    let asked = devnet.run(&["--keystore", keystore, "account", "send", STRANGER, "1"]);
    assert!(asked.complaint().contains("--passphrase-file"), "{asked:?}");
}
