//! Keep versions of objects: write, find, and delete them.
//!
//! # Invariants
//! The current version stands under the object's own key unless it is a delete marker. All others stand among the
//! versions, newest first, and the newest of them is older than the current one. At most one version of a key is the null
//! version; if it is not current, a record says where it is.

use super::{condition::Condition, lock, uploads};
use crate::{
    record::{NULL_VERSION, Version, Versioning, decode, encode, keys, sequence},
    view::{Key, Record, Stop, View},
};
use s3s::s3_error;

/// A version with its record.
#[derive(Clone, Debug)]
pub struct Found<C> {
    /// What the gateway knows of it.
    pub version: Version,
    /// The rest.
    pub record: Record<C>,
    /// Whether it is the current one.
    pub current: bool,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Whether it made or removed a delete marker.
    pub marker: bool,
    /// The version that it made or removed.
    pub version_id: Option<String>,
}

impl<C> Found<C> {
    pub(super) fn new(record: Record<C>, current: bool) -> Self {
        let mut version: Version = decode(&record.attributes);
        if record.attributes.is_empty() {
            // Written without the gateway. A tag of this length is not taken for an MD5.
            version.etag = hex::encode(record.blake3);
            version.null = true;
            version.sequence = record.modified_ms.saturating_mul(1000);
        }
        Self { version, record, current }
    }
}

/// The current version, or the delete marker that hides the older ones.
pub fn current<V: View>(view: &mut V, key: &str) -> Result<Option<Found<V::Content>>, Stop> {
    if let Some(record) = view.get(&Key::Object(key.into()))? {
        return Ok(Some(Found::new(record, true)));
    }
    newest_below(view, key)
}

/// The newest version that is not under the object's own key.
fn newest_below<V: View>(view: &mut V, key: &str) -> Result<Option<Found<V::Content>>, Stop> {
    let newest = view.scan(&keys::version(key, u64::MAX), &keys::versions_of_end(key), 1)?;
    Ok(newest.into_iter().next().map(|(_, record)| Found::new(record, true)))
}

/// A version by its id.
pub fn by_id<V: View>(view: &mut V, key: &str, id: &str) -> Result<Option<Found<V::Content>>, Stop> {
    if let Some(found) = current(view, key)?
        && found.version.id() == id
    {
        return Ok(Some(found));
    }
    let at = match id {
        NULL_VERSION => view.get(&keys::null(key))?.map(|pointer| decode::<u64>(&pointer.attributes)),
        id => sequence(id),
    };
    let Some(at) = at else { return Ok(None) };
    let record = view.get(&keys::version(key, at))?;
    Ok(record.map(|record| Found::new(record, false)).filter(|found| found.version.id() == id))
}

/// The version that a request to read names, or the current one; a delete marker is none.
pub fn find<V: View>(view: &mut V, key: &str, id: Option<&str>) -> Result<Found<V::Content>, Stop> {
    match id {
        None => match current(view, key)? {
            Some(found) if !found.version.marker => Ok(found),
            Some(marker) => Err(gone(s3_error!(NoSuchKey), &marker.version)),
            None => Err(s3_error!(NoSuchKey).into()),
        },
        Some(id) => match by_id(view, key, id)? {
            Some(found) if !found.version.marker => Ok(found),
            Some(marker) => Err(gone(s3_error!(MethodNotAllowed), &marker.version)),
            None if id == NULL_VERSION || sequence(id).is_some() => Err(s3_error!(NoSuchVersion).into()),
            None => Err(s3_error!(InvalidArgument, "Invalid version id specified").into()),
        },
    }
}

/// An error that says that a delete marker is there.
fn gone(mut error: s3s::S3Error, marker: &Version) -> Stop {
    let mut headers = hyper::HeaderMap::new();
    headers.insert("x-amz-delete-marker", hyper::header::HeaderValue::from_static("true"));
    if let Ok(id) = marker.id().parse() {
        headers.insert("x-amz-version-id", id);
    }
    error.set_headers(headers);
    error.into()
}

/// Writes a new current version; returns what it has become.
pub fn put<V: View>(
    view: &mut V,
    versioning: Versioning,
    key: &str,
    mut record: Record<V::Content>,
    mut version: Version,
    condition: &Condition,
    now_us: u64,
) -> Result<Version, Stop> {
    check_key(key)?;
    let before = current(view, key)?;
    condition.check_write(before.as_ref())?;
    version.sequence = next_sequence(before.as_ref(), now_us);
    version.null = versioning != Versioning::Enabled;
    make_room(view, versioning, key, before)?;
    record.attributes = encode(&version)?;
    view.put(Key::Object(key.into()), record)?;
    Ok(version)
}

/// Writes a version's attributes anew.
pub fn amend<V: View>(view: &mut V, key: &str, found: Found<V::Content>) -> Result<(), Stop> {
    let Found { version, mut record, .. } = found;
    record.attributes = encode(&version)?;
    let own = Key::Object(key.into());
    let is_own = match view.get(&own)? {
        Some(there) => Found::new(there, true).version.sequence == version.sequence,
        None => false,
    };
    view.put(if is_own { own } else { keys::version(key, version.sequence) }, record)?;
    Ok(())
}

