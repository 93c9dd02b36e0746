//! Keep a miner's weight where it counts, and let its lots take seats and leave them.

use super::{
    Miners,
    pool::ADMITTED_PER_BLOCK_MAX,
    record::{Identity, Lot, MinerRecord, Places, Tally},
    region,
};
use crate::{
    Checked, Ledger, Result,
    call::{mutate, view},
    internal::{
        ILots::{self, ILotsCalls as Internal},
        IRounds,
    },
};
use alloy_primitives::{Address, Bytes, FixedBytes, U256};
use types::abi::IMiners;

impl Miners {
    /// Answers another module.
    pub(super) fn serve(&self, ledger: &mut dyn Ledger, call: Internal) -> Result<Bytes> {
        match call {
            Internal::freeze(call) => mutate(ledger, call, |ledger, call| self.freeze(ledger, &call)),
            Internal::hold(call) => mutate(ledger, call, |ledger, _| self.hold(ledger)),
            Internal::thaw(call) => mutate(ledger, call, |ledger, _| {
                self.storage.pool.thaw(ledger)?;
                Ok(ILots::thawReturn {})
            }),
            Internal::draw(call) => mutate(ledger, call, |ledger, call| self.draw(ledger, &call)),
            Internal::place(call) => mutate(ledger, call, |ledger, call| self.place(ledger, call)),
            Internal::check(call) => view(ledger, call, |ledger, call| self.check(ledger, &call)),
            Internal::quit(call) => mutate(ledger, call, |ledger, call| self.quit(ledger, call.lot, call.forfeit)),
            Internal::date(call) => mutate(ledger, call, |ledger, call| {
                self.date(ledger, &call.seed)?;
                Ok(ILots::dateReturn {})
            }),
            Internal::tend(call) => mutate(ledger, call, |ledger, _| {
                self.admit(ledger)?;
                Ok(self.storage.undated.len(ledger)? > 0)
            }),
            Internal::rebuilt(call) => mutate(ledger, call, |ledger, call| self.rebuilt(ledger, call.miner)),
            Internal::receiptKeys(call) => view(ledger, call, |ledger, call| self.receipt_keys(ledger, &call.miners)),
            Internal::operatorOf(call) => {
                view(ledger, call, |ledger, call| Ok(self.known(ledger, call.miner)?.identity.get(ledger)?.operator))
            }
            Internal::census(call) => view(ledger, call, |ledger, _| {
                let lots = self.storage.lots_live.get(ledger)?;
                Ok(ILots::censusReturn { lots, free: self.storage.pool.world.sums.get(ledger)?.weight })
            }),
        }
    }

    /// Gives a new miner its places in the trees.
    pub(super) fn take_places(
        &self,
        ledger: &mut dyn Ledger,
        miner: u32,
        record: &MinerRecord,
        region: FixedBytes<6>,
    ) -> Result<()> {
        let (pool, country) = (&self.storage.pool, region::country(region));
        pool.world.append(ledger, miner)?;
        let by_country = pool.regions.at(ledger, &region::number(country))?.append(ledger, miner)?;
        let mut places = Places { country: by_country, ..Places::default() };
        if country != region {
            places.subdivision = pool.regions.at(ledger, &region::number(region))?.append(ledger, miner)?;
        }
        Ok(record.places.set(ledger, places)?)
    }

