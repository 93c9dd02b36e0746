//! Take uploads of several parts: begin, add parts, list, complete, abort.

use super::{condition::Condition, versions};
use crate::{
    checksum,
    record::{
        ATTRIBUTES_BYTES_MAX, Checksum, ChecksumKind, Completed, FinishedPart, Part, Upload, Version, Versioning,
        decode, encode,
        keys::{self, UploadId},
    },
    view::{Record, Stop, View},
};
use s3s::s3_error;

/// Most parts of an upload.
pub const PARTS_MAX: u16 = 10_000;
/// Fewest bytes of a part that is not the last.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// Parts of a finished object that one record tells of.
const FINISHED_PER_PIECE: usize = 60;

/// Reads an upload's id.
pub fn parse_id(text: &str) -> Result<UploadId, Stop> {
    let id = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    id.ok_or_else(|| s3_error!(NoSuchUpload).into())
}

/// Begins an upload.
pub fn begin<V: View>(
    view: &mut V,
    key: &str,
    id: &UploadId,
    upload: &Upload,
    record: Record<V::Content>,
) -> Result<(), Stop> {
    versions::check_key(key)?;
    view.put(keys::upload(key, id), Record { attributes: encode(upload)?, ..record })?;
    Ok(())
}

/// An upload under way.
pub fn find<V: View>(view: &mut V, key: &str, id: &UploadId) -> Result<(Upload, Record<V::Content>), Stop> {
    let record = view.get(&keys::upload(key, id))?.ok_or_else(|| s3_error!(NoSuchUpload))?;
    Ok((decode(&record.attributes), record))
}

/// Adds a part, or puts it in place of an earlier one of its number.
pub fn put_part<V: View>(
    view: &mut V,
    key: &str,
    id: &UploadId,
    number: u16,
    part: &Part,
    record: Record<V::Content>,
) -> Result<(), Stop> {
    find(view, key, id)?;
    view.put(keys::part(id, number), Record { attributes: encode(part)?, ..record })?;
    Ok(())
}

/// A part with its record.
pub type StoredPart<C> = (u16, Part, Record<C>);

/// Parts behind a number, at most so many.
pub fn parts<V: View>(
    view: &mut V,
    id: &UploadId,
    after: u16,
    limit: usize,
) -> Result<Vec<StoredPart<V::Content>>, Stop> {
    let from = after.checked_add(1).map_or_else(|| keys::parts_end(id), |first| keys::part(id, first));
    let found = view.scan(&from, &keys::parts_end(id), limit)?;
    let read = found
        .into_iter()
        .filter_map(|(key, record)| Some((keys::read_part(&key)?, decode(&record.attributes), record)));
    Ok(read.collect())
}

/// Removes an upload with all its parts.
pub fn abort<V: View>(view: &mut V, key: &str, id: &UploadId) -> Result<(), Stop> {
    find(view, key, id)?;
    remove(view, key, id)
}

fn remove<V: View>(view: &mut V, key: &str, id: &UploadId) -> Result<(), Stop> {
    for (number, ..) in parts(view, id, 0, usize::from(PARTS_MAX))? {
        view.remove(&keys::part(id, number))?;
    }
    view.remove(&keys::upload(key, id))?;
    Ok(())
}

/// A part as the request to complete names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedPart {
    /// Its number.
    pub number: u16,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its checksum in base64.
    pub checksum: Option<String>,
}

/// A request to complete an upload.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The parts in their order.
    pub parts: Vec<NamedPart>,
    /// What the whole object's checksum has to be.
    pub checksum: Option<String>,
    /// What the whole object's size has to be.
    pub size: Option<u64>,
    /// What has to hold of the object that is there.
    pub condition: Condition,
}

/// Makes an object of the parts; no byte is read. The same request again finds what the first has made.
pub fn complete<V: View>(
    view: &mut V,
    versioning: Versioning,
    key: &str,
    id: &UploadId,
    completion: &Completion,
    now_us: u64,
) -> Result<Version, Stop> {
    let Some(begun) = view.get(&keys::upload(key, id))? else { return completed_before(view, key, id) };
    let upload: Upload = decode(&begun.attributes);
    let stored = parts(view, id, 0, usize::from(PARTS_MAX))?;
    let chosen = choose(&completion.parts, &stored)?;
    let size: u64 = chosen.iter().map(|(_, _, record)| record.size).sum();
    if completion.size.is_some_and(|named| named != size) {
        return Err(s3_error!(InvalidRequest, "the object's size is {size}").into());
    }
    let checksum = whole_checksum(&upload, &chosen)?;
    if let (Some(named), Some(checksum)) = (&completion.checksum, &checksum)
        && !is_same_checksum(named, &checksum.value)
    {
        return Err(s3_error!(BadDigest, "the object's checksum is {}", checksum.value).into());
    }
    let contents = chosen.iter().map(|(_, _, record)| record.content.clone()).collect();
    let version = Version {
        etag: checksum::etag_of_parts(chosen.iter().map(|(_, part, _)| part.etag.as_str())),
        checksum,
        upload: Some((hex::encode(id), chosen.len() as u32)),
        ..upload.version
    };
    let content = view.join(contents)?;
    let record = Record { size, modified_ms: now_us / 1000, content, attributes: Vec::new(), ..begun };
    let version = versions::put(view, versioning, key, record, version, &completion.condition, now_us)?;
    note_finished(view, id, &chosen, now_us / 1000)?;
    remove(view, key, id)?;
    let done = Completed { key: key.into(), version: version.clone() };
    view.put(
        keys::completed(id),
        Record { modified_ms: now_us / 1000, attributes: encode(&done)?, ..Record::default() },
    )?;
    Ok(version)
}

