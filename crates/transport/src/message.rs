//! Say what peers ask of each other and what they answer.

use crate::fragment::{Fragment, GroupHashes};
use alloy_primitives::{B256, Signature};
use bytes::Bytes;
use std::ops::Range;
use types::{Profile, SegmentId, StripeLeaf, permit::Permit, segment::FragmentProof};

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq)]
// A request is moved once or twice and a box would cost a staged fragment an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Request {
    /// Keep a fragment until its segment is committed.
    Stage(Stage),
    /// Sign that a batch's fragments are held.
    Sign(Sign),
    /// Send a fragment, or a part of it.
    Fetch(Fetch),
    /// Say how you are and which volumes you are in.
    Status(StatusQuery),
    /// Send leaves of a volume's log.
    Leaves(LeavesQuery),
    /// Sign that a stripe's fragments are not those that were committed.
    Disown(Disown),
    /// Rebuild a fragment of the seat that this peer takes over, and send it.
    Rebuild(Rebuild),
    /// Take note of how much you helped.
    Acknowledge(Acknowledge),
}

impl Request {
    /// The fragment that an answer must be, where it is one.
    pub fn wanted(&self) -> Option<Fetch> {
        match self {
            Self::Fetch(fetch) => Some(fetch.clone()),
            Self::Rebuild(rebuild) => Some(Fetch { segment: rebuild.segment, index: rebuild.seat, range: None }),
            _ => None,
        }
    }
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The fragment is on disk.
    Staged,
    /// The receipt: a compressed BLS signature.
    Signature([u8; types::bls::SIGNATURE_BYTES]),
    /// The fragment, or a part of it. What a [`Transport`](crate::Transport) hands out has been verified.
    Fragment(FragmentReply),
    /// The state of the miner.
    Status(MinerStatus),
    /// Leaves in the order of the log.
    Leaves(Vec<StripeLeaf>),
    /// The acknowledgement is on disk.
    Acknowledged,
    /// No, and why.
    Refused(Refusal),
}

/// Everything of a [`Stage`] but the fragment's bytes: what the receiver judges before it takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageHeader {
    /// The territory's owner lets this peer stage on the territory's account.
    pub permit: Permit,
    /// The owner's signature of the permit.
    pub signature: Signature,
    /// The volume that the segment is for.
    pub volume: u32,
    /// The segment.
    pub segment: SegmentId,
    /// Its code.
    pub profile: Profile,
    /// Bytes of the segment.
    pub length: u64,
    /// Which fragment it is and that it belongs to the segment.
    pub proof: FragmentProof,
}

impl StageHeader {
    /// Bytes of the fragment that follows.
    pub fn fragment_bytes(&self) -> u64 {
        self.profile.fragment_bytes(self.length)
    }
}

/// Hands a fragment to the member of its seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is.
    pub header: StageHeader,
    /// Its bytes: exactly [`StageHeader::fragment_bytes`].
    pub fragment: Fragment,
}

/// A segment of a batch, by what its identity is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignSegment {
    /// The segment.
    pub segment: SegmentId,
    /// Merkle root over the fragment roots.
    pub fragments_root: B256,
    /// Bytes of the segment.
    pub length: u64,
}

/// Asks for the receipt of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The volume that the batch is for.
    pub volume: u32,
    /// The territory that pays.
    pub territory: u64,
    /// The sequence that the commit will consume.
    pub sequence: u64,
    /// Last height at which a commit may use the receipt.
    pub expires_at_height: u64,
    /// 1 to [`SIGN_SEGMENTS_MAX`](crate::limits::SIGN_SEGMENTS_MAX) segments in the order of the batch.
    pub segments: Vec<SignSegment>,
}

/// Asks for a fragment. A member of two volumes may hold two of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The segment.
    pub segment: SegmentId,
    /// Which of its fragments: the seat of the member that holds it.
    pub index: u16,
    /// Bytes of the fragment, not empty; nothing for all of them.
    pub range: Option<Range<u64>>,
}

