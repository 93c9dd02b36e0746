//! Encode what a peer asks.

use super::{Message, Reader, WireError, read_profile, read_proof, write_proof};
use crate::{
    limits::{FRAGMENT_BYTES_MAX, PATH_NODES_MAX, SIGN_SEGMENTS_MAX},
    message::{Acknowledge, Disown, Fetch, LeavesQuery, Rebuild, Request, Sign, SignSegment, StageHeader, StatusQuery},
};
use alloy_primitives::{B256, Signature};
use bytes::Bytes;
use types::permit::Permit;

const STAGE: u8 = 1;
const SIGN: u8 = 2;
const FETCH: u8 = 3;
const STATUS: u8 = 4;
const LEAVES: u8 = 5;
const DISOWN: u8 = 6;
const REBUILD: u8 = 7;
const ACKNOWLEDGE: u8 = 8;

/// A request as far as its header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestHead {
    /// The fragment follows.
    Stage(StageHeader),
    /// Nothing follows.
    Complete(Request),
}

/// Encodes a request; refuses one that no peer would read.
pub(crate) fn encode_request(request: &Request) -> Result<Message, WireError> {
    Ok(match request {
        Request::Stage(stage) => {
            if stage.fragment.bytes().len() as u64 != stage.header.fragment_bytes() {
                return Err(WireError("the fragment has not the length that follows from the segment's"));
            }
            Message::new(STAGE, &encode_stage(&stage.header)?, stage.fragment.bytes().clone())
        }
        Request::Sign(sign) => Message::new(SIGN, &encode_sign(sign)?, Bytes::new()),
        Request::Fetch(fetch) => Message::new(FETCH, &encode_fetch(fetch)?, Bytes::new()),
        Request::Status(query) => Message::new(STATUS, &query.from_volume.to_be_bytes(), Bytes::new()),
        Request::Leaves(LeavesQuery { volume, from, limit }) => {
            Message::new(LEAVES, &[*volume, *from, *limit].map(u32::to_be_bytes).concat(), Bytes::new())
        }
        Request::Disown(Disown { volume, index, rebuilt }) => {
            let header = [&volume.to_be_bytes(), &index.to_be_bytes(), rebuilt.as_slice()].concat();
            Message::new(DISOWN, &header, Bytes::new())
        }
        Request::Rebuild(Rebuild { volume, index, segment, seat }) => {
            let numbers = [volume.to_be_bytes(), index.to_be_bytes()].concat();
            Message::new(REBUILD, &[&numbers, segment.as_slice(), &seat.to_be_bytes()].concat(), Bytes::new())
        }
        Request::Acknowledge(Acknowledge { volume, seat, bytes, signature }) => {
            let place = [&volume.to_be_bytes()[..], &seat.to_be_bytes()].concat();
            Message::new(ACKNOWLEDGE, &[&place, &bytes.to_be_bytes()[..], signature].concat(), Bytes::new())
        }
    })
}

/// Reads a request's header.
pub(crate) fn decode_request(kind: u8, header: &[u8]) -> Result<RequestHead, WireError> {
    let mut reader = Reader(header);
    let head = match kind {
        STAGE => RequestHead::Stage(decode_stage(&mut reader)?),
        SIGN => RequestHead::Complete(Request::Sign(decode_sign(&mut reader)?)),
        FETCH => RequestHead::Complete(Request::Fetch(decode_fetch(&mut reader)?)),
        STATUS => RequestHead::Complete(Request::Status(StatusQuery { from_volume: reader.u32()? })),
        LEAVES => RequestHead::Complete(Request::Leaves(LeavesQuery {
            volume: reader.u32()?,
            from: reader.u32()?,
            limit: reader.u32()?,
        })),
        DISOWN => RequestHead::Complete(Request::Disown(Disown {
            volume: reader.u32()?,
            index: reader.u32()?,
            rebuilt: B256::from(reader.array::<32>()?),
        })),
        REBUILD => RequestHead::Complete(Request::Rebuild(Rebuild {
            volume: reader.u32()?,
            index: reader.u32()?,
            segment: B256::from(reader.array::<32>()?),
            seat: reader.u16()?,
        })),
        ACKNOWLEDGE => RequestHead::Complete(Request::Acknowledge(Acknowledge {
            volume: reader.u32()?,
            seat: reader.u16()?,
            bytes: reader.u64()?,
            signature: reader.array()?,
        })),
        _ => return Err(WireError("unknown kind of request")),
    };
    reader.end()?;
    Ok(head)
}

