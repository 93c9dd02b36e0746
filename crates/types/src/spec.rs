//! Describe a chain: everything that two nodes must have in common before they meet.

use crate::segment::Profile;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// Parameters, committee and first balances of a chain; `genesis.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSpec {
    /// Name for people, as in `cess devnet`.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Time of genesis, milliseconds since 1970.
    pub genesis_timestamp_ms: u64,
    /// Longest time between blocks.
    pub heartbeat_ms: u64,
    /// Shortest time between blocks.
    pub block_interval_min_ms: u64,
    /// Furthest a block's timestamp may be ahead of a validator's clock when that validator votes.
    pub clock_drift_max_ms: u64,
    /// Furthest a block's timestamp may be after its parent's, whatever the clocks say: after a longer outage the
    /// chain's time catches up block by block.
    pub timestamp_step_max_ms: u64,
    /// Gas of a block.
    pub gas_limit: u64,
    /// Base fee of the first block and the floor of all others, wei.
    pub base_fee_min: u64,
    /// Storage parameters.
    pub storage: StorageSpec,
    /// Seats of the first committee, in order of their keys.
    pub validators: Vec<ValidatorSpec>,
    /// The committee's public sharing (its constant term is the group key), as the consensus library encodes it.
    pub sharing: Bytes,
    /// First balances.
    pub alloc: Vec<Allocation>,
}

/// A seat of the first committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSpec {
    /// Ed25519 consensus key.
    pub public_key: B256,
    /// Receiver of priority fees.
    pub beneficiary: Address,
    /// Where the committee's network finds it, `host:port`.
    pub address: String,
}

/// A first balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The account.
    pub address: Address,
    /// Wei.
    pub balance: U256,
}

/// Parameters of territories, lots and volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSpec {
    /// Longest fragment; the unit of a lot.
    pub slot_bytes: u64,
    /// Slots of a lot.
    pub lot_slots: u32,
    /// Code of every volume of the public policy.
    pub profile: Profile,
    /// Volumes of a policy that take writes at the same time.
    pub open_target: u32,
    /// Effective number of operators that formation needs, in units of the profile's `n`.
    pub effective_operators_factor: u32,
    /// Views between freezing a pool and the beacon that draws from it.
    pub draw_delay_views: u64,
    /// Wei per billed byte and day.
    pub price_per_byte_day: u64,
    /// Shortest time a stripe is paid for.
    pub term_min_ms: u64,
    /// Wei held per stripe until it is released.
    pub stripe_deposit: U256,
    /// Wei a miner holds per lot.
    pub lot_collateral: U256,
    /// Longest lease.
    pub lease_max_ms: u64,
    /// Furthest a receipt's expiry may lie ahead, in blocks.
    pub receipt_expiry_max_blocks: u64,
    /// Slots of an idle unit; as on a devnet where a specification does not say. Not written then, because the genesis
    /// block hashes the text: specifications from before idle units keep their chains.
    #[serde(default = "devnet_unit_slots", skip_serializing_if = "is_devnet_unit_slots")]
    pub unit_slots: u32,
    /// Layers of an idle unit, the source included; as above.
    #[serde(default = "devnet_unit_layers", skip_serializing_if = "is_devnet_unit_layers")]
    pub unit_layers: u32,
}

const fn devnet_unit_slots() -> u32 {
    4
}

const fn devnet_unit_layers() -> u32 {
    4
}

fn is_devnet_unit_slots(slots: &u32) -> bool {
    *slots == devnet_unit_slots()
}

fn is_devnet_unit_layers(layers: &u32) -> bool {
    *layers == devnet_unit_layers()
}

/// Most bytes of an idle unit.
const UNIT_BYTES_MAX: u64 = 2 << 30;
/// Most layers of an idle unit.
const UNIT_LAYERS_MAX: u32 = 64;

impl StorageSpec {
    /// Bytes of an idle unit.
    pub fn unit_bytes(&self) -> u64 {
        self.slot_bytes.saturating_mul(u64::from(self.unit_slots))
    }

    /// Idle units of a lot.
    pub fn lot_units(&self) -> u32 {
        self.lot_slots.checked_div(self.unit_slots).unwrap_or_default()
    }

    /// Whether idle units of this size fill lots, and can be opened slot by slot: a slot has to be a subtree of BLAKE3's.
    pub fn units_fit(&self) -> bool {
        self.slot_bytes.is_power_of_two()
            && self.unit_slots.is_power_of_two()
            && self.lot_slots.is_multiple_of(self.unit_slots)
            && self.unit_bytes() <= UNIT_BYTES_MAX
    }

    /// Bytes of a lot, and so of a volume's column.
    pub fn lot_bytes(&self) -> u64 {
        self.slot_bytes * u64::from(self.lot_slots)
    }

    /// Most bytes of one segment.
    pub fn segment_bytes_max(&self) -> u64 {
        self.slot_bytes * u64::from(self.profile.data())
    }

    /// Parameters of a network on one machine.
    pub fn devnet() -> Self {
        Self {
            slot_bytes: 2 << 20,
            lot_slots: 128,
            profile: Profile::Devnet,
            open_target: 3,
            effective_operators_factor: 1,
            draw_delay_views: 2,
            price_per_byte_day: 1_000,
            term_min_ms: 24 * 3_600_000,
            stripe_deposit: U256::from(10_000_000_000_000u64),
            lot_collateral: U256::from(1_000_000_000_000_000_000u64),
            lease_max_ms: 24 * 3_600_000,
            receipt_expiry_max_blocks: 1_000,
            unit_slots: devnet_unit_slots(),
            unit_layers: devnet_unit_layers(),
        }
    }
}

/// A specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("not a chain specification: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("invalid chain specification: {0}")]
    Invalid(&'static str),
}

impl ChainSpec {
    /// Reads and checks a specification.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        let spec: Self = toml::from_str(text)?;
        spec.check()?;
        Ok(spec)
    }

    /// Writes a specification.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("every field has a TOML form")
    }

    fn check(&self) -> Result<(), SpecError> {
        let storage = &self.storage;
        let rules = [
            (self.chain_id > 0, "chain_id is zero"),
            (self.block_interval_min_ms <= self.heartbeat_ms, "block_interval_min_ms exceeds heartbeat_ms"),
            (self.heartbeat_ms > 0, "heartbeat_ms is zero"),
            (self.timestamp_step_max_ms > self.heartbeat_ms, "timestamp_step_max_ms is not above heartbeat_ms"),
            (self.gas_limit >= 30_000_000, "gas_limit is below 30,000,000"),
            (self.base_fee_min >= 8, "base_fee_min is below 8 wei, where it could never move"),
            (!self.validators.is_empty(), "there are no validators"),
            (self.validators.is_sorted_by(|a, b| a.public_key < b.public_key), "validators are not in order of key"),
            (
                storage.slot_bytes.is_multiple_of(4096) && storage.slot_bytes >= 64 << 10,
                "slot_bytes is not a multiple of 4 KiB from 64 KiB",
            ),
            (storage.slot_bytes <= 64 << 20, "slot_bytes is above 64 MiB"),
            (storage.lot_slots > 0, "lot_slots is zero"),
            (storage.open_target > 0, "open_target is zero"),
            (
                storage.units_fit(),
                "slot_bytes and unit_slots are not powers of two that divide a lot into units of at most 2 GiB",
            ),
            ((2..=UNIT_LAYERS_MAX).contains(&storage.unit_layers), "unit_layers is not between 2 and 64"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(SpecError::Invalid(rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
