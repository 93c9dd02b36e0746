use super::{OPENING_DAYS, REGIONS_MAX, rule::normalised};
use crate::fixture::*;
use alloy_primitives::{B256, Bytes, FixedBytes, U256};
use types::{
    Profile,
    abi::{
        BUCKETS, IBuckets, IMiners, IModule,
        IPolicies::{self, Policy},
        IVolumes, MINERS, POLICIES, VOLUMES,
    },
    spec::{RepairSpec, StorageSpec},
};

pub fn rule(allowed: &[&str], forbidden: &[&str]) -> Policy {
    let codes = |list: &[&str]| list.iter().map(|text| code(text)).collect();
    Policy {
        profile: 0,
        regionCap: 0,
        networkCap: 0,
        allowed: codes(allowed),
        forbidden: codes(forbidden),
        miners: Vec::new(),
    }
}

fn create(net: &mut Net, rule: Policy) -> crate::Result<u32> {
    net.try_pay(ALICE, POLICIES, U256::from(FUNDS / 1_000), &IPolicies::createCall { rule })
}

/// Ten miners in Germany, two of them in Berlin; five in France; networks 0 to 4 in turn.
fn world(spec: StorageSpec) -> Net {
    let mut net = Net::new(spec);
    for (index, region) in
        ["DE", "DE", "DE", "DE", "DE-BE", "FR", "DE", "DE", "DE", "DE-BE", "DE", "FR", "FR", "FR", "FR"]
            .iter()
            .enumerate()
    {
        net.add_miner_in(4, code(region), index as u32 % 5);
    }
    net
}

fn net() -> Net {
    world(StorageSpec { open_target: 2, ..StorageSpec::devnet() })
}

fn regions(net: &mut Net, volume: u32) -> Vec<FixedBytes<6>> {
    let miners = net.volume(volume).miners;
    miners.iter().map(|id| net.view(MINERS, &IMiners::minerCall { id: *id }).region).collect()
}

#[test]
fn lists_have_one_form() {
    let normal = |allowed: &[&str], forbidden: &[&str]| {
        normalised(rule(allowed, forbidden), 0).map(|policy| (policy.allowed, policy.forbidden))
    };
    let codes = |list: &[&str]| list.iter().map(|text| code(text)).collect::<Vec<_>>();
    assert_eq!(normal(&["FR", "DE-BE", "DE", "DE"], &[]), Ok((codes(&["DE", "FR"]), vec![])));
    assert_eq!(normal(&["DE", "FR"], &["DE-BE", "US", "FR"]), Ok((codes(&["DE"]), codes(&["DE-BE"]))));
    assert_eq!(normal(&[], &["US", "US-CA"]), Ok((vec![], codes(&["US"]))));
    assert!(normal(&["DE-BE"], &["DE"]).unwrap_err().is(&IPolicies::InvalidPolicy {}), "nothing is left");
    let bad: IPolicies::InvalidRegion = refusal(normal(&["De"], &[]));
    assert_eq!(bad.region, code("De"));
    let many = vec![code("DE"); REGIONS_MAX + 1];
    let _: IPolicies::InvalidPolicy = refusal(normalised(Policy { forbidden: many, ..rule(&[], &[]) }, 0));
}

#[test]
fn public_policies_keep_the_caps_of_the_chain() {
    let caps = |own: u16, cap: u16| normalised(Policy { regionCap: own, ..rule(&[], &[]) }, cap).unwrap().regionCap;
    assert_eq!([caps(0, 0), caps(3, 0), caps(0, 8), caps(3, 8), caps(9, 8)], [0, 3, 8, 3, 8]);
    let private = Policy { miners: vec![2, 1, 2], ..rule(&[], &[]) };
    let private = normalised(private, 8).unwrap();
    assert_eq!((private.regionCap, private.miners), (0, vec![1, 2]));

    let repair = RepairSpec { cap_divisor: 5, ..RepairSpec::default() };
    for (profile, cap) in [(Profile::Devnet, 1), (Profile::Standard, 8), (Profile::Wide, 16)] {
        let mut net = Net::new(StorageSpec { profile, repair: repair.clone(), ..StorageSpec::devnet() });
        let public = net.view(POLICIES, &IPolicies::policyCall { id: 0 });
        assert_eq!((public.regionCap, public.networkCap, public.profile), (cap, cap, profile as u8));
    }
}

