//! Check the command line: what it takes, what it refuses, what its help says.

use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(complete_devnet(line.split(' ').map(OsString::from)))
}

#[test]
fn is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn takes_every_documented_line() {
    let lines = [
        "cess devnet",
        "cess devnet --data d --validators 4 --miners 12 --fresh --detach",
        "cess devnet status",
        "cess devnet stop --data d",
        "cess devnet --data d kill miner-3",
        "cess devnet start validator-0",
        "cess validator --config v.toml",
        "cess miner --config m.toml",
        "cess account new --keystore k",
        "cess account list --json",
        "cess account balance",
        "cess account send 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 1.5",
        "cess territory buy --size 10GiB --days 30",
        "cess territory list",
        "cess bucket create photos",
        "cess bucket create photos --policy 3",
        "cess bucket list",
        "cess bucket set-policy photos 3",
        "cess policy create --allow DE,fr,US-CA --forbid US-TX --cap-region 2 --cap-network 1 --profile standard",
        "cess policy create --miners 1,2,3",
        "cess policy list --after 100 --limit 10",
        "cess policy show 0 --json",
        "cess policy check 3",
        "cess policy check --forbid US",
        "cess policy widen 3",
        "cess devnet --regions DE,FR --networks 4",
        "cess bucket remove photos",
        "cess object put - cess://photos/a",
        "cess object get cess://photos/a - --range 0-9",
        "cess object list cess://photos/2026 --json",
        "cess object stat cess://photos/a",
        "cess object remove cess://photos/a",
        "cess object report cess://photos/a",
        "cess put a cess://photos/a",
        "cess get cess://photos/a a",
        "cess ls cess://photos",
        "cess rm cess://photos/a",
        "cess network status --json",
        "cess network volumes",
        "cess network volumes 3 --json",
        "cess network volumes --after 100 --limit 50",
        "cess network audits --after 100",
        "cess audit verify --round 12 --miner 3 --json",
        "cess audit verify 0x0101010101010101010101010101010101010101010101010101010101010101",
        "cess miner status",
        "cess miner status --id 3 --json",
        "cess miner status --address 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --blocks 1000",
        "cess network miners --rpc http://127.0.0.1:1",
        "cess gateway --config gateway.toml",
        "cess gateway status --json",
        "cess gateway key create --policy read-write --bucket photos --bucket films --days 30",
        "cess gateway key list --config gateway.toml",
        "cess gateway key remove CESSABCDEFGHIJKLMNOP",
    ];
    for line in lines {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn devnet_option_stands_alone_before_a_noun() {
    let choice = |line| parse(line).unwrap().globals.devnet;
    assert_eq!(choice("cess --devnet network status"), Some(DevnetChoice::Last));
    assert_eq!(choice("cess --devnet some/dir network status"), Some(DevnetChoice::At("some/dir".into())));
    assert_eq!(choice("cess network status --devnet"), Some(DevnetChoice::Last));
    assert_eq!(choice("cess network status"), None);
}

#[test]
fn complains_in_one_line() {
    let lines = [
        ("cess object get cess://b/k out --range 9-1", "a range ends after it begins"),
        ("cess object get cess://b/k out --range x", "FIRST-LAST"),
        ("cess object put file s3://b/k", "cess://BUCKET/KEY"),
        ("cess territory buy --size ten --days 3", "10GiB"),
        ("cess territory buy --size 10GiB --days 0", "0 is not in 1"),
        ("cess object put", "required arguments"),
        ("cess miner", "required arguments"),
        ("cess gateway", "required arguments"),
        ("cess gateway key create", "required arguments"),
        ("cess gateway key create --policy owner", "read-only"),
        ("cess audit verify", "required arguments"),
        ("cess miner status --id 3 --address 0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "cannot be used with"),
        ("cess policy create --allow Germany", "no ISO 3166 region"),
        ("cess policy create --forbid ZZ", "no ISO 3166 region"),
        ("cess policy create --cap-region 0", "0 is not in 1"),
        ("cess policy create --profile tall", "devnet, standard or wide"),
        ("cess policy check 3 --allow DE", "cannot be used with"),
        ("cess objet put", "unrecognized subcommand"),
    ];
    for (line, expected) in lines {
        let complaint = one_line(&parse(line).unwrap_err()).expect("this is no help");
        assert!(complaint.contains(expected) && complaint.lines().count() == 1, "{line}: {complaint}");
    }
    assert_eq!(one_line(&parse("cess --help").unwrap_err()), None);
}

#[test]
fn sizes_are_read_and_shown() {
    for (text, bytes) in
        [("10GiB", 10 << 30), ("1.5 TiB", 3 << 39), ("500MB", 500_000_000), ("7", 7), ("1kb", 1_000), ("0.5KiB", 512)]
    {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "0", "GiB", "1.2.3GiB", "-1GiB", "99999PiB", "1 XiB", "1e9"] {
        assert!(text.parse::<Bytes>().is_err(), "{text}");
    }
    assert_eq!(format_bytes(1023), "1023 B");
    assert_eq!(format_bytes(10 << 30), "10 GiB");
    assert_eq!(format_bytes(3 << 29), "1.5 GiB");
}

#[test]
fn amounts_are_read_and_shown() {
    for (text, wei) in [("1.5", 1_500_000_000_000_000_000u64), ("20gwei", 20_000_000_000), ("1000 wei", 1_000)] {
        assert_eq!(text.parse(), Ok(Amount(alloy_primitives::U256::from(wei))), "{text}");
    }
    for text in ["", "-1", "1.2.3", "1.5wei", "1 finney", "."] {
        assert!(text.parse::<Amount>().is_err(), "{text}");
    }
    assert_eq!(format_amount(alloy_primitives::U256::from(1_500_000_000_000_000_000u64)), "1.5");
    assert_eq!(format_amount(alloy_primitives::U256::ZERO), "0");
}

#[test]
fn ranges_may_be_open() {
    let range = |text| address::byte_range(text);
    assert_eq!(range("0-9"), Ok(ByteRange { first: 0, last: Some(9) }));
    assert_eq!(range("95-"), Ok(ByteRange { first: 95, last: None }));
    for text in ["", "-", "-5", "5", "9-1", "a-b", "1-2-3", "0-99999999999999999999"] {
        assert!(range(text).is_err(), "{text}");
    }
}

/// The page of all help texts is the snapshot: it is written here and has to be committed as it is.
#[test]
fn help_is_as_documented() {
    let mut page = String::from("# Every command\n\nWritten by a test from the program's own help.\n");
    describe(&mut Cli::command().term_width(100), "cess", &mut page);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/commands.md");
    let before = std::fs::read_to_string(path).unwrap_or_default();
    if before != page {
        std::fs::write(path, &page).unwrap();
        panic!("the help has changed: look at docs/operate/commands.md, then run the test again");
    }
}

fn describe(command: &mut clap::Command, name: &str, page: &mut String) {
    let help = command.render_long_help().to_string();
    // The options for every command are shown once.
    let own = if name == "cess" { &help } else { help.split("Options for every command:").next().unwrap_or(&help) };
    page.push_str(&format!("\n## {name}\n```text\n{}\n```\n", own.trim_end()));
    let names: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_string()).collect();
    for verb in names.iter().filter(|verb| *verb != "help") {
        let child = command.find_subcommand_mut(verb).expect("it was listed");
        let mut child = child.clone().bin_name(format!("{name} {verb}")).term_width(100);
        describe(&mut child, &format!("{name} {verb}"), page);
    }
}
