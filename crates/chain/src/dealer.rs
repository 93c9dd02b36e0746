//! Deal a committee's threshold shares from one hand, for simulations.
//!
//! Whoever deals knows the group's secret. Every chain that runs, a devnet too, begins with a
//! [`ceremony`](crate::ceremony) instead.

use crate::identity::{identity, signer};
use alloy_primitives::{B256, Bytes};
use commonware_codec::Encode;
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt::deal as deal_shares, primitives::sharing::Mode},
};
use commonware_utils::{N3f1, TryCollect as _, ordered::Set};
use light::consensus::{PublicKey, Variant};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// A validator's secrets.
#[derive(Clone)]
pub struct Seat {
    /// Ed25519 seed of the consensus identity.
    pub key: [u8; 32],
    /// The identity.
    pub public_key: B256,
    /// The share of the group's secret.
    pub share: Bytes,
}

/// A committee with its secrets.
#[derive(Clone)]
pub struct Dealt {
    /// What a key generation gives in public, for the chain's specification.
    pub output: Bytes,
    /// The seats in the order of their public keys.
    pub seats: Vec<Seat>,
}

/// Deals `count` seats from 32 bytes of entropy.
pub fn deal(count: u32, entropy: [u8; 32]) -> Dealt {
    let mut rng = ChaCha20Rng::from_seed(entropy);
    let mut keys: Vec<[u8; 32]> = (0..count)
        .map(|_| {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            key
        })
        .collect();
    keys.sort_by_key(|key| signer(key).public_key());
    let players: Set<PublicKey> =
        keys.iter().map(|key| signer(key).public_key()).try_collect().expect("random keys differ");
    let (output, shares) =
        deal_shares::<Variant, _, N3f1>(rng, Mode::NonZeroCounter, players).expect("a dealer needs players");
    let seats = keys.into_iter().map(|key| {
        let public = signer(&key).public_key();
        let share = shares.get_value(&public).expect("every player has a share").encode();
        Seat { key, public_key: identity(&key), share: share.to_vec().into() }
    });
    Dealt { output: output.encode().to_vec().into(), seats: seats.collect() }
}
