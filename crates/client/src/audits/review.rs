//! Check the openings and faults of a round again, from what anyone can read: logs, calldata, and hashes.
//!
//! # Design
//! Whom a sample asks for what follows from the two beacons, the miner's number and the number of its lots
//! (`proofs::sample`, `proofs::round`). What the lot owed is put together from the logs of its volume up to the moment in
//! which the round opened. An opening is in the calldata of its transaction, the response that it opens in the
//! commitment, the beacons in headers that the committee finalised. So nothing here needs the state of a block that is long gone, and nothing is taken from the chain's verdict.

mod duty;

use super::{Fault, fault};
use crate::{
    ChainError,
    chain::{LogEntry, LogFilter, Network},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use duty::{Duties, LotDuty};
use proofs::{
    opening::{OpeningError, Shown, Target, verify},
    response::Owed,
    round::{Entry, Phase, Place, Round, Shape, beacon},
    sample::{Aim, Sample, TRIES_MAX},
};
use std::collections::BTreeMap;
use types::{
    abi::{AUDITS, IAudits, IMiners, MINERS},
    spec::{AuditSpec, StorageSpec},
};

/// Blocks that one query for logs covers.
const WINDOW_BLOCKS: u64 = 10_000;

/// Why a round cannot be checked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain has no audits.
    #[error("this chain has no audits")]
    NoRounds,
    /// There is no such round.
    #[error(
        "round {round} was not found in the last {blocks} blocks: the present one is {present}; look further back with --blocks"
    )]
    UnknownRound {
        /// The round.
        round: u64,
        /// The present one.
        present: u64,
        /// How far we looked.
        blocks: u64,
    },
    /// Its samples are not drawn yet.
    #[error("round {round} has not drawn its samples yet: try again when it is over")]
    NotDrawn {
        /// The round.
        round: u64,
    },
    /// The transaction opened nothing.
    #[error("transaction {hash} opened no sample and no round judged a fault in it: name a round with --round")]
    NoOpening {
        /// The transaction.
        hash: B256,
    },
}

/// What checking again has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The chain's verdict follows from the evidence.
    Holds,
    /// It does not.
    Contradicted(String),
    /// What it would take cannot be had any more.
    Unchecked(String),
}

/// A round, checked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundReview {
    /// The round.
    pub round: u64,
    /// Height at which obligations were frozen.
    pub opened_height: u64,
    /// Says what is to be answered.
    pub beacon_a: B256,
    /// Says what is opened.
    pub beacon_b: B256,
    /// Samples drawn.
    pub samples: u32,
    /// Miners that committed.
    pub committed: usize,
    /// Whether every sample is judged.
    pub closed: bool,
    /// Whether beacons A and B are those that headers of the chain brought.
    pub beacons: [Finding; 2],
    /// Samples that were opened.
    pub openings: Vec<OpeningReview>,
    /// Samples that were not.
    pub faults: Vec<FaultReview>,
}

/// An opening, checked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningReview {
    /// The sample.
    pub sample: u32,
    /// The miner.
    pub miner: u32,
    /// The transaction that opened it.
    pub transaction: B256,
    /// What it shows, in words.
    pub shows: String,
    /// Whether it holds.
    pub finding: Finding,
}

/// A fault, checked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReview {
    /// The miner.
    pub miner: u32,
    /// The fault.
    pub fault: Fault,
    /// What it rests on, in words.
    pub evidence: Vec<String>,
    /// Whether it follows.
    pub finding: Finding,
}

impl RoundReview {
    /// Whether nothing contradicts the chain.
    pub fn holds(&self) -> bool {
        let contradicted = |finding: &Finding| matches!(finding, Finding::Contradicted(_));
        !self.openings.iter().any(|opening| contradicted(&opening.finding))
            && !self.faults.iter().any(|fault| contradicted(&fault.finding))
            && !self.beacons.iter().any(contradicted)
    }
}

