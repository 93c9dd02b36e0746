//! Say who receives shares in an epoch, and where they are.

use commonware_consensus::types::Epoch;
use commonware_glue::dkg::{ParticipantsProvider, network::Addresses};
use commonware_p2p::Address;
use commonware_utils::ordered::{Map, Set};
use light::consensus::PublicKey;

/// The validators of the specification, in every epoch.
#[derive(Clone)]
pub struct Candidates {
    validators: Map<PublicKey, Address>,
}

impl Candidates {
    /// These, always.
    pub fn new(validators: Map<PublicKey, Address>) -> Self {
        Self { validators }
    }
}

impl ParticipantsProvider for Candidates {
    type PublicKey = PublicKey;
    type Directory = Addresses<PublicKey>;

    async fn participants(&mut self, _: Epoch) -> Set<PublicKey> {
        self.validators.keys().clone()
    }

    async fn directory(&mut self, _: Epoch, peers: Set<PublicKey>) -> Addresses<PublicKey> {
        peers.iter().filter_map(|peer| Some((peer.clone(), self.validators.get_value(peer)?.clone()))).collect()
    }
}
