//! Keep documents about a bucket: settings, policy, CORS, lifecycle, tags and what else S3 stores for it.

use crate::{
    record::{ATTRIBUTES_BYTES_MAX, Settings, decode, encode, keys},
    view::{Record, Stop, View},
};
use s3s::s3_error;

/// Name of the settings.
const SETTINGS: &str = "settings";
/// Most pieces of a document.
const PIECES_MAX: u8 = 8;

/// Reads a document.
pub fn read<V: View>(view: &mut V, name: &str) -> Result<Option<Vec<u8>>, Stop> {
    let pieces = view.scan(&keys::document(name, 0), &keys::document(name, PIECES_MAX), usize::from(PIECES_MAX))?;
    if pieces.is_empty() {
        return Ok(None);
    }
    Ok(Some(pieces.into_iter().flat_map(|(_, record)| record.attributes).collect()))
}

/// Writes a document in place of the one that is there.
pub fn write<V: View>(view: &mut V, name: &str, document: &[u8], now_ms: u64) -> Result<(), Stop> {
    if document.len() > usize::from(PIECES_MAX) * ATTRIBUTES_BYTES_MAX {
        return Err(s3_error!(EntityTooLarge, "a configuration has at most 64 KiB").into());
    }
    remove(view, name)?;
    for (piece, bytes) in (0..).zip(document.chunks(ATTRIBUTES_BYTES_MAX)) {
        let record = Record { modified_ms: now_ms, attributes: bytes.to_vec(), ..Record::default() };
        view.put(keys::document(name, piece), record)?;
    }
    Ok(())
}

/// Removes a document if there is one.
pub fn remove<V: View>(view: &mut V, name: &str) -> Result<(), Stop> {
    for (key, _) in view.scan(&keys::document(name, 0), &keys::document(name, PIECES_MAX), usize::from(PIECES_MAX))? {
        view.remove(&key)?;
    }
    Ok(())
}

/// The bucket's settings; one that was made without the gateway has the default ones.
pub fn settings<V: View>(view: &mut V) -> Result<Settings, Stop> {
    Ok(decode(&read(view, SETTINGS)?.unwrap_or_default()))
}

/// Writes the bucket's settings.
pub fn set_settings<V: View>(view: &mut V, settings: &Settings, now_ms: u64) -> Result<(), Stop> {
    write(view, SETTINGS, &encode(settings)?, now_ms)
}
