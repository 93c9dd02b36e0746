use super::*;
use proptest::prelude::*;

const PROFILE: Profile = Profile::Devnet;

fn order() -> Vec<(u16, bool)> {
    (0..8).map(|seat| (seat, false)).collect()
}

struct Segment {
    bytes: Vec<u8>,
    fragments: Vec<Bytes>,
}

fn segment(length: usize) -> Segment {
    let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + at / 251) as u8).collect();
    let code = Code::new(4, 4).expect("a code");
    let fragments = erasure::encode_segment(&code, bytes.clone().into()).expect("not empty").fragments;
    Segment { bytes, fragments }
}

/// Runs a read against members of which some fail or never answer; the bytes, and how many bytes were asked for.
fn run(segment: &Segment, range: Range<u64>, failing: &[u16], silent: &[u16]) -> Option<(Vec<u8>, u64)> {
    let mut gather = Gather::new(PROFILE, segment.bytes.len() as u64, range, order());
    let mut pending: Vec<(u16, Range<u64>)> = Vec::new();
    let mut asked_bytes = 0;
    let mut hedged = false;
    loop {
        match gather.poll() {
            Step::Done => break,
            Step::Failed { .. } => return None,
            Step::Ask(asks) => {
                asked_bytes += asks.iter().map(|(_, range)| range.end - range.start).sum::<u64>();
                pending.extend(asks);
            }
            Step::Wait => match pending.iter().position(|(seat, _)| !silent.contains(seat)) {
                Some(at) => {
                    let (seat, range) = pending.remove(at);
                    if failing.contains(&seat) {
                        gather.failed(seat);
                    } else {
                        let bytes =
                            segment.fragments[usize::from(seat)].slice(range.start as usize..range.end as usize);
                        gather.arrived(seat, range, bytes);
                    }
                }
                // Nobody else answers: a hedge first, then the requests fail one by one.
                None if !hedged => {
                    gather.hedge();
                    hedged = true;
                }
                None => {
                    let (seat, _) = pending.remove(0);
                    gather.failed(seat);
                    hedged = false;
                }
            },
        }
    }
    if let Some(work) = gather.missing_work() {
        let rebuilt = work.run(&Code::new(4, 4).expect("a code"));
        gather.rebuilt(rebuilt);
    }
    Some((gather.wanted().concat(), asked_bytes))
}

#[test]
fn a_healthy_read_asks_for_what_it_wants_and_no_more() {
    let segment = segment(1 << 20);
    let (bytes, asked) = run(&segment, 5_000..600_000, &[], &[]).expect("enough members");
    assert_eq!(bytes, &segment.bytes[5_000..600_000]);
    assert_eq!(asked, 595_000);
}

#[test]
fn a_short_segment_needs_few_members() {
    let segment = segment(1_000);
    let (bytes, asked) = run(&segment, 0..1_000, &[1, 2, 3, 4, 5, 6, 7], &[]).expect("the rest is zeros");
    assert_eq!((bytes, asked), (segment.bytes.clone(), 1_000));
    // Three of its four data fragments are zeros that nobody need hold, so any other one is enough.
    let (bytes, _) = run(&segment, 0..1_000, &[0, 1, 2, 3, 4, 5, 6], &[]).expect("one parity fragment");
    assert_eq!(bytes, segment.bytes);
}

#[test]
fn without_k_fragments_there_is_nothing() {
    let segment = segment(1 << 20);
    assert!(run(&segment, 0..1 << 20, &[0, 1, 2, 3, 4], &[]).is_none());
    assert!(run(&segment, 0..10, &[0, 1, 2, 3, 4], &[]).is_none());
    assert!(run(&segment, 0..10, &[1, 2, 3, 4, 5, 6, 7], &[]).is_some(), "its own member is enough");
}

#[test]
fn members_at_rest_are_asked_only_when_others_do_not_suffice() {
    let resting: Vec<(u16, bool)> = [4, 5, 6, 7, 0, 1, 2, 3].map(|seat| (seat, seat < 4)).into();
    let mut gather = Gather::new(PROFILE, 1 << 20, 0..1 << 20, resting);
    let Step::Ask(asks) = gather.poll() else { panic!("somebody is asked") };
    assert_eq!(asks.iter().map(|(seat, _)| *seat).collect::<Vec<_>>(), [4, 5, 6, 7]);
    gather.failed(4);
    let Step::Ask(asks) = gather.poll() else { panic!("somebody else is asked") };
    assert_eq!(asks.len(), 1);
    assert!(asks[0].0 < 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_four_of_eight_give_any_range(
        length in 1..600_000usize,
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
        broken in prop::sample::subsequence((0..8u16).collect::<Vec<_>>(), 0..=4),
        silent_count in 0..=4usize,
    ) {
        let segment = segment(length);
        let (a, b) = (a.index(length) as u64, b.index(length) as u64);
        let range = a.min(b)..a.max(b) + 1;
        let (silent, failing) = broken.split_at(silent_count.min(broken.len()));
        let (bytes, _) = run(&segment, range.clone(), failing, silent).expect("four members are left");
        prop_assert_eq!(bytes, &segment.bytes[range.start as usize..range.end as usize]);
    }
}