#[test]
fn volumes_are_formed_where_the_policy_says() {
    let mut net = net();
    net.form();
    net.form();
    let price = net.view(POLICIES, &IPolicies::openingPriceCall { profile: 0 });
    let spec = net.spec.clone();
    assert_eq!(price, U256::from(spec.lot_bytes() * 8 * spec.price_per_byte_day * OPENING_DAYS));
    let funds = net.world.balance(ALICE);
    let policy = create(&mut net, rule(&["DE"], &[])).expect("Germany has ten operators");
    assert_eq!((policy, net.world.balance(ALICE)), (1, funds - price));
    assert_eq!(create(&mut net, rule(&["DE", "DE-BE"], &["FR"])), Ok(1), "the same policy is found again");
    assert_eq!(net.world.balance(ALICE), funds - price, "and costs nothing");
    assert_eq!(create(&mut net, rule(&[], &[])), Ok(0));

    let volume = net.form();
    assert_eq!(net.volume(volume).policy, 1);
    assert!(regions(&mut net, volume).iter().all(|region| region[..2] == *b"DE"));
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 1 }), [volume]);
    for _ in 0..10 {
        let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        net.block(beacon);
    }
    assert_eq!(net.view(VOLUMES, &IVolumes::volumeCountCall {}), volume, "one was paid for");

    net.pay(BOB, POLICIES, price, &IPolicies::widenCall { policy });
    let second = net.form();
    assert_eq!(net.volume(second).policy, 1);
    let enough = net.try_pay(BOB, POLICIES, price, &IPolicies::widenCall { policy });
    assert_eq!(refusal::<IPolicies::WideEnough, _>(enough).wanted, 2);
    let unknown = net.try_pay(BOB, POLICIES, price, &IPolicies::widenCall { policy: 2 });
    assert_eq!(refusal::<IPolicies::UnknownPolicy, _>(unknown).policy, 2);
}

#[test]
fn a_full_volume_is_followed_by_another_of_its_policy() {
    let mut net = world(StorageSpec { open_target: 1, lot_slots: 1, ..StorageSpec::devnet() });
    net.form();
    create(&mut net, rule(&["DE"], &[])).expect("satisfiable");
    let volume = net.form();
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(volume, territory, 0, &[8 << 20]);
    net.commit(vec![batch]);
    assert!(!net.volume(volume).open);
    let next = net.form();
    assert_eq!(net.volume(next).policy, 1);
}

/// Whoever chooses a policy that nothing satisfies hears at once what is missing.
#[test]
fn what_cannot_be_satisfied_is_refused_with_what_is_missing() {
    let mut net = net();
    let few: IPolicies::TooFewOperators = refusal(create(&mut net, rule(&["FR", "CH"], &[])));
    let missing = IPolicies::TooFewOperators {
        needed: 8,
        found: 5,
        allowed: vec![code("CH"), code("FR")],
        forbidden: Vec::new(),
    };
    assert_eq!(few, missing);
    let few: IPolicies::TooFewOperators = refusal(create(&mut net, rule(&["DE", "FR"], &["DE"])));
    assert_eq!((few.found, few.allowed), (5, vec![code("FR")]));
    // Fifteen operators in three declared regions: two in each make six.
    let capped = Policy { regionCap: 2, ..rule(&[], &[]) };
    let tight: IPolicies::CapsTooTight = refusal(create(&mut net, capped));
    assert_eq!(tight, IPolicies::CapsTooTight { needed: 8, placed: 6, regionCap: 2, networkCap: 0 });
    let capped = Policy { networkCap: 1, ..rule(&[], &[]) };
    let tight: IPolicies::CapsTooTight = refusal(create(&mut net, capped));
    assert_eq!((tight.placed, tight.networkCap), (5, 1));
    assert!(create(&mut net, Policy { networkCap: 2, ..rule(&[], &[]) }).is_ok());
    // One operator with nearly all lots is not eight.
    net.pledge(6, 200);
    let concentrated: IPolicies::TooConcentrated = refusal(create(&mut net, rule(&["DE-BE", "FR", "DE"], &[])));
    assert_eq!((concentrated.needed, concentrated.effective, concentrated.found), (8, 1, 15));
    // Draws would be in vain nearly always.
    let mostly: IPolicies::MostlyForbidden = refusal(create(&mut net, rule(&[], &["FR"])));
    assert_eq!((mostly.lotsAllowed, mostly.lotsLeft), (260, 40));
    assert_eq!(net.view(POLICIES, &IPolicies::policyCountCall {}), 1);
    let poor = net.try_pay(ALICE, POLICIES, U256::from(1), &IPolicies::createCall { rule: rule(&["DE"], &[]) });
    let _: IPolicies::Underpaid = refusal(poor);
}

fn bucket(policy: u32, tag: u8) -> IBuckets::createCall {
    let tag = B256::repeat_byte(tag);
    IBuckets::createCall { tag, territory: 1, policy, profile: 0, flags: 0, sealedName: Bytes::new() }
}

