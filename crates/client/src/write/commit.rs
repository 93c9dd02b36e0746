//! Collect receipts for staged segments and put them into the chain, with or without a new bucket root.

use super::{Session, Staged, WriteError};
use crate::{
    ChainError, SendError,
    chain::{Network, OpenVolume},
    index::SegmentRef,
    progress::{Event, Progress},
};
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolInterface;
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;
use transport::{RequestError, Sign, SignSegment};
use types::{
    ReceiptSignature, SegmentId,
    abi::{
        BATCH_STRIPES_MAX, Batch, IBuckets,
        IVolumes::{self, IVolumesErrors as Refused},
        RootUpdate, Stripe, VOLUMES,
    },
    bls::verify_aggregate,
    layout::{buckets::BucketQuery, volumes::SequenceQuery},
    receipt::{Receipt, batch_root},
};

/// Attempts at one commit, each after mending what the last one failed for.
const ATTEMPTS_MAX: usize = 12;
/// Looks at the state for a commit that another node has told of.
const CONFIRM_ATTEMPTS: usize = 10;
/// Most stripes of one transaction: about 10 of the 16 million gas that it may take.
const TRANSACTION_STRIPES_MAX: usize = 256;

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) transactions: Vec<B256>,
    /// The segments that are in the chain by it, by their numbers, with the volumes they came to lie in.
    pub(crate) segments: Vec<(usize, SegmentRef)>,
    /// Whether a member of some stripe did not sign.
    pub(crate) degraded: bool,
}

/// Why a commit has to be prepared anew, or cannot be done.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The bucket has another root by now.
    RootChanged,
    /// A segment is in another volume now, and the index pages say the old one.
    Moved,
    Failed(WriteError),
}

impl<E: Into<WriteError>> From<E> for CommitError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Too few members of a volume signed.
struct NoReceipts {
    volume: u32,
    reason: String,
}

