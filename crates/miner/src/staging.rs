//! Account for staged fragments: what a lease may still take, and what must be held how long.
//!
//! # Invariants
//! What a territory has staged for a volume, on its way to the disk included, never exceeds its lease there: one budget
//! counts once, however many requests run at once (E9). A fragment under a receipt is held until no commit can use the
//! receipt (E3): marking it and choosing what may go are steps under one lock.

use std::collections::HashMap;
use store::FragmentKey;

/// Blocks that a fragment is held for after its receipt has run out.
pub(crate) const MARGIN_BLOCKS: u64 = 16;

/// The territory of fragments that were released while a receipt was about: they take nothing of any lease.
pub(crate) const NOBODY: u64 = 0;

/// Who pays for staging, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Account {
    pub(crate) territory: u64,
    pub(crate) volume: u32,
}

#[derive(Clone, Copy, Debug)]
struct Fragment {
    territory: u64,
    bytes: u64,
    /// Last height at which a receipt for it may be used, and the margin; zero without a receipt.
    hold_until_height: u64,
    durable: bool,
}

/// Why a fragment cannot be staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// It is staged, and durable.
    Durable,
    /// It is being staged, or removed.
    InProgress,
    /// The lease does not cover it.
    Exceeded { staged_bytes: u64 },
}

/// Fragments that are staged or on their way.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    fragments: HashMap<FragmentKey, Fragment>,
    bytes: HashMap<Account, u64>,
}

impl Staging {
    /// Counts a fragment that was found on disk.
    pub(crate) fn restore(&mut self, key: FragmentKey, territory: u64, bytes: u64, hold_until_height: u64) {
        let fragment = Fragment { territory, bytes, hold_until_height, durable: true };
        if self.fragments.insert(key, fragment).is_none() {
            *self.bytes.entry(Account { territory, volume: key.volume }).or_default() += bytes;
        }
    }

    /// Bytes that an account has staged.
    pub(crate) fn bytes(&self, account: Account) -> u64 {
        self.bytes.get(&account).copied().unwrap_or(0)
    }

    /// Takes room for a fragment out of a lease of `lease_bytes`.
    pub(crate) fn reserve(
        &mut self,
        key: FragmentKey,
        territory: u64,
        bytes: u64,
        lease_bytes: u64,
    ) -> Result<(), ReserveError> {
        match self.fragments.get(&key) {
            Some(Fragment { durable: true, .. }) => return Err(ReserveError::Durable),
            Some(_) => return Err(ReserveError::InProgress),
            None => {}
        }
        let account = Account { territory, volume: key.volume };
        let staged_bytes = self.bytes(account);
        if staged_bytes.checked_add(bytes).is_none_or(|sum| sum > lease_bytes) {
            return Err(ReserveError::Exceeded { staged_bytes });
        }
        self.bytes.insert(account, staged_bytes + bytes);
        self.fragments.insert(key, Fragment { territory, bytes, hold_until_height: 0, durable: false });
        Ok(())
    }

    /// A fragment is on disk.
    pub(crate) fn settle(&mut self, key: &FragmentKey) {
        if let Some(fragment) = self.fragments.get_mut(key) {
            fragment.durable = true;
        }
    }

    /// A fragment is staged no more: it failed, is kept, or goes.
    pub(crate) fn remove(&mut self, key: &FragmentKey) {
        let Some(fragment) = self.fragments.remove(key) else { return };
        let account = Account { territory: fragment.territory, volume: key.volume };
        if let Some(bytes) = self.bytes.get_mut(&account) {
            *bytes -= fragment.bytes;
            if *bytes == 0 {
                self.bytes.remove(&account);
            }
        }
    }

    /// Whether a fragment is on disk and staged by this territory.
    pub(crate) fn is_durable(&self, key: &FragmentKey, territory: u64) -> bool {
        self.fragments.get(key).is_some_and(|fragment| fragment.durable && fragment.territory == territory)
    }

    /// Whether a fragment is on disk and staged by anybody.
    pub(crate) fn is_staged(&self, key: &FragmentKey) -> bool {
        self.fragments.get(key).is_some_and(|fragment| fragment.durable)
    }

    /// Holds fragments for a receipt; from now on they do not expire before.
    pub(crate) fn hold(&mut self, keys: &[FragmentKey], until_height: u64) {
        for key in keys {
            if let Some(fragment) = self.fragments.get_mut(key) {
                fragment.hold_until_height = fragment.hold_until_height.max(until_height);
            }
        }
    }

    /// The accounts that have something staged.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<_> = self.bytes.keys().copied().collect();
        accounts.sort_unstable();
        accounts
    }

    /// Chooses what may go at `height`: under no receipt that counts, and of an account whose lease is over; at most
    /// `limit`. It counts as staged no more, and as on its way until it is [removed](Self::remove).
    pub(crate) fn expire(&mut self, height: u64, is_over: impl Fn(&Account) -> bool, limit: usize) -> Vec<FragmentKey> {
        let may_go = |(key, fragment): &(&FragmentKey, &Fragment)| {
            let account = Account { territory: fragment.territory, volume: key.volume };
            fragment.durable && fragment.hold_until_height < height && is_over(&account)
        };
        let keys: Vec<_> = self.fragments.iter().filter(may_go).map(|(key, _)| *key).take(limit).collect();
        for key in &keys {
            if let Some(fragment) = self.fragments.get_mut(key) {
                fragment.durable = false;
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests;
