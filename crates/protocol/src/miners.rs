//! Register storage miners, hold the collateral of their lots, and draw lots for volumes.

mod pool;
mod record;

use crate::{
    Checked, Ledger, Module, Result,
    call::{decode, decode_internal, mutate, payable, view},
    internal::{
        ILotAudits::{self, ILotAuditsCalls as Asked},
        ILots::{self, ILotsCalls as Internal},
        IRounds,
    },
    layout,
    storage::{Layout, Mapping, Slot},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use pool::Pool;
#[cfg(test)]
pub(crate) use pool::tests::Draw;
use record::{Identity, Lot, LotState, MinerRecord, Tally};
use types::{
    Endpoint, ReceiptPublicKey, ReceiptSignature,
    abi::{
        AUDITS,
        IMiners::{self, IMinersCalls as Calls},
        VOLUMES,
    },
    bls::PUBLIC_KEY_BYTES,
    spec::StorageSpec,
};

/// Longest encoded endpoint that the registry takes.
pub use types::layout::miners::ENDPOINT_BYTES_MAX;

/// Most lots that one call pledges.
pub const PLEDGE_LOTS_MAX: u32 = 256;
/// Gas of checking a receipt key and the proof of its possession.
pub const POSSESSION_GAS: u64 = 200_000;

layout! {
    struct Storage {
        miner_count: Slot<u32>,
        lot_count: Slot<u32>,
        miners: Mapping<u32, MinerRecord>,
        lots: Mapping<u32, Slot<Lot>>,
        by_operator: Mapping<Address, Slot<u32>>,
        /// By keccak256 of the receipt key.
        by_key: Mapping<B256, Slot<u32>>,
        pool: Pool,
    }
}

/// The module at [`MINERS`](types::abi::MINERS).
#[derive(Debug)]
pub struct Miners {
    lot_collateral: U256,
    is_audited: bool,
    storage: Storage,
}

impl Module for Miners {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        if let Some(call) = decode_internal(ledger, input, VOLUMES)? {
            return match call {
                Internal::freeze(call) => mutate(ledger, call, |ledger, call| self.freeze(ledger, call)),
                Internal::draw(call) => mutate(ledger, call, |ledger, call| self.draw(ledger, call)),
                Internal::receiptKeys(call) => {
                    view(ledger, call, |ledger, call| self.receipt_keys(ledger, &call.miners))
                }
            };
        }
        if let Some(call) = decode_internal(ledger, input, AUDITS)? {
            return match call {
                Asked::place(call) => view(ledger, call, |ledger, call| self.place(ledger, call.lot)),
                Asked::stake(call) => view(ledger, call, |ledger, call| self.stake(ledger, call.miner)),
                Asked::slash(call) => mutate(ledger, call, |ledger, call| self.slash(ledger, call)),
            };
        }
        match decode(ledger, input)? {
            Calls::register(call) => payable(ledger, call, |ledger, call| self.register(ledger, call)),
            Calls::setEndpoint(call) => mutate(ledger, call, |ledger, call| self.set_endpoint(ledger, call)),
            Calls::pledge(call) => payable(ledger, call, |ledger, call| self.pledge(ledger, call.lots)),
            Calls::retire(call) => mutate(ledger, call, |ledger, _| self.retire(ledger)),
            Calls::miner(call) => view(ledger, call, |ledger, call| self.miner(ledger, call.id)),
            Calls::minerOf(call) => view(ledger, call, |ledger, call| self.miner_of(ledger, call.operator)),
            Calls::minerCount(call) => view(ledger, call, |ledger, _| Ok(self.storage.miner_count.get(ledger)?)),
            Calls::lot(call) => view(ledger, call, |ledger, call| self.lot(ledger, call.id)),
        }
    }
}

impl Miners {
    /// The module under the parameters of a chain.
    pub fn new(spec: &StorageSpec) -> Self {
        Self {
            lot_collateral: spec.lot_collateral,
            is_audited: spec.audits.is_some(),
            storage: Storage::at(U256::ZERO),
        }
    }

