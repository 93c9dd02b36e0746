use crate::{fixture::*, territories::DAY_MS};
use types::{
    abi::{ITerritories, IVolumes, VOLUMES},
    spec::StorageSpec,
};

const MIB: u64 = 1 << 20;

fn lease(territory: u64, volumes: &[u32], column: u64, until: u64) -> IVolumes::leaseCall {
    IVolumes::leaseCall { territory, volumes: volumes.to_vec(), columnBytes: column, untilMs: until }
}

fn lease_of(net: &mut Net, territory: u64, volume: u32) -> (u64, u64) {
    let lease = net.view(VOLUMES, &IVolumes::leaseOfCall { territory, volume });
    (lease.columnBytes, lease.untilMs)
}

fn net() -> (Net, u64) {
    let mut net = Net::formed_with(StorageSpec { open_target: 2, ..StorageSpec::devnet() });
    net.form();
    let territory = net.territory(100 * 8 * MIB, 30);
    (net, territory)
}

#[test]
fn reserves_quota_for_each_volume() {
    let (mut net, territory) = net();
    let until = net.world.block.timestamp_ms + 3_600_000;
    net.call(ALICE, VOLUMES, &lease(territory, &[1, 2], 30 * MIB, until));
    assert_eq!(net.account(territory).bytesLeased, 60 * 8 * MIB);
    assert_eq!(lease_of(&mut net, territory, 2), (30 * MIB, until));
    // Renewing adds, and does not shorten.
    net.call(ALICE, VOLUMES, &lease(territory, &[2], 5 * MIB, until - 1_000));
    assert_eq!(lease_of(&mut net, territory, 2), (35 * MIB, until));
    net.call(ALICE, VOLUMES, &lease(territory, &[2], 0, until + 1_000));
    assert_eq!(lease_of(&mut net, territory, 2), (35 * MIB, until + 1_000));
    assert_eq!(net.account(territory).bytesLeased, 65 * 8 * MIB);
    let events = net.events::<IVolumes::Leased>();
    assert_eq!((events.len(), events[3].columnBytes, events[3].untilMs), (4, 35 * MIB, until + 1_000));
}

#[test]
fn leases_name_what_is_wrong() {
    let (mut net, territory) = net();
    let now = net.world.block.timestamp_ms;
    let (until, longest) = (now + 1, now + net.spec.lease_max_ms);
    let many = [1; 65];
    let bad = [
        lease(territory, &[], MIB, until),
        lease(territory, &many, MIB, until),
        lease(territory, &[1], MIB, now),
        lease(territory, &[1], MIB, longest + 1),
        lease(territory, &[1], 0, until),
        lease(territory, &[1], net.spec.lot_bytes() + 1, until),
        lease(territory, &[1], u64::MAX, until),
    ];
    for call in bad {
        let _: IVolumes::InvalidLease = refusal(net.try_call(ALICE, VOLUMES, &call));
    }
    let unknown = net.try_call(ALICE, VOLUMES, &lease(territory, &[3], MIB, until));
    assert_eq!(refusal::<IVolumes::UnknownVolume, _>(unknown).volume, 3);
    let foreign = net.try_call(BOB, VOLUMES, &lease(territory, &[1], MIB, until));
    assert_eq!(refusal::<ITerritories::NotTerritoryOwner, _>(foreign).caller, BOB);
    let full = net.try_call(ALICE, VOLUMES, &lease(territory, &[1, 2], 51 * MIB, until));
    let full: ITerritories::TerritoryFull = refusal(full);
    assert_eq!((full.bytesFree, full.bytesNeeded), (100 * 8 * MIB, 102 * 8 * MIB));
    net.call(ALICE, VOLUMES, &lease(territory, &[1; 64], MIB, longest));
    let paid_until = net.account(territory).paidUntilMs;
    net.world.block.timestamp_ms = paid_until;
    let expired = net.try_call(ALICE, VOLUMES, &lease(territory, &[1], 0, paid_until + 1));
    assert_eq!(refusal::<ITerritories::TerritoryExpired, _>(expired).paidUntilMs, paid_until);
}

