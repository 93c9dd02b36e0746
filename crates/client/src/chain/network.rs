//! Read the protocol's modules as what they are: volumes, miners, territories, buckets.
//!
//! # Design
//! Records are read from the state that the chain's committee vouches for ([`ChainApi::state`], `types::layout`). What
//! only estimates or lists is left to calls, which are answered by whatever node is asked: see `docs/spec/client.md`.

use super::{ChainApi, ChainError, Proved, STATE_KEYS_MAX};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolError};
use std::collections::{BTreeMap, BTreeSet};
use types::{
    BucketId, Endpoint, Profile, ReceiptPublicKey, SegmentId,
    abi::{Batch, IBuckets, IMiners, ITerritories, IVolumes, MINERS, TERRITORIES, VOLUMES},
    layout::{
        Missing, Query, Words,
        buckets::BucketQuery,
        miners::{Contact, ContactQuery, MinerQuery, OperatorQuery},
        territories::TerritoryQuery,
        volumes::{
            CountQuery, Lease, LeaseQuery, Log, LogQuery, OpenQuery, PositionQuery, Seats, SeatsQuery, SequenceQuery,
            VolumeQuery,
        },
    },
    state::{StateKey, decode_slot},
};

/// How often a record may turn out to take more slots than were read.
const ROUNDS_MAX: usize = 4;

/// The block that a proved answer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Its height.
    pub height: u64,
    /// Its time, milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// Typed reads over any [`ChainApi`].
#[derive(Clone, Copy)]
pub struct Network<'a>(pub &'a dyn ChainApi);

/// A volume with all that a writer or reader needs of its members.
#[derive(Clone, Debug)]
pub struct OpenVolume {
    /// The volume.
    pub id: u32,
    /// Its code.
    pub profile: Profile,
    /// The policy it was formed under.
    pub policy: u32,
    /// Whether it takes writes.
    pub open: bool,
    /// Stripes in its log.
    pub stripe_count: u32,
    /// Bytes of each column so far.
    pub column_bytes: u64,
    /// Members by seat.
    pub members: Vec<Member>,
}

/// Who sits in a seat.
#[derive(Clone, Debug)]
pub struct Member {
    /// The miner.
    pub miner: u32,
    /// Where it is reached; absent if what the chain holds is no endpoint.
    pub endpoint: Option<Endpoint>,
    /// What it signs receipts with; absent if what the chain holds is no key.
    pub receipt_key: Option<ReceiptPublicKey>,
}