impl Session {
    /// Commits segments; those that are in the chain afterwards are taken out of `staged`.
    pub(crate) async fn commit(
        &self,
        staged: &mut Vec<Staged>,
        root: Option<&RootUpdate>,
        progress: &Progress,
    ) -> Result<Committed, CommitError> {
        let mut committed = Committed::default();
        let mut moved = false;
        let mut last = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let whole = staged.len() <= TRANSACTION_STRIPES_MAX;
            let count = staged.len().min(TRANSACTION_STRIPES_MAX);
            let root = root.filter(|_| whole);
            let (batches, unsigned) = self.receipts(&staged[..count]).await?;
            if !unsigned.is_empty() {
                last = unsigned[0].reason.clone();
                for NoReceipts { volume, .. } in unsigned {
                    self.empty_volume(staged, volume, progress).await?;
                    moved = true;
                }
                if moved && root.is_some() {
                    return Err(CommitError::Moved);
                }
                continue;
            }
            match self.send(batches, root).await {
                Ok((transaction, degraded)) => {
                    committed.transactions.push(transaction);
                    committed.degraded |= degraded;
                    for done in staged.drain(..count) {
                        self.allocator.committed(done.segment.volume, done.fragment_bytes).await;
                        committed.segments.push((done.number, done.segment));
                        progress.event(Event::Committed(done.segment.length.into()));
                    }
                    if whole {
                        return Ok(committed);
                    }
                }
                Err(error) => {
                    last = error.to_string();
                    moved |= self.mend(error, staged, &mut committed, progress).await?;
                    if moved && root.is_some() {
                        return Err(CommitError::Moved);
                    }
                }
            }
        }
        Err(WriteError::Stuck(last).into())
    }

    /// Receipts for all segments, in batches that the same members signed; and the volumes that gave too few.
    async fn receipts(&self, staged: &[Staged]) -> Result<(Vec<Batch>, Vec<NoReceipts>), WriteError> {
        let mut groups: BTreeMap<(u32, &BTreeSet<u16>), Vec<&Staged>> = BTreeMap::new();
        for one in staged {
            groups.entry((one.segment.volume, &one.seats)).or_default().push(one);
        }
        let head = self.sender.chain().head().await?;
        let expires_at_height = head.height + (self.spec.storage.receipt_expiry_max_blocks * 3 / 4).max(1);
        let batches = groups
            .into_iter()
            .flat_map(|((volume, seats), group)| {
                let chunks: Vec<Vec<&Staged>> = group.chunks(BATCH_STRIPES_MAX).map(<[_]>::to_vec).collect();
                chunks.into_iter().map(move |chunk| (volume, seats, chunk))
            })
            .map(|(volume, seats, chunk)| self.batch(volume, seats, chunk, expires_at_height));
        let (mut signed, mut unsigned) = (Vec::new(), Vec::new());
        for batch in join_all(batches).await {
            match batch? {
                Ok(batch) => signed.push(batch),
                Err(none) if unsigned.iter().all(|other: &NoReceipts| other.volume != none.volume) => {
                    unsigned.push(none);
                }
                Err(_) => {}
            }
        }
        Ok((signed, unsigned))
    }

    async fn batch(
        &self,
        volume: u32,
        seats: &BTreeSet<u16>,
        staged: Vec<&Staged>,
        expires_at_height: u64,
    ) -> Result<Result<Batch, NoReceipts>, WriteError> {
        let sign = Sign {
            volume,
            territory: self.territory,
            sequence: self.next_sequence(),
            expires_at_height,
            segments: staged.iter().map(|staged| sign_segment(staged)).collect(),
        };
        let members = self.directory.volume(volume).await?;
        let message = self.message(&sign);
        let (signatures, reason) = self.signatures(&members, seats, &sign, &message).await;
        if signatures.len() < usize::from(self.profile.write_quorum()) {
            return Ok(Err(NoReceipts { volume, reason }));
        }
        let mut signers = vec![0u8; usize::from(self.profile.total()).div_ceil(8)];
        for seat in signatures.keys() {
            signers[usize::from(*seat) / 8] |= 1 << (seat % 8);
        }
        let points: Vec<_> = signatures.into_values().collect();
        let aggregate = ReceiptSignature::aggregate(&points).expect("a quorum is not empty");
        Ok(Ok(Batch {
            volume,
            territory: self.territory,
            sequence: sign.sequence,
            expiresAtHeight: expires_at_height,
            stripes: staged
                .iter()
                .map(|staged| Stripe { fragmentsRoot: staged.fragments_root, length: staged.segment.length.into() })
                .collect(),
            signers: signers.into(),
            signature: Bytes::copy_from_slice(&aggregate.to_bytes()),
        }))
    }

    fn message(&self, sign: &Sign) -> B256 {
        let segments: Vec<SegmentId> = sign.segments.iter().map(|segment| segment.segment).collect();
        Receipt {
            chain_id: self.spec.chain_id,
            volume: sign.volume,
            territory: sign.territory,
            sequence: sign.sequence,
            batch_root: batch_root(&segments),
            expires_at_height: sign.expires_at_height,
        }
        .message()
    }

    /// The members' signatures that verify, by seat.
    async fn signatures(
        &self,
        members: &OpenVolume,
        seats: &BTreeSet<u16>,
        sign: &Sign,
        message: &B256,
    ) -> (BTreeMap<u16, ReceiptSignature>, String) {
        let mut asked: FuturesUnordered<_> =
            seats.iter().map(|seat| async move { (*seat, self.sign_one(members, *seat, sign).await) }).collect();
        let quorum = usize::from(self.profile.write_quorum());
        let mut signatures = BTreeMap::new();
        let mut reason = String::from("too few members hold the segments");
        let mut deadline = Instant::now() + self.config.request_timeout;
        while let Ok(Some((seat, result))) = tokio::time::timeout_at(deadline, asked.next()).await {
            match result {
                Ok(signature) => {
                    signatures.insert(seat, signature);
                }
                Err(error) => reason = format!("seat {seat}: {error}"),
            }
            if signatures.len() == quorum {
                deadline = deadline.min(Instant::now() + self.config.straggler_timeout);
            }
        }
        self.keep_valid(members, &mut signatures, message);
        (signatures, reason)
    }

    async fn sign_one(&self, members: &OpenVolume, seat: u16, sign: &Sign) -> Result<ReceiptSignature, RequestError> {
        let member = &members.members[usize::from(seat)];
        let endpoint = member.endpoint.as_ref().expect("a member without endpoint was not staged at");
        let bytes = match self.transport.sign(endpoint, sign.clone(), self.config.request_timeout).await {
            Ok(bytes) => bytes,
            Err(error) => {
                if matches!(error, RequestError::Transport(_)) {
                    self.peers.failed(endpoint.id(), Instant::now());
                }
                return Err(error);
            }
        };
        ReceiptSignature::from_bytes(&bytes).map_err(|_| {
            self.peers.lied(endpoint.id(), Instant::now());
            RequestError::Transport(transport::TransportError::Malformed("no point of the curve"))
        })
    }

    /// Throws out what does not verify. All at once first: usually nothing is wrong.
    fn keep_valid(&self, members: &OpenVolume, signatures: &mut BTreeMap<u16, ReceiptSignature>, message: &B256) {
        let member = |seat: &u16| &members.members[usize::from(*seat)];
        let keys: Option<Vec<_>> = signatures.keys().map(|seat| member(seat).receipt_key).collect();
        let points: Vec<_> = signatures.values().copied().collect();
        if let (Some(keys), Ok(aggregate)) = (keys, ReceiptSignature::aggregate(&points))
            && verify_aggregate(&keys, message, &aggregate)
        {
            return;
        }
        signatures.retain(|seat, signature| {
            let member = member(seat);
            let valid = member.receipt_key.is_some_and(|key| key.verify(message, signature));
            if let (false, Some(endpoint)) = (valid, &member.endpoint) {
                self.peers.lied(endpoint.id(), Instant::now());
            }
            valid
        });
    }

    async fn send(&self, batches: Vec<Batch>, root: Option<&RootUpdate>) -> Result<(B256, bool), SendError> {
        let seats = u32::from(self.profile.total());
        let signers = |batch: &Batch| batch.signers.iter().map(|byte| byte.count_ones()).sum::<u32>();
        let degraded = batches.iter().any(|batch| signers(batch) < seats);
        let price = match batches.is_empty() {
            true => U256::ZERO,
            false => Network(&**self.sender.chain()).commit_price(&batches).await?,
        };
        let call = IVolumes::commitCall { batches, roots: root.into_iter().cloned().collect() };
        let receipt = self.sender.call(VOLUMES, price, &call).await?;
        self.confirm(&call, receipt.height).await?;
        Ok((receipt.transaction_hash, degraded))
    }

    /// Sees in the proved state that a commit has happened, at this height as the node says: a receipt proves nothing.
    /// All of a commit happens or none of it, so one trace of it is enough.
    async fn confirm(&self, call: &IVolumes::commitCall, height: u64) -> Result<(), ChainError> {
        let chain = self.sender.chain();
        let network = Network(&**chain);
        for _ in 0..CONFIRM_ATTEMPTS {
            let (read_at, happened) = match (call.batches.first(), call.roots.first()) {
                (Some(&Batch { territory, sequence, .. }), _) => {
                    let (read_at, used) = network.query_many(&[SequenceQuery { territory, sequence }]).await?;
                    (read_at, used[0])
                }
                (None, Some(update)) => {
                    let (read_at, records) = network.query_many(&[BucketQuery(update.bucket)]).await?;
                    (read_at, records[0].as_ref().is_some_and(|record| record.version > update.expectedVersion))
                }
                (None, None) => return Ok(()),
            };
            if happened {
                return Ok(());
            }
            if read_at.height >= height {
                break;
            }
            // Another node answers, which does not have the block yet.
            chain.wait_above(read_at.height).await?;
        }
        Err(ChainError::Invalid("a commit is said to have happened, and the state denies it".into()))
    }

    /// Removes what a commit failed for, if that can be done; whether a segment is elsewhere now.
    async fn mend(
        &self,
        error: SendError,
        staged: &mut Vec<Staged>,
        committed: &mut Committed,
        progress: &Progress,
    ) -> Result<bool, CommitError> {
        let Some(data) = error.revert_data() else { return Err(error.into()) };
        if let Ok(IBuckets::IBucketsErrors::VersionChanged(_)) = IBuckets::IBucketsErrors::abi_decode(data) {
            return Err(CommitError::RootChanged);
        }
        match Refused::abi_decode(data) {
            Ok(Refused::VolumeFull(IVolumes::VolumeFull { volume, .. }))
            | Ok(Refused::VolumeClosed(IVolumes::VolumeClosed { volume })) => {
                self.empty_volume(staged, volume, progress).await?;
                Ok(true)
            }
            // The same bytes were committed before, by an attempt of which we did not hear the end.
            Ok(Refused::SegmentAlreadyLive(IVolumes::SegmentAlreadyLive { segment })) => {
                let live = staged.extract_if(.., |one| one.segment.id == segment);
                committed.segments.extend(live.map(|one| (one.number, one.segment)));
                Ok(false)
            }
            // A member was replaced, or time passed: sign anew.
            Ok(Refused::QuorumMissing(_) | Refused::InvalidSignature(_)) => {
                for volume in staged.iter().map(|one| one.segment.volume).collect::<BTreeSet<_>>() {
                    self.directory.refresh(volume).await?;
                }
                Ok(false)
            }
            Ok(Refused::ReceiptsExpired(_) | Refused::SequenceUsed(_)) => Ok(false),
            _ => Err(error.into()),
        }
    }

    /// Moves every segment out of a volume that does not take it.
    async fn empty_volume(&self, staged: &mut [Staged], volume: u32, progress: &Progress) -> Result<(), WriteError> {
        for one in staged.iter_mut().filter(|one| one.segment.volume == volume) {
            self.move_elsewhere(one, progress).await?;
        }
        Ok(())
    }
}

fn sign_segment(staged: &Staged) -> SignSegment {
    SignSegment {
        segment: staged.segment.id,
        fragments_root: staged.fragments_root,
        length: staged.segment.length.into(),
    }
}
