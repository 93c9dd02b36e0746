//! Put together what a lot owed when a round opened, from the logs of its volume.

use crate::{
    ChainError,
    chain::{LogEntry, LogFilter, Network},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use proofs::{
    chunk::CHUNK_BYTES,
    response::{Duty, Owed, Service},
    round::Shape,
};
use std::collections::{BTreeMap, BTreeSet};
use types::{
    Profile, StripeLeaf,
    abi::{AUDITS, IAudits, IMiners, IVolumes, MINERS, VOLUMES},
    merkle::{Frontier, LOG_DEPTH},
};

/// What a lot owed.
#[derive(Clone, Debug, Default)]
pub struct LotDuty {
    /// As the proofs have it; what is fresh is left open.
    pub duty: Duty,
    volume: u32,
    /// Begin and end of each stripe in the column.
    stripes: Vec<(u64, u64)>,
    /// Stripes that this seat did not owe.
    exempt: BTreeSet<u32>,
}

impl LotDuty {
    /// Whether the seat owed a stripe.
    pub fn owes(&self, stripe: u32) -> bool {
        !self.exempt.contains(&stripe)
    }

    /// What was owed at a chunk of a slot, in words; nothing if nothing was.
    pub fn describe(&self, shape: &Shape, slot: u32, chunk: u64) -> Option<String> {
        match self.duty.of(shape, slot) {
            Owed::Nothing => None,
            Owed::Idle(root) => Some(format!("idle content under root {root}")),
            Owed::Service(service) => {
                let position = u64::from(slot) * shape.slot_bytes + chunk * CHUNK_BYTES as u64;
                let (volume, seat) = (self.volume, service.seat);
                let found = self.stripes.iter().position(|(begin, end)| (*begin..*end).contains(&position));
                Some(match found {
                    Some(stripe) => format!("stripe {stripe} of volume {volume}, seat {seat}"),
                    None => format!("the column of volume {volume}, seat {seat}"),
                })
            }
        }
    }
}

/// Finds duties, and remembers what was read for them.
pub struct Duties<'a> {
    network: Network<'a>,
    /// Height and position in the block at which the round opened.
    at: (u64, u64),
    histories: BTreeMap<u32, Vec<LogEntry>>,
}

impl<'a> Duties<'a> {
    pub fn new(network: Network<'a>, at: (u64, u64)) -> Self {
        Self { network, at, histories: BTreeMap::new() }
    }

    /// What a lot owed; inside, why that cannot be told any more.
    pub async fn of(&mut self, lot: u32) -> Result<Result<LotDuty, String>, ChainError> {
        let place: IMiners::lotReturn = self.network.read(MINERS, &IMiners::lotCall { id: lot }).await?;
        let idle_root = match self.idle_root(lot, place.miner).await? {
            Ok(idle_root) => idle_root,
            Err(reason) => return Ok(Err(reason)),
        };
        if place.state == 2 {
            return Ok(Err(format!("lot {lot} was withdrawn since, and its seat is not known any more")));
        }
        let mut found = LotDuty { duty: Duty { service: None, idle_root }, ..LotDuty::default() };
        if place.volume == 0 {
            return Ok(Ok(found));
        }
        if !self.histories.contains_key(&place.volume) {
            let volume = Some(vec![U256::from(place.volume).into()]);
            let filter = LogFilter { address: VOLUMES, topics: [None, volume, None, None], ..LogFilter::default() };
            let logs = self.network.0.logs(filter).await?;
            self.histories.insert(place.volume, logs);
        }
        let before = |entry: &&LogEntry| (entry.height, entry.log_index) < self.at;
        let history = &self.histories[&place.volume];
        let record: IVolumes::Volume = self.network.read(VOLUMES, &IVolumes::volumeCall { id: place.volume }).await?;
        let Some(profile) = Profile::from_u8(record.profile) else {
            return Ok(Err(format!("volume {} uses a code that this program does not know", place.volume)));
        };
        let mut column = Column::new(profile, place.seat, lot);
        for entry in history.iter().filter(before) {
            if let Err(reason) = column.add(entry) {
                return Ok(Err(reason));
            }
        }
        found.volume = place.volume;
        if column.is_held {
            found.duty.service = Some(column.service());
            found.stripes = column.stripes;
            found.exempt = column.exempt;
        }
        Ok(Ok(found))
    }

    /// The lot's idle root, if it was checked before the round, or named where pledges are not checked; inside, why that
    /// cannot be told any more.
    async fn idle_root(&self, lot: u32, miner: u32) -> Result<Result<Option<B256>, String>, ChainError> {
        let spec = self.network.0.spec().await?;
        let root: B256 = self.network.read(AUDITS, &IAudits::idleRootCall { lot }).await?;
        if spec.storage.audits.as_ref().is_some_and(|audits| audits.pledges.is_some()) {
            return self.checked_root(lot, miner, root).await;
        }
        if root.is_zero() {
            return Ok(Ok(None));
        }
        let topics = [Some(vec![IAudits::Plotted::SIGNATURE_HASH]), Some(vec![U256::from(miner).into()]), None, None];
        let filter = LogFilter { from: self.at.0, to: None, address: AUDITS, topics };
        let named_later = self.network.0.logs(filter).await?.into_iter().any(|entry| {
            let Ok(event) = IAudits::Plotted::decode_log_data(&entry.log.data) else { return false };
            let lots = u64::from(event.firstLot)..u64::from(event.firstLot) + event.idleRoots.len() as u64;
            (entry.height, entry.log_index) > self.at && lots.contains(&u64::from(lot))
        });
        Ok(Ok((!named_later).then_some(root)))
    }

