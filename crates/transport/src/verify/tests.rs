use super::*;
use crate::message::sample::{fetch_of, reply, reply_range};
use bytes::BytesMut;

fn corrupt(bytes: &Bytes, at: usize) -> Bytes {
    let mut copy = BytesMut::from(&bytes[..]);
    copy[at] ^= 1;
    copy.freeze()
}

#[test]
fn honest_answers_verify() {
    let whole = reply(500_000);
    whole.verify(&fetch_of(&whole, None)).unwrap();
    let range = 70_000..100_000;
    let part = reply_range(500_000, range.clone());
    part.verify(&fetch_of(&part, Some(range.clone()))).unwrap();
    let cut = FetchedFragment::cut(part, Some(range.clone())).unwrap();
    assert_eq!(cut.bytes, whole.bytes.slice(70_000..100_000));
    assert_eq!(cut.range, range);
}

#[test]
fn a_flipped_bit_is_found_in_its_group() {
    let mut lying = reply(500_000);
    let at = 5 * GROUP_BYTES as usize + 7;
    lying.bytes = corrupt(&lying.bytes, at);
    assert_eq!(lying.verify(&fetch_of(&lying, None)), Err(Lie::Group { index: 5 }));
}

#[test]
fn group_hashes_of_other_bytes_are_found() {
    let mut lying = reply(500_000);
    lying.bytes = corrupt(&lying.bytes, 0);
    lying.groups = GroupHashes::of(&lying.bytes);
    assert_eq!(lying.verify(&fetch_of(&lying, None)), Err(Lie::Groups));
}

#[test]
fn a_fragment_of_another_segment_is_found() {
    let lying = reply(500_000);
    let fetch = fetch_of(&reply(500_001), None);
    assert_eq!(lying.verify(&fetch), Err(Lie::Proof));
}

#[test]
fn a_claimed_length_or_index_other_than_the_true_one_is_found() {
    let honest = reply(500_000);
    let fetch = fetch_of(&honest, None);
    let longer = FragmentReply { length: 500_001, ..honest.clone() };
    assert_eq!(longer.verify(&fetch), Err(Lie::Proof));
    let mut other_seat = honest;
    other_seat.proof.index ^= 1;
    assert_eq!(other_seat.verify(&fetch), Err(Lie::Proof));
}

#[test]
fn too_few_and_too_many_bytes_are_found() {
    let part = reply_range(500_000, 0..20_000);
    assert_eq!(part.verify(&fetch_of(&part, None)), Err(Lie::Range));
    let whole = reply(500_000);
    assert_eq!(whole.verify(&fetch_of(&whole, Some(0..20_000))), Err(Lie::Range));
}

#[test]
fn a_range_past_the_end_of_the_fragment_is_a_lie_or_an_error_never_a_panic() {
    let part = reply_range(500_000, 100_000..500_000);
    assert!(FetchedFragment::cut(part, Some(100_000..400_000)).is_err());
}
