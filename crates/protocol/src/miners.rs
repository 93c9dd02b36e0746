//! Register storage miners, hold the collateral of their lots, and draw lots for volumes.

mod eligibility;
mod membership;
mod placement;
mod pool;
mod record;
mod region;
mod stake;
mod tree;

use crate::{
    Checked, Ledger, Module, Result,
    call::{decode, decode_internal, mutate, payable, view},
    internal::{
        ILotAudits::{self, ILotAuditsCalls as Asked},
        IRounds,
    },
    layout,
    storage::{Layout, Mapping, Ring, Slot},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use eligibility::Parcel;
#[cfg(test)]
pub(crate) use placement::tests::Draw;
use pool::Pool;
use record::{Identity, Lot, LotState, MinerRecord, Tally};
pub(crate) use region::{check_region, covers};
use types::{
    Endpoint, ReceiptPublicKey, ReceiptSignature,
    abi::{
        AUDITS,
        IMiners::{self, IMinersCalls as Calls},
        POLICIES, VOLUMES,
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
        /// Lots that were not withdrawn.
        lots_live: Slot<u64>,
        /// Pledges that wait for a beacon to say when they may be drawn.
        undated: Ring<Parcel>,
        /// How many of them the pending draw's beacon dates.
        datable: Slot<u32>,
        /// Pledges by the hour, since 1970, from which they may be drawn.
        calendar: Mapping<u64, Ring<Parcel>>,
        /// The hour that comes next.
        hour: Slot<u64>,
    }
}

/// The module at [`MINERS`](types::abi::MINERS).
#[derive(Debug)]
pub struct Miners {
    lot_collateral: U256,
    eligibility_delay_ms: u64,
    is_audited: bool,
    storage: Storage,
}

impl Module for Miners {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        for module in [VOLUMES, POLICIES] {
            if let Some(call) = decode_internal(ledger, input, module)? {
                return self.serve(ledger, call);
            }
        }
        if let Some(call) = decode_internal(ledger, input, AUDITS)? {
            return match call {
                Asked::whereabouts(call) => view(ledger, call, |ledger, call| self.whereabouts(ledger, &call)),
                Asked::stake(call) => view(ledger, call, |ledger, call| self.stake(ledger, call.miner)),
                Asked::slash(call) => mutate(ledger, call, |ledger, call| self.slash(ledger, call)),
                Asked::setSilent(call) => mutate(ledger, call, |ledger, call| {
                    self.set_silent(ledger, call.miner, call.silent)?;
                    Ok(ILotAudits::setSilentReturn {})
                }),
            };
        }
        match decode(ledger, input)? {
            Calls::register(call) => payable(ledger, call, |ledger, call| {
                let IMiners::registerCall { receiptKey, proofOfPossession, endpoint, region } = call;
                let network = 0;
                let call = IMiners::registerInCall { receiptKey, proofOfPossession, endpoint, region, network };
                self.register(ledger, call)
            }),
            Calls::registerIn(call) => payable(ledger, call, |ledger, call| self.register(ledger, call)),
            Calls::setDraining(call) => mutate(ledger, call, |ledger, call| self.set_draining(ledger, call.draining)),
            Calls::setPatron(call) => mutate(ledger, call, |ledger, call| self.set_patron(ledger, call.patron)),
            Calls::standing(call) => view(ledger, call, |ledger, call| self.standing(ledger, call.id)),
            Calls::setEndpoint(call) => mutate(ledger, call, |ledger, call| self.set_endpoint(ledger, call)),
            Calls::pledge(call) => payable(ledger, call, |ledger, call| self.pledge(ledger, call.lots)),
            Calls::retire(call) => mutate(ledger, call, |ledger, _| self.retire(ledger)),
            Calls::withdraw(call) => mutate(ledger, call, |ledger, _| self.withdraw(ledger)),
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
            eligibility_delay_ms: spec.repair.eligibility_delay_ms,
            is_audited: spec.audits.is_some(),
            storage: Storage::at(U256::ZERO),
        }
    }

    fn register(&self, ledger: &mut dyn Ledger, call: IMiners::registerInCall) -> Result<u32> {
        let IMiners::registerInCall { receiptKey, proofOfPossession, endpoint, region, network } = call;
        let operator = ledger.caller();
        let by_operator = self.storage.by_operator.at(ledger, &operator)?;
        if by_operator.get(ledger)? != 0 {
            return Err(IMiners::AlreadyRegistered { operator }.into());
        }
        check_endpoint(&endpoint)?;
        if !check_region(region) {
            return Err(IMiners::InvalidRegion { region }.into());
        }
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
        record.identity.set(ledger, Identity { operator, region, network, ..Identity::default() })?;
        record.receipt_key.store(ledger, &receiptKey)?;
        record.endpoint.store(ledger, &endpoint)?;
        self.take_places(ledger, miner, &record, region)?;
        ledger.collect(U256::ZERO, |due, paid| IMiners::CollateralTooLow { due, paid })?;
        ledger.emit(&IMiners::Registered { miner, operator, region })?;
        ledger.emit(&IMiners::Placed { miner, region, network })?;
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
        let identity = record.identity.get(ledger)?;
        if identity.retired {
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
        let live = self.storage.lots_live.get(ledger)?.plus(lots.into())?;
        self.storage.lots_live.set(ledger, live)?;
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
        let draining = record.identity.get(ledger)?.draining;
        let young = if self.eligibility_delay_ms == 0 { 0 } else { lots };
        if young > 0 {
            self.storage.undated.push(ledger, Parcel { miner, lots })?;
        }
        let weight = match draining || tally.silent || young > 0 {
            true => tally.weight,
            false => self.storage.pool.offer(ledger, miner, &tally, free.minus(tally.young)?)?,
        };
        let young = tally.young.plus(young)?;
        self.reweigh(ledger, miner, record, tally.weight, weight)?;
        let lots = tally.lots.plus(lots)?;
        Ok(record.tally.set(ledger, Tally { lots, free, weight, first, last: last_lot, young, ..tally })?)
    }

    /// The lots need no visit: a free lot of a retired miner is withdrawn.
    fn retire(&self, ledger: &mut dyn Ledger) -> Result<IMiners::retireReturn> {
        let (miner, record) = self.own(ledger)?;
        let identity = record.identity.get(ledger)?;
        if identity.retired {
            return Err(IMiners::MinerRetired { miner }.into());
        }
        self.storage.pool.require_thawed(ledger)?;
        let free = record.tally.get(ledger)?.free;
        if self.leave_rounds(ledger, miner, free)?.until != 0 {
            return Err(IMiners::RoundPending {}.into());
        }
        // Rounds that are booked now may have taken its weight.
        let tally = record.tally.get(ledger)?;
        self.reweigh(ledger, miner, &record, tally.weight, 0)?;
        record.identity.set(ledger, Identity { retired: true, ..identity })?;
        let (lots, rebuilds) = (tally.lots.minus(tally.free)?, tally.rebuilds);
        record.tally.set(ledger, Tally { lots, rebuilds, ..Tally::default() })?;
        let live = self.storage.lots_live.get(ledger)?.minus(tally.free.into())?;
        self.storage.lots_live.set(ledger, live)?;

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
        // A lot that has gone still knows its last seat.
        let (volume, seat) = if lot.gone { (0, 0) } else { (lot.volume, lot.seat) };
        let state = match (volume, retired || lot.gone) {
            (0, false) => LotState::Free,
            (0, true) => LotState::Withdrawn,
            _ => LotState::Member,
        };
        Ok(IMiners::lotReturn { miner: lot.miner, state: state as u8, volume, seat })
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
