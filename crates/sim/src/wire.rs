//! Carry requests between peers through the weather.

use crate::{chance::Chance, weather::Weather};
use alloy_primitives::B256;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::time::Duration;
use transport::{MemoryTransport, Transport, TransportError, message::Request, message::Response};
use types::Endpoint;

/// A peer's way to all others.
pub struct Wire {
    inner: MemoryTransport,
    weather: Weather,
    region: usize,
    chance: Mutex<Chance>,
}

impl Wire {
    /// The way of a peer that is in a region.
    pub fn new(inner: MemoryTransport, weather: Weather, chance: Chance) -> Self {
        let region = weather.region(&inner.id());
        Self { inner, weather, region, chance: Mutex::new(chance) }
    }

    fn latency(&self) -> Duration {
        self.weather.latency(&mut self.chance.lock())
    }

    fn is_lost(&self) -> bool {
        self.weather.loses(&mut self.chance.lock())
    }

    async fn carry(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        tokio::time::sleep(self.latency()).await;
        if !self.weather.connects(self.region, self.weather.region(&to.id())) {
            return Err(TransportError::Unreachable("in the dark".into()));
        }
        if self.is_lost() {
            return Err(TransportError::Broken("the request was lost".into()));
        }
        let answer = self.inner.request(to, request, deadline).await;
        tokio::time::sleep(self.latency()).await;
        if self.is_lost() || !self.weather.connects(self.region, self.weather.region(&to.id())) {
            return Err(TransportError::Broken("the answer was lost".into()));
        }
        answer
    }
}

#[async_trait]
impl Transport for Wire {
    fn local_id(&self) -> B256 {
        self.inner.id()
    }

    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        let carried = self.carry(to, request, deadline);
        tokio::time::timeout(deadline, carried).await.unwrap_or(Err(TransportError::Deadline))
    }
}
