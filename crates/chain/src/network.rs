//! Connect the committee: an authenticated, encrypted mesh over TCP.

use crate::engine::{Channels, message_bytes_max, quota};
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::{Address, AddressableManager, authenticated::lookup};
use commonware_runtime::{Supervisor, tokio::Context};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZUsize, ordered::Map};
use light::consensus::{PublicKey, decode_public_key, namespace};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    num::NonZeroUsize,
    time::Duration,
};
use types::ChainSpec;

type Oracle = lookup::Oracle<PublicKey>;
type Sender = lookup::Sender<PublicKey, Context>;
type Receiver = lookup::Receiver<PublicKey>;

/// The mesh of a validator.
pub struct Mesh {
    /// Looks up peers and cuts them off.
    pub oracle: Oracle,
    /// The engine's channels.
    pub engine: Channels<Sender, Receiver>,
    /// The channel of transactions.
    pub transactions: (Sender, Receiver),
}

const MAILBOX: NonZeroUsize = NZUsize!(1_024);
const DIAL_INTERVAL: Duration = Duration::from_millis(250);
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);
const HANDSHAKE_AGE_MAX: Duration = Duration::from_secs(10);

/// A validator of the specification cannot be reached as it is written there.
#[derive(Debug, thiserror::Error)]
#[error("validator {position} of the specification: {reason}")]
pub struct NetworkError {
    position: usize,
    reason: String,
}

/// Starts the mesh of the specification's validators.
pub fn start(
    context: &Context,
    spec: &ChainSpec,
    key: ed25519::PrivateKey,
    listen: SocketAddr,
) -> Result<Mesh, NetworkError> {
    let peers = peers(spec)?;
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: key,
            synchrony_bound: CLOCK_SKEW_MAX,
            max_handshake_age: HANDSHAKE_AGE_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    // Mailboxes are sized by this: as many as there are, not as many as there could be.
    let seats = NonZeroUsize::new(peers.len()).unwrap_or(NonZeroUsize::MIN);
    let mut config =
        lookup::Config::local(handshake, &namespace(spec.chain_id), listen, seats, message_bytes_max(), MAILBOX);
    config.dial_frequency = DIAL_INTERVAL;
    let (mut network, mut oracle) = lookup::Network::new(context.child("network"), config);
    oracle.track(0, peers);
    let engine = Channels::register(|channel| network.register(channel, quota()));
    let transactions = network.register(Channels::<(), ()>::COUNT, quota());
    network.start();
    Ok(Mesh { oracle, engine, transactions })
}

fn peers(spec: &ChainSpec) -> Result<Map<PublicKey, Address>, NetworkError> {
    let peer = |(position, validator): (usize, &types::spec::ValidatorSpec)| {
        let fail = |reason: String| NetworkError { position, reason };
        let key = decode_public_key(&validator.public_key).map_err(|error| fail(error.to_string()))?;
        let address = validator.address.to_socket_addrs().map_err(|error| fail(error.to_string()))?.next();
        let address = address.ok_or_else(|| fail(format!("{} has no address", validator.address)))?;
        Ok((key, Address::from(address)))
    };
    let peers = spec.validators.iter().enumerate().map(peer).collect::<Result<Vec<_>, _>>()?;
    peers.try_into().map_err(|_| NetworkError { position: 0, reason: "a key appears twice".into() })
}