    fn register(&self, ledger: &mut dyn Ledger, call: IMiners::registerCall) -> Result<u32> {
        let IMiners::registerCall { receiptKey, proofOfPossession, endpoint, region } = call;
        let operator = ledger.caller();
        let by_operator = self.storage.by_operator.at(ledger, &operator)?;
        if by_operator.get(ledger)? != 0 {
            return Err(IMiners::AlreadyRegistered { operator }.into());
        }
        check_endpoint(&endpoint)?;
        check_region(region)?;
        check_key(ledger, operator, &receiptKey, &proofOfPossession)?;
        let by_key = self.storage.by_key.at(ledger, &keccak256(&receiptKey))?;
        let holder = by_key.get(ledger)?;
        if holder != 0 {
            return Err(IMiners::ReceiptKeyTaken { miner: holder }.into());
        }

        let miner = self.storage.miner_count.get(ledger)?.plus(1)?;
        self.storage.miner_count.set(ledger, miner)?;
        by_operator.set(ledger, miner)?;
        by_key.set(ledger, miner)?;
        let record = self.storage.miners.at(ledger, &miner)?;
        record.identity.set(ledger, Identity { operator, region, retired: false })?;
        record.receipt_key.store(ledger, &receiptKey)?;
        record.endpoint.store(ledger, &endpoint)?;
        self.storage.pool.append(ledger, miner)?;
        ledger.collect(U256::ZERO, |due, paid| IMiners::CollateralTooLow { due, paid })?;
        ledger.emit(&IMiners::Registered { miner, operator, region })?;
        ledger.emit(&IMiners::EndpointChanged { miner, endpoint })?;
        Ok(miner)
    }

    fn set_endpoint(
        &self,
        ledger: &mut dyn Ledger,
        call: IMiners::setEndpointCall,
    ) -> Result<IMiners::setEndpointReturn> {
        let endpoint = call.endpoint;
        check_endpoint(&endpoint)?;
        let (miner, record) = self.own(ledger)?;
        record.endpoint.store(ledger, &endpoint)?;
        ledger.emit(&IMiners::EndpointChanged { miner, endpoint })?;
        Ok(IMiners::setEndpointReturn {})
    }

    fn pledge(&self, ledger: &mut dyn Ledger, lots: u32) -> Result<IMiners::pledgeReturn> {
        let (miner, record) = self.own(ledger)?;
        if record.identity.get(ledger)?.retired {
            return Err(IMiners::MinerRetired { miner }.into());
        }
        if lots == 0 || lots > PLEDGE_LOTS_MAX {
            return Err(IMiners::InvalidLots { lots }.into());
        }
        let due = self.lot_collateral.times(U256::from(lots))?;
        ledger.collect(due, |due, paid| IMiners::CollateralTooLow { due, paid })?;
        let collateral = record.collateral.get(ledger)?.plus(due)?;
        record.collateral.set(ledger, collateral)?;

        let first_lot = self.storage.lot_count.get(ledger)?.plus(1)?;
        self.add_lots(ledger, miner, &record, first_lot, lots)?;
        if self.is_audited {
            ledger.call_module(AUDITS, &IRounds::enrolCall { miner, firstLot: first_lot, lots })?;
        }
        ledger.emit(&IMiners::Pledged { miner, lots, firstLot: first_lot })?;
        Ok(IMiners::pledgeReturn {})
    }

    /// Numbers new lots and puts them at the end of the miner's free ones.
    fn add_lots(
        &self,
        ledger: &mut dyn Ledger,
        miner: u32,
        record: &MinerRecord,
        first_lot: u32,
        lots: u32,
    ) -> Result<()> {
        let last_lot = first_lot.plus(lots)?.minus(1)?;
        self.storage.lot_count.set(ledger, last_lot)?;
        for lot in first_lot..=last_lot {
            let next = if lot < last_lot { lot.plus(1)? } else { 0 };
            self.storage.lots.at(ledger, &lot)?.set(ledger, Lot { miner, next, ..Lot::default() })?;
        }
        let tally = record.tally.get(ledger)?;
        if tally.last != 0 {
            let last = self.storage.lots.at(ledger, &tally.last)?;
            let lot = last.get(ledger)?;
            last.set(ledger, Lot { next: first_lot, ..lot })?;
        }
        let first = if tally.first == 0 { first_lot } else { tally.first };
        let free = tally.free.plus(lots)?;
        let size = self.storage.miner_count.get(ledger)?;
        let weight = self.storage.pool.offer(ledger, size, miner, &tally, free)?;
        Ok(record.tally.set(ledger, Tally { lots: tally.lots.plus(lots)?, free, weight, first, last: last_lot })?)
    }

