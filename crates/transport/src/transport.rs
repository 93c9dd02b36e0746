//! Ask peers and serve them, whatever carries the bytes.

use crate::{
    fragment::Fragment,
    message::{
        Acknowledge, Disown, Fetch, LeavesQuery, MinerStatus, Rebuild, Refusal, RefusalReason, Request, Response, Sign,
        Stage, StageHeader, StatusQuery,
    },
    verify::{FetchedFragment, Lie},
};
use alloy_primitives::B256;
use async_trait::async_trait;
use std::time::Duration;
use types::{Endpoint, StripeLeaf};

/// Why a request brought no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection came up.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke after the request was sent, perhaps after it took effect.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer was not complete in time.
    #[error("no complete answer within the deadline")]
    Deadline,
    /// The request breaks a limit or a rule of the format; nothing was sent.
    #[error("the request cannot be sent: {0}")]
    InvalidRequest(&'static str),
    /// The answer breaks the format: the peer's fault.
    #[error("the peer's answer is malformed: {0}")]
    Malformed(&'static str),
    /// The answer is no answer to this request: the peer's fault.
    #[error("the peer answered another question")]
    UnexpectedResponse,
    /// The peer sent bytes that do not verify: the peer's fault.
    #[error("the peer lied: {0}")]
    Lied(#[from] Lie),
    /// This side was shut down.
    #[error("the transport is closed")]
    Closed,
}

impl TransportError {
    /// Whether the peer broke the rules, so that a fault belongs on its account.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::UnexpectedResponse | Self::Lied(_))
    }
}

/// Why a request other than a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The peer said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer that counts.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Why a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The peer sent what does not verify.
    #[error("the peer lied: {0}")]
    Lied(#[from] Lie),
    /// The peer said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer that counts.
    #[error(transparent)]
    Transport(TransportError),
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Lied(lie) => Self::Lied(lie),
            error => Self::Transport(error),
        }
    }
}

/// Asks peers.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The ed25519 key that peers know this side by.
    fn local_id(&self) -> B256;

    /// Asks a peer and waits for the complete answer, at most `deadline`. The answer fits the request, and a fragment
    /// in it has been verified: an implementation returns [`TransportError::Lied`] instead.
    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError>;

    /// Hands a fragment to a member; done when it is on the member's disk.
    async fn stage(
        &self,
        to: &Endpoint,
        header: StageHeader,
        fragment: Fragment,
        deadline: Duration,
    ) -> Result<(), RequestError> {
        match self.request(to, Request::Stage(Stage { header, fragment }), deadline).await? {
            Response::Staged => Ok(()),
            other => Err(refusal_or_unexpected(other)),
        }
    }

    /// Asks a member for the receipt of a batch. The signature is not verified here.
    async fn sign(
        &self,
        to: &Endpoint,
        sign: Sign,
        deadline: Duration,
    ) -> Result<[u8; types::bls::SIGNATURE_BYTES], RequestError> {
        match self.request(to, Request::Sign(sign), deadline).await? {
            Response::Signature(signature) => Ok(signature),
            other => Err(refusal_or_unexpected(other)),
        }
    }

    /// Fetches a fragment, or a range of it; every byte returned is verified.
    async fn fetch(&self, to: &Endpoint, fetch: Fetch, deadline: Duration) -> Result<FetchedFragment, FetchError> {
        let range = fetch.range.clone();
        match self.request(to, Request::Fetch(fetch), deadline).await? {
            Response::Fragment(reply) => Ok(FetchedFragment::cut(reply, range)?),
            Response::Refused(refusal) => Err(refusal.into()),
            _ => Err(TransportError::UnexpectedResponse.into()),
        }
    }

    /// Asks a miner how it is.
    async fn status(&self, to: &Endpoint, query: StatusQuery, deadline: Duration) -> Result<MinerStatus, RequestError> {
        match self.request(to, Request::Status(query), deadline).await? {
            Response::Status(status) => Ok(status),
            other => Err(refusal_or_unexpected(other)),
        }
    }

    /// Asks a member for leaves of a volume's log. They count only once they make the root on chain.
    async fn leaves(
        &self,
        to: &Endpoint,
        query: LeavesQuery,
        deadline: Duration,
    ) -> Result<Vec<StripeLeaf>, RequestError> {
        match self.request(to, Request::Leaves(query), deadline).await? {
            Response::Leaves(leaves) => Ok(leaves),
            other => Err(refusal_or_unexpected(other)),
        }
    }

    /// Asks a member to sign that a stripe is no codeword. The signature is not verified here.
    async fn disown(
        &self,
        to: &Endpoint,
        disown: Disown,
        deadline: Duration,
    ) -> Result<[u8; types::bls::SIGNATURE_BYTES], RequestError> {
        match self.request(to, Request::Disown(disown), deadline).await? {
            Response::Signature(signature) => Ok(signature),
            other => Err(refusal_or_unexpected(other)),
        }
    }

    /// Has a member rebuild a fragment. What it sends is verified like what is fetched.
    async fn rebuild(
        &self,
        to: &Endpoint,
        rebuild: Rebuild,
        deadline: Duration,
    ) -> Result<FetchedFragment, FetchError> {
        match self.request(to, Request::Rebuild(rebuild), deadline).await? {
            Response::Fragment(reply) => Ok(FetchedFragment::cut(reply, None)?),
            Response::Refused(refusal) => Err(refusal.into()),
            _ => Err(FetchError::Transport(TransportError::UnexpectedResponse)),
        }
    }

    /// Gives a member its acknowledgement; done when it is on the member's disk.
    async fn acknowledge(
        &self,
        to: &Endpoint,
        acknowledge: Acknowledge,
        deadline: Duration,
    ) -> Result<(), RequestError> {
        match self.request(to, Request::Acknowledge(acknowledge), deadline).await? {
            Response::Acknowledged => Ok(()),
            other => Err(refusal_or_unexpected(other)),
        }
    }
}

fn refusal_or_unexpected(response: Response) -> RequestError {
    match response {
        Response::Refused(refusal) => refusal.into(),
        _ => TransportError::UnexpectedResponse.into(),
    }
}

/// Answers peers.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Judges a [`Stage`] by its header, before the fragment's bytes are taken in.
    async fn admit(&self, from: B256, header: &StageHeader) -> Result<(), Refusal> {
        let _ = (from, header);
        Ok(())
    }

    /// Answers a request. A fragment to be staged has the length its header says; nothing else about it was checked.
    async fn handle(&self, from: B256, request: Request) -> Response;
}

/// Whether `response` may answer `request`.
pub(crate) fn answers(request: &Request, response: &Response) -> bool {
    matches!(
        (request, response),
        (_, Response::Refused(_))
            | (Request::Stage(_), Response::Staged)
            | (Request::Sign(_), Response::Signature(_))
            | (Request::Fetch(_), Response::Fragment(_))
            | (Request::Status(_), Response::Status(_))
            | (Request::Leaves(_), Response::Leaves(_))
            | (Request::Disown(_), Response::Signature(_))
            | (Request::Rebuild(_), Response::Fragment(_))
            | (Request::Acknowledge(_), Response::Acknowledged)
    )
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A refusal that says when to ask again.
pub(crate) fn busy(retry_after: Duration, detail: &str) -> Refusal {
    let retry_after_ms = retry_after.min(crate::limits::RETRY_AFTER_MAX).as_millis() as u32;
    Refusal::new(RefusalReason::Busy { retry_after_ms }, detail)
}
