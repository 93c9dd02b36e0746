//! Answer directed challenges: show the stripes that somebody paid to see.

use super::{Answer, AuditError, Auditor, blocking};
use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use client::chain::{ChainError, LogFilter, Network};
use proofs::{
    chunk::CHUNK_BYTES,
    opening::{Content, stripe_content},
    round::Place,
    sample::challenged_chunk,
};
use std::{collections::BTreeMap, sync::Arc};
use types::{
    abi::{AUDITS, IAudits},
    layout::audits,
};

/// A challenge that nobody has answered.
const PENDING: u8 = 1;

/// Challenges of this miner, as far as the chain's logs were read.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    /// The round in which each is to be answered.
    rounds: BTreeMap<u64, u64>,
    read_to_height: u64,
}

impl Auditor {
    /// Answers the challenges of a round that takes openings; all of them were made before.
    pub(super) async fn answer_challenges(
        &mut self,
        round: &audits::Round,
        standing: &IAudits::Standing,
    ) -> Result<(), AuditError> {
        let pending = self.pending(round.number).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let answer = self.answer(round, standing).await?;
        for (id, challenge) in pending {
            self.answer_one(answer.clone(), round.beacon_b, id, &challenge).await?;
        }
        Ok(())
    }

    async fn pending(&mut self, round: u64) -> Result<Vec<(u64, IAudits::Challenge)>, AuditError> {
        self.read_challenges().await?;
        self.challenges.rounds.retain(|_, of| *of >= round);
        let due: Vec<u64> = self.challenges.rounds.iter().filter(|(_, of)| **of == round).map(|(id, _)| *id).collect();
        let calls: Vec<_> = due.iter().map(|id| IAudits::challengeOfCall { id: *id }).collect();
        let records = Network(&*self.chain).read_many(AUDITS, &calls).await?;
        Ok(due.into_iter().zip(records).filter(|(_, record)| record.state == PENDING).collect())
    }

    async fn read_challenges(&mut self) -> Result<(), ChainError> {
        let (from, to) = (self.challenges.read_to_height + 1, self.chain.head().await?.height);
        if from > to {
            return Ok(());
        }
        let miner = B256::left_padding_from(&self.state.lock().miner.to_be_bytes());
        let topics = [Some(vec![IAudits::Challenged::SIGNATURE_HASH]), None, Some(vec![miner]), None];
        for entry in self.chain.logs(LogFilter { from, to: Some(to), address: AUDITS, topics }).await? {
            let decoded = IAudits::Challenged::decode_log(&entry.log);
            let challenged = decoded.map_err(|error| ChainError::Invalid(error.to_string()))?.data;
            self.challenges.rounds.insert(challenged.challenge, challenged.round);
        }
        self.challenges.read_to_height = to;
        Ok(())
    }

    async fn answer_one(
        &self,
        answer: Arc<Answer>,
        beacon: B256,
        id: u64,
        challenge: &IAudits::Challenge,
    ) -> Result<(), AuditError> {
        let IAudits::Challenge { volume, seat, stripe, offset, fragmentBytes: fragment_bytes, .. } = *challenge;
        let Some(lot) = answer.holdings.lot_in(volume, seat) else { return Ok(()) };
        let position = offset + challenged_chunk(beacon, id, fragment_bytes) * CHUNK_BYTES as u64;
        let asked = answer.clone();
        let shown = blocking(move || stripe_content(&asked.holdings, lot, position)).await?;
        let content = match shown {
            // What is not owed any more cannot be shown, and need not.
            Ok(None | Some(Content::NotOwed(_))) => return Ok(()),
            Ok(Some(content)) => content.encode(),
            Err(error) => {
                tracing::error!(challenge = id, volume, stripe, %error, "cannot be answered: it will cost a fine");
                return Ok(());
            }
        };
        let call = IAudits::answerCall { challenge: id, content: content.into() };
        match self.sender.call_in_lane(AUDITS, &call).await {
            Ok(_) => {
                tracing::info!(challenge = id, volume, stripe, "answered a challenge");
                Ok(())
            }
            // Somebody was quicker, or the round is over.
            Err(error)
                if error.is_revert::<IAudits::UnknownChallenge>() || error.is_revert::<IAudits::WrongStage>() =>
            {
                Ok(())
            }
            Err(error) if error.is_revert::<IAudits::InvalidOpening>() => {
                let slot_bytes = self.shape.slot_bytes;
                let place = Place { lot, slot: (position / slot_bytes) as u32 };
                if self.drop_damaged(answer, place, position % slot_bytes / CHUNK_BYTES as u64).await? {
                    tracing::error!(challenge = id, volume, stripe, %error, "cannot be answered: it will cost a fine");
                    return Ok(());
                }
                // A node that has fallen behind refuses what will hold.
                tracing::warn!(challenge = id, volume, stripe, %error, "an answer is refused though its bytes are whole");
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
