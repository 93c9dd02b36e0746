//! A whole committee in the deterministic runtime: latency, loss, partition, crash.

use crate::{
    committee::{ArchiveFate, CommitteeConfig, Links, Seats},
    dealer,
};
use alloy_primitives::{Address, B256, U256};
use commonware_runtime::{Clock, Runner, Supervisor, deterministic};
use light::{LightError, Verifier};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use types::{
    ChainSpec, Header,
    proof::StateProof,
    spec::{Allocation, StorageSpec, ValidatorSpec},
    state::{Account, StateKey},
};

type Context = deterministic::Context;

const SEATS: usize = 4;
const EPOCH_BLOCKS: u64 = 64;
const ALL: [usize; SEATS] = [0, 1, 2, 3];

fn spec(dealt: &dealer::Dealt) -> ChainSpec {
    ChainSpec {
        name: "test".into(),
        chain_id: 7,
        genesis_timestamp_ms: 0,
        heartbeat_ms: 500,
        block_interval_min_ms: 50,
        clock_drift_max_ms: 500,
        timestamp_step_max_ms: 600_000,
        gas_limit: 30_000_000,
        base_fee_min: 1_000,
        storage: StorageSpec::devnet(),
        validators: dealt
            .seats
            .iter()
            .map(|seat| ValidatorSpec {
                public_key: seat.public_key,
                beneficiary: Address::repeat_byte(1),
                address: "127.0.0.1:1".into(),
            })
            .collect(),
        output: dealt.output.clone(),
        epoch_blocks: EPOCH_BLOCKS,
        alloc: vec![Allocation { address: Address::repeat_byte(2), balance: U256::from(1_000_000u64) }],
    }
}

/// A committee that runs, with its archives in this folder.
async fn committee(context: &Context, folder: &Path, links: Links) -> Seats {
    committee_with_clocks(context, folder, links, [0; SEATS]).await
}

async fn committee_with_clocks(context: &Context, folder: &Path, links: Links, ahead_ms: [i64; SEATS]) -> Seats {
    let dealt = dealer::deal(SEATS as u32, [9; 32]);
    let (spec, folder, ahead_ms) = (Arc::new(spec(&dealt)), folder.to_path_buf(), ahead_ms.to_vec());
    let config = CommitteeConfig { spec, dealt, seed: 0, folder, ahead_ms, links };
    let views = Arc::new(Mutex::new(vec![None; SEATS]));
    let mut seats = Seats::new(context.child("committee"), config, views).await;
    seats.start_all();
    seats
}

fn healthy() -> Links {
    Links { latency_ms: 10, jitter_ms: 2, loss_per_million: 0 }
}

