//! Fix the consensus library's types that this chain uses: the one place where they are chosen.

use alloy_primitives::B256;
use commonware_codec::{Copying, Decode, DecodeExt, Encode, Error};
use commonware_consensus::simplex::{
    scheme::bls12381_threshold::vrf,
    types::{self, Context},
};
use commonware_cryptography::{
    Sha256,
    bls12381::dkg::feldman_desmedt,
    bls12381::primitives::{sharing::ModeVersion, variant::MinSig},
    ed25519, keccak256, sha256,
};
use commonware_storage::{
    merkle::mmb,
    qmdb::{
        any::value::FixedEncoding,
        current::ordered::proof::{ExclusionProof, KeyValueProof},
    },
};
use commonware_utils::sequence::FixedBytes;
use std::num::NonZeroU32;

/// Hash of a block.
pub type Digest = keccak256::Digest;
/// A validator's identity.
pub type PublicKey = ed25519::PublicKey;
/// Where signatures live: the short ones in G1.
pub type Variant = MinSig;
/// Threshold signatures with a verifiable random seed for each round.
pub type Scheme = vrf::Scheme<PublicKey, Variant>;
/// What a key generation or a resharing gives in public.
pub type Output = feldman_desmedt::Output<Variant, PublicKey>;
/// The seed of a round.
pub type Seed = vrf::Seed<Variant>;
/// A certificate that a block is final.
pub type Finalization = types::Finalization<Scheme, Digest>;
/// What consensus says of a proposal before there is a block.
pub type ProposalContext = Context<Digest, PublicKey>;

/// Family of the state's Merkle structure.
pub type Family = mmb::Family;
/// Hash function of the state.
pub type StateHasher = Sha256;
/// Hash of the state.
pub type StateDigest = sha256::Digest;
/// Key of a state entry.
pub type Key = sha256::Digest;
/// Value of a state entry.
pub type Value = FixedBytes<{ ::types::state::VALUE_BYTES }>;
/// How values are encoded in the state's log.
pub type Encoding = FixedEncoding<Value>;
/// Bytes of a chunk of the activity bitmap.
pub const CHUNK_BYTES: usize = 32;
/// Proof that an entry has a value.
pub type Inclusion = KeyValueProof<Family, Key, StateDigest, [u8; CHUNK_BYTES]>;
/// Proof that there is no entry.
pub type Absence = ExclusionProof<Family, Key, Encoding, StateDigest, [u8; CHUNK_BYTES]>;
/// Most digests in a proof that is read.
pub const PROOF_DIGESTS_MAX: usize = 256;

/// Most seats of a committee.
pub const SEATS_MAX: NonZeroU32 = NonZeroU32::new(256).unwrap();
/// Newest way of sharing that is read.
pub const SHARING_MODE: ModeVersion = ModeVersion::v0();

/// The signing domain of a chain.
pub fn namespace(chain_id: u64) -> Vec<u8> {
    [b"cess/1/".as_slice(), &chain_id.to_be_bytes()].concat()
}

/// Reads what a key generation gave in public.
pub fn decode_output(bytes: &[u8]) -> Result<Output, Error> {
    Output::decode_cfg(Copying(bytes), &(SEATS_MAX, SHARING_MODE))
}

/// Reads a validator's key.
pub fn decode_public_key(bytes: &B256) -> Result<PublicKey, Error> {
    PublicKey::decode(Copying(bytes.as_slice()))
}

/// The bytes of a validator's key.
pub fn encode_public_key(key: &PublicKey) -> B256 {
    B256::from_slice(&key.encode())
}
