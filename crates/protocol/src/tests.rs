//! Drive all modules together with anything.

mod layout;
mod vectors;

use crate::{fixture::*, internal::IMembers, memory::Request, territories::DAY_MS, volumes::phase};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use types::{
    abi::{
        AUDITS, Acknowledgement, BUCKETS, Column, IAudits, IBuckets, IMiners, IPolicies, ITerritories, IVolumes,
        MINERS, MODULES, POLICIES, RootUpdate, TERRITORIES, VOLUMES,
    },
    spec::{AuditSpec, StorageSpec},
};

/// Something that an account does.
#[derive(Clone, Debug)]
enum Act {
    Buy { size: u64, days: u32, paid: u64 },
    Extend { days: u32 },
    Lease { column: u64, volume: u32 },
    EndLease { volume: u32 },
    Commit { sequence: u8, lengths: Vec<u64>, skipped: Vec<usize>, volume: u32 },
    Release { index: u32, volume: u32 },
    Reclaim { days: u32 },
    Pledge { miner: usize, lots: u32 },
    Retire { miner: usize },
    Drain { miner: usize, draining: bool },
    Lose { volume: u32, seat: u16, reason: u8 },
    Member { volume: u32, seat: u16, kind: u8, bytes: u64 },
    Heal { index: u32, volume: u32, seat: u16 },
    Notice,
    Block,
    Wait { hours: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let commit = || {
        let lengths = prop::collection::vec(1..9_000_000u64, 1..5);
        (0u8..40, lengths, prop::collection::vec(0..8usize, 0..3), 1..4u32)
            .prop_map(|(sequence, lengths, skipped, volume)| Act::Commit { sequence, lengths, skipped, volume })
    };
    let release = || (0..12u32, 1..4u32).prop_map(|(index, volume)| Act::Release { index, volume });
    prop_oneof![
        4 => (0..1u64 << 28, 0..4u32, any::<u64>()).prop_map(|(size, days, paid)| Act::Buy { size, days, paid }),
        4 => (0..40u32).prop_map(|days| Act::Extend { days }),
        4 => (0..1u64 << 23, 1..4u32).prop_map(|(column, volume)| Act::Lease { column, volume }),
        4 => (1..4u32).prop_map(|volume| Act::EndLease { volume }),
        4 => commit(),
        4 => commit(),
        4 => commit(),
        4 => release(),
        4 => release(),
        4 => (0..2u32).prop_map(|days| Act::Reclaim { days }),
        4 => (0..14usize, 0..3u32).prop_map(|(miner, lots)| Act::Pledge { miner, lots }),
        1 => (0..14usize).prop_map(|miner| Act::Retire { miner }),
        1 => (0..14usize, any::<bool>()).prop_map(|(miner, draining)| Act::Drain { miner, draining }),
        5 => (1..4u32, 0..8u16, 1..9u8).prop_map(|(volume, seat, reason)| Act::Lose { volume, seat, reason }),
        9 => (1..4u32, 0..8u16, 0..6u8, 0..1u64 << 22)
            .prop_map(|(volume, seat, kind, bytes)| Act::Member { volume, seat, kind, bytes }),
        4 => (0..12u32, 1..4u32, 0..8u16).prop_map(|(index, volume, seat)| Act::Heal { index, volume, seat }),
        1 => Just(Act::Notice),
        8 => Just(Act::Block),
        4 => (0..60u64).prop_map(|hours| Act::Wait { hours }),
    ]
}

impl Act {
    /// Does it for Alice, or with an odd `salt` for Bob; whether it is refused does not matter here.
    fn perform(self, net: &mut Net, salt: u8) {
        let account = if salt % 4 == 1 { BOB } else { ALICE };
        let territory = 1 + u64::from(salt / 4 % 2);
        let funds = U256::from(FUNDS / 1_000);
        let now = net.world.block.timestamp_ms;
        let volumes = net.view(VOLUMES, &IVolumes::volumeCountCall {});
        let existing = |volume: u32| 1 + volume % volumes;
        let _: Result<(), _> = match self {
            Self::Buy { size, days, paid } => net
                .try_pay(account, TERRITORIES, U256::from(paid), &ITerritories::buyCall { size, daysCount: days })
                .map(drop),
            Self::Extend { days } => net
                .try_pay(account, TERRITORIES, funds, &ITerritories::extendCall { territory, daysCount: days })
                .map(drop),
            Self::Lease { column, volume } => {
                let until = now + u64::from(salt) * 300_000;
                let call = IVolumes::leaseCall {
                    territory,
                    volumes: vec![existing(volume)],
                    columnBytes: column,
                    untilMs: until,
                };
                net.try_call(account, VOLUMES, &call).map(drop)
            }
            Self::EndLease { volume } => net
                .try_call(account, VOLUMES, &IVolumes::endLeaseCall { territory, volume: existing(volume) })
                .map(drop),
            Self::Commit { sequence, lengths, skipped, volume } => {
                let seats: Vec<usize> = (0..8).filter(|seat| !skipped.contains(seat)).collect();
                let batch =
                    net.batch(existing(volume), territory, sequence.into(), stripes(sequence.into(), &lengths), &seats);
                net.try_commit(account, vec![batch], Vec::new())
            }
            Self::Release { index, volume } => {
                let volume = existing(volume);
                let Some(index) = index.checked_rem(net.leaves(volume).len() as u32) else { return };
                let stripes = vec![net.release_of(volume, index)];
                net.try_call(account, VOLUMES, &IVolumes::releaseCall { volume, stripes }).map(drop)
            }
            Self::Reclaim { days } => {
                let day = (now / DAY_MS) as u32 - days;
                net.try_call(account, TERRITORIES, &ITerritories::reclaimCall { territory, day }).map(drop)
            }
            Self::Pledge { miner, lots } => {
                let operator = net.operators[miner];
                net.try_pay(operator, MINERS, funds, &IMiners::pledgeCall { lots }).map(drop)
            }
            Self::Retire { miner } => net.try_call(net.operators[miner], MINERS, &IMiners::retireCall {}).map(drop),
            Self::Drain { miner, draining } => {
                net.try_call(net.operators[miner], MINERS, &IMiners::setDrainingCall { draining }).map(drop)
            }
            Self::Lose { volume, seat, reason } => {
                let volume = existing(volume);
                let lot = net.volume(volume).lots[usize::from(seat)];
                let (reason, is_first) = ((reason - 1) % 4 + 1, reason > 4);
                let call = IMembers::declareLostCall { volume, seat, lot, reason, onTrialOnly: is_first };
                net.try_call(AUDITS, VOLUMES, &call).map(drop)
            }
            Self::Member { volume, seat, kind, bytes } => perform_as_member(net, existing(volume), seat, kind, bytes),
            Self::Heal { index, volume, seat } => {
                let volume = existing(volume);
                let Some(index) = index.checked_rem(net.leaves(volume).len() as u32) else { return };
                let stripes = vec![net.release_of(volume, index)];
                let holder = net.volume(volume).miners[usize::from(seat)];
                let from = net.operators[holder as usize - 1];
                net.try_call(from, VOLUMES, &IVolumes::healCall { volume, seat, stripes }).map(drop)
            }
            Self::Notice => net.try_call(MALLORY, TERRITORIES, &ITerritories::giveNoticeCall { territory }).map(drop),
            Self::Block => {
                let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
                net.block(beacon).result.map(drop)
            }
            Self::Wait { hours } => {
                net.world.block.timestamp_ms += hours * 3_600_000;
                Ok(())
            }
        };
    }
}

/// What a seat's holder, newcomer, successor or helper does.
fn perform_as_member(net: &mut Net, volume: u32, seat: u16, kind: u8, bytes: u64) -> crate::Result<()> {
    let state = net.view(VOLUMES, &IVolumes::seatOfCall { volume, seat });
    let holder = net.operators[state.miner as usize - 1];
    match kind {
        0 => net.try_call(holder, VOLUMES, &IVolumes::leaveCall { volume, seat }).map(drop),
        1 => net.try_call(holder, VOLUMES, &IVolumes::handOverCall { volume, seat }).map(drop),
        2 => net.try_call(holder, VOLUMES, &IVolumes::rejoinCall { volume, seat }).map(drop),
        3 => {
            let newcomer = if state.successor == 0 { state.miner } else { state.successor };
            let column = net.volume(volume).columnBytes;
            let end = if state.successor == 0 { state.targetBytes } else { column };
            let watermark = if bytes.is_multiple_of(2) { end } else { bytes };
            let from = net.operators[newcomer as usize - 1];
            net.try_call(from, VOLUMES, &IVolumes::progressCall { volume, seat, watermark }).map(drop)
        }
        4 => net.try_call(MALLORY, VOLUMES, &IVolumes::settleCall { volume, seat }).map(drop),
        _ => {
            let helper = (seat + 1 + bytes as u16 % 7) % 8;
            let members = net.volume(volume).miners;
            let help = types::repair::Help {
                chain_id: CHAIN_ID,
                volume,
                seat,
                lot: state.lot,
                helper_seat: helper,
                helper: members[usize::from(helper)],
                bytes,
            };
            let signature = net.keys[state.miner as usize - 1].sign(&help.message()).to_bytes();
            let signature = Bytes::copy_from_slice(&signature);
            let acknowledgements = vec![Acknowledgement { volume, seat, helper, totalBytes: bytes, signature }];
            net.try_call(MALLORY, VOLUMES, &IVolumes::claimHelpCall { acknowledgements }).map(drop)
        }
    }
}

/// Every lot is free, withdrawn, or serves one seat; every seat has one holder, and a volume has no operator twice.
fn check_seats(net: &mut Net) -> U256 {
    let mut serving = BTreeMap::new();
    let (mut rebuilds, mut pay) = (BTreeMap::<u32, u16>::new(), U256::ZERO);
    for volume in 1..=net.view(VOLUMES, &IVolumes::volumeCountCall {}) {
        let health = net.view(VOLUMES, &IVolumes::healthCall { volume });
        let (mut operators, mut lost) = (BTreeSet::new(), 0);
        for seat in 0..8u16 {
            let state = net.view(VOLUMES, &IVolumes::seatOfCall { volume, seat });
            let is_lost = [phase::LOST, phase::REBUILDING].contains(&state.state);
            lost += u16::from(is_lost);
            assert_eq!(health.lost[0] >> seat & 1 == 1, is_lost);
            let both = [(state.lot, state.miner), (state.successorLot, state.successor)];
            for (lot, miner) in both.into_iter().filter(|(lot, _)| *lot != 0) {
                assert!(operators.insert(miner), "miner {miner} twice in volume {volume}");
                assert!(serving.insert(lot, (miner, volume, seat)).is_none(), "lot {lot} twice");
            }
            let newcomer = if state.state == phase::HANDING_OVER { state.successor } else { state.miner };
            if [phase::REBUILDING, phase::HANDING_OVER].contains(&state.state) {
                *rebuilds.entry(newcomer).or_default() += 1;
            }
            assert_eq!(state.successor != 0, state.state == phase::HANDING_OVER);
            assert!(state.watermark <= net.volume(volume).columnBytes);
            pay += state.payLeft;
        }
        assert_eq!(health.live, 8 - lost);
        let open = net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 0 });
        assert_eq!(net.volume(volume).open, open.contains(&volume));
        assert_eq!(net.volume(volume).open, !health.full && !health.paused);
        assert!(health.full || health.paused == (health.live < 6));
    }
    let mut counts = BTreeMap::<u32, (u32, u32)>::new();
    for id in 1.. {
        let Ok(lot) = net.try_call(MALLORY, MINERS, &IMiners::lotCall { id }) else { break };
        let expected = serving.remove(&id);
        assert_eq!((lot.state == 1).then_some((lot.miner, lot.volume, lot.seat)), expected);
        let (lots, free) = counts.entry(lot.miner).or_default();
        *lots += u32::from(lot.state != 2);
        *free += u32::from(lot.state == 0);
    }
    assert!(serving.is_empty());
    for (id, (lots, free)) in counts {
        let miner = net.view(MINERS, &IMiners::minerCall { id });
        assert_eq!((miner.lots, miner.lotsFree), (lots, free));
        let busy = net.view(MINERS, &IMiners::standingCall { id }).rebuilds;
        assert_eq!(busy, rebuilds.remove(&id).unwrap_or_default());
        assert!(busy <= 1, "one rebuild at a time");
    }
    pay
}