    /// The lots need no visit: a free lot of a retired miner is withdrawn.
    fn retire(&self, ledger: &mut dyn Ledger) -> Result<IMiners::retireReturn> {
        let (miner, record) = self.own(ledger)?;
        let identity = record.identity.get(ledger)?;
        if identity.retired {
            return Err(IMiners::MinerRetired { miner }.into());
        }
        let tally = record.tally.get(ledger)?;
        if self.is_audited {
            ledger.call_module(AUDITS, &IRounds::leaveCall { miner, lots: tally.free })?;
        }
        let size = self.storage.miner_count.get(ledger)?;
        self.storage.pool.withdraw(ledger, size, miner, tally.weight)?;
        record.identity.set(ledger, Identity { retired: true, ..identity })?;
        record.tally.set(ledger, Tally { lots: tally.lots.minus(tally.free)?, ..Tally::default() })?;

        let collateral = record.collateral.get(ledger)?;
        // What faults took is missing from every lot alike.
        let shares = collateral.times(U256::from(tally.free))?;
        let returned = shares.checked_div(U256::from(tally.lots)).unwrap_or_default();
        record.collateral.set(ledger, collateral.minus(returned)?)?;
        ledger.pay(identity.operator, returned)?;
        ledger.emit(&IMiners::Retired { miner, lotsFreed: tally.free, collateralReturned: returned })?;
        Ok(IMiners::retireReturn {})
    }

