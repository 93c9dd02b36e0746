use super::*;
use crate::{SYSTEM, errors, fixture::*, internal::ILots};
use alloy_primitives::FixedBytes;
use alloy_sol_types::SolCall;
use types::{
    ReceiptKey,
    abi::{IVolumes, MINERS, TERRITORIES},
};

fn net() -> Net {
    Net::new(StorageSpec::devnet())
}

fn key(number: u8) -> ReceiptKey {
    ReceiptKey::derive(&[number; 32])
}

fn miner(net: &mut Net, id: u32) -> IMiners::Miner {
    net.view(MINERS, &IMiners::minerCall { id })
}

fn lot(net: &mut Net, id: u32) -> (u32, u8, u32, u16) {
    let lot = net.view(MINERS, &IMiners::lotCall { id });
    (lot.miner, lot.state, lot.volume, lot.seat)
}

#[test]
fn registers_a_key_with_proof_of_possession() {
    let mut net = net();
    let funds = net.world.balance(ALICE);
    let id = net.pay(ALICE, MINERS, U256::from(77), &register(ALICE, &key(1)));
    assert_eq!((id, net.world.balance(ALICE)), (1, funds));
    let known = miner(&mut net, 1);
    assert_eq!((known.operator, known.region, known.endpoint), (ALICE, DE, endpoint()));
    assert_eq!(known.receiptKey[..], key(1).public().to_bytes());
    assert_eq!((known.lots, known.lotsFree, known.collateral, known.retired), (0, 0, U256::ZERO, false));
    assert_eq!(net.view(MINERS, &IMiners::minerOfCall { operator: ALICE }), 1);
    assert_eq!(net.view(MINERS, &IMiners::minerOfCall { operator: BOB }), 0);
    assert_eq!(net.call(BOB, MINERS, &register(BOB, &key(2))), 2);
    assert_eq!(net.view(MINERS, &IMiners::minerCountCall {}), 2);
    assert_eq!(net.events::<IMiners::Registered>().len(), 2);
    assert_eq!(net.events::<IMiners::EndpointChanged>()[0].endpoint, endpoint());
}

#[test]
fn one_miner_per_operator_and_per_key() {
    let mut net = net();
    net.call(ALICE, MINERS, &register(ALICE, &key(1)));
    let again: IMiners::AlreadyRegistered = refusal(net.try_call(ALICE, MINERS, &register(ALICE, &key(2))));
    assert_eq!(again.operator, ALICE);
    let shared: IMiners::ReceiptKeyTaken = refusal(net.try_call(BOB, MINERS, &register(BOB, &key(1))));
    assert_eq!(shared.miner, 1);
}

#[test]
fn refuses_keys_without_possession() {
    let mut net = net();
    let good = register(ALICE, &key(1));
    let mut infinity = vec![0; 48];
    infinity[0] = 0xc0;
    let bad = [
        // The proof was made for someone else: copied from the chain.
        register(BOB, &key(1)),
        IMiners::registerCall { receiptKey: register(ALICE, &key(2)).receiptKey, ..good.clone() },
        IMiners::registerCall { receiptKey: infinity.into(), ..good.clone() },
        IMiners::registerCall { receiptKey: good.receiptKey.slice(..47), ..good.clone() },
        IMiners::registerCall { receiptKey: Bytes::new(), ..good.clone() },
        IMiners::registerCall { proofOfPossession: good.proofOfPossession.slice(..95), ..good.clone() },
        IMiners::registerCall { proofOfPossession: vec![0; 96].into(), ..good.clone() },
        // An ordinary signature is no proof.
        IMiners::registerCall {
            proofOfPossession: Bytes::copy_from_slice(&key(1).sign(&B256::ZERO).to_bytes()),
            ..good.clone()
        },
    ];
    for call in bad {
        let _: IMiners::InvalidReceiptKey = refusal(net.try_call(ALICE, MINERS, &call));
    }
    // On the curve, but outside the subgroup of the right order.
    let outside = (1..=u8::MAX).find_map(|x| {
        let mut bytes = [0; 48];
        (bytes[0], bytes[47]) = (0x80, x);
        let is_point = ReceiptPublicKey::from_checked_bytes(&bytes).is_ok();
        (is_point && ReceiptPublicKey::from_bytes(&bytes).is_err()).then_some(bytes)
    });
    let outside = Bytes::copy_from_slice(&outside.expect("small coordinates give such a point"));
    let call = IMiners::registerCall { receiptKey: outside, ..good.clone() };
    let _: IMiners::InvalidReceiptKey = refusal(net.try_call(ALICE, MINERS, &call));
    assert_eq!(net.call(ALICE, MINERS, &good), 1);
}

