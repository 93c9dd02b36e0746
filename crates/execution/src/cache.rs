//! Hold the state that a block has read and written, and say what is missing.
//!
//! revm reads synchronously and cannot be kept across an `await`; stores answer asynchronously. So the cache answers
//! what it holds or can get without waiting, and otherwise fails with a [`Miss`], upon which the transaction is
//! abandoned, the missing entries are fetched, and the transaction starts again.

use crate::{
    code::CodeCache,
    state::{ReadError, ReadNow, short_answer},
};
use alloy_eips::eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::{
    Database, DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode, EvmState},
};
use std::{collections::BTreeSet, sync::Arc};
use types::state::{Account, StateKey, Value, decode_slot, encode_slot};

/// State that has to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    /// An account or a slot.
    Entry(StateKey),
    /// Code by its hash.
    Code(B256),
}

/// Why the cache did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("{0:?} has to be fetched")]
    Miss(Miss),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl DBErrorMarker for CacheError {}

/// A value as it was before the block and as it is now.
#[derive(Clone, Copy, Debug)]
struct Versions<T> {
    before: T,
    now: T,
}

impl<T: Copy> Versions<T> {
    fn unchanged(value: T) -> Self {
        Self { before: value, now: value }
    }
}

/// What becomes of a read that cannot be answered.
#[derive(Debug, Default)]
enum OnMiss {
    /// It fails.
    #[default]
    Fail,
    /// It is answered with nothing and noted, to learn what a transaction is going to read.
    Guess(BTreeSet<Miss>),
}

/// The state of a block under execution.
pub(crate) struct Cache<'r> {
    accounts: AddressMap<Versions<Account>>,
    slots: HashMap<(Address, U256), Versions<U256>>,
    code: B256Map<Bytecode>,
    shared_code: Arc<CodeCache>,
    reader: &'r dyn ReadNow,
    on_miss: OnMiss,
}

impl<'r> Cache<'r> {
    pub(crate) fn new(reader: &'r dyn ReadNow, shared_code: Arc<CodeCache>) -> Self {
        Self {
            accounts: AddressMap::default(),
            slots: HashMap::default(),
            code: B256Map::default(),
            shared_code,
            reader,
            on_miss: OnMiss::Fail,
        }
    }

    /// Answers misses with nothing from now on, and notes them.
    pub(crate) fn start_guessing(&mut self) {
        self.on_miss = OnMiss::Guess(BTreeSet::new());
    }

    /// Fails on misses from now on; returns those noted.
    pub(crate) fn stop_guessing(&mut self) -> BTreeSet<Miss> {
        match std::mem::take(&mut self.on_miss) {
            OnMiss::Guess(misses) => misses,
            OnMiss::Fail => BTreeSet::new(),
        }
    }

    /// Whether `key` can be answered from memory.
    pub(crate) fn holds(&self, key: &StateKey) -> bool {
        match key {
            StateKey::Account(address) => self.accounts.contains_key(address),
            StateKey::Slot(address, slot) => self.slots.contains_key(&(*address, *slot)),
        }
    }

    /// The code hash of an account in memory that has code which is not.
    pub(crate) fn missing_code(&self, address: &Address) -> Option<B256> {
        let hash = self.accounts.get(address)?.now.code_hash;
        (hash != KECCAK256_EMPTY && !self.code.contains_key(&hash) && self.shared_code.get(&hash).is_none())
            .then_some(hash)
    }

    /// Takes in what was read of `key`. What the block wrote in the meantime stays.
    pub(crate) fn supply(&mut self, key: StateKey, value: Option<Value>) {
        match key {
            StateKey::Account(address) => {
                let account = value.map(|value| Account::decode(&value)).unwrap_or_default();
                self.accounts.entry(address).or_insert(Versions::unchanged(account));
            }
            StateKey::Slot(address, slot) => {
                let value = value.map(|value| decode_slot(&value)).unwrap_or_default();
                self.slots.entry((address, slot)).or_insert(Versions::unchanged(value));
            }
        }
    }

    /// Takes in the code that was read for `hash`; checks that it is that.
    pub(crate) fn supply_code(&mut self, hash: B256, code: Option<Bytes>) -> Result<Bytecode, ReadError> {
        let code = code.ok_or_else(|| ReadError(format!("there is no code {hash}")))?;
        if keccak256(&code) != hash {
            return Err(ReadError(format!("the code kept as {hash} is other code")));
        }
        let code = Bytecode::new_raw_checked(code)
            .map_err(|error| ReadError(format!("the code {hash} is malformed: {error}")))?;
        self.shared_code.insert(hash, code.clone());
        self.code.insert(hash, code.clone());
        Ok(code)
    }

    /// Sets an account outside of any transaction. It must be in memory.
    pub(crate) fn set_account(&mut self, address: Address, change: impl FnOnce(&mut Account)) {
        change(&mut self.accounts.entry(address).or_insert(Versions::unchanged(Account::default())).now);
    }

    /// Adds code outside of any transaction; returns its hash.
    pub(crate) fn add_code(&mut self, code: Bytes) -> B256 {
        let code = Bytecode::new_legacy(code);
        let hash = code.hash_slow();
        self.code.insert(hash, code);
        hash
    }