/// What must hold after whatever happened.
fn check(net: &mut Net, total: U256) {
    let sum = net.world.balances.values().fold(U256::ZERO, |sum, balance| sum + *balance);
    assert_eq!(sum, total, "no wei appears or is lost");

    let (mut live, mut fees) = (0, U256::ZERO);
    let mut used = [0; 8];
    for id in 1..=net.view(VOLUMES, &IVolumes::volumeCountCall {}) {
        let volume = net.volume(id);
        let leaves = net.leaves(id);
        let hashes: Vec<B256> = leaves.iter().map(leaf_hash).collect();
        assert_eq!(volume.stripesRoot, log_root(&hashes), "the root is that of all leaves");
        assert_eq!(volume.stripeCount as usize, leaves.len());
        assert_eq!(volume.columnBytes, leaves.iter().map(|leaf| leaf.fragmentBytes).sum::<u64>());
        assert!(volume.columnBytes <= net.spec.lot_bytes());
        for (index, leaf) in (0..).zip(&leaves) {
            if !net.view(VOLUMES, &IVolumes::isReleasedCall { volume: id, index }) {
                let position = net.view(VOLUMES, &IVolumes::positionOfCall { volume: id, segment: leaf.segment });
                assert_eq!(position, index + 1, "a live stripe is found");
                live += 1;
                let missing = net.view(VOLUMES, &IVolumes::missingOfCall { volume: id, index })[0].count_ones();
                fees += net.spec.rebuild_price(leaf.fragmentBytes * u64::from(missing)).unwrap();
                used[leaf.territory as usize] += leaf.fragmentBytes * 8;
            }
        }
    }
    let held = net.spec.stripe_deposit * U256::from(live) + fees + check_seats(net);
    assert_eq!(
        net.world.balance(VOLUMES),
        held,
        "deposits, fees of what is to heal, pay of rebuilds, and nothing else"
    );

    for id in 1..=net.view(TERRITORIES, &ITerritories::territoryCountCall {}) {
        let account = net.account(id);
        assert!(account.bytesUsed + account.bytesLeased <= account.bytesBought, "the quota is kept");
        assert!(id > 2 || account.bytesUsed >= used[id as usize], "what is live is billed");
    }
    let miners = 1..=net.view(MINERS, &IMiners::minerCountCall {});
    let (mut lots, mut collateral) = (0, U256::ZERO);
    for id in miners {
        let miner = net.view(MINERS, &IMiners::minerCall { id });
        assert!(miner.lotsFree <= miner.lots);
        let parting = net.view(MINERS, &IMiners::standingCall { id }).parting;
        (lots, collateral) = (lots + miner.lots, collateral + miner.collateral + parting);
    }
    // Rounds that nobody answers cost collateral.
    assert!(net.spec.audits.is_some() || collateral == net.spec.lot_collateral * U256::from(lots));
    assert_eq!(net.world.balance(MINERS), collateral, "all collateral is there, and nothing else");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn books_balance_whatever_happens(
        acts in prop::collection::vec((act(), any::<u8>()), 1..160),
        has_audits in any::<bool>(),
    ) {
        let audits = has_audits.then(AuditSpec::devnet);
        let spec = StorageSpec { lot_slots: 8, open_target: 2, audits, ..StorageSpec::devnet() };
        let mut net = Net::formed_with(spec);
        net.add_miners(5, 4);
        net.territory(1 << 28, 3);
        net.territory(1 << 26, 90);
        let total = net.world.balances.values().fold(U256::ZERO, |sum, balance| sum + *balance);
        for (act, salt) in acts {
            act.perform(&mut net, salt);
        }
        check(&mut net, total);
    }
}

