//! Write places and pieces to disk, and read them back.
//!
//! # Format
//! A place: the segment's identity (32 bytes), the start (`u32`, big-endian). A piece: its length (`u32`, big-endian), its
//! bytes. The library wraps both with checksums; files of another version of it are not read.

use crate::{PIECE_BYTES_MAX, Piece, Place};
use bytes::Bytes;
use foyer::{Code, Error, ErrorKind, Result};
use std::io::{Read, Write};
use types::SegmentId;

const ID_BYTES: usize = 32;
const NUMBER_BYTES: usize = 4;

impl Code for Place {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        writer.write_all(self.segment.as_slice()).map_err(Error::io_error)?;
        writer.write_all(&self.start.to_be_bytes()).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> Result<Self> {
        let mut segment = [0; ID_BYTES];
        reader.read_exact(&mut segment).map_err(Error::io_error)?;
        Ok(Self { segment: SegmentId::from(segment), start: number(reader)? })
    }

    fn estimated_size(&self) -> usize {
        ID_BYTES + NUMBER_BYTES
    }
}

impl Code for Piece {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        writer.write_all(&(self.0.len() as u32).to_be_bytes()).map_err(Error::io_error)?;
        writer.write_all(&self.0).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> Result<Self> {
        let length = number(reader)? as usize;
        if length > PIECE_BYTES_MAX {
            return Err(Error::new(ErrorKind::Parse, "a piece is too long"));
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).map_err(Error::io_error)?;
        Ok(Self(Bytes::from(bytes)))
    }

    fn estimated_size(&self) -> usize {
        NUMBER_BYTES + self.0.len()
    }
}

fn number(reader: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; NUMBER_BYTES];
    reader.read_exact(&mut bytes).map_err(Error::io_error)?;
    Ok(u32::from_be_bytes(bytes))
}