/// A fragment, or a run of whole groups of it, with what verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentReply {
    /// The segment's code.
    pub profile: Profile,
    /// Bytes of the segment.
    pub length: u64,
    /// Which fragment it is and that it belongs to the segment.
    pub proof: FragmentProof,
    /// The hashes of all groups of the fragment.
    pub groups: GroupHashes,
    /// Where `bytes` begin in the fragment: the start of a group.
    pub offset: u64,
    /// The groups that cover the range asked for, and no others.
    pub bytes: Bytes,
}

/// Asks for the state of a miner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusQuery {
    /// First volume of the page.
    pub from_volume: u32,
}

/// A miner's part in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeStatus {
    /// The volume.
    pub volume: u32,
    /// The seat that the miner holds.
    pub seat: u16,
    /// Stripes of the volume that the miner knows of.
    pub stripe_count: u32,
}

/// How a miner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerStatus {
    /// Number of the miner on chain.
    pub miner: u32,
    /// Bytes that may still be staged.
    pub free_bytes: u64,
    /// Height up to which the miner follows the chain.
    pub height: u64,
    /// Its volumes from the one asked for, in order, at most
    /// [`STATUS_VOLUMES_MAX`](crate::limits::STATUS_VOLUMES_MAX): a full page may not be the last.
    pub volumes: Vec<VolumeStatus>,
}

/// Asks for leaves of a volume's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeavesQuery {
    /// The volume.
    pub volume: u32,
    /// Index of the first leaf.
    pub from: u32,
    /// Most leaves to answer, up to [`LEAVES_MAX`](crate::limits::LEAVES_MAX).
    pub limit: u32,
}

/// Asks a member to sign a [`Ghost`](types::repair::Ghost), which it does only for what it finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disown {
    /// The volume.
    pub volume: u32,
    /// Which of its stripes.
    pub index: u32,
    /// Merkle root over the fragments that `k` verified ones rebuild to.
    pub rebuilt: B256,
}

/// Asks a member for a fragment of the seat that the asking peer takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The volume.
    pub volume: u32,
    /// Which of its stripes.
    pub index: u32,
    /// The segment of that stripe.
    pub segment: SegmentId,
    /// The seat that is taken over.
    pub seat: u16,
}

/// Gives a member what it is paid for: a signature of a [`Help`](types::repair::Help).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// The volume.
    pub volume: u32,
    /// The seat that is taken over.
    pub seat: u16,
    /// Bytes of its column that the member has rebuilt in all.
    pub bytes: u64,
    /// By the receipt key of the newcomer.
    pub signature: [u8; types::bls::SIGNATURE_BYTES],
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// There is no such segment, volume or territory here.
    Unknown,
    /// This miner is no member of the volume, or not in that seat.
    NotMember,
    /// The territory has no lease on the volume.
    NoLease,
    /// The lease does not cover the bytes.
    LeaseExceeded,
    /// The permit is not this peer's, or not signed by the territory's owner.
    PermitInvalid,
    /// The permit has run out.
    PermitExpired,
    /// The fragment is not what its header says.
    WrongFragment,
    /// A fragment of the batch is not here.
    NotStaged,
    /// The receipt would have expired, or lie too far ahead.
    InvalidExpiry,
    /// The volume takes no writes.
    VolumeClosed,
    /// Too much at once; ask again later.
    Busy {
        /// When to ask again.
        retry_after_ms: u32,
    },
    /// The fragment, batch or page is larger than the limit.
    TooLarge,
    /// The disk is full.
    NoSpace,
    /// The request breaks the format.
    Malformed,
    /// The miner cannot reach what it needs: the chain, or its disk.
    Unavailable,
}

/// A refusal with a word for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {reason:?} ({detail})")]
pub struct Refusal {
    /// What programs act on.
    pub reason: RefusalReason,
    /// What people read; at most [`REFUSAL_TEXT_BYTES_MAX`](crate::limits::REFUSAL_TEXT_BYTES_MAX) bytes.
    pub detail: String,
}

impl Refusal {
    /// Puts a refusal together; a long text is cut.
    pub fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        let mut end = detail.len().min(crate::limits::REFUSAL_TEXT_BYTES_MAX);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        detail.truncate(end);
        Self { reason, detail }
    }
}

#[cfg(test)]
pub(crate) mod sample;
