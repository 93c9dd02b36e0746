//! Generate the first committee's keys together: nobody ever holds the group's secret.
//!
//! # Design
//! The participants run a small chain of their own that lives for one distributed key generation (Feldman and Desmedt's, of
//! the consensus library). Its mesh is bound to the draft of the specification, so that whoever has another draft is not met;
//! its signatures to the chain id, as those of the resharings that go on from it. Everybody ends with the same public
//! output, and each with a share of their own.

use crate::{
    engine::quiet_quota,
    epochs::{FirstError, Secrets, validators},
    identity::signer,
    network,
};
use alloy_primitives::{Bytes, keccak256};
use commonware_codec::Encode;
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt::Reveal, primitives::sharing::Mode},
};
use commonware_glue::dkg::{
    SecretStore as _, bootstrap,
    network::{AddressableManager, Addresses},
};
use commonware_p2p::max_message_size;
use commonware_parallel::Sequential;
use commonware_runtime::{
    Runner as _, Supervisor as _,
    buffer::paged::CacheRef,
    tokio::{Config, Context, Runner},
};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize};
use futures::future::BoxFuture;
use light::consensus::{PublicKey, SHARING_MODE, Variant, encode_public_key, namespace};
use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};
use types::ChainSpec;

/// Shortest ceremony: with fewer blocks a participant may never lead one.
const BLOCKS_MIN: u64 = 32;
const BUFFER: NonZeroUsize = NZUsize!(1 << 16);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(100);

/// What a participant begins with.
#[derive(Clone)]
pub struct CeremonyConfig {
    /// The specification but for its output.
    pub draft: ChainSpec,
    /// Ed25519 seed of this participant's identity.
    pub key: [u8; 32],
    /// Where the others reach it.
    pub listen: SocketAddr,
    /// A folder for the ceremony's own chain. It holds secrets; delete it when the share is where it belongs.
    pub data: PathBuf,
}

/// What a participant ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The same for everybody; for the specification.
    pub output: Bytes,
    /// This participant's share of the group's secret.
    pub share: Bytes,
}

/// There are no keys.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The draft does not name its validators well.
    #[error(transparent)]
    Draft(#[from] FirstError),
    /// This participant is not in the draft.
    #[error("the draft names no validator with the key {0}, which is this participant's")]
    Stranger(String),
    /// Too few took part in time.
    #[error("the key generation failed, as too few dealt in time; start it again with everybody, in an empty folder")]
    Failed,
    /// An actor of it ended.
    #[error("the key generation stopped; see the log, then start it again in an empty folder")]
    Stopped,
}

/// Runs the ceremony on this thread. The result goes to `after`; until that is done, this participant helps the others
/// who are not.
pub fn run<F>(config: CeremonyConfig, after: F) -> Result<(), CeremonyError>
where
    F: FnOnce(Generated) -> BoxFuture<'static, ()> + Send + 'static,
{
    let runtime =
        Config::new().with_storage_directory(config.data.clone()).with_worker_threads(2).with_tcp_nodelay(Some(true));
    Runner::new(runtime).start(|context| async move { take_part(context, config, after).await })
}

async fn take_part<F>(context: Context, config: CeremonyConfig, after: F) -> Result<(), CeremonyError>
where
    F: FnOnce(Generated) -> BoxFuture<'static, ()>,
{
    let CeremonyConfig { draft, key, listen, .. } = config;
    let validators = validators(&draft)?;
    let signer = signer(&key);
    let participants = validators.keys().clone();
    let me = signer.public_key();
    if participants.position(&me).is_none() {
        return Err(CeremonyError::Stranger(encode_public_key(&me).to_string()));
    }
    let directory = Addresses::from(validators);
    let count = u32::try_from(participants.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let message_bytes_max =
        max_message_size(&[bootstrap::max_payload_size::<Variant, Addresses<PublicKey>>(count, SHARING_MODE)]);
    let bound = [&namespace(draft.chain_id)[..], keccak256(draft.to_toml()).as_slice()].concat();
    let peers = NonZeroUsize::new(participants.len()).unwrap_or(NonZeroUsize::MIN);
    let (mut mesh, oracle) = network::open(&context, &bound, signer.clone(), listen, peers, message_bytes_max);
    let mut channels = (0..6).map(|channel| mesh.register(channel, quiet_quota())).collect::<Vec<_>>().into_iter();
    let mut next = || channels.next().expect("there are six channels");
    let mut secrets = Secrets::open(context.child("secrets"), "ceremony").await;
    let engine = bootstrap::Engine::<_, Variant, _, _, _, _, _>::new(
        context.child("ceremony"),
        bootstrap::Config {
            signer,
            manager: AddressableManager::new(oracle.clone()),
            blocker: oracle,
            secret_store: secrets.clone(),
            strategy: Sequential,
            // As the resharings that go on from it.
            namespace: Box::leak(namespace(draft.chain_id).into_boxed_slice()),
            sharing_mode: Mode::NonZeroCounter,
            reveal: Reveal::V1,
            max_supported_mode: SHARING_MODE,
            partition_prefix: "ceremony".into(),
            page_cache: CacheRef::new(NZU16!(4_096), NZUsize!(256)),
            write_buffer: BUFFER,
            replay_buffer: BUFFER,
            mailbox_size: NZUsize!(1_024),
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            items_per_section: NZU64!(64),
            participants,
            directory,
            blocks_per_epoch: blocks(count.get()),
        },
    );
    let (_engine, completion) = engine.start(next(), next(), next(), next(), next(), next());
    mesh.start();
    let completion = completion.await.map_err(|_| CeremonyError::Stopped)?;
    let info = completion.info.ok_or(CeremonyError::Failed)?;
    let share = secrets.get_share(Epoch::zero()).await.ok_or(CeremonyError::Failed)?;
    let generated = Generated { output: info.output.encode().to_vec().into(), share: share.encode().to_vec().into() };
    after(generated).await;
    Ok(())
}

/// Blocks in which everybody leads often enough: at least six times n ln n, as only half of them count.
fn blocks(participants: u32) -> NonZeroU64 {
    let count = u64::from(participants);
    // The bit length is above log2, and that above ln.
    let turns = 6 * count * u64::from(u32::BITS - participants.leading_zeros());
    NonZeroU64::new(turns.max(BLOCKS_MIN)).unwrap_or(NonZeroU64::MIN)
}
