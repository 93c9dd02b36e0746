//! Sell space for a time and account for it.

use crate::{
    Checked, Ledger, Module, Result,
    call::{decode, decode_internal, mutate, payable, view},
    internal::{
        IFees::IFeesCalls as Fees,
        ITerritoryAccounts::{self, ITerritoryAccountsCalls as Internal},
    },
    layout,
    storage::{Layout, Mapping, Slot},
};
use alloy_primitives::{Address, Bytes, U256};
use types::{
    abi::{
        AUDITS,
        ITerritories::{self, ITerritoriesCalls as Calls},
        VOLUMES,
    },
    layout::territories::{Quota, Title},
    packed,
    spec::StorageSpec,
};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3_600_000;
/// Time after notice and the end of what is paid before anyone may release a territory's stripes.
pub const GRACE_MS: u64 = 30 * DAY_MS;
/// How long before the end notice may be given.
pub const NOTICE_AHEAD_MS: u64 = 7 * DAY_MS;
/// Furthest that a territory may be paid ahead.
pub const PAID_AHEAD_MAX_MS: u64 = 3_650 * DAY_MS;

packed! {
    /// When notice was given, and of which end.
    struct Notice {
        given_at_ms: u64,
        paid_until_ms: u64,
    }
}

layout! {
    struct Record {
        title: Slot<Title>,
        quota: Slot<Quota>,
        /// Used bytes that come back after a day.
        pending: Mapping<u32, Slot<u64>>,
        notice: Slot<Notice>,
    }
}

layout! {
    struct Storage {
        count: Slot<u64>,
        territories: Mapping<u64, Record>,
        /// What was paid for space and not yet paid out; only where there are audits.
        pool: Slot<U256>,
    }
}

/// The module at [`TERRITORIES`](types::abi::TERRITORIES).
#[derive(Debug)]
pub struct Territories {
    price_per_byte_day: u64,
    is_audited: bool,
    storage: Storage,
}

impl Module for Territories {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> Result<Bytes> {
        if let Some(call) = decode_internal(ledger, input, VOLUMES)? {
            return match call {
                Internal::bill(call) => mutate(ledger, call, |ledger, call| self.bill(ledger, call)),
                Internal::reserve(call) => mutate(ledger, call, |ledger, call| self.reserve(ledger, call)),
                Internal::unreserve(call) => mutate(ledger, call, |ledger, call| self.unreserve(ledger, call)),
                Internal::unbill(call) => mutate(ledger, call, |ledger, call| self.unbill(ledger, call)),
            };
        }
        if let Some(Fees::payOut(call)) = decode_internal(ledger, input, AUDITS)? {
            return mutate(ledger, call, |ledger, call| self.pay_out(ledger, call.amount));
        }
        match decode(ledger, input)? {
            Calls::quote(call) => view(ledger, call, |_, call| self.quote(call.size, call.daysCount)),
            Calls::buy(call) => payable(ledger, call, |ledger, call| self.buy(ledger, call)),
            Calls::extend(call) => payable(ledger, call, |ledger, call| self.extend(ledger, call)),
            Calls::enlarge(call) => payable(ledger, call, |ledger, call| self.enlarge(ledger, call)),
            Calls::transfer(call) => mutate(ledger, call, |ledger, call| self.transfer(ledger, call)),
            Calls::reclaim(call) => mutate(ledger, call, |ledger, call| self.reclaim(ledger, call)),
            Calls::territory(call) => view(ledger, call, |ledger, call| self.territory(ledger, call.id)),
            Calls::giveNotice(call) => mutate(ledger, call, |ledger, call| self.give_notice(ledger, call.territory)),
            Calls::releasableFrom(call) => view(ledger, call, |ledger, call| {
                let (record, title) = self.known(ledger, call.territory)?;
                Ok(releasable_from(&record.notice.get(ledger)?, &title).unwrap_or_default())
            }),
            Calls::territoryCount(call) => view(ledger, call, |ledger, _| Ok(self.storage.count.get(ledger)?)),
        }
    }
}

