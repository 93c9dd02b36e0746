use super::fixture::*;
use crate::{Archive, record::Finalized};
use execution::Outcome;
use std::{
    fs,
    path::{Path, PathBuf},
};
use types::Block;

fn contents() -> impl Iterator<Item = Content> {
    (1..=40u8).map(|number| Content {
        logs: vec![vec![log(number % 3, &[number], number)]; usize::from(number % 4)],
        changes: vec![
            (account(number % 5), Some(value(number))),
            (slot(1, 1), number.is_multiple_of(2).then(|| value(number))),
        ],
        code: vec![vec![number].into()],
        ..Default::default()
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        match item.file_type().unwrap().is_dir() {
            true => copy(&item.path(), &to.join(item.file_name())),
            false => _ = fs::copy(item.path(), to.join(item.file_name())).unwrap(),
        }
    }
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    found
}

/// Checks that the archive holds a beginning of `chain`, all of it consistent, and that it can be appended to its end.
fn check(folder: &Path, chain: &[(Block, Outcome)]) -> usize {
    let archive: Archive = open(folder);
    let count = archive.tip().map_or(0, |tip| tip.height as usize + 1);
    let mut state = std::collections::BTreeMap::new();
    for (height, (block, outcome)) in chain.iter().enumerate() {
        let found = archive.finalized(height as u64).unwrap();
        assert_eq!(found.is_some(), height < count, "{height} of {count}");
        for transaction in &block.transactions {
            assert_eq!(archive.locate(&transaction.hash()).unwrap().is_some(), height < count);
        }
        let Some(found) = found else { continue };
        assert!(same(&found, &Finalized::new(block.header.hash(), block, outcome)));
        state.extend(outcome.changes.iter().cloned());
        let view = archive.state_at(height as u64).unwrap();
        assert!(state.iter().all(|(key, value)| view.get(key).unwrap() == *value));
    }
    chain.iter().for_each(|(block, outcome)| drop(archive.append(block, outcome).unwrap()));
    assert_eq!(archive.tip().unwrap().height as usize + 1, chain.len());
    count
}

/// A process that is killed leaves its files as they are.
#[test]
fn a_killed_process_loses_nothing() {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = open(folder.path());
    let chain = fill(&archive, contents());
    // The files as they are while the archive is open, but for the lock.
    copy(folder.path(), killed.path());
    drop(archive);
    assert_eq!(check(killed.path(), &chain), chain.len());
}

/// A machine that loses power loses an end of the journal, anywhere within a block.
#[test]
fn an_end_of_the_journal_can_be_lost_at_any_byte() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let chain = fill(&archive, contents());
    let whole = tempfile::tempdir().unwrap();
    copy(folder.path(), whole.path());
    drop(archive);
    let journal = journals(whole.path()).pop().unwrap();
    // The journal is allocated ahead: the end of what was written counts.
    let bytes = fs::read(&journal).unwrap();
    let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut counts = Vec::new();
    for part in 1..=30 {
        let cut = tempfile::tempdir().unwrap();
        copy(whole.path(), cut.path());
        let path = cut.path().join(journal.file_name().unwrap());
        let kept = length - (length / 2 / 30 * part);
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(kept as u64).unwrap();
        counts.push(check(cut.path(), &chain));
    }
    assert!(counts.is_sorted_by(|a, b| a >= b) && counts[29] < counts[0] && counts[29] > 0, "{counts:?}");
}
