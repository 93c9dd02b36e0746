//! Bound what a pool holds.

use types::ChainSpec;

/// Limits of a pool, and the chain whose transactions it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MempoolConfig {
    /// EIP-155 chain id that a transaction must name, if it names any.
    pub chain_id: u64,
    /// Gas of a block.
    pub block_gas_limit: u64,
    /// Most transactions in the pool.
    pub transactions_max: usize,
    /// Most bytes of encoded transactions in the pool.
    pub bytes_max: usize,
    /// Most executable transactions of one sender.
    pub executable_per_sender_max: usize,
    /// Most transactions of one sender that wait behind a missing nonce.
    pub gapped_per_sender_max: usize,
    /// Most transactions of the audit lane, which pay nothing; zero on a chain without one.
    pub lane_transactions_max: usize,
    /// Most of these of one sender.
    pub lane_per_sender_max: usize,
    /// How long a transaction may wait.
    pub expiry_ms: u64,
    /// Announcements that a subscriber may lag behind before it misses some.
    pub announcements_max: usize,
}

impl MempoolConfig {
    /// The defaults for a chain.
    pub fn for_chain(spec: &ChainSpec) -> Self {
        let lane_transactions_max = if spec.storage.audits.is_some() { 4_096 } else { 0 };
        Self { lane_transactions_max, ..Self::new(spec.chain_id, spec.gas_limit) }
    }

    /// The defaults for a chain id and a block gas limit.
    pub fn new(chain_id: u64, block_gas_limit: u64) -> Self {
        Self {
            chain_id,
            block_gas_limit,
            transactions_max: 20_000,
            bytes_max: 64 << 20,
            executable_per_sender_max: 1_024,
            gapped_per_sender_max: 64,
            lane_transactions_max: 0,
            lane_per_sender_max: 64,
            expiry_ms: 3 * 3_600_000,
            announcements_max: 4_096,
        }
    }
}
