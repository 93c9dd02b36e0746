use super::*;

#[test]
fn percentiles_weigh_tips_by_gas() {
    let tips = vec![30, 10, 20];
    let gas = [10, 80, 10];
    assert_eq!(percentile_tips(tips, &gas, &[0.0, 50.0, 80.0, 81.0, 95.0, 100.0]), [10, 10, 10, 20, 30, 30]);
}

#[test]
fn percentiles_of_nothing_are_nothing() {
    assert_eq!(percentile_tips(Vec::new(), &[], &[50.0]), [0]);
}

#[test]
fn refuses_percentiles_that_are_none() {
    for bad in [vec![-1.0], vec![100.1], vec![f64::NAN], vec![50.0, 40.0], vec![1.0; 101]] {
        assert!(check_percentiles(&bad).is_err(), "{bad:?}");
    }
    assert!(check_percentiles(&[0.0, 50.0, 50.0, 100.0]).is_ok());
}
