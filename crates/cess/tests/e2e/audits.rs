//! Spoil what a miner has on disk, and see the rounds find it.

use crate::harness::Devnet;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Spoils every KiB of all files below a folder; answers how many there were.
fn spoil(folder: &Path) -> usize {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries
        .iter()
        .map(|path| {
            if path.is_dir() {
                return spoil(path);
            }
            let mut bytes = fs::read(path).unwrap();
            bytes.iter_mut().step_by(1024).for_each(|byte| *byte ^= 1);
            fs::write(path, bytes).unwrap();
            1
        })
        .sum()
}

fn miners(devnet: &Devnet) -> Vec<Value> {
    let view = devnet.must(&["network", "audits", "--json"]).json();
    view["miners"].as_array().unwrap().clone()
}

fn faults(devnet: &Devnet, name: &str) -> u64 {
    let miners = miners(devnet);
    miners.iter().find(|miner| miner["name"] == name).unwrap()["faults"].as_u64().unwrap()
}

/// What the rounds found is said of the miner, and anyone can check it again.
fn every_fault_names_its_evidence(devnet: &Devnet) {
    let miners = miners(devnet);
    let id = miners.iter().find(|miner| miner["name"] == "miner-3").unwrap()["id"].to_string();
    // Logs are there a moment after the state.
    let status = devnet.until("the logs tell of the fault", || {
        let status = devnet.must(&["miner", "status", "--id", &id, "--json"]).json();
        (!status["rounds"]["faults"].as_array().unwrap().is_empty()).then_some(status)
    });
    assert_eq!((&status["name"], status["own"].is_object()), (&"miner-3".into(), true), "{status}");
    assert!(status["advice"].to_string().contains("cess audit verify"), "{status}");
    let round = status["rounds"]["faults"][0]["round"].to_string();
    let review = devnet.must(&["audit", "verify", "--round", &round, "--json"]).json();
    assert_eq!(review["holds"], true, "{review}");
    let faults = review["faults"].as_array().unwrap();
    assert!(!faults.is_empty() && !review["openings"].as_array().unwrap().is_empty(), "{review}");
    for fault in faults {
        assert_eq!((fault["miner"].to_string(), &fault["finding"]), (id.clone(), &"holds".into()), "{fault}");
    }
    let transaction = review["openings"][0]["transaction"].as_str().unwrap();
    let same = devnet.must(&["audit", "verify", transaction, "--json"]).json();
    assert_eq!(same["round"].to_string(), round);
    assert!(devnet.run(&["audit", "verify", "--round", "99999"]).complaint().contains("--blocks"));
    assert!(devnet.run(&["miner", "status"]).complaint().contains("--id or --address"));
}

#[test]
fn spoiled_fragments_are_found_by_the_rounds_and_cost_a_fine() {
    let devnet = Devnet::start_with(4, 8, &["--audit-round", "12"]);
    devnet.must(&["territory", "buy", "--size", "1GiB", "--days", "30"]);
    devnet.must(&["bucket", "create", "photos"]);
    let object: Vec<u8> = (0..100_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(devnet.home.path().join("film"), &object).unwrap();
    devnet.must(&["put", "film", "cess://photos/film"]);
    // Whoever doubts pays to see.
    let shown = devnet.until("a round begins that knows of the object", || {
        let ran = devnet.run(&["object", "challenge", "cess://photos/film", "--seats", "2,6", "--json"]);
        assert!(ran.ok || ran.stderr.contains("from the next one on"), "{}", ran.stderr);
        ran.ok.then(|| ran.json())
    });
    let states: Vec<_> = shown.as_array().unwrap().iter().map(|view| view["state"].clone()).collect();
    assert_eq!(states, ["shown", "shown"], "{shown}");
    assert!(devnet.run(&["object", "challenge", "cess://photos/film", "--seats", "8"]).complaint().contains("0 to 7"));
    assert!(spoil(&devnet.dir().join("miner-3/data/fragments")) > 0);
    devnet.until("the rounds find what was spoiled", || (faults(&devnet, "miner-3") > 0).then_some(()));
    every_fault_names_its_evidence(&devnet);
    // Everybody else has answered, and what is stored is read all the same.
    let honest = miners(&devnet);
    assert!(honest.iter().all(|miner| miner["name"] == "miner-3" || miner["faults"] == 0), "{honest:?}");
    devnet.must(&["get", "cess://photos/film", "copy"]);
    assert!(fs::read(devnet.home.path().join("copy")).unwrap() == object);
}
