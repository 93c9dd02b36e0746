//! Hold pages against a listing that looks at every key.

use super::*;
use crate::view::{Record, memory::Memory};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn bucket<'a>(keys: impl IntoIterator<Item = &'a str>) -> Memory {
    let mut view = Memory::default();
    for key in keys {
        view.put(Key::Object(key.into()), Record::default()).unwrap();
    }
    // Records of the gateway's own are no objects.
    view.put(keys::document("settings", 0), Record::default()).unwrap();
    view
}

/// Everything that a listing without pages would show, in order.
fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        let folded =
            delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| &key[..prefix.len() + at + delimiter.len()]));
        let entry = folded.unwrap_or(key);
        if shown.last().map(String::as_str) != Some(entry) {
            shown.push(entry.into());
        }
    }
    shown
}

proptest! {
    #[test]
    fn pages_show_everything_once(
        keys in proptest::collection::btree_set("[ab/é\u{10ffff}]{1,6}", 0..40),
        prefix in "[ab/]{0,2}",
        delimiter in proptest::option::of(prop_oneof![Just("/"), Just("a"), Just("b/"), Just("é")]),
        max in 1..7usize,
    ) {
        let mut view = bucket(keys.iter().map(String::as_str));
        let mut query = Query { prefix: prefix.clone(), delimiter: delimiter.map(str::to_string), after: None, max };
        let mut shown = Vec::new();
        loop {
            let page = objects(&mut view, &query).unwrap();
            let mut both: Vec<String> = page.entries.iter().map(|(key, _)| key.clone()).chain(page.prefixes.clone()).collect();
            prop_assert!(both.len() <= max);
            both.sort();
            shown.extend(both);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(shown, expected(&keys, &prefix, delimiter));
    }
}

#[test]
fn a_page_of_nothing_is_the_last() {
    let mut view = bucket(["a", "b"]);
    let page = objects(&mut view, &Query { max: 0, ..Query::default() }).unwrap();
    assert_eq!((page.entries.len(), page.next), (0, None));
}

#[test]
fn a_marker_within_a_folded_prefix_shows_the_rest_of_it() {
    let mut view = bucket(["a/1", "a/2", "b"]);
    let query =
        |after: &str| Query { delimiter: Some("/".into()), after: Some(after.into()), max: 10, ..Query::default() };
    assert_eq!(objects(&mut view, &query("a/1")).unwrap().prefixes, ["a/"]);
    assert!(objects(&mut view, &query("a/")).unwrap().prefixes.is_empty());
}