impl Network<'_> {
    /// Runs one typed call.
    pub async fn read<C: SolCall>(&self, module: Address, call: &C) -> Result<C::Return, ChainError> {
        decode::<C>(&self.0.call(module, call.abi_encode().into()).await?)
    }

    /// Runs several typed calls of one kind.
    pub async fn read_many<C: SolCall>(&self, module: Address, calls: &[C]) -> Result<Vec<C::Return>, ChainError> {
        let encoded = calls.iter().map(|call| (module, call.abi_encode().into())).collect();
        let outputs = self.0.call_many(encoded).await?;
        if outputs.len() != calls.len() {
            return Err(ChainError::Invalid(format!("{} answers to {} calls", outputs.len(), calls.len())));
        }
        outputs.iter().map(|output| decode::<C>(output)).collect()
    }

    /// Answers queries from the proved state; the stamp is that of the oldest block that was read.
    pub async fn query_many<Q: Query>(&self, queries: &[Q]) -> Result<(Stamp, Vec<Q::Record>), ChainError> {
        let mut oldest = Stamp { height: u64::MAX, timestamp_ms: u64::MAX };
        let mut records = Vec::with_capacity(queries.len());
        let mut rest = queries;
        while !rest.is_empty() {
            let (group, after) = rest.split_at(group_len(rest));
            let (stamp, answers) = self.query_group(group).await?;
            oldest = oldest.min(stamp);
            records.extend(answers);
            rest = after;
        }
        Ok((oldest, records))
    }

    /// Answers one query from the proved state.
    pub async fn query<Q: Query>(&self, query: Q) -> Result<Q::Record, ChainError> {
        let (_, mut records) = self.query_group(std::slice::from_ref(&query)).await?;
        Ok(records.remove(0))
    }

    /// Answers queries from the state of one block.
    async fn query_group<Q: Query>(&self, queries: &[Q]) -> Result<(Stamp, Vec<Q::Record>), ChainError> {
        let mut keys: BTreeSet<StateKey> = slots_of(queries).collect();
        for _ in 0..ROUNDS_MAX {
            let asked: Vec<_> = keys.iter().copied().collect();
            let Proved { height, timestamp_ms, values } = self.0.state(&asked).await?;
            if values.len() != asked.len() {
                return Err(ChainError::Invalid(format!("{} values of {} slots", values.len(), asked.len())));
            }
            let mut words = Words::default();
            for (key, value) in asked.into_iter().zip(values) {
                words.insert(key, value.as_ref().map(decode_slot).unwrap_or_default());
            }
            let mut records = Vec::with_capacity(queries.len());
            for query in queries {
                match query.read(&words) {
                    Ok(record) => records.push(record),
                    Err(Missing(more)) => keys.extend(more),
                }
            }
            if records.len() == queries.len() {
                return Ok((Stamp { height, timestamp_ms }, records));
            }
        }
        Err(ChainError::Invalid("records change faster than they can be read".into()))
    }

    /// The newest block that is proved.
    pub async fn stamp(&self) -> Result<Stamp, ChainError> {
        Ok(self.query_many(&[CountQuery]).await?.0)
    }

    /// The record of a volume.
    pub async fn volume(&self, id: u32) -> Result<IVolumes::Volume, ChainError> {
        let seats = SeatsQuery { volume: id, profile: self.profile().await? };
        self.query(VolumeQuery(seats)).await?.ok_or_else(|| unknown(IVolumes::UnknownVolume { volume: id }))
    }

    /// Length and root of a volume's log, which most likely has so many stripes.
    pub async fn log(&self, volume: u32, stripe_count: u32) -> Result<Log, ChainError> {
        self.query(LogQuery { volume, stripe_count }).await
    }

    /// Volumes ever formed, as the node says.
    pub async fn volume_count(&self) -> Result<u32, ChainError> {
        self.read(VOLUMES, &IVolumes::volumeCountCall {}).await
    }

    /// Numbers of the volumes of a policy that take writes.
    pub async fn open_volumes(&self, policy: u32) -> Result<Vec<u32>, ChainError> {
        self.query(OpenQuery { policy }).await
    }

    /// A volume with its members' endpoints and keys.
    pub async fn volume_with_members(&self, id: u32) -> Result<OpenVolume, ChainError> {
        Ok(self.volumes_with_members(&[id]).await?.remove(0))
    }

    /// Volumes with their members' endpoints and keys, in the order of `ids`.
    pub async fn volumes_with_members(&self, ids: &[u32]) -> Result<Vec<OpenVolume>, ChainError> {
        let profile = self.profile().await?;
        let queries: Vec<_> = ids.iter().map(|&volume| SeatsQuery { volume, profile }).collect();
        let (_, seats) = self.query_many(&queries).await?;
        let known =
            |(seats, &volume): (Option<Seats>, _)| seats.ok_or_else(|| unknown(IVolumes::UnknownVolume { volume }));
        let seats: Vec<Seats> = seats.into_iter().zip(ids).map(known).collect::<Result<_, _>>()?;
        let miners: BTreeSet<u32> = seats.iter().flat_map(|seats| seats.miners.iter().copied()).collect();
        let queries: Vec<_> = miners.iter().map(|&miner| ContactQuery(miner)).collect();
        let (_, contacts) = self.query_many(&queries).await?;
        let members: BTreeMap<u32, Member> =
            miners.into_iter().zip(contacts).map(|(miner, contact)| (miner, member(miner, &contact))).collect();
        Ok(ids.iter().zip(seats).map(|(&id, seats)| open_volume(id, seats, &members)).collect())
    }

    /// The record of a miner.
    pub async fn miner(&self, id: u32) -> Result<IMiners::Miner, ChainError> {
        self.query(MinerQuery(id)).await?.ok_or_else(|| unknown(IMiners::UnknownMiner { miner: id }))
    }

    /// The number of an operator's miner; 0 for an account without one.
    pub async fn miner_of(&self, operator: Address) -> Result<u32, ChainError> {
        self.query(OperatorQuery(operator)).await
    }

    /// Miners ever registered, as the node says.
    pub async fn miner_count(&self) -> Result<u32, ChainError> {
        self.read(MINERS, &IMiners::minerCountCall {}).await
    }

    /// The record of a territory.
    pub async fn territory(&self, id: u64) -> Result<ITerritories::Territory, ChainError> {
        self.query(TerritoryQuery(id)).await?.ok_or_else(|| unknown(ITerritories::UnknownTerritory { territory: id }))
    }

    /// The records of territories, in the order of `ids`; nothing for one that does not exist.
    pub async fn territories(&self, ids: &[u64]) -> Result<Vec<Option<ITerritories::Territory>>, ChainError> {
        let queries: Vec<_> = ids.iter().map(|&id| TerritoryQuery(id)).collect();
        Ok(self.query_many(&queries).await?.1)
    }

    /// Territories ever bought, as the node says.
    pub async fn territory_count(&self) -> Result<u64, ChainError> {
        self.read(TERRITORIES, &ITerritories::territoryCountCall {}).await
    }

    /// Price of billed bytes for a time, as the node says: what is paid too much comes back.
    pub async fn quote(&self, size: u64, days: u32) -> Result<U256, ChainError> {
        self.read(TERRITORIES, &ITerritories::quoteCall { size, daysCount: days }).await
    }

    /// The record of a bucket.
    pub async fn bucket(&self, id: BucketId) -> Result<IBuckets::Bucket, ChainError> {
        self.query(BucketQuery(id)).await?.ok_or_else(|| unknown(IBuckets::UnknownBucket { bucket: id }))
    }

    /// What a territory may still stage on each member of a volume.
    pub async fn lease(&self, territory: u64, volume: u32) -> Result<Lease, ChainError> {
        self.query(LeaseQuery { territory, volume }).await
    }

    /// For each segment of a volume, one more than its position in the volume's log, or zero if it is not live there.
    pub async fn positions(&self, segments: &[(u32, SegmentId)]) -> Result<Vec<u32>, ChainError> {
        let queries: Vec<_> = segments.iter().map(|&(volume, segment)| PositionQuery { volume, segment }).collect();
        Ok(self.query_many(&queries).await?.1)
    }

    /// Whether a commit with this sequence already happened.
    pub async fn is_sequence_used(&self, territory: u64, sequence: u64) -> Result<bool, ChainError> {
        self.query(SequenceQuery { territory, sequence }).await
    }

    async fn profile(&self) -> Result<Profile, ChainError> {
        Ok(self.0.spec().await?.storage.profile)
    }

    /// What a commit of these batches will take beside gas, as the node says: what is paid too much comes back.
    pub async fn commit_price(&self, batches: &[Batch]) -> Result<U256, ChainError> {
        self.read(VOLUMES, &IVolumes::commitPriceCall { batches: batches.to_vec() }).await
    }
}

