//! Put objects: one file or stream, or a whole folder packed into shared segments.

use crate::{
    ChainError, Client,
    body::{Body, NewPart, Source as Part},
    bucket::{Bucket, BucketError},
    chain::Network,
    index::{Condition, Conflict, Entry, EntryError, Key, SegmentRef, page::OBJECT_KEY_BYTES_MAX},
    journal::{Journal, Upload},
    object::{DraftPart, ObjectWriter, Resume, verify_recorded},
    pages::IndexError,
    progress::Progress,
    store::View,
    update::{Asked, Placement, Update, UpdateError, Updated, unused_in},
    write::{Assembler, Place, WriteError},
};
use alloy_primitives::B256;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::io::AsyncRead;

/// Unused segments that an update may leave behind before it releases them.
const UNUSED_MAX: usize = 16;

/// Where the bytes of an object come from.
pub enum Source {
    /// A file. Its upload can be resumed.
    File(PathBuf),
    /// A stream.
    Stream {
        /// Gives the bytes.
        reader: Box<dyn AsyncRead + Send + Unpin>,
        /// How many there are, exactly, if that is known.
        size: Option<u64>,
    },
}

impl Source {
    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<bytes::Bytes>) -> Self {
        let bytes = bytes.into();
        let size = Some(bytes.len() as u64);
        Self::Stream { reader: Box::new(io::Cursor::new(bytes)), size }
    }
}

/// What a put does beside storing bytes.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// MIME type.
    pub content_type: String,
    /// What to note beside.
    pub metadata: BTreeMap<String, String>,
    /// What must hold of the object that is there.
    pub when: Condition,
    /// Folder for the journal by which an upload of a file goes on after a crash.
    pub resume_folder: Option<PathBuf>,
    /// Receives events.
    pub progress: Progress,
}

/// What a put did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutReport {
    /// Objects put.
    pub objects: usize,
    /// Bytes of plaintext.
    pub bytes: u64,
    /// BLAKE3 of the plaintext; zero for a folder.
    pub etag: B256,
    /// Segments written or adopted.
    pub segments: usize,
    /// Volumes that they are in.
    pub volumes: BTreeSet<u32>,
    /// Whether some members do not hold their fragments yet: the object is safe, but not against as many losses.
    pub degraded: bool,
    /// Transactions that committed segments, the last one with the bucket's root.
    pub transactions: Vec<B256>,
}

/// Why a put failed.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The bucket is the problem.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The bytes could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The index could not be updated.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The key cannot be one.
    #[error("an object's key has 1 to {OBJECT_KEY_BYTES_MAX} bytes, unlike {key:?}")]
    Key {
        /// The key.
        key: String,
    },
    /// What is to be noted beside the object is too much.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The source cannot be read.
    #[error("cannot read the source: {0}")]
    Source(#[source] io::Error),
    /// The source has another length than it had.
    #[error("the source changed while it was read: try again")]
    SourceChanged,
    /// Nobody can store that much under one key.
    #[error("an object has at most 256 TiB")]
    TooLarge,
}

impl PutError {
    pub(crate) fn source(error: io::Error) -> Self {
        Self::Source(error)
    }

    /// Whether a condition on the object that is there did not hold.
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Update(UpdateError::Conflict(conflict)) => Some(conflict),
            _ => None,
        }
    }
}

impl From<IndexError> for PutError {
    fn from(error: IndexError) -> Self {
        Self::Update(error.into())
    }
}

impl Client {
    /// Puts an object. Returns when it is final.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        source: Source,
        options: PutOptions,
    ) -> Result<PutReport, PutError> {
        let mut put = Put::start(self, bucket, options).await?;
        let draft = put.object(key, source).await?;
        let (etag, bytes) = (draft.body.etag(), draft.body.size());
        let report = put.finish(vec![draft]).await?;
        Ok(PutReport { etag, bytes, ..report })
    }

    /// Puts every file of a folder under keys that begin with `prefix`, with one update of the index.
    pub async fn put_folder(
        &self,
        bucket: &str,
        prefix: &str,
        folder: &Path,
        options: PutOptions,
    ) -> Result<PutReport, PutError> {
        let walked = folder.to_owned();
        let files = offload::run(move || files_below(&walked)).await.expect("walking does not panic");
        let files = files.map_err(PutError::Source)?;
        // A journal is of one file.
        let mut put = Put::start(self, bucket, PutOptions { resume_folder: None, ..options }).await?;
        put.expected_bytes = files.iter().map(|(_, size)| *size).sum();
        let mut drafts = Vec::with_capacity(files.len());
        for (path, _) in files {
            let name = path.strip_prefix(folder).expect("it was found below").to_string_lossy().replace('\\', "/");
            drafts.push(put.object(&format!("{prefix}{name}"), Source::File(path)).await?);
        }
        let bytes = drafts.iter().map(|draft| draft.body.size()).sum();
        let report = put.finish(drafts).await?;
        Ok(PutReport { bytes, ..report })
    }
}

