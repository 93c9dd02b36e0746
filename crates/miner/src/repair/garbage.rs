//! Show the chain that a stripe is no codeword.
//!
//! # Design
//! `k` verified fragments that do not make the segment's identity contradict some other fragment. Where a member has that,
//! one column of chunks shows it, and the chain judges by itself. Where nobody has it, the writer named a fragment that never
//! was: a write quorum of members, each of which finds out by itself, signs for what there is instead.

use super::{Chair, RepairError, Repairer};
use crate::rebuild::{RebuildError, Remade};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use client::{
    chain::{Member, Network, OpenVolume},
    code,
    evidence::{Contradiction, all_fragments, contradiction},
};
use futures::{StreamExt, stream};
use std::time::Duration;
use store::FragmentKey;
use transport::{Disown, Refusal, RefusalReason, RequestError};
use types::{
    ReceiptSignature, SegmentId,
    abi::{IVolumes, VOLUMES},
    repair::Ghost,
};

/// Longest wait for a member to find out.
const DISOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// Members that find out at the same time, and how often one is asked that is busy.
const MEMBERS_AT_ONCE: usize = 8;
const ASKED_MAX: usize = 4;

/// Chain time after which a stripe is looked at again that the chain has not voided.
const AGAIN_MS: u64 = 60_000;

/// What verified fragments show together.
enum Evidence {
    /// One contradicts others.
    Contradiction(Contradiction),
    /// They go together, and make others than were committed, with this root.
    Ghost(B256),
    None,
}

impl Repairer {
    /// Whether a stripe was found to be garbage a short while ago.
    pub(super) fn is_known_garbage(&self, key: &FragmentKey) -> bool {
        let now_ms = self.state.lock().now_ms;
        self.garbage.get(key).is_some_and(|again_at_ms| now_ms < *again_at_ms)
    }

    /// Has the chain void a stripe that is no codeword. Nothing is noted: while the chain has the stripe it is missing here,
    /// and found out again after a restart.
    pub(super) async fn accuse(
        &mut self,
        chair: &Chair,
        members: &OpenVolume,
        index: u32,
        key: FragmentKey,
    ) -> Result<(), RepairError> {
        if self.is_known_garbage(&key) {
            return Ok(());
        }
        let volume = chair.volume;
        let again_at_ms = self.state.lock().now_ms.saturating_add(AGAIN_MS);
        self.garbage.insert(key, again_at_ms);
        let position = Network(&*self.chain).positions(&[(volume, key.segment)]).await?;
        if position.first() != Some(&index.saturating_add(1)) {
            // Somebody else was faster.
            return Ok(());
        }
        let leaf = self.leaf(volume, index).await?;
        let mut fragments = all_fragments(&*self.rebuilder.transport, members, key.segment, leaf.length).await;
        fragments.retain(|fragment| fragment.proof.index != chair.seat);
        fragments.extend(self.rebuilder.own(volume, &leaf).await);
        let (profile, needed) = (chair.profile, usize::from(chair.profile.data()));
        if fragments.len() < needed {
            let (segment, found) = (key.segment, fragments.len());
            return Err(RebuildError::TooFew { segment, found, needed }.into());
        }
        let judged = offload::run(move || match contradiction(&code(profile), &fragments) {
            Some(found) => Ok(Evidence::Contradiction(found)),
            None => {
                let sources: Vec<_> = fragments.into_iter().map(|held| (held.proof.index.into(), held.bytes)).collect();
                let made = Remade::new(profile, &leaf, &sources[..needed])?;
                Ok(if made.is_segment() { Evidence::None } else { Evidence::Ghost(made.root()) })
            }
        });
        match judged.await.map_err(|_| RebuildError::Interrupted)?.map_err(RepairError::Rebuild)? {
            Evidence::Contradiction(found) => self.void_malformed(volume, index, found).await,
            Evidence::Ghost(rebuilt) => self.void_ghost(chair, members, index, rebuilt).await,
            // Who contradicted the others a moment ago does not answer any more: it is tried again.
            Evidence::None => Ok(()),
        }
    }

