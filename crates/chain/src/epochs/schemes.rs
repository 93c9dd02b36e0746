//! Keep the signing scheme of each epoch that this node has entered.

use alloy_primitives::B256;
use commonware_consensus::types::Epoch;
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_glue::dkg::{Registrar, types::SchemeInfo};
use light::consensus::{PublicKey, Scheme, Variant, encode_public_key};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tracing::{info, warn};

/// Epochs that are kept.
const EPOCHS_MAX: usize = 8;

/// Schemes by epoch; clones share them.
#[derive(Clone)]
pub struct Schemes {
    namespace: &'static [u8],
    entered: Arc<Mutex<BTreeMap<Epoch, Entered>>>,
}

struct Entered {
    scheme: Arc<Scheme>,
    signers: Vec<B256>,
}

impl Schemes {
    /// Schemes of a chain.
    pub fn new(namespace: &'static [u8]) -> Self {
        Self { namespace, entered: Arc::default() }
    }

    /// Who signs in an epoch, in order of their keys; nothing of an epoch long past or to come.
    pub fn signers(&self, epoch: Epoch) -> Option<Vec<B256>> {
        self.entered.lock().get(&epoch).map(|entered| entered.signers.clone())
    }

    /// Notes an epoch's scheme.
    pub fn insert(&self, epoch: Epoch, scheme: SchemeInfo<Variant, PublicKey>) {
        let (participants, scheme, role) = match scheme {
            SchemeInfo::Verifier { participants, sharing } => {
                let scheme = Scheme::verifier(self.namespace, participants.clone(), sharing);
                (participants, Some(scheme), "verifier")
            }
            SchemeInfo::Member { participants, sharing, public_key } => {
                warn!(%epoch, "has a seat without a share, and cannot sign in this epoch");
                let scheme = Scheme::member(self.namespace, participants.clone(), sharing, &public_key);
                (participants, scheme, "member")
            }
            SchemeInfo::Signer { participants, sharing, share } => {
                let scheme = Scheme::signer(self.namespace, participants.clone(), sharing, share);
                (participants, scheme, "signer")
            }
        };
        let scheme = scheme.expect("the resharing's parts fit together");
        let signers: Vec<B256> = participants.iter().map(encode_public_key).collect();
        info!(%epoch, role, seats = signers.len(), "a committee takes its seats");
        let mut entered = self.entered.lock();
        entered.insert(epoch, Entered { scheme: Arc::new(scheme), signers });
        while entered.len() > EPOCHS_MAX {
            entered.pop_first();
        }
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.scheme(epoch).map(Scoped::scheme)
    }

    fn scheme(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        self.entered.lock().get(&epoch).map(|entered| entered.scheme.clone())
    }
}

impl Registrar for Schemes {
    type Variant = Variant;
    type PublicKey = PublicKey;

    async fn register(&self, epoch: Epoch, scheme: SchemeInfo<Variant, PublicKey>) {
        self.insert(epoch, scheme);
    }
}