/// An object whose bytes are in segments, before these have names.
struct Draft {
    key: String,
    body: Body,
    /// Where each part of the body lies.
    places: Vec<Vec<Place>>,
}

impl Draft {
    fn new(key: &str, bucket: &Bucket, etag: B256, parts: Vec<DraftPart>) -> Self {
        let mut places = Vec::with_capacity(parts.len());
        let part = |part: DraftPart| {
            places.push(part.places);
            NewPart::placed(bucket.id, part.key, part.plain_length)
        };
        let parts = parts.into_iter().map(part).collect();
        Self { key: key.to_owned(), body: Body::new(etag, parts), places }
    }
}

/// A put under way.
struct Put<'a> {
    client: &'a Client,
    bucket: Arc<Bucket>,
    session: Arc<crate::write::Session>,
    options: PutOptions,
    modified_ms: u64,
    expected_bytes: u64,
    assembler: Option<Assembler>,
    journal: Option<Arc<Journal>>,
    /// Segments of an earlier attempt that are of no use.
    unused: Vec<SegmentRef>,
}

impl<'a> Put<'a> {
    async fn start(client: &'a Client, name: &str, options: PutOptions) -> Result<Self, PutError> {
        let (bucket, record) = client.open_bucket(name).await?;
        let profile = client.profile_of(name, &record)?;
        let session = client.session(record.territory, record.policy, profile);
        let modified_ms = client.chain().head().await?.timestamp_ms;
        Ok(Self {
            client,
            bucket,
            session,
            options,
            modified_ms,
            expected_bytes: 0,
            assembler: None,
            journal: None,
            unused: Vec::new(),
        })
    }

    /// Reads one object into segments.
    async fn object(&mut self, key: &str, source: Source) -> Result<Draft, PutError> {
        if key.is_empty() || key.len() > OBJECT_KEY_BYTES_MAX {
            return Err(PutError::Key { key: key.to_owned() });
        }
        match source {
            Source::File(path) => self.file(key, &path).await,
            Source::Stream { mut reader, size } => {
                self.expect(size.unwrap_or_default());
                let (assembler, progress) = (self.assembler(), self.options.progress.clone());
                let bucket = self.bucket.clone();
                let mut assembler = assembler;
                let mut writer = ObjectWriter::new(&mut assembler, &bucket, &progress);
                match size {
                    Some(size) => {
                        writer.write_sized(&mut *reader, size).await?;
                        require_end(&mut *reader).await?;
                    }
                    None => {
                        writer.write_unsized(&mut *reader).await?;
                    }
                }
                let (etag, parts) = writer.finish();
                self.assembler = Some(assembler);
                Ok(Draft::new(key, &bucket, etag, parts))
            }
        }
    }

    async fn file(&mut self, key: &str, path: &Path) -> Result<Draft, PutError> {
        let mut file = tokio::fs::File::open(path).await.map_err(PutError::Source)?;
        let size = file.metadata().await.map_err(PutError::Source)?.len();
        self.expect(size);
        let resume = self.resume(key, path, size).await?;
        let (mut assembler, progress) = (self.assembler(), self.options.progress.clone());
        let bucket = self.bucket.clone();
        let mut writer = ObjectWriter::new(&mut assembler, &bucket, &progress);
        match resume {
            Some(resume) => writer.write_resumable(&mut file, size, resume).await?,
            None => writer.write_sized(&mut file, size).await?,
        }
        require_end(&mut file).await?;
        let (etag, parts) = writer.finish();
        self.assembler = Some(assembler);
        Ok(Draft::new(key, &bucket, etag, parts))
    }

