//! Keys and the gateway's own commands; what S3 says is tried by other people's tools (`tests/s3`).

use crate::harness::Devnet;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Asks without a signature; the answer with its head.
fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_devnet_serves_s3_and_tells_what_it_does() {
    let devnet = Devnet::start(1, 8);
    let described = devnet.description().unwrap();
    let address = described["gateway"]["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_string();

    let answer = ask(&address, "/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("<Buckets></Buckets>"), "{answer}");
    assert!(ask(&address, "/nothing/here").contains("NoSuchBucket"));

    let made = devnet.must(&["gateway", "key", "create", "--policy", "read-only", "--days", "1", "--json"]).json();
    let id = made["access_key_id"].as_str().unwrap();
    let listed = devnet.must(&["gateway", "key", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(made["secret_access_key"].as_str().unwrap()));
    devnet.must(&["gateway", "key", "remove", id]);
    assert!(devnet.run(&["gateway", "key", "remove", id]).complaint().contains("there is no access key"));

    let status = devnet.must(&["gateway", "status", "--json"]).json();
    assert_eq!(status["methods"][0]["request_count"], 2, "{status}");

    devnet.kill("gateway-0");
    assert!(devnet.run(&["gateway", "status"]).complaint().contains("no gateway answers"));
    devnet.start_role("gateway-0");
    devnet.must(&["gateway", "status"]);
}
