//! Check headers, certificates and state proofs against the group key.

use crate::consensus::{
    Absence, Encoding, Finalization, Inclusion, Key, PROOF_DIGESTS_MAX, Scheme, StateDigest, StateHasher,
    decode_output, namespace,
};
use commonware_codec::{Copying, Decode, DecodeExt};
use commonware_consensus::types::{Epoch, View};
use commonware_parallel::Sequential;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::cmp::Ordering;
use types::{
    Header,
    proof::{ProvedEntry, StateProof},
    state::Value,
};

/// Why bytes prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The group key cannot be read.
    #[error("not a committee key: {0}")]
    Key(String),
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] types::header::HeaderError),
    /// The certificate cannot be read.
    #[error("not a certificate: {0}")]
    Certificate(String),
    /// The certificate is for another block.
    #[error("the certificate finalises another block than the header")]
    OtherBlock,
    /// The committee did not sign this.
    #[error("the certificate is not signed by the committee")]
    Unsigned,
    /// A state proof does not hold.
    #[error("entry {position} of the state proof does not hold under the header's state root")]
    Entry {
        /// Position in the proof.
        position: usize,
    },
}

/// Verifies for one chain.
#[derive(Clone, Debug)]
pub struct Verifier {
    scheme: Scheme,
}

impl Verifier {
    /// Takes what the first committee's key generation gave in public, and of that only the group key.
    pub fn new(chain_id: u64, output: &[u8]) -> Result<Self, LightError> {
        let output = decode_output(output).map_err(|error| LightError::Key(error.to_string()))?;
        Ok(Self { scheme: Scheme::certificate_verifier(&namespace(chain_id), *output.public().public()) })
    }

    /// A header, once the committee is seen to have finalised it.
    pub fn header(&self, header: &[u8], certificate: &[u8]) -> Result<Header, LightError> {
        let header = Header::decode(header)?;
        let finalization = read_finalization(certificate)?;
        let (epoch, view) = (Epoch::new(header.epoch), View::new(header.view));
        let proposal = &finalization.proposal;
        // The last block of an epoch may be proposed again as it is, in views after its own.
        let fits = match proposal.round.view().cmp(&view) {
            Ordering::Less => false,
            Ordering::Equal => proposal.parent == View::new(header.parent_view),
            Ordering::Greater => true,
        };
        if proposal.payload.0 != header.hash().0 || proposal.round.epoch() != epoch || !fits {
            return Err(LightError::OtherBlock);
        }
        // One threshold signature leaves nothing to randomise: a fixed generator is as good as any.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        if !finalization.verify(&mut rng, &self.scheme, &Sequential) {
            return Err(LightError::Unsigned);
        }
        Ok(header)
    }

    /// The values that a state proof proves, in its order, with the header they belong to.
    pub fn state(&self, proof: &StateProof) -> Result<(Header, Vec<Option<Value>>), LightError> {
        let header = self.header(&proof.header, &proof.certificate)?;
        let values = self.entries(&header, &proof.entries)?;
        Ok((header, values))
    }

    /// The values of entries, in their order, under a header that was verified before.
    pub fn entries(&self, header: &Header, entries: &[ProvedEntry]) -> Result<Vec<Option<Value>>, LightError> {
        let root = StateDigest::from(header.state_root.0);
        let values = entries
            .iter()
            .enumerate()
            .map(|(position, entry)| verify_entry(entry, &root).ok_or(LightError::Entry { position }));
        values.collect()
    }
}

fn read_finalization(bytes: &[u8]) -> Result<Finalization, LightError> {
    Finalization::decode(Copying(bytes)).map_err(|error| LightError::Certificate(error.to_string()))
}

/// The proved value of an entry, or nothing if the proof does not hold.
fn verify_entry(entry: &ProvedEntry, root: &StateDigest) -> Option<Option<Value>> {
    let key = Key::from(entry.key().hashed().0);
    let bytes = Copying(&entry.proof);
    let holds = match &entry.value {
        Some(_) => {
            let value = entry.value()?;
            let proof = Inclusion::decode_cfg(bytes, &(PROOF_DIGESTS_MAX, ())).ok()?;
            proof.verify::<StateHasher, Encoding>(key, value.into(), root)
        }
        None => {
            let proof = Absence::decode_cfg(bytes, &(PROOF_DIGESTS_MAX, (), ())).ok()?;
            proof.verify::<StateHasher>(&key, root)
        }
    };
    holds.then(|| entry.value())
}
