//! A writer stores what is no codeword: a reader finds it, and the chain voids it.

use crate::support::{Net, noise};
use alloy_primitives::{B256, Bytes as AbiBytes, U256};
use alloy_signer_local::PrivateKeySigner;
use bytes::Bytes;
use client::{
    ChainApi, Examined,
    chain::Network,
    evidence::{HeldFragment, contradiction},
};
use erasure::Code;
use std::time::Duration;
use transport::{Fragment, Sign, SignSegment, StageHeader, Transport};
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
    let roots: Vec<B256> = fragments.iter().map(|bytes| B256::from(*blake3::hash(bytes).as_bytes())).collect();
    let tree = Tree::new(&roots);
    let held = fragments.into_iter().enumerate().map(|(index, bytes)| HeldFragment {
        proof: FragmentProof { index: index as u16, root: roots[index], path: tree.path(index).expect("a path") },
        bytes: bytes.into(),
    });
    (segment_id(Profile::Devnet, LENGTH as u64, &tree.root()), tree.root(), held.collect())
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

/// Stages, signs and commits a segment in volume 1 as any writer could.
async fn store(net: &Net, signer: &PrivateKeySigner, fragments: &(SegmentId, B256, Vec<HeldFragment>)) {
    let (segment, fragments_root, held) = fragments;
    let network = Network(&*net.chain);
    let head = net.chain.head().await.expect("answers");
    let (territory, until_ms) = (net.territory, head.timestamp_ms + 600_000);
    let lease = IVolumes::leaseCall { territory, volumes: vec![1], columnBytes: 1 << 20, untilMs: until_ms };
    net.client.sender().call(VOLUMES, U256::ZERO, &lease).await.expect("leases");
    let transport = net.network.join(B256::repeat_byte(0xee));
    let permit = Permit { territory, uploader: transport.local_id(), expiresMs: u64::MAX };
    let signature = {
        use alloy_signer::SignerSync;
        signer.sign_hash_sync(&permit::signing_hash(&permit, 7_331)).expect("a local key signs")
    };
    let members = network.volume_with_members(1).await.expect("answers").members;
    let (volume, profile, length) = (1, Profile::Devnet, LENGTH as u64);
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
    store(&net, &signer, &spoiled).await;
    let (segment, network) = (spoiled.0, Network(&*net.chain));
    assert_ne!(network.positions(&[(1, segment)]).await, Ok(vec![0]), "it is live");
    let reader = net.another_client(0xc7).await;
    assert_eq!(reader.report_segment(1, segment).await.expect("the evidence holds"), Examined::Voided);
    assert_eq!(network.positions(&[(1, segment)]).await, Ok(vec![0]), "it is gone");
    assert_eq!(reader.report_segment(1, segment).await.expect("answers"), Examined::Gone);
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
