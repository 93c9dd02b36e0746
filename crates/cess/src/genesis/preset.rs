//! Start a specification from one of two kinds of chain.

use clap::ValueEnum;
use types::{
    ChainSpec, Profile,
    spec::{AuditSpec, RepairSpec, StorageSpec},
};

/// A kind of chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Small sizes and short times, for one machine
    Devnet,
    /// Sizes and times of a public network
    Testnet,
}

/// EIP-155 chain id of devnets: 52821.
pub const DEVNET_CHAIN_ID: u64 = 0xce55;
/// EIP-155 chain id of the test network.
const TESTNET_CHAIN_ID: u64 = 0xce56;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Preset {
    /// A specification without validators, key and balances.
    pub fn spec(self, genesis_timestamp_ms: u64) -> ChainSpec {
        match self {
            Self::Devnet => ChainSpec {
                name: "cess devnet".into(),
                chain_id: DEVNET_CHAIN_ID,
                genesis_timestamp_ms,
                heartbeat_ms: 1_000,
                block_interval_min_ms: 100,
                clock_drift_max_ms: 2_000,
                // A devnet may sleep for weeks; its clock is right again after a few blocks.
                timestamp_step_max_ms: 7 * DAY_MS,
                gas_limit: 60_000_000,
                base_fee_min: 1_000_000_000,
                storage: StorageSpec { audits: Some(AuditSpec::devnet()), ..StorageSpec::devnet() },
                validators: Vec::new(),
                output: Default::default(),
                // A minute of a busy chain.
                epoch_blocks: 600,
                alloc: Vec::new(),
            },
            Self::Testnet => ChainSpec {
                name: "cess testnet".into(),
                chain_id: TESTNET_CHAIN_ID,
                heartbeat_ms: 250,
                timestamp_step_max_ms: MINUTE_MS,
                storage: StorageSpec {
                    // 64 GiB.
                    lot_slots: 32_768,
                    profile: Profile::Standard,
                    unit_slots: 32,
                    unit_layers: 32,
                    receipt_expiry_max_blocks: 2_000,
                    repair: RepairSpec {
                        cap_divisor: 4,
                        grace_ms: DAY_MS,
                        deadline_ms: 7 * DAY_MS,
                        free_lots_max_percent: 50,
                        eligibility_delay_ms: 6 * HOUR_MS,
                    },
                    audits: Some(AuditSpec::main()),
                    ..StorageSpec::devnet()
                },
                // Two to five hours.
                epoch_blocks: 72_000,
                ..Self::Devnet.spec(genesis_timestamp_ms)
            },
        }
    }
}
