//! Decide what lifecycle rules expire.

use super::versions::Found;
use crate::view::Stop;
use s3s::{
    dto::{ExpirationStatus, LifecycleRule, LifecycleRules, Timestamp},
    s3_error,
};
use std::collections::BTreeSet;
use time::OffsetDateTime;

const RULES_MAX: usize = 1000;
const ID_CHARACTERS_MAX: usize = 255;

/// What is to happen to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The current version is deleted, or hidden where versions are kept.
    Expire,
    /// The version is deleted for good.
    Remove,
}

/// When it is, and how long a day lasts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Milliseconds of a day.
    pub day_ms: u64,
}

/// What is known about the place of a version among those of its key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// When the next newer version was written, milliseconds since 1970; nothing for the current one.
    pub superseded_ms: Option<u64>,
    /// How many newer versions that are not current there are.
    pub newer: u32,
    /// Whether it is the only version of its key.
    pub alone: bool,
}

/// Refuses rules that cannot be kept.
pub fn check(rules: &mut LifecycleRules) -> Result<(), Stop> {
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(s3_error!(MalformedXML).into());
    }
    let mut ids = BTreeSet::new();
    for (index, rule) in rules.iter_mut().enumerate() {
        let id = rule.id.get_or_insert_with(|| format!("rule-{index}"));
        if id.chars().count() > ID_CHARACTERS_MAX {
            return Err(s3_error!(InvalidArgument, "an ID has at most 255 characters").into());
        }
        if !ids.insert(id.clone()) {
            return Err(s3_error!(InvalidArgument, "an ID stands there twice").into());
        }
        check_rule(rule)?;
    }
    Ok(())
}

fn check_rule(rule: &LifecycleRule) -> Result<(), Stop> {
    let status = rule.status.as_str();
    if status != ExpirationStatus::ENABLED && status != ExpirationStatus::DISABLED {
        return Err(s3_error!(MalformedXML).into());
    }
    if let Some(expiration) = &rule.expiration {
        if expiration.days.is_some_and(|days| days < 1) {
            return Err(s3_error!(InvalidArgument, "an object expires after one day or later").into());
        }
        if let Some(date) = &expiration.date {
            let date = OffsetDateTime::from(date.clone());
            if date.time() != time::Time::MIDNIGHT {
                return Err(s3_error!(InvalidArgument, "'Date' must be at midnight GMT").into());
            }
        }
    }
    let noncurrent = rule.noncurrent_version_expiration.as_ref();
    if noncurrent.and_then(|expiration| expiration.noncurrent_days).is_some_and(|days| days < 1) {
        return Err(s3_error!(InvalidArgument, "a version expires after one day or later").into());
    }
    let nothing = rule.expiration.is_none()
        && noncurrent.is_none()
        && rule.abort_incomplete_multipart_upload.is_none()
        && rule.transitions.is_none()
        && rule.noncurrent_version_transitions.is_none();
    if nothing { Err(s3_error!(InvalidArgument, "a rule says what is to happen").into()) } else { Ok(()) }
}

/// What the rules say to a version.
pub fn plan<C>(rules: &[LifecycleRule], key: &str, found: &Found<C>, place: Place, clock: Clock) -> Option<Step> {
    let rules = rules.iter().filter(|rule| is_on(rule) && is_about(rule, key, found));
    for rule in rules {
        if let Some(superseded_ms) = place.superseded_ms {
            if let Some(noncurrent) = &rule.noncurrent_version_expiration {
                let kept = noncurrent.newer_noncurrent_versions.unwrap_or(0);
                let days = noncurrent.noncurrent_days.unwrap_or(0);
                if i64::from(place.newer) >= i64::from(kept) && clock.is_past(superseded_ms, days) {
                    return Some(Step::Remove);
                }
            }
            continue;
        }
        let Some(expiration) = &rule.expiration else { continue };
        let due = expiration.days.is_some_and(|days| clock.is_past(found.record.modified_ms, days))
            || expiration.date.as_ref().is_some_and(|date| clock.is_reached(date));
        if found.version.marker {
            let lonely = place.alone && (expiration.expired_object_delete_marker == Some(true) || due);
            if lonely {
                return Some(Step::Remove);
            }
        } else if due {
            return Some(Step::Expire);
        }
    }
    None
}

/// When the rules expire a current version, milliseconds since 1970, and which rule does.
pub fn expiry<C>(rules: &[LifecycleRule], key: &str, found: &Found<C>, day_ms: u64) -> Option<(u64, String)> {
    let rules = rules.iter().filter(|rule| is_on(rule) && is_about(rule, key, found));
    let dates = rules.filter_map(|rule| {
        let expiration = rule.expiration.as_ref()?;
        let by_days = expiration.days.map(|days| {
            let at = found.record.modified_ms.saturating_add(u64::from(days.unsigned_abs()) * day_ms);
            // Objects expire at midnight.
            at.div_ceil(day_ms) * day_ms
        });
        let at = by_days.or_else(|| expiration.date.as_ref().map(milliseconds))?;
        Some((at, rule.id.clone().unwrap_or_default()))
    });
    dates.min()
}

/// Whether an upload that began then is to be aborted.
pub fn aborts(rules: &[LifecycleRule], key: &str, begun_ms: u64, clock: Clock) -> bool {
    rules.iter().filter(|rule| is_on(rule) && key.starts_with(prefix(rule))).any(|rule| {
        let days = rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation);
        days.is_some_and(|days| clock.is_past(begun_ms, days))
    })
}

impl Clock {
    fn is_past(self, since_ms: u64, days: i32) -> bool {
        since_ms.saturating_add(u64::from(days.unsigned_abs()) * self.day_ms) <= self.now_ms
    }

    fn is_reached(self, date: &Timestamp) -> bool {
        milliseconds(date) <= self.now_ms
    }
}

fn milliseconds(date: &Timestamp) -> u64 {
    u64::try_from(OffsetDateTime::from(date.clone()).unix_timestamp()).unwrap_or(0) * 1000
}

fn is_on(rule: &LifecycleRule) -> bool {
    rule.status.as_str() == ExpirationStatus::ENABLED
}

fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref()).and_then(|and| and.prefix.as_deref());
    let own = filter.and_then(|filter| filter.prefix.as_deref());
    and.or(own).or(rule.prefix.as_deref()).unwrap_or_default()
}

fn is_about<C>(rule: &LifecycleRule, key: &str, found: &Found<C>) -> bool {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    let has = |tag: &s3s::dto::Tag| {
        let wanted = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
        found.version.tags.iter().any(|(name, value)| (name.as_str(), value.as_str()) == wanted)
    };
    let tags = filter.and_then(|filter| filter.tag.as_ref()).is_none_or(has)
        && and.and_then(|and| and.tags.as_ref()).is_none_or(|tags| tags.iter().all(has));
    let size = i64::try_from(found.record.size).unwrap_or(i64::MAX);
    let greater =
        filter.and_then(|filter| filter.object_size_greater_than).or(and.and_then(|and| and.object_size_greater_than));
    let less = filter.and_then(|filter| filter.object_size_less_than).or(and.and_then(|and| and.object_size_less_than));
    key.starts_with(prefix(rule))
        && tags
        && greater.is_none_or(|bytes| size > bytes)
        && less.is_none_or(|bytes| size < bytes)
}

#[cfg(test)]
mod tests;
