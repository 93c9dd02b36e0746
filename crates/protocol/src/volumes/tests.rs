use crate::fixture::*;
use types::abi::{IVolumes, VOLUMES};

#[test]
fn a_commit_appends_what_all_members_signed() {
    let mut net = Net::formed();
    let territory = net.territory(1 << 30, 30);
    let batch = net.full_batch(1, territory, 0, &[5, 8 << 20, 300_000]);
    net.commit(vec![batch]);
    let volume = net.volume(1);
    assert_eq!(volume.stripeCount, 3);
    let hashes: Vec<_> = net.leaves(1).iter().map(leaf_hash).collect();
    assert_eq!(volume.stripesRoot, log_root(&hashes));
    assert_eq!(volume.columnBytes, (64 << 10) + (2 << 20) + 77_824.max(64 << 10));
    assert_eq!(net.account(territory).bytesUsed, volume.columnBytes * 8);
    let release = net.release_of(1, 1);
    net.call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 1, stripes: vec![release] });
}