/// Hides the current version, or deletes it where versions are not kept.
pub fn delete<V: View>(
    view: &mut V,
    versioning: Versioning,
    key: &str,
    owner: Option<String>,
    condition: &Condition,
    now_us: u64,
) -> Result<Deleted, Stop> {
    let before = current(view, key)?;
    condition.check_delete(before.as_ref())?;
    if versioning == Versioning::Off {
        if let Some(found) = before {
            view.remove(&Key::Object(key.into()))?;
            discard(view, &found.version)?;
        }
        return Ok(Deleted::default());
    }
    let sequence = next_sequence(before.as_ref(), now_us);
    let null = versioning == Versioning::Suspended;
    make_room(view, versioning, key, before)?;
    view.remove(&Key::Object(key.into()))?;
    let version = Version { sequence, null, marker: true, owner, ..Version::default() };
    let record = Record { modified_ms: now_us / 1000, attributes: encode(&version)?, ..Record::default() };
    if null {
        point(view, key, sequence)?;
    }
    view.put(keys::version(key, sequence), record)?;
    Ok(Deleted { marker: true, version_id: Some(version.id()) })
}

/// Deletes one version for good; there being none is no error.
pub fn delete_version<V: View>(
    view: &mut V,
    key: &str,
    id: &str,
    bypass: bool,
    condition: &Condition,
    now_us: u64,
) -> Result<Deleted, Stop> {
    let Some(found) = by_id(view, key, id)? else {
        condition.check_delete::<V::Content>(None)?;
        if id != NULL_VERSION && sequence(id).is_none() {
            return Err(s3_error!(InvalidArgument, "Invalid version id specified").into());
        }
        return Ok(Deleted { marker: false, version_id: Some(id.into()) });
    };
    condition.check_delete(Some(&found))?;
    lock::check_removal(&found.version, bypass, now_us / 1000)?;
    remove_found(view, key, &found)?;
    Ok(Deleted { marker: found.version.marker, version_id: Some(id.into()) })
}

/// Takes a version away and lets the newest of the others be current again.
pub fn remove_found<V: View>(view: &mut V, key: &str, found: &Found<V::Content>) -> Result<(), Stop> {
    let own = Key::Object(key.into());
    let is_own = found.current && !found.version.marker;
    if is_own {
        view.remove(&own)?;
    } else {
        view.remove(&keys::version(key, found.version.sequence))?;
        if found.version.null {
            view.remove(&keys::null(key))?;
        }
    }
    discard(view, &found.version)?;
    if !found.current {
        return Ok(());
    }
    match newest_below(view, key)? {
        Some(next) if !next.version.marker => {
            view.remove(&keys::version(key, next.version.sequence))?;
            if next.version.null {
                view.remove(&keys::null(key))?;
            }
            view.put(own, next.record)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Puts the current version among the older ones, or drops it where the new one takes its place.
fn make_room<V: View>(
    view: &mut V,
    versioning: Versioning,
    key: &str,
    before: Option<Found<V::Content>>,
) -> Result<(), Stop> {
    if versioning == Versioning::Suspended {
        drop_older_null(view, key)?;
    }
    let Some(found) = before else { return Ok(()) };
    if found.version.marker {
        return Ok(());
    }
    let replaced = versioning == Versioning::Off || (versioning == Versioning::Suspended && found.version.null);
    if replaced {
        return discard(view, &found.version);
    }
    if found.version.null {
        point(view, key, found.version.sequence)?;
    }
    let mut record = found.record;
    record.attributes = encode(&found.version)?;
    view.put(keys::version(key, found.version.sequence), record)?;
    Ok(())
}

fn drop_older_null<V: View>(view: &mut V, key: &str) -> Result<(), Stop> {
    let Some(pointer) = view.get(&keys::null(key))? else { return Ok(()) };
    let at = keys::version(key, decode(&pointer.attributes));
    if let Some(record) = view.get(&at)? {
        discard(view, &Found::new(record, false).version)?;
        view.remove(&at)?;
    }
    view.remove(&keys::null(key))?;
    Ok(())
}

/// Notes where the null version is.
fn point<V: View>(view: &mut V, key: &str, sequence: u64) -> Result<(), Stop> {
    let record = Record { attributes: encode(&sequence)?, ..Record::default() };
    view.put(keys::null(key), record)?;
    Ok(())
}

/// Removes what stands beside a version that goes.
fn discard<V: View>(view: &mut V, version: &Version) -> Result<(), Stop> {
    match &version.upload {
        Some((id, _)) => uploads::forget_finished(view, id),
        None => Ok(()),
    }
}

fn next_sequence<C>(before: Option<&Found<C>>, now_us: u64) -> u64 {
    before.map_or(now_us, |found| now_us.max(found.version.sequence.saturating_add(1)))
}

/// Refuses keys that could not be kept in order.
pub fn check_key(key: &str) -> Result<(), Stop> {
    if key.contains('\0') {
        return Err(s3_error!(InvalidArgument, "a key with a zero byte cannot be stored").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
