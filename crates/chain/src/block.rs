//! Give consensus a block: the header's encoding is what it signs.
//!
//! # Format
//! `header length (varint) ‖ header (RLP) ‖ count (varint) ‖ count × (length (varint) ‖ transaction (EIP-2718)) ‖
//! resharing length (varint) ‖ resharing payload (the consensus library's encoding; nothing in most blocks)`

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, keccak256};
use bytes::BufMut;
use commonware_codec::{Buf, Copying, Decode, Encode, EncodeSize, Error, RangeCfg, Read, Write};
use commonware_consensus::{
    Block as ConsensusBlock, BoundedBlock, CertifiableBlock, Heightable,
    types::{Epoch, Height, Round, View},
};
use commonware_cryptography::{Digestible, Signer as _, ed25519};
use commonware_glue::dkg::{
    ReshareBlock,
    network::Addresses,
    types::{EpochInfo, Payload},
};
use light::consensus::{
    Digest, ProposalContext, PublicKey, SEATS_MAX, SHARING_MODE, Variant, decode_public_key, encode_public_key,
};
use std::{fmt, sync::Arc};
use types::header::transactions_root;
use types::{ChainSpec, Header, SyncTarget, Transaction};

/// Who signs in an epoch, who will, and where they are.
pub type Info = EpochInfo<Variant, PublicKey, Addresses<PublicKey>>;
/// What a block carries of the resharing of its epoch: a dealer's log, or the next epoch's [`Info`] in its last block.
pub type Resharing = Payload<Variant, PublicKey, Addresses<PublicKey>>;

/// Most bytes of transactions in a block.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Most transactions in a block.
pub const TRANSACTIONS_MAX: usize = 32_768;

/// A block as it travels between validators: its transactions are not yet decoded.
#[derive(Clone)]
pub struct Block {
    inner: Arc<Inner>,
}

struct Inner {
    header: Header,
    header_bytes: Vec<u8>,
    hash: B256,
    context: ProposalContext,
    transactions: Vec<bytes::Bytes>,
    resharing: Option<Resharing>,
    /// Its encoding; empty for none.
    resharing_bytes: Vec<u8>,
}

impl Block {
    /// Puts a block together; nothing if its header can belong to no block.
    pub fn new(header: Header, transactions: Vec<bytes::Bytes>, resharing: Option<Resharing>) -> Option<Self> {
        let resharing_bytes = encode_resharing(resharing.as_ref());
        Self::assemble(header, transactions, (resharing, resharing_bytes))
    }

    fn assemble(
        header: Header,
        transactions: Vec<bytes::Bytes>,
        (resharing, resharing_bytes): (Option<Resharing>, Vec<u8>),
    ) -> Option<Self> {
        let logs_have_entries = [&header.state_log, &header.code_log].iter().all(|log| log.start < log.end);
        if !logs_have_entries {
            return None;
        }
        let header_bytes = header.encode();
        let context = context_of(&header).ok()?;
        let hash = keccak256(&header_bytes);
        let inner = Inner { header, header_bytes, hash, context, transactions, resharing, resharing_bytes };
        Some(Self { inner: Arc::new(inner) })
    }

    /// The block that everybody starts from. The first block applies the chain's first balances, because the state
    /// store starts empty.
    pub fn genesis(spec: &ChainSpec, state: StateCommitment, first: Info) -> Self {
        let resharing = Resharing::EpochInfo(first);
        let nobody = ed25519::PrivateKey::from_seed(0).public_key();
        let header = Header {
            parent_hash: B256::ZERO,
            height: 0,
            epoch: 0,
            view: 0,
            parent_view: 0,
            leader: encode_public_key(&nobody),
            timestamp_ms: spec.genesis_timestamp_ms,
            // The first block makes the state from the specification: whoever has another one is on another chain.
            state_root: keccak256(spec.to_toml()),
            state_log: state.state_log,
            code_log: state.code_log,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            logs_bloom: Default::default(),
            gas_used: 0,
            gas_limit: spec.gas_limit,
            base_fee_per_gas: spec.base_fee_min,
            beneficiary: Default::default(),
            seed: Default::default(),
            outbox_root: B256::ZERO,
            resharing_hash: hash_of_resharing(Some(&resharing)),
            beacon: None,
        };
        Self::new(header, Vec::new(), Some(resharing)).expect("the key of genesis is a key")
    }

    /// What the block says of itself.
    pub fn header(&self) -> &Header {
        &self.inner.header
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        self.inner.hash
    }

