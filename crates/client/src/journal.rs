//! Keep on disk what an upload has sealed, so that it can go on after a crash.
//!
//! # Design
//! A content key must never seal two plaintexts. So the hash of what a segment will hold is on disk before any of it is
//! sent, and an upload that goes on uses a part's key again only if everything recorded under it still hashes to the
//! same; otherwise the part begins anew under another key. Hashes are keyed with the content key, and the key is kept
//! wrapped: the journal tells nothing to whoever finds it.
//!
//! # Format
//! One JSON object a line: the upload, then records as they come. A torn last line counts as not written.

use crate::{
    index::SegmentRef,
    write::{Filled, WriteError},
};
use alloy_primitives::{B256, Bytes};
use parking_lot::Mutex;
use sealing::ContentKey;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use types::{BucketId, Profile};

const VERSION: u32 = 1;
/// No journal is longer: 100 TiB in segments of 8 MiB.
const BYTES_MAX: u64 = 8 << 30;

/// Which upload a journal is of. Another source size, bucket or code is another upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) version: u32,
    pub(crate) bucket: BucketId,
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) profile: Profile,
    pub(crate) slot_bytes: u64,
}

impl Upload {
    pub(crate) fn new(bucket: BucketId, key: &str, size: u64, profile: Profile, slot_bytes: u64) -> Self {
        Self { version: VERSION, bucket, key: key.to_owned(), size, profile, slot_bytes }
    }
}

/// What a segment holds: the chunks of a part, by number.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) part: u32,
    pub(crate) segment: u32,
    pub(crate) key: ContentKey,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
enum Record {
    /// A part is sealed under this key from now on; what was recorded of it before is void.
    Part { part: u32, wrapped_key: Bytes },
    /// A segment with this plaintext is about to be sealed.
    Sealing { part: u32, segment: u32, plaintext: B256 },
    /// It is staged.
    Staged { part: u32, segment: u32, id: B256, volume: u32, length: u32 },
}

/// What a journal says of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedPart {
    pub(crate) wrapped_key: Bytes,
    pub(crate) segments: BTreeMap<u32, RecordedSegment>,
}

/// What a journal says of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedSegment {
    /// Keyed hash of its plaintext.
    pub(crate) plaintext: B256,
    /// Where it was staged last.
    pub(crate) staged: Option<SegmentRef>,
}

/// Everything of an earlier attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Parts as they count.
    pub(crate) parts: BTreeMap<u32, RecordedPart>,
    /// Segments of parts that were begun anew.
    pub(crate) void: Vec<SegmentRef>,
}

/// The journal of one upload.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of an upload in a folder and reads what is there.
    pub(crate) fn open(folder: &Path, upload: &Upload) -> Result<(Self, Recorded), WriteError> {
        let name = blake3::hash(&[upload.bucket.as_slice(), upload.key.as_bytes()].concat()).to_hex();
        let path = folder.join(format!("{}.journal", &name[..32]));
        Self::open_at(&path, upload).map_err(|error| failed(&path, error))
    }

    fn open_at(path: &Path, upload: &Upload) -> io::Result<(Self, Recorded)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = match fs::metadata(path) {
            Ok(metadata) if metadata.len() <= BYTES_MAX => fs::read(path)?,
            Ok(_) => Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (recorded, valid_bytes) = read(&text, upload);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        // A torn line, or the journal of another upload, makes way.
        file.set_len(valid_bytes)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        if valid_bytes == 0 {
            append(&mut file, upload)?;
        }
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok((Self { path: path.to_owned(), file: Mutex::new(file) }, recorded))
    }

    /// Records the key that a part is sealed under.
    pub(crate) fn part(&self, part: u32, wrapped_key: &[u8]) -> Result<(), WriteError> {
        self.append(&Record::Part { part, wrapped_key: Bytes::copy_from_slice(wrapped_key) }, true)
    }

    /// Records what is about to be sealed; it is on disk afterwards.
    pub(crate) fn sealing(&self, note: &Note, filled: &Filled) -> Result<(), WriteError> {
        let plaintext = filled.plaintext_hash(note.key.as_bytes());
        self.append(&Record::Sealing { part: note.part, segment: note.segment, plaintext }, true)
    }

    /// Records where a segment was staged.
    pub(crate) fn staged(&self, note: &Note, segment: SegmentRef) -> Result<(), WriteError> {
        let SegmentRef { id, volume, length } = segment;
        self.append(&Record::Staged { part: note.part, segment: note.segment, id, volume, length }, false)
    }

    /// Removes the journal of an upload that is complete.
    pub(crate) fn remove(&self) -> Result<(), WriteError> {
        fs::remove_file(&self.path).map_err(|error| failed(&self.path, error))
    }

    fn append(&self, record: &Record, sync: bool) -> Result<(), WriteError> {
        let mut file = self.file.lock();
        let written = append(&mut file, record).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        written.map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: io::Error) -> WriteError {
    WriteError::Journal { path: path.display().to_string(), reason: error.to_string() }
}

fn append(file: &mut File, record: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// The records of this upload, and how many bytes are whole lines of it.
fn read(text: &[u8], upload: &Upload) -> (Recorded, u64) {
    let mut recorded = Recorded::default();
    let mut valid_bytes = 0;
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let understood = match number {
            0 => serde_json::from_slice::<Upload>(line).is_ok_and(|other| other == *upload),
            _ => serde_json::from_slice(line).is_ok_and(|record| recorded.add(record)),
        };
        if !understood {
            break;
        }
        valid_bytes += line.len() as u64;
    }
    (recorded, valid_bytes)
}

impl Recorded {
    /// Takes a record in; false if it makes no sense after the others.
    fn add(&mut self, record: Record) -> bool {
        match record {
            Record::Part { part, wrapped_key } => {
                let before = self.parts.insert(part, RecordedPart { wrapped_key, segments: BTreeMap::new() });
                let staged = before.into_iter().flat_map(|before| before.segments.into_values());
                self.void.extend(staged.filter_map(|segment| segment.staged));
                true
            }
            Record::Sealing { part, segment, plaintext } => {
                let Some(part) = self.parts.get_mut(&part) else { return false };
                let staged = part.segments.get(&segment).and_then(|before| before.staged);
                part.segments.insert(segment, RecordedSegment { plaintext, staged });
                true
            }
            Record::Staged { part, segment, id, volume, length } => {
                let recorded = self.parts.get_mut(&part).and_then(|part| part.segments.get_mut(&segment));
                let Some(recorded) = recorded else { return false };
                recorded.staged = Some(SegmentRef { id, volume, length });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
