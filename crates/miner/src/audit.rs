//! Answer audit rounds: commit when a round is open, then open what its second beacon asks for.
//!
//! # Design
//! The chain says which stage a round is in; whatever this miner has to do in a stage can be done again after a restart,
//! because it follows from the beacons, from what was owed at beacon A, and from bytes that are kept until the round is
//! over. `docs/spec/audits.md` says what is asked.

mod challenges;
mod holdings;

use crate::{idle::IdleSpace, notes, state::State};
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use challenges::Challenges;
use client::{
    SendError, Sender,
    chain::{ChainApi, ChainError, Network, TransactionReceipt},
};
use futures::{StreamExt, stream};
use holdings::{HoldingError, Holdings, Lot};
use parking_lot::Mutex;
use proofs::{
    opening::{self, Target},
    response::{Duty, Responses, Service, Source, respond},
    round::{Place, Round, Shape},
    sample::{Sample, TRIES_MAX},
};
use rayon::prelude::*;
use std::{collections::BTreeSet, iter, sync::Arc, time::Duration};
use store::{Change, Store};
use tokio::runtime::Handle;
use types::{
    abi::{AUDITS, IAudits},
    layout::audits::{self, RoundQuery, Stage},
    spec::{AuditSpec, StorageSpec},
};

/// Openings on their way at the same time.
const OPENINGS_AT_ONCE: usize = 8;
/// How often an opening is sent while the node is out of reach, and the wait between.
const SENDS_MAX: usize = 8;
const SEND_PAUSE: Duration = Duration::from_secs(1);
/// Chain time between two looks at the round.
const LOOK_MS: u64 = 500;
/// Entries that may be declared lost: one in so many, one at least, and this many at most.
const LOST_DIVISOR: u64 = 100;
const LOST_MAX: usize = 8;

/// A round cannot be answered now; it is tried again while there is time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Holding(HoldingError),
    /// The volume's log has not been followed far enough.
    #[error("the log of volume {0} is behind")]
    Behind(u32),
    /// The node that answered knows another stage of the round than the chain has shown.
    #[error("the node has fallen behind, or the round {0} has gone on")]
    OutOfStep(u64),
    /// What is here is not what was committed to.
    #[error("round {0} was committed to with other bytes than are here now")]
    Changed(u64),
    #[error("the work was interrupted")]
    Interrupted,
}

impl From<HoldingError> for AuditError {
    fn from(error: HoldingError) -> Self {
        match error {
            // Nothing is wrong with the bytes: the question is put again.
            HoldingError::Chain(error) => Self::Chain(error),
            other => Self::Holding(other),
        }
    }
}

/// Answers rounds for one miner.
pub(crate) struct Auditor {
    chain: Arc<dyn ChainApi>,
    store: Store,
    idle: Option<IdleSpace>,
    state: Arc<Mutex<State>>,
    sender: Sender,
    shape: Shape,
    /// The lots by their numbers within the miner.
    lots: Vec<u32>,
    answer: Option<Arc<Answer>>,
    challenges: Challenges,
    /// The last round with a stage in which nothing is left to do.
    done: (u64, Stage),
    looked_at_ms: u64,
}

/// What this miner says in a round.
struct Answer {
    number: u64,
    round: Round,
    holdings: Holdings,
    responses: Responses,
    lost: Vec<u32>,
}

impl Auditor {
    /// For a chain that has rounds.
    pub(crate) fn new(
        chain: Arc<dyn ChainApi>,
        (store, idle): (Store, Option<IdleSpace>),
        state: Arc<Mutex<State>>,
        sender: Sender,
        (storage, audits): (&StorageSpec, &AuditSpec),
    ) -> Self {
        let shape = Shape::of(storage, audits);
        Self {
            chain,
            store,
            idle,
            state,
            sender,
            shape,
            lots: Vec::new(),
            answer: None,
            challenges: Challenges::default(),
            done: (0, Stage::Rest),
            looked_at_ms: 0,
        }
    }

