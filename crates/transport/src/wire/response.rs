//! Encode what a peer answers.

use super::{Message, Reader, WireError, read_profile, read_proof, write_proof};
use crate::{
    fragment::{GROUP_HASH_BYTES, GroupHashes, group_count},
    limits::{
        FRAGMENT_BYTES_MAX, LEAVES_MAX, PATH_NODES_MAX, REFUSAL_TEXT_BYTES_MAX, RETRY_AFTER_MAX, STATUS_VOLUMES_MAX,
    },
    message::{MinerStatus, Refusal, RefusalReason, Response, VolumeStatus},
    verify::Claim,
};
use alloy_primitives::B256;
use bytes::Bytes;
use types::StripeLeaf;

const STAGED: u8 = 128;
const SIGNATURE: u8 = 129;
const FRAGMENT: u8 = 130;
const STATUS: u8 = 131;
const LEAVES: u8 = 132;
const ACKNOWLEDGED: u8 = 133;
const REFUSED: u8 = 255;

/// A response as far as its header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResponseHead {
    /// Bytes of a fragment follow.
    Fragment(Claim),
    /// Nothing follows.
    Complete(Response),
}

/// Encodes a response; refuses one that no peer would read.
pub(crate) fn encode_response(response: &Response) -> Result<Message, WireError> {
    Ok(match response {
        Response::Staged => Message::new(STAGED, &[], Bytes::new()),
        Response::Signature(signature) => Message::new(SIGNATURE, signature, Bytes::new()),
        Response::Fragment(reply) => Message::new(FRAGMENT, &encode_claim(&reply.claim())?, reply.bytes.clone()),
        Response::Status(status) => Message::new(STATUS, &encode_status(status)?, Bytes::new()),
        Response::Leaves(leaves) => Message::new(LEAVES, &encode_leaves(leaves)?, Bytes::new()),
        Response::Acknowledged => Message::new(ACKNOWLEDGED, &[], Bytes::new()),
        Response::Refused(refusal) => Message::new(REFUSED, &encode_refusal(refusal), Bytes::new()),
    })
}

/// Reads a response's header.
pub(crate) fn decode_response(kind: u8, header: &[u8]) -> Result<ResponseHead, WireError> {
    let mut reader = Reader(header);
    let head = match kind {
        STAGED => ResponseHead::Complete(Response::Staged),
        SIGNATURE => ResponseHead::Complete(Response::Signature(reader.array()?)),
        FRAGMENT => ResponseHead::Fragment(decode_claim(&mut reader)?),
        STATUS => ResponseHead::Complete(Response::Status(decode_status(&mut reader)?)),
        LEAVES => ResponseHead::Complete(Response::Leaves(decode_leaves(&mut reader)?)),
        ACKNOWLEDGED => ResponseHead::Complete(Response::Acknowledged),
        REFUSED => ResponseHead::Complete(Response::Refused(decode_refusal(&mut reader)?)),
        _ => return Err(WireError("unknown kind of response")),
    };
    reader.end()?;
    Ok(head)
}

fn check_claim(claim: &Claim) -> Result<(), WireError> {
    let fragment_bytes = claim.profile.fragment_bytes(claim.length);
    if claim.length == 0 || fragment_bytes > FRAGMENT_BYTES_MAX {
        return Err(WireError("the segment is empty or too long"));
    }
    if claim.groups.count() != group_count(fragment_bytes) {
        return Err(WireError("wrong number of group hashes"));
    }
    let end = claim.offset.checked_add(claim.byte_count);
    if claim.byte_count == 0 || end.is_none_or(|end| end > fragment_bytes) {
        return Err(WireError("the range is not of the fragment"));
    }
    if claim.proof.path.len() > PATH_NODES_MAX {
        return Err(WireError("path too long"));
    }
    Ok(())
}

fn encode_claim(claim: &Claim) -> Result<Vec<u8>, WireError> {
    check_claim(claim)?;
    let mut out = Vec::with_capacity(512 + claim.groups.as_bytes().len());
    out.push(claim.profile as u8);
    out.extend(claim.length.to_be_bytes());
    write_proof(&mut out, &claim.proof);
    out.extend(claim.offset.to_be_bytes());
    out.extend(claim.byte_count.to_be_bytes());
    out.extend(claim.groups.as_bytes());
    Ok(out)
}

fn decode_claim(reader: &mut Reader<'_>) -> Result<Claim, WireError> {
    let (profile, length) = (read_profile(reader)?, reader.u64()?);
    let proof = read_proof(reader)?;
    let (offset, byte_count) = (reader.u64()?, reader.u64()?);
    let hashes = reader.rest();
    if !hashes.len().is_multiple_of(GROUP_HASH_BYTES) {
        return Err(WireError("ragged group hashes"));
    }
    let groups = GroupHashes::from_bytes(Bytes::copy_from_slice(hashes)).map_err(|_| WireError("ragged hashes"))?;
    let claim = Claim { profile, length, proof, groups, offset, byte_count };
    check_claim(&claim)?;
    Ok(claim)
}

fn encode_status(status: &MinerStatus) -> Result<Vec<u8>, WireError> {
    if status.volumes.len() > STATUS_VOLUMES_MAX {
        return Err(WireError("too many volumes in a status"));
    }
    let mut out = Vec::with_capacity(22 + status.volumes.len() * 10);
    out.extend(status.miner.to_be_bytes());
    out.extend(status.free_bytes.to_be_bytes());
    out.extend(status.height.to_be_bytes());
    out.extend((status.volumes.len() as u16).to_be_bytes());
    for VolumeStatus { volume, seat, stripe_count } in &status.volumes {
        out.extend(volume.to_be_bytes());
        out.extend(seat.to_be_bytes());
        out.extend(stripe_count.to_be_bytes());
    }
    Ok(out)
}