/// A valid call of every function.
fn calls(net: &mut Net) -> Vec<(Address, Vec<u8>)> {
    let territory = 1;
    let batch = net.full_batch(1, territory, 77, &[1, 2]);
    let root = RootUpdate { bucket: B256::ZERO, expectedVersion: 0, root: Default::default() };
    let key = &net.keys[0].clone();
    let create = IBuckets::createCall {
        tag: B256::ZERO,
        territory,
        policy: 0,
        profile: 0,
        flags: 0,
        sealedName: Bytes::from_static(b"x"),
    };
    let (bucket, volume, id) = (B256::ZERO, 1, 1);
    let leaf = net.leaves(1)[0].clone();
    let challenge = IAudits::challengeCall { volume, seat: 0, stripe: 0, leaf, path: Vec::new() };
    vec![
        (TERRITORIES, ITerritories::buyCall { size: 1, daysCount: 1 }.abi_encode()),
        (TERRITORIES, ITerritories::extendCall { territory, daysCount: 1 }.abi_encode()),
        (TERRITORIES, ITerritories::enlargeCall { territory, size: 1 }.abi_encode()),
        (TERRITORIES, ITerritories::transferCall { territory, to: BOB }.abi_encode()),
        (TERRITORIES, ITerritories::reclaimCall { territory, day: 1 }.abi_encode()),
        (TERRITORIES, ITerritories::quoteCall { size: 1, daysCount: 1 }.abi_encode()),
        (TERRITORIES, ITerritories::territoryCall { id: 1 }.abi_encode()),
        (MINERS, register(ALICE, key).abi_encode()),
        (MINERS, IMiners::setEndpointCall { endpoint: endpoint() }.abi_encode()),
        (MINERS, IMiners::pledgeCall { lots: 1 }.abi_encode()),
        (MINERS, IMiners::retireCall {}.abi_encode()),
        (MINERS, IMiners::minerCall { id }.abi_encode()),
        (MINERS, IMiners::minerOfCall { operator: ALICE }.abi_encode()),
        (MINERS, IMiners::lotCall { id }.abi_encode()),
        (
            VOLUMES,
            IVolumes::leaseCall { territory, volumes: vec![1, 1], columnBytes: 1, untilMs: START_MS + 9_999_999 }
                .abi_encode(),
        ),
        (VOLUMES, IVolumes::endLeaseCall { territory, volume }.abi_encode()),
        (VOLUMES, IVolumes::commitCall { batches: vec![batch.clone()], roots: vec![root.clone()] }.abi_encode()),
        (VOLUMES, IVolumes::commitPriceCall { batches: vec![batch] }.abi_encode()),
        (VOLUMES, IVolumes::releaseCall { volume, stripes: vec![net.release_of(1, 0)] }.abi_encode()),
        (VOLUMES, IVolumes::volumeCall { id }.abi_encode()),
        (VOLUMES, IVolumes::openVolumesCall { policy: 0 }.abi_encode()),
        (VOLUMES, IVolumes::leaseOfCall { territory, volume }.abi_encode()),
        (VOLUMES, IVolumes::positionOfCall { volume, segment: B256::ZERO }.abi_encode()),
        (VOLUMES, IVolumes::isReleasedCall { volume, index: 0 }.abi_encode()),
        (VOLUMES, IVolumes::isSequenceUsedCall { territory, sequence: 9 }.abi_encode()),
        (BUCKETS, create.abi_encode()),
        (BUCKETS, IBuckets::updateCall { change: root }.abi_encode()),
        (BUCKETS, IBuckets::setWritersCall { bucket, writers: vec![BOB] }.abi_encode()),
        (BUCKETS, IBuckets::setTerritoryCall { bucket, territory }.abi_encode()),
        (BUCKETS, IBuckets::removeCall { bucket }.abi_encode()),
        (BUCKETS, IBuckets::bucketCall { id: bucket }.abi_encode()),
        (TERRITORIES, ITerritories::giveNoticeCall { territory }.abi_encode()),
        (TERRITORIES, ITerritories::releasableFromCall { territory }.abi_encode()),
        (MINERS, IMiners::setDrainingCall { draining: true }.abi_encode()),
        (MINERS, IMiners::setPatronCall { patron: BOB }.abi_encode()),
        (MINERS, IMiners::standingCall { id }.abi_encode()),
        (VOLUMES, IVolumes::leaveCall { volume, seat: 0 }.abi_encode()),
        (VOLUMES, IVolumes::handOverCall { volume, seat: 0 }.abi_encode()),
        (VOLUMES, IVolumes::rejoinCall { volume, seat: 0 }.abi_encode()),
        (VOLUMES, IVolumes::progressCall { volume, seat: 0, watermark: 1 }.abi_encode()),
        (VOLUMES, IVolumes::settleCall { volume, seat: 0 }.abi_encode()),
        (VOLUMES, IVolumes::healCall { volume, seat: 0, stripes: vec![net.release_of(1, 0)] }.abi_encode()),
        (VOLUMES, malformed(net).abi_encode()),
        (VOLUMES, IVolumes::seatOfCall { volume, seat: 7 }.abi_encode()),
        (VOLUMES, IVolumes::healthCall { volume }.abi_encode()),
        (VOLUMES, IVolumes::missingOfCall { volume, index: 0 }.abi_encode()),
        (BUCKETS, IBuckets::setPolicyCall { bucket, policy: 0 }.abi_encode()),
        (POLICIES, IPolicies::createCall { rule: rule() }.abi_encode()),
        (POLICIES, IPolicies::widenCall { policy: 0 }.abi_encode()),
        (POLICIES, IPolicies::checkCall { policy: 0 }.abi_encode()),
        (POLICIES, IPolicies::policyCall { id: 0 }.abi_encode()),
        (VOLUMES, crate::begin_block_input(Some(&beacon((0, 9)))).1.to_vec()),
        (AUDITS, IAudits::plotCall { firstLot: 1, idleRoots: vec![B256::repeat_byte(1)] }.abi_encode()),
        (AUDITS, IAudits::commitCall { round: 1, root: B256::ZERO, lost: vec![1] }.abi_encode()),
        (AUDITS, IAudits::openCall { round: 1, sample: 0, opening: vec![0; 200].into() }.abi_encode()),
        (AUDITS, IAudits::reportCall { miner: 1 }.abi_encode()),
        (AUDITS, IAudits::claimCall {}.abi_encode()),
        (AUDITS, IAudits::fundCall {}.abi_encode()),
        (AUDITS, challenge.abi_encode()),
        (AUDITS, IAudits::answerCall { challenge: 1, content: vec![1; 90].into() }.abi_encode()),
        (AUDITS, IAudits::expireCall { challenge: 1 }.abi_encode()),
        (AUDITS, IAudits::roundCall {}.abi_encode()),
        (AUDITS, IAudits::standingCall { miner: 1 }.abi_encode()),
        (AUDITS, IAudits::sampleCall { number: 0 }.abi_encode()),
        (AUDITS, IAudits::dutyCall { lot: 1 }.abi_encode()),
        (AUDITS, IAudits::owesCall { volume, stripe: 0, seat: 0 }.abi_encode()),
        (AUDITS, IAudits::lotOfCall { miner: 1, number: 0 }.abi_encode()),
        (AUDITS, IAudits::pricesCall {}.abi_encode()),
    ]
}