    /// Does what the present stage of the round asks, if anything.
    pub(crate) async fn step(&mut self) -> Result<(), AuditError> {
        let now_ms = self.state.lock().now_ms;
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Ok(());
        }
        self.looked_at_ms = now_ms;
        let round = Network(&*self.chain).query(RoundQuery).await?;
        let stage = (round.number, round.stage);
        if self.done == stage {
            return Ok(());
        }
        match round.stage {
            Stage::Commit => self.commit(&round, &self.standing_in(&round).await?).await?,
            Stage::Open => {
                let standing = self.standing_in(&round).await?;
                let opened = self.open(&round, &standing).await;
                // One does not wait for the other.
                self.answer_challenges(&round, &standing).await.and(opened)?;
            }
            Stage::Rest => self.claim().await?,
            _ => {}
        }
        self.done = stage;
        Ok(())
    }

    async fn commit(&mut self, round: &audits::Round, standing: &IAudits::Standing) -> Result<(), AuditError> {
        if standing.lots == 0 || standing.committed == round.number {
            return Ok(());
        }
        let answer = self.answer(round, standing).await?;
        if !answer.lost.is_empty() {
            tracing::warn!(round = round.number, entries = ?answer.lost, "declared lost: each costs its rebuild");
        }
        let (root, lost) = (answer.responses.root(), answer.lost.clone());
        self.sender.call_in_lane(AUDITS, &IAudits::commitCall { round: round.number, root, lost }).await?;
        tracing::info!(round = round.number, entries = answer.round.entries(), "committed");
        Ok(())
    }

    async fn open(&mut self, round: &audits::Round, standing: &IAudits::Standing) -> Result<(), AuditError> {
        if standing.committed != round.number {
            return Ok(());
        }
        self.number_lots(standing.lots).await?;
        let asked = self.asked(round).await?;
        if asked.is_empty() {
            return Ok(());
        }
        let answer = self.answer(round, standing).await?;
        if answer.responses.root() != standing.commitment {
            return Err(AuditError::Changed(round.number));
        }
        let count = asked.len();
        let sent = stream::iter(asked).map(|(number, sample)| self.open_sample(answer.clone(), number, sample));
        let results: Vec<_> = sent.buffer_unordered(OPENINGS_AT_ONCE).collect().await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        tracing::info!(round = round.number, opened = count - failed, failed, "opened");
        // What is not here will not come back; all else is tried again.
        results
            .into_iter()
            .find(|result| matches!(result, Err(AuditError::Send(_) | AuditError::Chain(_))))
            .unwrap_or(Ok(()))
    }

    /// Takes what was earned and has vested.
    async fn claim(&self) -> Result<(), AuditError> {
        let amount = self.standing().await?.claimable;
        if !amount.is_zero() {
            self.sender.call(AUDITS, U256::ZERO, &IAudits::claimCall {}).await?;
            tracing::info!(%amount, "claimed what was earned, in wei");
        }
        Ok(())
    }

    async fn open_sample(&self, answer: Arc<Answer>, number: u32, sample: IAudits::Sample) -> Result<(), AuditError> {
        let round = answer.number;
        let (shown, asked) = (answer.clone(), sample.clone());
        let opening = blocking(move || answer.open(&sample)).await?.inspect_err(|error| {
            if matches!(error, AuditError::Holding(_)) {
                tracing::error!(round, sample = number, %error, "a sample cannot be opened: it will cost a fine");
            }
        })?;
        let Some(opening) = opening else { return Ok(()) };
        let call = IAudits::openCall { round, sample: number, opening: opening.into() };
        match self.insist(&call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_revert::<IAudits::AlreadyOpened>() => Ok(()),
            // The round is over.
            Err(error) if error.is_revert::<IAudits::UnknownSample>() || error.is_revert::<IAudits::WrongStage>() => {
                Ok(())
            }
            Err(error) if error.is_revert::<IAudits::InvalidOpening>() => {
                let damaged = match shown.target(&asked) {
                    Some(Target { place, chunk, .. }) => self.drop_damaged(shown, place, chunk).await?,
                    None => false,
                };
                if damaged {
                    tracing::error!(round, sample = number, %error, "a sample cannot be opened: it will cost a fine");
                    return Ok(());
                }
                // A node that has fallen behind refuses what will hold.
                tracing::warn!(round, sample = number, %error, "an opening is refused though its bytes are whole");
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends an opening, also if the node is out of reach now and then: the others must not be waited for before it is
    /// tried again.
    async fn insist(&self, call: &IAudits::openCall) -> Result<TransactionReceipt, SendError> {
        for _ in 1..SENDS_MAX {
            match self.sender.call_in_lane(AUDITS, call).await {
                Err(SendError::Chain(ChainError::Unreachable { .. })) => tokio::time::sleep(SEND_PAUSE).await,
                result => return result,
            }
        }
        self.sender.call_in_lane(AUDITS, call).await
    }

    /// Lets a fragment go if its bytes are not those that were stored: repair makes it again.
    async fn drop_damaged(&self, answer: Arc<Answer>, place: Place, chunk: u64) -> Result<bool, AuditError> {
        let damaged = blocking(move || answer.holdings.damaged(place, chunk)).await??;
        let Some((key, index)) = damaged else { return Ok(false) };
        tracing::error!(volume = key.volume, index, segment = %key.segment, "a fragment is damaged on disk: rebuilding it");
        let missing = notes::put_missing(key.volume, index, key.segment);
        self.store.update(vec![Change::Remove(key), missing]).await.map_err(HoldingError::from)?;
        self.state.lock().missing.insert(key, index);
        Ok(true)
    }

    async fn standing(&self) -> Result<IAudits::Standing, AuditError> {
        let miner = self.state.lock().miner;
        Ok(Network(&*self.chain).read(AUDITS, &IAudits::standingCall { miner }).await?)
    }

    async fn standing_in(&self, round: &audits::Round) -> Result<IAudits::Standing, AuditError> {
        let miner = self.state.lock().miner;
        let mut standings = self.read_in(round, &[IAudits::standingCall { miner }]).await?;
        standings.pop().ok_or(AuditError::OutOfStep(round.number))
    }

    /// Reads what holds in this stage of the round. A miner has several nodes, and one that has fallen behind still tells
    /// what was owed in the round before, so each says first and last where it is: blocks come in order, and what
    /// stands between two equal answers is of the same stage.
    async fn read_in<C: SolCall>(&self, round: &audits::Round, calls: &[C]) -> Result<Vec<C::Return>, AuditError> {
        let stage: Bytes = IAudits::roundCall {}.abi_encode().into();
        let asked = iter::once(stage.clone()).chain(calls.iter().map(|call| call.abi_encode().into()));
        let asked = asked.chain(iter::once(stage)).map(|input| (AUDITS, input)).collect();
        let answers = self.chain.call_many(asked).await?;
        let invalid = |reason: String| AuditError::Chain(ChainError::Invalid(reason));
        let [first, answers @ .., last] = &answers[..] else { return Err(invalid("too few answers".into())) };
        if answers.len() != calls.len() {
            return Err(invalid(format!("{} answers to {} calls", answers.len(), calls.len())));
        }
        for stamp in [first, last] {
            let seen = IAudits::roundCall::abi_decode_returns(stamp).map_err(|error| invalid(error.to_string()))?;
            if (seen.number, seen.stage) != (round.number, round.stage as u8) {
                return Err(AuditError::OutOfStep(round.number));
            }
        }
        let decode = |answer: &Bytes| C::abi_decode_returns(answer).map_err(|error| invalid(error.to_string()));
        answers.iter().map(decode).collect()
    }

    /// The samples of the round that ask this miner and are not opened yet.
    async fn asked(&self, round: &audits::Round) -> Result<Vec<(u32, IAudits::Sample)>, AuditError> {
        let miner = self.state.lock().miner;
        let own: BTreeSet<u32> = self.lots.iter().copied().collect();
        let drawn = self.chain.spec().await?.storage.audits.as_ref().map_or(0, |audits| audits.samples);
        // Most of them cannot ask this miner, whichever lots are live. Those after the drawn ones ask watched miners.
        let may_ask = |number: &u32| {
            let sample = Sample { beacon: round.beacon_b, number: *number };
            *number >= drawn || (0..TRIES_MAX).any(|attempt| own.contains(&sample.lot(attempt, round.lots)))
        };
        let numbers: Vec<u32> = (0..round.samples).filter(may_ask).collect();
        let calls: Vec<_> = numbers.iter().map(|number| IAudits::sampleCall { number: *number }).collect();
        let samples = self.read_in(round, &calls).await?;
        let asked = numbers.into_iter().zip(samples);
        Ok(asked.filter(|(_, sample)| sample.miner == miner && !sample.answered).collect())
    }

    /// What this miner says in the round; made again after a restart.
    async fn answer(&mut self, round: &audits::Round, standing: &IAudits::Standing) -> Result<Arc<Answer>, AuditError> {
        if let Some(answer) = self.answer.as_ref().filter(|answer| answer.number == round.number) {
            return Ok(answer.clone());
        }
        self.answer = None;
        self.number_lots(standing.lots).await?;
        let lots = self.duties(round, standing.lots).await?;
        let miner = self.state.lock().miner;
        let asked = Round { shape: self.shape, beacon: round.beacon_a, miner, lots: standing.lots };
        let holdings = Holdings {
            store: self.store.reader(),
            idle: self.idle.clone(),
            chain: self.chain.clone(),
            runtime: Handle::current(),
            shape: self.shape,
            lots,
        };
        let number = round.number;
        let answer = Arc::new(blocking(move || Answer::collect(number, asked, holdings)).await??);
        self.answer = Some(answer.clone());
        Ok(answer)
    }

    /// Learns the lots behind this miner's own numbers, which never change.
    async fn number_lots(&mut self, count: u32) -> Result<(), AuditError> {
        let miner = self.state.lock().miner;
        let known = self.lots.len() as u32;
        let calls: Vec<_> = (known..count).map(|number| IAudits::lotOfCall { miner, number }).collect();
        self.lots.extend(Network(&*self.chain).read_many(AUDITS, &calls).await?);
        Ok(())
    }

    /// What each lot owed at beacon A.
    async fn duties(&self, round: &audits::Round, count: u32) -> Result<Vec<Lot>, AuditError> {
        let calls: Vec<_> = self.lots.iter().take(count as usize).map(|lot| IAudits::dutyCall { lot: *lot }).collect();
        let duties = self.read_in(round, &calls).await?;
        let state = self.state.lock();
        self.lots.iter().zip(duties).map(|(id, duty)| lot_of(&state, *id, &duty)).collect()
    }
}

/// A lot's duty, if the log of its volume is here as far as the round asks.
fn lot_of(state: &State, id: u32, duty: &IAudits::Duty) -> Result<Lot, AuditError> {
    let idle_root = (!duty.idleRoot.is_zero()).then_some(duty.idleRoot);
    if duty.volume == 0 {
        return Ok(Lot { id, volume: 0, duty: Duty { service: None, idle_root } });
    }
    let log = state.volumes.get(&duty.volume).filter(|log| !log.is_broken && log.stripe_count() >= duty.stripeCount);
    let log = log.ok_or(AuditError::Behind(duty.volume))?;
    let service = Service {
        profile: log.profile,
        seat: duty.seat,
        column_bytes: duty.columnBytes,
        stripe_count: duty.stripeCount,
        stripes_root: duty.stripesRoot,
        fresh_from: duty.freshFrom,
        gap_from: duty.gapFrom,
        gap_to: duty.gapTo,
    };
    Ok(Lot { id, volume: duty.volume, duty: Duty { service: Some(service), idle_root } })
}

impl Answer {
    /// Reads what the round asks for. What cannot be read is declared lost, as far as that is allowed.
    fn collect(number: u64, round: Round, holdings: Holdings) -> Result<Self, AuditError> {
        let entries: Vec<_> = round.all().collect();
        let read: Vec<_> = entries.par_iter().map(|entry| respond(&round, &holdings, *entry)).collect();
        let lost_max = LOST_MAX.min((round.entries() / LOST_DIVISOR).max(1) as usize);
        let (mut values, mut lost) = (Vec::with_capacity(read.len()), Vec::new());
        for (index, value) in (0u32..).zip(read) {
            match value {
                Ok(value) => values.push(value),
                // Nothing is wrong with the bytes: the question is put again.
                Err(HoldingError::Chain(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(round = number, entry = index, %error, "cannot be answered");
                    values.push(B256::ZERO);
                    lost.push(index);
                }
            }
        }
        lost.truncate(lost_max);
        Ok(Self { number, round, holdings, responses: Responses::of(&values), lost })
    }

    /// What a sample asks for, if anything.
    fn target(&self, sample: &IAudits::Sample) -> Option<Target> {
        Target::new(&self.round, |lot| self.holdings.duty(lot), sample.entry, sample.chunk)
    }

    /// The encoded opening of a sample; nothing if it asks for nothing.
    fn open(&self, sample: &IAudits::Sample) -> Result<Option<Vec<u8>>, AuditError> {
        let Some(target) = self.target(sample) else { return Ok(None) };
        let opening = opening::open(&self.round, &self.holdings, &self.responses, &target)?;
        Ok(opening.map(|opening| opening.encode()))
    }
}

/// Runs what may block where it may.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, AuditError> {
    offload::run(work).await.map_err(|_| AuditError::Interrupted)
}

#[cfg(test)]
mod tests;
