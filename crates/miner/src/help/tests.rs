use super::*;

const PLACE: (u32, u32) = (7, 3);

#[tokio::test(start_paused = true)]
async fn only_new_acknowledgements_take_off_what_was_given() {
    let help = HelpDesk::new(1);
    help.give(PLACE, 100);
    help.settle(PLACE, 0);
    assert_eq!(help.ahead(PLACE), 100);
    help.settle(PLACE, 30);
    help.settle((7, 4), 30);
    assert_eq!(help.ahead(PLACE), 70);
    help.settle(PLACE, 1_000);
    assert_eq!(help.ahead(PLACE), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_its_way_is_forgotten_and_no_sooner() {
    let help = HelpDesk::new(1);
    help.give(PLACE, 100);
    tokio::time::advance(LOST_AFTER - Duration::from_secs(1)).await;
    assert_eq!(help.ahead(PLACE), 100);
    help.give(PLACE, 1);
    tokio::time::advance(LOST_AFTER - Duration::from_secs(1)).await;
    assert_eq!(help.ahead(PLACE), 101);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(help.ahead(PLACE), 0);
}

#[tokio::test(start_paused = true)]
async fn accounts_are_bounded() {
    let help = HelpDesk::new(1);
    for lot in 0..2 * CASES_MAX as u32 {
        help.give((7, lot), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(help.ahead.lock().len(), CASES_MAX);
    assert_eq!((help.ahead((7, 0)), help.ahead((7, 2 * CASES_MAX as u32 - 1))), (0, 1));
}
