//! Live through audit rounds with a miner that dropped part of its bytes: how long it stays hidden, and what that brings.
//!
//! The rounds are those of the main network, with the real draws: beacons A and B, coverage, samples. A hundredth of
//! the network is simulated with a hundredth of the samples, which hits a miner as often. The miner has 128 lots of 64
//! GiB, one lot-group, and half of it in volumes; what it dropped cannot be shown.

#![allow(clippy::print_stdout)]

use alloy_primitives::{B256, keccak256};
use proofs::{
    round::{Entry, Place, Round, Shape},
    sample::{Aim, Sample},
};
use types::spec::{AuditSpec, StorageSpec};

const LOTS: u32 = 128;
const LIVES: u64 = 100;
const SCALE: u32 = 100;

struct Life {
    days: f64,
    /// Openings that were asked and shown until the first that was not.
    good: u64,
}

/// Whether a slot is gone, of a miner that dropped so many in a thousand.
fn is_dropped(life: u64, place: Place, per_mille: u32) -> bool {
    let Place { lot, slot } = place;
    let hash = keccak256([life.to_be_bytes().as_slice(), &lot.to_be_bytes(), &slot.to_be_bytes()].concat());
    u32::from_be_bytes(hash[..4].try_into().expect("four bytes")) % 1_000 < per_mille
}

fn live(shape: Shape, rules: &AuditSpec, groups: u32, per_mille: u32, life: u64) -> Life {
    let lots = groups / SCALE * LOTS;
    let mut good = 0;
    for number in 0u64.. {
        let beacon =
            |phase: u8| -> B256 { keccak256([&life.to_be_bytes()[..], &number.to_be_bytes(), &[phase]].concat()) };
        let round = Round { shape, beacon: beacon(0), miner: 1, lots: LOTS };
        for number_of_sample in 0..rules.samples / SCALE {
            let sample = Sample { beacon: beacon(1), number: number_of_sample };
            if sample.lot(0, lots) > LOTS {
                continue;
            }
            // Where nothing is fresh a light response is asked instead.
            let aim = if sample.aim() == Aim::Deep { Aim::Deep } else { Aim::Light };
            let Some(Entry::Deep(place) | Entry::Light(place)) = round.entry(sample.entry(&round, aim)) else {
                continue;
            };
            if is_dropped(life, place, per_mille) {
                return Life { days: (number + 1) as f64 * rules.round_ms as f64 / 86_400_000.0, good };
            }
            good += 1;
        }
    }
    unreachable!("it is found in the end")
}

fn main() {
    let rules = AuditSpec::main();
    let shape = Shape::of(
        &StorageSpec { slot_bytes: 2 << 20, lot_slots: 32_768, unit_slots: 32, ..StorageSpec::devnet() },
        &rules,
    );
    println!(
        "lot-groups, dropped: days until found (mean, longest of {LIVES}); saved at most, fined, profit in a day's reward"
    );
    for groups in [10_000, 100_000, 1_000_000] {
        let daily = f64::from(rules.samples) * 86_400_000.0 / rules.round_ms as f64 / f64::from(groups);
        for per_mille in [10, 50, 100, 300] {
            // What is hardly ever asked takes long to simulate.
            let lives = if groups == 1_000_000 { LIVES / 5 } else { LIVES };
            let all: Vec<Life> = (0..lives).map(|life| live(shape, &rules, groups, per_mille, life)).collect();
            let mean = |of: fn(&Life) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
            let (days, good) = (mean(|life| life.days), mean(|life| life.good as f64));
            let longest = all.iter().map(|life| life.days).fold(0.0, f64::max);
            // As if keeping bytes cost all that they bring; one opening is paid a day's reward over the day's openings.
            let saved = days * f64::from(per_mille) / 1_000.0;
            let fined = f64::from(rules.fine_factor) / daily;
            println!(
                "{groups}, {:.0} %: {days:.2}, {longest:.2}; {saved:.3}, {fined:.2}, {:.2} ({daily:.2} openings a day, {good:.1} shown before)",
                f64::from(per_mille) / 10.0,
                saved - fined
            );
        }
    }
}
