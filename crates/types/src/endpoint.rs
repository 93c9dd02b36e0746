//! Say where a peer is reached.
//!
//! # Format
//! ```text
//! id (32, ed25519) ‖ count (1, at most 4; with 0x80 if it takes TCP) ‖ count × address ‖ relay length (1) ‖ relay (UTF-8 URL)
//! address = 4 (1) ‖ IPv4 (4) ‖ port (2, BE)   or   6 (1) ‖ IPv6 (16) ‖ port (2, BE)
//! ```

use alloy_primitives::B256;
use std::net::{IpAddr, SocketAddr};

/// Most socket addresses of an endpoint.
pub const ADDRESSES_MAX: usize = 4;
/// Marks the count of addresses of a peer that takes TCP.
const TCP_FLAG: u8 = 0x80;
/// Longest relay URL.
pub const RELAY_BYTES_MAX: usize = 128;

/// A peer's transport key and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    id: B256,
    addresses: Vec<SocketAddr>,
    relay: Option<String>,
    tcp: bool,
}

/// Bytes or parts make no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("an endpoint has at most {ADDRESSES_MAX} addresses")]
    TooManyAddresses,
    #[error("a relay URL has 1 to {RELAY_BYTES_MAX} bytes")]
    RelayLength,
    #[error("an endpoint needs an address or a relay")]
    Unreachable,
    #[error("the encoding of the endpoint is malformed")]
    Malformed,
}

impl Endpoint {
    /// Puts an endpoint together.
    pub fn new(id: B256, addresses: Vec<SocketAddr>, relay: Option<String>) -> Result<Self, EndpointError> {
        if addresses.len() > ADDRESSES_MAX {
            return Err(EndpointError::TooManyAddresses);
        }
        if relay.as_ref().is_some_and(|url| url.is_empty() || url.len() > RELAY_BYTES_MAX) {
            return Err(EndpointError::RelayLength);
        }
        if addresses.is_empty() && relay.is_none() {
            return Err(EndpointError::Unreachable);
        }
        Ok(Self { id, addresses, relay, tcp: false })
    }

    /// Says whether its addresses take TCP with TLS 1.3 beside QUIC, on the same ports; without addresses it does not.
    pub fn with_tcp(mut self, tcp: bool) -> Self {
        self.tcp = tcp && !self.addresses.is_empty();
        self
    }

    /// Whether its addresses take TCP with TLS 1.3 beside QUIC.
    pub fn takes_tcp(&self) -> bool {
        self.tcp
    }

    /// The ed25519 transport key.
    pub fn id(&self) -> B256 {
        self.id
    }

    /// Where to dial, at most four.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A relay, for peers behind a router.
    pub fn relay(&self) -> Option<&str> {
        self.relay.as_deref()
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.id.to_vec();
        out.push(self.addresses.len() as u8 | if self.tcp { TCP_FLAG } else { 0 });
        for address in &self.addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend(ip.octets());
                }
            }
            out.extend(address.port().to_be_bytes());
        }
        let relay = self.relay.as_deref().unwrap_or_default();
        out.push(relay.len() as u8);
        out.extend(relay.as_bytes());
        out
    }

    /// Reads the canonical bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, EndpointError> {
        let mut reader = Reader(bytes);
        let id = B256::from(reader.array::<32>()?);
        let counted = reader.byte()?;
        let (count, tcp) = (usize::from(counted & !TCP_FLAG), counted & TCP_FLAG != 0);
        if tcp && count == 0 {
            return Err(EndpointError::Malformed);
        }
        if count > ADDRESSES_MAX {
            return Err(EndpointError::TooManyAddresses);
        }
        let addresses = (0..count).map(|_| reader.address()).collect::<Result<_, _>>()?;
        let relay_bytes = usize::from(reader.byte()?);
        let relay = reader.take(relay_bytes)?;
        let relay = std::str::from_utf8(relay).map_err(|_| EndpointError::Malformed)?;
        if !reader.0.is_empty() {
            return Err(EndpointError::Malformed);
        }
        Ok(Self::new(id, addresses, (!relay.is_empty()).then(|| relay.to_owned()))?.with_tcp(tcp))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], EndpointError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(EndpointError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EndpointError> {
        self.take(N)?.try_into().map_err(|_| EndpointError::Malformed)
    }

    fn byte(&mut self) -> Result<u8, EndpointError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn address(&mut self) -> Result<SocketAddr, EndpointError> {
        let ip = match self.byte()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return Err(EndpointError::Malformed),
        };
        Ok(SocketAddr::new(ip, u16::from_be_bytes(self.array()?)))
    }
}

#[cfg(test)]
mod tests;
