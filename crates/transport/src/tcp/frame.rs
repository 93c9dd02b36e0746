//! Read messages from a byte stream, which goes on after each.

use crate::{
    stream::{Body, Check, Receive, StreamError},
    wire::{PREFIX_BYTES, WireError, decode_prefix},
};
use bytes::{Buf, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes to read at a time while a header is awaited; what is read beyond it belongs to the body.
const READ_BYTES: usize = 4 << 10;

/// A byte stream, with what was read of it and not used.
pub(super) struct Frames<S> {
    pub(super) stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin + Send> Frames<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Waits for the first byte of a message; false if the stream ends instead.
    pub(super) async fn wait(&mut self) -> io::Result<bool> {
        if self.buffer.is_empty() {
            self.buffer.reserve(READ_BYTES);
            return Ok(self.stream.read_buf(&mut self.buffer).await? > 0);
        }
        Ok(true)
    }

    async fn fill(&mut self, count: usize) -> Result<(), StreamError> {
        while self.buffer.len() < count {
            self.buffer.reserve(READ_BYTES.max(count - self.buffer.len()));
            let before = self.buffer.len();
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(match before {
                    0 => StreamError::Connection("the peer hung up".into()),
                    _ => StreamError::Malformed("the message ends early"),
                });
            }
        }
        Ok(())
    }
}

fn broken(error: io::Error) -> StreamError {
    StreamError::Connection(error.to_string())
}

impl<S: AsyncRead + Unpin + Send> Receive for Frames<S> {
    async fn head(&mut self) -> Result<(u8, Vec<u8>), StreamError> {
        self.fill(PREFIX_BYTES).await?;
        let prefix = self.buffer[..PREFIX_BYTES].try_into().expect("it was filled");
        let (kind, header_bytes) = decode_prefix(prefix).map_err(|WireError(why)| StreamError::Malformed(why))?;
        self.fill(PREFIX_BYTES + header_bytes).await?;
        self.buffer.advance(PREFIX_BYTES);
        Ok((kind, self.buffer.split_to(header_bytes).to_vec()))
    }

    async fn body(&mut self, body: &mut Body<impl Check>) -> Result<(), StreamError> {
        let buffered = self.buffer.len().min(body.missing());
        body.extend(&self.buffer.split_to(buffered))?;
        body.check()?;
        while body.missing() > 0 {
            if self.stream.read_buf(&mut body.buffer()).await.map_err(broken)? == 0 {
                return Err(StreamError::Malformed("the message ends early"));
            }
            body.check()?;
        }
        Ok(())
    }

    /// The length says where a message ends: nothing may be buffered behind it, as the other side waits for an answer.
    async fn end(&mut self) -> Result<(), StreamError> {
        match self.buffer.is_empty() {
            true => Ok(()),
            false => Err(StreamError::Malformed("the message is longer than announced")),
        }
    }
}