fn rule() -> IPolicies::Policy {
    let (allowed, forbidden, miners) = (vec![DE], vec![code("US")], Vec::new());
    IPolicies::Policy { profile: 0, regionCap: 0, networkCap: 0, allowed, forbidden, miners }
}

/// Evidence of the right shape.
fn malformed(net: &mut Net) -> IVolumes::voidMalformedCall {
    let column = |index| Column {
        index,
        root: B256::ZERO,
        path: vec![B256::ZERO; 3],
        chunk: vec![0; 1024].into(),
        chunkPath: vec![B256::ZERO; 6],
    };
    let (stripe, columns) = (net.release_of(1, 0), (0..5).map(column).collect());
    IVolumes::voidMalformedCall { volume: 1, stripe, chunk: 0, columns }
}

fn stocked() -> Net {
    let audits = Some(AuditSpec::devnet());
    let mut net = Net::formed_with(StorageSpec { open_target: 1, audits, ..StorageSpec::devnet() });
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, territory, 0, &[1]);
    net.commit(vec![batch]);
    net
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Calldata of any kind, from anyone, is answered or refused: nothing panics, and what fails leaves no trace.
    #[test]
    fn any_calldata_is_survived(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        noise in prop::collection::vec(any::<u8>(), 0..80),
        flags in any::<u8>(),
        gas in prop_oneof![Just(GAS), 0..300_000u64],
    ) {
        let mut net = stocked();
        let modules = crate::modules(&net.spec);
        let mut inputs = calls(&mut net);
        inputs.extend(MODULES.map(|module| (module, noise.clone())));
        for (to, mut input) in inputs {
            for (place, byte) in &edits {
                if !input.is_empty() {
                    let place = place.index(input.len());
                    input[place] = *byte;
                }
            }
            if let Some(cut) = cut {
                input.truncate(cut.index(input.len() + 1));
            }
            let from = [ALICE, net.operators[0], crate::SYSTEM, VOLUMES][usize::from(flags % 4)];
            let (value, is_static) = (U256::from(flags >> 6) * U256::from(1u64 << 62), flags & 32 != 0);
            let request = Request { from, to, value, is_static, gas };
            let before = net.world.clone();
            let response = net.world.call(&modules, &request, &input);
            prop_assert!(response.gas_used <= gas);
            if response.result.is_err() || is_static {
                prop_assert!(net.world == before);
            }
        }
    }
}

#[test]
fn the_target_is_read_from_its_slot() {
    let mut net = Net::new(StorageSpec::devnet());
    net.add_miners(8, 1);
    assert_eq!(crate::decode_beacon_target(U256::ZERO), None);
    assert_eq!(net.target(), None);
    net.block(None);
    assert_eq!(net.target(), Some((0, net.world.block.view + 2)));
    assert_eq!(crate::beacon_target_slot(), types::state::StateKey::Slot(VOLUMES, U256::ZERO));
    let word = U256::from(7) | U256::from(9) << 64 | U256::from(1) << 160;
    assert_eq!(crate::decode_beacon_target(word), Some((7, 9)));
}
