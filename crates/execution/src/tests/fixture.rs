//! Keep a chain in memory to execute blocks on.

use crate::{
    BlockContext, BlockError, BuildLimits, Built, Executor, Outcome, ReadError, StateReader, modules::Modules,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use protocol::{Ledger, Module};
use revm::bytecode::opcode::*;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use types::{
    ChainSpec, Transaction,
    abi::AUDITS,
    spec::{Allocation, StorageSpec},
    state::{Account, StateKey, Value, decode_slot},
};

pub const CHAIN_ID: u64 = 7777;
pub const ETHER: u64 = 1_000_000_000_000_000_000;
pub const BENEFICIARY: Address = Address::repeat_byte(0xbe);
/// Does what its input says, see [`Script`].
pub const SCRIPT: Address = address!("000000000000000000000000000000000000fe01");
/// Another one.
pub const OTHER_SCRIPT: Address = address!("000000000000000000000000000000000000fe02");
/// Ignores every fault.
pub const CARELESS: Address = address!("000000000000000000000000000000000000fe03");
pub const BASE_FEE: u64 = 1_000;
pub const GAS_LIMIT: u64 = 60_000_000;
/// Calldata that the audit lane takes: two calls of [`Judge`], and the rest of the second.
pub const LANE_BYTES: u64 = 8;

/// Does steps of three bytes: an opcode (SLOAD, SSTORE, LOG1, CALL, REVERT, or STATICCALL for a call of the other
/// script) and two arguments. Answers the words it loaded, and what the other script answered.
pub struct Script(pub Address);

impl Module for Script {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> protocol::Result<Bytes> {
        let mut answer = Vec::new();
        let mut steps = input;
        while let [code, first, second, rest @ ..] = steps {
            steps = rest;
            match *code {
                SLOAD => answer.extend(ledger.sload(U256::from(*first))?.to_be_bytes::<32>()),
                SSTORE => ledger.sstore(U256::from(*first), U256::from(*second))?,
                LOG1 => ledger.emit_log(alloy_primitives::LogData::new_unchecked(
                    vec![B256::with_last_byte(*first)],
                    Bytes::copy_from_slice(&[*second]),
                ))?,
                CALL => ledger.transfer(Address::repeat_byte(*first), U256::from(*second))?,
                CALLER => answer.extend(ledger.caller().into_word()),
                TIMESTAMP => answer.extend(U256::from(ledger.block().timestamp_ms).to_be_bytes::<32>()),
                REVERT => return Err(protocol::Error::Revert(Bytes::copy_from_slice(&[*first, *second]))),
                // Everything after it is for the other script; with a second argument its failure is ours.
                STATICCALL => match ledger.call(self.0, rest) {
                    Ok(output) => return Ok([answer, output.to_vec()].concat().into()),
                    Err(error) if *second == 1 => return Err(error),
                    Err(_) => return Ok([answer, vec![0xee]].concat().into()),
                },
                _ => return Err(protocol::Error::Revert(Bytes::new())),
            }
        }
        Ok(answer.into())
    }
}

struct Careless;

impl Module for Careless {
    fn call(&self, ledger: &mut dyn Ledger, _: &[u8]) -> protocol::Result<Bytes> {
        for slot in 0..10 {
            let _ = ledger.sload(U256::from(slot));
            let _ = ledger.sstore(U256::from(slot), U256::from(1));
        }
        Ok(Bytes::new())
    }
}

/// Counts the calls that succeed: those whose input ends with a one.
struct Judge;

impl Module for Judge {
    fn call(&self, ledger: &mut dyn Ledger, input: &[u8]) -> protocol::Result<Bytes> {
        let count = ledger.sload(U256::ZERO)?;
        ledger.sstore(U256::ZERO, count + U256::from(1))?;
        if input.ends_with(&[1]) { Ok(Bytes::new()) } else { Err(protocol::Error::Revert(Bytes::new())) }
    }
}

/// State in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub state: BTreeMap<StateKey, Value>,
    pub code: BTreeMap<B256, Bytes>,
    /// How often a key or code was awaited, where reads are not ready at once.
    pub waits: Option<Arc<AtomicUsize>>,
}

impl Memory {
    pub fn apply(&mut self, outcome: &Outcome) {
        for (key, value) in &outcome.changes {
            match value {
                Some(value) => assert_ne!(self.state.insert(*key, *value), Some(*value), "{key:?} did not change"),
                None => assert!(self.state.remove(key).is_some(), "{key:?} was not there"),
            }
        }
        self.code.extend(outcome.code.iter().cloned());
    }

    pub fn account(&self, address: Address) -> Account {
        self.state.get(&StateKey::Account(address)).map(Account::decode).unwrap_or_default()
    }

