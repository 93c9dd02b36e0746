//! Believe no byte of a fetched fragment before it is verified.

use crate::{
    fragment::{GROUP_BYTES, GroupHashes, covering_groups, group_count, group_hash},
    message::{Fetch, FragmentReply},
};
use bytes::Bytes;
use std::ops::Range;
use types::{Profile, segment::FragmentProof};

/// How a peer lied about a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// The proof does not lead to the fragment asked for.
    #[error("the fragment is not the one asked for")]
    Proof,
    /// The group hashes do not make the fragment root.
    #[error("the group hashes do not make the fragment root")]
    Groups,
    /// A group does not match its hash.
    #[error("group {index} of the fragment does not match its hash")]
    Group {
        /// The group.
        index: u64,
    },
    /// The answer covers another range than asked for.
    #[error("the answer covers another range than asked for")]
    Range,
}

/// What is claimed of a fragment before its bytes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) profile: Profile,
    pub(crate) length: u64,
    pub(crate) proof: FragmentProof,
    pub(crate) groups: GroupHashes,
    pub(crate) offset: u64,
    pub(crate) byte_count: u64,
}

/// A claim whose proof and group hashes hold: the bytes remain to be checked, group by group.
#[derive(Clone, Debug)]
pub(crate) struct CheckedClaim(Claim);

impl Claim {
    /// Checks everything that needs no fragment bytes.
    pub(crate) fn check(self, fetch: &Fetch) -> Result<CheckedClaim, Lie> {
        if self.proof.index != fetch.index || !self.proof.verify(self.profile, self.length, &fetch.segment) {
            return Err(Lie::Proof);
        }
        let fragment_bytes = self.profile.fragment_bytes(self.length);
        let range = fetch.range.clone().unwrap_or(0..fragment_bytes);
        if covering_groups(&range, fragment_bytes) != (self.offset..self.offset.saturating_add(self.byte_count)) {
            return Err(Lie::Range);
        }
        if self.groups.count() != group_count(fragment_bytes) || self.groups.root() != Some(self.proof.root) {
            return Err(Lie::Groups);
        }
        Ok(CheckedClaim(self))
    }
}

impl CheckedClaim {
    /// Bytes to come.
    pub(crate) fn byte_count(&self) -> u64 {
        self.0.byte_count
    }

    /// Checks the group that begins `position` bytes into the body.
    pub(crate) fn check_group(&self, position: u64, bytes: &[u8]) -> Result<(), Lie> {
        let index = (self.0.offset + position) / GROUP_BYTES;
        let expected = self.0.groups.group(index).ok_or(Lie::Range)?;
        if group_hash(index, bytes) == expected { Ok(()) } else { Err(Lie::Group { index }) }
    }

    /// The answer, once every group was checked.
    pub(crate) fn into_reply(self, bytes: Bytes) -> FragmentReply {
        let Claim { profile, length, proof, groups, offset, .. } = self.0;
        FragmentReply { profile, length, proof, groups, offset, bytes }
    }
}

impl FragmentReply {
    pub(crate) fn claim(&self) -> Claim {
        Claim {
            profile: self.profile,
            length: self.length,
            proof: self.proof.clone(),
            groups: self.groups.clone(),
            offset: self.offset,
            byte_count: self.bytes.len() as u64,
        }
    }

    /// Checks an answer that is all here, against what was asked.
    pub fn verify(&self, fetch: &Fetch) -> Result<(), Lie> {
        let claim = self.claim().check(fetch)?;
        let groups = self.bytes.chunks(GROUP_BYTES as usize).zip((0..).step_by(GROUP_BYTES as usize));
        for (group, position) in groups {
            claim.check_group(position, group)?;
        }
        Ok(())
    }
}

/// Verified bytes of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFragment {
    /// The segment's code.
    pub profile: Profile,
    /// Bytes of the segment.
    pub length: u64,
    /// Which fragment it is, verified against the segment.
    pub proof: FragmentProof,
    /// The hashes of all groups of the fragment: an outboard to keep beside it.
    pub groups: GroupHashes,
    /// The range that `bytes` are of.
    pub range: Range<u64>,
    /// Exactly the bytes asked for.
    pub bytes: Bytes,
}

impl FetchedFragment {
    /// Cuts the range that was asked for out of a verified answer.
    pub(crate) fn cut(reply: FragmentReply, range: Option<Range<u64>>) -> Result<Self, Lie> {
        let FragmentReply { profile, length, proof, groups, offset, bytes } = reply;
        let range = range.unwrap_or(0..profile.fragment_bytes(length));
        let (start, end) = (range.start.checked_sub(offset), range.end.checked_sub(offset));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= bytes.len() as u64)) else {
            return Err(Lie::Range);
        };
        if start > end {
            return Err(Lie::Range);
        }
        let bytes = bytes.slice(start as usize..end as usize);
        Ok(Self { profile, length, proof, groups, range, bytes })
    }
}

#[cfg(test)]
mod tests;
