//! Describe a chain: everything that two nodes must have in common before they meet.

use crate::{lane::WALK_BYTES_MAX, segment::Profile};
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
    /// What the first committee's key generation gave in public, as the consensus library encodes it: above all the
    /// sharing, whose constant term is the group key.
    pub output: Bytes,
    /// Blocks of an epoch: a committee's term.
    pub epoch_blocks: u64,
    /// First balances.
    pub alloc: Vec<Allocation>,
}

/// Shortest epoch: half of it must be long enough for a quorum of a small committee to lead.
pub const EPOCH_BLOCKS_MIN: u64 = 64;
/// Blocks at the end of an epoch in which no beacon is asked for.
pub const EPOCH_ENDING_BLOCKS: u64 = 16;
/// Longest epoch.
pub const EPOCH_BLOCKS_MAX: u64 = u32::MAX as u64;

/// A seat of the first committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSpec {
    /// Ed25519 consensus key.
    pub public_key: B256,
    /// Receiver of priority fees.
    pub beneficiary: Address,
    /// Where the committee's network finds it, `IP:port`.
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

/// What rebuilding a fragment costs, in days of its space.
pub const REBUILD_FEE_DAYS: u64 = 30;

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
    /// Rules of placement and repair; those of a small network where a specification does not say.
    #[serde(default)]
    pub repair: RepairSpec,
    /// Audit rounds; a chain without has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audits: Option<AuditSpec>,
}

/// Parameters of placement and repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepairSpec {
    /// Under public policies at most `n / cap_divisor` members of a volume, and at least one, share a region or a network;
    /// zero for no caps.
    pub cap_divisor: u16,
    /// Time in which a lost member may return before it is replaced.
    pub grace_ms: u64,
    /// Time in which a newcomer must have taken its column over.
    pub deadline_ms: u64,
    /// Formation goes on while more than this share of all lots is free, in percent; 100 for no more than is wanted.
    pub free_lots_max_percent: u8,
    /// Mean time before a new lot may be drawn; the beacon draws each from zero to twice this.
    pub eligibility_delay_ms: u64,
}

impl Default for RepairSpec {
    /// Two minutes of grace are two audit rounds of a minute; ten minutes are enough for a lot of 256 MiB at 4 Mbit/s.
    fn default() -> Self {
        Self {
            cap_divisor: 0,
            grace_ms: 120_000,
            deadline_ms: 600_000,
            free_lots_max_percent: 100,
            eligibility_delay_ms: 0,
        }
    }
}

/// Parameters of audit rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSpec {
    /// A round opens at the first block of each such stretch of time, unless the last one is still open.
    pub round_ms: u64,
    /// From beacon A, the time to commit.
    pub commit_ms: u64,
    /// From beacon B, the time to open.
    pub open_ms: u64,
    /// One of so many slots is answered in a round.
    pub light_divisor: u32,
    /// One of so many slots is answered whole.
    pub deep_divisor: u32,
    /// Openings of a round.
    pub samples: u32,
    /// Missing openings judged in one block.
    pub settled_per_block_max: u32,
    /// Miners with a recent fault that are sampled additionally in one round.
    pub watched_max: u32,
    /// Additional openings of each of them.
    pub watch_samples: u32,
    /// Rounds that such a miner has to answer.
    pub watch_rounds: u8,
    /// A miner that commits to nothing in so many rounds in a row is silent: its seats may be declared lost.
    pub silent_rounds: u16,
    /// What was committed in so many rounds, at least, is fresh.
    pub fresh_rounds: u32,
    /// Most wei that one round brings into the world.
    pub emission_per_round: U256,
    /// Fine for a bad opening, in units of what a good one earns at most.
    pub fine_factor: u32,
    /// Burned part of the fees.
    pub burn_percent: u8,
    /// What is earned is paid after at least this time, and at most twice this time.
    pub vest_ms: u64,
    /// Wei for a directed challenge.
    pub challenge_fee: U256,
    /// A block with so many bytes of commitments, openings and walks moves the deadline by its time.
    pub lane_bytes: u64,
    /// A longer time between two blocks does not count: it moves the deadline. Every time counts where it is absent, and it
    /// is not written then, as specifications from before it keep their chains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill_ms: Option<u64>,
    /// How pledges are checked; a chain without believes idle roots. Not written then, as specifications from before walks
    /// keep their chains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pledges: Option<PledgeSpec>,
}

/// How it is checked that pledged lots hold real idle units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PledgeSpec {
    /// Walks that are shown before idle content counts, for each batch of lots whose roots were named together.
    pub walks: u8,
    /// Rounds in which they may be shown, after the one whose beacon draws them.
    pub window_rounds: u16,
    /// Each round asks later for one walk per so many lots of the network, and for one at least.
    pub lots_per_spot: u32,
}

/// Most walks of a demand.
const WALKS_MAX: u8 = 32;
/// Most rounds in which a demand is met.
const WINDOW_ROUNDS_MAX: u16 = 10_000;

impl PledgeSpec {
    fn fits(&self, storage: &StorageSpec) -> bool {
        (1..=WALKS_MAX).contains(&self.walks)
            && (1..=WINDOW_ROUNDS_MAX).contains(&self.window_rounds)
            && self.lots_per_spot > 0
            && storage.walk_bytes_max() <= WALK_BYTES_MAX as u64
    }
}

