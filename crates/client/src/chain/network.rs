//! Read the protocol's modules as what they are: volumes, miners, territories, buckets.

use super::{ChainApi, ChainError};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use types::{
    BucketId, Endpoint, Profile, ReceiptPublicKey,
    abi::{BUCKETS, Batch, IBuckets, IMiners, ITerritories, IVolumes, MINERS, TERRITORIES, VOLUMES},
};

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
    /// Root of its log.
    pub stripes_root: B256,
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

    /// The record of a volume.
    pub async fn volume(&self, id: u32) -> Result<IVolumes::Volume, ChainError> {
        self.read(VOLUMES, &IVolumes::volumeCall { id }).await
    }

    /// Volumes ever formed.
    pub async fn volume_count(&self) -> Result<u32, ChainError> {
        self.read(VOLUMES, &IVolumes::volumeCountCall {}).await
    }

    /// Numbers of the volumes of a policy that take writes.
    pub async fn open_volumes(&self, policy: u32) -> Result<Vec<u32>, ChainError> {
        self.read(VOLUMES, &IVolumes::openVolumesCall { policy }).await
    }

    /// A volume with its members' endpoints and keys.
    pub async fn volume_with_members(&self, id: u32) -> Result<OpenVolume, ChainError> {
        let volume = self.volume(id).await?;
        let profile = Profile::from_u8(volume.profile)
            .filter(|profile| volume.miners.len() == usize::from(profile.total()))
            .ok_or_else(|| ChainError::Invalid(format!("volume {id} has an unknown shape")))?;
        let calls: Vec<_> = volume.miners.iter().map(|&id| IMiners::minerCall { id }).collect();
        let miners = self.read_many(MINERS, &calls).await?;
        let members = volume.miners.iter().zip(miners).map(|(&miner, record)| Member {
            miner,
            endpoint: Endpoint::decode(&record.endpoint).ok(),
            receipt_key: ReceiptPublicKey::from_bytes(&record.receiptKey).ok(),
        });
        Ok(OpenVolume {
            id,
            profile,
            policy: volume.policy,
            open: volume.open,
            stripe_count: volume.stripeCount,
            column_bytes: volume.columnBytes,
            stripes_root: volume.stripesRoot,
            members: members.collect(),
        })
    }

    /// The record of a miner.
    pub async fn miner(&self, id: u32) -> Result<IMiners::Miner, ChainError> {
        self.read(MINERS, &IMiners::minerCall { id }).await
    }

    /// The number of an operator's miner; fails with `UnknownMiner` or gives 0 for an account without one.
    pub async fn miner_of(&self, operator: Address) -> Result<u32, ChainError> {
        self.read(MINERS, &IMiners::minerOfCall { operator }).await
    }

    /// Miners ever registered.
    pub async fn miner_count(&self) -> Result<u32, ChainError> {
        self.read(MINERS, &IMiners::minerCountCall {}).await
    }

    /// The record of a territory.
    pub async fn territory(&self, id: u64) -> Result<ITerritories::Territory, ChainError> {
        self.read(TERRITORIES, &ITerritories::territoryCall { id }).await
    }

    /// Territories ever bought.
    pub async fn territory_count(&self) -> Result<u64, ChainError> {
        self.read(TERRITORIES, &ITerritories::territoryCountCall {}).await
    }

    /// Price of billed bytes for a time.
    pub async fn quote(&self, size: u64, days: u32) -> Result<U256, ChainError> {
        self.read(TERRITORIES, &ITerritories::quoteCall { size, daysCount: days }).await
    }

    /// The record of a bucket.
    pub async fn bucket(&self, id: BucketId) -> Result<IBuckets::Bucket, ChainError> {
        self.read(BUCKETS, &IBuckets::bucketCall { id }).await
    }

    /// What a territory may still stage on each member of a volume.
    pub async fn lease(&self, territory: u64, volume: u32) -> Result<IVolumes::Lease, ChainError> {
        self.read(VOLUMES, &IVolumes::leaseOfCall { territory, volume }).await
    }

    /// One more than the position of a live segment in the volume's log, or zero.
    pub async fn position_of(&self, volume: u32, segment: B256) -> Result<u32, ChainError> {
        self.read(VOLUMES, &IVolumes::positionOfCall { volume, segment }).await
    }

    /// Whether a commit with this sequence already happened.
    pub async fn is_sequence_used(&self, territory: u64, sequence: u64) -> Result<bool, ChainError> {
        self.read(VOLUMES, &IVolumes::isSequenceUsedCall { territory, sequence }).await
    }

    /// What a commit of these batches will take beside gas.
    pub async fn commit_price(&self, batches: &[Batch]) -> Result<U256, ChainError> {
        self.read(VOLUMES, &IVolumes::commitPriceCall { batches: batches.to_vec() }).await
    }
}

fn decode<C: SolCall>(output: &[u8]) -> Result<C::Return, ChainError> {
    C::abi_decode_returns(output).map_err(|error| ChainError::Invalid(format!("{}: {error}", C::SIGNATURE)))
}