fn runner(seed: u64) -> deterministic::Runner {
    deterministic::Runner::seeded(seed)
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn one_seed_is_one_run_under_latency_and_loss() {
    let run = || {
        let folder = folder();
        runner(3).start(|context| async move {
            let slow = Links { latency_ms: 30, jitter_ms: 6, loss_per_million: 100_000 };
            let committee = committee(&context, folder.path(), slow).await;
            committee.reach(&ALL, 12).await;
            committee.agreed().unwrap().into_iter().take(12).collect::<Vec<_>>()
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn goes_on_without_one_seat_which_catches_up_from_its_own_disk() {
    for archive in [ArchiveFate::Kept, ArchiveFate::Lost] {
        let folder = folder();
        runner(1).start(|context| async move {
            let mut committee = committee(&context, folder.path(), healthy()).await;
            committee.reach(&ALL, 5).await;
            committee.crash(2, archive).await;
            let stopped_at = committee.height(2);
            committee.reach(&[0, 1, 3], stopped_at + 8).await;
            assert_eq!(committee.height(2), stopped_at);
            assert!(committee.node(2).is_none());
            committee.start(2);
            committee.reach(&ALL, stopped_at + 14).await;
            committee.agreed().unwrap();
            let tip = committee.node(2).unwrap().archive().tip().unwrap();
            assert!(tip.height >= stopped_at + 14, "{tip:?}");
        });
    }
}

#[test]
fn halves_stand_still_and_go_on_when_they_meet() {
    let folder = folder();
    runner(2).start(|context| async move {
        let mut committee = committee(&context, folder.path(), healthy()).await;
        committee.reach(&ALL, 4).await;
        committee.cut(&[0, 1], &[2, 3]).await;
        context.sleep(Duration::from_secs(2)).await;
        let stood = ALL.map(|seat| committee.height(seat));
        context.sleep(Duration::from_secs(20)).await;
        assert_eq!(stood, ALL.map(|seat| committee.height(seat)));
        committee.mend().await;
        let highest = stood.iter().max().unwrap() + 5;
        committee.reach(&ALL, highest).await;
        committee.agreed().unwrap();
    });
}

#[test]
fn a_power_cut_of_all_loses_nothing_final() {
    let folder = folder();
    let path = folder.path();
    let (before, checkpoint) = runner(4).start_and_recover(|context| async move {
        let committee = committee(&context, path, healthy()).await;
        committee.reach(&ALL, 6).await;
        committee.agreed().unwrap()
    });
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let committee = committee(&context, path, healthy()).await;
        let next = *before.last_key_value().unwrap().0 + 5;
        committee.reach(&ALL, next).await;
        for (height, block) in committee.agreed().unwrap() {
            assert!(before.get(&height).is_none_or(|known| *known == block), "height {height} changed");
        }
    });
}

#[test]
fn clocks_that_differ_neither_stop_the_chain_nor_turn_its_time_back() {
    let folder = folder();
    runner(6).start(|context| async move {
        let ahead_ms = [0, 400, 3_000, -3_000];
        let began = context.current();
        let committee = committee_with_clocks(&context, folder.path(), healthy(), ahead_ms).await;
        committee.reach(&ALL, 30).await;
        let passed_ms = context.current().duration_since(began).unwrap().as_millis() as u64;
        let archive = committee.node(0).unwrap().archive();
        let headers: Vec<Header> = (0..=30).map(|height| archive.header(height).unwrap().unwrap().1).collect();
        assert!(headers.windows(2).all(|pair| pair[0].timestamp_ms <= pair[1].timestamp_ms));
        assert!(headers[30].timestamp_ms <= passed_ms + 3_000, "{} after {passed_ms} ms", headers[30].timestamp_ms);
        committee.agreed().unwrap();
    });
}

#[test]
fn committees_follow_each_other_under_one_key() {
    let folder = folder();
    runner(6).start(|context| async move {
        let mut committee = committee(&context, folder.path(), healthy()).await;
        committee.reach(&ALL, EPOCH_BLOCKS + 5).await;
        // One is away while an epoch ends and the next one's secrets are dealt, and signs again in the one after it.
        committee.crash(2, ArchiveFate::Kept).await;
        committee.reach(&[0, 1, 3], 2 * EPOCH_BLOCKS + 10).await;
        committee.start(2);
        committee.reach(&ALL, 4 * EPOCH_BLOCKS + 10).await;
        let status = committee.node(2).unwrap().status();
        assert!(status.epoch >= 4, "{status:?}");
        assert_eq!(status.committee.len(), SEATS);
        let agreed = committee.agreed().unwrap();
        assert!(agreed.len() as u64 > 4 * EPOCH_BLOCKS);
        let keys = [Address::repeat_byte(2)].map(StateKey::Account);
        let proof = state_proof(&context, &committee, &keys).await;
        let verifier = Verifier::new(committee.spec().chain_id, &committee.spec().output).unwrap();
        let (header, _) = verifier.state(&proof).unwrap();
        assert!(header.epoch >= 4, "the first committee's key verifies the fifth");
        // The last block of an epoch proves as well, though it may be proposed in more views than one.
        let (last, certificate) = committee.node(0).unwrap().certificate(Some(2 * EPOCH_BLOCKS - 1)).await.unwrap();
        let last = verifier.header(&last, &certificate).unwrap();
        assert_eq!((last.height, last.epoch), (2 * EPOCH_BLOCKS - 1, 1));
        assert!(!last.resharing_hash.is_zero());
    });
}

/// Proves `keys` on a block that has a certificate of its own.
async fn state_proof(context: &Context, committee: &Seats, keys: &[StateKey]) -> StateProof {
    loop {
        let node = committee.node(0).unwrap();
        if let Some(proof) = node.try_prove(keys).await.unwrap() {
            return proof;
        }
        context.sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_light_client_believes_what_the_committee_signed_and_nothing_else() {
    let folder = folder();
    runner(5).start(|context| async move {
        let committee = committee(&context, folder.path(), healthy()).await;
        committee.reach(&ALL, 3).await;
        let keys = [Address::repeat_byte(2), Address::repeat_byte(3)].map(StateKey::Account);
        let proof = state_proof(&context, &committee, &keys).await;
        let verifier = Verifier::new(committee.spec().chain_id, &committee.spec().output).unwrap();

        let (header, values) = verifier.state(&proof).unwrap();
        assert!(header.height >= 1);
        assert_eq!(Account::decode(&values[0].unwrap()).balance, U256::from(1_000_000u64));
        assert_eq!(values[1], None);

        let forge = |change: &dyn Fn(&mut StateProof)| {
            let mut forged = proof.clone();
            change(&mut forged);
            verifier.state(&forged).unwrap_err()
        };
        let richer = Account { balance: U256::MAX, ..Account::default() };
        let entry = |position| LightError::Entry { position };
        assert_eq!(forge(&|proof| proof.entries[0].value = Some(richer.encode().to_vec().into())), entry(0));
        assert_eq!(forge(&|proof| proof.entries[0].value = None), entry(0));
        assert_eq!(forge(&|proof| proof.entries[1].address = Address::repeat_byte(2)), entry(1));
        assert_eq!(forge(&|proof| proof.entries[1].proof = Default::default()), entry(1));
        let other = Header { state_root: B256::ZERO, ..header.clone() };
        assert_eq!(forge(&|proof| proof.header = other.encode().into()), LightError::OtherBlock);
        let mut flipped = proof.certificate.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(
            forge(&|proof| proof.certificate = flipped.clone().into()),
            LightError::Unsigned | LightError::Certificate(_)
        ));
        let elsewhere = Verifier::new(committee.spec().chain_id + 1, &committee.spec().output).unwrap();
        assert_eq!(elsewhere.state(&proof).unwrap_err(), LightError::Unsigned);
    });
}