    /// Has other members find out as well, and shows the chain what they sign.
    async fn void_ghost(
        &self,
        chair: &Chair,
        members: &OpenVolume,
        index: u32,
        rebuilt: B256,
    ) -> Result<(), RepairError> {
        let volume = chair.volume;
        let Some(stripe) = self.shown(volume, &[index]).await?.pop() else { return Err(RepairError::Log(volume)) };
        let (chain_id, segment) = (self.chain.spec().await?.chain_id, stripe.leaf.segment);
        let message = Ghost { chain_id, volume, index, segment, rebuilt }.message();
        let asked: Vec<_> =
            members.members.iter().map(|member| self.signed_by(member, volume, index, &message, rebuilt)).collect();
        let signed: Vec<_> = stream::iter(asked).buffered(MEMBERS_AT_ONCE).collect().await;
        let mut signers = vec![0u8; members.members.len().div_ceil(8)];
        for (seat, _) in signed.iter().enumerate().filter(|(_, signature)| signature.is_some()) {
            signers[seat / 8] |= 1 << (seat % 8);
        }
        let signatures: Vec<_> = signed.into_iter().flatten().collect();
        let (signed, needed) = (signatures.len(), usize::from(chair.profile.write_quorum()));
        if signed < needed {
            tracing::warn!(volume, index, %segment, signed, needed, "a stripe is no codeword, and too few say so yet");
            return Ok(());
        }
        let signature = ReceiptSignature::aggregate(&signatures).expect("a quorum is somebody").to_bytes();
        let (signers, signature) = (signers.into(), signature.to_vec().into());
        let call = IVolumes::voidGhostCall { volume, stripe, rebuilt, signers, signature };
        self.void(volume, index, segment, &call).await
    }

    /// A member's signature, verified: garbage would spoil the sum.
    async fn signed_by(
        &self,
        member: &Member,
        volume: u32,
        index: u32,
        message: &B256,
        rebuilt: B256,
    ) -> Option<ReceiptSignature> {
        let (endpoint, key) = (member.endpoint.as_ref()?, member.receipt_key?);
        if key == self.receipt_key.public() {
            return Some(self.receipt_key.sign(message));
        }
        for _ in 0..ASKED_MAX {
            let disown = Disown { volume, index, rebuilt };
            match self.rebuilder.transport.disown(endpoint, disown, DISOWN_TIMEOUT).await {
                Ok(bytes) => {
                    return ReceiptSignature::from_bytes(&bytes)
                        .ok()
                        .filter(|signature| key.verify(message, signature));
                }
                Err(RequestError::Refused(Refusal { reason: RefusalReason::Busy { retry_after_ms }, .. })) => {
                    tokio::time::sleep(Duration::from_millis(retry_after_ms.into())).await;
                }
                Err(error) => {
                    tracing::debug!(miner = member.miner, volume, index, %error, "does not disown the stripe");
                    return None;
                }
            }
        }
        None
    }

    async fn void_malformed(&self, volume: u32, index: u32, found: Contradiction) -> Result<(), RepairError> {
        let Some(stripe) = self.shown(volume, &[index]).await?.pop() else { return Err(RepairError::Log(volume)) };
        let segment = stripe.leaf.segment;
        let Contradiction { chunk, columns } = found;
        let call = IVolumes::voidMalformedCall { volume, stripe, chunk, columns };
        self.void(volume, index, segment, &call).await
    }

    async fn void<C: SolCall>(&self, volume: u32, index: u32, segment: SegmentId, call: &C) -> Result<(), RepairError> {
        match self.sender.call(VOLUMES, U256::ZERO, call).await {
            Ok(_) => tracing::warn!(volume, index, %segment, "the fragments are no codeword: the stripe is voided"),
            // Somebody else was faster.
            Err(error) if error.is_revert::<IVolumes::AlreadyReleased>() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