#[test]
fn a_bucket_chooses_only_what_can_be_served() {
    let mut net = net();
    net.territory(1 << 30, 30);
    let unknown = net.try_call(ALICE, BUCKETS, &bucket(1, 1));
    assert_eq!(refusal::<IPolicies::UnknownPolicy, _>(unknown).policy, 1);
    let policy = create(&mut net, rule(&["DE"], &["DE-BE"])).expect("eight are left");
    // Before the first volume is formed an operator leaves: nothing could be written there.
    let mut leaves = net.clone();
    leaves.call(leaves.operators[0], MINERS, &IMiners::retireCall {});
    let few: IPolicies::TooFewOperators = refusal(leaves.try_call(ALICE, BUCKETS, &bucket(policy, 1)));
    assert_eq!((few.needed, few.found, few.forbidden), (8, 7, vec![code("DE-BE")]));

    let id = net.call(ALICE, BUCKETS, &bucket(policy, 1));
    assert_eq!(net.view(BUCKETS, &IBuckets::bucketCall { id }).policy, policy);
    net.call(ALICE, BUCKETS, &IBuckets::setPolicyCall { bucket: id, policy: 0 });
    assert_eq!(net.view(BUCKETS, &IBuckets::bucketCall { id }).policy, 0);
    let stranger = net.try_call(BOB, BUCKETS, &IBuckets::setPolicyCall { bucket: id, policy });
    let _: IBuckets::NotBucketOwner = refusal(stranger);
}

/// A self-made policy around one's own miners, or an unusual region, would farm the subsidy.
#[test]
fn e1_policies_of_ones_own_earn_no_emission() {
    let mut net = net();
    let own: Vec<u32> = (1..=8).map(|_| net.add_miner_in(4, code("AQ"), 9)).collect();
    let private = Policy { miners: own.clone(), ..rule(&[], &[]) };
    let not: IPolicies::NotPatron = refusal(create(&mut net, private.clone()));
    assert_eq!(not, IPolicies::NotPatron { miner: own[0], caller: ALICE });
    for miner in &own {
        let operator = net.operators[*miner as usize - 1];
        net.call(operator, MINERS, &IMiners::setPatronCall { patron: ALICE });
    }
    let policy = create(&mut net, private).expect("they agreed");
    let subsidised = |net: &mut Net, volume| net.view(VOLUMES, &IVolumes::healthCall { volume }).subsidised;
    for expected in [0, 0, policy] {
        let volume = net.form();
        assert_eq!(net.volume(volume).policy, expected);
        assert_eq!(subsidised(&mut net, volume), expected == 0);
    }
    let mut members = net.volume(3).miners;
    members.sort_unstable();
    assert_eq!(members, own);
    net.territory(1 << 30, 30);
    net.call(ALICE, BUCKETS, &bucket(policy, 1));
    net.call(ALICE, types::abi::TERRITORIES, &types::abi::ITerritories::transferCall { territory: 1, to: BOB });
    let stranger = net.try_call(BOB, BUCKETS, &bucket(policy, 1));
    let _: IPolicies::NotPolicyOwner = refusal(stranger);

    // Named openly as a region it is public, but few of all lots: fees, and no emission.
    net.add_miners(40, 4);
    for _ in 0..4 {
        net.add_miner_in(4, code("AQ"), 9);
    }
    let antarctica = create(&mut net, rule(&["AQ"], &[])).expect("eight operators");
    let volume = net.form();
    assert_eq!((net.volume(volume).policy, subsidised(&mut net, volume)), (antarctica, false));
}

#[test]
fn reads_and_refuses() {
    let mut net = net();
    let public = net.view(POLICIES, &IPolicies::policyCall { id: 0 });
    assert_eq!(public, rule(&[], &[]));
    assert_eq!(net.view(POLICIES, &IPolicies::demandCall { id: 0 }).wanted, 2);
    net.view(POLICIES, &IPolicies::checkCall { policy: 0 });
    let sent = create(&mut net, Policy { networkCap: 3, ..rule(&["FR", "DE"], &["DE-BE"]) }).expect("satisfiable");
    let kept = net.view(POLICIES, &IPolicies::policyCall { id: sent });
    assert_eq!(kept, Policy { networkCap: 3, ..rule(&["DE", "FR"], &["DE-BE"]) });
    assert_eq!(net.events::<IPolicies::Created>()[0].rule, kept);
    let demand = net.view(POLICIES, &IPolicies::demandCall { id: sent });
    assert_eq!((demand.owner, demand.wanted), (ALICE, 1));
    for policy in [2, u32::MAX] {
        let unknown = net.try_call(ALICE, POLICIES, &IPolicies::checkCall { policy });
        assert_eq!(refusal::<IPolicies::UnknownPolicy, _>(unknown).policy, policy);
    }
    let _: IPolicies::InvalidPolicy = refusal(create(&mut net, Policy { profile: 9, ..rule(&[], &[]) }));
    let internal = crate::internal::IRules::ruleCall { policy: 0 };
    let _: IModule::UnknownSelector = refusal(net.try_call(ALICE, POLICIES, &internal));
}
