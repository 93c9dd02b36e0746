//! Read messages from streams, straight into one buffer and hashed on the way.

use crate::{
    fragment::GROUP_BYTES,
    verify::Lie,
    wire::{PREFIX_BYTES, WireError, decode_prefix},
};
use bytes::{Bytes, BytesMut};
use iroh::endpoint::{ReadError, ReadExactError, RecvStream};

/// Datagrams to take off a stream at once.
const CHUNKS: usize = 32;

/// Why a message cannot be read to its end.
#[derive(Debug)]
pub(super) enum StreamError {
    /// The connection is gone.
    Connection(String),
    /// The peer abandoned the stream.
    Reset,
    /// The bytes break the format, or end early.
    Malformed(&'static str),
    /// The bytes do not verify.
    Lied(Lie),
}

impl From<Lie> for StreamError {
    fn from(lie: Lie) -> Self {
        Self::Lied(lie)
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) | ReadError::ClosedStream => Self::Reset,
            error => Self::Connection(error.to_string()),
        }
    }
}

impl From<ReadExactError> for StreamError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(0) => Self::Reset,
            ReadExactError::FinishedEarly(_) => Self::Malformed("the message ends early"),
            ReadExactError::ReadError(error) => error.into(),
        }
    }
}

/// Reads a message's kind and header.
pub(super) async fn read_head(receive: &mut RecvStream) -> Result<(u8, Vec<u8>), StreamError> {
    let mut prefix = [0; PREFIX_BYTES];
    receive.read_exact(&mut prefix).await?;
    let (kind, header_bytes) = decode_prefix(prefix).map_err(|WireError(why)| StreamError::Malformed(why))?;
    let mut header = vec![0; header_bytes];
    receive.read_exact(&mut header).await?;
    Ok((kind, header))
}

/// Reads a body of exactly `byte_count` bytes and the end of the stream. `check` sees each group of 16 KiB, with its
/// place in the body, as soon as it is there and still in cache.
pub(super) async fn read_body(
    receive: &mut RecvStream,
    byte_count: u64,
    mut check: impl FnMut(u64, &[u8]) -> Result<(), StreamError>,
) -> Result<Bytes, StreamError> {
    let total = usize::try_from(byte_count).map_err(|_| StreamError::Malformed("the body is too long"))?;
    let mut body = BytesMut::with_capacity(total);
    let mut checked = 0;
    let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
    while let Some(count) = receive.read_many_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..count] {
            let chunk = std::mem::take(chunk);
            if chunk.len() > total - body.len() {
                return Err(StreamError::Malformed("the body is longer than announced"));
            }
            body.extend_from_slice(&chunk);
        }
        while checked < total && body.len() >= total.min(checked + GROUP_BYTES as usize) {
            let end = total.min(checked + GROUP_BYTES as usize);
            check(checked as u64, &body[checked..end])?;
            checked = end;
        }
    }
    if body.len() < total {
        return Err(StreamError::Malformed("the body is shorter than announced"));
    }
    Ok(body.freeze())
}

/// Makes sure that nothing follows.
pub(super) async fn read_end(receive: &mut RecvStream) -> Result<(), StreamError> {
    match receive.read_chunk(1).await? {
        None => Ok(()),
        Some(_) => Err(StreamError::Malformed("the message is longer than announced")),
    }
}
