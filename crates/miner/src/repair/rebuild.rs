//! Make one fragment again from those of other members.

use client::chain::OpenVolume;
use erasure::{Code, DecodeError, EncodeError, decode_segment, encode_segment};
use futures::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
use store::{FragmentKey, NewFragment, StageError};
use transport::{Fetch, Fragment, Transport};
use types::{
    Profile, StripeLeaf,
    merkle::Tree,
    segment::{FragmentProof, segment_id},
};

/// Longest wait for a fragment.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// A fragment cannot be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error("{found} of {needed} fragments of segment {segment} can be had")]
    TooFew { segment: types::SegmentId, found: usize, needed: usize },
    /// Its writer stored something else than a codeword.
    #[error("the fragments of segment {0} are no codeword: the writer has stored garbage")]
    Malformed(types::SegmentId),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("the work was interrupted")]
    Interrupted,
}

/// A fragment that was made again, with its place under the segment.
pub(crate) struct Rebuilt {
    profile: Profile,
    length: u64,
    proof: FragmentProof,
    fragment: Fragment,
}

impl Rebuilt {
    /// As the store takes it.
    pub(crate) fn of(self, key: FragmentKey, territory: u64) -> NewFragment {
        NewFragment {
            key,
            seat: self.proof.index,
            territory,
            profile: self.profile,
            length: self.length,
            root: self.proof.root,
            path: self.proof.path,
            expires_at_height: 0,
            hashes: self.fragment.groups().as_bytes().clone(),
            bytes: self.fragment.bytes().clone(),
        }
    }
}

/// Has the fragment of `seat` from its holder; nothing if that cannot give it.
pub(crate) async fn copy(
    transport: &dyn Transport,
    volume: &OpenVolume,
    seat: u16,
    leaf: &StripeLeaf,
) -> Option<Rebuilt> {
    let endpoint = volume.members.get(usize::from(seat))?.endpoint.as_ref()?;
    let fetch = Fetch { segment: leaf.segment, index: seat, range: None };
    let fetched = transport.fetch(endpoint, fetch, FETCH_TIMEOUT).await.ok()?;
    let fragment = Fragment::new(fetched.bytes);
    let is_whole = fetched.length == leaf.length && fragment.root() == fetched.proof.root;
    is_whole.then_some(Rebuilt { profile: fetched.profile, length: fetched.length, proof: fetched.proof, fragment })
}

/// Makes the fragment of `seat` from `k` others, each verified against the segment, and the result as well.
pub(crate) async fn rebuild(
    transport: &dyn Transport,
    code: Code,
    volume: &OpenVolume,
    seat: u16,
    leaf: &StripeLeaf,
) -> Result<Rebuilt, RebuildError> {
    let needed = code.data();
    let mut others = volume.members.iter().zip(0u16..).filter(|(_, index)| *index != seat);
    let ask = |(member, index): (&client::chain::Member, u16)| {
        let endpoint = member.endpoint.clone();
        async move {
            let fetch = Fetch { segment: leaf.segment, index, range: None };
            let fetched = transport.fetch(&endpoint?, fetch, FETCH_TIMEOUT).await.ok()?;
            (fetched.length == leaf.length).then(|| (usize::from(index), fetched.bytes))
        }
    };
    let mut asking: FuturesUnordered<_> = others.by_ref().take(needed).map(ask).collect();
    let mut fragments = Vec::with_capacity(needed);
    while let Some(answer) = asking.next().await {
        match answer {
            Some(fragment) => fragments.push(fragment),
            None => asking.extend(others.next().map(ask)),
        }
    }
    if fragments.len() < needed {
        return Err(RebuildError::TooFew { segment: leaf.segment, found: fragments.len(), needed });
    }
    let (profile, length, segment) = (volume.profile, leaf.length, leaf.segment);
    let made = offload::run(move || {
        let encoded = encode_segment(&code, decode_segment(&code, length, &fragments)?)?;
        let roots: Vec<_> = encoded.roots.iter().map(|root| alloy_primitives::B256::from(*root.as_bytes())).collect();
        let tree = Tree::new(&roots);
        if segment_id(profile, length, &tree.root()) != segment {
            return Err(RebuildError::Malformed(segment));
        }
        let at = usize::from(seat);
        let path = tree.path(at).ok_or(RebuildError::Malformed(segment))?;
        let proof = FragmentProof { index: seat, root: roots[at], path };
        Ok(Rebuilt { profile, length, proof, fragment: Fragment::new(encoded.fragments[at].clone()) })
    });
    made.await.map_err(|_| RebuildError::Interrupted)?
}
