//! Read messages, whatever stream they come on.

use crate::{
    fragment::GROUP_BYTES,
    message::{Request, Response},
    transport::TransportError,
    verify::{CheckedClaim, Lie},
    wire::{ResponseHead, WireError, decode_response},
};
use bytes::{Bytes, BytesMut};
use std::future::Future;

/// Why a message cannot be read to its end.
#[derive(Debug)]
pub(crate) enum StreamError {
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

/// Why one attempt brought nothing.
pub(crate) enum AskError {
    /// The connection is gone; another may do.
    Connection(String),
    /// No other connection would help.
    Final(TransportError),
}

impl AskError {
    pub(crate) fn into_transport(self) -> TransportError {
        match self {
            Self::Connection(reason) => TransportError::Broken(reason),
            Self::Final(error) => error,
        }
    }
}

impl From<StreamError> for AskError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Connection(reason) => Self::Connection(reason),
            StreamError::Reset => Self::Final(TransportError::Broken("the peer abandoned the stream".into())),
            StreamError::Malformed(why) => Self::Final(TransportError::Malformed(why)),
            StreamError::Lied(lie) => Self::Final(lie.into()),
        }
    }
}

/// The receiving side of a stream of messages.
pub(crate) trait Receive: Send {
    /// Reads a message's kind and header.
    fn head(&mut self) -> impl Future<Output = Result<(u8, Vec<u8>), StreamError>> + Send;

    /// Reads a body of exactly this length into `body`, and what ends the message; sees that every group is checked.
    fn body(&mut self, body: &mut Body<impl Check>) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Makes sure that the message ends.
    fn end(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;
}

/// Sees each group of 16 KiB of a body, with its place, as soon as it is there and still in cache.
pub(crate) trait Check: FnMut(u64, &[u8]) -> Result<(), StreamError> + Send {}

impl<F: FnMut(u64, &[u8]) -> Result<(), StreamError> + Send> Check for F {}

/// A body on its way, in one buffer.
pub(crate) struct Body<C> {
    bytes: BytesMut,
    total: usize,
    checked: usize,
    check: C,
}

impl<C: Check> Body<C> {
    fn new(byte_count: u64, check: C) -> Result<Self, StreamError> {
        let total = usize::try_from(byte_count).map_err(|_| StreamError::Malformed("the body is too long"))?;
        Ok(Self { bytes: BytesMut::with_capacity(total), total, checked: 0, check })
    }

    /// Bytes still to come.
    pub(crate) fn missing(&self) -> usize {
        self.total - self.bytes.len()
    }

    /// Takes what came.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if bytes.len() > self.missing() {
            return Err(StreamError::Malformed("the body is longer than announced"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Where a stream may write what comes, at most [`missing`](Self::missing) bytes.
    pub(crate) fn buffer(&mut self) -> bytes::buf::Limit<&mut BytesMut> {
        let missing = self.missing();
        bytes::BufMut::limit(&mut self.bytes, missing)
    }

    /// Checks the groups that are complete.
    pub(crate) fn check(&mut self) -> Result<(), StreamError> {
        let group = GROUP_BYTES as usize;
        while self.checked < self.total && self.bytes.len() >= self.total.min(self.checked + group) {
            let end = self.total.min(self.checked + group);
            (self.check)(self.checked as u64, &self.bytes[self.checked..end])?;
            self.checked = end;
        }
        Ok(())
    }

    fn finish(self) -> Result<Bytes, StreamError> {
        if self.missing() > 0 {
            return Err(StreamError::Malformed("the body is shorter than announced"));
        }
        Ok(self.bytes.freeze())
    }
}

/// Reads a body of exactly `byte_count` bytes.
pub(crate) async fn read_body(
    receive: &mut impl Receive,
    byte_count: u64,
    check: impl Check,
) -> Result<Bytes, StreamError> {
    let mut body = Body::new(byte_count, check)?;
    receive.body(&mut body).await?;
    body.finish()
}

/// Reads the answer to a request; a fragment is verified while it comes.
pub(crate) async fn read_response(receive: &mut impl Receive, request: &Request) -> Result<Response, StreamError> {
    let (kind, header) = receive.head().await?;
    match decode_response(kind, &header).map_err(|WireError(why)| StreamError::Malformed(why))? {
        ResponseHead::Complete(response) => {
            receive.end().await?;
            Ok(response)
        }
        ResponseHead::Fragment(claim) => {
            let Some(fetch) = request.wanted() else {
                return Err(StreamError::Malformed("a fragment that nobody asked for"));
            };
            read_fragment(receive, claim.check(&fetch)?).await
        }
    }
}

async fn read_fragment(receive: &mut impl Receive, claim: CheckedClaim) -> Result<Response, StreamError> {
    let check = |position: u64, group: &[u8]| claim.check_group(position, group).map_err(StreamError::Lied);
    let bytes = read_body(receive, claim.byte_count(), check).await?;
    Ok(Response::Fragment(claim.into_reply(bytes)))
}
