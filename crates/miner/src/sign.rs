//! Sign for a batch: only what is on disk, and only after it is bound to stay.

use crate::{
    service::{MinerService, chain_refusal, refuse, store_refusal},
    staging::MARGIN_BLOCKS,
};
use client::chain::Network;
use store::{Change, FragmentKey};
use transport::{
    Refusal,
    RefusalReason::{InvalidExpiry, NotStaged, WrongFragment},
    Sign,
};
use types::{
    Profile, bls,
    receipt::{Receipt, batch_root},
    segment::segment_id,
};

impl MinerService {
    /// The receipt of a batch. Before it goes out, the fragments are bound to stay until no commit can use it.
    pub(crate) async fn sign(&self, sign: &Sign) -> Result<[u8; bls::SIGNATURE_BYTES], Refusal> {
        let (_, profile) = self.membership(sign.volume)?;
        check_segments(sign, profile)?;
        self.check_expiry(sign.expires_at_height).await?;
        let key = |segment: &transport::SignSegment| FragmentKey { segment: segment.segment, volume: sign.volume };
        let keys: Vec<_> = sign.segments.iter().map(key).collect();
        let until_height = sign.expires_at_height.saturating_add(MARGIN_BLOCKS);
        self.hold(&keys, sign.territory, until_height).await?;
        let segments: Vec<_> = sign.segments.iter().map(|segment| segment.segment).collect();
        let receipt = Receipt {
            chain_id: self.spec.chain_id,
            volume: sign.volume,
            territory: sign.territory,
            sequence: sign.sequence,
            batch_root: batch_root(&segments),
            expires_at_height: sign.expires_at_height,
        };
        Ok(self.receipt_key.sign(&receipt.message()).to_bytes())
    }

    async fn check_expiry(&self, expires_at_height: u64) -> Result<(), Refusal> {
        let height = Network(&*self.chain).stamp().await.map_err(chain_refusal)?.height;
        let last = height.saturating_add(self.spec.storage.receipt_expiry_max_blocks);
        if expires_at_height <= height || expires_at_height > last {
            return refuse(InvalidExpiry, format!("a receipt must expire between {} and {last}", height + 1));
        }
        Ok(())
    }

    /// Binds fragments to stay: first in memory, where it is decided what goes, then on disk.
    async fn hold(&self, keys: &[FragmentKey], territory: u64, until_height: u64) -> Result<(), Refusal> {
        let _turn = self.turn.read().await;
        {
            let mut state = self.state.lock();
            // One that is kept already must not be signed for: released, it would be owed again by a second commit.
            if let Some(absent) = keys.iter().find(|key| !state.staging.is_durable(key, territory)) {
                return refuse(NotStaged, absent.segment.to_string());
            }
            state.staging.hold(keys, until_height);
        }
        let changes = keys.iter().map(|key| Change::Hold { key: *key, until_height }).collect();
        self.store.update(changes).await.map_err(store_refusal)
    }
}

fn check_segments(sign: &Sign, profile: Profile) -> Result<(), Refusal> {
    for segment in &sign.segments {
        if segment_id(profile, segment.length, &segment.fragments_root) != segment.segment {
            return refuse(WrongFragment, "a segment's id does not follow from its parts");
        }
    }
    Ok(())
}
