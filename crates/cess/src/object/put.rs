//! Store a file, a folder, or standard input.

use super::progress::{Direction, Transfer};
use crate::{
    cli::{ObjectUrl, PutArgs, format_bytes},
    print,
    session::Session,
};
use alloy_primitives::B256;
use anyhow::{Context, Result, bail, ensure};
use client::{PutOptions, PutReport, Source};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// `cess object put --json`
#[derive(Serialize)]
struct PutView {
    url: String,
    objects: usize,
    bytes: u64,
    /// Absent for a folder.
    etag: Option<B256>,
    segments: usize,
    volumes: BTreeSet<u32>,
    degraded: bool,
    transactions: Vec<B256>,
    seconds: f64,
}

/// Does what `cess object put` says.
pub async fn put(arguments: PutArgs, session: &Session) -> Result<()> {
    let PutArgs { path, url } = arguments;
    let is_stdin = path == Path::new("-");
    let metadata = if is_stdin {
        None
    } else {
        Some(fs::metadata(&path).with_context(|| format!("{} cannot be read", path.display()))?)
    };
    let started = Instant::now();
    let (url, report) = match metadata {
        Some(metadata) if metadata.is_dir() => put_folder(&path, url, session).await?,
        Some(metadata) => {
            let key = key_of_file(&path, &url)?;
            let (size, source) = (Some(metadata.len()), Source::File(path));
            put_one(source, size, url.with_key(key), session).await?
        }
        None => {
            ensure!(!url.is_folder(), "{url} names no object: standard input needs a key, cess://BUCKET/KEY");
            let source = Source::Stream { reader: Box::new(tokio::io::stdin()), size: None };
            put_one(source, None, url, session).await?
        }
    };
    report_put(&url, report, started.elapsed(), session)
}

/// The key of a file: as given, or below a folder by the file's own name.
fn key_of_file(path: &Path, url: &ObjectUrl) -> Result<String> {
    if !url.is_folder() {
        return Ok(url.key().into());
    }
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(format!("{}{name}", url.key())),
        None => bail!("{} has no name that could be a key: give one, cess://BUCKET/KEY", path.display()),
    }
}

async fn put_one(
    source: Source,
    size: Option<u64>,
    url: ObjectUrl,
    session: &Session,
) -> Result<(ObjectUrl, PutReport)> {
    let client = session.client().await?;
    let transfer = Transfer::start(url.key(), size);
    let options = PutOptions {
        resume_folder: Some(session.uploads()?),
        progress: transfer.progress(Direction::Put),
        ..PutOptions::default()
    };
    let report = client.put(url.bucket(), url.key(), source, options).await?;
    Ok((url, report))
}

async fn put_folder(path: &Path, url: ObjectUrl, session: &Session) -> Result<(ObjectUrl, PutReport)> {
    let key = if url.is_folder() { url.key().to_string() } else { format!("{}/", url.key()) };
    let url = url.with_key(key);
    let client = session.client().await?;
    let transfer = Transfer::start(&url.to_string(), None);
    let options = PutOptions { progress: transfer.progress(Direction::Put), ..PutOptions::default() };
    let report = client.put_folder(url.bucket(), url.key(), path, options).await?;
    Ok((url, report))
}

fn report_put(url: &ObjectUrl, report: PutReport, time: Duration, session: &Session) -> Result<()> {
    let seconds = time.as_secs_f64();
    if report.degraded {
        eprintln!(
            "warning: {url} is degraded: some members of its volume did not sign in time, so it survives fewer losses \
             until they are repaired"
        );
    }
    if session.json() {
        return print::json(&PutView {
            url: url.to_string(),
            objects: report.objects,
            bytes: report.bytes,
            etag: Some(report.etag).filter(|etag| !etag.is_zero()),
            segments: report.segments,
            volumes: report.volumes,
            degraded: report.degraded,
            transactions: report.transactions,
            seconds,
        });
    }
    let objects = if report.objects == 1 { String::new() } else { format!("{} objects, ", report.objects) };
    print::note(&format!("stored {url} ({objects}{}, {})", format_bytes(report.bytes), rate(report.bytes, time)))
}

/// How fast that was, for people.
pub fn rate(bytes: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds:.1} s, {:.0} MB/s", bytes as f64 / 1e6 / seconds.max(1e-3))
}