impl Network<'_> {
    /// The round that a transaction opened a sample in.
    pub async fn round_of_transaction(&self, hash: B256) -> Result<u64, ReviewError> {
        let receipt = self.0.receipt(hash).await?;
        let logs = receipt.into_iter().flat_map(|receipt| receipt.logs);
        let of_round = |log: alloy_primitives::Log| {
            let opened = IAudits::Opened::decode_log_data(&log.data).map(|event| event.round);
            opened.or_else(|_| IAudits::Committed::decode_log_data(&log.data).map(|event| event.round)).ok()
        };
        let mut audits = logs.filter(|log| log.address == AUDITS);
        audits.find_map(of_round).ok_or(ReviewError::NoOpening { hash })
    }

    /// Checks a round again, or what concerns one miner in it. `blocks` bounds how far back it is looked for.
    pub async fn review_round(&self, round: u64, miner: Option<u32>, blocks: u64) -> Result<RoundReview, ReviewError> {
        let spec = self.0.spec().await?;
        let rules = spec.storage.audits.as_ref().ok_or(ReviewError::NoRounds)?;
        let events = self.round_events(round, blocks).await?;
        let (drawn_height, drawn) = events.drawn.as_ref().ok_or(ReviewError::NotDrawn { round })?;
        let (opened_height, opened) = &events.opened;
        let beacon_a = self.beacon_follows(*opened_height, round, Phase::A, opened.beacon).await?;
        let beacon_b = self.beacon_follows(*drawn_height, round, Phase::B, drawn.beacon).await?;
        let mut review = RoundReview {
            round,
            opened_height: *opened_height,
            beacon_a: opened.beacon,
            beacon_b: drawn.beacon,
            samples: drawn.samples,
            committed: events.commitments.len(),
            closed: events.closed,
            beacons: [beacon_a, beacon_b],
            openings: Vec::new(),
            faults: Vec::new(),
        };
        let present: IAudits::Round = self.read(AUDITS, &IAudits::roundCall {}).await?;
        let mut court = Court {
            network: *self,
            storage: &spec.storage,
            rules,
            events: &events,
            drawn,
            present: present.number,
            lots: BTreeMap::new(),
            duties: Duties::new(*self, events.place()),
        };
        let concerns = |whose: u32| miner.is_none_or(|miner| miner == whose);
        for (number, entry) in events.openings.iter().filter(|(_, entry)| concerns(entry.miner)) {
            let (shows, finding) = court.opening(*number, entry).await?;
            let (sample, miner, transaction) = (*number, entry.miner, entry.transaction);
            review.openings.push(OpeningReview { sample, miner, transaction, shows, finding });
        }
        for (miner, fault) in events.faults.iter().filter(|(miner, _)| concerns(*miner)) {
            let (evidence, finding) = court.fault(*miner, fault).await?;
            review.faults.push(FaultReview { miner: *miner, fault: fault.clone(), evidence, finding });
        }
        Ok(review)
    }

    /// Whether a round's beacon is made of the seed that the block brought in which the round went on.
    async fn beacon_follows(
        &self,
        height: u64,
        round: u64,
        phase: Phase,
        claimed: B256,
    ) -> Result<Finding, ReviewError> {
        match self.0.beacon(height).await {
            Ok(Some(brought)) if beacon(round, phase, &brought.seed) == claimed => Ok(Finding::Holds),
            Ok(Some(_)) => Ok(Finding::Contradicted(format!("block {height} brought another seed"))),
            Ok(None) => Ok(Finding::Contradicted(format!("block {height} brought no beacon"))),
            Err(error @ (ChainError::Unverified { .. } | ChainError::Invalid(_))) => {
                Ok(Finding::Unchecked(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the logs say of a round, from its beginning to its end.
    async fn round_events(&self, round: u64, blocks: u64) -> Result<Events, ReviewError> {
        let head = self.0.head().await?.height;
        // Other events have the number of a miner or a challenge in its place.
        let kinds = vec![
            IAudits::RoundOpened::SIGNATURE_HASH,
            IAudits::Committed::SIGNATURE_HASH,
            IAudits::Drawn::SIGNATURE_HASH,
            IAudits::Opened::SIGNATURE_HASH,
            IAudits::Faulted::SIGNATURE_HASH,
            IAudits::RoundClosed::SIGNATURE_HASH,
        ];
        let topics = [Some(kinds), Some(vec![U256::from(round).into()]), None, None];
        let filter = |from, to| LogFilter { from, to: Some(to), address: AUDITS, topics: topics.clone() };
        let lowest = head.saturating_sub(blocks);
        let mut to = head;
        let mut newer = Vec::new();
        loop {
            let from = to.saturating_sub(WINDOW_BLOCKS - 1).max(lowest);
            let mut logs = self.0.logs(filter(from, to)).await?;
            logs.append(&mut newer);
            newer = logs;
            // The first of a round's events.
            if newer.first().is_some_and(|entry| IAudits::RoundOpened::decode_log_data(&entry.log.data).is_ok()) {
                break;
            }
            if from == lowest {
                let present: IAudits::Round = self.read(AUDITS, &IAudits::roundCall {}).await?;
                return Err(ReviewError::UnknownRound { round, present: present.number, blocks });
            }
            to = from - 1;
        }
        Events::new(&newer).ok_or(ReviewError::NotDrawn { round })
    }
}

/// An opened sample.
struct Opened {
    miner: u32,
    transaction: B256,
}

/// A commitment.
struct Committed {
    root: B256,
    lost: Vec<u32>,
    transaction: B256,
    height: u64,
}

/// What happened in a round.
struct Events {
    opened: (u64, IAudits::RoundOpened),
    /// Position of that event in its block.
    opened_index: u64,
    drawn: Option<(u64, IAudits::Drawn)>,
    commitments: BTreeMap<u32, Committed>,
    openings: BTreeMap<u32, Opened>,
    faults: Vec<(u32, Fault)>,
    closed: bool,
}

impl Events {
    fn new(logs: &[LogEntry]) -> Option<Self> {
        let first = logs.first()?;
        let opened = IAudits::RoundOpened::decode_log_data(&first.log.data).ok()?;
        let mut events = Self {
            opened: (first.height, opened),
            opened_index: first.log_index,
            drawn: None,
            commitments: BTreeMap::new(),
            openings: BTreeMap::new(),
            faults: Vec::new(),
            closed: false,
        };
        logs.iter().for_each(|entry| events.add(entry));
        Some(events)
    }

    fn add(&mut self, entry: &LogEntry) {
        let (data, transaction) = (&entry.log.data, entry.transaction_hash);
        if let Ok(event) = IAudits::Committed::decode_log_data(data) {
            let IAudits::Committed { root, lost, miner, .. } = event;
            self.commitments.insert(miner, Committed { root, lost, transaction, height: entry.height });
        } else if let Ok(event) = IAudits::Opened::decode_log_data(data) {
            self.openings.insert(event.sample, Opened { miner: event.miner, transaction });
        } else if let Some(fault) = fault(entry) {
            self.faults.push(fault);
        } else if let Ok(event) = IAudits::Drawn::decode_log_data(data) {
            self.drawn = Some((entry.height, event));
        } else if IAudits::RoundClosed::decode_log_data(data).is_ok() {
            self.closed = true;
        }
    }

    /// The moment in which obligations were frozen.
    fn place(&self) -> (u64, u64) {
        (self.opened.0, self.opened_index)
    }
}

/// Judges again.
struct Court<'a> {
    network: Network<'a>,
    storage: &'a StorageSpec,
    rules: &'a AuditSpec,
    events: &'a Events,
    drawn: &'a IAudits::Drawn,
    /// The present round.
    present: u64,
    /// Lots of each miner at beacon A.
    lots: BTreeMap<u32, u32>,
    duties: Duties<'a>,
}

impl Court<'_> {
    async fn opening(&mut self, number: u32, opened: &Opened) -> Result<(String, Finding), ReviewError> {
        let none = String::new();
        let Some(commitment) = self.events.commitments.get(&opened.miner) else {
            return Ok((none, Finding::Contradicted("the miner did not commit".into())));
        };
        let root = commitment.root;
        if let Some(reason) = self.not_asked(number, opened.miner).await? {
            return Ok((none, Finding::Contradicted(reason)));
        }
        let Some((_, input)) = self.network.0.transaction(opened.transaction).await? else {
            return Ok((none, Finding::Unchecked("the node does not have the transaction any more".into())));
        };
        let Some(call) = IAudits::openCall::abi_decode(&input).ok().filter(|call| call.sample == number) else {
            return Ok((none, Finding::Unchecked("the opening was not sent to the module directly".into())));
        };
        let round = self.round(opened.miner).await?;
        let mut finding = Finding::Contradicted("no lot of the miner is asked".into());
        for target in self.targets(&round, number).await? {
            let lot = self.lot_of(opened.miner, target.place.lot).await?;
            let duty = match self.duties.of(lot).await? {
                Ok(duty) => duty,
                Err(reason) => return Ok((none, Finding::Unchecked(reason))),
            };
            for target in candidates(target, &duty, &round) {
                match check(&round, &duty, &root, &target, &call.opening) {
                    Ok(shows) => {
                        let Place { slot, .. } = target.place;
                        return Ok((format!("lot {lot} slot {slot} chunk {}: {shows}", target.chunk), Finding::Holds));
                    }
                    Err(reason) => finding = Finding::Contradicted(reason),
                }
            }
        }
        Ok((none, finding))
    }

    async fn fault(&mut self, miner: u32, fault: &Fault) -> Result<(Vec<String>, Finding), ReviewError> {
        let mut evidence = Vec::new();
        let finding = match self.follows(miner, fault, &mut evidence).await? {
            Ok(None) => Finding::Holds,
            Ok(Some(gap)) => Finding::Unchecked(gap),
            Err(reason) => Finding::Contradicted(reason),
        };
        Ok((evidence, finding))
    }

    /// Whether a fault follows; inside, what could not be looked at, or what contradicts it.
    async fn follows(
        &mut self,
        miner: u32,
        fault: &Fault,
        evidence: &mut Vec<String>,
    ) -> Result<Result<Option<String>, String>, ReviewError> {
        let Some(commitment) = self.events.commitments.get(&miner) else {
            return Ok(Err("the miner did not commit: the round counts as missed, and no sample as a fault".into()));
        };
        let Committed { root, lost, transaction, height } = commitment;
        evidence.push(format!("the miner committed to {root} in transaction {transaction} at height {height}"));
        if let Some(reason) = self.not_asked(fault.sample, miner).await? {
            return Ok(Err(reason));
        }
        let number = fault.sample;
        evidence.push(format!("beacon B {} has sample {number} ask miner {miner}", self.drawn.beacon));
        let round = self.round(miner).await?;
        let Some(target) = self.targets(&round, number).await?.into_iter().find(|target| target.index == fault.entry)
        else {
            return Ok(Err(format!("the sample does not ask for entry {}", fault.entry)));
        };
        let lot = self.lot_of(miner, target.place.lot).await?;
        let is_fresh = matches!(round.entry(fault.entry), Some(Entry::Fresh(_)));
        let place = if is_fresh { Place { slot: fault.slot, ..target.place } } else { target.place };
        let chunk = if is_fresh { round.chunk(place) } else { target.chunk };
        if (lot, place.slot, chunk) != (fault.lot, fault.slot, fault.chunk) {
            return Ok(Err(format!("entry {} is lot {lot} slot {} chunk {chunk}", fault.entry, place.slot)));
        }
        let kind = if is_fresh {
            "fresh"
        } else if target.is_deep {
            "deep"
        } else {
            "light"
        };
        evidence.push(format!(
            "beacon A {} makes {kind} entry {} lot {lot} slot {} chunk {chunk}",
            round.beacon, fault.entry, place.slot
        ));
        if lost.iter().any(|entry| u64::from(*entry) == fault.entry) {
            return Ok(Err("the miner had declared this entry lost".into()));
        }
        if self.events.openings.contains_key(&fault.sample) {
            return Ok(Err("the sample was opened".into()));
        }
        evidence.push(format!("no transaction opened it until the verdict at height {}", fault.height));
        let duty = match self.duties.of(lot).await? {
            Ok(duty) => duty,
            Err(reason) => return Ok(Ok(Some(format!("what the lot owed: {reason}")))),
        };
        match duty.describe(&round.shape, place.slot, chunk) {
            Some(owed) => evidence.push(format!("owed: {owed}")),
            None => return Ok(Err("the lot owed nothing there".into())),
        }
        Ok(Ok(None))
    }

    /// Why a sample does not ask a miner, if it does not.
    async fn not_asked(&self, number: u32, miner: u32) -> Result<Option<String>, ReviewError> {
        if number >= self.drawn.samples {
            return Ok(Some(format!("the round has {} samples only", self.drawn.samples)));
        }
        if number >= self.rules.samples.min(self.drawn.samples) {
            // Additional samples go to miners with earlier faults, from a queue of which no log is kept.
            let standing: IAudits::Standing = self.network.read(AUDITS, &IAudits::standingCall { miner }).await?;
            let reason = || format!("additional sample {number} asks a miner that never failed");
            return Ok((standing.faults == 0).then(reason));
        }
        let sample = Sample { beacon: self.drawn.beacon, number };
        for attempt in 0..TRIES_MAX {
            let id = sample.lot(attempt, self.events.opened.1.lots);
            let lot: IMiners::lotReturn = self.network.read(MINERS, &IMiners::lotCall { id }).await?;
            if lot.miner == miner {
                return Ok(None);
            }
            // A lot that is live now was live then.
            if lot.state != 2 {
                return Ok(Some(format!("sample {number} hits lot {id} of miner {}", lot.miner)));
            }
        }
        Ok(Some(format!("sample {number} hits no lot of miner {miner}")))
    }

    /// What the round asks of a miner.
    async fn round(&mut self, miner: u32) -> Result<Round, ReviewError> {
        let shape = Shape::of(self.storage, self.rules);
        let lots = match self.lots.get(&miner) {
            Some(lots) => *lots,
            None => {
                let lots = self.lots_then(miner).await?;
                self.lots.insert(miner, lots);
                lots
            }
        };
        Ok(Round { shape, beacon: self.events.opened.1.beacon, miner, lots })
    }

    /// Lots that a miner had pledged at beacon A: those at the present round's, without what was pledged in between.
    async fn lots_then(&self, miner: u32) -> Result<u32, ReviewError> {
        let standing: IAudits::Standing = self.network.read(AUDITS, &IAudits::standingCall { miner }).await?;
        let (height, index) = self.events.place();
        if self.present == self.events.opened.1.round {
            return Ok(standing.lots);
        }
        let topics = [Some(vec![IMiners::Pledged::SIGNATURE_HASH]), Some(vec![U256::from(miner).into()]), None, None];
        let filter = LogFilter { from: height, to: None, address: MINERS, topics };
        let all = self.total_lots(miner, standing.lots).await?;
        let later = self.network.0.logs(filter).await?;
        let later = later.iter().filter(|entry| (entry.height, entry.log_index) > (height, index));
        let pledged = later.filter_map(|entry| IMiners::Pledged::decode_log_data(&entry.log.data).ok());
        Ok(pledged.fold(all, |lots, event| lots.saturating_sub(event.lots)))
    }

    /// Lots that a miner ever pledged, of which `known` count in the present round.
    async fn total_lots(&self, miner: u32, known: u32) -> Result<u32, ReviewError> {
        let mut all = known;
        // Those that were pledged since the present round began; each call of the module takes 256.
        while self.network.read(AUDITS, &IAudits::lotOfCall { miner, number: all }).await.is_ok() {
            all += 1;
        }
        Ok(all)
    }

    async fn lot_of(&self, miner: u32, number: u32) -> Result<u32, ReviewError> {
        Ok(self.network.read(AUDITS, &IAudits::lotOfCall { miner, number }).await?)
    }

    /// What a sample may ask for: the entry that it aims at, or where nothing is fresh another one.
    async fn targets(&self, round: &Round, number: u32) -> Result<Vec<Target>, ReviewError> {
        let sample = Sample { beacon: self.drawn.beacon, number };
        let aims = match sample.aim() {
            Aim::Fresh => vec![Aim::Fresh, Aim::Light],
            aim => vec![aim],
        };
        if round.lots == 0 {
            return Ok(Vec::new());
        }
        let targets = aims.into_iter().filter_map(|aim| {
            let index = sample.entry(round, aim);
            Some(match round.entry(index)? {
                Entry::Deep(place) => {
                    let chunk = sample.chunk(round.shape.slot_chunks());
                    Target { index, place, chunk, is_deep: true }
                }
                Entry::Light(place) => Target { index, place, chunk: round.chunk(place), is_deep: false },
                // Which slot is fresh depends on what the lot owed.
                Entry::Fresh(lot) => {
                    let place = Place { lot, slot: 0 };
                    Target { index, place, chunk: 0, is_deep: false }
                }
            })
        });
        Ok(targets.collect())
    }
}

/// The targets that an entry can mean: for a fresh one, each slot of the column.
fn candidates(target: Target, duty: &LotDuty, round: &Round) -> Vec<Target> {
    if !matches!(round.entry(target.index), Some(Entry::Fresh(_))) {
        return vec![target];
    }
    let column = duty.duty.service.map_or(0, |service| service.column_bytes);
    let slots = column.div_ceil(round.shape.slot_bytes.max(1)).min(round.shape.lot_slots.into());
    let at = |slot: u64| {
        // Below `lot_slots`.
        let place = Place { slot: slot as u32, ..target.place };
        Target { place, chunk: round.chunk(place), ..target }
    };
    (0..slots).map(at).collect()
}

/// Checks an opening of one target; what it shows, or why it is refused.
fn check(round: &Round, duty: &LotDuty, commitment: &B256, target: &Target, opening: &[u8]) -> Result<String, String> {
    if duty.duty.of(&round.shape, target.place.slot) == Owed::Nothing {
        return Err(OpeningError::NothingAsked.to_string());
    }
    let shown = verify(round, &duty.duty, commitment, target, opening).map_err(|error| error.to_string())?;
    let owes = |stripe: u32| duty.owes(stripe);
    match shown {
        Shown::Stripe(stripe, _) if owes(stripe) => Ok(format!("its fragment of stripe {stripe}")),
        Shown::Stripe(stripe, _) => Err(format!("the seat did not owe stripe {stripe}")),
        Shown::NotOwed(stripe) if owes(stripe) => Err(format!("the seat owed stripe {stripe}")),
        Shown::NotOwed(stripe) => Ok(format!("zeros for stripe {stripe}, which it did not owe")),
        Shown::Absent => Ok("zeros for what it had not taken over yet".into()),
        Shown::Unfilled => Ok("zeros above the column's end".into()),
        Shown::Idle => Ok("idle content".into()),
    }
}
