//! Put and get objects on a network of real processes: every size, every failure that it has to bear.

use crate::harness::{Devnet, PATIENCE, bytes};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const KIB_64: usize = 64 << 10;
/// A full segment's plaintext is a little shorter than this; sizes around it meet every boundary.
const SEGMENT: usize = 8 << 20;
const LARGE: usize = 256 << 20;

/// A network of eight miners: each is a member of every volume.
fn network() -> Devnet {
    let devnet = Devnet::start(4, 8);
    devnet.must(&["territory", "buy", "--size", "2GiB", "--days", "30"]);
    devnet.must(&["bucket", "create", "b"]);
    devnet
}

fn write(devnet: &Devnet, name: &str, content: &[u8]) {
    fs::write(devnet.home.path().join(name), content).unwrap();
}

fn read(devnet: &Devnet, name: &str) -> Vec<u8> {
    fs::read(devnet.home.path().join(name)).unwrap()
}

/// Gets an object and compares it without printing megabytes.
fn assert_stored(devnet: &Devnet, key: &str, content: &[u8]) {
    devnet.must(&["get", &format!("cess://b/{key}"), "copy"]);
    assert!(read(devnet, "copy") == content, "{key} came back different");
}

#[test]
fn stores_and_reads_objects_through_every_failure_it_has_to_bear_slow() {
    let devnet = network();
    every_size_comes_back(&devnet);
    ranges_pipes_and_folders(&devnet);
    json_says_what_there_is(&devnet);
    a_killed_upload_goes_on(&devnet);
    an_interrupted_download_leaves_nothing(&devnet);
    four_of_eight_members_may_die(&devnet);
}

fn every_size_comes_back(devnet: &Devnet) {
    let sizes = [0, 1, KIB_64 - 1, KIB_64, KIB_64 + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, LARGE];
    for size in sizes {
        let content = bytes(size, size as u64);
        write(devnet, "source", &content);
        let put = devnet.must(&["put", "source", &format!("cess://b/size/{size}"), "--json"]).json();
        assert_eq!((put["bytes"].as_u64(), put["degraded"].as_bool()), (Some(size as u64), Some(false)), "{put}");
        assert_stored(devnet, &format!("size/{size}"), &content);
    }
}

fn ranges_pipes_and_folders(devnet: &Devnet) {
    let content = bytes(SEGMENT + 1, SEGMENT as u64 + 1);
    let url = format!("cess://b/size/{}", SEGMENT + 1);
    for (range, expected) in
        [("0-0", 0..1), ("65535-65536", KIB_64 - 1..KIB_64 + 1), ("8388600-", SEGMENT - 8..SEGMENT + 1)]
    {
        let ran = devnet.must(&["object", "get", &url, "-", "--range", range]);
        assert!(ran.stdout == content[expected], "{range}");
    }
    assert!(devnet.run(&["get", &url, "-", "--range", "99999999-"]).complaint().contains("8388609 bytes"));

    let mut put = devnet.cess().args(["put", "-", "cess://b/piped"]).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(&content).unwrap();
    assert!(put.wait().unwrap().success());
    assert_stored(devnet, "piped", &content);

    let folder = devnet.home.path().join("folder");
    fs::create_dir_all(folder.join("deep")).unwrap();
    for (index, name) in ["a", "b", "deep/c"].iter().enumerate() {
        fs::write(folder.join(name), bytes(1_000 * index, index as u64)).unwrap();
    }
    devnet.must(&["put", "folder", "cess://b/folder"]);
    devnet.must(&["get", "cess://b/folder/", "unfolded"]);
    for name in ["a", "b", "deep/c"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), read(devnet, &format!("unfolded/{name}")), "{name}");
    }
}