fn completed_before<V: View>(view: &mut V, key: &str, id: &UploadId) -> Result<Version, Stop> {
    let done = view.get(&keys::completed(id))?.map(|record| decode::<Completed>(&record.attributes));
    match done.filter(|done| done.key == key) {
        Some(done) => Ok(done.version),
        None => Err(s3_error!(NoSuchUpload).into()),
    }
}

/// The stored parts that a request names.
fn choose<'a, C>(named: &[NamedPart], stored: &'a [StoredPart<C>]) -> Result<Vec<&'a StoredPart<C>>, Stop> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload is completed with at least one part").into());
    }
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(s3_error!(InvalidPartOrder).into());
    }
    let mut chosen = Vec::with_capacity(named.len());
    for named in named {
        let at = stored.binary_search_by_key(&named.number, |(number, ..)| *number);
        let found = at.ok().map(|at| &stored[at]).filter(|(_, part, _)| part.etag == named.etag);
        let found = found.ok_or_else(|| s3_error!(InvalidPart, "there is no part {} with this tag", named.number))?;
        if let (Some(value), Some(checksum)) = (&named.checksum, &found.1.checksum)
            && *value != checksum.value
        {
            return Err(s3_error!(InvalidPart, "part {} has another checksum", named.number).into());
        }
        chosen.push(found);
    }
    if chosen[..chosen.len() - 1].iter().any(|(_, _, record)| record.size < PART_BYTES_MIN) {
        return Err(s3_error!(EntityTooSmall, "every part but the last has at least 5 MiB").into());
    }
    Ok(chosen)
}

fn whole_checksum<C>(upload: &Upload, chosen: &[&StoredPart<C>]) -> Result<Option<Checksum>, Stop> {
    let Some((algorithm, kind)) = upload.algorithm else { return Ok(None) };
    let parts: Option<Vec<(&str, u64)>> =
        chosen.iter().map(|(_, part, record)| Some((part.checksum.as_ref()?.value.as_str(), record.size))).collect();
    let Some(parts) = parts else {
        return Err(s3_error!(InvalidRequest, "a part was uploaded without the upload's checksum").into());
    };
    let value = match kind {
        ChecksumKind::Composite => checksum::composite(algorithm, &parts),
        ChecksumKind::Full => checksum::combine(algorithm, &parts),
    };
    let value = value.ok_or_else(|| s3_error!(InvalidRequest, "these checksums cannot be combined"))?;
    Ok(Some(Checksum { algorithm, value, kind }))
}

/// Composite checksums may be named without the number of parts.
fn is_same_checksum(named: &str, value: &str) -> bool {
    named == value || value.split_once('-').is_some_and(|(bare, _)| bare == named)
}

fn note_finished<V: View>(
    view: &mut V,
    id: &UploadId,
    chosen: &[&StoredPart<V::Content>],
    now_ms: u64,
) -> Result<(), Stop> {
    let finished: Vec<FinishedPart> = chosen
        .iter()
        .map(|(number, part, record)| FinishedPart {
            number: *number,
            size: record.size,
            checksum: part.checksum.as_ref().map(|checksum| checksum.value.clone()),
        })
        .collect();
    for (piece, parts) in (0..).zip(finished.chunks(FINISHED_PER_PIECE)) {
        let attributes = encode(&parts)?;
        debug_assert!(attributes.len() <= ATTRIBUTES_BYTES_MAX);
        view.put(keys::finished(id, piece), Record { modified_ms: now_ms, attributes, ..Record::default() })?;
    }
    Ok(())
}

/// The parts that a finished object was made of.
pub fn finished<V: View>(view: &mut V, id: &str) -> Result<Vec<FinishedPart>, Stop> {
    let id = parse_id(id)?;
    let pieces = view.scan(&keys::finished(&id, 0), &keys::finished_end(&id), pieces_max())?;
    Ok(pieces.into_iter().flat_map(|(_, record)| decode::<Vec<FinishedPart>>(&record.attributes)).collect())
}

/// Forgets them with the object.
pub fn forget_finished<V: View>(view: &mut V, id: &str) -> Result<(), Stop> {
    let Ok(id) = parse_id(id) else { return Ok(()) };
    for (key, _) in view.scan(&keys::finished(&id, 0), &keys::finished_end(&id), pieces_max())? {
        view.remove(&key)?;
    }
    Ok(())
}

fn pieces_max() -> usize {
    usize::from(PARTS_MAX).div_ceil(FINISHED_PER_PIECE)
}

#[cfg(test)]
mod tests;
