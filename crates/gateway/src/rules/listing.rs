//! List objects, versions and uploads in pages, jumping over what a delimiter folds together.

use super::versions::Found;
use crate::{
    record::{Upload, decode, keys},
    view::{Key, Keyed, Stop, View},
};
use std::collections::VecDeque;

/// Records that are asked for at once.
const BATCH: usize = 256;
/// Most entries of a page.
pub const PAGE_MAX: usize = 1000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only keys that begin so.
    pub prefix: String,
    /// What comes after the prefix is folded up to here.
    pub delimiter: Option<String>,
    /// Only what comes behind this key.
    pub after: Option<String>,
    /// Most entries and prefixes together.
    pub max: usize,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Entries in order.
    pub entries: Vec<(String, T)>,
    /// Folded prefixes in order.
    pub prefixes: Vec<String>,
    /// Where the next page begins: the last entry's key or the last prefix. Nothing on the last page.
    pub next: Option<String>,
}

/// Lists current versions.
pub fn objects<V: View>(view: &mut V, query: &Query) -> Result<Page<Found<V::Content>>, Stop> {
    page(view, Objects(Scanner::new(keys::objects_end())), query, |_| false)
}

/// Lists all versions and delete markers, the newest of each key first; of the key `after` only those that are older than
/// the version at `below`.
pub fn versions<V: View>(view: &mut V, query: &Query, below: Option<u64>) -> Result<Page<Found<V::Content>>, Stop> {
    let source =
        Versions { objects: Scanner::new(keys::objects_end()), older: Scanner::new(keys::versions_end()), last: None };
    page(view, source, query, |found| below.is_some_and(|below| found.version.sequence < below))
}

/// An upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// Its id.
    pub id: keys::UploadId,
    /// What it will make.
    pub upload: Upload,
    /// When it began, milliseconds since 1970.
    pub begun_ms: u64,
}

/// Lists uploads; of the key `after` only those behind the upload `behind`.
pub fn uploads<V: View>(
    view: &mut V,
    query: &Query,
    behind: Option<keys::UploadId>,
) -> Result<Page<UploadEntry>, Stop> {
    let source = Uploads(Scanner::new(keys::uploads_end()));
    page(view, source, query, |entry: &UploadEntry| behind.is_some_and(|behind| entry.id > behind))
}

/// A way through entries in the order of their keys.
trait Source<V: View> {
    type Entry;

    /// Goes to the first entry whose key is not before `key`.
    fn seek(&mut self, key: &str);

    /// The next entry.
    fn next(&mut self, view: &mut V) -> Result<Option<(String, Self::Entry)>, Stop>;
}

/// `is_behind` says which entries of the key `after` itself belong to the page.
fn page<V: View, S: Source<V>>(
    view: &mut V,
    mut source: S,
    query: &Query,
    is_behind: impl Fn(&S::Entry) -> bool,
) -> Result<Page<S::Entry>, Stop> {
    let max = query.max.min(PAGE_MAX);
    let mut page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
    if max == 0 {
        return Ok(page);
    }
    let after = query.after.as_deref();
    source.seek(after.unwrap_or_default().max(&query.prefix));
    let mut last: Option<String> = None;
    while let Some((key, entry)) = source.next(view)? {
        if !key.starts_with(&query.prefix) {
            break;
        }
        if after == Some(&key) && !is_behind(&entry) {
            continue;
        }
        let folded = query.fold(&key);
        if folded.is_some() && folded == after {
            source.seek(&end_of_prefix(folded.unwrap_or_default()));
            continue;
        }
        if page.entries.len() + page.prefixes.len() == max {
            page.next = last;
            break;
        }
        match folded {
            Some(prefix) => {
                source.seek(&end_of_prefix(prefix));
                page.prefixes.push(prefix.into());
                last = Some(prefix.into());
            }
            None => {
                last = Some(key.clone());
                page.entries.push((key, entry));
            }
        }
    }
    Ok(page)
}

impl Query {
    /// What a key is folded to: up to the first delimiter behind the prefix.
    fn fold<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let at = key[self.prefix.len()..].find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }
}

