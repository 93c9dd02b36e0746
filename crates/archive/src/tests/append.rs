use super::fixture::*;
use crate::{Archive, ArchiveError, Head, record::Finalized};
use alloy_primitives::B256;
use types::{ChainSpec, Header};

/// Blocks with a few transactions and logs each.
fn contents(count: u8) -> Vec<Content> {
    let content = |number: u8| Content {
        system_logs: if number.is_multiple_of(4) { vec![log(0xce, &[number], 1)] } else { vec![] },
        logs: (0..number % 3).map(|index| vec![log(number, &[1, index], index); usize::from(index)]).collect(),
        changes: vec![(account(number), Some(value(number)))],
        code: vec![vec![number; 3].into()],
    };
    (0..count).map(content).collect()
}

#[test]
fn what_was_appended_is_found_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    assert!(archive.tip().is_none() && archive.finalized(0).unwrap().is_none());
    // More than are kept decoded.
    let chain = fill(&archive, contents(40));
    let check = |archive: &Archive| {
        for (block, outcome) in &chain {
            let (height, hash) = (block.header.height, block.header.hash());
            let expected = Finalized::new(hash, block, outcome);
            let found = archive.finalized(height).unwrap().unwrap();
            assert!(same(&found, &expected), "{found:?}\n{expected:?}");
            assert_eq!(archive.header(height).unwrap(), Some((hash, block.header.clone())));
            assert_eq!(archive.height_of(&hash).unwrap(), Some(height));
            let hashes: Vec<_> = block.transactions.iter().map(|transaction| transaction.hash()).collect();
            assert_eq!(archive.transaction_hashes(height).unwrap(), Some(hashes.clone()));
            for (index, wanted) in (0u32..).zip(&hashes) {
                let located = archive.transaction(wanted).unwrap().unwrap();
                assert_eq!((located.height, located.block_hash, located.index), (height, hash, index));
                assert_eq!(located.transaction.hash(), *wanted);
                assert_eq!(archive.locate(wanted).unwrap(), Some((height, index)));
            }
            assert!(archive.transaction_at(height, hashes.len() as u32).unwrap().is_none());
        }
        let unknown = B256::repeat_byte(9);
        assert!(archive.transaction(&unknown).unwrap().is_none() && archive.height_of(&unknown).unwrap().is_none());
        assert!(archive.finalized(41).unwrap().is_none() && archive.transaction_hashes(41).unwrap().is_none());
        let (last, _) = &chain[40];
        let head = Head { height: 40, hash: last.header.hash(), timestamp_ms: last.header.timestamp_ms };
        assert_eq!(archive.tip(), Some(head));
    };
    check(&archive);
    drop(archive);
    check(&open(folder.path()));
}

#[test]
fn logs_of_the_opening_come_first_and_belong_to_no_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let content = Content {
        system_logs: vec![log(1, &[1], 1)],
        logs: vec![vec![log(2, &[], 2)], vec![], vec![log(3, &[], 3), log(4, &[], 4)]],
        ..Default::default()
    };
    let chain = fill(&archive, [content]);
    let finalized = archive.finalized(1).unwrap().unwrap();
    let places: Vec<_> =
        finalized.logs.iter().map(|log| (log.log_index, log.transaction_index, log.log.data.data[0])).collect();
    assert_eq!(places, [(0, 3, 1), (1, 0, 2), (2, 2, 3), (3, 2, 4)]);
    assert_eq!(finalized.logs[0].transaction_hash, chain[1].0.header.hash());
    assert_eq!(finalized.logs_of(2).count(), 2);
}

#[test]
fn a_block_that_is_there_is_not_appended_or_announced_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let chain = fill(&archive, contents(5));
    let (mut blocks, tips) = (archive.subscribe(), archive.watch_tip());
    for (block, outcome) in &chain {
        let again = archive.append(block, outcome).unwrap();
        assert!(same(&again, &Finalized::new(block.header.hash(), block, outcome)));
    }
    assert!(blocks.try_recv().is_err() && !tips.has_changed().unwrap());
    let (next, outcome) = child(&chain[5].0.header, Content::default());
    archive.append(&next, &outcome).unwrap();
    assert_eq!(blocks.try_recv().unwrap().block.header, next.header);
    assert!(tips.has_changed().unwrap());
    assert_eq!(tips.borrow().unwrap().height, 6);
}

#[test]
fn only_the_next_block_is_appended() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let (block, outcome) = child(&Header { height: 4, ..genesis().0.header }, Content::default());
    assert!(matches!(archive.append(&block, &outcome), Err(ArchiveError::Gap { height: 5, next: 0 })));
    let chain = fill(&archive, contents(3));
    let gap = child(&Header { height: 4, ..chain[3].0.header.clone() }, Content::default());
    assert!(matches!(archive.append(&gap.0, &gap.1), Err(ArchiveError::Gap { height: 5, next: 4 })));
    let stranger = child(&Header { timestamp_ms: 1, ..chain[3].0.header.clone() }, Content::default());
    assert!(matches!(archive.append(&stranger.0, &stranger.1), Err(ArchiveError::WrongParent { height: 4, .. })));
    let other = child(&chain[2].0.header, Content { logs: vec![vec![]; 7], ..Default::default() });
    assert!(matches!(archive.append(&other.0, &other.1), Err(ArchiveError::Conflict { height: 3, .. })));
    // Block and outcome of different blocks.
    let (next, _) = child(&chain[3].0.header, Content { logs: vec![vec![log(1, &[], 1)]], ..Default::default() });
    let (_, outcome) = child(&chain[3].0.header, Content { logs: vec![vec![log(2, &[], 1)]], ..Default::default() });
    assert!(matches!(archive.append(&next, &outcome), Err(ArchiveError::WrongOutcome { height: 4, .. })));
    assert_eq!(archive.tip().unwrap().height, 3);
}

#[test]
fn an_archive_can_begin_with_the_first_block() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let (block, outcome) = child(&genesis().0.header, contents(2).remove(1));
    archive.append(&block, &outcome).unwrap();
    assert_eq!((archive.tip().unwrap().height, archive.oldest_state().unwrap()), (1, Some(1)));
    assert!(archive.state_at(0).is_err());
}

#[test]
fn folders_in_use_or_of_other_chains_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    assert!(matches!(Archive::open(folder.path(), &spec()), Err(ArchiveError::Locked)));
    drop(archive);
    let other = ChainSpec { chain_id: 1, ..spec() };
    let error = Archive::open(folder.path(), &other).err().unwrap();
    assert!(matches!(error, ArchiveError::ForeignChain { found: 7777, expected: 1 }));
}
