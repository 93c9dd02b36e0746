use super::*;

#[test]
fn finds_the_block_that_brought_a_stripe() {
    let mut index = VolumeIndex::default();
    for (position, height) in [(0, 5), (1, 5), (2, 9), (3, 9), (4, 12)] {
        index.add(position, height);
    }
    let heights: Vec<_> = (0..6).map(|position| index.height_of(position)).collect();
    assert_eq!(heights, [Some(5), Some(5), Some(9), Some(9), Some(12), Some(12)]);
    assert_eq!(index.commits.len(), 3);
    assert_eq!(VolumeIndex::default().height_of(0), None);
}
