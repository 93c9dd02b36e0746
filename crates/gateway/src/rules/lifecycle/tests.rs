//! Try rules: prefixes, tags, ages, and versions that are not current.

use super::*;
use crate::{record::Version, view::Record};
use s3s::dto::{LifecycleExpiration, LifecycleRuleFilter, NoncurrentVersionExpiration, Tag};

const DAY_MS: u64 = 86_400_000;

fn rule(prefix: &str, days: i32) -> LifecycleRule {
    LifecycleRule {
        abort_incomplete_multipart_upload: None,
        expiration: Some(LifecycleExpiration { days: Some(days), ..Default::default() }),
        filter: Some(LifecycleRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        id: None,
        noncurrent_version_expiration: None,
        noncurrent_version_transitions: None,
        prefix: None,
        status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
        transitions: None,
    }
}

fn found(tags: &[(&str, &str)]) -> Found<()> {
    let tags = tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Found { version: Version { tags, ..Version::default() }, record: Record::default(), current: true }
}

fn clock(days: u64) -> Clock {
    Clock { now_ms: days * DAY_MS, day_ms: DAY_MS }
}

#[test]
fn current_versions_expire_by_age_prefix_and_tag() {
    let mut rules = vec![rule("logs/", 3)];
    let step = |rules: &[LifecycleRule], key, tags: &[(&str, &str)], days| {
        plan(rules, key, &found(tags), Place::default(), clock(days))
    };
    assert_eq!(step(&rules, "logs/a", &[], 3), Some(Step::Expire));
    assert_eq!(step(&rules, "logs/a", &[], 2), None);
    assert_eq!(step(&rules, "other", &[], 9), None);
    rules[0].filter.as_mut().unwrap().tag = Some(Tag { key: Some("keep".into()), value: Some("no".into()) });
    assert_eq!(step(&rules, "logs/a", &[("keep", "yes")], 9), None);
    assert_eq!(step(&rules, "logs/a", &[("keep", "no")], 9), Some(Step::Expire));
    rules[0].status = ExpirationStatus::from_static(ExpirationStatus::DISABLED);
    assert_eq!(step(&rules, "logs/a", &[("keep", "no")], 9), None);
}

#[test]
fn older_versions_go_by_the_time_that_they_are_not_current() {
    let mut rules = vec![rule("", 1)];
    rules[0].expiration = None;
    rules[0].noncurrent_version_expiration =
        Some(NoncurrentVersionExpiration { newer_noncurrent_versions: Some(1), noncurrent_days: Some(2) });
    let step = |superseded_days: u64, newer| {
        let place = Place { superseded_ms: Some(superseded_days * DAY_MS), newer, alone: false };
        plan(&rules, "k", &found(&[]), place, clock(10))
    };
    assert_eq!(step(8, 1), Some(Step::Remove));
    assert_eq!(step(9, 1), None, "too young");
    assert_eq!(step(1, 0), None, "one is kept");
}

#[test]
fn lonely_delete_markers_go() {
    let mut rules = vec![rule("", 1)];
    rules[0].expiration = Some(LifecycleExpiration { expired_object_delete_marker: Some(true), ..Default::default() });
    let mut marker = found(&[]);
    marker.version.marker = true;
    let step = |alone| plan(&rules, "k", &marker, Place { alone, ..Place::default() }, clock(1));
    assert_eq!((step(true), step(false)), (Some(Step::Remove), None));
}

#[test]
fn wrong_rules_are_refused() {
    let ok = |mut rules: Vec<LifecycleRule>| check(&mut rules).is_ok();
    assert!(ok(vec![rule("", 1), rule("", 2)]));
    assert!(!ok(vec![rule("", 0)]));
    assert!(!ok(vec![]));
    let named = |id: &str| LifecycleRule { id: Some(id.into()), ..rule("", 1) };
    assert!(!ok(vec![named("a"), named("a")]));
    assert!(!ok(vec![named(&"a".repeat(256))]));
}
