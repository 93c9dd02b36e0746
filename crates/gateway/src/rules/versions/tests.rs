//! Hold versions against a simple model: a list of versions for each key.

use super::*;
use crate::{rules::listing, view::memory::Memory};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Action {
    Put(u8),
    Delete(u8),
    DeleteVersion(u8, u8),
    Switch(Versioning),
}

fn action() -> impl Strategy<Value = Action> {
    let key = 0..3u8;
    prop_oneof![
        4 => key.clone().prop_map(Action::Put),
        2 => key.clone().prop_map(Action::Delete),
        3 => (key, 0..5u8).prop_map(|(key, index)| Action::DeleteVersion(key, index)),
        1 => prop_oneof![Just(Versioning::Enabled), Just(Versioning::Suspended)].prop_map(Action::Switch),
    ]
}

/// A version of the model: its id, its bytes, or nothing for a delete marker. Newest first.
type Model = BTreeMap<String, Vec<(String, Option<Vec<u8>>)>>;

fn name(key: u8) -> String {
    ["a", "a/b", "b"][usize::from(key)].into()
}

fn record(bytes: Vec<u8>) -> Record<Vec<u8>> {
    Record { size: bytes.len() as u64, content: bytes, ..Record::default() }
}

fn write(view: &mut Memory, versioning: Versioning, key: &str, bytes: Vec<u8>, now_us: u64) -> Version {
    let version = Version { etag: hex::encode(&bytes), ..Version::default() };
    put(view, versioning, key, record(bytes), version, &Condition::default(), now_us).unwrap()
}

/// What S3 says happens.
fn replace_null(versions: &mut Vec<(String, Option<Vec<u8>>)>, versioning: Versioning) {
    match versioning {
        Versioning::Off => versions.clear(),
        Versioning::Suspended => versions.retain(|(id, _)| id != NULL_VERSION),
        Versioning::Enabled => {}
    }
}

