use super::fixture::*;
use crate::{Archive, LogFilter, LogRecord, LogsError};
use alloy_primitives::{Address, B256, Log};
use proptest::prelude::*;

fn any_log() -> impl Strategy<Value = Log> {
    (0u8..4, prop::collection::vec(0u8..3, 0..=4), any::<u8>())
        .prop_map(|(address, topics, data)| log(address, &topics, data))
}

fn any_content() -> impl Strategy<Value = Content> {
    let logs = prop::collection::vec(prop::collection::vec(any_log(), 0..4), 0..4);
    (logs, prop::collection::vec(any_log(), 0..2)).prop_map(|(logs, system_logs)| Content {
        logs,
        system_logs,
        ..Default::default()
    })
}

fn any_filter() -> impl Strategy<Value = LogFilter> {
    let topic = || prop::option::of(prop::collection::vec((0u8..4).prop_map(B256::with_last_byte), 0..3));
    let addresses = prop::collection::vec((0u8..5).prop_map(Address::repeat_byte), 0..3);
    (0u64..12, 0u64..14, addresses, [topic(), topic(), topic(), topic()])
        .prop_map(|(from, length, addresses, topics)| LogFilter { from, to: from + length, addresses, topics })
}

fn brute_force(archive: &Archive, filter: &LogFilter) -> Vec<LogRecord> {
    let blocks = (filter.from..=filter.to).filter_map(|height| archive.finalized(height).unwrap());
    blocks.flat_map(|finalized| finalized.logs.clone()).filter(|record| filter.matches(&record.log)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn filters_find_what_a_look_at_every_log_finds(
        contents in prop::collection::vec(any_content(), 1..12),
        filters in prop::collection::vec(any_filter(), 30),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let archive = open(folder.path());
        fill(&archive, contents);
        for filter in filters {
            prop_assert_eq!(archive.logs(&filter).unwrap(), brute_force(&archive, &filter), "{:?}", filter);
        }
    }
}

fn range(from: u64, to: u64) -> LogFilter {
    LogFilter { from, to, ..Default::default() }
}

#[test]
fn answers_that_are_too_long_name_a_range_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let content = |_| Content { logs: vec![vec![log(1, &[1], 1); 4]], ..Default::default() };
    fill(&archive, (0..10).map(content));
    let within = |filter: &LogFilter, results| archive.logs_within(filter, results, usize::MAX);
    assert_eq!(within(&range(0, 10), 40).unwrap().len(), 40);
    for limit in 4..40 {
        let Err(LogsError::TooMany { from: 0, to, .. }) = within(&range(0, 10), limit) else { panic!("{limit}") };
        assert_eq!(within(&range(0, to), limit).unwrap().len(), limit / 4 * 4);
    }
    assert!(matches!(within(&range(2, 10), 3), Err(LogsError::TooManyInBlock { height: 2, .. })));
}

#[test]
fn long_searches_and_lists_and_empty_ranges_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    // The two terms take turns and never meet.
    let content = |number: u64| Content {
        logs: vec![vec![if number.is_multiple_of(2) { log(1, &[9], 1) } else { log(2, &[1], 1) }]],
        ..Default::default()
    };
    fill(&archive, (0..50).map(content));
    let filter = LogFilter {
        addresses: vec![Address::repeat_byte(1)],
        topics: [Some(vec![B256::with_last_byte(1)]), None, None, None],
        ..range(0, 50)
    };
    assert_eq!(archive.logs(&filter).unwrap(), []);
    let Err(LogsError::TooSlow { from: 0, to }) = archive.logs_within(&filter, 10, 20) else { panic!() };
    assert!(to < 50 && archive.logs_within(&LogFilter { to, ..filter.clone() }, 10, 20).is_ok());
    let many = LogFilter { addresses: vec![Address::ZERO; LogFilter::VALUES_MAX + 1], ..filter };
    assert!(matches!(archive.logs(&many), Err(LogsError::TooManyValues { count: 257 })));
    assert!(matches!(archive.logs(&range(3, 2)), Err(LogsError::EmptyRange { .. })));
    assert_eq!(archive.logs(&range(60, u64::MAX)).unwrap(), []);
}

#[test]
fn rare_logs_are_found_among_many_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let content = |number: u64| Content {
        logs: if number % 1_000 == 7 {
            vec![vec![log(3, &[5], 1)]]
        } else if number.is_multiple_of(2) {
            vec![vec![log(1, &[5], 1)]]
        } else {
            vec![]
        },
        ..Default::default()
    };
    fill(&archive, (0..5_000).map(content));
    let filter = LogFilter {
        addresses: vec![Address::repeat_byte(3)],
        topics: [Some(vec![B256::with_last_byte(5)]), None, None, None],
        ..range(0, 5_000)
    };
    // Few steps: the common topic is skipped over, not walked through.
    let found = archive.logs_within(&filter, 10, 40).unwrap();
    assert_eq!(found.iter().map(|record| record.height).collect::<Vec<_>>(), [8, 1_008, 2_008, 3_008, 4_008]);
}
