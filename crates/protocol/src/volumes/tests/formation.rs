use crate::{
    BlockFacts, PUBLIC_POLICY, errors,
    fixture::*,
    internal::IBlockHook,
    volumes::{
        DRAW_WAIT_VIEWS_MAX,
        formation::{Step, plan},
        record::Draw,
    },
};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use types::{
    Profile,
    abi::{IMiners, IVolumes, MINERS, VOLUMES},
    spec::StorageSpec,
};

#[test]
fn takes_the_step_that_the_state_asks_for() {
    let block = BlockFacts { epoch: 2, view: 500, ..BlockFacts::default() };
    let idle = Draw::default();
    assert_eq!(plan(&idle, &block, None), Step::Start);
    assert_eq!(plan(&idle, &block, Some((0, 0))), Step::Start);

    let draw = Draw { epoch: 2, view: 490, pending: true, ..Draw::default() };
    assert_eq!(plan(&draw, &block, Some((2, 490))), Step::Draw);
    for other in [None, Some((2, 489)), Some((2, 491)), Some((1, 490))] {
        assert_eq!(plan(&draw, &block, other), Step::Rest);
    }
    let late = BlockFacts { view: 490 + DRAW_WAIT_VIEWS_MAX, ..block };
    assert_eq!(plan(&draw, &late, None), Step::Rest);
    let later = BlockFacts { view: late.view + 1, ..block };
    assert_eq!(plan(&draw, &later, None), Step::Renew);
    assert_eq!(plan(&draw, &later, Some((2, 490))), Step::Draw);
    let next_epoch = BlockFacts { epoch: 3, view: 1, ..block };
    assert_eq!(plan(&draw, &next_epoch, None), Step::Renew);
}

#[test]
fn forms_volumes_up_to_the_target() {
    let mut net = Net::formed_with(StorageSpec::devnet());
    net.form();
    net.form();
    for _ in 0..5 {
        net.block(None);
    }
    assert_eq!(net.target(), None);
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: PUBLIC_POLICY }), [1, 2, 3]);
    assert_eq!(net.view(VOLUMES, &IVolumes::openVolumesCall { policy: 1 }), [0u32; 0]);
    for id in 1..=3 {
        let volume = net.volume(id);
        assert_eq!((volume.profile, volume.policy, volume.open), (Profile::Devnet as u8, 0, true));
        assert_eq!((volume.stripeCount, volume.columnBytes, volume.stripesRoot), (0, 0, log_root(&[])));
        for (seat, (lot, miner)) in volume.lots.iter().zip(&volume.miners).enumerate() {
            let known = net.view(MINERS, &IMiners::lotCall { id: *lot });
            assert_eq!((known.miner, known.state, known.volume, known.seat), (*miner, 1, id, seat as u16));
        }
        let formed = &net.events::<IVolumes::Formed>()[id as usize - 1];
        assert_eq!((formed.volume, &formed.lots, &formed.miners), (id, &volume.lots, &volume.miners));
    }
    let mut lots: Vec<u32> = (1..=3).flat_map(|id| net.volume(id).lots).collect();
    lots.sort_unstable();
    lots.dedup();
    assert_eq!(lots.len(), 24, "no lot has two seats");
}

#[test]
fn waits_for_enough_operators() {
    let mut net = Net::new(StorageSpec::devnet());
    for _ in 0..7 {
        net.add_miner(9);
        net.block(None);
    }
    assert_eq!(net.target(), None);
    net.add_miner(1);
    net.block(None);
    assert_eq!(net.target(), None, "the eighth operator's one lot makes less than eight effective operators");
    net.pledge(8, 8);
    net.block(None);
    let view = net.world.block.view + net.spec.draw_delay_views;
    assert_eq!(net.target(), Some((0, view)));
    assert_eq!(
        net.events::<IVolumes::DrawStarted>(),
        [IVolumes::DrawStarted { policy: 0, epoch: 0, targetView: view }]
    );
}

#[test]
fn a_beacon_that_does_not_come_is_replaced() {
    let mut net = Net::new(StorageSpec::devnet());
    net.add_miners(8, 1);
    net.block(None);
    let (_, first) = net.target().expect("a draw is pending");
    net.world.block.view = first + DRAW_WAIT_VIEWS_MAX - 1;
    net.block(None);
    assert_eq!(net.target(), Some((0, first)));
    net.block(None);
    let renewed = (0, net.world.block.view + net.spec.draw_delay_views);
    assert_eq!(net.target(), Some(renewed));
    // The old one comes too late, and the pool is still frozen.
    net.block(Some(beacon((0, first))));
    assert_eq!(net.target(), Some(renewed));
    net.block(Some(beacon(renewed)));
    assert_eq!(net.view(VOLUMES, &IVolumes::volumeCountCall {}), 1);
}

#[test]
fn an_unlucky_draw_waits_for_another_beacon() {
    // A factor of zero lets a pool in which one operator has nearly everything start a draw that hardly succeeds.
    let spec = StorageSpec { effective_operators_factor: 0, lot_collateral: U256::from(1), ..StorageSpec::devnet() };
    let mut net = Net::new(spec);
    net.add_miners(7, 1);
    let rich = net.add_miner(256);
    (0..7).for_each(|_| net.pledge(rich, 256));
    net.block(None);
    let first = net.target().expect("a draw is pending");
    net.world.block.view = first.1;
    net.block(Some(beacon(first)));
    // Between two draws others have their turn, and everybody may come and go.
    assert_eq!(net.target(), None);
    net.block(None);
    let second = net.target().expect("another draw");
    assert!(second > first);
    assert_eq!(net.events::<IVolumes::DrawStarted>().len(), 2);
    assert_eq!(net.view(VOLUMES, &IVolumes::volumeCountCall {}), 0);
}

#[test]
fn the_same_beacon_always_forms_the_same_volume() {
    let mut net = Net::new(StorageSpec::devnet());
    net.add_miners(12, 16);
    let mut other = net.clone();
    net.form();
    other.form();
    assert!(net.world == other.world);
    // Pinned: a change of the rule is a change of the protocol.
    assert_eq!(net.volume(1).miners, PINNED);
}

const PINNED: [u32; 8] = [11, 10, 8, 4, 12, 9, 3, 7];

#[test]
fn the_hook_is_closed_to_everyone_but_the_system() {
    let mut net = Net::formed();
    let input = IBlockHook::beginBlockCall { epoch: 0, view: 9, seed: Bytes::from_static(&[1; 48]) }.abi_encode();
    for from in [ALICE, MINERS, VOLUMES] {
        let error = net.raw(from, VOLUMES, U256::ZERO, &input).result.expect_err("refused");
        assert!(error.decode::<errors::UnknownSelector>().is_some(), "{error:?}");
    }
}

#[test]
fn forming_the_widest_volume_fits_a_system_call() {
    let spec = StorageSpec { profile: Profile::Wide, ..StorageSpec::devnet() };
    let mut net = Net::new(spec);
    net.add_miners(120, 2);
    let mut most = 0;
    while net.view(VOLUMES, &IVolumes::volumeCountCall {}) == 0 {
        let beacon = net.target().filter(|(_, view)| *view <= net.world.block.view).map(beacon);
        most = most.max(net.block(beacon).gas_used);
    }
    assert!(most < 15_000_000, "{most} gas of 30,000,000");
    let members = net.volume(1).miners;
    assert_eq!(members.len(), 80);
}

#[test]
fn an_idle_hook_costs_next_to_nothing() {
    let mut net = Net::formed();
    net.block(None);
    assert!(net.block(None).gas_used < 20_000);
}