impl Territories {
    /// The module under the parameters of a chain.
    pub fn new(spec: &StorageSpec) -> Self {
        Self {
            price_per_byte_day: spec.price_per_byte_day,
            is_audited: spec.audits.is_some(),
            storage: Storage::at(U256::ZERO),
        }
    }

    fn buy(&self, ledger: &mut dyn Ledger, call: ITerritories::buyCall) -> Result<u64> {
        let ITerritories::buyCall { size, daysCount } = call;
        let now = ledger.block().timestamp_ms;
        let paid_until_ms = later(now, now, daysCount)?;
        let paid = self.quote(size, daysCount)?;
        self.collect(ledger, paid)?;

        let territory = self.storage.count.get(ledger)?.plus(1)?;
        self.storage.count.set(ledger, territory)?;
        let record = self.storage.territories.at(ledger, &territory)?;
        let owner = ledger.caller();
        record.title.set(ledger, Title { owner, paid_until_ms })?;
        record.quota.set(ledger, Quota { bought: size, used: 0, leased: 0 })?;
        ledger.emit(&ITerritories::Bought { territory, owner, size, paidUntilMs: paid_until_ms, paid })?;
        Ok(territory)
    }

    fn extend(&self, ledger: &mut dyn Ledger, call: ITerritories::extendCall) -> Result<ITerritories::extendReturn> {
        let ITerritories::extendCall { territory, daysCount } = call;
        let owner = ledger.caller();
        let (record, title) = self.owned(ledger, territory, owner)?;
        // From the end of what is paid, not from now: space that was held meanwhile is owed for.
        let paid_until_ms = later(title.paid_until_ms, ledger.block().timestamp_ms, daysCount)?;
        let paid = self.quote(record.quota.get(ledger)?.bought, daysCount)?;
        self.collect(ledger, paid)?;
        record.title.set(ledger, Title { paid_until_ms, ..title })?;
        ledger.emit(&ITerritories::Extended { territory, paidUntilMs: paid_until_ms, paid })?;
        Ok(ITerritories::extendReturn {})
    }

    fn enlarge(&self, ledger: &mut dyn Ledger, call: ITerritories::enlargeCall) -> Result<ITerritories::enlargeReturn> {
        let ITerritories::enlargeCall { territory, size } = call;
        let owner = ledger.caller();
        let (record, title) = self.owned(ledger, territory, owner)?;
        let now = ledger.block().timestamp_ms;
        require_paid(territory, &title, now.plus(1)?)?;
        let quota = record.quota.get(ledger)?;
        let bought = quota.bought.checked_add(size).ok_or(ITerritories::InvalidSize { size })?;
        let paid = self.price_of(size, title.paid_until_ms.minus(now)?)?;
        self.collect(ledger, paid)?;
        record.quota.set(ledger, Quota { bought, ..quota })?;
        ledger.emit(&ITerritories::Enlarged { territory, size: bought, paid })?;
        Ok(ITerritories::enlargeReturn {})
    }

    fn transfer(
        &self,
        ledger: &mut dyn Ledger,
        call: ITerritories::transferCall,
    ) -> Result<ITerritories::transferReturn> {
        let ITerritories::transferCall { territory, to } = call;
        let owner = ledger.caller();
        let (record, title) = self.owned(ledger, territory, owner)?;
        if to.is_zero() {
            return Err(ITerritories::InvalidOwner {}.into());
        }
        record.title.set(ledger, Title { owner: to, ..title })?;
        ledger.emit(&ITerritories::Transferred { territory, from: title.owner, to })?;
        Ok(ITerritories::transferReturn {})
    }

    /// Anyone may: it only helps the owner.
    fn reclaim(&self, ledger: &mut dyn Ledger, call: ITerritories::reclaimCall) -> Result<ITerritories::reclaimReturn> {
        let ITerritories::reclaimCall { territory, day } = call;
        let (record, _) = self.known(ledger, territory)?;
        let slot = record.pending.at(ledger, &day)?;
        let size = slot.get(ledger)?;
        let is_past = ledger.block().timestamp_ms / DAY_MS > u64::from(day);
        if size == 0 || !is_past {
            return Err(ITerritories::NothingToReclaim { territory, day }.into());
        }
        slot.set(ledger, 0)?;
        let quota = record.quota.get(ledger)?;
        record.quota.set(ledger, Quota { used: quota.used.minus(size)?, ..quota })?;
        ledger.emit(&ITerritories::Reclaimed { territory, size })?;
        Ok(ITerritories::reclaimReturn {})
    }

