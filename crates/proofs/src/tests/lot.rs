//! Hold a small lot in memory.

use crate::{
    chunk::Hash,
    response::{Duty, Owed, Service, Source, Unit, Witness},
    round::{Place, Round, Shape},
};
use alloy_primitives::B256;
use std::convert::Infallible;
use types::{
    Profile, StripeLeaf,
    merkle::{EMPTY, LOG_DEPTH, Tree, node},
    segment::segment_id,
};

pub const KIB: u64 = 1 << 10;
pub const SEAT: usize = 5;

/// Two lots: the first one is in a volume with five stripes, of which one is released and one was missed; the second is
/// idle; a third is not plotted.
pub struct Lots {
    pub round: Round,
    pub leaves: Vec<StripeLeaf>,
    fragments: Vec<Vec<Vec<u8>>>,
    owed: Vec<bool>,
    duty: Duty,
    idle_roots: [B256; 2],
}

pub fn bytes(label: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(label).finalize_xof().fill(&mut bytes);
    bytes
}

impl Lots {
    pub fn new(beacon: u8) -> Self {
        let shape = Shape { slot_bytes: 256 * KIB, lot_slots: 8, unit_slots: 4, light_divisor: 1, deep_divisor: 2 };
        let round = Round { shape, beacon: B256::repeat_byte(beacon), miner: 3, lots: 3 };
        let (mut leaves, mut fragments, mut offset) = (Vec::new(), Vec::new(), 0);
        for (index, length) in [100u64, 900_000, 1 << 20, 300_000, 500_000].into_iter().enumerate() {
            let fragment_bytes = Profile::Devnet.fragment_bytes(length);
            let stripe: Vec<Vec<u8>> =
                (0..8u8).map(|seat| bytes(&[index as u8, seat], fragment_bytes as usize)).collect();
            let roots: Vec<B256> = stripe.iter().map(|fragment| Hash::Plain.root(fragment)).collect();
            leaves.push(StripeLeaf {
                segment: segment_id(Profile::Devnet, length, &Tree::new(&roots).root()),
                territory: 1,
                offset,
                fragment_bytes,
                length,
                committed_at_ms: 1_000 + index as u64,
                term_end_ms: 9_000,
            });
            fragments.push(stripe);
            offset += fragment_bytes;
        }
        let hashes: Vec<B256> = leaves.iter().map(StripeLeaf::hash).collect();
        let small = Tree::new(&hashes).root();
        let stripes_root = EMPTY[3..LOG_DEPTH].iter().fold(small, |left, right| node(&left, right));
        let service = Service {
            profile: Profile::Devnet,
            seat: SEAT as u16,
            column_bytes: offset,
            stripe_count: 5,
            stripes_root,
            fresh_from: leaves[3].offset,
            gap_from: 0,
            gap_to: 0,
        };
        let owed = vec![true, true, false, true, true];
        let duty = Duty { service: Some(service), idle_root: None };
        let mut lots = Self { round, leaves, fragments, owed, duty, idle_roots: [B256::ZERO; 2] };
        lots.idle_roots = [0, 1].map(|lot| lots.unit_tree(lot).root());
        lots.duty.idle_root = Some(lots.idle_roots[0]);
        lots
    }

    /// Lets the member be a newcomer.
    pub fn set_gap(&mut self, from: u64, to: u64) {
        let service = self.duty.service.as_mut().expect("a member");
        (service.gap_from, service.gap_to) = (from, to);
        for (owed, leaf) in self.owed.iter_mut().zip(&self.leaves) {
            *owed &= !service.is_absent(leaf);
        }
    }

    fn unit_bytes(&self, lot: u32, unit: u32) -> Vec<u8> {
        bytes(&[b'u', lot as u8, unit as u8], self.round.shape.unit_bytes() as usize)
    }

    fn unit_tree(&self, lot: u32) -> Tree {
        let roots: Vec<B256> = (0..2).map(|unit| Hash::Plain.root(&self.unit_bytes(lot, unit))).collect();
        Tree::new(&roots)
    }

    /// 0 a stripe, 1 zeros of a stripe that is not owed, 2 above the log's end, 3 idle.
    pub fn kind(&self, place: Place, chunk: u64) -> u8 {
        let shape = &self.round.shape;
        let position = u64::from(place.slot) * shape.slot_bytes + chunk * KIB;
        match self.duty(place.lot).of(shape, place.slot) {
            Owed::Service(service) if position >= service.column_bytes => 2,
            Owed::Service(_) => u8::from(!self.owed[self.covering(position)]),
            _ => 3,
        }
    }

    fn covering(&self, position: u64) -> usize {
        let covers = |leaf: &StripeLeaf| (leaf.offset..leaf.offset + leaf.fragment_bytes).contains(&position);
        self.leaves.iter().position(covers).expect("covered")
    }
}

impl Source for Lots {
    type Error = Infallible;

    fn duty(&self, lot: u32) -> Duty {
        match lot {
            0 => self.duty,
            1 => Duty { service: None, idle_root: Some(self.idle_roots[1]) },
            _ => Duty::default(),
        }
    }

    fn read(&self, place: Place, offset: u64, out: &mut [u8]) -> Result<(), Infallible> {
        let shape = &self.round.shape;
        let start = u64::from(place.slot) * shape.slot_bytes;
        let column = self.duty(place.lot).service.map_or(0, |service| service.column_bytes);
        for (byte, at) in out.iter_mut().zip(start + offset..) {
            *byte = 0;
            if start >= column {
                continue;
            }
            if at < column {
                let index = self.covering(at);
                if self.owed[index] {
                    *byte = self.fragments[index][SEAT][(at - self.leaves[index].offset) as usize];
                }
            }
        }
        if start >= column {
            let unit = self.unit_bytes(place.lot, place.slot / shape.unit_slots);
            let from = (u64::from(place.slot % shape.unit_slots) * shape.slot_bytes + offset) as usize;
            out.copy_from_slice(&unit[from..from + out.len()]);
        }
        Ok(())
    }

    fn stripe(&self, _: u32, position: u64) -> Result<Witness, Infallible> {
        let index = self.covering(position);
        let hashes: Vec<B256> = self.leaves.iter().map(StripeLeaf::hash).collect();
        let fragment = self.owed[index].then(|| {
            let roots: Vec<B256> = self.fragments[index].iter().map(|f| Hash::Plain.root(f)).collect();
            (roots[SEAT], Tree::new(&roots).path(SEAT).expect("a seat"))
        });
        let log_path = Tree::new(&hashes).path(index).expect("a leaf");
        Ok(Witness { index: index as u32, leaf: self.leaves[index], log_path, fragment })
    }

    fn fragment(&self, _: u32, leaf: &StripeLeaf) -> Result<Vec<u8>, Infallible> {
        Ok(self.fragments[self.covering(leaf.offset)][SEAT].clone())
    }

    fn unit(&self, lot: u32, unit: u32) -> Result<Unit, Infallible> {
        let bytes = self.unit_bytes(lot, unit);
        let slot = self.round.shape.slot_bytes as usize;
        let slots = bytes.chunks(slot).zip((0..).step_by(slot));
        Ok(Unit {
            root: Hash::Plain.root(&bytes),
            path: self.unit_tree(lot).path(unit as usize).expect("a unit"),
            slots: slots.map(|(slot, start)| Hash::Plain.chaining_value(start, slot)).collect(),
        })
    }
}
