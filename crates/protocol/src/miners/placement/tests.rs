use super::*;
use crate::{
    fixture::{DE, code},
    miners::{record::Tally, tree::tests::run},
};
use std::sync::{Arc, Mutex};
use types::spec::StorageSpec;

/// A registry of miners with these free lots, all in one place.
fn fill(ledger: &mut dyn Ledger, weights: &[u32]) -> Result<Miners> {
    let placed: Vec<_> = weights.iter().map(|weight| (*weight, DE, 0)).collect();
    fill_in(ledger, &placed)
}

/// A registry of miners with free lots, regions and networks.
fn fill_in(ledger: &mut dyn Ledger, placed: &[(u32, FixedBytes<6>, u32)]) -> Result<Miners> {
    let miners = Miners::new(&StorageSpec::devnet());
    for (miner, (weight, region, network)) in (1..).zip(placed) {
        miners.storage.miner_count.set(ledger, miner)?;
        let record = miners.storage.miners.at(ledger, &miner)?;
        let (region, network) = (*region, *network);
        record.identity.set(ledger, Identity { region, network, ..Identity::default() })?;
        miners.take_places(ledger, miner, &record, region)?;
        miners.reweigh(ledger, miner, &record, 0, *weight)?;
        record.tally.set(ledger, Tally { weight: *weight, ..Tally::default() })?;
    }
    Ok(miners)
}

fn everywhere(policy: u32) -> Rule {
    Rule {
        policy,
        regionCap: 0,
        networkCap: 0,
        isPrivate: false,
        allowed: Vec::new(),
        forbidden: Vec::new(),
        miners: Vec::new(),
    }
}

fn draft<'a>(rule: &'a Rule, seed: &'a [u8]) -> Draft<'a> {
    let (crowd, taken) = (Crowd::default(), Vec::new());
    Draft { rule, domain: domain::FORMATION, seed, salt: rule.policy, busy_allowed: true, crowd, taken }
}

fn find(ledger: &mut dyn Ledger, miners: &Miners, rule: &Rule, seats: usize, seed: &[u8]) -> Result<Vec<u32>> {
    miners.find(ledger, &mut draft(rule, seed), seats)
}

#[test]
fn draws_distinct_miners_in_proportion_to_their_lots() {
    run(|ledger| {
        let miners = fill(ledger, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9])?;
        let (rounds, mut firsts) = (600u32, [0u32; 13]);
        for round in 0..rounds {
            let drawn = find(ledger, &miners, &everywhere(0), 4, &round.to_be_bytes())?;
            if drawn.len() < 4 {
                continue;
            }
            let mut distinct = drawn.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 4);
            firsts[drawn[0] as usize] += 1;
        }
        // Miner 12 has 9 of 20 lots: 270 expected, with a standard deviation of 12.
        assert!((210..330).contains(&firsts[12]), "{firsts:?}");
        assert!(firsts[1..12].iter().all(|count| (5..70).contains(count)), "{firsts:?}");
        Ok(())
    });
}

#[test]
fn the_policy_changes_the_draw() {
    run(|ledger| {
        let miners = fill(ledger, &[5; 40])?;
        let public = find(ledger, &miners, &everywhere(0), 8, b"seed")?;
        assert_eq!(public, find(ledger, &miners, &everywhere(0), 8, b"seed")?);
        assert_ne!(public, find(ledger, &miners, &everywhere(1), 8, b"seed")?);
        Ok(())
    });
}

#[test]
fn gives_up_when_the_tries_do_not_suffice() {
    run(|ledger| {
        let miners = fill(ledger, &[u32::MAX, 1, 1])?;
        assert!(find(ledger, &miners, &everywhere(0), 3, b"seed")?.len() < 3);
        Ok(())
    });
    run(|ledger| {
        let miners = fill(ledger, &[])?;
        assert!(find(ledger, &miners, &everywhere(0), 3, b"seed")?.is_empty());
        Ok(())
    });
}

