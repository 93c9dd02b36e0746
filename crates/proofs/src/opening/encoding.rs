//! Read and write openings.

use super::{Content, FragmentChunk, OPENING_BYTES_MAX, Opening, OpeningError, Stripe, UnitChunk};
use crate::chunk::CHUNK_BYTES;
use alloy_primitives::B256;
use types::StripeLeaf;

impl Opening {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.content.encode();
        put_path(&mut bytes, &self.deep_path);
        put_path(&mut bytes, &self.response_path);
        bytes
    }

    /// Reads bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, OpeningError> {
        let mut reader = Reader::new(bytes)?;
        let opening =
            Self { content: Content::read(&mut reader)?, deep_path: reader.path()?, response_path: reader.path()? };
        reader.end()?;
        Ok(opening)
    }
}

impl Content {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OPENING_BYTES_MAX);
        match self {
            Self::Unfilled => bytes.push(0),
            Self::Stripe(stripe, fragment) => {
                bytes.push(1);
                stripe.put(&mut bytes);
                put_chunk(&mut bytes, &fragment.root, &fragment.root_path, &fragment.chunk, &fragment.path);
            }
            Self::NotOwed(stripe) => {
                bytes.push(2);
                stripe.put(&mut bytes);
            }
            Self::Idle(unit) => {
                bytes.push(3);
                put_chunk(&mut bytes, &unit.root, &unit.root_path, &unit.chunk, &unit.path);
            }
        }
        bytes
    }

    /// Reads bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, OpeningError> {
        let mut reader = Reader::new(bytes)?;
        let content = Self::read(&mut reader)?;
        reader.end()?;
        Ok(content)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, OpeningError> {
        Ok(match reader.number()? {
            0u8 => Self::Unfilled,
            1 => {
                let stripe = Stripe::read(reader)?;
                let (root, root_path, chunk, path) = reader.chunk()?;
                Self::Stripe(stripe, FragmentChunk { root, root_path, chunk, path })
            }
            2 => Self::NotOwed(Stripe::read(reader)?),
            3 => {
                let (root, root_path, chunk, path) = reader.chunk()?;
                Self::Idle(UnitChunk { root, root_path, chunk, path })
            }
            _ => return Err(OpeningError::Malformed),
        })
    }
}

impl Stripe {
    fn put(&self, bytes: &mut Vec<u8>) {
        let leaf = &self.leaf;
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(leaf.segment);
        for field in
            [leaf.territory, leaf.offset, leaf.fragment_bytes, leaf.length, leaf.committed_at_ms, leaf.term_end_ms]
        {
            bytes.extend(field.to_be_bytes());
        }
        put_path(bytes, &self.path);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, OpeningError> {
        let index = u32::from_be_bytes(reader.array()?);
        let number = |reader: &mut Reader<'_>| Ok(u64::from_be_bytes(reader.array()?));
        let leaf = StripeLeaf {
            segment: B256::from(reader.array()?),
            territory: number(reader)?,
            offset: number(reader)?,
            fragment_bytes: number(reader)?,
            length: number(reader)?,
            committed_at_ms: number(reader)?,
            term_end_ms: number(reader)?,
        };
        Ok(Self { index, leaf, path: reader.path()? })
    }
}

fn put_path(bytes: &mut Vec<u8>, path: &[B256]) {
    // No tree here is deeper than 64.
    bytes.push(u8::try_from(path.len()).unwrap_or(u8::MAX));
    bytes.extend(path.iter().flatten());
}

fn put_chunk(bytes: &mut Vec<u8>, root: &B256, root_path: &[B256], chunk: &[u8], path: &[B256]) {
    bytes.extend(root);
    put_path(bytes, root_path);
    bytes.extend(chunk);
    put_path(bytes, path);
}

/// Takes fields off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, OpeningError> {
        if bytes.len() > OPENING_BYTES_MAX { Err(OpeningError::Malformed) } else { Ok(Self(bytes)) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], OpeningError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(OpeningError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OpeningError> {
        self.take(N)?.try_into().map_err(|_| OpeningError::Malformed)
    }

    fn number(&mut self) -> Result<u8, OpeningError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn path(&mut self) -> Result<Vec<B256>, OpeningError> {
        let count = usize::from(self.number()?);
        Ok(self.take(count * 32)?.chunks_exact(32).map(B256::from_slice).collect())
    }

    #[allow(clippy::type_complexity)]
    fn chunk(&mut self) -> Result<(B256, Vec<B256>, Vec<u8>, Vec<B256>), OpeningError> {
        let root = B256::from(self.array()?);
        let root_path = self.path()?;
        let chunk = self.take(CHUNK_BYTES)?.to_vec();
        Ok((root, root_path, chunk, self.path()?))
    }

    fn end(self) -> Result<(), OpeningError> {
        if self.0.is_empty() { Ok(()) } else { Err(OpeningError::Malformed) }
    }
}
