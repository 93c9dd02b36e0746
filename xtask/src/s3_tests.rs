//! Run the public `ceph/s3-tests` suite against a gateway, and hold the results against those that are expected.
//!
//! The suite is in a folder of the caller's; nothing of it is kept here but the names of its cases. `tests/s3/expected.txt`
//! has a line for each: what is expected of it, and for those that fail, why.

use crate::{machine, network::Devnet, run};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Cases of these files count.
const FILES: [&str; 2] = ["s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"];
/// Seconds of a day of lifecycle rules, for cases that wait for them.
const DAY_S: u32 = 10;
/// Marks of cases that are not run, as what they try is not there.
const NOT_RUN: [(&str, &str); 5] = [
    ("bucket_logging", "access logs"),
    ("cloud_transition", "storage classes, other clouds"),
    ("cloud_restore", "storage classes, other clouds"),
    ("iam_account", "identity services"),
    ("iam_user", "identity services"),
];
/// Cases that are run at the same time: most of what they do is to wait for blocks.
const AT_ONCE: &str = "6";
/// What is said of a case that fails and that nobody has looked at.
const NO_REASON: &str = "not looked at yet";

/// The users of the suite: section, key id, user, shown name, mail address.
const USERS: [[&str; 5]; 4] = [
    ["s3 main", "S3TESTSMAIN000000001", "account", "account", "main@example.com"],
    ["s3 alt", "S3TESTSALT0000000001", "alt", "alt", "alt@example.com"],
    ["s3 tenant", "S3TESTSTENANT0000001", "tenant$user", "tenant$user", "tenant@example.com"],
    ["iam", "S3TESTSIAM0000000001", "iam", "iam", "iam@example.com"],
];

/// How a case ended, or is expected to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Pass,
    Fail(String),
}

/// ARGS: the suite's folder; `--write` puts the results into the list; `-k EXPRESSION` runs some cases only.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut suite, mut write, mut some) = (None, false, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write" => write = true,
            "-k" => some = Some(arguments.next().ok_or("`-k` needs an expression")?.clone()),
            folder => suite = Some(PathBuf::from(folder)),
        }
    }
    let suite = suite.ok_or("name the folder of the suite: cargo xtask s3-tests -- FOLDER")?;
    if !suite.join(FILES[0]).exists() {
        return Err(format!("{} is no copy of github.com/ceph/s3-tests", suite.display()));
    }
    machine::ensure_python()?;
    let cess = run::build_cess()?;
    let requirements = suite.join("requirements.txt").display().to_string();
    let python = python_with("s3-tests-python", &["-q", "-r", &requirements, "pytest-xdist"])?;
    let devnet = Devnet::start(&cess, &["--miners", "8", "--validators", "1"])?;
    let results = prepare(&devnet).and_then(|config| pytest(&python, &suite, &config, some.as_deref()));
    let results = match results {
        Ok(results) => results,
        Err(error) => return devnet.stop(Err(error)),
    };
    devnet.stop(compare(&results, write, some.is_some()))
}

/// A Python of its own below the target folder, with what pip is told to install.
pub fn python_with(name: &str, install: &[&str]) -> Result<PathBuf, String> {
    let folder = run::release_dir().join(name);
    let python = folder.join("bin/python");
    if !folder.join("installed").exists() {
        run::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run::run(Command::new(&python).args(["-m", "pip", "install"]).args(install))?;
        fs::write(folder.join("installed"), "").map_err(|error| error.to_string())?;
    }
    Ok(python)
}

/// Makes keys for the suite's users, and its configuration.
fn prepare(devnet: &Devnet) -> Result<PathBuf, String> {
    let secret = devnet.dir().join("client/s3-tests-secret");
    let folder = secret.parent().expect("the file is in a folder");
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    fs::write(&secret, "s3-tests-secret-s3-tests-secret-00000000").map_err(|error| error.to_string())?;
    for [_, id, user, name, mail] in USERS {
        let secret = secret.display().to_string();
        let line = ["gateway", "key", "create", "--policy", "admin", "--id", id, "--user", user];
        let more = ["--display-name", name, "--mail", mail, "--secret-file", &secret];
        devnet.run(&[&line[..], &more[..]].concat())?;
    }
    let config = devnet.dir().join("gateway-0/config.toml");
    let text = fs::read_to_string(&config).map_err(|error| error.to_string())?;
    fs::write(&config, format!("lifecycle_day_s = {DAY_S}\n{text}")).map_err(|error| error.to_string())?;
    devnet.run(&["devnet", "kill", "gateway-0"])?;
    devnet.run(&["devnet", "start", "gateway-0"])?;
    let description = devnet.description()?;
    let url = description.pointer("/gateway/url").and_then(|url| url.as_str()).ok_or("devnet.json names no gateway")?;
    let port = url.rsplit(':').next().unwrap_or_default();
    let mut text = format!(
        "[DEFAULT]\nhost = 127.0.0.1\nport = {port}\nis_secure = False\nssl_verify = False\n\n[fixtures]\n\
         bucket prefix = s3t-{{random}}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n"
    );
    for [section, id, user, name, mail] in USERS {
        write!(
            text,
            "\n[{section}]\ndisplay_name = {name}\nuser_id = {user}\nemail = {mail}\napi_name = us-east-1\naccess_key = {id}\n\
             secret_key = s3-tests-secret-s3-tests-secret-00000000\ntenant = tenant\nlc_debug_interval = {DAY_S}\n"
        )
        .expect("a string takes everything");
    }
    for section in ["iam root", "iam alt root"] {
        write!(text, "\n[{section}]\naccess_key = A\nsecret_key = A\nuser_id = A\nemail = a@example.com\n")
            .expect("a string takes everything");
    }
    let config = folder.join("s3-tests.conf");
    fs::write(&config, text).map_err(|error| error.to_string())?;
    Ok(config)
}

