//! Know the miners by name, and find out which of them answer.

use crate::{cli::NumberPage, devnet::Kind, session::Session};
use anyhow::Result;
use client::chain::Network;
use futures::{StreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};
use transport::{MinerStatus, PeerConfig, PeerTransport, StatusQuery, Transport};
use types::{
    Endpoint,
    abi::{IMiners, MINERS},
};

/// How long a miner may take to answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// Miners that are asked at a time.
const CONCURRENCY: usize = 64;

/// A registered miner.
pub struct Member {
    /// Number in the registry.
    pub id: u32,
    /// Its role in a devnet, or its number.
    pub name: String,
    /// Where it is reached; absent if what the chain holds is no endpoint.
    pub endpoint: Option<Endpoint>,
    /// The registry's record.
    pub record: IMiners::Miner,
}

/// Miners by number.
pub struct Members(BTreeMap<u32, Member>);

impl Members {
    /// Reads a page of the registry, and says how many miners come after it.
    pub async fn page(session: &Session, page: NumberPage) -> Result<(Self, u32)> {
        let count = Network(&*session.chain).miner_count().await?;
        let last = count.min(page.after.saturating_add(page.limit));
        Ok((Self::of(session, page.after.saturating_add(1)..=last).await?, count.saturating_sub(last)))
    }

    /// Reads these miners of the registry.
    pub async fn of(session: &Session, ids: impl IntoIterator<Item = u32>) -> Result<Self> {
        let ids: Vec<u32> = ids.into_iter().collect();
        let calls: Vec<_> = ids.iter().map(|&id| IMiners::minerCall { id }).collect();
        let records = Network(&*session.chain).read_many(MINERS, &calls).await?;
        let members = ids.into_iter().zip(records).map(|(id, record)| {
            let endpoint = Endpoint::decode(&record.endpoint).ok();
            let role = endpoint.as_ref().and_then(|endpoint| role_at(session, endpoint));
            (id, Member { id, name: role.unwrap_or_else(|| format!("miner #{id}")), endpoint, record })
        });
        Ok(Self(members.collect()))
    }

    /// In the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    /// What a miner is called.
    pub fn name(&self, id: u32) -> String {
        self.0.get(&id).map_or_else(|| format!("miner #{id}"), |member| member.name.clone())
    }

    /// The numbers of those that answer now.
    pub async fn answering(&self) -> Result<BTreeSet<u32>> {
        Ok(self.statuses().await?.into_keys().collect())
    }

    /// What those say of themselves that answer now.
    pub async fn statuses(&self) -> Result<BTreeMap<u32, MinerStatus>> {
        let transport =
            &PeerTransport::bind(rand::random(), (Ipv4Addr::UNSPECIFIED, 0).into(), PeerConfig::default()).await?;
        let asked = stream::iter(self.all()).map(|member| async move {
            let endpoint = member.endpoint.as_ref()?;
            Some((member.id, transport.status(endpoint, StatusQuery::default(), DEADLINE).await.ok()?))
        });
        let statuses = asked.buffer_unordered(CONCURRENCY).filter_map(async |answer| answer).collect().await;
        transport.close().await;
        Ok(statuses)
    }
}

/// Where an endpoint is, for people and programs: by what a client takes first.
pub fn shown(endpoint: &Endpoint) -> String {
    match (endpoint.addresses().first(), endpoint.relay()) {
        (Some(address), _) if endpoint.takes_tcp() => format!("tcp://{address}"),
        (Some(address), _) => format!("quic://{address}"),
        (None, relay) => relay.unwrap_or_default().to_string(),
    }
}

/// The role of the devnet that listens there.
fn role_at(session: &Session, endpoint: &Endpoint) -> Option<String> {
    let address = shown(endpoint);
    let mut miners = session.devnet()?.roles.iter().filter(|role| role.kind == Kind::Miner);
    miners.find(|role| role.endpoints.contains(&address)).map(|role| role.name.clone())
}