    async fn checked_root(&self, lot: u32, miner: u32, root: B256) -> Result<Result<Option<B256>, String>, ChainError> {
        // It counts for less, or for another root, what was taken back since.
        let of_miner = Some(vec![U256::from(miner).into()]);
        let topics = [Some(vec![IAudits::DemandFailed::SIGNATURE_HASH]), None, of_miner, None];
        let filter = LogFilter { from: self.at.0, to: None, address: AUDITS, topics };
        if !self.network.0.logs(filter).await?.is_empty() {
            return Ok(Err(format!(
                "miner {miner} lost idle roots since, and it is not known which lots they were of"
            )));
        }
        let check = self.network.read(AUDITS, &IAudits::checkOfCall { lot }).await?;
        if root.is_zero() || check.round == 0 {
            return Ok(Ok(None));
        }
        let demand = Some(vec![U256::from(check.demand).into()]);
        let topics = [Some(vec![IAudits::DemandMet::SIGNATURE_HASH]), demand, None, None];
        let filter = LogFilter { from: 0, to: Some(self.at.0), address: AUDITS, topics };
        let met = self.network.0.logs(filter).await?;
        Ok(Ok(met.iter().any(|entry| (entry.height, entry.log_index) < self.at).then_some(root)))
    }
}

/// A column as its volume's events make it.
struct Column {
    profile: Profile,
    seat: u16,
    lot: u32,
    /// Whether the lot holds the seat.
    is_held: bool,
    frontier: Frontier,
    stripe_count: u32,
    column_bytes: u64,
    gap: (u64, u64),
    stripes: Vec<(u64, u64)>,
    exempt: BTreeSet<u32>,
}

impl Column {
    fn new(profile: Profile, seat: u16, lot: u32) -> Self {
        Self {
            profile,
            seat,
            lot,
            is_held: false,
            frontier: Frontier::new(0, [B256::ZERO; LOG_DEPTH]),
            stripe_count: 0,
            column_bytes: 0,
            gap: (0, 0),
            stripes: Vec::new(),
            exempt: BTreeSet::new(),
        }
    }

    /// Takes an event in; an error says why what follows is not known.
    fn add(&mut self, entry: &LogEntry) -> Result<(), String> {
        let data = &entry.log.data;
        let Some(&kind) = data.topics().first() else { return Ok(()) };
        let seat_of = |topic: usize| data.topics().get(topic).map(|topic| U256::from_be_bytes(topic.0));
        let is_mine = seat_of(2) == Some(U256::from(self.seat));
        match kind {
            IVolumes::Formed::SIGNATURE_HASH => {
                let event = IVolumes::Formed::decode_log_data(data).map_err(unreadable)?;
                self.is_held = event.lots.get(usize::from(self.seat)) == Some(&self.lot);
            }
            IVolumes::Appended::SIGNATURE_HASH => {
                self.append(&IVolumes::Appended::decode_log_data(data).map_err(unreadable)?)?;
            }
            IVolumes::Released::SIGNATURE_HASH => {
                self.exempt.insert(IVolumes::Released::decode_log_data(data).map_err(unreadable)?.index);
            }
            IVolumes::Voided::SIGNATURE_HASH => {
                self.exempt.insert(IVolumes::Voided::decode_log_data(data).map_err(unreadable)?.index);
            }
            IVolumes::Healed::SIGNATURE_HASH if is_mine => {
                self.exempt.remove(&IVolumes::Healed::decode_log_data(data).map_err(unreadable)?.index);
            }
            IVolumes::SeatDrawn::SIGNATURE_HASH if is_mine => {
                let event = IVolumes::SeatDrawn::decode_log_data(data).map_err(unreadable)?;
                if event.handOver {
                    return Err("the seat was being handed over".into());
                }
                self.is_held = event.lot == self.lot;
                self.gap = (0, event.targetBytes);
            }
            IVolumes::Progressed::SIGNATURE_HASH if is_mine => {
                let event = IVolumes::Progressed::decode_log_data(data).map_err(unreadable)?;
                self.gap.0 = event.watermark;
            }
            IVolumes::SeatWhole::SIGNATURE_HASH if is_mine => self.gap = (0, 0),
            IVolumes::SeatLost::SIGNATURE_HASH if is_mine => {
                let event = IVolumes::SeatLost::decode_log_data(data).map_err(unreadable)?;
                // Who is silent or leaves owes what it owed; who is known to have lost its column owes nothing.
                if self.is_held && !matches!(event.reason, 1 | 3) {
                    return Err("the seat had been lost".into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, event: &IVolumes::Appended) -> Result<(), String> {
        if event.index != self.stripe_count {
            return Err("the node does not have all events of the volume".into());
        }
        let leaf = StripeLeaf::from(event);
        self.frontier.push(&leaf.hash()).map_err(|_| "the log is longer than a log can be".to_string())?;
        self.stripe_count += 1;
        self.column_bytes = event.offset.saturating_add(event.fragmentBytes);
        self.stripes.push((event.offset, self.column_bytes));
        let (byte, bit) = (usize::from(self.seat) / 8, self.seat % 8);
        if event.missing.get(byte).is_some_and(|bits| bits >> bit & 1 == 1) {
            self.exempt.insert(event.index);
        }
        Ok(())
    }

    fn service(&self) -> Service {
        Service {
            profile: self.profile,
            seat: self.seat,
            column_bytes: self.column_bytes,
            stripe_count: self.stripe_count,
            stripes_root: self.frontier.root(),
            fresh_from: self.column_bytes,
            gap_from: self.gap.0,
            gap_to: self.gap.1,
        }
    }
}

fn unreadable(error: alloy_sol_types::Error) -> String {
    format!("an event cannot be read: {error}")
}