    /// The encoded transactions.
    pub fn transactions(&self) -> &[bytes::Bytes] {
        &self.inner.transactions
    }

    /// What the block carries of the resharing of its epoch.
    pub fn resharing(&self) -> Option<&Resharing> {
        self.inner.resharing.as_ref()
    }

    /// The block with its transactions decoded.
    pub fn with_transactions(&self, transactions: Vec<Arc<Transaction>>) -> types::Block {
        types::Block { header: self.inner.header.clone(), transactions }
    }
}

/// Roots of the state after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCommitment {
    /// What light clients prove against.
    pub root: B256,
    /// Operation log of accounts and slots.
    pub state_log: SyncTarget,
    /// Operation log of code.
    pub code_log: SyncTarget,
}

impl StateCommitment {
    /// The commitment that a header makes.
    pub fn of(header: &Header) -> Self {
        Self { root: header.state_root, state_log: header.state_log, code_log: header.code_log }
    }
}

/// The encoding of a payload; nothing of none.
fn encode_resharing(resharing: Option<&Resharing>) -> Vec<u8> {
    resharing.map(|resharing| resharing.encode().to_vec()).unwrap_or_default()
}

/// What a header says of its body's payload.
pub fn hash_of_resharing(resharing: Option<&Resharing>) -> B256 {
    hash_of_encoded(&encode_resharing(resharing))
}

fn hash_of_encoded(resharing: &[u8]) -> B256 {
    if resharing.is_empty() { B256::ZERO } else { keccak256(resharing) }
}

fn resharing_bytes_max() -> usize {
    Resharing::max_encode_size(SEATS_MAX)
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("header", self.header())
            .field("transactions", &self.transactions().len())
            .finish()
    }
}

fn context_of(header: &Header) -> Result<ProposalContext, Error> {
    Ok(ProposalContext {
        round: Round::new(Epoch::new(header.epoch), View::new(header.view)),
        leader: decode_public_key(&header.leader)?,
        parent: (View::new(header.parent_view), Digest::from(header.parent_hash.0)),
    })
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.inner.hash == other.inner.hash
    }
}

impl Eq for Block {}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        self.inner.header_bytes.write(buf);
        self.inner.transactions.write(buf);
        self.inner.resharing_bytes.write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.inner.header_bytes.encode_size()
            + self.inner.transactions.encode_size()
            + self.inner.resharing_bytes.encode_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let header = Vec::<u8>::read_cfg(buf, &(RangeCfg::from(0..=Header::ENCODED_BYTES_MAX), ()))?;
        let header = Header::decode(&header).map_err(|_| Error::Invalid("block", "header"))?;
        let sizes = (RangeCfg::from(0..=TRANSACTIONS_MAX), RangeCfg::from(0..=Transaction::SIZE_BYTES_MAX));
        let transactions = Vec::<bytes::Bytes>::read_cfg(buf, &sizes)?;
        // The hash covers the header alone: a body that does not belong to it must not get in under its name.
        if transactions_root(&transactions) != header.transactions_root {
            return Err(Error::Invalid("block", "transactions root"));
        }
        let bytes = Vec::<u8>::read_cfg(buf, &(RangeCfg::from(0..=resharing_bytes_max()), ()))?;
        // These bytes are kept: what the header names is what goes on to others.
        if hash_of_encoded(&bytes) != header.resharing_hash {
            return Err(Error::Invalid("block", "resharing hash"));
        }
        let resharing = match bytes.is_empty() {
            true => None,
            false => Some(Resharing::decode_cfg(Copying(&bytes), &(SEATS_MAX, SHARING_MODE))?),
        };
        Self::assemble(header, transactions, (resharing, bytes)).ok_or(Error::Invalid("block", "header fields"))
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(_: &()) -> usize {
        Header::ENCODED_BYTES_MAX + BODY_BYTES_MAX + TRANSACTIONS_MAX * 4 + resharing_bytes_max() + 24
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        Digest::from(self.inner.hash.0)
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.inner.header.height)
    }
}

impl ConsensusBlock for Block {
    fn parent(&self) -> Digest {
        Digest::from(self.inner.header.parent_hash.0)
    }
}

impl CertifiableBlock for Block {
    type Context = ProposalContext;

    fn context(&self) -> ProposalContext {
        self.inner.context.clone()
    }
}

impl ReshareBlock for Block {
    type Variant = Variant;
    type PublicKey = PublicKey;
    type Directory = Addresses<PublicKey>;

    fn payload(&self) -> Option<Resharing> {
        self.inner.resharing.clone()
    }
}
