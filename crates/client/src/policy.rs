//! Make and look at placement policies: where the members of volumes may be.

mod region;

pub use region::{Region, RegionError};

use crate::{BucketError, ChainError, Client, SendError, chain::Network};
use alloy_primitives::{Address, Bytes, Log, U256};
use alloy_sol_types::{SolError, SolEvent};
use types::abi::{
    BUCKETS, IBuckets,
    IPolicies::{self, Policy},
    IVolumes, POLICIES, VOLUMES,
};

/// Why a policy could not be made, widened or chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The chain did not answer, or says what is missing.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The receipt does not say what was made.
    #[error("the receipt of the policy has no event: look it up with `cess policy list`")]
    NoEvent,
}

impl PolicyError {
    /// Whether there are too few operators where the policy wants them.
    pub fn lacks_operators(&self) -> bool {
        let Some(data) = self.revert_data() else { return false };
        IPolicies::TooFewOperators::abi_decode(data).is_ok()
            || IPolicies::TooConcentrated::abi_decode(data).is_ok()
            || IPolicies::CapsTooTight::abi_decode(data).is_ok()
    }

    fn revert_data(&self) -> Option<&Bytes> {
        match self {
            Self::Chain(ChainError::Reverted { data }) => Some(data),
            Self::Send(error) => error.revert_data(),
            _ => None,
        }
    }
}

/// A policy that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPolicy {
    /// Its number.
    pub id: u32,
    /// What was paid for its first volume; nothing for a public policy that was there already.
    pub paid: Option<U256>,
}

/// A policy with what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySummary {
    /// Its number.
    pub id: u32,
    /// What it says.
    pub rule: Policy,
    /// Who created it; the zero address for the policy of the chain itself.
    pub owner: Address,
    /// Volumes that take writes at the same time, as far as they were paid for.
    pub wanted: u16,
    /// Volumes that take writes now.
    pub open_volumes: Vec<u32>,
}

impl Network<'_> {
    /// Policies ever created beside policy 0, as the node says.
    pub async fn policy_count(&self) -> Result<u32, ChainError> {
        self.read(POLICIES, &IPolicies::policyCountCall {}).await
    }

    /// A policy, as the node says.
    pub async fn policy(&self, id: u32) -> Result<PolicySummary, ChainError> {
        Ok(self.policies(&[id]).await?.remove(0))
    }

    /// Policies in the order of `ids`, as the node says.
    pub async fn policies(&self, ids: &[u32]) -> Result<Vec<PolicySummary>, ChainError> {
        let rules: Vec<_> = ids.iter().map(|&id| IPolicies::policyCall { id }).collect();
        let demands: Vec<_> = ids.iter().map(|&id| IPolicies::demandCall { id }).collect();
        let volumes: Vec<_> = ids.iter().map(|&policy| IVolumes::openVolumesCall { policy }).collect();
        // Not at the same time: a policy that does not exist is told by its own error.
        let rules = self.read_many(POLICIES, &rules).await?;
        let demands = self.read_many(POLICIES, &demands).await?;
        let volumes = self.read_many(VOLUMES, &volumes).await?;
        let all = ids.iter().zip(rules).zip(demands).zip(volumes);
        Ok(all
            .map(|(((&id, rule), demand), open_volumes)| PolicySummary {
                id,
                rule,
                owner: demand.owner,
                wanted: demand.wanted,
                open_volumes,
            })
            .collect())
    }

    /// Whether volumes can be formed under a policy now; the error says what is missing.
    pub async fn check_policy(&self, policy: u32) -> Result<(), ChainError> {
        self.read(POLICIES, &IPolicies::checkCall { policy }).await.map(drop)
    }

    /// Whether a public policy of this content can be satisfied now; the error says what is missing. Answers with its
    /// number if there is one already.
    pub async fn check_rule(&self, rule: &Policy) -> Result<Option<u32>, ChainError> {
        // Only what is new and can be satisfied has to be paid for.
        match self.read(POLICIES, &IPolicies::createCall { rule: rule.clone() }).await {
            Ok(id) => self.check_policy(id).await.map(|()| Some(id)),
            Err(ChainError::Reverted { data }) if IPolicies::Underpaid::abi_decode(&data).is_ok() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a volume under a policy of this profile costs, as the node says.
    pub async fn opening_price(&self, profile: u8) -> Result<U256, ChainError> {
        self.read(POLICIES, &IPolicies::openingPriceCall { profile }).await
    }
}

impl Client {
    /// Creates a policy and pays for its first volume; finds a public one that is there already. What nothing can
    /// satisfy is refused with what is missing.
    pub async fn create_policy(&self, rule: Policy) -> Result<NewPolicy, PolicyError> {
        let network = Network(&**self.chain());
        // Who asks matters to private ones, and each of them is new.
        if rule.miners.is_empty()
            && let Some(id) = network.check_rule(&rule).await?
        {
            return Ok(NewPolicy { id, paid: None });
        }
        let price = network.opening_price(rule.profile).await?;
        let receipt = self.sender().call(POLICIES, price, &IPolicies::createCall { rule }).await?;
        let created = |log: &Log| IPolicies::Created::decode_log_data(&log.data).ok();
        let event = receipt.logs.iter().find_map(created).ok_or(PolicyError::NoEvent)?;
        Ok(NewPolicy { id: event.policy, paid: Some(price) })
    }

    /// Pays for one more volume that takes writes at the same time; what was paid.
    pub async fn widen_policy(&self, policy: u32) -> Result<U256, PolicyError> {
        let network = Network(&**self.chain());
        let profile = network.policy(policy).await?.rule.profile;
        let price = network.opening_price(profile).await?;
        self.sender().call(POLICIES, price, &IPolicies::widenCall { policy }).await?;
        Ok(price)
    }

    /// Says where segments of a bucket written from now on are to be kept.
    pub async fn set_bucket_policy(&self, name: &str, policy: u32) -> Result<(), BucketError> {
        let (bucket, _) = self.open_bucket(name).await?;
        self.sender().call(BUCKETS, U256::ZERO, &IBuckets::setPolicyCall { bucket: bucket.id, policy }).await?;
        Ok(())
    }
}