#[test]
fn takes_regions_in_iso_shape_only() {
    for good in [*b"DE\0\0\0\0", *b"US-CA\0", *b"GB-ENG", *b"FR-1\0\0"] {
        assert!(check_region(FixedBytes(good)), "{good:?}");
    }
    let bad = [
        *b"\0\0\0\0\0\0",
        *b"D\0\0\0\0\0",
        *b"de\0\0\0\0",
        *b"DEU\0\0\0",
        *b"DE-\0\0\0",
        *b"DE-b\0\0",
        *b"DE\0BE\0",
        *b"\0\0DE\0\0",
        *b"D1\0\0\0\0",
        *b"DE-B\0C",
    ];
    for bad in bad {
        assert!(!check_region(FixedBytes(bad)), "{bad:?}");
    }
    let mut net = net();
    let region = FixedBytes(*b"EU-\0\0\0");
    let call = IMiners::registerCall { region, ..register(ALICE, &key(1)) };
    assert_eq!(refusal::<IMiners::InvalidRegion, _>(net.try_call(ALICE, MINERS, &call)).region, region);
}

#[test]
fn endpoints_must_decode() {
    let mut net = net();
    for bad in [Bytes::new(), vec![0; 33].into(), vec![0; 300].into(), [endpoint().as_ref(), &[0]].concat().into()] {
        let call = IMiners::registerCall { endpoint: bad.clone(), ..register(ALICE, &key(1)) };
        let _: IMiners::InvalidEndpoint = refusal(net.try_call(ALICE, MINERS, &call));
        let _: IMiners::InvalidEndpoint =
            refusal(net.try_call(ALICE, MINERS, &IMiners::setEndpointCall { endpoint: bad }));
    }
    let moved = Endpoint::new(B256::repeat_byte(1), Vec::new(), Some("https://relay.example".into())).unwrap();
    let call = IMiners::setEndpointCall { endpoint: moved.encode().into() };
    let nobody: IMiners::NotOperator = refusal(net.try_call(ALICE, MINERS, &call));
    assert_eq!(nobody.caller, ALICE);
    net.call(ALICE, MINERS, &register(ALICE, &key(1)));
    net.call(ALICE, MINERS, &call);
    assert_eq!(miner(&mut net, 1).endpoint, moved.encode());
}

#[test]
fn pledging_pays_collateral_and_numbers_the_lots() {
    let mut net = net();
    net.add_miner(3);
    net.add_miner(2);
    net.pledge(1, 1);
    let each = net.spec.lot_collateral;
    assert_eq!(net.world.balance(MINERS), each * U256::from(6));
    let pledged: Vec<_> = net.events::<IMiners::Pledged>().iter().map(|e| (e.miner, e.lots, e.firstLot)).collect();
    assert_eq!(pledged, [(1, 3, 1), (2, 2, 4), (1, 1, 6)]);
    let first = miner(&mut net, 1);
    assert_eq!((first.lots, first.lotsFree, first.collateral), (4, 4, each * U256::from(4)));
    for (id, owner) in [(1, 1), (3, 1), (4, 2), (5, 2), (6, 1)] {
        assert_eq!(lot(&mut net, id), (owner, 0, 0, 0));
    }
    for id in [0, 7] {
        let unknown = net.try_call(ALICE, MINERS, &IMiners::lotCall { id });
        assert_eq!(refusal::<IMiners::UnknownLot, _>(unknown).lot, id);
        let unknown = net.try_call(ALICE, MINERS, &IMiners::minerCall { id });
        assert_eq!(refusal::<IMiners::UnknownMiner, _>(unknown).miner, id);
    }
}

