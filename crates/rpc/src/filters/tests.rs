use super::*;

fn blocks() -> Watch {
    Watch::Blocks { after: 0 }
}

fn id(number: u128) -> FilterId {
    FilterId::from(number.to_be_bytes())
}

#[test]
fn a_filter_that_nobody_asks_for_is_forgotten() {
    let mut filters = Filters::new(2, 100);
    filters.install(id(1), blocks(), 0).expect("room");
    filters.install(id(2), blocks(), 0).expect("room");
    assert!(filters.find(&id(1), 99).is_ok());
    assert!(filters.find(&id(1), 198).is_ok(), "asking keeps it alive");
    assert_eq!(filters.find(&id(2), 198).err(), Some(RpcError::UnknownFilter));
}

#[test]
fn filters_are_bounded_and_expiry_makes_room() {
    let mut filters = Filters::new(1, 100);
    filters.install(id(1), blocks(), 0).expect("room");
    assert!(matches!(filters.install(id(2), blocks(), 99), Err(RpcError::Limit(_))));
    filters.install(id(3), blocks(), 100).expect("the first has expired");
}

#[test]
fn uninstalling_says_whether_there_was_one() {
    let mut filters = Filters::new(1, 100);
    filters.install(id(1), blocks(), 0).expect("room");
    assert!(filters.uninstall(&id(1)));
    assert!(!filters.uninstall(&id(1)));
}
