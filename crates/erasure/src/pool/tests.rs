use super::*;

#[test]
fn a_dropped_buffer_is_taken_again() {
    let pool = Pool::default();
    let shared = pool.take(100).freeze();
    let (address, part) = (shared.as_ptr(), shared.slice(10..20));
    drop(shared);
    assert_ne!(pool.take(100).as_ref().as_ptr(), address, "a share is alive");
    drop(part);
    assert_eq!(pool.take(100).as_ref().as_ptr(), address);
}

#[test]
fn a_buffer_has_the_length_asked_for() {
    let pool = Pool::default();
    drop(pool.take(100));
    assert_eq!(pool.take(99).as_ref().len(), 99);
}

#[test]
fn idle_memory_is_bounded_and_follows_the_length_in_use() {
    let pool = Pool::default();
    let third = IDLE_BYTES_MAX / 3;
    drop([(); 5].map(|()| pool.take(third)));
    assert_eq!(pool.idle_lengths(), [third; 3]);
    drop(pool.take(third + 1));
    assert_eq!(pool.idle_lengths(), [third + 1]);
    drop(pool.take(IDLE_BYTES_MAX + 1));
    assert_eq!(pool.idle_lengths().iter().sum::<usize>(), 0);
}