#[test]
fn a_lease_ends_when_its_time_is_over() {
    let (mut net, territory) = net();
    let until = net.world.block.timestamp_ms + DAY_MS;
    let end = IVolumes::endLeaseCall { territory, volume: 1 };
    let _: IVolumes::InvalidLease = refusal(net.try_call(ALICE, VOLUMES, &end));
    net.call(ALICE, VOLUMES, &lease(territory, &[1], 7 * MIB, until));
    net.world.block.timestamp_ms = until - 1;
    let _: IVolumes::InvalidLease = refusal(net.try_call(ALICE, VOLUMES, &end));
    net.world.block.timestamp_ms = until;
    net.call(MALLORY, VOLUMES, &end);
    assert_eq!(lease_of(&mut net, territory, 1), (0, 0));
    assert_eq!(net.account(territory).bytesLeased, 0);
    assert_eq!(net.events::<IVolumes::Leased>().pop().map(|event| event.columnBytes), Some(0));
    let _: IVolumes::InvalidLease = refusal(net.try_call(ALICE, VOLUMES, &end));
    let unknown = net.try_call(ALICE, VOLUMES, &IVolumes::endLeaseCall { territory, volume: 9 });
    let _: IVolumes::UnknownVolume = refusal(unknown);
}

#[test]
fn a_lease_on_a_closed_volume_is_of_no_use_and_ends_at_once() {
    let spec = StorageSpec { lot_slots: 2, open_target: 2, ..StorageSpec::devnet() };
    let mut net = Net::formed_with(spec);
    let territory = net.territory(1 << 30, 30);
    let until = net.world.block.timestamp_ms + DAY_MS;
    net.call(ALICE, VOLUMES, &lease(territory, &[1], 4 * MIB, until));
    let end = IVolumes::endLeaseCall { territory, volume: 1 };
    let batch = net.full_batch(1, territory, 0, &[8 * MIB]);
    net.commit(vec![batch]);
    let _: IVolumes::InvalidLease = refusal(net.try_call(ALICE, VOLUMES, &end));
    // Others fill the volume.
    let other = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, other, 1, &[8 * MIB]);
    net.commit(vec![batch]);
    assert!(!net.volume(1).open);
    assert_eq!(net.account(territory).bytesLeased, 2 * 8 * MIB);
    net.call(MALLORY, VOLUMES, &end);
    assert_eq!((lease_of(&mut net, territory, 1), net.account(territory).bytesLeased), ((0, 0), 0));
}

#[test]
fn commits_use_the_lease_before_free_quota() {
    let (mut net, territory) = net();
    let until = net.world.block.timestamp_ms + DAY_MS;
    net.call(ALICE, VOLUMES, &lease(territory, &[1], 3 * MIB, until));
    let batch = net.full_batch(1, territory, 0, &[8 * MIB]);
    net.commit(vec![batch]);
    assert_eq!(lease_of(&mut net, territory, 1), (MIB, until));
    let account = net.account(territory);
    assert_eq!((account.bytesUsed, account.bytesLeased), (2 * 8 * MIB, 8 * MIB));
    // The rest of the lease, expired, and a MiB of free quota.
    net.world.block.timestamp_ms = until + 1;
    let batch = net.full_batch(1, territory, 1, &[8 * MIB]);
    net.commit(vec![batch]);
    let account = net.account(territory);
    assert_eq!((account.bytesUsed, account.bytesLeased), (4 * 8 * MIB, 0));
    // Another volume's commit does not touch it.
    net.call(ALICE, VOLUMES, &lease(territory, &[1], 3 * MIB, until + 2));
    let batch = net.full_batch(2, territory, 2, &[8 * MIB]);
    net.commit(vec![batch]);
    assert_eq!(lease_of(&mut net, territory, 1), (3 * MIB, until + 2));
}
