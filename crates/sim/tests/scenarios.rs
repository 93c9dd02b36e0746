//! Live through each scenario with a few seeds, and through one of them twice.

use sim::{Chain, Options, Report, SCENARIOS, Scenario, run};

/// Seeds of each scenario, and hours; `cargo xtask soak` takes more.
fn extent(scenario: Scenario) -> (u64, f64) {
    match scenario {
        // Real validators sign and verify.
        Scenario::Validators | Scenario::Clocks => (1, 0.2),
        _ => (3, 0.5),
    }
}

fn live_for(scenario: Scenario, seed: u64, hours: f64) -> Report {
    let result = run(Options { seed, scenario, hours, chain: Chain::Memory });
    result.unwrap_or_else(|broken| {
        panic!("{broken}; again: cargo xtask sim --seed {seed} --scenario {scenario} --hours {hours}")
    })
}

fn live(scenario: Scenario, seed: u64) -> Report {
    live_for(scenario, seed, extent(scenario).1)
}

fn live_all(scenario: Scenario) {
    for seed in 1..=extent(scenario).0 {
        let report = live(scenario, seed);
        assert!(report.reads as usize >= report.objects, "all objects are read in the end: {report:?}");
        assert!(report.opened > 0, "rounds were answered: {report:?}");
    }
}

macro_rules! scenarios {
    ($($name:ident: $scenario:expr,)*) => {
        $(#[test]
        fn $name() {
            live_all($scenario);
        })*

        #[test]
        fn no_scenario_is_left_out() {
            assert_eq!(SCENARIOS.to_vec(), [$($scenario),*]);
        }
    };
}

scenarios! {
    miners_die_for_good_and_others_join: Scenario::Churn,
    miners_lose_power: Scenario::Crashes,
    a_region_goes_dark_and_comes_back: Scenario::Dark,
    slow_and_lossy_links: Scenario::Storm,
    a_miner_drops_1_percent: Scenario::Drop(1),
    a_miner_drops_5_percent: Scenario::Drop(5),
    a_miner_drops_10_percent: Scenario::Drop(10),
    a_miner_drops_30_percent: Scenario::Drop(30),
    a_miner_commits_too_late: Scenario::Late,
    a_miner_fetches_what_is_asked_for: Scenario::Borrow,
    a_miner_withholds_after_beacon_b: Scenario::Withhold,
    an_operator_with_many_identities: Scenario::Identities,
    a_writer_stores_what_is_no_codeword: Scenario::Malformed,
    a_miner_names_units_that_are_not_its_own: Scenario::Plots,
    validators_lose_power: Scenario::Validators,
    clocks_differ: Scenario::Clocks,
}

#[test]
fn one_seed_gives_one_course_of_events() {
    let (first, second) = (live(Scenario::Churn, 7), live(Scenario::Churn, 7));
    assert_eq!(first, second);
    assert_ne!(first.digest, live(Scenario::Churn, 8).digest);
}

#[test]
fn one_seed_gives_one_course_of_events_with_validators() {
    let live = |seed| live_for(Scenario::Validators, seed, 0.05);
    let first = live(3);
    assert_eq!(first, live(3));
    assert_ne!(first.digest, live(4).digest);
}