/// Regions and networks in turn: what is drawn obeys the rule, and every place that it leaves open is found.
#[test]
fn obeys_regions_and_caps() {
    run(|ledger| {
        let regions = [code("DE"), code("DE-BE"), code("FR"), code("US-CA"), code("US-NY")];
        let placed: Vec<_> = (0..40u32).map(|index| (3, regions[index as usize % 5], index / 2)).collect();
        let miners = fill_in(ledger, &placed)?;
        let seen = |drawn: &[u32]| drawn.iter().map(|miner| placed[*miner as usize - 1]).collect::<Vec<_>>();

        let germany = Rule { allowed: vec![code("DE")], ..everywhere(1) };
        let drawn = seen(&find(ledger, &miners, &germany, 12, b"one")?);
        assert!(drawn.len() == 12 && drawn.iter().all(|(_, region, _)| covers(code("DE"), *region)));
        assert!(drawn.iter().any(|(_, region, _)| *region == code("DE-BE")));
        let berlin = Rule { allowed: vec![code("DE-BE"), code("FR")], ..everywhere(1) };
        let drawn = seen(&find(ledger, &miners, &berlin, 14, b"two")?);
        assert!(drawn.len() == 14 && drawn.iter().all(|(_, region, _)| berlin.allowed.contains(region)));

        let elsewhere = Rule { forbidden: vec![code("DE"), code("US-CA")], ..everywhere(1) };
        let drawn = seen(&find(ledger, &miners, &elsewhere, 14, b"three")?);
        assert!(drawn.iter().all(|(_, region, _)| [code("FR"), code("US-NY")].contains(region)));
        assert_eq!(miners.supply(ledger, &elsewhere)?.eligible.operators, 16);

        let capped = Rule { regionCap: 2, networkCap: 1, ..everywhere(1) };
        let drawn = seen(&find(ledger, &miners, &capped, 10, b"four")?);
        assert_eq!(drawn.len(), 10);
        for region in regions {
            assert_eq!(drawn.iter().filter(|(_, other, _)| *other == region).count(), 2);
        }
        let mut networks: Vec<u32> = drawn.iter().map(|(_, _, network)| *network).collect();
        networks.sort_unstable();
        networks.dedup();
        assert_eq!(networks.len(), 10);
        assert_eq!(find(ledger, &miners, &capped, 11, b"five")?.len(), 10, "the caps leave no room for more");

        let own = Rule { isPrivate: true, miners: vec![3, 4, 5, 9], ..everywhere(1) };
        let mut drawn = find(ledger, &miners, &own, 4, b"six")?;
        drawn.sort_unstable();
        assert_eq!(drawn, own.miners);
        Ok(())
    });
}

/// A draw and the tickets that its first tries have.
pub struct Draw {
    pub tickets: Vec<u64>,
    pub miners: Vec<u32>,
}

impl Draw {
    /// Draws from a pool with these weights.
    pub fn of(weights: &[u32], seats: usize, policy: u32, seed: &[u8]) -> Self {
        let (weights, seed) = (weights.to_vec(), seed.to_vec());
        let draw = Arc::new(Mutex::new(Self { tickets: Vec::new(), miners: Vec::new() }));
        let out = draw.clone();
        run(move |ledger| {
            let (miners, rule) = (fill(ledger, &weights)?, everywhere(policy));
            let sum = weights.iter().map(|weight| u64::from(*weight)).sum();
            let mut out = out.lock().unwrap();
            for attempt in 0..8 {
                out.tickets.extend(draft(&rule, &seed).ticket(ledger, attempt, sum)?);
            }
            out.miners = find(ledger, &miners, &rule, seats, &seed)?;
            Ok(())
        });
        let mut draw = draw.lock().unwrap();
        Self { tickets: std::mem::take(&mut draw.tickets), miners: std::mem::take(&mut draw.miners) }
    }
}
