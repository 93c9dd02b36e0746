use crate::fixture::{DEADLINE, FRAGMENT_BYTES, Net, Segment, peer, reason, sign_permit, signer};
use transport::{Fragment, MemoryNetwork, RefusalReason::*, Stage, Transport};
use types::Profile;

const DAY_MS: u64 = 24 * 3_600_000;

async fn net() -> Net {
    let mut net = Net::new().await;
    net.lease(1, 10 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net
}

/// Sends a request to the member of seat 0 after breaking it.
async fn broken(net: &Net, breaking: impl FnOnce(&mut Stage)) -> transport::RefusalReason {
    let mut stage = net.stage_request(1, &Segment::new(1), 0);
    breaking(&mut stage);
    let to = net.member(1, 0).await;
    reason(net.send(to, stage).await)
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_for_that_rule() {
    let net = net().await;
    let owner = net.owner.signer().clone();
    assert_eq!(broken(&net, |stage| stage.header.volume = 99).await, NotMember);
    let other_seat = net.stage_request(1, &Segment::new(1), 1);
    assert_eq!(broken(&net, |stage| *stage = other_seat).await, NotMember);
    assert_eq!(broken(&net, |stage| stage.header.permit.uploader.0[0] ^= 1).await, PermitInvalid);
    assert_eq!(broken(&net, |stage| stage.header.permit.territory = 77).await, PermitInvalid);
    let thief = |stage: &mut Stage| stage.header.signature = sign_permit(&signer("thief"), &stage.header.permit);
    assert_eq!(broken(&net, thief).await, PermitInvalid);
    let late = |stage: &mut Stage| {
        stage.header.permit.expiresMs = 5;
        stage.header.signature = sign_permit(&owner, &stage.header.permit);
    };
    assert_eq!(broken(&net, late).await, PermitExpired);
    assert_eq!(broken(&net, |stage| stage.header.segment.0[0] ^= 1).await, WrongFragment);
    assert_eq!(broken(&net, |stage| stage.header.proof.path[0].0[0] ^= 1).await, WrongFragment);
    let other_bytes = Segment::new(2).fragments[0].1.clone();
    assert_eq!(broken(&net, |stage| stage.fragment = other_bytes).await, WrongFragment);
    let standard = |stage: &mut Stage| stage.header.profile = Profile::Standard;
    assert_eq!(broken(&net, standard).await, WrongFragment);
    let huge = |stage: &mut Stage| {
        stage.header.length = 4 << 20;
        stage.fragment = Fragment::new(vec![0; 1 << 20].into());
    };
    assert_eq!(broken(&net, huge).await, TooLarge);
    net.stage(1, &Segment::new(1), 0).await.unwrap();
}

#[tokio::test]
async fn without_a_lease_nothing_is_taken() {
    let mut net = net().await;
    assert_eq!(reason(net.stage(2, &Segment::new(1), 0).await), NoLease);
    net.chain.skip(std::time::Duration::from_secs(DAY_MS / 1000));
    net.settle().await;
    assert_eq!(reason(net.stage(1, &Segment::new(1), 0).await), NoLease);
    net.lease(1, FRAGMENT_BYTES, 1000).await;
    net.stage(1, &Segment::new(1), 0).await.unwrap();
}

#[tokio::test]
async fn e9_one_budget_is_spent_once_however_many_ask_at_the_same_time() {
    let mut net = Net::new().await;
    net.lease(1, 2 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net.lease(2, FRAGMENT_BYTES, DAY_MS / 2).await;
    let segments: Vec<_> = (1..=6).map(Segment::new).collect();
    let attempts = segments.iter().map(|segment| net.stage(1, segment, 0));
    let mut staged = 0;
    for answer in futures::future::join_all(attempts).await {
        match answer {
            Ok(()) => staged += 1,
            refused => assert_eq!(reason(refused), LeaseExceeded),
        }
    }
    assert_eq!(staged, 2);
    net.stage(2, &segments[0], 0).await.unwrap();
    assert_eq!(reason(net.stage(2, &segments[1], 0).await), LeaseExceeded, "the other volume's budget is its own");
}

#[tokio::test]
async fn what_is_committed_leaves_the_lease() {
    let mut net = Net::new().await;
    net.lease(1, FRAGMENT_BYTES, DAY_MS / 2).await;
    net.put(1, 1, &Segment::new(1), &[0, 1, 2, 3, 4, 5]).await;
    assert_eq!(reason(net.stage(1, &Segment::new(2), 0).await), LeaseExceeded, "the commit has drawn on the lease");
    net.lease(1, FRAGMENT_BYTES, DAY_MS / 2).await;
    net.stage(1, &Segment::new(2), 0).await.unwrap();
}

#[tokio::test]
async fn staging_twice_is_staging_once() {
    let mut net = Net::new().await;
    net.lease(1, FRAGMENT_BYTES, DAY_MS / 2).await;
    for _ in 0..3 {
        net.stage(1, &Segment::new(1), 0).await.unwrap();
    }
}

#[tokio::test]
async fn only_what_is_staged_by_the_same_territory_is_signed_for() {
    let mut net = net().await;
    let (here, absent) = (Segment::new(1), Segment::new(2));
    net.stage(1, &here, 0).await.unwrap();
    let expires = net.height().await + 50;
    let request = |segments: &[&Segment]| net.sign_request(1, 1, expires, segments);
    assert_eq!(reason(net.sign(0, request(&[&here, &absent])).await), NotStaged);
    let mut other_territory = request(&[&here]);
    other_territory.territory = 2;
    assert_eq!(reason(net.sign(0, other_territory).await), NotStaged);
    let mut other_volume = request(&[&here]);
    other_volume.volume = 2;
    assert!(matches!(reason(net.sign(0, other_volume).await), NotStaged | NotMember));
    let mut forged = request(&[&here]);
    forged.segments[0].length += 1;
    assert_eq!(reason(net.sign(0, forged).await), WrongFragment);
    let signature = net.sign(0, request(&[&here])).await.unwrap();
    assert_eq!(net.sign(0, request(&[&here])).await.unwrap(), signature, "asking again changes nothing");
    for expires in [0, net.height().await, net.height().await + 1_001, u64::MAX] {
        let request = net.sign_request(1, 1, expires, &[&here]);
        assert_eq!(reason(net.sign(0, request).await), InvalidExpiry, "{expires}");
    }
    let mut seats = vec![0];
    seats.extend(1..6);
    net.put(1, 1, &here, &seats).await;
    let again = net.sign_request(1, 2, net.height().await + 50, &[&here]);
    assert_eq!(reason(net.sign(0, again).await), NotStaged, "what is committed is not signed for again");
}

#[tokio::test]
async fn fragments_are_served_whole_and_in_part_and_verify() {
    let mut net = net().await;
    let segment = Segment::new(1);
    net.put(1, 1, &segment, &[0, 1, 2, 3, 4, 5]).await;
    let to = MemoryNetwork::endpoint(peer(net.member(1, 3).await));
    let whole = net.uploader.fetch(&to, segment.fetch(3, None), DEADLINE).await.unwrap();
    assert_eq!((&whole.bytes, &whole.proof), (segment.fragments[3].1.bytes(), &segment.fragments[3].0));
    let part = net.uploader.fetch(&to, segment.fetch(3, Some(20_000..40_000)), DEADLINE).await.unwrap();
    assert_eq!(part.bytes, whole.bytes.slice(20_000..40_000));
    let beyond = net.uploader.fetch(&to, segment.fetch(3, Some(0..FRAGMENT_BYTES + 1)), DEADLINE).await;
    assert!(matches!(beyond, Err(transport::FetchError::Refused(refusal)) if refusal.reason == Malformed));
    let unknown = net.uploader.fetch(&to, Segment::new(9).fetch(3, None), DEADLINE).await;
    assert!(matches!(unknown, Err(transport::FetchError::Refused(refusal)) if refusal.reason == Unknown));
}

/// Uploads that go on after a crash may place a segment in another volume than before.
#[tokio::test]
async fn a_member_of_two_volumes_serves_the_segments_fragment_of_either_seat() {
    let mut net = net().await;
    net.lease(2, 10 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let segment = Segment::new(1);
    let places: Vec<_> = [1, 2].into_iter().flat_map(|volume| (0..8).map(move |seat| (volume, seat))).collect();
    for (volume, seat) in &places {
        net.stage(*volume, &segment, *seat).await.unwrap();
    }
    for (volume, seat) in places {
        let to = MemoryNetwork::endpoint(peer(net.member(volume, seat).await));
        let fetched = net.uploader.fetch(&to, segment.fetch(seat as u16, None), DEADLINE).await.unwrap();
        assert_eq!(fetched.bytes, *segment.fragments[seat].1.bytes());
    }
}

#[tokio::test]
async fn status_and_leaves_tell_what_the_miner_knows() {
    let mut net = net().await;
    net.put(1, 1, &Segment::new(1), &[0, 1, 2, 3, 4, 5]).await;
    let to = MemoryNetwork::endpoint(peer(net.member(1, 7).await));
    let status = net.uploader.status(&to, transport::StatusQuery { from_volume: 0 }, DEADLINE).await.unwrap();
    assert_eq!(status.volumes.iter().map(|v| (v.volume, v.stripe_count)).collect::<Vec<_>>(), [(1, 1), (2, 0)]);
    assert_eq!((status.volumes[0].seat, status.height), (7, net.height().await));
    let leaves = net.leaves(1, 7).await;
    assert_eq!((leaves.len(), leaves[0].segment), (1, Segment::new(1).id));
    let query = transport::LeavesQuery { volume: 77, from: 0, limit: 1 };
    assert_eq!(reason(net.uploader.leaves(&to, query, DEADLINE).await), Unknown);
}