fn json_says_what_there_is(devnet: &Devnet) {
    let listed = devnet.must(&["object", "list", "cess://b/folder/", "--json"]).json();
    let keys: Vec<&str> = listed.as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["folder/a", "folder/b", "folder/deep/c"]);
    let page = devnet.must(&["ls", "cess://b/folder/", "--json", "--after", "folder/a", "--limit", "1"]).json();
    assert_eq!((page[0]["key"].as_str(), page.as_array().unwrap().len()), (Some("folder/b"), 1));
    let stat = devnet.must(&["object", "stat", "cess://b/folder/b", "--json"]).json();
    assert_eq!(stat["size"], 1_000);

    devnet.must(&["rm", "cess://b/folder/a"]);
    assert!(devnet.run(&["get", "cess://b/folder/a", "gone"]).complaint().contains("does not exist"));
    assert!(devnet.run(&["rm", "cess://b/folder/a"]).complaint().contains("does not exist"));
    assert!(!devnet.home.path().join("gone").exists());
    assert!(devnet.run(&["bucket", "remove", "b"]).complaint().contains("not empty"));
    assert!(devnet.run(&["put", "source", "cess://nowhere/a"]).complaint().contains("cess bucket create nowhere"));

    let buckets = devnet.must(&["bucket", "list", "--json"]).json();
    assert_eq!(buckets[0]["name"], "b");
    let territories = devnet.must(&["territory", "list", "--json"]).json();
    assert!(territories[0]["bytes_free"].as_u64() < territories[0]["bytes"].as_u64(), "{territories}");
    let miners = devnet.must(&["network", "miners", "--json"]).json();
    assert_eq!(miners.as_array().unwrap().len(), 8);
    assert!(miners[0]["used"].as_u64() > Some(LARGE as u64 / 4), "{miners}");
    let status = devnet.must(&["network", "status", "--json"]).json();
    assert_eq!(status["committee"].as_array().unwrap().len(), 4);
}

fn a_killed_upload_goes_on(devnet: &Devnet) {
    let content = bytes(LARGE, 77);
    write(devnet, "source", &content);
    let line = ["put", "source", "cess://b/resumed"];
    let mut upload = devnet.cess().args(line).spawn().unwrap();
    let journal = devnet.dir().join("client/uploads");
    devnet.until("the upload is under way", || {
        assert!(upload.try_wait().unwrap().is_none(), "the upload was over before it could be killed");
        (folder_bytes(&journal) > 4_096).then_some(())
    });
    upload.kill().unwrap();
    upload.wait().unwrap();
    assert!(devnet.run(&["object", "stat", "cess://b/resumed"]).complaint().contains("does not exist"));
    let put = devnet.must(&[&line[..], &["--json"]].concat()).json();
    assert_eq!(put["degraded"], false, "{put}");
    assert_stored(devnet, "resumed", &content);
    assert_eq!(folder_bytes(&journal), 0, "the journal of a finished upload stays behind");
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn an_interrupted_download_leaves_nothing(devnet: &Devnet) {
    let out = devnet.home.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut download =
        devnet.cess().args(["get", "cess://b/resumed", "out/file"]).stderr(Stdio::null()).spawn().unwrap();
    devnet.until("the download is under way", || {
        assert!(download.try_wait().unwrap().is_none(), "the download was over before it could be interrupted");
        (folder_bytes(&out) > 0).then_some(())
    });
    let pid = download.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(download.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

fn four_of_eight_members_may_die(devnet: &Devnet) {
    let content = bytes(LARGE, 77);
    let victims = ["miner-1", "miner-2", "miner-5", "miner-6"];
    for victim in victims {
        devnet.kill(victim);
    }
    let volumes = devnet.must(&["network", "volumes", "--json"]).json();
    assert_eq!(volumes[0]["survivors"], 4, "{volumes}");
    assert_stored(devnet, "resumed", &content);
    for victim in victims {
        devnet.start_role(victim);
    }
    let deadline = Instant::now() + PATIENCE;
    while devnet.must(&["network", "volumes", "--json"]).json()[0]["survivors"] != 8 {
        assert!(Instant::now() < deadline, "the miners do not come back");
        thread::sleep(Duration::from_millis(100));
    }
    write(devnet, "source", &content[..SEGMENT]);
    let put = devnet.must(&["put", "source", "cess://b/after", "--json"]).json();
    assert_eq!(put["degraded"], false, "{put}");
    assert_stored(devnet, "after", &content[..SEGMENT]);
}
