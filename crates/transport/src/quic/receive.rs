//! Read messages from QUIC streams, many datagrams at a time.

use crate::{
    stream::{Body, Check, Receive, StreamError},
    wire::{PREFIX_BYTES, WireError, decode_prefix},
};
use bytes::Bytes;
use iroh::endpoint::{ReadError, ReadExactError, RecvStream};

/// Datagrams to take off a stream at once.
const CHUNKS: usize = 32;

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

impl Receive for RecvStream {
    async fn head(&mut self) -> Result<(u8, Vec<u8>), StreamError> {
        let mut prefix = [0; PREFIX_BYTES];
        self.read_exact(&mut prefix).await?;
        let (kind, header_bytes) = decode_prefix(prefix).map_err(|WireError(why)| StreamError::Malformed(why))?;
        let mut header = vec![0; header_bytes];
        self.read_exact(&mut header).await?;
        Ok((kind, header))
    }

    /// To the end of the stream, which ends the message.
    async fn body(&mut self, body: &mut Body<impl Check>) -> Result<(), StreamError> {
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        while let Some(count) = self.read_many_chunks(&mut chunks).await? {
            for chunk in &mut chunks[..count] {
                body.extend(&std::mem::take(chunk))?;
            }
            body.check()?;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), StreamError> {
        match self.read_chunk(1).await? {
            None => Ok(()),
            Some(_) => Err(StreamError::Malformed("the message is longer than announced")),
        }
    }
}
