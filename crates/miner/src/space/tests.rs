use super::*;

#[test]
fn lots_are_named_in_runs_that_a_transaction_takes() {
    let lots = |range: std::ops::Range<u32>| range.map(|lot| (lot, B256::repeat_byte(lot as u8))).collect::<Vec<_>>();
    let lengths = |lots| consecutive(lots).iter().map(|(first, roots)| (*first, roots.len())).collect::<Vec<_>>();
    assert_eq!(lengths(lots(0..0)), []);
    assert_eq!(lengths(lots(7..71)), [(7, 64)]);
    assert_eq!(lengths(lots(7..72)), [(7, 64), (71, 1)]);
    assert_eq!(lengths([lots(1..3), lots(4..5), lots(9..11)].concat()), [(1, 2), (4, 1), (9, 2)]);
    assert_eq!(lengths(lots(u32::MAX - 1..u32::MAX)), [(u32::MAX - 1, 1)]);
}
