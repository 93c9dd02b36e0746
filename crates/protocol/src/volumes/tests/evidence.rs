use crate::{
    fixture::*,
    volumes::{phase, reason, tests::members::*},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use proofs::chunk::{self, Hash};
use types::{
    Profile, ReceiptSignature,
    abi::{Column, IVolumes, Release, Stripe, TERRITORIES, VOLUMES},
    merkle::Tree,
    repair::Ghost,
};

const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const LENGTH: u64 = 200_000;

/// A segment as its writer encoded it.
struct Written {
    fragments: Vec<Vec<u8>>,
    tree: Tree,
}

impl Written {
    /// A codeword, which `spoil` may then change.
    fn new(spoil: impl Fn(&mut Vec<Vec<u8>>)) -> Self {
        let code = erasure::Code::new(4, 4).unwrap();
        let content: Vec<u8> = (0..LENGTH).map(|index| (index * 31 % 251) as u8).collect();
        let encoded = erasure::encode_segment(&code, content.into()).unwrap();
        let mut fragments: Vec<Vec<u8>> = encoded.fragments.iter().map(|fragment| fragment.to_vec()).collect();
        spoil(&mut fragments);
        let roots: Vec<B256> = fragments.iter().map(|fragment| hash(fragment)).collect();
        Self { fragments, tree: Tree::new(&roots) }
    }

    fn stripe(&self) -> Stripe {
        Stripe { fragmentsRoot: self.tree.root(), length: LENGTH }
    }

    fn column(&self, index: usize, chunk: usize) -> Column {
        Column {
            index: index as u16,
            root: hash(&self.fragments[index]),
            path: self.tree.path(index).unwrap(),
            chunk: Bytes::copy_from_slice(&self.fragments[index][chunk * 1024..][..1024]),
            chunkPath: chunk::path(Hash::Plain, &self.fragments[index], chunk as u64).expect("a chunk of it"),
        }
    }

    fn columns(&self, indices: [usize; 5], chunk: usize) -> Vec<Column> {
        indices.iter().map(|index| self.column(*index, chunk)).collect()
    }
}

fn hash(bytes: &[u8]) -> B256 {
    B256::from(*blake3::hash(bytes).as_bytes())
}

/// A network with this stripe at index 2.
fn committed(written: &Written, signers: &[usize]) -> (Net, Release) {
    let (mut net, territory) = net();
    let batch = net.batch(1, territory, 9, vec![written.stripe()], signers);
    net.commit(vec![batch]);
    let stripe = net.release_of(1, 2);
    (net, stripe)
}

fn void(net: &mut Net, stripe: &Release, chunk: u32, columns: Vec<Column>) -> crate::Result<()> {
    net.try_call(BOB, VOLUMES, &IVolumes::voidMalformedCall { volume: 1, stripe: stripe.clone(), chunk, columns })
        .map(drop)
}

#[test]
fn fragments_that_are_no_codeword_void_the_stripe() {
    let written = Written::new(|fragments| fragments[6][5 * 1024 + 17] ^= 1);
    let (net, stripe) = committed(&written, &ALL);
    for indices in [[0, 1, 2, 3, 6], [2, 6, 4, 7, 1], [6, 5, 4, 3, 0]] {
        let (mut net, burned) = (net.clone(), net.world.balance(Address::ZERO));
        void(&mut net, &stripe, 5, written.columns(indices, 5)).expect("one column shows it");
        assert!(net.view(VOLUMES, &IVolumes::isReleasedCall { volume: 1, index: 2 }));
        let segment = stripe.leaf.segment;
        assert_eq!(net.view(VOLUMES, &IVolumes::positionOfCall { volume: 1, segment }), 0);
        assert_eq!(net.world.balance(Address::ZERO), burned + net.spec.stripe_deposit, "not refunded");
        assert_eq!(net.events::<IVolumes::Voided>()[0].segment, segment);
        let again = void(&mut net, &stripe, 5, written.columns(indices, 5));
        let _: IVolumes::AlreadyReleased = refusal(again);
        let release = IVolumes::releaseCall { volume: 1, stripes: vec![stripe.clone()] };
        let _: IVolumes::AlreadyReleased = refusal(net.try_call(ALICE, VOLUMES, &release));
    }
}

/// Somebody wants to harm an honest writer.
#[test]
fn nobody_voids_an_honest_stripe() {
    let honest = Written::new(|_| {});
    let (mut net, stripe) = committed(&honest, &ALL);
    let good = honest.columns([0, 1, 2, 3, 6], 5);
    let other = Written::new(|fragments| fragments[6][5 * 1024] ^= 1);
    let changed = |change: &dyn Fn(&mut Vec<Column>)| {
        let mut columns = good.clone();
        change(&mut columns);
        columns
    };
    let attacks = [
        good.clone(),
        honest.columns([0, 1, 2, 3, 3], 5),
        honest.columns([0, 1, 1, 3, 6], 5),
        honest.columns([0, 1, 2, 3, 6], 6),
        other.columns([0, 1, 2, 3, 6], 5),
        changed(&|columns| columns[4] = other.column(6, 5)),
        changed(&|columns| columns[4] = honest.column(6, 6)),
        changed(&|columns| columns[4].index = 7),
        changed(&|columns| columns[4].index = 8),
        changed(&|columns| columns.swap(0, 1)).into_iter().rev().collect(),
        changed(&|columns| columns.truncate(4)),
        changed(&|columns| columns.push(honest.column(7, 5))),
        changed(&|columns| columns[4].chunk = Bytes::from(vec![0; 1024])),
        changed(&|columns| columns[4].chunk = Bytes::new()),
        changed(&|columns| columns[4].chunkPath.clear()),
        changed(&|columns| columns[4].path.clear()),
        Vec::new(),
    ];
    for columns in attacks {
        let _: IVolumes::InvalidEvidence = refusal(void(&mut net, &stripe, 5, columns));
    }
    let _: IVolumes::InvalidEvidence = refusal(void(&mut net, &stripe, 64, good.clone()));
    let _: IVolumes::InvalidEvidence = refusal(void(&mut net, &stripe, u32::MAX, good.clone()));
    let elsewhere = Release { index: 1, ..stripe };
    let _: IVolumes::NotInLog = refusal(void(&mut net, &elsewhere, 5, good));
}

fn ghost(net: &mut Net, stripe: &Release, rebuilt: B256, seats: &[usize]) -> IVolumes::voidGhostCall {
    let members = net.volume(1).miners;
    let (segment, index) = (stripe.leaf.segment, stripe.index);
    let message = Ghost { chain_id: CHAIN_ID, volume: 1, index, segment, rebuilt }.message();
    let signatures: Vec<_> = seats.iter().map(|seat| net.keys[members[*seat] as usize - 1].sign(&message)).collect();
    let signature = ReceiptSignature::aggregate(&signatures).unwrap().to_bytes();
    IVolumes::voidGhostCall {
        volume: 1,
        stripe: stripe.clone(),
        rebuilt,
        signers: bitmap(8, seats),
        signature: Bytes::copy_from_slice(&signature),
    }
}

/// A writer skips a seat and commits a root of nothing for it: nobody can show a chunk, and the seat is fined for ever.
#[test]
fn e18_a_seat_that_did_not_sign_owes_nothing_until_it_says_so() {
    let written = Written::new(|fragments| fragments[3] = vec![9; fragments[3].len()]);
    let honest = Written::new(|_| {});
    let signers = [0, 1, 2, 4, 5, 6, 7];
    let (mut net, stripe) = committed(&written, &signers);
    let missing = IVolumes::missingOfCall { volume: 1, index: 2 };
    assert_eq!(net.view(VOLUMES, &missing), Bytes::from(vec![1 << 3]));
    // It stays so for whoever comes after it.
    lose(&mut net, 3, reason::FAULTY);
    blocks(&mut net, 8);
    finish(&mut net, 3);
    assert_eq!(net.view(VOLUMES, &missing), Bytes::from(vec![1 << 3]));

    // A write quorum that rebuilt the fragments voids the stripe.
    let rebuilt = honest.tree.root();
    let call = ghost(&mut net, &stripe, rebuilt, &[0, 1, 2, 4, 5, 6]);
    // Not fewer, not for what is there, not with other members' signatures, and not for another stripe.
    let few = ghost(&mut net, &stripe, rebuilt, &[0, 1, 2, 4, 5]);
    let few: IVolumes::QuorumMissing = refusal(net.try_call(BOB, VOLUMES, &few));
    assert_eq!((few.signed, few.needed), (U256::from(5), U256::from(6)));
    let forged = IVolumes::voidGhostCall { signers: bitmap(8, &[0, 1, 2, 4, 5, 7]), ..call.clone() };
    let _: IVolumes::InvalidSignature = refusal(net.try_call(BOB, VOLUMES, &forged));
    let other = IVolumes::voidGhostCall { rebuilt: B256::ZERO, ..call.clone() };
    let _: IVolumes::InvalidSignature = refusal(net.try_call(BOB, VOLUMES, &other));
    let replayed = IVolumes::voidGhostCall { stripe: net.release_of(1, 0), ..call.clone() };
    let _: IVolumes::InvalidSignature = refusal(net.try_call(BOB, VOLUMES, &replayed));
    let there = ghost(&mut net, &stripe, written.tree.root(), &[0, 1, 2, 4, 5, 6]);
    let _: IVolumes::InvalidEvidence = refusal(net.try_call(BOB, VOLUMES, &there));
    let (burned, used) = (net.world.balance(Address::ZERO), net.account(1).bytesUsed);
    net.call(BOB, VOLUMES, &call);
    let fee = net.spec.rebuild_price(stripe.leaf.fragmentBytes).unwrap();
    assert_eq!(net.world.balance(Address::ZERO), burned + net.spec.stripe_deposit + fee, "the writer paid for nothing");
    assert_eq!(net.account(1).bytesUsed, used, "what was paid until the end of the term is not given back before");
    assert_eq!(net.view(VOLUMES, &missing), Bytes::from(vec![0]));
    let again = net.try_call(BOB, VOLUMES, &call);
    let _: IVolumes::AlreadyReleased = refusal(again);
}

#[test]
fn e18_a_degraded_write_heals_when_its_seat_signs_and_the_seat_gets_the_fee() {
    let written = Written::new(|_| {});
    let (mut net, stripe) = committed(&written, &[0, 1, 2, 4, 5, 6]);
    let members = net.volume(1).miners;
    let heal = |seat, stripes: Vec<Release>| IVolumes::healCall { volume: 1, seat, stripes };
    let from = operator(&net, members[3]);
    let funds = net.world.balance(from);
    let _: IVolumes::NotHolder = refusal(net.try_call(MALLORY, VOLUMES, &heal(3, vec![stripe.clone()])));
    let twice = net.try_call(from, VOLUMES, &heal(3, vec![stripe.clone(), stripe.clone()]));
    assert_eq!(refusal::<IVolumes::NotMissing, _>(twice), IVolumes::NotMissing { volume: 1, index: 2, seat: 3 });
    let signed = net.release_of(1, 0);
    let _: IVolumes::NotMissing = refusal(net.try_call(from, VOLUMES, &heal(3, vec![signed])));
    let _: IVolumes::InvalidBatch = refusal(net.try_call(from, VOLUMES, &heal(3, Vec::new())));
    let elsewhere = Release { index: 1, ..stripe.clone() };
    let _: IVolumes::NotInLog = refusal(net.try_call(from, VOLUMES, &heal(3, vec![elsewhere])));
    net.call(from, VOLUMES, &heal(3, vec![stripe.clone()]));
    let fee = net.spec.rebuild_price(stripe.leaf.fragmentBytes).unwrap();
    assert_eq!(net.world.balance(from), funds + fee);
    let missing = IVolumes::missingOfCall { volume: 1, index: 2 };
    assert_eq!(net.view(VOLUMES, &missing), Bytes::from(vec![1 << 7]));
    assert_eq!(net.events::<IVolumes::Healed>(), [IVolumes::Healed { volume: 1, seat: 3, index: 2 }]);
    // A lost seat heals nothing before it is back, and nothing can be healed that is gone.
    lose(&mut net, 7, reason::SILENT);
    let lost = operator(&net, members[7]);
    let busy: IVolumes::SeatBusy = refusal(net.try_call(lost, VOLUMES, &heal(7, vec![stripe.clone()])));
    assert_eq!(busy.state, phase::LOST);
    let burned = net.world.balance(Address::ZERO);
    net.call(ALICE, VOLUMES, &IVolumes::releaseCall { volume: 1, stripes: vec![stripe.clone()] });
    assert_eq!(net.world.balance(Address::ZERO), burned + fee, "the unused fee is nobody's");
    net.call(lost, VOLUMES, &IVolumes::rejoinCall { volume: 1, seat: 7 });
    let _: IVolumes::NotMissing = refusal(net.try_call(lost, VOLUMES, &heal(7, vec![stripe])));
}

/// A member that signs without a fragment is no better off than the writer: the stripe goes all the same.
#[test]
fn a_ghost_that_was_signed_for_is_voided_too() {
    let written = Written::new(|fragments| fragments[3] = vec![9; fragments[3].len()]);
    let honest = Written::new(|_| {});
    let (mut net, stripe) = committed(&written, &ALL);
    let call = ghost(&mut net, &stripe, honest.tree.root(), &[0, 1, 2, 4, 5, 6, 7]);
    net.call(BOB, VOLUMES, &call);
    assert!(net.view(VOLUMES, &IVolumes::isReleasedCall { volume: 1, index: 2 }));
    assert_eq!(net.spec.profile, Profile::Devnet);
    assert!(net.world.balance(TERRITORIES) > U256::ZERO);
}
