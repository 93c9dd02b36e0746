use super::*;
use alloy_primitives::B256;

const ACCOUNT: Account = Account { territory: 1, volume: 2 };

fn key(number: u8) -> FragmentKey {
    FragmentKey { segment: B256::repeat_byte(number), volume: 2 }
}

fn staged(numbers: std::ops::Range<u8>) -> Staging {
    let mut staging = Staging::default();
    for number in numbers {
        staging.reserve(key(number), 1, 100, u64::MAX).unwrap();
        staging.settle(&key(number));
    }
    staging
}

#[test]
fn e9_a_lease_is_spent_once_by_all_that_is_on_its_way() {
    let mut staging = Staging::default();
    staging.reserve(key(1), 1, 100, 250).unwrap();
    staging.reserve(key(2), 1, 100, 250).unwrap();
    assert_eq!(staging.reserve(key(3), 1, 100, 250), Err(ReserveError::Exceeded { staged_bytes: 200 }));
    staging.remove(&key(1));
    assert_eq!(staging.reserve(key(3), 1, 100, 250), Ok(()));
    assert_eq!(staging.bytes(ACCOUNT), 200);
}

#[test]
fn another_territory_or_volume_has_a_budget_of_its_own() {
    let mut staging = staged(1..3);
    assert_eq!(staging.reserve(key(3), 7, 100, 100), Ok(()));
    let elsewhere = FragmentKey { volume: 9, ..key(4) };
    assert_eq!(staging.reserve(elsewhere, 1, 100, 100), Ok(()));
}

#[test]
fn a_fragment_is_taken_once() {
    let mut staging = Staging::default();
    staging.reserve(key(1), 1, 100, 500).unwrap();
    assert_eq!(staging.reserve(key(1), 1, 100, 500), Err(ReserveError::InProgress));
    staging.settle(&key(1));
    assert_eq!(staging.reserve(key(1), 8, 100, 500), Err(ReserveError::Durable));
    assert!(staging.is_durable(&key(1), 1) && !staging.is_durable(&key(1), 8));
}

#[test]
fn sums_that_overflow_are_beyond_every_lease() {
    let mut staging = staged(1..2);
    assert!(staging.reserve(key(3), 1, u64::MAX, u64::MAX).is_err());
}

#[test]
fn e3_what_is_under_a_receipt_stays_until_it_has_run_out() {
    let mut staging = staged(1..4);
    staging.hold(&[key(1), key(2)], 50);
    staging.hold(&[key(2)], 20);
    assert_eq!(staging.expire(50, |_| true, 10), [key(3)]);
    let mut gone = staging.expire(51, |_| true, 10);
    gone.sort_unstable();
    assert_eq!(gone, [key(1), key(2)]);
}

#[test]
fn nothing_goes_while_its_lease_lasts_or_before_it_is_on_disk() {
    let mut staging = staged(1..3);
    assert!(staging.expire(1000, |_| false, 10).is_empty());
    staging.reserve(key(9), 1, 100, u64::MAX).unwrap();
    assert_eq!(staging.expire(1000, |account| *account == ACCOUNT, 10).len(), 2);
    assert_eq!(staging.accounts(), [ACCOUNT]);
}

#[test]
fn a_sweep_takes_no_more_than_its_limit() {
    let mut staging = staged(1..6);
    let gone = staging.expire(1, |_| true, 2);
    assert_eq!(gone.len(), 2);
    assert!(!staging.is_durable(&gone[0], 1), "nobody signs for what goes");
    assert_eq!(staging.reserve(gone[0], 1, 100, 1000), Err(ReserveError::InProgress));
    gone.iter().for_each(|key| staging.remove(key));
    assert_eq!(staging.bytes(ACCOUNT), 300);
}

#[test]
fn what_was_found_on_disk_counts_as_before() {
    let mut staging = Staging::default();
    staging.restore(key(1), 1, 100, 70);
    staging.restore(key(1), 1, 100, 70);
    assert_eq!(staging.bytes(ACCOUNT), 100);
    assert!(staging.expire(70, |_| true, 10).is_empty());
    assert_eq!(staging.expire(71, |_| true, 10), [key(1)]);
}
