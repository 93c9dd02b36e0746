//! Read who signs first from the specification.

use crate::block::Info;
use commonware_consensus::types::Epoch;
use commonware_glue::dkg::{network::Addresses, types::EpochOutcome};
use commonware_p2p::Address;
use commonware_utils::ordered::Map;
use light::consensus::{PublicKey, decode_output, decode_public_key};
use std::net::SocketAddr;
use types::{ChainSpec, spec::ValidatorSpec};

/// The specification names no committee that could begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FirstError {
    /// A validator cannot be reached as it is written there.
    #[error("validator {position} of the specification: {reason}")]
    Validator {
        /// Its position.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// A key appears twice.
    #[error("two validators of the specification have the same key")]
    Twice,
    /// The output cannot be read.
    #[error("the specification's key generation output: {0}")]
    Output(String),
    /// The output belongs to others.
    #[error("the specification's key generation output is not of its validators")]
    Strangers,
}

/// The addresses of the specification's validators by their keys.
pub fn validators(spec: &ChainSpec) -> Result<Map<PublicKey, Address>, FirstError> {
    let read = |(position, validator): (usize, &ValidatorSpec)| {
        let fail = |reason: String| FirstError::Validator { position, reason };
        let key = decode_public_key(&validator.public_key).map_err(|error| fail(error.to_string()))?;
        // Part of the first block: a name could mean something else to everybody.
        let address = validator.address.parse::<SocketAddr>();
        let address = address.map_err(|_| fail(format!("`{}` is no IP address with a port", validator.address)))?;
        Ok((key, Address::Symmetric(address)))
    };
    let validators: Vec<_> = spec.validators.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Map::try_from(validators).map_err(|_| FirstError::Twice)
}

/// The first epoch: the validators sign it, and receive shares for the two after it.
pub fn first_epoch(spec: &ChainSpec) -> Result<Info, FirstError> {
    let validators = validators(spec)?;
    let players = validators.keys().clone();
    let output = decode_output(&spec.output).map_err(|error| FirstError::Output(error.to_string()))?;
    if *output.players() != players {
        return Err(FirstError::Strangers);
    }
    let directory = Addresses::from(validators);
    Ok(Info {
        outcome: EpochOutcome::Success,
        epoch: Epoch::zero(),
        output,
        players: players.clone(),
        next_players: players,
        directory,
    })
}
