//! Read an object, a range of it, or all below a prefix.

use super::{
    below,
    destination::{Destination, path_below},
    progress::{Direction, Transfer},
    put::rate,
};
use crate::{
    cli::{ByteRange, GetArgs, ObjectUrl, Page, format_bytes},
    print,
    session::Session,
};
use alloy_primitives::B256;
use anyhow::{Context, Result, ensure};
use client::{Client, GetOptions, GetReport};
use serde::Serialize;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// `cess object get --json`
#[derive(Serialize)]
struct GetView {
    key: String,
    /// Absent for standard output.
    path: Option<PathBuf>,
    bytes: u64,
    size: u64,
    etag: B256,
    seconds: f64,
}

/// Does what `cess object get` says.
pub async fn get(arguments: GetArgs, session: &Session) -> Result<()> {
    let GetArgs { url, path, range } = arguments;
    let client = session.client().await?;
    if url.is_folder() {
        ensure!(range.is_none(), "--range is for one object, and {url} stands for many");
        return get_folder(&client, &url, &path, session).await;
    }
    let started = Instant::now();
    let mut destination = Destination::open(&path, file_name(url.key()))?;
    let report = get_one(&client, url.bucket(), url.key(), range, &mut destination).await?;
    let path = destination.keep().await?;
    if session.json() && path.is_some() {
        return print::json(&view(&report, path, started.elapsed()));
    }
    print::note(&format!("read {url} ({}, {})", format_bytes(report.bytes), rate(report.bytes, started.elapsed())))
}

async fn get_folder(client: &Client, url: &ObjectUrl, path: &Path, session: &Session) -> Result<()> {
    ensure!(path != Path::new("-"), "{url} stands for many objects: name a folder to write them to");
    let place = url.place();
    let everything = Page { after: None, limit: None };
    let objects = below(client, place, &everything).await?;
    ensure!(!objects.is_empty(), "there is nothing below {url}: list what there is with `cess ls`");
    let mut views = Vec::new();
    for object in objects {
        let started = Instant::now();
        let to = path_below(path, &object.key[place.key.len()..])
            .with_context(|| format!("{:?} makes no path below {}: get it by itself", object.key, path.display()))?;
        let mut destination = Destination::create(&to)?;
        let report = get_one(client, url.bucket(), &object.key, None, &mut destination).await?;
        views.push(view(&report, destination.keep().await?, started.elapsed()));
    }
    let bytes = views.iter().map(|view| view.bytes).sum();
    if session.json() {
        return print::json(&views);
    }
    print::note(&format!("read {} objects below {url} ({})", views.len(), format_bytes(bytes)))
}

async fn get_one(
    client: &Client,
    bucket: &str,
    key: &str,
    range: Option<ByteRange>,
    destination: &mut Destination,
) -> Result<GetReport> {
    let total = match range {
        // Only a person wants to know how much is to come.
        None if print::is_terminal() => client.stat(bucket, key).await?.map(|object| object.size),
        _ => None,
    };
    let transfer = Transfer::start(key, total);
    let options = GetOptions { range: range.map(exclusive), progress: transfer.progress(Direction::Get) };
    Ok(client.get(bucket, key, destination.writer(), options).await?)
}

fn exclusive(range: ByteRange) -> Range<u64> {
    range.first..range.last.map_or(u64::MAX, |last| last.saturating_add(1))
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn view(report: &GetReport, path: Option<PathBuf>, time: Duration) -> GetView {
    GetView {
        key: report.object.key.clone(),
        path,
        bytes: report.bytes,
        size: report.object.size,
        etag: report.object.etag,
        seconds: time.as_secs_f64(),
    }
}