fn check_stage(header: &StageHeader) -> Result<(), WireError> {
    if header.length == 0 || header.fragment_bytes() > FRAGMENT_BYTES_MAX {
        return Err(WireError("the segment is empty or too long"));
    }
    if header.proof.path.len() > PATH_NODES_MAX {
        return Err(WireError("path too long"));
    }
    Ok(())
}

fn encode_stage(header: &StageHeader) -> Result<Vec<u8>, WireError> {
    check_stage(header)?;
    let mut out = Vec::with_capacity(512);
    out.extend(header.permit.territory.to_be_bytes());
    out.extend(header.permit.uploader);
    out.extend(header.permit.expiresMs.to_be_bytes());
    out.extend(header.signature.as_bytes());
    out.extend(header.volume.to_be_bytes());
    out.extend(header.segment);
    out.push(header.profile as u8);
    out.extend(header.length.to_be_bytes());
    write_proof(&mut out, &header.proof);
    Ok(out)
}

fn decode_stage(reader: &mut Reader<'_>) -> Result<StageHeader, WireError> {
    let permit =
        Permit { territory: reader.u64()?, uploader: B256::from(reader.array::<32>()?), expiresMs: reader.u64()? };
    let header = StageHeader {
        permit,
        signature: decode_signature(reader.array()?)?,
        volume: reader.u32()?,
        segment: B256::from(reader.array::<32>()?),
        profile: read_profile(reader)?,
        length: reader.u64()?,
        proof: read_proof(reader)?,
    };
    check_stage(&header)?;
    Ok(header)
}

fn decode_signature(bytes: [u8; 65]) -> Result<Signature, WireError> {
    let signature = Signature::from_raw_array(&bytes).map_err(|_| WireError("not a signature"))?;
    // The library reads several values of v; one encoding per signature.
    if signature.as_bytes() == bytes { Ok(signature) } else { Err(WireError("not a canonical signature")) }
}

fn encode_sign(sign: &Sign) -> Result<Vec<u8>, WireError> {
    if sign.segments.is_empty() || sign.segments.len() > SIGN_SEGMENTS_MAX {
        return Err(WireError("a batch has 1 to 64 segments"));
    }
    let mut out = Vec::with_capacity(29 + sign.segments.len() * 72);
    out.extend(sign.volume.to_be_bytes());
    out.extend(sign.territory.to_be_bytes());
    out.extend(sign.sequence.to_be_bytes());
    out.extend(sign.expires_at_height.to_be_bytes());
    out.push(sign.segments.len() as u8);
    for segment in &sign.segments {
        out.extend(segment.segment);
        out.extend(segment.fragments_root);
        out.extend(segment.length.to_be_bytes());
    }
    Ok(out)
}

fn decode_sign(reader: &mut Reader<'_>) -> Result<Sign, WireError> {
    let (volume, territory) = (reader.u32()?, reader.u64()?);
    let (sequence, expires_at_height) = (reader.u64()?, reader.u64()?);
    let count = usize::from(reader.byte()?);
    if count == 0 || count > SIGN_SEGMENTS_MAX {
        return Err(WireError("a batch has 1 to 64 segments"));
    }
    let segments = (0..count).map(|_| decode_sign_segment(reader)).collect::<Result<_, _>>()?;
    Ok(Sign { volume, territory, sequence, expires_at_height, segments })
}

fn decode_sign_segment(reader: &mut Reader<'_>) -> Result<SignSegment, WireError> {
    Ok(SignSegment {
        segment: B256::from(reader.array::<32>()?),
        fragments_root: B256::from(reader.array::<32>()?),
        length: reader.u64()?,
    })
}

/// A whole fragment is asked for by the range 0..0.
fn encode_fetch(fetch: &Fetch) -> Result<Vec<u8>, WireError> {
    let range = fetch.range.clone().unwrap_or(0..0);
    if fetch.range.is_some() {
        check_range(range.start, range.end)?;
    }
    Ok([fetch.segment.as_slice(), &fetch.index.to_be_bytes(), &range.start.to_be_bytes(), &range.end.to_be_bytes()]
        .concat())
}

fn decode_fetch(reader: &mut Reader<'_>) -> Result<Fetch, WireError> {
    let segment = B256::from(reader.array::<32>()?);
    let index = reader.u16()?;
    let range = match (reader.u64()?, reader.u64()?) {
        (0, 0) => None,
        (start, end) => {
            check_range(start, end)?;
            Some(start..end)
        }
    };
    Ok(Fetch { segment, index, range })
}

fn check_range(start: u64, end: u64) -> Result<(), WireError> {
    if start < end && end <= FRAGMENT_BYTES_MAX { Ok(()) } else { Err(WireError("the range is empty or too long")) }
}