    /// Opens the journal of a file that takes more than one segment, if journals are wanted.
    async fn resume(&mut self, key: &str, path: &Path, size: u64) -> Result<Option<Resume>, PutError> {
        let Some(folder) = self.options.resume_folder.clone() else { return Ok(None) };
        let storage = &self.client.spec().storage;
        let probe = self.new_assembler();
        if size <= probe.segment_bytes_max() as u64 {
            return Ok(None);
        }
        let upload = Upload::new(self.bucket.id, key, size, self.session.profile, storage.slot_bytes);
        let opened = offload::run(move || Journal::open(&folder, &upload)).await;
        let (journal, recorded) = opened.expect("reading a journal does not panic")?;
        let staged = recorded.parts.values().flat_map(|part| part.segments.values().filter_map(|one| one.staged));
        let all: Vec<SegmentRef> = staged.chain(recorded.void.iter().copied()).collect();
        let live = self.live(&all).await?;
        let parts = verify_recorded(&probe, &self.bucket, path, size, &recorded, &live).await?;
        let voided = recorded.parts.iter().filter(|(number, _)| !parts.contains_key(number));
        let voided = voided.flat_map(|(_, part)| part.segments.values().filter_map(|one| one.staged));
        let unused = voided.chain(recorded.void.iter().copied()).filter(|segment| live.contains(&segment.id));
        self.unused.extend(unused);
        let journal = Arc::new(journal);
        self.journal = Some(journal.clone());
        Ok(Some(Resume { journal, parts }))
    }

    /// Those segments that the chain has.
    async fn live(&self, segments: &[SegmentRef]) -> Result<BTreeSet<B256>, PutError> {
        let places: Vec<_> = segments.iter().map(|segment| (segment.volume, segment.id)).collect();
        let positions = Network(&**self.client.chain()).positions(&places).await?;
        let live = places.into_iter().zip(positions).filter(|(_, position)| *position > 0);
        Ok(live.map(|((_, segment), _)| segment).collect())
    }

    fn expect(&mut self, bytes: u64) {
        self.expected_bytes = self.expected_bytes.max(bytes);
    }

    fn assembler(&mut self) -> Assembler {
        self.assembler.take().unwrap_or_else(|| self.new_assembler())
    }

    fn new_assembler(&self) -> Assembler {
        let memory = self.client.put_memory().clone();
        let (progress, journal) = (self.options.progress.clone(), self.journal.clone());
        Assembler::new(self.session.clone(), memory, self.expected_bytes, progress, journal)
    }

    /// Commits with the new root.
    async fn finish(mut self, drafts: Vec<Draft>) -> Result<PutReport, PutError> {
        let objects = drafts.len();
        let mut assembler = self.assembler();
        if objects == 0 {
            return Ok(PutReport::default());
        }
        // Others that wait for their turn with this bucket may hold all that sources may take.
        assembler.set_memory(self.client.commit_memory().clone());
        let mut placement = Placement::default();
        let mut puts: Vec<(String, Body)> = Vec::with_capacity(objects);
        for Draft { key, body, places } in drafts {
            for (source, places) in body.sources.iter().zip(places) {
                if let Part::Part(part) = source {
                    placement.insert(part, places);
                }
            }
            puts.push((key, body));
        }
        let entry = Entry {
            modified_ms: self.modified_ms,
            content_type: self.options.content_type.clone(),
            metadata: self.options.metadata.clone(),
            ..Entry::default()
        };
        let when = self.options.when;
        let mut change = Asked::new(|view: &mut View<'_>| {
            for (key, body) in &puts {
                let tree_key = Key::object(key);
                when.check(key, view.get(&tree_key)?)?;
                view.put(tree_key, entry.clone(), Some(body))?;
            }
            Ok::<_, UpdateError>(())
        });
        let unused = std::mem::take(&mut self.unused);
        let progress = &self.options.progress;
        let update = Update { bucket: &self.bucket, assembler: &mut assembler, progress, placement, unused };
        let Updated { root, .. } = update.run(std::slice::from_mut(&mut change)).await?;
        if let Some(Err(error)) = change.said {
            return Err(error.into());
        }
        if let Some(journal) = &self.journal {
            journal.remove()?;
        }
        // A few are left to the next update, which saves a transaction for each.
        let unused: Vec<_> = unused_in(&root.page.delta).collect();
        if unused.len() >= UNUSED_MAX
            && let Err(error) = self.client.release(unused).await
        {
            tracing::warn!(%error, "segments out of use were not released; a later update will try again");
        }
        let (segments, volumes) = assembler.segments_used();
        let committed = assembler.report();
        Ok(PutReport {
            objects,
            bytes: 0,
            etag: B256::ZERO,
            segments,
            volumes,
            degraded: committed.degraded,
            transactions: committed.transactions.clone(),
        })
    }
}

/// A source must end where it said.
pub(crate) async fn require_end(source: &mut (dyn AsyncRead + Send + Unpin)) -> Result<(), PutError> {
    use tokio::io::AsyncReadExt;
    match source.read(&mut [0]).await.map_err(PutError::Source)? {
        0 => Ok(()),
        _ => Err(PutError::SourceChanged),
    }
}

/// All files below a folder, in order, with their sizes. Links are not followed.
fn files_below(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push((entry.path(), entry.metadata()?.len()));
            }
        }
    }
    files.sort();
    Ok(files)
}
