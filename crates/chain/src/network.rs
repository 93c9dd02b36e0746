//! Connect the committee: an authenticated, encrypted mesh over TCP.

use crate::engine::{Channels, message_bytes_max, quota};
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::authenticated::lookup;
use commonware_runtime::{Supervisor, tokio::Context};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::NZUsize;
use light::consensus::{PublicKey, namespace};
use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};
use types::ChainSpec;

type Handshake = Cups<Sake<ed25519::PrivateKey>, ChaCha20Poly1305>;
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

/// Opens a mesh that knows nobody yet.
pub fn open(
    context: &Context,
    namespace: &[u8],
    key: ed25519::PrivateKey,
    listen: SocketAddr,
    peers: NonZeroUsize,
    message_bytes_max: u32,
) -> (lookup::Network<Context, Handshake>, Oracle) {
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: key,
            synchrony_bound: CLOCK_SKEW_MAX,
            max_handshake_age: HANDSHAKE_AGE_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let mut config = lookup::Config::local(handshake, namespace, listen, peers, message_bytes_max, MAILBOX);
    config.dial_frequency = DIAL_INTERVAL;
    lookup::Network::new(context.child("network"), config)
}

/// Starts a validator's mesh; it knows nobody yet.
pub fn start(context: &Context, spec: &ChainSpec, key: ed25519::PrivateKey, listen: SocketAddr) -> Mesh {
    // Mailboxes are sized by this: as many as there are, not as many as there could be.
    let peers = NonZeroUsize::new(spec.validators.len()).unwrap_or(NonZeroUsize::MIN);
    let (mut network, oracle) = open(context, &namespace(spec.chain_id), key, listen, peers, message_bytes_max());
    let engine = Channels::register(|channel, quota| network.register(channel, quota));
    let transactions = network.register(Channels::<(), ()>::COUNT, quota());
    network.start();
    Mesh { oracle, engine, transactions }
}