    pub fn slot(&self, address: Address, slot: u64) -> U256 {
        self.state.get(&StateKey::Slot(address, U256::from(slot))).map(decode_slot).unwrap_or_default()
    }

    /// The same state, of which no read is ready at once.
    pub fn slow(&self) -> Self {
        Self { waits: Some(Arc::default()), ..self.clone() }
    }

    async fn wait(&self) {
        if let Some(waits) = &self.waits {
            tokio::task::yield_now().await;
            waits.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl StateReader for Memory {
    async fn read(&self, keys: &[StateKey]) -> Result<Vec<Option<Value>>, ReadError> {
        self.wait().await;
        Ok(keys.iter().map(|key| self.state.get(key).copied()).collect())
    }

    async fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        self.wait().await;
        Ok(self.code.get(hash).cloned())
    }
}

pub fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap()
}

pub fn account(number: u8) -> Address {
    signer(number).address()
}

/// Signers 1 to 9 have ten ether each.
pub fn spec() -> ChainSpec {
    ChainSpec {
        name: "test".into(),
        chain_id: CHAIN_ID,
        genesis_timestamp_ms: 1_700_000_000_000,
        heartbeat_ms: 1_000,
        block_interval_min_ms: 100,
        clock_drift_max_ms: 1_000,
        timestamp_step_max_ms: 60_000,
        gas_limit: GAS_LIMIT,
        base_fee_min: BASE_FEE,
        storage: StorageSpec::devnet(),
        validators: Vec::new(),
        output: Bytes::new(),
        epoch_blocks: 600,
        alloc: (1..10).map(|number| Allocation { address: account(number), balance: U256::from(10 * ETHER) }).collect(),
    }
}

/// A chain whose blocks follow each other.
#[derive(Clone)]
pub struct World {
    pub executor: Executor,
    pub memory: Memory,
    pub next: BlockContext,
}

impl World {
    /// After block 1, which lays the genesis.
    pub fn new() -> Self {
        let mut world = Self::before_genesis();
        world.block(vec![]);
        world
    }

    /// The same with a [`Judge`] in place of the module that the audit lane leads to.
    pub fn with_judge() -> Self {
        let spec = Arc::new(spec());
        let mut modules = protocol::modules(&spec.storage);
        modules.insert(AUDITS, Box::new(Judge));
        let mut world = Self::with_modules(spec, Arc::new(modules));
        world.block(vec![]);
        world
    }

    pub fn before_genesis() -> Self {
        let spec = Arc::new(spec());
        let mut modules = protocol::modules(&spec.storage);
        modules.insert(SCRIPT, Box::new(Script(OTHER_SCRIPT)));
        modules.insert(OTHER_SCRIPT, Box::new(Script(SCRIPT)));
        modules.insert(CARELESS, Box::new(Careless));
        Self::with_modules(spec, Arc::new(modules))
    }

    fn with_modules(spec: Arc<ChainSpec>, modules: Modules) -> Self {
        let next = BlockContext {
            chain_id: CHAIN_ID,
            height: 1,
            timestamp_ms: spec.genesis_timestamp_ms + 500,
            epoch: 0,
            view: 1,
            is_epoch_ending: false,
            beneficiary: BENEFICIARY,
            gas_limit: GAS_LIMIT,
            base_fee_per_gas: BASE_FEE,
            parent_hash: keccak256(0u64.to_be_bytes()),
            prevrandao: B256::repeat_byte(0x5e),
            lane_bytes: LANE_BYTES,
            beacon: None,
        };
        Self { executor: Executor::with_modules(spec, modules), memory: Memory::default(), next }
    }

    /// Executes a block without keeping it.
    pub fn execute(&self, transactions: &[Arc<Transaction>]) -> Result<Outcome, BlockError> {
        wait(self.executor.execute(&self.next, transactions, &self.memory))
    }

    /// Builds a block without keeping it.
    pub fn build(&self, candidates: Vec<Arc<Transaction>>) -> Built {
        let limits = BuildLimits { bytes_max: usize::MAX, transactions_max: usize::MAX, deadline: || false };
        wait(self.executor.build(&self.next, candidates.into_iter(), limits, &self.memory)).unwrap()
    }

    /// Executes and keeps a block.
    pub fn block(&mut self, transactions: Vec<Arc<Transaction>>) -> Outcome {
        let outcome = self.execute(&transactions).unwrap();
        self.memory.apply(&outcome);
        // The hash of a block is that of its height here.
        self.next.parent_hash = keccak256(self.next.height.to_be_bytes());
        self.next.height += 1;
        self.next.view += 2;
        self.next.timestamp_ms += 700;
        outcome
    }