    /// The account of `address`, if it is in memory.
    pub(crate) fn account(&self, address: &Address) -> Option<Account> {
        self.accounts.get(address).map(|versions| versions.now)
    }

    /// Every entry whose value is not what it was before the block, by key.
    pub(crate) fn changes(&self) -> Vec<(StateKey, Option<Value>)> {
        let accounts =
            self.accounts.iter().filter(|(_, account)| account.before != account.now).map(|(address, account)| {
                let account = account.now;
                (StateKey::Account(*address), (!account.is_empty()).then(|| account.encode()))
            });
        let slots = self.slots.iter().filter(|(_, slot)| slot.before != slot.now).map(|((address, slot), value)| {
            (StateKey::Slot(*address, *slot), (!value.now.is_zero()).then(|| encode_slot(value.now)))
        });
        let mut changes: Vec<_> = accounts.chain(slots).collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        changes
    }

    /// The code of every account whose code the block changed, by hash. It depends on the block alone, not on what
    /// happens to be cached: two nodes must write the same.
    pub(crate) fn new_code(&self) -> Vec<(B256, Bytes)> {
        let hashes: BTreeSet<B256> = self
            .accounts
            .values()
            .filter(|account| {
                account.before.code_hash != account.now.code_hash && account.now.code_hash != KECCAK256_EMPTY
            })
            .map(|account| account.now.code_hash)
            .collect();
        let bytes = |hash: B256| {
            let code = self.code.get(&hash).cloned().or_else(|| self.shared_code.get(&hash));
            (hash, code.expect("an account gets its code from this block, which put it here").original_bytes())
        };
        hashes.into_iter().map(bytes).collect()
    }

    /// Answers a miss: with what `ask` gets without waiting, or as [`OnMiss`] says.
    fn miss<T>(&mut self, miss: Miss, answer: Option<Result<T, ReadError>>) -> Result<Option<T>, CacheError> {
        match (answer, &mut self.on_miss) {
            (Some(answer), _) => Ok(Some(answer?)),
            (None, OnMiss::Fail) => Err(CacheError::Miss(miss)),
            (None, OnMiss::Guess(misses)) => {
                misses.insert(miss);
                Ok(None)
            }
        }
    }

    fn load(&mut self, key: StateKey) -> Result<bool, CacheError> {
        let answer = self.reader.read_now(key);
        match self.miss(Miss::Entry(key), answer)? {
            Some(value) => {
                self.supply(key, value);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl Database for Cache<'_> {
    type Error = CacheError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, CacheError> {
        if !self.accounts.contains_key(&address) && !self.load(StateKey::Account(address))? {
            return Ok(None);
        }
        let account = self.accounts.get(&address).map(|versions| versions.now).unwrap_or_default();
        Ok((!account.is_empty()).then(|| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            account_id: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, CacheError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.code.get(&hash) {
            return Ok(code.clone());
        }
        if let Some(code) = self.shared_code.get(&hash) {
            self.code.insert(hash, code.clone());
            return Ok(code);
        }
        let answer = self.reader.code_now(hash);
        match self.miss(Miss::Code(hash), answer)? {
            Some(code) => Ok(self.supply_code(hash, code)?),
            None => Ok(Bytecode::default()),
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, CacheError> {
        if let Some(value) = self.slots.get(&(address, slot)) {
            return Ok(value.now);
        }
        self.load(StateKey::Slot(address, slot))?;
        Ok(self.slots.get(&(address, slot)).map(|value| value.now).unwrap_or_default())
    }

    /// Hashes of past blocks are state: the history contract of EIP-2935 holds the last 8,191.
    fn block_hash(&mut self, height: u64) -> Result<B256, CacheError> {
        let slot = U256::from(height % HISTORY_SERVE_WINDOW as u64);
        self.storage(HISTORY_STORAGE_ADDRESS, slot).map(B256::from)
    }
}

impl DatabaseCommit for Cache<'_> {
    fn commit(&mut self, state: EvmState) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            let entry = self.accounts.entry(address).or_insert(Versions::unchanged(Account::default()));
            if account.is_selfdestructed() {
                // EIP-6780: it was created in this transaction, so its slots have never been anywhere but here.
                entry.now = Account::default();
                continue;
            }
            let info = account.info;
            if let Some(code) = info.code.filter(|code| !code.is_empty() && info.code_hash != entry.now.code_hash) {
                self.code.insert(info.code_hash, code);
            }
            entry.now = Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash };
            for (slot, value) in account.storage.into_iter().filter(|(_, value)| value.is_changed()) {
                // Not read before it was written: the slot of a contract that is new.
                let unset = Versions::unchanged(U256::ZERO);
                self.slots.entry((address, slot)).or_insert(unset).now = value.present_value();
            }
        }
    }
}

/// Pairs the keys of a batched read with its answers.
pub(crate) fn pair(
    keys: Vec<StateKey>,
    values: Vec<Option<Value>>,
) -> Result<Vec<(StateKey, Option<Value>)>, ReadError> {
    if keys.len() != values.len() {
        return Err(short_answer());
    }
    Ok(keys.into_iter().zip(values).collect())
}
