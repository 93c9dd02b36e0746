//! Remember the seeds of past rounds: every certificate of a round, of a block or of its absence, carries one.

use alloy_primitives::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{Copying, DecodeExt, Encode};
use commonware_consensus::{
    Reporter,
    simplex::{scheme::bls12381_threshold::vrf::Seedable, types::Activity},
    types::{Epoch, Round, View},
};
use light::consensus::{Digest, Scheme, Seed};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Rounds that are remembered.
const ROUNDS_MAX: usize = 2_048;

/// Seeds by round; clones share them.
#[derive(Clone, Default)]
pub struct Seeds {
    rounds: Arc<Mutex<BTreeMap<Round, Seed>>>,
}

impl Seeds {
    /// The encoded seed of a round, if a certificate of it was seen.
    pub fn get(&self, round: Round) -> Option<Bytes> {
        self.rounds.lock().get(&round).map(|seed| seed.signature.encode().to_vec().into())
    }

    /// Whether `seed` is the group's signature of the round. A seed that came with a certificate needs no second look.
    pub fn verify(&self, round: Round, seed: &[u8], scheme: &Scheme) -> bool {
        if self.get(round).is_some_and(|known| known.as_ref() == seed) {
            return true;
        }
        let Ok(signature) = DecodeExt::decode(Copying(seed)) else { return false };
        let seed = Seed::new(round, signature);
        let holds = seed.verify(scheme);
        if holds {
            self.insert(seed);
        }
        holds
    }

    fn insert(&self, seed: Seed) {
        let mut rounds = self.rounds.lock();
        rounds.insert(seed.round, seed);
        while rounds.len() > ROUNDS_MAX {
            rounds.pop_first();
        }
    }
}

impl Reporter for Seeds {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        match &activity {
            Activity::Notarization(certificate) | Activity::Certification(certificate) => {
                self.insert(certificate.seed());
            }
            Activity::Finalization(certificate) => self.insert(certificate.seed()),
            Activity::Nullification(certificate) => {
                if let Some(signature) = certificate.certificate.get() {
                    self.insert(Seed::new(certificate.round, signature.seed_signature));
                }
            }
            _ => {}
        }
        Feedback::Ok
    }
}

/// The round of an epoch and a view.
pub fn round(epoch: u64, view: u64) -> Round {
    Round::new(Epoch::new(epoch), View::new(view))
}