fn decode_status(reader: &mut Reader<'_>) -> Result<MinerStatus, WireError> {
    let (miner, free_bytes, height) = (reader.u32()?, reader.u64()?, reader.u64()?);
    let count = usize::from(reader.u16()?);
    if count > STATUS_VOLUMES_MAX {
        return Err(WireError("too many volumes in a status"));
    }
    let volumes: Vec<_> = (0..count).map(|_| decode_volume(reader)).collect::<Result<_, _>>()?;
    if !volumes.is_sorted_by(|a, b| a.volume < b.volume) {
        return Err(WireError("volumes are not in order"));
    }
    Ok(MinerStatus { miner, free_bytes, height, volumes })
}

fn decode_volume(reader: &mut Reader<'_>) -> Result<VolumeStatus, WireError> {
    let (volume, seat) = (reader.u32()?, reader.u16()?);
    Ok(VolumeStatus { volume, seat, stripe_count: reader.u32()? })
}

fn encode_leaves(leaves: &[StripeLeaf]) -> Result<Vec<u8>, WireError> {
    if leaves.len() > LEAVES_MAX as usize {
        return Err(WireError("too many leaves"));
    }
    let mut out = Vec::with_capacity(4 + leaves.len() * 80);
    out.extend((leaves.len() as u32).to_be_bytes());
    for leaf in leaves {
        out.extend(leaf.segment);
        let numbers =
            [leaf.territory, leaf.offset, leaf.fragment_bytes, leaf.length, leaf.committed_at_ms, leaf.term_end_ms];
        out.extend(numbers.map(u64::to_be_bytes).concat());
    }
    Ok(out)
}

fn decode_leaves(reader: &mut Reader<'_>) -> Result<Vec<StripeLeaf>, WireError> {
    let count = reader.u32()?;
    if count > LEAVES_MAX {
        return Err(WireError("too many leaves"));
    }
    (0..count).map(|_| decode_leaf(reader)).collect()
}

fn decode_leaf(reader: &mut Reader<'_>) -> Result<StripeLeaf, WireError> {
    Ok(StripeLeaf {
        segment: B256::from(reader.array::<32>()?),
        territory: reader.u64()?,
        offset: reader.u64()?,
        fragment_bytes: reader.u64()?,
        length: reader.u64()?,
        committed_at_ms: reader.u64()?,
        term_end_ms: reader.u64()?,
    })
}

/// Number of a reason and its argument, which only `Busy` has.
fn reason_number(reason: RefusalReason) -> (u8, u32) {
    match reason {
        RefusalReason::Unknown => (1, 0),
        RefusalReason::NotMember => (2, 0),
        RefusalReason::NoLease => (3, 0),
        RefusalReason::LeaseExceeded => (4, 0),
        RefusalReason::PermitInvalid => (5, 0),
        RefusalReason::PermitExpired => (6, 0),
        RefusalReason::WrongFragment => (7, 0),
        RefusalReason::NotStaged => (8, 0),
        RefusalReason::InvalidExpiry => (9, 0),
        RefusalReason::VolumeClosed => (10, 0),
        RefusalReason::Busy { retry_after_ms } => (11, retry_after_ms),
        RefusalReason::TooLarge => (12, 0),
        RefusalReason::NoSpace => (13, 0),
        RefusalReason::Malformed => (14, 0),
        RefusalReason::Unavailable => (15, 0),
    }
}

fn reason_from(number: u8, argument: u32) -> Result<RefusalReason, WireError> {
    Ok(match (number, argument) {
        (1, 0) => RefusalReason::Unknown,
        (2, 0) => RefusalReason::NotMember,
        (3, 0) => RefusalReason::NoLease,
        (4, 0) => RefusalReason::LeaseExceeded,
        (5, 0) => RefusalReason::PermitInvalid,
        (6, 0) => RefusalReason::PermitExpired,
        (7, 0) => RefusalReason::WrongFragment,
        (8, 0) => RefusalReason::NotStaged,
        (9, 0) => RefusalReason::InvalidExpiry,
        (10, 0) => RefusalReason::VolumeClosed,
        (11, retry_after_ms) if u128::from(retry_after_ms) <= RETRY_AFTER_MAX.as_millis() => {
            RefusalReason::Busy { retry_after_ms }
        }
        (12, 0) => RefusalReason::TooLarge,
        (13, 0) => RefusalReason::NoSpace,
        (14, 0) => RefusalReason::Malformed,
        (15, 0) => RefusalReason::Unavailable,
        _ => return Err(WireError("unknown reason of a refusal")),
    })
}

fn encode_refusal(refusal: &Refusal) -> Vec<u8> {
    // A refusal must always go out: what is too long is cut, what is too late is brought forward.
    let Refusal { reason, detail } = Refusal::new(refusal.reason, refusal.detail.clone());
    let (number, argument) = reason_number(reason);
    let argument = argument.min(RETRY_AFTER_MAX.as_millis() as u32);
    let mut out = vec![number];
    out.extend(argument.to_be_bytes());
    out.push(detail.len() as u8);
    out.extend(detail.as_bytes());
    out
}

fn decode_refusal(reader: &mut Reader<'_>) -> Result<Refusal, WireError> {
    let reason = reason_from(reader.byte()?, reader.u32()?)?;
    let length = usize::from(reader.byte()?);
    if length > REFUSAL_TEXT_BYTES_MAX {
        return Err(WireError("text too long"));
    }
    let detail = std::str::from_utf8(reader.take(length)?).map_err(|_| WireError("text is not UTF-8"))?;
    Ok(Refusal { reason, detail: detail.to_owned() })
}
