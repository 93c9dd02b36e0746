//! Lay out miners.

use super::{Missing, Query, Words, elements, entry, offset};
use crate::{
    abi::{IMiners, MINERS},
    packed,
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};

/// `mapping(uint32 miner => Record)`, 8 slots each.
pub const RECORDS: U256 = U256::from_limbs([2, 0, 0, 0]);
/// `mapping(uint32 lot => Lot)`.
pub const LOTS: U256 = U256::from_limbs([3, 0, 0, 0]);
/// `mapping(address operator => uint32 miner)`.
pub const BY_OPERATOR: U256 = U256::from_limbs([4, 0, 0, 0]);
/// Longest encoded endpoint that the registry takes.
pub const ENDPOINT_BYTES_MAX: usize = 256;

/// Places in a record.
const COLLATERAL: u64 = 2;
const KEY_HEAD: u64 = 3;
const KEY_TAIL: u64 = 4;
const ENDPOINT: u64 = 5;
/// Words of an endpoint with one address.
const ENDPOINT_WORDS: u64 = 2;

packed! {
    /// Who runs a miner, and where.
    pub struct Identity {
        operator: Address,
        region: FixedBytes<6>,
        retired: bool,
        /// Takes no new memberships.
        draining: bool,
        /// Autonomous system as declared; zero for none.
        network: u32,
    }
}

packed! {
    /// A miner's lots. Its free ones are a list in the order in which they were pledged; new ones go to the end.
    pub struct Tally {
        /// In all, not counting withdrawn ones.
        lots: u32,
        /// In no volume.
        free: u32,
        /// What the pool counts of them; less than `free` while new ones wait, none while it drains or is silent.
        weight: u32,
        /// Next free lot to be drawn.
        first: u32,
        /// Last free lot.
        last: u32,
        /// Columns that it takes over now.
        rebuilds: u16,
        /// Of the free ones, those that are too young to be drawn.
        young: u32,
        /// Missed so many audit rounds in a row that none is drawn.
        silent: bool,
    }
}

impl Tally {
    /// Free lots that are old enough to be drawn.
    pub fn ripe(&self) -> u32 {
        self.free.saturating_sub(self.young)
    }
}

packed! {
    /// A lot; free while it has no volume and is not gone.
    pub struct Lot {
        miner: u32,
        volume: u32,
        seat: u16,
        /// The free lot after this one.
        next: u32,
        /// It was a member once, and left.
        gone: bool,
        /// The audit round that it left during and still answers for.
        held: u64,
    }
}

/// A lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotQuery {
    /// Its number.
    pub lot: u32,
}

impl Query for LotQuery {
    type Record = Lot;
    const MODULE: Address = MINERS;

    fn slots(&self) -> Vec<U256> {
        vec![entry(&self.lot, LOTS)]
    }

    fn read(&self, words: &Words) -> Result<Lot, Missing> {
        words.one(MINERS, entry(&self.lot, LOTS))
    }
}

/// The miner of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinerQuery(pub u32);

impl Query for MinerQuery {
    type Record = Option<IMiners::Miner>;
    const MODULE: Address = MINERS;

    fn slots(&self) -> Vec<U256> {
        let base = entry(&self.0, RECORDS);
        let own = (0..KEY_HEAD).map(|index| offset(base, index));
        own.chain(ContactQuery(self.0).slots()).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = entry(&self.0, RECORDS);
        let identity: Identity = words.one(MINERS, base)?;
        let tally: Tally = words.one(MINERS, offset(base, 1))?;
        let collateral = words.one(MINERS, offset(base, COLLATERAL))?;
        let Contact { receipt_key, endpoint } = ContactQuery(self.0).read(words)?;
        Ok((!identity.operator.is_zero()).then_some(IMiners::Miner {
            operator: identity.operator,
            receiptKey: receipt_key,
            endpoint,
            region: identity.region,
            lots: tally.lots,
            lotsFree: tally.free,
            collateral,
            retired: identity.retired,
        }))
    }
}

/// How a miner is reached, and what it signs receipts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Compressed BLS key, 48 bytes.
    pub receipt_key: Bytes,
    /// Encoded endpoint.
    pub endpoint: Bytes,
}

/// The contact of the miner of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactQuery(pub u32);

impl Query for ContactQuery {
    type Record = Contact;
    const MODULE: Address = MINERS;

    fn slots(&self) -> Vec<U256> {
        let base = entry(&self.0, RECORDS);
        let text = elements(offset(base, ENDPOINT));
        let own = [KEY_HEAD, KEY_TAIL, ENDPOINT].map(|index| offset(base, index));
        own.into_iter().chain((0..ENDPOINT_WORDS).map(|index| offset(text, index))).collect()
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        let base = entry(&self.0, RECORDS);
        let head: B256 = words.one(MINERS, offset(base, KEY_HEAD))?;
        let tail: u128 = words.one(MINERS, offset(base, KEY_TAIL))?;
        let receipt_key = [head.as_slice(), &tail.to_be_bytes()].concat().into();
        Ok(Contact { receipt_key, endpoint: read_bytes(words, offset(base, ENDPOINT))? })
    }
}

/// `bytes`: up to 31 in the slot, longer ones from keccak256 of its number on; what is too long is cut off.
fn read_bytes(words: &Words, slot: U256) -> Result<Bytes, Missing> {
    let head: U256 = words.one(MINERS, slot)?;
    if !head.bit(0) {
        let count = usize::from(head.byte(0) >> 1).min(31);
        return Ok(Bytes::copy_from_slice(&head.to_be_bytes::<32>()[..count]));
    }
    let count = head.wrapping_shr(1).saturating_to::<usize>().min(ENDPOINT_BYTES_MAX);
    let start = elements(slot);
    let text = words.many(MINERS, (0..count.div_ceil(32) as u64).map(|index| offset(start, index)))?;
    let mut bytes = text.into_iter().flat_map(|word| word.to_be_bytes::<32>()).collect::<Vec<_>>();
    bytes.truncate(count);
    Ok(bytes.into())
}

/// The number of an operator's miner; zero for an account without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorQuery(pub Address);

impl Query for OperatorQuery {
    type Record = u32;
    const MODULE: Address = MINERS;

    fn slots(&self) -> Vec<U256> {
        vec![entry(&self.0, BY_OPERATOR)]
    }

    fn read(&self, words: &Words) -> Result<Self::Record, Missing> {
        words.one(MINERS, entry(&self.0, BY_OPERATOR))
    }
}
