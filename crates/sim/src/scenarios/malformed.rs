//! Let a writer store fragments that are no codeword, and anybody show it.

use super::{filled, heal};
use crate::{
    Broken, ensure,
    net::{Net, ROUND, Setting, insist, storage},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer::SignerSync;
use alloy_sol_types::SolEvent;
use client::chain::{LogFilter, Network};
use proofs::chunk::{self, CHUNK_BYTES, Hash};
use std::time::Duration;
use transport::{Fragment, MemoryTransport, Sign, SignSegment, StageHeader, Transport};
use types::{
    Profile, ReceiptSignature, StripeLeaf,
    abi::{Batch, Column, IVolumes, Leaf, Release, Stripe, VOLUMES},
    merkle::{self, EMPTY, LOG_DEPTH, Tree},
    permit::{self, Permit},
    segment::{FragmentProof, segment_id},
};

const LENGTH: usize = 200_000;
const DEADLINE: Duration = Duration::from_secs(30);
/// The fragment that contradicts the others, and the chunk in which it does.
const SPOILED: usize = 6;
const CHUNK: usize = 5;

/// What the writer made.
struct Garbage {
    fragments: Vec<Bytes>,
    tree: Tree,
}

fn failed(error: impl std::fmt::Display) -> Broken {
    Broken::new("a writer may store what it likes", error.to_string())
}

/// The writer pays and is believed, until somebody shows one column of chunks.
pub(super) async fn malformed(setting: Setting, time: Duration, notes: &mut Vec<String>) -> Result<Net, Broken> {
    let mut net = filled(setting, 10, 3, 4).await?;
    let garbage = Garbage::new(net.chance.bytes(LENGTH))?;
    let volume = garbage.store(&mut net).await?;
    // Members show what was committed: the garbage is not their fault.
    net.pass(ROUND * 3).await?;
    let burned = net.chain.account(Address::ZERO).await.map_err(Broken::chain)?.balance;
    let stripe = garbage.stripe_of(&net, volume).await?;
    let columns = [0, 1, 2, 3, SPOILED].map(|index| garbage.column(index)).to_vec();
    let call = IVolumes::voidMalformedCall { volume, stripe, chunk: CHUNK as u32, columns };
    let receipt = insist(async || net.client.sender().call(VOLUMES, U256::ZERO, &call).await).await?;
    net.pass(ROUND.max(time)).await?;
    ensure(net.watch.voided == 1, "evidence voids the stripe", || format!("{} were voided", net.watch.voided))?;
    let after = net.chain.account(Address::ZERO).await.map_err(Broken::chain)?.balance;
    ensure(after >= burned + storage().stripe_deposit, "its deposit is burned", || format!("{burned} became {after}"))?;
    notes.push(format!("evidence of one column took {} gas", receipt.gas_used));
    heal(&mut net).await?;
    Ok(net)
}

impl Garbage {
    fn new(content: Vec<u8>) -> Result<Self, Broken> {
        let code = erasure::Code::new(4, 4).map_err(failed)?;
        let encoded = erasure::encode_segment(&code, content.into()).map_err(failed)?;
        let mut fragments: Vec<Bytes> = encoded.fragments.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
        let mut spoiled = fragments[SPOILED].to_vec();
        spoiled[CHUNK * CHUNK_BYTES + 17] ^= 1;
        fragments[SPOILED] = spoiled.into();
        let roots: Vec<B256> = fragments.iter().map(|bytes| B256::from(*blake3::hash(bytes).as_bytes())).collect();
        Ok(Self { fragments, tree: Tree::new(&roots) })
    }

    fn proof(&self, index: usize) -> FragmentProof {
        let root = B256::from(*blake3::hash(&self.fragments[index]).as_bytes());
        FragmentProof { index: index as u16, root, path: self.tree.path(index).expect("within the tree") }
    }

    fn column(&self, index: usize) -> Column {
        let FragmentProof { index: at, root, path } = self.proof(index);
        let fragment = &self.fragments[index];
        Column {
            index: at,
            root,
            path,
            chunk: Bytes::copy_from_slice(&fragment[CHUNK * CHUNK_BYTES..][..CHUNK_BYTES]),
            chunkPath: chunk::path(Hash::Plain, fragment, CHUNK as u64).expect("a chunk of it"),
        }
    }

    /// Leases, stages with all members, collects receipts and commits, as a client does.
    async fn store(&self, net: &mut Net) -> Result<u32, Broken> {
        let territories = insist(async || net.client.list_territories().await).await?;
        let territory = territories.first().map(|territory| territory.id).unwrap_or_default();
        let chain = net.chain.clone();
        let open = Network(&*chain).open_volumes(0).await.map_err(Broken::chain)?;
        let volume = *open.first().ok_or_else(|| failed("no volume is open"))?;
        let now_ms = chain.head().await.map_err(Broken::chain)?.timestamp_ms;
        let lease = IVolumes::leaseCall {
            territory,
            volumes: vec![volume],
            columnBytes: 2 * storage().slot_bytes,
            untilMs: now_ms + 3_600_000,
        };
        insist(async || net.client.sender().call(VOLUMES, U256::ZERO, &lease).await).await?;
        net.pass(Duration::from_secs(20)).await?;
        let uploader = net.uploader();
        let members = Network(&*chain).volume_with_members(volume).await.map_err(Broken::chain)?.members;
        let endpoints: Vec<_> = members.into_iter().filter_map(|member| member.endpoint).collect();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let header = self.header(net, &uploader, territory, volume, index)?;
            let fragment = Fragment::new(self.fragments[index].clone().into());
            insist(async || uploader.stage(endpoint, header.clone(), fragment.clone(), DEADLINE).await).await?;
        }
        let expires_at_height = chain.head().await.map_err(Broken::chain)?.height + 100;
        let (sequence, fragments_root, length) = (1 << 40, self.tree.root(), LENGTH as u64);
        let segment = SignSegment { segment: self.segment(), fragments_root, length };
        let mut signatures = Vec::new();
        for endpoint in &endpoints {
            let sign = Sign { volume, territory, sequence, expires_at_height, segments: vec![segment] };
            let bytes = insist(async || uploader.sign(endpoint, sign.clone(), DEADLINE).await).await?;
            signatures.push(ReceiptSignature::from_bytes(&bytes).map_err(failed)?);
        }
        let signature = ReceiptSignature::aggregate(&signatures).map_err(failed)?;
        let batches = vec![Batch {
            volume,
            territory,
            sequence,
            expiresAtHeight: expires_at_height,
            stripes: vec![Stripe { fragmentsRoot: fragments_root, length }],
            signers: vec![0xff].into(),
            signature: signature.to_bytes().to_vec().into(),
        }];
        let price = Network(&*chain).commit_price(&batches).await.map_err(Broken::chain)?;
        let call = IVolumes::commitCall { batches, roots: Vec::new() };
        insist(async || net.client.sender().call(VOLUMES, price, &call).await).await?;
        Ok(volume)
    }

    fn segment(&self) -> B256 {
        segment_id(Profile::Devnet, LENGTH as u64, &self.tree.root())
    }

    fn header(
        &self,
        net: &Net,
        uploader: &MemoryTransport,
        territory: u64,
        volume: u32,
        index: usize,
    ) -> Result<StageHeader, Broken> {
        let permit = Permit { territory, uploader: uploader.id(), expiresMs: u64::MAX };
        let hash = permit::signing_hash(&permit, net.client.spec().chain_id);
        let signature = net.client.sender().signer().sign_hash_sync(&hash).map_err(failed)?;
        let (segment, profile, proof) = (self.segment(), Profile::Devnet, self.proof(index));
        Ok(StageHeader { permit, signature, volume, segment, profile, length: LENGTH as u64, proof })
    }

    /// The stripe with its place in the log, from events.
    async fn stripe_of(&self, net: &Net, volume: u32) -> Result<Release, Broken> {
        let topics =
            [Some(vec![IVolumes::Appended::SIGNATURE_HASH]), Some(vec![B256::from(U256::from(volume))]), None, None];
        let entries = net.chain.logs(LogFilter { from: 1, to: None, address: VOLUMES, topics }).await;
        let mut leaves = Vec::new();
        for entry in entries.map_err(Broken::chain)? {
            leaves.push(StripeLeaf::from(&IVolumes::Appended::decode_log(&entry.log).map_err(failed)?.data));
        }
        let segment = self.segment();
        let index = leaves.iter().position(|leaf| leaf.segment == segment).ok_or_else(|| failed("it is not there"))?;
        let leaf = &leaves[index];
        let leaf = Leaf {
            segment,
            territory: leaf.territory,
            offset: leaf.offset,
            fragmentBytes: leaf.fragment_bytes,
            length: leaf.length,
            committedAtMs: leaf.committed_at_ms,
            termEndMs: leaf.term_end_ms,
        };
        Ok(Release { index: index as u32, leaf, path: path(&leaves, index) })
    }
}

/// The siblings of a leaf in a log.
fn path(leaves: &[StripeLeaf], mut index: usize) -> [B256; LOG_DEPTH] {
    let mut level: Vec<B256> = leaves.iter().map(|leaf| merkle::leaf(&leaf.hash())).collect();
    std::array::from_fn(|height| {
        let empty = EMPTY[height];
        let sibling = level.get(index ^ 1).copied().unwrap_or(empty);
        level = level.chunks(2).map(|pair| merkle::node(&pair[0], pair.get(1).unwrap_or(&empty))).collect();
        index /= 2;
        sibling
    })
}
