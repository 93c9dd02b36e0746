//! Hold what other languages must compute alike against `vectors/protocol.json`.

use crate::{fixture::*, miners::Draw};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::{Value, json};
use std::path::Path;
use types::{
    abi::{BUCKETS, IBuckets, ITerritories, IVolumes, MINERS, TERRITORIES, VOLUMES},
    bucket::bucket_id,
    layout::{self, entry},
    segment::Profile,
    spec::{REBUILD_FEE_DAYS, StorageSpec},
};

/// The slots that readers prove, by what they hold.
fn slots(net: &mut Net) -> Value {
    let bucket = bucket_id(ALICE, &B256::ZERO);
    let territory = entry(&1u64, layout::territories::RECORDS);
    let miner = entry(&1u32, layout::miners::RECORDS);
    let volume = entry(&1u32, layout::volumes::RECORDS);
    let lease = entry(&1u32, entry(&1u64, layout::volumes::LEASES));
    let record = entry(&bucket, layout::buckets::RECORDS);
    let named: [(&str, Address, U256); 16] = [
        ("territories: count", TERRITORIES, U256::ZERO),
        ("territories: title of 1", TERRITORIES, territory),
        ("territories: quota of 1", TERRITORIES, territory + U256::from(1)),
        ("miners: count", MINERS, U256::ZERO),
        ("miners: identity of 1", MINERS, miner),
        ("miners: tally of 1", MINERS, miner + U256::from(1)),
        ("miners: lot 1", MINERS, entry(&1u32, U256::from(3))),
        ("volumes: draw", VOLUMES, U256::ZERO),
        ("volumes: head of 1", VOLUMES, volume),
        ("volumes: frontier of 1, height 0", VOLUMES, volume + U256::from(1)),
        ("volumes: first lots of 1", VOLUMES, volume + U256::from(21)),
        ("volumes: first miners of 1", VOLUMES, volume + U256::from(53)),
        ("volumes: lease of territory 1 in volume 1", VOLUMES, lease),
        ("buckets: deed", BUCKETS, record),
        ("buckets: state", BUCKETS, record + U256::from(1)),
        ("buckets: root segment", BUCKETS, record + U256::from(2)),
    ];
    let rows = named.map(|(name, address, slot)| {
        let value = net.world.storage.get(&(address, slot)).copied().unwrap_or_default();
        json!({ "name": name, "address": address, "slot": B256::from(slot), "value": B256::from(value) })
    });
    rows.to_vec().into()
}

/// A network with a territory, a bucket, a lease and three stripes, two of them degraded.
pub fn scenario() -> Net {
    let mut net = Net::formed();
    let territory = net.territory(1 << 30, 30);
    let create =
        IBuckets::createCall { tag: B256::ZERO, territory, policy: 0, profile: 0, flags: 1, sealedName: Bytes::new() };
    net.call(ALICE, BUCKETS, &create);
    let until = net.world.block.timestamp_ms + 3_600_000;
    let lease = IVolumes::leaseCall { territory, volumes: vec![1], columnBytes: 4 << 20, untilMs: until };
    net.call(ALICE, VOLUMES, &lease);
    let whole = net.full_batch(1, territory, 0, &[8 << 20]);
    let degraded = net.batch(1, territory, 1, stripes(1, &[1, 5_000_000]), &[0, 1, 2, 3, 4, 6]);
    net.commit(vec![whole, degraded]);
    net
}

fn draws() -> Value {
    let seed: Vec<u8> = (0..48).collect();
    let weights = [3, 0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
    let draw = Draw::of(&weights, 6, 0, &seed);
    json!({
        "seed": hex::encode(&seed),
        "policy": 0,
        "weights": weights,
        "seats": 6,
        "tickets": draw.tickets,
        "miners": draw.miners,
    })
}

fn prices(net: &mut Net) -> Value {
    let spec = net.spec.clone();
    let quote = net.view(TERRITORIES, &ITerritories::quoteCall { size: 10 << 30, daysCount: 30 });
    let degraded = net.batch(1, 1, 9, stripes(9, &[1, 5_000_000]), &[0, 1, 2, 3, 4, 6]);
    let price = net.view(VOLUMES, &IVolumes::commitPriceCall { batches: vec![degraded] });
    json!({
        "price_per_byte_day": spec.price_per_byte_day,
        "stripe_deposit": spec.stripe_deposit.to_string(),
        "rebuild_fee_days": REBUILD_FEE_DAYS,
        "territory": { "size": 10u64 << 30, "days": 30, "price": quote.to_string() },
        "commit": { "lengths": [1, 5_000_000], "skipped": 2, "price": price.to_string() },
    })
}

fn vectors() -> Value {
    let mut net = scenario();
    let leaves: Vec<B256> = net.leaves(1).iter().map(leaf_hash).collect();
    assert_eq!(net.spec, StorageSpec { open_target: 1, ..StorageSpec::devnet() });
    assert_eq!(net.spec.profile, Profile::Devnet);
    json!({
        "draw": draws(),
        "log": { "leaves": leaves, "root": net.volume(1).stripesRoot },
        "prices": prices(&mut net),
        "slots": slots(&mut net),
    })
}

#[test]
fn everything_has_the_pinned_values() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/protocol.json");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&vectors()).unwrap() + "\n").unwrap();
    }
    let pinned: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(pinned == vectors(), "vectors/protocol.json says otherwise: {:#}", vectors());
}