impl AuditSpec {
    fn fits(&self, storage: &StorageSpec) -> bool {
        let divisors = [self.light_divisor, self.deep_divisor, self.fresh_rounds];
        divisors.iter().all(|divisor| *divisor > 0)
            && self.deep_divisor >= self.light_divisor
            && self.commit_ms > 0
            && self.open_ms > 0
            && self.commit_ms.saturating_add(self.open_ms) < self.round_ms
            && (4..=1 << 20).contains(&self.samples)
            && (1..=1_000).contains(&self.settled_per_block_max)
            && self.watched_max <= 256
            && self.watch_samples <= 64
            && self.silent_rounds > 0
            // A whole round looks at what a newcomer says it rebuilt before it is paid.
            && self.round_ms.saturating_mul(2) <= storage.repair.grace_ms
            && self.vest_ms > 0
            && self.burn_percent <= 100
            && self.pledges.is_none_or(|pledges| pledges.fits(storage))
    }

    /// Parameters of a network on one machine.
    pub fn devnet() -> Self {
        Self::devnet_with(60_000)
    }

    /// The same with rounds of another length: a third of it to commit, a quarter to open.
    pub fn devnet_with(round_ms: u64) -> Self {
        Self {
            round_ms,
            commit_ms: round_ms / 3,
            open_ms: round_ms / 4,
            light_divisor: 16,
            deep_divisor: 64,
            samples: 64,
            settled_per_block_max: 32,
            watched_max: 8,
            watch_samples: 4,
            watch_rounds: 24,
            silent_rounds: 2,
            fresh_rounds: 24,
            emission_per_round: U256::from(1_000_000_000_000_000u64),
            fine_factor: 20,
            burn_percent: 10,
            vest_ms: 600_000,
            challenge_fee: U256::from(1_000_000_000_000u64),
            lane_bytes: 1 << 20,
            standstill_ms: Some(10_000),
            pledges: Some(PledgeSpec { walks: 4, window_rounds: 8, lots_per_spot: 64 }),
        }
    }

    /// Parameters of a main network.
    pub fn main() -> Self {
        Self {
            round_ms: 3_600_000,
            commit_ms: 1_200_000,
            open_ms: 900_000,
            light_divisor: 256,
            deep_divisor: 1_024,
            samples: 24_000,
            settled_per_block_max: 64,
            watched_max: 64,
            watch_samples: 8,
            watch_rounds: 24,
            silent_rounds: 2,
            fresh_rounds: 24,
            emission_per_round: U256::from(1_000_000_000_000_000_000_000u128),
            fine_factor: 20,
            burn_percent: 10,
            vest_ms: 7 * 24 * 3_600_000,
            challenge_fee: U256::from(100_000_000_000_000u64),
            lane_bytes: 1 << 20,
            standstill_ms: Some(30_000),
            // A tenth of a walk per 128 lots and day, and a day to show it.
            pledges: Some(PledgeSpec { walks: 16, window_rounds: 24, lots_per_spot: 30_720 }),
        }
    }
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

    /// Longest walk that checks a pledge: labels beside it, a chunk, and paths to the unit's and the lot's root.
    pub fn walk_bytes_max(&self) -> u64 {
        let log2 = |count: u64| u64::from(count.max(1).next_power_of_two().trailing_zeros());
        let path = log2(self.unit_bytes().div_ceil(1_024).min(1 << 32)).saturating_add(log2(self.lot_units().into()));
        u64::from(self.unit_layers.saturating_sub(1)).saturating_mul(480).saturating_add(1_024 + 32 * path)
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

    /// Price of rebuilding `bytes` of a column; nothing where it does not fit.
    pub fn rebuild_price(&self, bytes: u64) -> Option<U256> {
        let byte_days = U256::from(bytes).checked_mul(U256::from(REBUILD_FEE_DAYS))?;
        byte_days.checked_mul(U256::from(self.price_per_byte_day))
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
            repair: RepairSpec::default(),
            audits: None,
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

    /// Whether the block at `height` is one of the last of its epoch, in which nobody fixes a view for a beacon: enough
    /// of them for somebody honest to bring what was asked for before.
    pub fn is_epoch_ending(&self, height: u64) -> bool {
        let position = height.checked_rem(self.epoch_blocks).unwrap_or_default();
        self.epoch_blocks.saturating_sub(position) <= EPOCH_ENDING_BLOCKS
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
            (
                (EPOCH_BLOCKS_MIN..=EPOCH_BLOCKS_MAX).contains(&self.epoch_blocks),
                "epoch_blocks is not between 64 and 4,294,967,295",
            ),
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
            (
                storage.audits.as_ref().is_none_or(|audits| audits.fits(storage)),
                "audits do not fit the storage's sizes, or repair's grace_ms is below two rounds",
            ),
            (
                storage.audits.as_ref().and_then(|audits| audits.standstill_ms).is_none_or(|ms| ms > self.heartbeat_ms),
                "standstill_ms is not above heartbeat_ms",
            ),
            (storage.open_target > 0, "open_target is zero"),
            (storage.repair.free_lots_max_percent <= 100, "free_lots_max_percent is above 100"),
            (
                storage.rebuild_price(storage.lot_bytes()).is_some_and(|price| price <= storage.lot_collateral),
                "lot_collateral is below the price of rebuilding a lot",
            ),
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
