//! Watch the chain, and keep books of what it did to whom: what must hold is checked here, all along.

use crate::{Broken, ledger::Ledger};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use client::chain::{LogEntry, LogFilter};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use types::abi::{AUDITS, IAudits, IMiners, IVolumes, MINERS, TERRITORIES, VOLUMES};

/// What a miner got and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// For openings.
    pub earned: U256,
    /// Good openings.
    pub opened: u32,
    /// For samples that were not opened.
    pub fines: U256,
    /// How many.
    pub faults: u32,
    /// For rounds without a commitment.
    pub missed_fines: U256,
    /// How many rounds.
    pub missed_rounds: u64,
    /// For entries that it declared lost.
    pub declared: U256,
    /// Out of the collateral of lots that lost their seats.
    pub forfeited: U256,
}

impl Books {
    /// All that cheating or failing cost.
    pub fn losses(&self) -> U256 {
        self.fines + self.missed_fines + self.declared + self.forfeited
    }
}

/// A volume as events tell of it.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    /// Who holds which seat.
    pub miners: Vec<u32>,
    /// Seats that are lost, or being rebuilt.
    pub lost: BTreeSet<u16>,
    /// Most seats that were lost at once.
    pub worst: usize,
    /// Seats that another miner got.
    pub drawn: u32,
}

/// What the chain did so far.
pub struct Watch {
    chain: Arc<dyn Ledger>,
    supply: U256,
    height: u64,
    digest: blake3::Hasher,
    /// By the miners' numbers.
    pub books: BTreeMap<u32, Books>,
    /// By their numbers.
    pub volumes: BTreeMap<u32, Seats>,
    /// Rounds that were closed.
    pub rounds: u64,
    /// Stripes that evidence voided.
    pub voided: u32,
    /// Miners that may be fined: liars, and whoever died after a commitment.
    pub suspects: BTreeSet<u32>,
    /// Miners that may miss rounds.
    pub absent: BTreeSet<u32>,
}

fn read<E: SolEvent>(entry: &LogEntry) -> Option<E> {
    E::decode_log(&entry.log).ok().map(|log| log.data)
}

impl Watch {
    /// Watches from the first block on.
    pub fn new(chain: Arc<dyn Ledger>) -> Result<Self, Broken> {
        Ok(Self {
            supply: chain.supply()?,
            chain,
            height: 0,
            digest: blake3::Hasher::new(),
            books: BTreeMap::new(),
            volumes: BTreeMap::new(),
            rounds: 0,
            voided: 0,
            suspects: BTreeSet::new(),
            absent: BTreeSet::new(),
        })
    }

    /// What a miner got and lost.
    pub fn of(&self, miner: u32) -> Books {
        self.books.get(&miner).copied().unwrap_or_default()
    }

    /// A digest of all that happened, but for what hangs on the client's secret keys.
    pub fn digest(&self) -> B256 {
        B256::from(*self.digest.finalize().as_bytes())
    }

    /// The last block that was looked at.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Reads what happened since the last time, and checks that nothing did which must not.
    pub async fn look(&mut self) -> Result<(), Broken> {
        let supply = self.chain.supply()?;
        if supply != self.supply {
            return Err(Broken::new("tokens are conserved", format!("{} wei became {supply}", self.supply)));
        }
        let head = self.chain.head().await.map_err(Broken::chain)?;
        for address in [MINERS, VOLUMES, AUDITS, TERRITORIES] {
            let filter =
                LogFilter { from: self.height + 1, to: Some(head.height), address, topics: Default::default() };
            for entry in self.chain.logs(filter).await.map_err(Broken::chain)? {
                self.note(address, &entry)?;
            }
        }
        self.height = head.height;
        self.digest.update(&head.timestamp_ms.to_be_bytes());
        Ok(())
    }

    fn note(&mut self, address: Address, entry: &LogEntry) -> Result<(), Broken> {
        self.digest.update(&entry.height.to_be_bytes());
        tracing::debug!(height = entry.height, %address, topics = ?entry.log.topics(), "log");
        // What comes third may be a segment.
        for topic in entry.log.topics().iter().take(3) {
            self.digest.update(topic.as_slice());
        }
        match address {
            AUDITS => self.note_audit(entry),
            VOLUMES => {
                self.note_volume(entry);
                Ok(())
            }
            MINERS => {
                if let Some(left) = read::<IMiners::LotLeft>(entry) {
                    self.books.entry(left.miner).or_default().forfeited += left.forfeited;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_audit(&mut self, entry: &LogEntry) -> Result<(), Broken> {
        if let Some(opened) = read::<IAudits::Opened>(entry) {
            let books = self.books.entry(opened.miner).or_default();
            books.earned += opened.reward;
            books.opened += 1;
        } else if let Some(fault) = read::<IAudits::Faulted>(entry) {
            let books = self.books.entry(fault.miner).or_default();
            books.fines += fault.fine;
            books.faults += 1;
            if !self.suspects.contains(&fault.miner) {
                return Err(Broken::new("honest miners are never fined", format!("{fault:?} at {}", entry.height)));
            }
        } else if let Some(missed) = read::<IAudits::Missed>(entry) {
            let books = self.books.entry(missed.miner).or_default();
            books.missed_fines += missed.fine;
            books.missed_rounds += missed.lastRound - missed.firstRound + 1;
            if !self.absent.contains(&missed.miner) && !self.suspects.contains(&missed.miner) {
                return Err(Broken::new("whoever is there misses no round", format!("{missed:?} at {}", entry.height)));
            }
        } else if let Some(lost) = read::<IAudits::DeclaredLost>(entry) {
            self.books.entry(lost.miner).or_default().declared += lost.paid;
        } else if read::<IAudits::RoundClosed>(entry).is_some() {
            self.rounds += 1;
        }
        Ok(())
    }

    fn note_volume(&mut self, entry: &LogEntry) {
        if let Some(formed) = read::<IVolumes::Formed>(entry) {
            self.volumes.insert(formed.volume, Seats { miners: formed.miners, ..Seats::default() });
        } else if let Some(lost) = read::<IVolumes::SeatLost>(entry) {
            let seats = self.volumes.entry(lost.volume).or_default();
            seats.lost.insert(lost.seat);
            seats.worst = seats.worst.max(seats.lost.len());
        } else if let Some(back) = read::<IVolumes::SeatReturned>(entry) {
            self.volumes.entry(back.volume).or_default().lost.remove(&back.seat);
        } else if let Some(whole) = read::<IVolumes::SeatWhole>(entry) {
            let seats = self.volumes.entry(whole.volume).or_default();
            seats.lost.remove(&whole.seat);
            if let Some(holder) = seats.miners.get_mut(usize::from(whole.seat)) {
                *holder = whole.miner;
            }
        } else if let Some(drawn) = read::<IVolumes::SeatDrawn>(entry) {
            let seats = self.volumes.entry(drawn.volume).or_default();
            seats.drawn += 1;
            if !drawn.handOver
                && let Some(holder) = seats.miners.get_mut(usize::from(drawn.seat))
            {
                *holder = drawn.miner;
            }
        } else if read::<IVolumes::Voided>(entry).is_some() {
            self.voided += 1;
        }
    }
}
