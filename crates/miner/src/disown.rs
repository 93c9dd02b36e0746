//! Sign that a stripe is no codeword: only what this miner has found out itself.
//!
//! # Design
//! A writer may commit roots of fragments that never were: then nobody can show what contradicts the others, and the word of a
//! write quorum counts instead. A member believes no other. It makes all fragments again from `k` verified ones, notes their
//! root whatever it is, and signs if that is the root asked for and not the segment's. Finding out costs `k` fragments, so it
//! does so for members only, for one stripe at a time and once for each.

use crate::{
    notes,
    rebuild::RebuildError,
    service::{MinerService, busy, chain_refusal, refuse, store_refusal, unavailable},
};
use alloy_primitives::B256;
use client::chain::Network;
use transport::{
    Disown, Refusal,
    RefusalReason::{NotMember, Unavailable, Unknown, WrongFragment},
};
use types::{StripeLeaf, bls, repair::Ghost, segment::segment_id};

impl MinerService {
    /// Our signature that a stripe's fragments are others than its writer committed.
    pub(crate) async fn disown(&self, from: B256, disown: &Disown) -> Result<[u8; bls::SIGNATURE_BYTES], Refusal> {
        let Disown { volume, index, rebuilt } = *disown;
        let (_, profile) = self.membership(volume)?;
        let leaf = self.leaf(volume, index).await?;
        let made = match self.store.note(notes::remade_key(volume, index)).await.map_err(store_refusal)? {
            Some(note) => B256::try_from(&note[..]).map_err(|error| unavailable("a note is damaged")(&error))?,
            None => self.find_out(from, volume, index, leaf).await?,
        };
        if segment_id(profile, leaf.length, &made) == leaf.segment {
            return refuse(WrongFragment, "the fragments are those that were committed");
        }
        if made != rebuilt {
            return refuse(WrongFragment, "the fragments that are here make another root");
        }
        let (chain_id, segment) = (self.spec.chain_id, leaf.segment);
        let ghost = Ghost { chain_id, volume, index, segment, rebuilt };
        Ok(self.receipt_key.sign(&ghost.message()).to_bytes())
    }

    /// A leaf of a log that this miner follows.
    pub(crate) async fn leaf(&self, volume: u32, index: u32) -> Result<StripeLeaf, Refusal> {
        let note = self.store.note(notes::leaf_key(volume, index)).await.map_err(store_refusal)?;
        let Some(note) = note else { return refuse(Unknown, "there is no such stripe") };
        notes::read_leaf(&note).ok_or_else(|| Refusal::new(Unavailable, "a leaf is damaged"))
    }

    /// The root over all fragments of a stripe as verified ones make them, noted.
    async fn find_out(&self, from: B256, volume: u32, index: u32, leaf: StripeLeaf) -> Result<B256, Refusal> {
        let network = Network(&*self.chain);
        let members = network.volume_with_members(volume).await.map_err(chain_refusal)?;
        let mut endpoints = members.members.iter().filter_map(|member| member.endpoint.as_ref());
        if !endpoints.any(|endpoint| endpoint.id() == from) {
            return refuse(NotMember, "only members of the volume may ask");
        }
        let positions = network.positions(&[(volume, leaf.segment)]).await.map_err(chain_refusal)?;
        if positions.first() != Some(&index.saturating_add(1)) {
            return refuse(Unknown, "the stripe is gone");
        }
        let Ok(turn) = self.finding_out.clone().try_lock_owned() else { return busy("another stripe is looked at") };
        let (rebuilder, store) = (self.rebuilder.clone(), self.store.clone());
        // What was found out is noted even if the peer hangs up: it asks again.
        let work = tokio::spawn(async move {
            let _turn = turn;
            let made = rebuilder.remake(&members, None, index, &leaf).await?.root();
            store.update(vec![notes::put_remade(volume, index, made)]).await.map_err(store::StageError::from)?;
            Ok::<_, RebuildError>(made)
        });
        match work.await {
            Ok(made) => made.map_err(|error| unavailable("the stripe cannot be rebuilt")(&error)),
            Err(error) => Err(unavailable("the work was interrupted")(&error)),
        }
    }
}