fn check(view: &mut Memory, model: &Model) {
    let query = listing::Query { max: 1000, ..Default::default() };
    let page = listing::versions(view, &query, None).unwrap();
    let listed: Vec<_> =
        page.entries.iter().map(|(key, found)| (key.clone(), found.version.id(), found.current)).collect();
    let expected: Vec<_> = model
        .iter()
        .flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(index, (id, _))| (key.clone(), id.clone(), index == 0))
        })
        .collect();
    assert_eq!(listed, expected);
    for (key, versions) in model {
        for (id, bytes) in versions {
            let found = by_id(view, key, id).unwrap().unwrap();
            assert_eq!(found.version.marker, bytes.is_none());
            assert_eq!(found.record.content, bytes.clone().unwrap_or_default());
        }
        let newest = versions.first().and_then(|(_, bytes)| bytes.clone());
        assert_eq!(find(view, key, None).ok().map(|found| found.record.content), newest);
    }
    let objects = listing::objects(view, &query).unwrap();
    let current = model.iter().filter(|(_, versions)| versions.first().is_some_and(|(_, bytes)| bytes.is_some()));
    assert!(objects.entries.iter().map(|(key, _)| key).eq(current.map(|(key, _)| key)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn versions_are_those_of_a_list(actions in proptest::collection::vec(action(), 1..40)) {
        let (mut view, mut model, mut versioning) = (Memory::default(), Model::new(), Versioning::Off);
        for (step, action) in actions.into_iter().enumerate() {
            // Time stands still now and then.
            let now_us = 1_000 + step as u64 / 3;
            match action {
                Action::Switch(to) => versioning = to,
                Action::Put(key) => {
                    let bytes = vec![step as u8; 3];
                    let version = write(&mut view, versioning, &name(key), bytes.clone(), now_us);
                    let versions = model.entry(name(key)).or_default();
                    replace_null(versions, versioning);
                    versions.insert(0, (version.id(), Some(bytes)));
                }
                Action::Delete(key) => {
                    let deleted = delete(&mut view, versioning, &name(key), None, &Condition::default(), now_us).unwrap();
                    let versions = model.entry(name(key)).or_default();
                    replace_null(versions, versioning);
                    if versioning != Versioning::Off {
                        versions.insert(0, (deleted.version_id.unwrap(), None));
                    }
                }
                Action::DeleteVersion(key, index) => {
                    let versions = model.entry(name(key)).or_default();
                    let Some((id, _)) = versions.get(usize::from(index)).cloned() else { continue };
                    delete_version(&mut view, &name(key), &id, false, &Condition::default(), now_us).unwrap();
                    versions.remove(usize::from(index));
                }
            }
            model.retain(|_, versions| !versions.is_empty());
            check(&mut view, &model);
        }
        // Nothing is left behind where nothing is.
        for (key, versions) in model {
            for (id, _) in versions {
                delete_version(&mut view, &key, &id, false, &Condition::default(), 9_999).unwrap();
            }
        }
        prop_assert!(view.0.is_empty(), "{:?}", view.0);
    }
}

#[test]
fn a_delete_marker_hides_and_says_so() {
    let mut view = Memory::default();
    write(&mut view, Versioning::Enabled, "k", vec![1], 1);
    delete(&mut view, Versioning::Enabled, "k", None, &Condition::default(), 2).unwrap();
    let Err(Stop::Refused(error)) = find(&mut view, "k", None) else { panic!("it is hidden") };
    assert_eq!(error.code().as_str(), "NoSuchKey");
    assert_eq!(error.headers().unwrap()["x-amz-delete-marker"], "true");
}

#[test]
fn writes_meet_conditions() {
    let mut view = Memory::default();
    let none = Condition { none_match: Some(s3s::dto::ETagCondition::Any), ..Condition::default() };
    let version = Version { etag: "aa".into(), ..Version::default() };
    put(&mut view, Versioning::Off, "k", record(vec![1]), version.clone(), &none, 1).unwrap();
    let Err(Stop::Refused(error)) = put(&mut view, Versioning::Off, "k", record(vec![2]), version.clone(), &none, 2)
    else {
        panic!("there is one");
    };
    assert_eq!(error.code().as_str(), "PreconditionFailed");
    let tag = s3s::dto::ETag::Strong("aa".into());
    let matches = Condition { matches: Some(s3s::dto::ETagCondition::ETag(tag)), ..Condition::default() };
    put(&mut view, Versioning::Off, "k", record(vec![2]), version.clone(), &matches, 2).unwrap();
    let Err(Stop::Refused(error)) = put(&mut view, Versioning::Off, "other", record(vec![2]), version, &matches, 2)
    else {
        panic!("there is none");
    };
    assert_eq!(error.code().as_str(), "NoSuchKey");
}

#[test]
fn locked_versions_stay() {
    let mut view = Memory::default();
    let mut version = Version { hold: Some(true), ..Version::default() };
    version = put(&mut view, Versioning::Enabled, "k", record(vec![1]), version, &Condition::default(), 1).unwrap();
    delete(&mut view, Versioning::Enabled, "k", None, &Condition::default(), 2).unwrap();
    assert!(delete_version(&mut view, "k", &version.id(), true, &Condition::default(), 3).is_err());
    let mut found = by_id(&mut view, "k", &version.id()).unwrap().unwrap();
    found.version.hold = Some(false);
    amend(&mut view, "k", found).unwrap();
    delete_version(&mut view, "k", &version.id(), false, &Condition::default(), 3).unwrap();
}

#[test]
fn what_was_written_without_the_gateway_is_a_null_version() {
    let mut view = Memory::default();
    let plain = Record { modified_ms: 5, blake3: [7; 32], content: vec![1], size: 1, ..Record::default() };
    view.put(Key::Object("k".into()), plain).unwrap();
    let found = find(&mut view, "k", None).unwrap();
    assert_eq!((found.version.id().as_str(), found.version.etag.len()), (NULL_VERSION, 64));
    write(&mut view, Versioning::Enabled, "k", vec![2], 1);
    assert_eq!(by_id(&mut view, "k", NULL_VERSION).unwrap().unwrap().record.content, vec![1]);
}
