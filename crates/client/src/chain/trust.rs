//! Believe what a chain's committee has signed, as long as it is recent and never goes back.

use crate::chain::Proved;
use light::{LightError, Verifier};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use types::{
    ChainSpec, Header,
    proof::StateProof,
    state::{StateKey, Value},
};

/// Greatest age of a block that is believed to be the newest, by the reader's clock.
pub const AGE_MAX_MS: u64 = 30_000;

/// Why a node's proof does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It proves nothing, or nothing of this chain.
    #[error(transparent)]
    Light(#[from] LightError),
    /// It proves something else.
    #[error("the proof is of other entries than were asked for")]
    OtherEntries,
    /// It is too old: the chain stands still, the node lags, or a clock is wrong.
    #[error("its newest proof is {age_s} s old: the chain stands still, the node lags behind, or this clock is wrong")]
    Old {
        /// Seconds between the block and now.
        age_s: u64,
    },
    /// Something newer was seen before.
    #[error("its proof is of height {height}, after {seen} was seen")]
    Behind {
        /// Height of the proof.
        height: u64,
        /// What was seen before.
        seen: u64,
    },
}

/// What a reader believes of a chain: its specification, its committee's key, and how far it has been seen. All nodes of
/// the chain that a reader asks share one.
pub struct Trust {
    spec: Arc<ChainSpec>,
    verifier: Verifier,
    now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Whether age does not matter.
    allows_old: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    height: u64,
    /// The last header that was verified, with the bytes it came in.
    last: Option<(StateProof, Header)>,
}

impl Trust {
    /// Believes what the committee of this specification signs.
    pub fn new(spec: Arc<ChainSpec>) -> Result<Self, LightError> {
        Self::with_clock(spec, system_ms)
    }

    /// The same by another clock, which gives milliseconds since 1970.
    pub fn with_clock(
        spec: Arc<ChainSpec>,
        now_ms: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Self, LightError> {
        let now_ms = Box::new(now_ms);
        let verifier = Verifier::new(spec.chain_id, &spec.output)?;
        Ok(Self { spec, verifier, now_ms, allows_old: AtomicBool::new(false), seen: Mutex::default() })
    }

    /// From now on believes blocks of any age, as long as they never go back: for who reads what was stored while the
    /// chain stands still, and knows that it may have changed since. Answers whether it did so before.
    pub fn allow_old(&self) -> bool {
        self.allows_old.swap(true, Ordering::Relaxed)
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Height of the newest block that was proved.
    pub fn height(&self) -> u64 {
        self.seen.lock().height
    }

    /// What a proof says of `keys`. It counts if it is not older than `since_height`, which is what had been seen when
    /// the question was put, nor than [`AGE_MAX_MS`] unless [old ones are allowed](Self::allow_old).
    pub fn check(&self, keys: &[StateKey], proof: &StateProof, since_height: u64) -> Result<Proved, Distrust> {
        if !proof.entries.iter().map(|entry| entry.key()).eq(keys.iter().copied()) {
            return Err(Distrust::OtherEntries);
        }
        let header = self.header(proof)?;
        if header.height < since_height {
            return Err(Distrust::Behind { height: header.height, seen: since_height });
        }
        let values: Vec<Option<Value>> = self.verifier.entries(&header, &proof.entries)?;
        let age_ms = (self.now_ms)().saturating_sub(header.timestamp_ms);
        if age_ms > AGE_MAX_MS && !self.allows_old.load(Ordering::Relaxed) {
            return Err(Distrust::Old { age_s: age_ms / 1_000 });
        }
        let mut seen = self.seen.lock();
        seen.height = seen.height.max(header.height);
        Ok(Proved { height: header.height, timestamp_ms: header.timestamp_ms, values })
    }

    /// A header of any age, once the committee is seen to have finalised it.
    pub fn finalised(&self, header: &[u8], certificate: &[u8]) -> Result<Header, LightError> {
        self.verifier.header(header, certificate)
    }

    /// The header of a proof; its certificate is checked once, however many proofs come with it.
    fn header(&self, proof: &StateProof) -> Result<Header, LightError> {
        let known = self.seen.lock().last.as_ref().and_then(|(last, header)| {
            (last.header == proof.header && last.certificate == proof.certificate).then(|| header.clone())
        });
        if let Some(header) = known {
            return Ok(header);
        }
        let header = self.verifier.header(&proof.header, &proof.certificate)?;
        let bytes =
            StateProof { header: proof.header.clone(), certificate: proof.certificate.clone(), entries: Vec::new() };
        self.seen.lock().last = Some((bytes, header.clone()));
        Ok(header)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("chain", &self.spec.name).field("height", &self.height()).finish_non_exhaustive()
    }
}

fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