/// The first text behind all that begin with a prefix.
fn end_of_prefix(prefix: &str) -> String {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // Between D7FF and E000 there are no characters.
        let next = match u32::from(last) + 1 {
            0xd800 => 0xe000,
            next => next,
        };
        if let Some(next) = char::from_u32(next) {
            characters.push(next);
            break;
        }
    }
    characters.into_iter().collect()
}

/// Reads records in batches.
struct Scanner<V: View> {
    from: Key,
    to: Key,
    batch: VecDeque<Keyed<V::Content>>,
    ended: bool,
}

impl<V: View> Scanner<V> {
    fn new(to: Key) -> Self {
        Self { from: to.clone(), to, batch: VecDeque::new(), ended: false }
    }

    fn seek(&mut self, from: Key) {
        // What is at hand already need not be asked for again.
        while self.batch.front().is_some_and(|(key, _)| *key < from) {
            self.batch.pop_front();
        }
        if self.batch.is_empty() {
            (self.from, self.ended) = (from, false);
        }
    }

    fn peek(&mut self, view: &mut V) -> Result<Option<&Keyed<V::Content>>, Stop> {
        if self.batch.is_empty() && !self.ended {
            self.batch = view.scan(&self.from, &self.to, BATCH)?.into();
            self.ended = self.batch.len() < BATCH;
            if let Some((last, _)) = self.batch.back() {
                self.from = behind(last);
            }
        }
        Ok(self.batch.front())
    }

    fn next(&mut self, view: &mut V) -> Result<Option<Keyed<V::Content>>, Stop> {
        self.peek(view)?;
        Ok(self.batch.pop_front())
    }
}

fn behind(key: &Key) -> Key {
    match key {
        Key::Object(key) => Key::Object(format!("{key}\0")),
        Key::Record(bytes) => Key::Record([bytes.as_slice(), &[0]].concat()),
    }
}

struct Objects<V: View>(Scanner<V>);

impl<V: View> Source<V> for Objects<V> {
    type Entry = Found<V::Content>;

    fn seek(&mut self, key: &str) {
        self.0.seek(Key::Object(key.into()));
    }

    fn next(&mut self, view: &mut V) -> Result<Option<(String, Self::Entry)>, Stop> {
        let Some((Key::Object(key), record)) = self.0.next(view)? else { return Ok(None) };
        Ok(Some((key, Found::new(record, true))))
    }
}

struct Versions<V: View> {
    objects: Scanner<V>,
    older: Scanner<V>,
    last: Option<String>,
}

impl<V: View> Source<V> for Versions<V> {
    type Entry = Found<V::Content>;

    fn seek(&mut self, key: &str) {
        self.objects.seek(Key::Object(key.into()));
        self.older.seek(keys::versions_from(key));
    }

    fn next(&mut self, view: &mut V) -> Result<Option<(String, Self::Entry)>, Stop> {
        let own = match self.objects.peek(view)? {
            Some((Key::Object(key), _)) => Some(key.clone()),
            _ => None,
        };
        let older = self.older.peek(view)?.and_then(|(key, _)| keys::read_version(key)).map(|(key, _)| key);
        let from_own = match (&own, &older) {
            (Some(own), Some(older)) => own <= older,
            (own, _) => own.is_some(),
        };
        let (key, scanner) = if from_own { (own, &mut self.objects) } else { (older, &mut self.older) };
        let (Some(key), Some((_, record))) = (key, scanner.next(view)?) else { return Ok(None) };
        let current = self.last.as_deref() != Some(&key);
        self.last = Some(key.clone());
        Ok(Some((key, Found::new(record, current))))
    }
}

struct Uploads<V: View>(Scanner<V>);

impl<V: View> Source<V> for Uploads<V> {
    type Entry = UploadEntry;

    fn seek(&mut self, key: &str) {
        self.0.seek(keys::uploads_from(key));
    }

    fn next(&mut self, view: &mut V) -> Result<Option<(String, Self::Entry)>, Stop> {
        let Some((key, record)) = self.0.next(view)? else { return Ok(None) };
        let Some((key, id)) = keys::read_upload(&key) else { return Ok(None) };
        let upload = decode(&record.attributes);
        Ok(Some((key, UploadEntry { id, upload, begun_ms: record.modified_ms })))
    }
}

#[cfg(test)]
mod tests;
