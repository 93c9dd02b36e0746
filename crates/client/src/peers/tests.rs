use super::*;

const PEER: B256 = B256::repeat_byte(1);
const OTHER: B256 = B256::repeat_byte(2);

#[test]
fn prefers_the_quick() {
    let board = Scoreboard::default();
    let now = Instant::now();
    board.answered(PEER, Duration::from_millis(9));
    board.answered(OTHER, Duration::from_millis(3));
    assert!(board.rank(&OTHER, now) < board.rank(&PEER, now));
}

#[test]
fn passes_over_the_silent_for_longer_each_time_until_they_answer() {
    let board = Scoreboard::default();
    let now = Instant::now();
    board.failed(PEER, now);
    assert!(board.is_resting(&PEER, now + REST - Duration::from_millis(1)));
    assert!(!board.is_resting(&PEER, now + REST));
    board.failed(PEER, now);
    assert!(board.is_resting(&PEER, now + REST));
    for _ in 0..100 {
        board.failed(PEER, now);
    }
    assert!(!board.is_resting(&PEER, now + REST_MAX));
    board.answered(PEER, Duration::from_millis(1));
    assert!(!board.is_resting(&PEER, now));
}

#[test]
fn a_liar_stays_behind_whatever_it_answers_later() {
    let board = Scoreboard::default();
    let now = Instant::now();
    board.lied(PEER, now);
    board.answered(PEER, Duration::from_millis(1));
    assert!(board.is_resting(&PEER, now));
    assert!(board.rank(&OTHER, now + REST_MAX) < board.rank(&PEER, now + REST_MAX));
    assert_eq!(board.standings()[0].lies, 1);
}
