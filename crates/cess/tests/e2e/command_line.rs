//! Check what the binary says to wrong input, without any network.

use crate::harness::Home;

#[test]
fn says_in_one_line_what_is_wrong_and_what_to_do() {
    let home = Home::new();
    let lines: [(&[&str], &str); 9] = [
        (&["network", "status"], "cess devnet"),
        (&["network", "status", "--devnet", "nowhere"], "there is no folder nowhere"),
        (&["network", "status", "--rpc", "http://127.0.0.1:1"], "--rpc"),
        (&["object", "put", "missing", "cess://photos/a", "--rpc", "http://127.0.0.1:1"], "missing"),
        (&["object", "get", "cess://photos", "-", "--range", "5"], "FIRST-LAST"),
        (&["devnet", "stop"], "cess devnet"),
        (&["devnet", "--miners", "7"], "7 miners form no volume"),
        (&["validator", "--config", "missing.toml"], "missing.toml"),
        (&["miner", "--config", "missing.toml"], "missing.toml"),
    ];
    for (line, expected) in lines {
        let ran = home.run(line);
        let complaint = ran.complaint();
        assert!(complaint.starts_with("error: ") && complaint.contains(expected), "{line:?}: {complaint}");
    }
}

#[test]
fn fresh_deletes_no_folder_that_holds_something_else() {
    let home = Home::new();
    let dir = home.path().join("work");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("thesis.txt"), "years of work").unwrap();
    for line in [&["devnet", "--data", "work", "--fresh"][..], &["devnet", "--data", "work"]] {
        let ran = home.run(line);
        assert!(ran.complaint().contains("thesis.txt"), "{ran:?}");
    }
    assert!(dir.join("thesis.txt").exists());
}

#[test]
fn help_and_version_succeed() {
    let home = Home::new();
    for line in [&["--help"][..], &["--version"], &["devnet", "--help"], &["put", "-h"]] {
        let ran = home.run(line);
        assert!(ran.ok && ran.stderr.is_empty() && !ran.stdout.is_empty(), "{line:?}: {ran:?}");
    }
}
