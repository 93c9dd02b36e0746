//! Make fragments again from those of other members.
//!
//! # Design
//! A transport hands out only what was verified under the segment, and what comes from our own disk is hashed before it is
//! used. So `k` fragments decide what all others must be: what is made of them is encoded again, and either makes the
//! segment's identity or shows that its writer stored no codeword.

use alloy_primitives::B256;
use bytes::Bytes;
use client::{
    chain::{Member, OpenVolume},
    code,
    evidence::HeldFragment,
};
use erasure::{DecodeError, EncodeError, decode_segment, encode_segment};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{sync::Arc, time::Duration};
use store::{FragmentKey, NewFragment, StageError, Store};
use transport::{Fetch, Fragment, Transport};
use types::{
    Profile, SegmentId, StripeLeaf,
    merkle::Tree,
    segment::{FragmentProof, segment_id},
};

/// Longest wait for a fragment.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// A fragment cannot be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error("{found} of {needed} fragments of segment {segment} can be had")]
    TooFew { segment: SegmentId, found: usize, needed: usize },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("the work was interrupted")]
    Interrupted,
}

/// A fragment with its place under the segment, both verified.
#[derive(Clone, Debug)]
pub(crate) struct Rebuilt {
    pub(crate) profile: Profile,
    pub(crate) length: u64,
    pub(crate) proof: FragmentProof,
    pub(crate) fragment: Fragment,
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

/// All fragments as `k` verified ones have them.
pub(crate) struct Remade {
    profile: Profile,
    length: u64,
    segment: SegmentId,
    fragments: Vec<Bytes>,
    roots: Vec<B256>,
    tree: Tree,
}

impl Remade {
    /// Makes all fragments from `k` of them.
    pub(crate) fn new(profile: Profile, leaf: &StripeLeaf, sources: &[(usize, Bytes)]) -> Result<Self, RebuildError> {
        let (code, length, segment) = (code(profile), leaf.length, leaf.segment);
        let encoded = encode_segment(&code, decode_segment(&code, length, sources)?)?;
        let roots: Vec<_> = encoded.roots.iter().map(|root| B256::from(*root.as_bytes())).collect();
        let tree = Tree::new(&roots);
        Ok(Self { profile, length, segment, fragments: encoded.fragments, roots, tree })
    }

    /// Merkle root over all of them.
    pub(crate) fn root(&self) -> B256 {
        self.tree.root()
    }

    /// Whether they are what the segment's writer committed.
    pub(crate) fn is_segment(&self) -> bool {
        segment_id(self.profile, self.length, &self.root()) == self.segment
    }

    /// One of them; nothing unless all are the segment's.
    pub(crate) fn into_fragment(self, seat: u16) -> Option<Rebuilt> {
        if !self.is_segment() {
            return None;
        }
        let at = usize::from(seat);
        let (root, path) = (*self.roots.get(at)?, self.tree.path(at)?);
        let proof = FragmentProof { index: seat, root, path };
        let fragment = Fragment::new(self.fragments.get(at)?.clone());
        Some(Rebuilt { profile: self.profile, length: self.length, proof, fragment })
    }
}

/// Makes fragments of one miner's volumes again.
#[derive(Clone)]
pub(crate) struct Rebuilder {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
}

impl Rebuilder {
    /// Has the fragment of `seat` from its holder; nothing if that cannot give it.
    pub(crate) async fn copy(&self, volume: &OpenVolume, seat: u16, leaf: &StripeLeaf) -> Option<Rebuilt> {
        let endpoint = volume.members.get(usize::from(seat))?.endpoint.as_ref()?;
        let fetch = Fetch { segment: leaf.segment, index: seat, range: None };
        let fetched = self.transport.fetch(endpoint, fetch, FETCH_TIMEOUT).await.ok()?;
        let fragment = Fragment::new(fetched.bytes);
        let is_whole = fetched.length == leaf.length && fragment.root() == fetched.proof.root;
        is_whole.then_some(Rebuilt { profile: fetched.profile, length: fetched.length, proof: fetched.proof, fragment })
    }

    /// Makes all fragments of the stripe at `index` from `k` of them, but not that of `seat`.
    pub(crate) async fn remake(
        &self,
        volume: &OpenVolume,
        seat: Option<u16>,
        index: u32,
        leaf: &StripeLeaf,
    ) -> Result<Remade, RebuildError> {
        let sources = self.sources(volume, seat, index, leaf).await?;
        let (profile, leaf) = (volume.profile, *leaf);
        let made = offload::run(move || Remade::new(profile, &leaf, &sources));
        made.await.map_err(|_| RebuildError::Interrupted)?
    }

    /// `k` verified fragments: our own, and those of others from a seat on that differs from stripe to stripe.
    async fn sources(
        &self,
        volume: &OpenVolume,
        seat: Option<u16>,
        index: u32,
        leaf: &StripeLeaf,
    ) -> Result<Vec<(usize, Bytes)>, RebuildError> {
        let needed = usize::from(volume.profile.data());
        let own = self.own(volume.id, leaf).await.filter(|own| Some(own.proof.index) != seat);
        let mut fragments: Vec<_> = own.into_iter().map(|own| (usize::from(own.proof.index), own.bytes)).collect();
        let seats = volume.members.len().max(1);
        let mut others =
            (0..seats).map(|at| (at + index as usize) % seats).filter(|at| Some(*at) != seat.map(usize::from));
        let ask = |at: usize| {
            let endpoint = self.other(volume.members.get(at));
            async move {
                let fetch = Fetch { segment: leaf.segment, index: at as u16, range: None };
                let fetched = self.transport.fetch(&endpoint?, fetch, FETCH_TIMEOUT).await.ok()?;
                (fetched.length == leaf.length).then_some((at, fetched.bytes))
            }
        };
        let mut asking: FuturesUnordered<_> = others.by_ref().take(needed - fragments.len()).map(ask).collect();
        while let Some(answer) = asking.next().await {
            match answer {
                Some(fragment) => fragments.push(fragment),
                None => asking.extend(others.next().map(ask)),
            }
        }
        match fragments.len() {
            found if found < needed => Err(RebuildError::TooFew { segment: leaf.segment, found, needed }),
            _ => Ok(fragments),
        }
    }

    /// Where a member is reached that is not this miner.
    fn other(&self, member: Option<&Member>) -> Option<types::Endpoint> {
        let endpoint = member?.endpoint.as_ref()?;
        (endpoint.id() != self.transport.local_id()).then(|| endpoint.clone())
    }

    /// Our own fragment of a segment, if it is here and what it should be.
    pub(crate) async fn own(&self, volume: u32, leaf: &StripeLeaf) -> Option<HeldFragment> {
        let read = self.store.read(FragmentKey { segment: leaf.segment, volume }, None).await.ok()??;
        let root = Fragment::new(read.bytes.clone()).root();
        let is_whole = root == read.record.root && read.record.length == leaf.length;
        is_whole.then(|| HeldFragment { proof: read.record.proof(), bytes: read.bytes })
    }
}