    /// Anyone may: whoever wants to release the stripes must, and the owner hears of it by the event.
    fn give_notice(&self, ledger: &mut dyn Ledger, territory: u64) -> Result<ITerritories::giveNoticeReturn> {
        let (record, title) = self.known(ledger, territory)?;
        let (now, paid_until_ms) = (ledger.block().timestamp_ms, title.paid_until_ms);
        let from_ms = paid_until_ms.saturating_sub(NOTICE_AHEAD_MS);
        if now < from_ms {
            return Err(ITerritories::NoticeTooEarly { territory, fromMs: from_ms }.into());
        }
        if let Some(from) = releasable_from(&record.notice.get(ledger)?, &title) {
            return Err(ITerritories::NoticeGiven { territory, releasableFromMs: from }.into());
        }
        let notice = Notice { given_at_ms: now, paid_until_ms };
        record.notice.set(ledger, notice)?;
        let from = releasable_from(&notice, &title).unwrap_or_default();
        ledger.emit(&ITerritories::Expiring { territory, paidUntilMs: paid_until_ms, releasableFromMs: from })?;
        Ok(ITerritories::giveNoticeReturn {})
    }

    fn territory(&self, ledger: &mut dyn Ledger, id: u64) -> Result<ITerritories::Territory> {
        let (record, title) = self.known(ledger, id)?;
        let quota = record.quota.get(ledger)?;
        Ok(ITerritories::Territory {
            owner: title.owner,
            bytesBought: quota.bought,
            bytesUsed: quota.used,
            bytesLeased: quota.leased,
            paidUntilMs: title.paid_until_ms,
        })
    }

    fn bill(
        &self,
        ledger: &mut dyn Ledger,
        call: ITerritoryAccounts::billCall,
    ) -> Result<ITerritoryAccounts::billReturn> {
        let (record, title) = self.owned(ledger, call.territory, call.account)?;
        require_paid(call.territory, &title, call.paidUntilMs)?;
        let quota = record.quota.get(ledger)?;
        require_free(call.territory, &quota, call.free)?;
        let used = quota.used.plus(call.leased)?.plus(call.free)?;
        record.quota.set(ledger, Quota { used, leased: quota.leased.minus(call.leased)?, ..quota })?;
        Ok(ITerritoryAccounts::billReturn {})
    }

    fn reserve(
        &self,
        ledger: &mut dyn Ledger,
        call: ITerritoryAccounts::reserveCall,
    ) -> Result<ITerritoryAccounts::reserveReturn> {
        let (record, title) = self.owned(ledger, call.territory, call.account)?;
        require_paid(call.territory, &title, ledger.block().timestamp_ms.plus(1)?)?;
        let quota = record.quota.get(ledger)?;
        require_free(call.territory, &quota, call.size)?;
        record.quota.set(ledger, Quota { leased: quota.leased.plus(call.size)?, ..quota })?;
        Ok(ITerritoryAccounts::reserveReturn {})
    }

    fn unreserve(
        &self,
        ledger: &mut dyn Ledger,
        call: ITerritoryAccounts::unreserveCall,
    ) -> Result<ITerritoryAccounts::unreserveReturn> {
        let (record, _) = self.known(ledger, call.territory)?;
        let quota = record.quota.get(ledger)?;
        record.quota.set(ledger, Quota { leased: quota.leased.minus(call.size)?, ..quota })?;
        Ok(ITerritoryAccounts::unreserveReturn {})
    }

