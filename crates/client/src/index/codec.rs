//! Write and read the fields of pages: big endian, lengths first, nothing left over.

use alloy_primitives::B256;

/// Bytes are no page of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index page is malformed: {0}")]
pub struct DecodeError(pub &'static str);

/// Appends fields to a buffer.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// A length of two bytes and the bytes, of which the caller knows that there are fewer than 2^16.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).expect("fields are bounded when they are made"));
        self.raw(bytes);
    }
}

/// Takes fields off a buffer.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError("it ends early"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn hash(&mut self) -> Result<B256, DecodeError> {
        self.array::<32>().map(B256::from)
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.u16()?);
        if length > most {
            return Err(DecodeError("a field is too long"));
        }
        self.take(length)
    }

    pub(crate) fn text(&mut self, most: usize) -> Result<String, DecodeError> {
        let bytes = self.bytes(most)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError("a text is not UTF-8"))
    }

    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError("bytes follow the end")) }
    }
}