    /// Changes a miner's weight everywhere.
    pub(super) fn reweigh(
        &self,
        ledger: &mut dyn Ledger,
        miner: u32,
        record: &MinerRecord,
        from: u32,
        to: u32,
    ) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let (pool, size) = (&self.storage.pool, self.storage.miner_count.get(ledger)?);
        pool.world.set_weight(ledger, size, miner, from, to)?;
        let places = record.places.get(ledger)?;
        let region = record.identity.get(ledger)?.region;
        for (code, place) in [(region::country(region), places.country), (region, places.subdivision)] {
            if place != 0 {
                let region = pool.regions.at(ledger, &region::number(code))?;
                let size = region.size.get(ledger)?;
                region.tree.set_weight(ledger, size, place, from, to)?;
            }
        }
        Ok(())
    }

    /// Lets the miners in that pledged during the last draw, and the lots that are old enough, a bounded number of each.
    pub(super) fn admit(&self, ledger: &mut dyn Ledger) -> Result<()> {
        self.ripen(ledger)?;
        for _ in 0..ADMITTED_PER_BLOCK_MAX {
            let Some(miner) = self.storage.pool.next_waiting(ledger)? else { break };
            let record = self.storage.miners.at(ledger, &miner)?;
            self.count(ledger, miner, &record)?;
        }
        Ok(())
    }

    /// Brings a miner's weight up to date.
    pub(super) fn count(&self, ledger: &mut dyn Ledger, miner: u32, record: &MinerRecord) -> Result<()> {
        let tally = record.tally.get(ledger)?;
        let is_shut = tally.silent || record.identity.get(ledger)?.draining;
        let weight = if is_shut { 0 } else { tally.ripe() };
        self.reweigh(ledger, miner, record, tally.weight, weight)?;
        Ok(record.tally.set(ledger, Tally { weight, ..tally })?)
    }

    /// Keeps the lots of a miner that answers no rounds from being drawn, until it answers again. A pending draw is not
    /// changed: then the miner waits, as new lots do.
    pub(super) fn set_silent(&self, ledger: &mut dyn Ledger, miner: u32, silent: bool) -> Result<()> {
        let record = self.known(ledger, miner)?;
        let tally = record.tally.get(ledger)?;
        if tally.silent == silent {
            return Ok(());
        }
        record.tally.set(ledger, Tally { silent, ..tally })?;
        ledger.emit(&IMiners::SilenceChanged { miner, silent })?;
        match self.storage.pool.is_frozen(ledger)? {
            true => self.storage.pool.enqueue(ledger, miner),
            false => self.count(ledger, miner, &record),
        }
    }

    pub(super) fn set_draining(&self, ledger: &mut dyn Ledger, draining: bool) -> Result<IMiners::setDrainingReturn> {
        let (miner, record) = self.own(ledger)?;
        let identity = record.identity.get(ledger)?;
        if identity.draining == draining {
            return Err(IMiners::DrainingUnchanged { miner }.into());
        }
        if identity.retired {
            return Err(IMiners::MinerRetired { miner }.into());
        }
        self.storage.pool.require_thawed(ledger)?;
        record.identity.set(ledger, Identity { draining, ..identity })?;
        self.count(ledger, miner, &record)?;
        ledger.emit(&IMiners::DrainingChanged { miner, draining })?;
        Ok(IMiners::setDrainingReturn {})
    }

    pub(super) fn set_patron(&self, ledger: &mut dyn Ledger, patron: Address) -> Result<IMiners::setPatronReturn> {
        let (miner, record) = self.own(ledger)?;
        let places = record.places.get(ledger)?;
        record.places.set(ledger, Places { patron, ..places })?;
        ledger.emit(&IMiners::PatronChanged { miner, patron })?;
        Ok(IMiners::setPatronReturn {})
    }

    pub(super) fn standing(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IMiners::Standing> {
        let record = self.known(ledger, id)?;
        let identity = record.identity.get(ledger)?;
        let Tally { rebuilds, silent, .. } = record.tally.get(ledger)?;
        let parting = record.parting.get(ledger)?;
        Ok(IMiners::Standing {
            region: identity.region,
            network: identity.network,
            draining: identity.draining,
            silent,
            rebuilds,
            patron: record.places.get(ledger)?.patron,
            parting: U256::from(parting.amount),
            partingRound: parting.round,
        })
    }

    /// Gives the miner's oldest free lot to a seat.
    pub(super) fn seat(&self, ledger: &mut dyn Ledger, miner: u32, volume: u32, seat: u16) -> Result<u32> {
        let record = self.storage.miners.at(ledger, &miner)?;
        let tally = record.tally.get(ledger)?;
        let id = tally.first;
        let slot = self.storage.lots.at(ledger, &id)?;
        let lot = slot.get(ledger)?;
        slot.set(ledger, Lot { volume, seat, next: 0, ..lot })?;
        let weight = tally.weight.minus(1)?;
        self.reweigh(ledger, miner, &record, tally.weight, weight)?;
        let last = if lot.next == 0 { 0 } else { tally.last };
        record.tally.set(ledger, Tally { free: tally.free.minus(1)?, weight, first: lot.next, last, ..tally })?;
        Ok(id)
    }

    /// A lot that left a seat holds no idle content any more, so it goes for good; its operator may pledge the space anew.
    fn quit(&self, ledger: &mut dyn Ledger, id: u32, forfeit: U256) -> Result<U256> {
        let slot = self.storage.lots.at(ledger, &id)?;
        let lot = slot.get(ledger)?;
        if lot.volume == 0 || lot.gone {
            return Err(IMiners::UnknownLot { lot: id }.into());
        }
        let IRounds::leaveReturn { held, until } = self.leave_rounds(ledger, lot.miner, 1)?;
        slot.set(ledger, Lot { gone: true, held, ..lot })?;
        let record = self.known(ledger, lot.miner)?;
        let tally = record.tally.get(ledger)?;
        let collateral = record.collateral.get(ledger)?;
        // What faults took is missing from every lot alike.
        let share = collateral.checked_div(U256::from(tally.lots)).unwrap_or_default();
        record.collateral.set(ledger, collateral.minus(share)?)?;
        record.tally.set(ledger, Tally { lots: tally.lots.minus(1)?, ..tally })?;
        let live = self.storage.lots_live.get(ledger)?.minus(1)?;
        self.storage.lots_live.set(ledger, live)?;
        let taken = share.min(forfeit);
        let returned = share.minus(taken)?;
        ledger.pay(ledger.caller(), taken)?;
        self.give_back(ledger, lot.miner, returned, until)?;
        ledger.emit(&IMiners::LotLeft { miner: lot.miner, lot: id, forfeited: taken, returned })?;
        Ok(taken)
    }

    fn rebuilt(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<ILots::rebuiltReturn> {
        let record = self.known(ledger, miner)?;
        let tally = record.tally.get(ledger)?;
        record.tally.set(ledger, Tally { rebuilds: tally.rebuilds.minus(1)?, ..tally })?;
        Ok(ILots::rebuiltReturn {})
    }
}
