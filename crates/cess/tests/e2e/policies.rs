//! Choose where data is kept, on a network whose miners are in four regions and three networks.

use crate::harness::{Devnet, bytes};
use serde_json::Value;
use std::fs;

/// Three of the twelve miners are in each of DE, FR, US and JP, and four in each network.
#[test]
fn buckets_are_kept_where_their_policies_say_slow() {
    let devnet = Devnet::start(1, 12);
    let refused = devnet.run(&["policy", "create", "--allow", "DE,FR"]);
    let complaint = refused.complaint();
    assert!(complaint.contains("needs 8 operators in DE, FR; 6 have lots there"), "{complaint}");
    assert!(complaint.contains("JP 3"), "{complaint}");
    let capped = devnet.run(&["policy", "check", "--cap-network", "2"]);
    assert!(capped.complaint().contains("and 2 per network 6 of 8 seats find a miner"), "{capped:?}");

    let rule = ["--allow", "DE,FR,US", "--cap-region", "3", "--json"];
    let check = devnet.must(&[&["policy", "check"], &rule[..]].concat()).json();
    assert_eq!((&check["id"], &check["satisfiable"]), (&Value::Null, &true.into()));
    let made = devnet.must(&[&["policy", "create"], &rule[..]].concat()).json();
    assert_eq!((&made["id"], &made["existed"]), (&1.into(), &false.into()), "{made}");
    let again = devnet.must(&[&["policy", "create"], &rule[..]].concat()).json();
    assert_eq!((&again["id"], &again["existed"], &again["paid_wei"]), (&1.into(), &true.into(), &"0x0".into()));

    devnet.must(&["territory", "buy", "--size", "64MiB", "--days", "30"]);
    devnet.must(&["bucket", "create", "spread", "--policy", "1"]);
    fs::write(devnet.home.path().join("source"), bytes(1 << 20, 99)).unwrap();
    devnet.must(&["put", "source", "cess://spread/a"]);
    members_are_where_they_may_be(&devnet);

    devnet.must(&["policy", "widen", "1"]);
    let shown = devnet.must(&["policy", "show", "1", "--json"]).json();
    assert_eq!((&shown["wanted_volumes"], &shown["cap_region"]), (&2.into(), &3.into()), "{shown}");
    devnet.must(&["bucket", "set-policy", "spread", "0"]);
    assert!(devnet.run(&["bucket", "set-policy", "spread", "9"]).complaint().contains("policy 9 does not exist"));
    let buckets = devnet.must(&["bucket", "list", "--json"]).json();
    assert_eq!(buckets[0]["policy"], 0, "{buckets}");
    let report = devnet.must(&["object", "report", "cess://spread/a", "--json"]).json();
    assert!(report.as_array().unwrap().iter().all(|segment| segment["state"] == "sound"), "{report}");
}

fn members_are_where_they_may_be(devnet: &Devnet) {
    let policies = devnet.must(&["policy", "list", "--json"]).json();
    let volume = policies[1]["open_volumes"][0].to_string();
    let shown = devnet.must(&["network", "volumes", &volume, "--json"]).json();
    assert_eq!((&shown["policy"], &shown["state"], &shown["live"]), (&1.into(), &"open".into(), &8.into()), "{shown}");
    assert!(shown["stripes"].as_u64() > Some(0) && shown["fill_percent"].as_f64() > Some(0.0), "{shown}");
    let miners = devnet.must(&["network", "miners", "--json"]).json();
    for member in shown["members"].as_array().unwrap() {
        assert_eq!(member["repair"]["state"], "whole", "{member}");
        let miner = miners.as_array().unwrap().iter().find(|miner| miner["id"] == member["miner"]).unwrap();
        assert!(["DE", "FR", "US"].contains(&miner["region"].as_str().unwrap()), "{miner}");
        assert!((64_512..64_515).contains(&miner["network"].as_u64().unwrap()), "{miner}");
    }
    let page = devnet.must(&["network", "miners", "--after", "10", "--json"]).json();
    assert_eq!(page.as_array().unwrap().len(), 2, "{page}");
}