    pub fn nonce(&self, number: u8) -> u64 {
        self.memory.account(account(number)).nonce
    }

    pub fn balance(&self, address: Address) -> U256 {
        self.memory.account(address).balance
    }

    /// Sends one transaction in a block of its own; says whether it succeeded.
    pub fn send(&mut self, number: u8, to: TxKind, value: u64, gas_limit: u64, input: impl Into<Bytes>) -> Sent {
        let transaction = Envelope {
            nonce: self.nonce(number),
            to,
            value: U256::from(value),
            gas_limit,
            input: input.into(),
            ..Default::default()
        };
        let outcome = self.block(vec![transaction.sign(number)]);
        Sent { success: alloy_consensus::TxReceipt::status(&outcome.receipts[0]), outcome }
    }

    /// Deploys `code` as it is; returns the contract's address.
    pub fn deploy(&mut self, code: &[u8]) -> Address {
        let address = account(9).create(self.nonce(9));
        assert!(self.send(9, TxKind::Create, 0, 10_000_000, deployment(code)).success);
        address
    }
}

pub struct Sent {
    pub success: bool,
    pub outcome: Outcome,
}

/// What a test says of a transaction.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub kind: u8,
    pub chain_id: u64,
    pub nonce: u64,
    pub to: TxKind,
    pub value: U256,
    pub gas_limit: u64,
    pub max_fee: u128,
    pub priority_fee: u128,
    pub input: Bytes,
    pub access_list: alloy_eips::eip2930::AccessList,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            kind: 2,
            chain_id: CHAIN_ID,
            nonce: 0,
            to: TxKind::Call(Address::repeat_byte(0x77)),
            value: U256::from(1),
            gas_limit: 21_000,
            max_fee: 10_000,
            priority_fee: 10,
            input: Bytes::new(),
            access_list: Default::default(),
        }
    }
}

impl Envelope {
    pub fn sign(self, number: u8) -> Arc<Transaction> {
        let Self { chain_id, nonce, to, value, gas_limit, max_fee, priority_fee, input, access_list, .. } = self;
        let envelope = match self.kind {
            0 => sealed(
                TxLegacy { chain_id: Some(chain_id), nonce, gas_price: max_fee, gas_limit, to, value, input },
                number,
            ),
            1 => sealed(
                TxEip2930 { chain_id, nonce, gas_price: max_fee, gas_limit, to, value, access_list, input },
                number,
            ),
            _ => sealed(
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: max_fee,
                    max_priority_fee_per_gas: priority_fee,
                    to,
                    value,
                    access_list,
                    input,
                },
                number,
            ),
        };
        Arc::new(Transaction::from_envelope(envelope).unwrap())
    }
}

pub fn sealed<T>(transaction: T, number: u8) -> TxEnvelope
where
    T: SignableTransaction<alloy_primitives::Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = signer(number).sign_hash_sync(&transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}

pub fn transfer(number: u8, nonce: u64, to: Address, value: u64) -> Arc<Transaction> {
    Envelope { nonce, to: TxKind::Call(to), value: U256::from(value), ..Default::default() }.sign(number)
}

pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Code that deploys `code`.
pub fn deployment(code: &[u8]) -> Vec<u8> {
    let length = u8::try_from(code.len()).unwrap();
    // PUSH1 length, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN
    [&[PUSH1, length, DUP1, PUSH1, 9, PUSH0, CODECOPY, PUSH0, RETURN], code].concat()
}

/// What a [`proxy`] does after its call.
#[derive(Clone, Copy)]
pub enum Then {
    Revert,
    /// Reverts if the call failed.
    Require,
    /// Returns the word of success and the data that the call returned.
    Report,
}

/// A contract that calls `to` with its own calldata, and its own value where the opcode takes one.
pub fn proxy(opcode: u8, to: Address, then: Then) -> Vec<u8> {
    let mut code = vec![CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, PUSH0, PUSH0, CALLDATASIZE, PUSH0];
    if matches!(opcode, CALL | CALLCODE) {
        code.push(CALLVALUE);
    }
    code.push(PUSH20);
    code.extend(to);
    code.extend([GAS, opcode]);
    code.extend(match then {
        Then::Revert => vec![PUSH0, PUSH0, REVERT],
        Then::Require => {
            let end = u8::try_from(code.len() + 6).unwrap();
            vec![PUSH1, end, JUMPI, PUSH0, PUSH0, REVERT, JUMPDEST]
        }
        Then::Report => {
            let copy = [PUSH0, MSTORE, RETURNDATASIZE, PUSH0, PUSH1, 32, RETURNDATACOPY];
            [&copy[..], &[RETURNDATASIZE, PUSH1, 32, ADD, PUSH0, RETURN]].concat()
        }
    });
    code
}