#[test]
fn pledging_names_what_is_wrong() {
    let mut net = net();
    let nobody: IMiners::NotOperator = refusal(net.try_call(ALICE, MINERS, &IMiners::pledgeCall { lots: 1 }));
    assert_eq!(nobody.caller, ALICE);
    net.call(ALICE, MINERS, &register(ALICE, &key(1)));
    for lots in [0, PLEDGE_LOTS_MAX + 1, u32::MAX] {
        let bad = net.try_pay(ALICE, MINERS, U256::from(FUNDS / 2), &IMiners::pledgeCall { lots });
        assert_eq!(refusal::<IMiners::InvalidLots, _>(bad).lots, lots);
    }
    let due = net.spec.lot_collateral * U256::from(2);
    let paid = due - U256::from(1);
    let short = net.try_pay(ALICE, MINERS, paid, &IMiners::pledgeCall { lots: 2 });
    assert_eq!(refusal::<IMiners::CollateralTooLow, _>(short), IMiners::CollateralTooLow { due, paid });
    let funds = net.world.balance(ALICE);
    net.pay(ALICE, MINERS, due + U256::from(9), &IMiners::pledgeCall { lots: 2 });
    assert_eq!(net.world.balance(ALICE), funds - due);
}

#[test]
fn retiring_returns_the_collateral_of_free_lots() {
    let mut net = Net::formed();
    let member = net.volume(1).miners[0];
    let operator = net.operators[member as usize - 1];
    let each = net.spec.lot_collateral;
    let funds = net.world.balance(operator);
    let _: IMiners::NotOperator = refusal(net.try_call(MALLORY, MINERS, &IMiners::retireCall {}));
    net.call(operator, MINERS, &IMiners::retireCall {});
    assert_eq!(net.world.balance(operator), funds + each * U256::from(3));
    let retired = miner(&mut net, member);
    assert_eq!((retired.lots, retired.lotsFree, retired.collateral, retired.retired), (1, 0, each, true));
    let event = net.events::<IMiners::Retired>().pop().unwrap();
    assert_eq!((event.miner, event.lotsFreed, event.collateralReturned), (member, 3, each * U256::from(3)));
    let first_lot = (member - 1) * 4 + 1;
    assert_eq!(lot(&mut net, first_lot), (member, 1, 1, 0));
    for id in first_lot + 1..first_lot + 4 {
        assert_eq!(lot(&mut net, id).1, LotState::Withdrawn as u8);
    }
    let again = net.try_call(operator, MINERS, &IMiners::retireCall {});
    assert_eq!(refusal::<IMiners::MinerRetired, _>(again).miner, member);
    let more = net.try_pay(operator, MINERS, each, &IMiners::pledgeCall { lots: 1 });
    assert_eq!(refusal::<IMiners::MinerRetired, _>(more).miner, member);
}

#[test]
fn a_retired_miner_is_never_drawn() {
    let mut net = Net::formed_with(StorageSpec { open_target: 20, ..StorageSpec::devnet() });
    net.add_miner(4);
    let stays_open = net.target().is_some();
    assert!(!stays_open, "between two draws nothing is pending");
    net.call(net.operators[0], MINERS, &IMiners::retireCall {});
    net.form();
    net.form();
    let volumes = [net.volume(2), net.volume(3)];
    assert!(volumes.iter().all(|volume| !volume.miners.contains(&1)));
}

#[test]
fn during_a_draw_new_lots_wait_and_nobody_leaves() {
    let mut net = net();
    net.add_miners(9, 4);
    net.block(None);
    assert!(net.target().is_some(), "a draw is pending");
    net.pledge(1, 1);
    assert_eq!(miner(&mut net, 1).lotsFree, 5);
    let stuck = net.try_call(net.operators[0], MINERS, &IMiners::retireCall {});
    let _: IMiners::DrawPending = refusal(stuck);
    let formed = net.form();
    assert!(net.volume(formed).lots.iter().all(|lot| *lot <= 36), "only lots that were there are drawn");
    // Afterwards they are in, and everybody may leave.
    net.block(None);
    net.form();
    net.call(net.operators[8], MINERS, &IMiners::retireCall {});
}