fn decode<C: SolCall>(output: &[u8]) -> Result<C::Return, ChainError> {
    C::abi_decode_returns(output).map_err(|error| ChainError::Invalid(format!("{}: {error}", C::SIGNATURE)))
}

/// What a call to the module would have answered.
fn unknown(error: impl SolError) -> ChainError {
    ChainError::Reverted { data: error.abi_encode().into() }
}

fn slots_of<Q: Query>(queries: &[Q]) -> impl Iterator<Item = StateKey> {
    queries.iter().flat_map(|query| query.slots()).map(|slot| StateKey::Slot(Q::MODULE, slot))
}

/// How many of the first queries are read at once; at least one.
fn group_len<Q: Query>(queries: &[Q]) -> usize {
    let mut keys = 0;
    let fits = queries.iter().take_while(|query| {
        keys += query.slots().len();
        keys <= STATE_KEYS_MAX
    });
    fits.count().max(1)
}

fn member(miner: u32, contact: &Contact) -> Member {
    Member {
        miner,
        endpoint: Endpoint::decode(&contact.endpoint).ok(),
        receipt_key: ReceiptPublicKey::from_bytes(&contact.receipt_key).ok(),
    }
}

fn open_volume(id: u32, seats: Seats, members: &BTreeMap<u32, Member>) -> OpenVolume {
    let Seats { profile, policy, open, stripe_count, column_bytes, miners } = seats;
    let members = miners.iter().map(|miner| members[miner].clone()).collect();
    OpenVolume { id, profile, policy, open, stripe_count, column_bytes, members }
}

#[cfg(test)]
mod tests;
