//! Sweep buckets: expire what lifecycle rules say, and forget uploads that were completed long ago.

use super::{Service, now_ms, now_us, objects::lifecycle_rules};
use crate::{
    record::{Settings, keys},
    rules::{
        condition::Condition,
        documents,
        lifecycle::{self, Clock, Place, Step},
        listing::{self, Query},
        lock, uploads,
        versions::{self, Found},
    },
    storage::{Bucket, Storage},
    view::{Stop, View},
};
use s3s::{S3Result, dto::LifecycleRule};

/// Versions that one step looks at.
const STEP_VERSIONS: usize = 1000;
/// How long a completed upload is remembered.
const COMPLETED_MS: u64 = 24 * 3_600_000;

/// Where a sweep goes on: the last key and version that it looked at.
type Position = Option<(String, u64)>;

/// What one step of a sweep did.
struct Swept {
    next: Position,
    changes: u64,
}

impl<S: Storage> Service<S> {
    /// Goes through all buckets once; returns how much was expired.
    pub async fn sweep(&self) -> u64 {
        let names = match self.storage().list().await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "buckets cannot be swept");
                return 0;
            }
        };
        let mut changes = 0;
        for name in names {
            match self.sweep_bucket(&name).await {
                Ok(count) => changes += count,
                Err(error) => tracing::warn!(bucket = name, %error, "a bucket cannot be swept"),
            }
        }
        changes
    }

    async fn sweep_bucket(&self, name: &str) -> S3Result<u64> {
        let bucket = self.storage().open(name).await?;
        let clock = Clock { now_ms: now_ms(), day_ms: self.config().lifecycle_day_ms };
        let idle = bucket
            .look(move |view| Ok(lifecycle_rules(view)?.is_empty() && old_completed(view, clock)?.is_empty()))
            .await?;
        if idle {
            return Ok(0);
        }
        let mut changes = bucket.change(move |view| sweep_uploads(view, clock)).await?;
        let mut position = None;
        loop {
            let from = position.clone();
            let swept = bucket.look(move |view| sweep_versions(view, &from, clock, false)).await?;
            if swept.changes > 0 {
                let from = position.clone();
                changes += bucket.change(move |view| sweep_versions(view, &from, clock, true)).await?.changes;
            }
            match swept.next {
                Some(next) => position = Some(next),
                None => return Ok(changes),
            }
        }
    }
}

fn old_completed<V: View>(view: &mut V, clock: Clock) -> Result<Vec<crate::view::Key>, Stop> {
    let (from, to) = keys::all_completed();
    let found = view.scan(&from, &to, STEP_VERSIONS)?;
    let old = found.into_iter().filter(|(_, record)| record.modified_ms + COMPLETED_MS <= clock.now_ms);
    Ok(old.map(|(key, _)| key).collect())
}

fn sweep_uploads<V: View>(view: &mut V, clock: Clock) -> Result<u64, Stop> {
    for key in old_completed(view, clock)? {
        view.remove(&key)?;
    }
    let rules = lifecycle_rules(view)?;
    let mut changes = 0;
    let mut query = Query { max: listing::PAGE_MAX, ..Query::default() };
    let mut behind = None;
    loop {
        let page = listing::uploads(view, &query, behind)?;
        for (key, entry) in &page.entries {
            if lifecycle::aborts(&rules, key, entry.begun_ms, clock) {
                uploads::abort(view, key, &entry.id)?;
                changes += 1;
            }
        }
        behind = page.entries.last().map(|(_, entry)| entry.id);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(changes),
        }
    }
}

/// Looks at a page of versions and counts what is to be expired, or expires it.
fn sweep_versions<V: View>(view: &mut V, from: &Position, clock: Clock, act: bool) -> Result<Swept, Stop> {
    let rules = lifecycle_rules(view)?;
    let settings = documents::settings(view)?;
    let after = from.as_ref().map(|(key, _)| key.clone());
    let query = Query { after, max: STEP_VERSIONS, ..Query::default() };
    let page = listing::versions(view, &query, from.as_ref().map(|(_, sequence)| *sequence))?;
    let mut changes = 0;
    let mut sweep = Sweep { rules: &rules, settings: &settings, clock, act };
    for (key, versions) in by_key(&page.entries) {
        // The page before may have ended within this key: then its newer versions are looked up again.
        let all = match versions.first() {
            Some(first) if first.current => versions,
            _ => versions_of(view, key)?,
        };
        changes += sweep.key(view, key, &all)?;
    }
    let last = page.entries.last().map(|(key, found)| (key.clone(), found.version.sequence));
    Ok(Swept { next: last.filter(|_| page.next.is_some()), changes })
}

fn by_key<C: Clone>(entries: &[(String, Found<C>)]) -> Vec<(&str, Vec<Found<C>>)> {
    let mut grouped: Vec<(&str, Vec<Found<C>>)> = Vec::new();
    for (key, found) in entries {
        match grouped.last_mut() {
            Some((last, versions)) if last == key => versions.push(found.clone()),
            _ => grouped.push((key, vec![found.clone()])),
        }
    }
    grouped
}

fn versions_of<V: View>(view: &mut V, key: &str) -> Result<Vec<Found<V::Content>>, Stop> {
    let query = Query { prefix: key.into(), max: STEP_VERSIONS, ..Query::default() };
    let page = listing::versions(view, &query, None)?;
    Ok(page.entries.into_iter().filter(|(of, _)| of == key).map(|(_, found)| found).collect())
}

struct Sweep<'a> {
    rules: &'a [LifecycleRule],
    settings: &'a Settings,
    clock: Clock,
    act: bool,
}

impl Sweep<'_> {
    fn key<V: View>(&mut self, view: &mut V, key: &str, versions: &[Found<V::Content>]) -> Result<u64, Stop> {
        let mut changes = 0;
        let mut superseded_ms = None;
        for (newer, found) in versions.iter().enumerate() {
            let newer = u32::try_from(newer.saturating_sub(1)).unwrap_or(u32::MAX);
            let place = Place { superseded_ms, newer, alone: versions.len() == 1 };
            superseded_ms = Some(found.record.modified_ms);
            let Some(step) = lifecycle::plan(self.rules, key, found, place, self.clock) else { continue };
            if step == Step::Remove && lock::check_removal(&found.version, false, self.clock.now_ms).is_err() {
                continue;
            }
            changes += 1;
            if !self.act {
                continue;
            }
            match step {
                Step::Expire => {
                    let condition = Condition::default();
                    versions::delete(view, self.settings.versioning, key, None, &condition, now_us())?;
                }
                Step::Remove => versions::remove_found(view, key, found)?,
            }
        }
        Ok(changes)
    }
}
