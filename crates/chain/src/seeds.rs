//! Remember the seeds of past rounds: every certificate of a round, of a block or of its absence, carries one.

use alloy_primitives::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{Copying, DecodeExt, Encode};
use commonware_consensus::{
    Automaton, CertifiableAutomaton, Handoff, Relay, Reporter,
    simplex::{scheme::bls12381_threshold::vrf::Seedable, types::Activity},
    types::{Epoch, Round, View},
};
use commonware_utils::channel::oneshot;
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

    /// Notes the seed that came with something that consensus did.
    fn note(&self, activity: &Activity<Scheme, Digest>) {
        match activity {
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
    }
}

/// An application whose certificates' seeds are remembered.
#[derive(Clone)]
pub struct Tap<A> {
    inner: A,
    seeds: Seeds,
}

impl<A> Tap<A> {
    /// Remembers in `seeds` what passes on its way to `inner`.
    pub fn new(inner: A, seeds: Seeds) -> Self {
        Self { inner, seeds }
    }
}

impl<A: Automaton> Automaton for Tap<A> {
    type Context = A::Context;
    type Digest = A::Digest;

    fn propose(&mut self, context: A::Context) -> impl Future<Output = oneshot::Receiver<A::Digest>> + Send {
        self.inner.propose(context)
    }

    fn verify(
        &mut self,
        context: A::Context,
        payload: A::Digest,
    ) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.verify(context, payload)
    }
}

impl<A: CertifiableAutomaton> CertifiableAutomaton for Tap<A> {
    fn prepare(&mut self, context: A::Context) -> impl Future<Output = oneshot::Receiver<Handoff<A::Digest>>> + Send {
        self.inner.prepare(context)
    }

    fn certify(&mut self, round: Round, payload: A::Digest) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.certify(round, payload)
    }
}

impl<A: Relay> Relay for Tap<A> {
    type Digest = A::Digest;
    type PublicKey = A::PublicKey;
    type Plan = A::Plan;

    fn broadcast(&mut self, payload: A::Digest, plan: A::Plan) -> Feedback {
        self.inner.broadcast(payload, plan)
    }
}

impl<A: Reporter<Activity = Activity<Scheme, Digest>>> Reporter for Tap<A> {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        self.seeds.note(&activity);
        self.inner.report(activity)
    }
}

/// The round of an epoch and a view.
pub fn round(epoch: u64, view: u64) -> Round {
    Round::new(Epoch::new(epoch), View::new(view))
}
