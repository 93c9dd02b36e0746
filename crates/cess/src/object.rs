//! Store and read objects: `cess object`.

mod challenge;
mod destination;
mod get;
mod progress;
mod put;
mod report;

pub use get::get;
pub use put::put;

use crate::{
    cli::{ListArgs, LsArgs, ObjectCommand, ObjectUrl, Page, Place, RemoveArgs, format_bytes},
    print::{self, Table},
    session::Session,
};
use alloy_primitives::B256;
use anyhow::{Context, Result, ensure};
use client::{Client, Object, index::Condition};
use serde::Serialize;
use std::collections::BTreeMap;

/// Objects asked for at once.
const PAGE: usize = 1_000;

/// An object as `--json` shows it.
#[derive(Serialize)]
struct ObjectView {
    key: String,
    size: u64,
    etag: B256,
    modified_ms: u64,
    content_type: String,
    metadata: BTreeMap<String, String>,
}

impl From<Object> for ObjectView {
    fn from(object: Object) -> Self {
        let Object { key, etag, size, modified_ms, content_type, metadata } = object;
        Self { key, size, etag, modified_ms, content_type, metadata }
    }
}

/// Does what `cess object …` says.
pub async fn run(command: ObjectCommand, session: &Session) -> Result<()> {
    match command {
        ObjectCommand::Put(arguments) => put(arguments, session).await,
        ObjectCommand::Get(arguments) => get(arguments, session).await,
        ObjectCommand::List(ListArgs { url, page }) => list(&url, &page, session).await,
        ObjectCommand::Stat { url } => stat(&url, session).await,
        ObjectCommand::Remove(arguments) => remove(arguments, session).await,
        ObjectCommand::Challenge(arguments) => challenge::challenge(arguments, session).await,
        ObjectCommand::Report { url } => report::report(&url, session).await,
    }
}

/// Lists objects, or buckets if none is named.
pub async fn ls(arguments: LsArgs, session: &Session) -> Result<()> {
    match arguments.url {
        Some(url) => list(&url, &arguments.page, session).await,
        None => crate::bucket::list(session).await,
    }
}

async fn list(place: &Place, page: &Page, session: &Session) -> Result<()> {
    let client = session.client().await?;
    let objects = below(&client, place, page).await?;
    let views: Vec<ObjectView> = objects.into_iter().map(ObjectView::from).collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["size", "modified", "key"]);
    for view in views {
        table.row([format_bytes(view.size), print::time(view.modified_ms), view.key]);
    }
    table.print()
}

/// Objects whose keys begin as the place says.
async fn below(client: &Client, place: &Place, page: &Page) -> Result<Vec<Object>> {
    let limit = page.limit.unwrap_or(usize::MAX);
    let mut after = page.after.clone();
    let mut objects = Vec::new();
    while objects.len() < limit {
        let count = PAGE.min(limit - objects.len());
        let listing = client.list(&place.bucket, &place.key, after.as_deref(), None, count).await?;
        objects.extend(listing.objects);
        after = listing.next;
        if after.is_none() {
            break;
        }
    }
    Ok(objects)
}

async fn stat(url: &ObjectUrl, session: &Session) -> Result<()> {
    let object = session.client().await?.stat(url.bucket(), url.key()).await?;
    let object = object.with_context(|| format!("{url} does not exist: list what there is with `cess ls`"))?;
    let view = ObjectView::from(object);
    if session.json() {
        return print::json(&view);
    }
    let mut lines = vec![
        format!("key       {}", view.key),
        format!("size      {} ({} bytes)", format_bytes(view.size), view.size),
        format!("modified  {}", print::time(view.modified_ms)),
        format!("etag      {}", view.etag),
    ];
    if !view.content_type.is_empty() {
        lines.push(format!("type      {}", view.content_type));
    }
    lines.extend(view.metadata.iter().map(|(name, value)| format!("{name:<9} {value}")));
    print::line(lines.join("\n"))
}

/// Removes objects, with one update for each bucket; all of a bucket's are there, or none is removed.
pub async fn remove(arguments: RemoveArgs, session: &Session) -> Result<()> {
    let mut buckets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for url in &arguments.urls {
        ensure!(!url.key().is_empty(), "{url} names no object (`cess bucket remove` removes buckets)");
        buckets.entry(url.bucket()).or_default().push(url.key());
    }
    let client = session.client().await?;
    for (bucket, mut keys) in buckets {
        keys.sort_unstable();
        keys.dedup();
        client.remove(bucket, &keys, Condition::Present).await?;
        for key in keys {
            print::note(&format!("removed cess://{bucket}/{key}"))?;
        }
    }
    Ok(())
}