#[test]
fn lots_are_drawn_in_the_order_of_their_pledges() {
    let mut net = Net::formed_with(StorageSpec { open_target: 3, ..StorageSpec::devnet() });
    net.form();
    net.form();
    for miner in 1..=9u32 {
        let drawn: Vec<u32> = net
            .events::<IVolumes::Formed>()
            .iter()
            .flat_map(|formed| formed.lots.clone())
            .filter(|lot| (lot - 1) / 4 + 1 == miner)
            .collect();
        let expected: Vec<u32> = ((miner - 1) * 4 + 1..).take(drawn.len()).collect();
        assert_eq!(drawn, expected);
        let left = 4 - drawn.len() as u32;
        assert_eq!(self::miner(&mut net, miner).lotsFree, left);
    }
}

#[test]
fn an_empty_list_of_lots_starts_anew() {
    let mut net = Net::new(StorageSpec { open_target: 1, lot_slots: 1, ..StorageSpec::devnet() });
    net.add_miners(8, 1);
    net.form();
    assert_eq!(miner(&mut net, 3).lotsFree, 0);
    net.pledge(3, 2);
    assert_eq!(miner(&mut net, 3).lotsFree, 2);
    assert_eq!(lot(&mut net, 9), (3, 0, 0, 0));
}

#[test]
fn the_draw_is_closed_to_everyone_but_volumes() {
    let mut net = Net::formed();
    let inputs = [
        ILots::holdCall {}.abi_encode(),
        ILots::thawCall {}.abi_encode(),
        ILots::quitCall { lot: 1, forfeit: U256::ZERO }.abi_encode(),
        ILots::rebuiltCall { miner: 1 }.abi_encode(),
        ILots::receiptKeysCall { miners: vec![1] }.abi_encode(),
    ];
    for input in inputs {
        for from in [ALICE, net.operators[0], SYSTEM, TERRITORIES, MINERS] {
            let error = net.raw(from, MINERS, U256::ZERO, &input).result.expect_err("refused");
            assert!(error.decode::<errors::UnknownSelector>().is_some(), "{error:?}");
        }
    }
}

#[test]
fn slots_are_where_the_specification_says() {
    let mut net = net();
    net.add_miner(2);
    let operator = net.operators[0];
    let slot = |position: U256| B256::from(net.world.storage.get(&(MINERS, position)).copied().unwrap_or_default());
    let entry = |key: B256, base: u64| -> U256 { keccak256([key, B256::from(U256::from(base))].concat()).into() };
    let number = |number: u64| B256::from(U256::from(number));
    assert_eq!((slot(U256::ZERO), slot(U256::from(1))), (number(1), number(2)));
    let record = entry(number(1), 2);
    let mut identity = operator.into_word();
    identity[6..12].copy_from_slice(DE.as_slice());
    assert_eq!(slot(record), identity);
    let mut tally = B256::ZERO;
    for (index, value) in [2u32, 1, 2, 2, 2].into_iter().enumerate() {
        tally[12 + index * 4..16 + index * 4].copy_from_slice(&value.to_be_bytes());
    }
    assert_eq!(slot(record + U256::from(1)), tally);
    assert_eq!(slot(record + U256::from(2)), B256::from(net.spec.lot_collateral * U256::from(2)));
    let key = net.keys[0].public().to_bytes();
    assert_eq!(slot(record + U256::from(3)), key[..32]);
    assert_eq!(slot(record + U256::from(4))[16..], key[32..]);
    assert_eq!(slot(record + U256::from(5)), number(endpoint().len() as u64 * 2 + 1));
    // Lot 1: its miner, and lot 2 after it.
    let mut first = number(1);
    first[18..22].copy_from_slice(&2u32.to_be_bytes());
    assert_eq!(slot(entry(number(1), 3)), first);
    assert_eq!(slot(entry(operator.into_word(), 4)), number(1));
    assert_eq!(slot(entry(keccak256(key), 5)), number(1));
    // The pool: Σc = 2, Σc² = 4, one operator.
    let sums = U256::from(2) | U256::from(4) << 64 | U256::from(1) << 192;
    assert_eq!(slot(U256::from(6)), B256::from(sums));
    assert_eq!(slot(entry(number(1), 7)), number(2));
}