/// Runs the suite; how each case ended.
fn pytest(python: &Path, suite: &Path, config: &Path, some: Option<&str>) -> Result<BTreeMap<String, bool>, String> {
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-p", "no:cacheprovider", "--tb=line", "-q", "-rfEp"]).args(FILES);
    command.args(["-n", AT_ONCE, "--dist", "worksteal"]);
    let marks = NOT_RUN.map(|(mark, what)| {
        eprintln!("cases of `{mark}` are not run: there are no {what} here");
        mark
    });
    command.args(["-m", &format!("not ({})", marks.join(" or "))]);
    command.args(some.iter().flat_map(|expression| ["-k", expression]));
    command.current_dir(suite).env("S3TEST_CONF", config).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("pytest: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let log = run::release_dir().join("s3-tests.log");
    fs::write(&log, text.as_ref()).map_err(|error| format!("{}: {error}", log.display()))?;
    eprintln!("what the suite said: {}", log.display());
    let mut results = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(outcome), Some(case)) = (words.next(), words.next()) else { continue };
        let passed = match outcome {
            "PASSED" => true,
            "FAILED" | "ERROR" => false,
            _ => continue,
        };
        if let Some((_, name)) = case.split_once("::") {
            // A case that passes and cannot clean up behind itself has both.
            let entry = results.entry(name.to_string()).or_insert(passed);
            *entry = *entry && passed;
        }
    }
    if results.is_empty() { Err(format!("the suite did not run: {text}")) } else { Ok(results) }
}

fn list() -> PathBuf {
    run::root().join("tests/s3/expected.txt")
}

/// Lines `NAME pass` and `NAME fail REASON`.
fn read_expected() -> Result<BTreeMap<String, Outcome>, String> {
    let path = list();
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parse = |line: &str| {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(name), Some("pass"), None) => Ok((name.to_string(), Outcome::Pass)),
            (Some(name), Some("fail"), Some(reason)) => Ok((name.to_string(), Outcome::Fail(reason.into()))),
            _ => Err(format!("{}: `{line}` is no `NAME pass` and no `NAME fail REASON`", path.display())),
        }
    };
    lines.map(parse).collect()
}

fn compare(results: &BTreeMap<String, bool>, write: bool, some: bool) -> Result<(), String> {
    let mut expected = read_expected()?;
    let passed = results.values().filter(|passed| **passed).count();
    eprintln!("{passed} of {} cases pass", results.len());
    let mut lost = Vec::new();
    for (name, passed) in results {
        match (expected.get(name), passed) {
            (Some(Outcome::Pass), false) => lost.push(name.clone()),
            (Some(Outcome::Fail(_)) | None, true) => eprintln!("passes, and is not listed so: {name}"),
            (None, false) => eprintln!("fails, and is not listed: {name}"),
            _ => {}
        }
    }
    if write {
        for (name, passed) in results {
            let known = expected.remove(name);
            let outcome = match (passed, known) {
                (true, _) => Outcome::Pass,
                (false, Some(Outcome::Fail(reason))) => Outcome::Fail(reason),
                (false, _) => Outcome::Fail(NO_REASON.into()),
            };
            expected.insert(name.clone(), outcome);
        }
        return write_expected(&expected);
    }
    let missing =
        expected.iter().filter(|(name, outcome)| !some && **outcome == Outcome::Pass && !results.contains_key(*name));
    lost.extend(missing.map(|(name, _)| name.clone()));
    if lost.is_empty() { Ok(()) } else { Err(format!("these are expected to pass: {}", lost.join(", "))) }
}

fn write_expected(expected: &BTreeMap<String, Outcome>) -> Result<(), String> {
    let mut text = String::from("# Cases of ceph/s3-tests and what is expected of them: `cargo xtask s3-tests`.\n");
    for (name, outcome) in expected {
        let line = match outcome {
            Outcome::Pass => writeln!(text, "{name} pass"),
            Outcome::Fail(reason) => writeln!(text, "{name} fail {reason}"),
        };
        line.expect("a string takes everything");
    }
    fs::write(list(), text).map_err(|error| error.to_string())
}
