//! Help newcomers: rebuild fragments of the columns that they take over, and keep what they acknowledge.
//!
//! # Design
//! The newcomer asks for a stripe, so nothing is pushed that nobody wants. It must be who the chain says takes the seat over, and
//! it gets no more ahead of its acknowledgements than a bounded number of fragments. What is rebuilt for others shares a few
//! slots, of which the volumes with the fewest live members get the next.

mod desk;

use crate::{
    notes,
    repair::{REBUILDING, UNSETTLED},
    service::{MinerService, busy, chain_refusal, refuse, store_refusal, unavailable},
};
use alloy_primitives::B256;
use client::chain::{Network, OpenVolume};
pub(crate) use desk::Desk;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use transport::{
    Acknowledge, FragmentReply, Rebuild, Refusal,
    RefusalReason::{NotMember, PermitInvalid, Unknown, WrongFragment},
};
use types::{
    ReceiptSignature,
    abi::{IVolumes, VOLUMES},
    layout::volumes::SeatQuery,
    repair::Help,
};

/// How long what the chain said of a seat may be used.
const FRESH: Duration = Duration::from_secs(4);
/// Seats to remember; the oldest are forgotten.
const CASES_MAX: usize = 64;
/// Fragments that a newcomer may get ahead of its acknowledgements: twice what it acknowledges at once.
const CREDIT_FRAGMENTS: u64 = 64;

/// A seat that somebody takes over.
#[derive(Clone)]
struct Case {
    asked_at: Instant,
    record: IVolumes::Seat,
    members: Arc<OpenVolume>,
    live: u16,
}

impl Case {
    /// Whether this peer is who rebuilds the column of the seat, or has just done so.
    fn is_taken_over_by(&self, peer: B256, seat: u16) -> bool {
        let holder = self.members.members.get(usize::from(seat)).and_then(|member| member.endpoint.as_ref());
        matches!(self.record.state, REBUILDING | UNSETTLED) && holder.is_some_and(|endpoint| endpoint.id() == peer)
    }
}

/// What is known of the seats of newcomers that ask for help.
pub(crate) struct HelpDesk {
    pub(crate) desk: Arc<Desk>,
    cases: Mutex<BTreeMap<(u32, u16), Case>>,
    /// Bytes that a lot got and has not acknowledged.
    ahead: Mutex<BTreeMap<(u32, u32), u64>>,
}

impl HelpDesk {
    pub(crate) fn new(slots: usize) -> Self {
        Self { desk: Desk::new(slots), cases: Mutex::default(), ahead: Mutex::default() }
    }
}

impl MinerService {
    /// A fragment of the seat that the peer takes over.
    pub(crate) async fn rebuild(&self, from: B256, rebuild: &Rebuild) -> Result<FragmentReply, Refusal> {
        let Rebuild { volume, index, segment, seat } = *rebuild;
        let (own_seat, _) = self.membership(volume)?;
        let case = self.case(from, volume, seat).await?;
        if case.record.state != REBUILDING || own_seat == seat {
            return refuse(NotMember, "nobody rebuilds that seat");
        }
        let leaf = self.leaf(volume, index).await?;
        if leaf.segment != segment || leaf.offset >= case.record.targetBytes {
            return refuse(Unknown, "the stripe is not one that is taken over");
        }
        let place = (volume, case.record.lot);
        let ahead = self.help.ahead.lock().get(&place).copied().unwrap_or_default();
        if ahead.saturating_add(leaf.fragment_bytes) > CREDIT_FRAGMENTS.saturating_mul(self.spec.storage.slot_bytes) {
            return busy("acknowledge first what you got");
        }
        let Some(_slot) = self.help.desk.take(case.live).await else { return busy("others are helped") };
        let made = self.rebuilder.remake(&case.members, Some(seat), index, &leaf).await;
        let made = made.map_err(|error| unavailable("the fragment cannot be rebuilt")(&error))?;
        let Some(made) = made.into_fragment(seat) else {
            return refuse(WrongFragment, "the stripe is no codeword");
        };
        {
            let mut ahead = self.help.ahead.lock();
            if ahead.len() >= CASES_MAX {
                ahead.pop_first();
            }
            let sum = ahead.entry(place).or_default();
            *sum = sum.saturating_add(leaf.fragment_bytes);
        }
        Ok(FragmentReply {
            profile: made.profile,
            length: made.length,
            proof: made.proof,
            groups: made.fragment.groups().clone(),
            offset: 0,
            bytes: made.fragment.bytes().clone(),
        })
    }

    /// Keeps an acknowledgement, to be cashed on the chain.
    pub(crate) async fn acknowledge(&self, from: B256, acknowledge: &Acknowledge) -> Result<(), Refusal> {
        let Acknowledge { volume, seat, bytes, signature } = *acknowledge;
        let (helper_seat, _) = self.membership(volume)?;
        let case = self.case(from, volume, seat).await?;
        let (chain_id, helper, lot) = (self.spec.chain_id, self.state.lock().miner, case.record.lot);
        let help = Help { chain_id, volume, seat, lot, helper_seat, helper, bytes };
        let key = case.members.members.get(usize::from(seat)).and_then(|member| member.receipt_key);
        let signed = ReceiptSignature::from_bytes(&signature)
            .is_ok_and(|signature| key.is_some_and(|key| key.verify(&help.message(), &signature)));
        if !signed || bytes > case.record.targetBytes {
            return refuse(PermitInvalid, "that acknowledges nothing");
        }
        let _turn = self.helped.lock().await;
        let known = self.store.note(notes::help_key(volume, seat)).await.map_err(store_refusal)?;
        let known = known.as_deref().and_then(notes::read_help).filter(|known| known.lot == lot);
        if known.as_ref().is_none_or(|known| known.bytes < bytes) {
            let cashed = known.map_or(0, |known| known.cashed);
            let note = notes::put_help(volume, seat, &notes::HelpNote { lot, bytes, cashed, signature });
            self.store.update(vec![note]).await.map_err(store_refusal)?;
        }
        self.help.ahead.lock().remove(&(volume, lot));
        Ok(())
    }

    /// The seat as the chain has it, if the peer is who takes it over. Nobody is refused on what is remembered.
    async fn case(&self, from: B256, volume: u32, seat: u16) -> Result<Case, Refusal> {
        let known = self.help.cases.lock().get(&(volume, seat)).cloned();
        if let Some(case) = known.filter(|case| case.asked_at.elapsed() < FRESH && case.is_taken_over_by(from, seat)) {
            return Ok(case);
        }
        let network = Network(&*self.chain);
        let record = network.query(SeatQuery { volume, seat }).await.map_err(chain_refusal)?;
        let members = Arc::new(network.volume_with_members(volume).await.map_err(chain_refusal)?);
        // Only the order hangs on it, so the node's word will do.
        let live = network.read(VOLUMES, &IVolumes::healthCall { volume }).await.map_err(chain_refusal)?.live;
        let case = Case { asked_at: Instant::now(), record, members, live };
        if !case.is_taken_over_by(from, seat) {
            return refuse(NotMember, "only who takes over that seat may ask");
        }
        let mut cases = self.help.cases.lock();
        if cases.len() >= CASES_MAX {
            let oldest = cases.iter().min_by_key(|(_, case)| case.asked_at).map(|(place, _)| *place);
            oldest.and_then(|place| cases.remove(&place));
        }
        cases.insert((volume, seat), case.clone());
        Ok(case)
    }
}
