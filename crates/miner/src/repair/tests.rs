//! Let miners repair among each other, with a chain in this process.

mod help;

use crate::fixture::{DEADLINE, FRAGMENT_BYTES, Net, Segment, keys, peer, reason, storage};
use alloy_primitives::{Address, B256, U256};
use client::{ChainApi, chain::Network};
use transport::{Disown, MemoryNetwork, RefusalReason, RequestError, Transport, memory::Behaviour};
use types::{
    ReceiptSignature,
    abi::{IVolumes, VOLUMES},
    repair::Ghost,
};

const DAY_MS: u64 = 24 * 3_600_000;
/// A write quorum without seats 0 and 7.
const QUORUM: [usize; 6] = [1, 2, 3, 4, 5, 6];

async fn leased(miner_count: usize) -> Net {
    let mut net = Net::repairing(miner_count, storage()).await;
    net.lease(1, 40 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net
}

async fn is_released(net: &Net, index: u32) -> bool {
    Network(&*net.chain).read(VOLUMES, &IVolumes::isReleasedCall { volume: 1, index }).await.expect("answers")
}

async fn burned(net: &Net) -> U256 {
    net.chain.account(Address::ZERO).await.expect("answers").balance
}

/// Whether both seats that had not signed have healed so many stripes.
async fn healed(net: &Net, stripes: usize) -> Option<()> {
    (net.told::<IVolumes::Healed>().await.len() == 2 * stripes).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_meets_what_is_no_codeword_shows_it_and_goes_on() {
    let mut net = leased(8).await;
    let before = burned(&net).await;
    let spoiled = Segment::encoded(1, |fragments| fragments[5][7 * 1024] ^= 1);
    net.put(1, 1, &spoiled, &QUORUM).await;
    for number in 2..5 {
        net.put(1, number.into(), &Segment::encoded(number, |_| {}), &QUORUM).await;
    }
    net.until("the stripe is voided", async |net| is_released(net, 0).await.then_some(())).await;
    net.until("the others are healed", async |net| healed(net, 3).await).await;
    let voided = net.told::<IVolumes::Voided>().await;
    assert_eq!(voided.iter().map(|event| event.segment).collect::<Vec<_>>(), [spoiled.id], "once, whoever saw it");
    assert!(burned(&net).await > before, "the writer pays");
    for index in 1..4 {
        assert!(!is_released(&net, index).await, "an honest stripe stays");
    }
}

/// Nothing is noted about it, and nothing need be.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_codeword_is_shown_after_a_restart_too() {
    let mut net = leased(8).await;
    // With these away nobody contradicts the others, and no quorum can say so.
    let spoiled = Segment::encoded(1, |fragments| fragments[1][0] ^= 1);
    let mut away = Vec::new();
    for seat in [1, 2, 7] {
        away.push(net.member(1, seat).await);
    }
    let first = net.member(1, 0).await;
    let mut batches = Vec::new();
    for (sequence, segment) in [(1, &spoiled), (2, &Segment::encoded(2, |_| {}))] {
        for seat in QUORUM {
            net.stage(1, segment, seat).await.expect("stages");
        }
        let expires = net.height().await + 100;
        batches.push(net.batch(&QUORUM, 1, sequence, expires, &[segment]).await);
    }
    away.iter().for_each(|index| net.hide(*index, true));
    for batch in batches {
        net.commit(batch).await;
    }
    net.until("the other one is healed", async |net| (!net.told::<IVolumes::Healed>().await.is_empty()).then_some(()))
        .await;
    assert!(!is_released(&net, 0).await);
    net.crash(first, 1).await;
    away.iter().for_each(|index| net.hide(*index, false));
    net.until("the stripe is voided", async |net| is_released(net, 0).await.then_some(())).await;
    assert_eq!(net.told::<IVolumes::Voided>().await.len(), 1);
}

/// A stripe of which the fragment for seat 0 never was, in volume 1.
async fn haunted(net: &mut Net, sequence: u64) -> (Segment, B256) {
    let honest = Segment::encoded(9, |_| {});
    let ghost = Segment::encoded(9, |fragments| fragments[0] = vec![7; FRAGMENT_BYTES as usize]);
    net.put(1, sequence, &ghost, &QUORUM).await;
    (ghost, honest.fragments_root)
}

#[tokio::test(flavor = "multi_thread")]
async fn e18_a_quorum_voids_what_never_was_and_one_liar_does_not_spoil_it() {
    let mut net = leased(8).await;
    let liar = net.member(1, 3).await;
    let (ghost, _) = haunted(&mut net, 1).await;
    // It says garbage instead of its signature, and its fragments do not verify.
    net.network.set_behaviour(peer(liar), Behaviour::Lie);
    net.until("the stripe is voided", async |net| is_released(net, 0).await.then_some(())).await;
    let voided = net.told::<IVolumes::Voided>().await;
    assert_eq!(voided.iter().map(|event| event.segment).collect::<Vec<_>>(), [ghost.id]);
}

/// Asks the holder of a seat as another member would.
async fn ask(net: &Net, seat: usize, as_seat: usize, disown: Disown) -> Result<[u8; 96], RequestError> {
    let transport = net.network.join(peer(net.member(1, as_seat).await));
    let endpoint = MemoryNetwork::endpoint(peer(net.member(1, seat).await));
    transport.disown(&endpoint, disown, DEADLINE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn e18_a_lying_rebuilder_gets_no_signature() {
    // Nobody repairs by itself here.
    let mut net = Net::new().await;
    net.lease(1, 20 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let (ghost, rebuilt) = haunted(&mut net, 1).await;
    let honest = Segment::encoded(2, |_| {});
    net.put(1, 2, &honest, &QUORUM).await;
    let good = Disown { volume: 1, index: 0, rebuilt };
    for wrong in [
        // An honest stripe, whatever it is said to be; and garbage that is said to be other garbage.
        Disown { index: 1, ..good },
        Disown { index: 1, rebuilt: honest.fragments_root, ..good },
        Disown { rebuilt: B256::ZERO, ..good },
        Disown { rebuilt: ghost.fragments_root, ..good },
    ] {
        for seat in 2..5 {
            assert_eq!(reason(ask(&net, seat, 1, wrong).await), RefusalReason::WrongFragment, "{wrong:?}");
        }
    }
    assert_eq!(reason(ask(&net, 2, 1, Disown { index: 2, ..good }).await), RefusalReason::Unknown);
    assert_eq!(reason(ask(&net, 2, 1, Disown { volume: 9, ..good }).await), RefusalReason::NotMember);
    // Who is no member cannot make members work.
    let endpoint = MemoryNetwork::endpoint(peer(net.member(1, 5).await));
    assert_eq!(reason(net.uploader.disown(&endpoint, good, DEADLINE).await), RefusalReason::NotMember);
}

#[tokio::test(flavor = "multi_thread")]
async fn e18_a_member_signs_what_it_found_out_and_says_the_same_again() {
    let mut net = Net::new().await;
    net.lease(1, 20 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let (ghost, rebuilt) = haunted(&mut net, 1).await;
    let disown = Disown { volume: 1, index: 0, rebuilt };
    let signed = ask(&net, 2, 1, disown).await.expect("it is so");
    let member = net.member(1, 2).await;
    let key = keys(member).receipt.public();
    let signature = ReceiptSignature::from_bytes(&signed).expect("a signature");
    let said = Ghost { chain_id: 7_331, volume: 1, index: 0, segment: ghost.id, rebuilt };
    assert!(key.verify(&said.message(), &signature));
    // It counts for nothing else.
    for other in [
        Ghost { index: 1, ..said },
        Ghost { volume: 2, ..said },
        Ghost { segment: B256::ZERO, ..said },
        Ghost { rebuilt: B256::ZERO, ..said },
        Ghost { chain_id: 1, ..said },
    ] {
        assert!(!key.verify(&other.message(), &signature), "{other:?}");
    }
    // With nobody to ask it answers from its note, also after a restart.
    for index in (0..8).filter(|index| *index != member) {
        net.hide(index, true);
    }
    net.crash(member, 3).await;
    assert_eq!(ask(&net, 2, 1, disown).await, Ok(signed));
}
