//! Find segments that their writer made wrong, and show the chain.
//!
//! # Design
//! Members cannot tell whether the fragments of a segment belong together: each sees its own, which fits its root. A
//! reader that has more than `k` of them can: any `k` make all others. One column of 1 KiB in which they contradict each
//! other is evidence that the chain checks by itself (`docs/spec/repair.md`), and voids the stripe.

use crate::{
    ChainError, Client, ReleaseError, SendError, chain::OpenVolume, get::GetError, index::SegmentRef, read::code,
};
use alloy_primitives::U256;
use bytes::Bytes;
use erasure::Code;
use futures::{StreamExt, stream};
use proofs::chunk::{self, CHUNK_BYTES, Hash};
use std::{collections::BTreeMap, time::Duration};
use transport::{Fetch, FragmentReply, Request, Response, Transport};
use types::{
    SegmentId,
    abi::{Column, IVolumes, VOLUMES},
    segment::FragmentProof,
};

/// Longest wait for a fragment.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);
/// Fragments that are fetched at the same time.
const FETCHES_AT_ONCE: usize = 8;

/// Why a segment could not be examined or reported.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The object cannot be found.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The chain does not take the evidence.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The stripe's place in its volume's log cannot be shown.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// A fragment with its place under its segment, both verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFragment {
    /// Its place.
    pub proof: FragmentProof,
    /// All of its bytes.
    pub bytes: Bytes,
}

/// A column in which the fragments of a segment contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Which chunk of 1 KiB.
    pub chunk: u32,
    /// That chunk of `k` fragments and, last, of the one that they contradict.
    pub columns: Vec<Column>,
}

/// What examining a segment has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examined {
    /// All fragments that could be had make one codeword; how many there were. `k` or fewer show nothing.
    Sound {
        /// Fragments that verified.
        fragments: usize,
    },
    /// Its fragments are no codeword, and the stripe was voided on the chain.
    Voided,
    /// No volume has it: it was released or voided before.
    Gone,
}

/// Looks for a column in which fragments of one segment contradict each other; there has to be one more than `k`.
pub fn contradiction(code: &Code, fragments: &[HeldFragment]) -> Option<Contradiction> {
    let (sources, others) = fragments.split_at_checked(code.data())?;
    let present: Vec<usize> = sources.iter().map(|fragment| fragment.proof.index.into()).collect();
    let wanted: Vec<usize> = others.iter().map(|fragment| fragment.proof.index.into()).collect();
    let plan = code.reconstruct(&present, &wanted).ok()?;
    let length = sources.first()?.bytes.len();
    if fragments.iter().any(|fragment| fragment.bytes.len() != length) {
        return None;
    }
    let mut rebuilt = vec![vec![0; length]; others.len()];
    let bytes: Vec<&[u8]> = sources.iter().map(|fragment| &*fragment.bytes).collect();
    let mut outputs: Vec<&mut [u8]> = rebuilt.iter_mut().map(Vec::as_mut_slice).collect();
    plan.apply(&bytes, &mut outputs).ok()?;
    let (bad, at) = others.iter().zip(&rebuilt).find_map(|(fragment, made)| {
        let at = fragment.bytes.iter().zip(made).position(|(byte, expected)| byte != expected)?;
        Some((fragment, at / CHUNK_BYTES))
    })?;
    let columns = sources.iter().chain([bad]).map(|fragment| column(fragment, at));
    Some(Contradiction { chunk: u32::try_from(at).ok()?, columns: columns.collect::<Option<_>>()? })
}

/// A chunk of a fragment with its paths.
fn column(fragment: &HeldFragment, at: usize) -> Option<Column> {
    let HeldFragment { proof, bytes } = fragment;
    Some(Column {
        index: proof.index,
        root: proof.root,
        path: proof.path.clone(),
        chunk: Bytes::copy_from_slice(bytes.get(at * CHUNK_BYTES..(at + 1) * CHUNK_BYTES)?).into(),
        chunkPath: chunk::path(Hash::Plain, bytes, at as u64)?,
    })
}

impl Client {
    /// Examines every segment of an object, and has the chain void those that are no codewords. Reads all fragments.
    pub async fn report_object(&self, bucket: &str, key: &str) -> Result<Vec<(SegmentId, Examined)>, EvidenceError> {
        let segments: BTreeMap<SegmentId, SegmentRef> =
            self.extents(bucket, key).await?.into_iter().map(|extent| (extent.segment.id, extent.segment)).collect();
        let mut examined = Vec::with_capacity(segments.len());
        for (id, segment) in segments {
            examined.push((id, self.report_segment(segment.volume, id).await?));
        }
        Ok(examined)
    }

    /// Examines a segment of a volume, and has the chain void its stripe if it is no codeword. Anybody may.
    pub async fn report_segment(&self, volume: u32, segment: SegmentId) -> Result<Examined, EvidenceError> {
        let Some(stripe) = self.release_of(volume, segment).await? else { return Ok(Examined::Gone) };
        let members = self.directory().volume(volume).await?;
        let fragments = all_fragments(&**self.transport(), &members, segment, stripe.leaf.length).await;
        let code = code(members.profile);
        let found = fragments.len();
        let work = tokio::task::spawn_blocking(move || contradiction(&code, &fragments));
        let Some(Contradiction { chunk, columns }) = work.await.expect("comparing does not panic") else {
            return Ok(Examined::Sound { fragments: found });
        };
        let call = IVolumes::voidMalformedCall { volume, stripe, chunk, columns };
        match self.sender().call(VOLUMES, U256::ZERO, &call).await {
            Ok(_) => Ok(Examined::Voided),
            // Somebody else was faster.
            Err(error) if error.is_revert::<IVolumes::AlreadyReleased>() => Ok(Examined::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

/// Every fragment of a segment that a member has, whole and verified, by seat.
pub async fn all_fragments(
    transport: &dyn Transport,
    volume: &OpenVolume,
    segment: SegmentId,
    length: u64,
) -> Vec<HeldFragment> {
    let asked = volume.members.iter().zip(0u16..).map(|(member, index)| {
        let endpoint = member.endpoint.clone();
        async move {
            let fetch = Request::Fetch(Fetch { segment, index, range: None });
            // What a transport answers was verified under the segment.
            match transport.request(&endpoint?, fetch, FETCH_TIMEOUT).await.ok()? {
                Response::Fragment(reply) if reply.length == length => Some(held(reply)),
                _ => None,
            }
        }
    });
    let asked: Vec<_> = asked.collect();
    stream::iter(asked).buffered(FETCHES_AT_ONCE).filter_map(async |fragment| fragment).collect().await
}

fn held(reply: FragmentReply) -> HeldFragment {
    HeldFragment { proof: reply.proof, bytes: reply.bytes }
}