    fn miner(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IMiners::Miner> {
        let record = self.known(ledger, id)?;
        let identity = record.identity.get(ledger)?;
        let tally = record.tally.get(ledger)?;
        Ok(IMiners::Miner {
            operator: identity.operator,
            receiptKey: record.receipt_key.load(ledger)?,
            endpoint: record.endpoint.load(ledger)?,
            region: identity.region,
            lots: tally.lots,
            lotsFree: tally.free,
            collateral: record.collateral.get(ledger)?,
            retired: identity.retired,
        })
    }

    fn miner_of(&self, ledger: &mut dyn Ledger, operator: Address) -> Result<u32> {
        Ok(self.storage.by_operator.at(ledger, &operator)?.get(ledger)?)
    }

    fn lot(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IMiners::lotReturn> {
        let lot = self.storage.lots.at(ledger, &id)?.get(ledger)?;
        if lot.miner == 0 {
            return Err(IMiners::UnknownLot { lot: id }.into());
        }
        let retired = self.known(ledger, lot.miner)?.identity.get(ledger)?.retired;
        let state = match (lot.volume, retired) {
            (0, false) => LotState::Free,
            (0, true) => LotState::Withdrawn,
            _ => LotState::Member,
        };
        Ok(IMiners::lotReturn { miner: lot.miner, state: state as u8, volume: lot.volume, seat: lot.seat })
    }

    fn place(&self, ledger: &mut dyn Ledger, id: u32) -> Result<ILotAudits::placeReturn> {
        let Lot { miner, volume, seat, .. } = self.storage.lots.at(ledger, &id)?.get(ledger)?;
        if miner == 0 {
            return Err(IMiners::UnknownLot { lot: id }.into());
        }
        let retired = self.known(ledger, miner)?.identity.get(ledger)?.retired;
        Ok(ILotAudits::placeReturn { miner, volume, seat, live: volume != 0 || !retired })
    }

    fn stake(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<ILotAudits::stakeReturn> {
        let record = self.known(ledger, miner)?;
        let tally = record.tally.get(ledger)?;
        Ok(ILotAudits::stakeReturn {
            operator: record.identity.get(ledger)?.operator,
            lots: tally.lots,
            lotsFree: tally.free,
            collateral: record.collateral.get(ledger)?,
        })
    }

    fn slash(&self, ledger: &mut dyn Ledger, call: ILotAudits::slashCall) -> Result<U256> {
        let record = self.known(ledger, call.miner)?;
        let collateral = record.collateral.get(ledger)?;
        let taken = collateral.min(call.amount);
        record.collateral.set(ledger, collateral.minus(taken)?)?;
        ledger.pay(call.to, taken)?;
        Ok(taken)
    }

    fn freeze(&self, ledger: &mut dyn Ledger, call: ILots::freezeCall) -> Result<bool> {
        let size = self.storage.miner_count.get(ledger)?;
        self.admit(ledger, size)?;
        self.storage.pool.freeze(ledger, call.seats, call.factor)
    }

    /// Lets the miners in that pledged during the last draw, a bounded number of them.
    fn admit(&self, ledger: &mut dyn Ledger, size: u32) -> Result<()> {
        for _ in 0..pool::ADMITTED_PER_BLOCK_MAX {
            let Some(miner) = self.storage.pool.next_waiting(ledger)? else { break };
            let record = self.storage.miners.at(ledger, &miner)?;
            let tally = record.tally.get(ledger)?;
            self.storage.pool.set_weight(ledger, size, miner, tally.weight, tally.free)?;
            record.tally.set(ledger, Tally { weight: tally.free, ..tally })?;
        }
        Ok(())
    }

    fn draw(&self, ledger: &mut dyn Ledger, call: ILots::drawCall) -> Result<ILots::drawReturn> {
        let ILots::drawCall { seats, policy, volume, seed } = call;
        let size = self.storage.miner_count.get(ledger)?;
        let Some(miners) = self.storage.pool.draw(ledger, size, seats, policy, &seed)? else {
            return Ok(ILots::drawReturn { lots: Vec::new(), miners: Vec::new() });
        };
        let mut lots = Vec::with_capacity(miners.len());
        for (seat, miner) in (0..seats).zip(&miners) {
            lots.push(self.seat(ledger, size, *miner, volume, seat)?);
        }
        self.storage.pool.thaw(ledger)?;
        Ok(ILots::drawReturn { lots, miners })
    }

    /// Gives the miner's oldest free lot to a seat.
    fn seat(&self, ledger: &mut dyn Ledger, size: u32, miner: u32, volume: u32, seat: u16) -> Result<u32> {
        let record = self.storage.miners.at(ledger, &miner)?;
        let tally = record.tally.get(ledger)?;
        let id = tally.first;
        let slot = self.storage.lots.at(ledger, &id)?;
        let lot = slot.get(ledger)?;
        slot.set(ledger, Lot { volume, seat, next: 0, ..lot })?;
        let weight = tally.weight.minus(1)?;
        self.storage.pool.set_weight(ledger, size, miner, tally.weight, weight)?;
        let last = if lot.next == 0 { 0 } else { tally.last };
        record.tally.set(ledger, Tally { free: tally.free.minus(1)?, weight, first: lot.next, last, ..tally })?;
        Ok(id)
    }

    fn receipt_keys(&self, ledger: &mut dyn Ledger, miners: &[u32]) -> Result<Bytes> {
        let mut keys = Vec::with_capacity(miners.len().saturating_mul(PUBLIC_KEY_BYTES));
        for miner in miners {
            keys.extend(self.known(ledger, *miner)?.receipt_key.load(ledger)?);
        }
        Ok(keys.into())
    }

    fn own(&self, ledger: &mut dyn Ledger) -> Result<(u32, MinerRecord)> {
        let caller = ledger.caller();
        let miner = self.miner_of(ledger, caller)?;
        if miner == 0 {
            return Err(IMiners::NotOperator { caller }.into());
        }
        Ok((miner, self.storage.miners.at(ledger, &miner)?))
    }

    fn known(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<MinerRecord> {
        if miner == 0 || miner > self.storage.miner_count.get(ledger)? {
            return Err(IMiners::UnknownMiner { miner }.into());
        }
        Ok(self.storage.miners.at(ledger, &miner)?)
    }
}

fn check_endpoint(endpoint: &[u8]) -> Result<()> {
    if endpoint.len() > ENDPOINT_BYTES_MAX || Endpoint::decode(endpoint).is_err() {
        return Err(IMiners::InvalidEndpoint {}.into());
    }
    Ok(())
}

/// Two capital letters, as in `DE`, or with a subdivision of one to three, as in `US-CA`; zeros after.
fn check_region(region: FixedBytes<6>) -> Result<()> {
    let text = region.split(|byte| *byte == 0).next().unwrap_or_default();
    let padded = region.iter().skip(text.len()).all(|byte| *byte == 0);
    let (country, rest) = text.split_at_checked(2).unwrap_or_default();
    let subdivision = match rest.split_first() {
        None => true,
        Some((dash, code)) => {
            *dash == b'-'
                && !code.is_empty()
                && code.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
    };
    if country.len() == 2 && country.iter().all(u8::is_ascii_uppercase) && subdivision && padded {
        Ok(())
    } else {
        Err(IMiners::InvalidRegion { region }.into())
    }
}

fn check_key(ledger: &mut dyn Ledger, operator: Address, key: &[u8], proof: &[u8]) -> Result<()> {
    ledger.charge_gas(POSSESSION_GAS)?;
    let key = ReceiptPublicKey::from_bytes(key).map_err(|_| IMiners::InvalidReceiptKey {})?;
    let proof = ReceiptSignature::from_bytes(proof).map_err(|_| IMiners::InvalidReceiptKey {})?;
    if !key.verify_possession(ledger.block().chain_id, operator, &proof) {
        return Err(IMiners::InvalidReceiptKey {}.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
