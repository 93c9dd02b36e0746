use super::*;
use proptest::prelude::*;

fn walk(ranking: &Ranking) -> Vec<u64> {
    let mut cursor = Cursor::default();
    std::iter::from_fn(|| ranking.next(&mut cursor)).map(|(rank, _)| rank.order).collect()
}

fn by_definition(ranks: &[Rank], base_fee: u64) -> Vec<u64> {
    let mut sorted = ranks.to_vec();
    sorted.sort_by_key(|rank| Reverse(rank.score(base_fee)));
    sorted.iter().map(|rank| rank.order).collect()
}

fn ranks() -> impl Strategy<Value = Vec<Rank>> {
    let lane = [LaneCall::Open, LaneCall::Answer, LaneCall::Commit];
    let lane = proptest::option::weighted(0.2, proptest::sample::select(lane.to_vec()));
    proptest::collection::vec((0u128..60, 0u128..60, lane), 0..40).prop_map(|fees| {
        let rank = |(order, (a, b, lane)): (usize, (u128, u128, Option<LaneCall>))| Rank {
            max_fee: a.max(b),
            priority_fee: a.min(b),
            lane,
            order: order as u64,
        };
        fees.into_iter().enumerate().map(rank).collect()
    })
}

proptest! {
    #[test]
    fn order_is_that_of_the_tip_whatever_way_the_base_fee_went(
        ranks in ranks(),
        base_fees in proptest::collection::vec(0u64..70, 1..6),
    ) {
        let mut ranking = Ranking::new(30);
        ranks.iter().for_each(|rank| ranking.insert(*rank, Address::ZERO));
        for base_fee in base_fees {
            ranking.set_base_fee(base_fee);
            let expected = by_definition(&ranks, base_fee);
            prop_assert_eq!(walk(&ranking), expected.clone());
            prop_assert_eq!(ranking.worst().map(|(rank, _)| rank.order), expected.last().copied());
        }
        ranks.iter().for_each(|rank| ranking.remove(*rank));
        prop_assert!(ranking.worst().is_none());
        prop_assert!(ranking.thresholds.is_empty());
    }
}

#[test]
fn the_earlier_of_two_equal_tips_goes_first() {
    let mut ranking = Ranking::new(10);
    let bound_by_priority = Rank { max_fee: 100, priority_fee: 5, lane: None, order: 1 };
    let bound_by_max_fee = Rank { max_fee: 15, priority_fee: 15, lane: None, order: 0 };
    ranking.insert(bound_by_priority, Address::ZERO);
    ranking.insert(bound_by_max_fee, Address::ZERO);
    assert_eq!(walk(&ranking), [0, 1]);
}
