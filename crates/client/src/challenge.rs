//! Have members show what they hold, for a fee.

use crate::{ChainError, Client, GetError, ReleaseError, SendError, chain::Network};
use alloy_primitives::U256;
use alloy_sol_types::{SolCall, SolEvent};
use std::collections::BTreeSet;
use types::{
    SegmentId, StripeLog,
    abi::{AUDITS, IAudits},
};

/// Why members cannot be challenged.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The log of the volume cannot be had.
    #[error(transparent)]
    Log(#[from] ReleaseError),
    /// The chain has no audit rounds.
    #[error("this network has no audit rounds, so nobody can be challenged")]
    NoRounds,
    /// The chain does not have the segment.
    #[error("volume {volume} holds no segment {segment}")]
    NotStored {
        /// The volume.
        volume: u32,
        /// The segment.
        segment: SegmentId,
    },
    /// It was written after the snapshot of the present round.
    #[error("segment {segment} was stored after round {round} began: it can be challenged from the next one on")]
    TooNew {
        /// The segment.
        segment: SegmentId,
        /// The present round.
        round: u64,
    },
    /// The seat owes nothing of it now.
    #[error(
        "seat {seat} of volume {volume} does not owe segment {segment} in this round: it is being rebuilt, or the miner \
         has all the challenges that it must answer"
    )]
    NotOwed {
        /// The volume.
        volume: u32,
        /// The seat.
        seat: u16,
        /// The segment.
        segment: SegmentId,
    },
}

/// A directed challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Its number.
    pub id: u64,
    /// The volume.
    pub volume: u32,
    /// The seat.
    pub seat: u16,
    /// Who has to answer.
    pub miner: u32,
    /// The round in which it is answered.
    pub round: u64,
}

/// How a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// The round that answers it is not over.
    Open,
    /// Its round is over, and nobody answered: [`Client::end_challenge`] fines the miner and pays back the fee.
    Missed,
    /// The member showed the chunk, and has the fee.
    Answered,
    /// It did not, and was fined.
    Failed,
    /// The member owes it no more.
    Void,
}

impl Client {
    /// The segments that an object lies in, with their volumes, in the order of its bytes.
    pub async fn segments_of(&self, bucket: &str, key: &str) -> Result<Vec<(SegmentId, u32)>, GetError> {
        let mut seen = BTreeSet::new();
        let extents = self.extents(bucket, key).await?;
        let segments = extents.into_iter().map(|extent| (extent.segment.id, extent.segment.volume));
        Ok(segments.filter(|segment| seen.insert(*segment)).collect())
    }

    /// What a challenge of one member costs, if the chain has rounds.
    pub fn challenge_fee(&self) -> Option<U256> {
        self.spec().storage.audits.as_ref().map(|audits| audits.challenge_fee)
    }

    /// Challenges the members in these seats to show a segment: each must show a chunk that the next beacon B chooses.
    pub async fn challenge(
        &self,
        segment: SegmentId,
        volume: u32,
        seats: &[u16],
    ) -> Result<Vec<Challenge>, ChallengeError> {
        let fee = self.challenge_fee().ok_or(ChallengeError::NoRounds)?;
        let network = Network(&**self.chain());
        let positions = self.positions(volume, &[segment]).await?;
        let stripe = *positions.first().ok_or(ChallengeError::NotStored { volume, segment })?;
        let record = network.volume(volume).await?;
        let known = self.directory().volume(volume).await?;
        let log = network.log(volume, record.stripeCount).await?;
        let leaves = self.leaves(&known, &log).await?;
        let mut challenges = Vec::new();
        for &seat in seats {
            let not_owed = || ChallengeError::NotOwed { volume, seat, segment };
            let lot = *record.lots.get(usize::from(seat)).ok_or_else(not_owed)?;
            let duty = network.read(AUDITS, &IAudits::dutyCall { lot }).await?;
            if duty.volume != volume {
                return Err(not_owed());
            }
            let before = leaves.get(..duty.stripeCount as usize).filter(|leaves| leaves.len() > stripe as usize);
            let Some(before) = before else {
                let round = network.read(AUDITS, &IAudits::roundCall {}).await?.number;
                return Err(ChallengeError::TooNew { segment, round });
            };
            let log = StripeLog::new(before.to_vec());
            let (leaf, path) = log.leaf(stripe).zip(log.path(stripe)).ok_or_else(not_owed)?;
            let call = IAudits::challengeCall { volume, seat, stripe, leaf: leaf.into(), path };
            let receipt = match self.sender().call(AUDITS, fee, &call).await {
                Ok(receipt) => receipt,
                Err(error) if error.is_revert::<IAudits::InvalidChallenge>() => return Err(not_owed()),
                Err(error) => return Err(error.into()),
            };
            let made = receipt.logs.iter().find_map(|log| IAudits::Challenged::decode_log(log).ok());
            let made = made.ok_or_else(|| ChainError::Invalid("a challenge without its event".into()))?.data;
            let IAudits::Challenged { challenge: id, miner, round, .. } = made;
            challenges.push(Challenge { id, volume, seat, miner, round });
        }
        Ok(challenges)
    }

    /// How a challenge stands.
    pub async fn challenge_state(&self, challenge: &Challenge) -> Result<ChallengeState, ChainError> {
        let network = Network(&**self.chain());
        let record = network.read(AUDITS, &IAudits::challengeOfCall { id: challenge.id }).await?;
        Ok(match record.state {
            2 => ChallengeState::Answered,
            3 => ChallengeState::Failed,
            4 => ChallengeState::Void,
            _ => {
                let call = IAudits::expireCall { challenge: challenge.id };
                let over = self.can_expire(&call).await?;
                if over { ChallengeState::Missed } else { ChallengeState::Open }
            }
        })
    }

    async fn can_expire(&self, call: &IAudits::expireCall) -> Result<bool, ChainError> {
        match self.chain().call(AUDITS, call.abi_encode().into()).await {
            Ok(_) => Ok(true),
            Err(ChainError::Reverted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a challenge that was not answered: the miner is fined, and the fee comes back with a tenth of the fine.
    pub async fn end_challenge(&self, challenge: &Challenge) -> Result<ChallengeState, ChallengeError> {
        self.sender().call(AUDITS, U256::ZERO, &IAudits::expireCall { challenge: challenge.id }).await?;
        Ok(self.challenge_state(challenge).await?)
    }
}
