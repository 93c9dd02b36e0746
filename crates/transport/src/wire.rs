//! Encode requests and responses for streams.
//!
//! # Format
//! ```text
//! message = kind (1) ‖ header length (4) ‖ header ‖ body          integers big endian
//! ```
//! One request goes one way on a stream, one response the other way, and the stream ends. Only `stage` and `fragment`
//! have a body, whose length follows from the header. `docs/spec/transport.md` draws each header. Every header has one
//! encoding; the version is in the ALPN.

mod reader;
mod request;
mod response;

pub(crate) use request::{RequestHead, decode_request, encode_request};
pub(crate) use response::{ResponseHead, decode_response, encode_response};

use crate::limits::HEADER_BYTES_MAX;
use alloy_primitives::B256;
use bytes::Bytes;
use reader::Reader;
use types::{Profile, segment::FragmentProof};

/// Names the protocol and its version in the TLS handshake.
pub const ALPN: &[u8] = b"cess/peer/1";

/// Bytes of kind and header length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Bytes break the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct WireError(pub &'static str);

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Kind, header length and header.
    pub(crate) head: Bytes,
    /// The body; empty for most messages.
    pub(crate) body: Bytes,
}

impl Message {
    fn new(kind: u8, header: &[u8], body: Bytes) -> Self {
        let mut head = Vec::with_capacity(PREFIX_BYTES + header.len());
        head.push(kind);
        head.extend((header.len() as u32).to_be_bytes());
        head.extend(header);
        Self { head: head.into(), body }
    }
}

/// Reads kind and header length; a header that is too long is refused here, before there is memory for it.
pub(crate) fn decode_prefix(prefix: [u8; PREFIX_BYTES]) -> Result<(u8, usize), WireError> {
    let [kind, length @ ..] = prefix;
    match u32::from_be_bytes(length) as usize {
        bytes if bytes <= HEADER_BYTES_MAX => Ok((kind, bytes)),
        _ => Err(WireError("header too long")),
    }
}

fn write_proof(out: &mut Vec<u8>, proof: &FragmentProof) {
    out.extend(proof.index.to_be_bytes());
    out.extend(proof.root);
    out.push(proof.path.len() as u8);
    proof.path.iter().for_each(|node| out.extend(node));
}

fn read_proof(reader: &mut Reader<'_>) -> Result<FragmentProof, WireError> {
    let index = u16::from_be_bytes(reader.array()?);
    let root = B256::from(reader.array::<32>()?);
    let nodes = usize::from(reader.byte()?);
    if nodes > crate::limits::PATH_NODES_MAX {
        return Err(WireError("path too long"));
    }
    let path = (0..nodes).map(|_| reader.array().map(B256::from)).collect::<Result<_, _>>()?;
    Ok(FragmentProof { index, root, path })
}

fn read_profile(reader: &mut Reader<'_>) -> Result<Profile, WireError> {
    Profile::from_u8(reader.byte()?).ok_or(WireError("unknown profile"))
}

#[cfg(test)]
mod tests;
