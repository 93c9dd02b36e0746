//! A writer stores what is no codeword: a reader finds it, and the chain voids it.

use crate::{
    resume::{crash_after, go_on},
    support::{Net, noise},
};
use alloy_primitives::{B256, Bytes as AbiBytes, U256};
use alloy_signer_local::PrivateKeySigner;
use bytes::Bytes;
use client::{
    ChainApi, Examined, GetError, Key,
    chain::Network,
    evidence::{HeldFragment, all_fragments, contradiction},
};
use erasure::Code;
use futures::TryStreamExt;
use std::{path::Path, time::Duration};
use transport::{Fragment, Sign, SignSegment, StageHeader, Transport, memory::Behaviour};
use types::{
    Profile, ReceiptSignature, SegmentId,
    abi::{Batch, IVolumes, Stripe, VOLUMES},
    merkle::Tree,
    permit::{self, Permit},
    segment::{FragmentProof, segment_id},
};

const LENGTH: usize = 200_000;
const DEADLINE: Duration = Duration::from_secs(10);

/// The fragments of a segment, changed by `spoil`, with their places under it.
fn written(spoil: impl Fn(&mut Vec<Vec<u8>>)) -> (SegmentId, B256, Vec<HeldFragment>) {
    let code = Code::new(4, 4).expect("a code");
    let encoded = erasure::encode_segment(&code, noise(1, LENGTH).into()).expect("encodes");
    let mut fragments: Vec<Vec<u8>> = encoded.fragments.iter().map(|fragment| fragment.to_vec()).collect();
    spoil(&mut fragments);
    committed_to(fragments, LENGTH as u64)
}

/// Fragments as their writer commits to them, whatever they are.
fn committed_to(fragments: Vec<Vec<u8>>, length: u64) -> (SegmentId, B256, Vec<HeldFragment>) {
    let roots: Vec<B256> = fragments.iter().map(|bytes| B256::from(*blake3::hash(bytes).as_bytes())).collect();
    let tree = Tree::new(&roots);
    let held = fragments.into_iter().enumerate().map(|(index, bytes)| HeldFragment {
        proof: FragmentProof { index: index as u16, root: roots[index], path: tree.path(index).expect("a path") },
        bytes: bytes.into(),
    });
    (segment_id(Profile::Devnet, length, &tree.root()), tree.root(), held.collect())
}

#[test]
fn only_what_contradicts_itself_is_evidence() {
    let code = Code::new(4, 4).expect("a code");
    let (_, _, honest) = written(|_| {});
    assert_eq!(contradiction(&code, &honest), None);
    let (_, _, spoiled) = written(|fragments| fragments[6][5 * 1024 + 17] ^= 1);
    let found = contradiction(&code, &spoiled).expect("they contradict each other");
    assert_eq!((found.chunk, found.columns.len(), found.columns[4].index), (5, 5, 6));
    // With four there is nothing to compare, and without the spoiled one nothing is wrong.
    assert_eq!(contradiction(&code, &spoiled[..4]), None);
    assert_eq!(contradiction(&code, &spoiled[..6]), None);
    // Among the sources it makes the others look wrong: evidence all the same.
    let turned: Vec<HeldFragment> = spoiled.iter().rev().cloned().collect();
    assert_eq!(contradiction(&code, &turned).map(|found| found.chunk), Some(5));
    let short = HeldFragment { bytes: Bytes::from_static(b"short"), ..spoiled[7].clone() };
    assert_eq!(contradiction(&code, &[&spoiled[..4], &[short][..]].concat()), None);
}

