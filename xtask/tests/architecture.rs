//! Hold the crate table and the invariants of `ARCHITECTURE.md` against what cargo knows.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A crate, as the table or cargo describes it.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    sentence: String,
    uses: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Packages under `crates/`, as `cargo metadata` prints them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().cloned();
    packages.filter(|package| manifest(package).starts_with(root().join("crates"))).collect()
}

fn manifest(package: &Value) -> PathBuf {
    PathBuf::from(text(&package["manifest_path"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// Names of a package's dependencies, without those of its tests.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"].is_null()).map(|dependency| text(&dependency["name"])).collect()
}

fn known_to_cargo() -> BTreeMap<String, Crate> {
    let packages = packages();
    let names: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let described = packages.iter().map(|package| {
        let uses = dependencies(package).intersection(&names).cloned().collect();
        (text(&package["name"]), Crate { sentence: text(&package["description"]), uses })
    });
    described.collect()
}

/// Rows of the table `| level | crate | sentence | uses |`, with their levels.
fn table() -> BTreeMap<String, (u32, Crate)> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [level, name, sentence, uses] = cells[..] else { return None };
        let level = level.parse().ok()?;
        let uses = uses.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect();
        Some((name.trim_matches('`').to_string(), (level, Crate { sentence: sentence.into(), uses })))
    });
    rows.collect()
}

#[test]
fn table_lists_every_crate_with_its_sentence_and_what_it_uses() {
    let listed: BTreeMap<_, _> = table().into_iter().map(|(name, (_, listed))| (name, listed)).collect();
    assert_eq!(listed, known_to_cargo());
}

#[test]
fn lower_crates_never_name_higher_ones() {
    let table = table();
    assert!(!table.is_empty());
    for (name, (level, listed)) in &table {
        for used in &listed.uses {
            assert!(table[used].0 < *level, "{name} (level {level}) uses {used} (level {})", table[used].0);
        }
    }
}

#[test]
fn every_crate_opens_with_its_sentence() {
    for package in packages() {
        let source = manifest(&package).with_file_name("src");
        let entry = ["lib.rs", "main.rs"].into_iter().find_map(|file| fs::read_to_string(source.join(file)).ok());
        let first = entry.unwrap().lines().next().unwrap().to_string();
        assert_eq!(first, format!("//! {}", text(&package["description"])), "{}", package["name"]);
    }
}

/// All crates of ours that a crate reaches.
fn reach(name: &str, crates: &BTreeMap<String, Crate>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name.to_string()];
    while let Some(next) = open.pop() {
        for used in &crates[&next].uses {
            if reached.insert(used.clone()) {
                open.push(used.clone());
            }
        }
    }
    reached
}

#[test]
fn clients_and_miners_run_no_node() {
    let crates = known_to_cargo();
    for name in ["client", "miner"] {
        for node in ["chain", "execution", "archive", "mempool", "rpc"] {
            assert!(!reach(name, &crates).contains(node), "{name} reaches {node}");
        }
    }
}

#[test]
fn libraries_stay_in_the_crates_that_own_them() {
    let owners: [(&str, &[&str]); 10] = [
        ("commonware-", &["chain", "light"]),
        ("revm", &["execution"]),
        ("iroh", &["transport"]),
        ("aws-lc-rs", &["sealing", "client"]),
        ("blst", &["types"]),
        ("tower-http", &["rpc"]),
        ("s3s", &["gateway"]),
        ("hyper", &["gateway"]),
        ("clap", &["cess"]),
        ("anyhow", &["cess"]),
    ];
    for package in packages() {
        let name = text(&package["name"]);
        for dependency in dependencies(&package) {
            for (library, owners) in owners.iter().filter(|(library, _)| dependency.starts_with(library)) {
                assert!(
                    owners.contains(&name.as_str()),
                    "{name} names {dependency}, which is for {owners:?} ({library})"
                );
            }
        }
    }
}

#[test]
fn protocol_knows_no_vm_no_async_no_clock_and_no_entropy() {
    let package = packages().into_iter().find(|package| package["name"] == "protocol").unwrap();
    for forbidden in ["revm", "tokio", "futures", "async-trait", "rand", "rand_chacha", "fjall"] {
        assert!(!dependencies(&package).contains(forbidden), "protocol names {forbidden}");
    }
    let source = root().join("crates/protocol/src");
    for path in rust_files(&source) {
        let code = fs::read_to_string(&path).unwrap();
        for forbidden in ["async fn", "std::time", "SystemTime", ": f64", ": f32"] {
            assert!(!code.contains(forbidden), "{} says `{forbidden}`", path.display());
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["crates", "xtask/src"] {
        let files = rust_files(&root().join(folder));
        assert!(!files.is_empty());
        for path in files {
            let code = fs::read_to_string(&path).unwrap();
            // `tests.rs` and the files of a `tests` folder say it in the names of their tests.
            let is_tests = path.with_extension("").iter().any(|part| part == "tests");
            let first = code.lines().next().unwrap_or_default();
            assert!(is_tests || first.starts_with("//! "), "{} does not begin with `//! `", path.display());
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(!["utils", "util", "helpers", "common"].contains(&name), "{}", path.display());
            // Spelled in two parts, or this line would find itself.
            assert!(!code.contains(concat!("#[ign", "ore")), "{} leaves a test out", path.display());
        }
    }
}
