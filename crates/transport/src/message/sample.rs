//! Make messages for tests, with fragments that verify.

use super::*;
use crate::fragment::{Fragment, covering_groups};
use alloy_primitives::U256;
use types::{merkle::Tree, segment::segment_id};

/// A segment of `length` bytes whose fragments are distinct but no codeword, and one of its fragments.
pub(crate) fn fragment(length: u64, index: u16) -> (SegmentId, FragmentProof, Fragment) {
    let profile = Profile::Devnet;
    let bytes = profile.fragment_bytes(length) as usize;
    let make = |j: u16| -> Bytes { (0..bytes).map(|i| (i * 31 % 251) as u8 ^ j as u8).collect::<Vec<_>>().into() };
    let fragments: Vec<_> = (0..profile.total()).map(|j| Fragment::new(make(j))).collect();
    let roots: Vec<_> = fragments.iter().map(Fragment::root).collect();
    let tree = Tree::new(&roots);
    let at = usize::from(index);
    let proof = FragmentProof { index, root: roots[at], path: tree.path(at).unwrap() };
    (segment_id(profile, length, &tree.root()), proof, fragments[at].clone())
}

pub(crate) fn stage_header(length: u64) -> StageHeader {
    let (segment, proof, _) = fragment(length, 3);
    StageHeader {
        permit: Permit { territory: 7, uploader: B256::repeat_byte(8), expiresMs: 9 },
        signature: Signature::new(U256::from(10), U256::from(11), true),
        volume: 12,
        segment,
        profile: Profile::Devnet,
        length,
        proof,
    }
}

pub(crate) fn stage(length: u64) -> Stage {
    Stage { header: stage_header(length), fragment: fragment(length, 3).2 }
}

pub(crate) fn sign(count: u8) -> Sign {
    let segment = |i: u8| SignSegment {
        segment: B256::repeat_byte(i),
        fragments_root: B256::repeat_byte(i ^ 255),
        length: u64::from(i) + 1,
    };
    Sign { volume: 1, territory: 2, sequence: 3, expires_at_height: 4, segments: (0..count).map(segment).collect() }
}

pub(crate) fn reply(length: u64) -> FragmentReply {
    reply_range(length, 0..u64::MAX)
}

pub(crate) fn reply_range(length: u64, range: Range<u64>) -> FragmentReply {
    let (_, proof, fragment) = fragment(length, 3);
    let groups = covering_groups(&range, fragment.bytes().len() as u64);
    FragmentReply {
        profile: Profile::Devnet,
        length,
        proof,
        groups: fragment.groups().clone(),
        offset: groups.start,
        bytes: fragment.bytes().slice(groups.start as usize..groups.end as usize),
    }
}

pub(crate) fn fetch_of(reply: &FragmentReply, range: Option<Range<u64>>) -> Fetch {
    Fetch { segment: fragment(reply.length, 3).0, index: 3, range }
}

pub(crate) fn status() -> MinerStatus {
    let volumes = vec![
        VolumeStatus { volume: 4, seat: 5, stripe_count: 6 },
        VolumeStatus { volume: 7, seat: 8, stripe_count: 9 },
    ];
    MinerStatus { miner: 1, free_bytes: 2, height: 3, volumes }
}

pub(crate) fn leaf(number: u64) -> StripeLeaf {
    StripeLeaf {
        segment: B256::repeat_byte(number as u8),
        territory: number + 1,
        offset: number + 2,
        fragment_bytes: number + 3,
        length: number + 4,
        committed_at_ms: number + 5,
        term_end_ms: number + 6,
    }
}