    fn unbill(
        &self,
        ledger: &mut dyn Ledger,
        call: ITerritoryAccounts::unbillCall,
    ) -> Result<ITerritoryAccounts::unbillReturn> {
        let (record, _) = self.known(ledger, call.territory)?;
        if ledger.block().timestamp_ms >= call.termEndMs {
            let quota = record.quota.get(ledger)?;
            record.quota.set(ledger, Quota { used: quota.used.minus(call.size)?, ..quota })?;
        } else {
            let day = u32::try_from(call.termEndMs / DAY_MS).unwrap_or(u32::MAX);
            let slot = record.pending.at(ledger, &day)?;
            let pending = slot.get(ledger)?.plus(call.size)?;
            slot.set(ledger, pending)?;
        }
        Ok(ITerritoryAccounts::unbillReturn {})
    }

    /// Takes a price.
    fn collect(&self, ledger: &mut dyn Ledger, price: U256) -> Result<()> {
        ledger.collect(price, |due, paid| ITerritories::Underpaid { due, paid })?;
        if self.is_audited {
            let pool = self.storage.pool.get(ledger)?.plus(price)?;
            self.storage.pool.set(ledger, pool)?;
        }
        Ok(())
    }

    fn pay_out(&self, ledger: &mut dyn Ledger, amount: U256) -> Result<U256> {
        let pool = self.storage.pool.get(ledger)?;
        let paid = pool.min(amount);
        self.storage.pool.set(ledger, pool.minus(paid)?)?;
        ledger.pay(AUDITS, paid)?;
        Ok(paid)
    }

    fn known(&self, ledger: &mut dyn Ledger, territory: u64) -> Result<(Record, Title)> {
        let record = self.storage.territories.at(ledger, &territory)?;
        let title = record.title.get(ledger)?;
        if title.owner.is_zero() {
            return Err(ITerritories::UnknownTerritory { territory }.into());
        }
        Ok((record, title))
    }

    fn owned(&self, ledger: &mut dyn Ledger, territory: u64, account: Address) -> Result<(Record, Title)> {
        let (record, title) = self.known(ledger, territory)?;
        if title.owner != account {
            return Err(ITerritories::NotTerritoryOwner { territory, caller: account }.into());
        }
        Ok((record, title))
    }

    fn quote(&self, size: u64, days: u32) -> Result<U256> {
        if days == 0 {
            return Err(ITerritories::InvalidTerm { daysCount: days }.into());
        }
        self.price_of(size, DAY_MS.times(days.into())?)
    }

    /// The price of `size` bytes for `duration_ms`, rounded up.
    fn price_of(&self, size: u64, duration_ms: u64) -> Result<U256> {
        if size == 0 {
            return Err(ITerritories::InvalidSize { size }.into());
        }
        // At most 192 bits.
        let byte_ms = U256::from(size).times(U256::from(duration_ms))?;
        let days_price = byte_ms.times(U256::from(self.price_per_byte_day))?;
        Ok(days_price.div_ceil(U256::from(DAY_MS)))
    }
}

/// When the grace is over, if notice of this end was given.
fn releasable_from(notice: &Notice, title: &Title) -> Option<u64> {
    let counts = notice.given_at_ms != 0 && notice.paid_until_ms == title.paid_until_ms;
    counts.then(|| notice.given_at_ms.max(title.paid_until_ms).saturating_add(GRACE_MS))
}

/// `days` after `from`, unless that is too far ahead of `now`.
fn later(from: u64, now: u64, days: u32) -> Result<u64> {
    let end = DAY_MS.times(days.into())?.plus(from)?;
    if days == 0 || end.saturating_sub(now) > PAID_AHEAD_MAX_MS {
        return Err(ITerritories::InvalidTerm { daysCount: days }.into());
    }
    Ok(end)
}

fn require_paid(territory: u64, title: &Title, until_ms: u64) -> Result<()> {
    if title.paid_until_ms < until_ms {
        return Err(ITerritories::TerritoryExpired { territory, paidUntilMs: title.paid_until_ms }.into());
    }
    Ok(())
}

fn require_free(territory: u64, quota: &Quota, needed: u64) -> Result<()> {
    let free = quota.bought.minus(quota.used)?.minus(quota.leased)?;
    if needed > free {
        return Err(ITerritories::TerritoryFull { territory, bytesFree: free, bytesNeeded: needed }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
