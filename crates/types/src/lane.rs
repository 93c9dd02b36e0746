//! Tell which transactions travel in the audit lane.
//!
//! # Design
//! Commitments to audit rounds, openings of samples, answers to directed challenges and walks that check a pledge pay no
//! fees: honest miners would pay for being audited. Whether a transaction belongs into the lane is plain from its bytes; a block may only take it
//! if it succeeds, and each of these calls succeeds once.

use crate::{
    Transaction,
    abi::{AUDITS, IAudits},
};
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_primitives::Address;
use alloy_sol_types::SolCall;

/// Most gas of a transaction in the lane.
pub const LANE_GAS_MAX: u64 = 1 << 20;
/// Longest calldata in the lane: the longest opening, and what is around it.
pub const LANE_INPUT_BYTES_MAX: usize = 4096 + 4 + 4 * 32;

/// Longest walk in the lane. Its calldata alone costs forty gas a byte (EIP-7623), less than [`LANE_GAS_MAX`] in all.
pub const WALK_BYTES_MAX: usize = 24 << 10;
/// Longest calldata of a call that shows a walk.
pub const LANE_WALK_INPUT_BYTES_MAX: usize = WALK_BYTES_MAX + 4 + 4 * 32;

/// What a transaction does in the audit lane; the greater goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneCall {
    /// Shows a walk; there are rounds for it.
    Show,
    /// Opens a sample.
    Open,
    /// Answers a directed challenge.
    Answer,
    /// Commits to a round's responses.
    Commit,
}

impl LaneCall {
    /// What a call with this calldata does in the audit lane; nothing if it has no business there.
    pub fn of(to: Option<Address>, input: &[u8]) -> Option<Self> {
        let selector = input.first_chunk::<4>().filter(|_| to == Some(AUDITS))?;
        let (call, longest) = match *selector {
            IAudits::commitCall::SELECTOR => (Self::Commit, LANE_INPUT_BYTES_MAX),
            IAudits::openCall::SELECTOR => (Self::Open, LANE_INPUT_BYTES_MAX),
            IAudits::answerCall::SELECTOR => (Self::Answer, LANE_INPUT_BYTES_MAX),
            IAudits::showCall::SELECTOR => (Self::Show, LANE_WALK_INPUT_BYTES_MAX),
            _ => return None,
        };
        (input.len() <= longest).then_some(call)
    }
}

impl Transaction {
    /// What the transaction does in the audit lane, if it travels there: it offers no fee, and does nothing else.
    pub fn lane(&self) -> Option<LaneCall> {
        let TxEnvelope::Eip1559(signed) = self.envelope() else { return None };
        let call = signed.tx();
        let is_free = call.max_fee_per_gas == 0 && call.max_priority_fee_per_gas == 0;
        let is_plain = call.value.is_zero() && call.access_list.is_empty() && call.gas_limit <= LANE_GAS_MAX;
        if is_free && is_plain { LaneCall::of(call.to(), &call.input) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_primitives::{B256, Signature, TxKind, U256};

    fn sign(transaction: TxEip1559) -> Transaction {
        let signature = Signature::new(U256::ONE, U256::from(2), false);
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Transaction::from_envelope(envelope).expect("some key signed it")
    }

    #[test]
    fn the_lane_is_for_commitments_openings_and_answers() {
        let commit = IAudits::commitCall { round: 1, root: B256::ZERO, lost: vec![3; 8] }.abi_encode();
        let open = IAudits::openCall { round: 1, sample: 2, opening: vec![0; 4_096].into() }.abi_encode();
        let answer = IAudits::answerCall { challenge: 1, content: vec![0; 4_096].into() }.abi_encode();
        let walk = |bytes| IAudits::showCall { demand: 1, walk: 2, content: vec![0; bytes].into() }.abi_encode();
        let lane = |input: &[u8]| LaneCall::of(Some(AUDITS), input);
        assert_eq!(
            [lane(&commit), lane(&answer), lane(&open), lane(&walk(WALK_BYTES_MAX))].map(Option::unwrap),
            [LaneCall::Commit, LaneCall::Answer, LaneCall::Open, LaneCall::Show]
        );
        assert_eq!(lane(&walk(WALK_BYTES_MAX + 1)), None);
        assert!(LaneCall::of(Some(Address::ZERO), &commit).is_none() && LaneCall::of(None, &commit).is_none());
        assert_eq!(lane(&IAudits::claimCall {}.abi_encode()), None);
        assert_eq!(lane(&[commit, vec![0; 4_500]].concat()), None);
        assert_eq!(lane(&[1, 2, 3]), None);
    }

    #[test]
    fn only_a_plain_call_without_a_fee_travels_in_it() {
        let input = IAudits::commitCall { round: 1, root: B256::ZERO, lost: Vec::new() }.abi_encode().into();
        let free =
            TxEip1559 { chain_id: 1, gas_limit: 500_000, to: TxKind::Call(AUDITS), input, ..TxEip1559::default() };
        assert_eq!(sign(free.clone()).lane(), Some(LaneCall::Commit));
        let others = [
            TxEip1559 { max_fee_per_gas: 1, ..free.clone() },
            TxEip1559 { value: U256::ONE, ..free.clone() },
            TxEip1559 { gas_limit: LANE_GAS_MAX + 1, ..free.clone() },
            TxEip1559 { to: TxKind::Create, ..free.clone() },
            TxEip1559 { access_list: vec![Default::default()].into(), ..free },
        ];
        for other in others {
            assert_eq!(sign(other.clone()).lane(), None, "{other:?}");
        }
    }
}