/// Stages, signs and commits a segment as any writer could.
async fn store(
    net: &Net,
    signer: &PrivateKeySigner,
    volume: u32,
    length: u64,
    fragments: &(SegmentId, B256, Vec<HeldFragment>),
) {
    let (segment, fragments_root, held) = fragments;
    let network = Network(&*net.chain);
    let head = net.chain.head().await.expect("answers");
    let (territory, until_ms) = (net.territory, head.timestamp_ms + 600_000);
    let lease = IVolumes::leaseCall { territory, volumes: vec![volume], columnBytes: 1 << 20, untilMs: until_ms };
    net.client.sender().call(VOLUMES, U256::ZERO, &lease).await.expect("leases");
    let transport = net.network.join(B256::repeat_byte(0xee));
    let permit = Permit { territory, uploader: transport.local_id(), expiresMs: u64::MAX };
    let signature = {
        use alloy_signer::SignerSync;
        signer.sign_hash_sync(&permit::signing_hash(&permit, 7_331)).expect("a local key signs")
    };
    let members = network.volume_with_members(volume).await.expect("answers").members;
    let profile = Profile::Devnet;
    let expires = net.chain.head().await.expect("answers").height + 100;
    let part = SignSegment { segment: *segment, fragments_root: *fragments_root, length };
    let sign = Sign { volume, territory, sequence: 77, expires_at_height: expires, segments: vec![part] };
    let mut signatures = Vec::new();
    for (member, fragment) in members.iter().zip(held) {
        let endpoint = member.endpoint.as_ref().expect("it has one");
        let (permit, proof) = (permit.clone(), fragment.proof.clone());
        let header = StageHeader { permit, signature, volume, segment: *segment, profile, length, proof };
        transport.stage(endpoint, header, Fragment::new(fragment.bytes.clone()), DEADLINE).await.expect("stages");
        let bytes = transport.sign(endpoint, sign.clone(), DEADLINE).await.expect("signs");
        signatures.push(ReceiptSignature::from_bytes(&bytes).expect("a signature"));
    }
    let batches = vec![Batch {
        volume,
        territory,
        sequence: 77,
        expiresAtHeight: expires,
        stripes: vec![Stripe { fragmentsRoot: *fragments_root, length }],
        signers: AbiBytes::from_static(&[0xff]),
        signature: ReceiptSignature::aggregate(&signatures).expect("some").to_bytes().to_vec().into(),
    }];
    let price = network.commit_price(&batches).await.expect("answers");
    let call = IVolumes::commitCall { batches, roots: Vec::new() };
    net.client.sender().call(VOLUMES, price, &call).await.expect("commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malicious_writer_is_found_and_its_stripe_voided() {
    let net = Net::new(8).await;
    let signer = net.client.sender().signer().clone();
    let spoiled = written(|fragments| fragments[2][40 * 1024] ^= 0x80);
    store(&net, &signer, 1, LENGTH as u64, &spoiled).await;
    let (segment, network) = (spoiled.0, Network(&*net.chain));
    assert_ne!(network.positions(&[(1, segment)]).await, Ok(vec![0]), "it is live");
    let reader = net.another_client(0xc7).await;
    assert_eq!(reader.report_segment(1, segment).await.expect("the evidence holds"), Examined::Voided);
    assert_eq!(network.positions(&[(1, segment)]).await, Ok(vec![0]), "it is gone");
    assert_eq!(reader.report_segment(1, segment).await.expect("answers"), Examined::Gone);
}

/// Cuts an upload off, and puts garbage in the place of its first segment: the data is the same, its parity is not.
async fn spoil_upload(net: &Net, file: &Path, folder: &Path) -> (SegmentId, u32) {
    crash_after(net, file, folder, 16 << 20).await;
    let mut paths = std::fs::read_dir(folder).expect("reads").map(|entry| entry.expect("an entry").path());
    let journal = paths.find(|path| path.extension().is_some_and(|end| end == "journal")).expect("a journal");
    let text = std::fs::read_to_string(&journal).expect("reads");
    let line = text.lines().find(|line| line.contains(r#""record":"staged""#)).expect("something is staged");
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":")).expect("the field is there");
        rest.split([',', '}']).next().expect("a value").trim_matches('"').to_owned()
    };
    let id: SegmentId = field("id").parse().expect("a hash");
    let (volume, length): (u32, u64) = (field("volume").parse().expect("one"), field("length").parse().expect("one"));
    let members = Network(&*net.chain).volume_with_members(volume).await.expect("answers");
    let transport = net.network.join(B256::repeat_byte(0xef));
    let held = all_fragments(&transport, &members, id, length).await;
    let mut fragments: Vec<Vec<u8>> = held.iter().map(|fragment| fragment.bytes.to_vec()).collect();
    fragments[4..].iter_mut().for_each(|fragment| fragment[3_000] ^= 1);
    let spoiled = committed_to(fragments, length);
    store(net, net.client.sender().signer(), volume, length, &spoiled).await;
    let text = text.replace(line, &line.replace(&field("id"), &spoiled.0.to_string()));
    std::fs::write(&journal, text).expect("writes");
    (spoiled.0, volume)
}

/// A network with an object in it of which one segment is no codeword: as long as the data members answer, nothing is
/// wrong with it; what is computed from parity does not open.
async fn spoiled_object() -> (Net, SegmentId, u32) {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes = noise(1, 100 * crate::support::SEGMENT_PLAIN + 5);
    std::fs::write(&file, &bytes).expect("writes");
    let (segment, volume) = spoil_upload(&net, &file, folder.path()).await;
    go_on(&net, &file, folder.path()).await;
    assert!(net.read("file").await == bytes);
    assert!(is_live(&net, segment, volume).await, "a read that succeeds reports nothing");
    net.behave(&net.members(volume).await[0], Behaviour::Gone);
    (net, segment, volume)
}

async fn is_live(net: &Net, segment: SegmentId, volume: u32) -> bool {
    Network(&*net.chain).positions(&[(volume, segment)]).await.expect("answers") != [0]
}

fn assert_malformed<T>(result: Result<T, GetError>, segment: SegmentId) {
    match result {
        Err(GetError::Malformed { segment: found, .. }) => assert_eq!(found, segment),
        Err(other) => panic!("it failed otherwise: {other}"),
        Ok(_) => panic!("it was read"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_fails_on_garbage_says_so_and_has_it_voided() {
    let (net, segment, volume) = spoiled_object().await;
    let reader = net.another_client(0xc8).await;
    assert_malformed(reader.read("bucket", "file", None).await, segment);
    assert!(!is_live(&net, segment, volume).await, "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_on_garbage_says_so_and_has_it_voided() {
    let (net, segment, volume) = spoiled_object().await;
    let store = net.another_client(0xc9).await.open("bucket").await.expect("opens");
    let snapshot = store.snapshot().await.expect("a root");
    let entry = snapshot.get(&Key::object("file")).await.expect("answers").expect("it is there");
    let read: Result<Vec<Bytes>, GetError> = store.read(&entry, None).expect("all of it").try_collect().await;
    assert_malformed(read, segment);
    assert!(!is_live(&net, segment, volume).await, "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_object_stays() {
    let net = Net::new(8).await;
    let bytes = noise(9, 3 * crate::support::SEGMENT);
    net.put("object", &bytes).await;
    let examined = net.client.report_object("bucket", "object").await.expect("examines");
    assert!(examined.len() >= 3);
    assert!(examined.iter().all(|(_, found)| *found == Examined::Sound { fragments: 8 }), "{examined:?}");
    assert!(net.read("object").await == bytes);
    assert!(net.client.report_object("bucket", "nothing").await.is_err());
}
