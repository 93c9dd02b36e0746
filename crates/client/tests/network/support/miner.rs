//! Check and sign what a member is sent, in memory.

use alloy_primitives::B256;
use async_trait::async_trait;
use client::{
    ChainApi,
    chain::{MemoryChain, Network},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use transport::{
    Fetch, Fragment, FragmentReply, LeavesQuery, MinerStatus, Refusal, RefusalReason, Request, Response, Service, Sign,
    Stage, StageHeader, fragment::covering_groups,
};
use types::{
    ReceiptKey, SegmentId, permit,
    receipt::{Receipt, batch_root},
};

pub struct TestMiner {
    chain: Arc<MemoryChain>,
    pub peer: B256,
    pub id: u32,
    key: ReceiptKey,
    /// Bytes of each lease that a program which is gone has staged here.
    pub left_behind: AtomicU64,
    /// Fetches that were answered.
    pub fetches: AtomicU64,
    held: Mutex<BTreeMap<(SegmentId, u32), (StageHeader, Fragment)>>,
}

impl TestMiner {
    pub fn new(chain: Arc<MemoryChain>, peer: B256, id: u32, key: ReceiptKey) -> Self {
        Self {
            chain,
            peer,
            id,
            key,
            left_behind: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            held: Mutex::default(),
        }
    }

    async fn judge(&self, from: B256, header: &StageHeader) -> Result<(), Refusal> {
        let refuse = |reason, detail: &str| Err(Refusal::new(reason, detail));
        let unavailable = |error: client::ChainError| Refusal::new(RefusalReason::Unavailable, error.to_string());
        let network = Network(&*self.chain);
        let spec = self.chain.spec().await.map_err(unavailable)?;
        let now = self.chain.head().await.map_err(unavailable)?.timestamp_ms;
        let volume = network.volume(header.volume).await.map_err(unavailable)?;
        if volume.miners.get(usize::from(header.proof.index)) != Some(&self.id) {
            return refuse(RefusalReason::NotMember, "not my seat");
        }
        if !volume.open {
            return refuse(RefusalReason::VolumeClosed, "full");
        }
        let permit = &header.permit;
        if permit.expiresMs < now {
            return refuse(RefusalReason::PermitExpired, "old");
        }
        let territory = network.territory(permit.territory).await.map_err(unavailable)?;
        let signer = permit::recover(permit, spec.chain_id, &header.signature);
        if signer != Some(territory.owner) || permit.uploader != from {
            return refuse(RefusalReason::PermitInvalid, "not the owner's, or not yours");
        }
        let lease = network.lease(permit.territory, header.volume).await.map_err(unavailable)?;
        if lease.until_ms < now {
            return refuse(RefusalReason::NoLease, "none");
        }
        if lease.column_bytes < header.fragment_bytes() + self.left_behind.load(Ordering::Relaxed) {
            return refuse(RefusalReason::LeaseExceeded, "too little left");
        }
        if !header.proof.verify(header.profile, header.length, &header.segment) {
            return refuse(RefusalReason::WrongFragment, "no path to the segment");
        }
        Ok(())
    }

    async fn stage(&self, from: B256, stage: Stage) -> Result<Response, Refusal> {
        self.judge(from, &stage.header).await?;
        if stage.fragment.root() != stage.header.proof.root {
            return Err(Refusal::new(RefusalReason::WrongFragment, "other bytes"));
        }
        self.held.lock().insert((stage.header.segment, stage.header.volume), (stage.header, stage.fragment));
        Ok(Response::Staged)
    }

    async fn sign(&self, sign: Sign) -> Result<Response, Refusal> {
        let head = self.chain.head().await.expect("in memory");
        if sign.expires_at_height <= head.height {
            return Err(Refusal::new(RefusalReason::InvalidExpiry, "over"));
        }
        let held = self.held.lock();
        let all = sign.segments.iter().all(|segment| held.contains_key(&(segment.segment, sign.volume)));
        if !all {
            return Err(Refusal::new(RefusalReason::NotStaged, "not all are here"));
        }
        let segments: Vec<SegmentId> = sign.segments.iter().map(|segment| segment.segment).collect();
        let message = Receipt {
            chain_id: 7_331,
            volume: sign.volume,
            territory: sign.territory,
            sequence: sign.sequence,
            batch_root: batch_root(&segments),
            expires_at_height: sign.expires_at_height,
        }
        .message();
        Ok(Response::Signature(self.key.sign(&message).to_bytes()))
    }

    fn fetch(&self, fetch: Fetch) -> Result<Response, Refusal> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let held = self.held.lock();
        let of_index = |(header, _): &&(StageHeader, Fragment)| {
            header.segment == fetch.segment && header.proof.index == fetch.index
        };
        let found = held.values().find(of_index);
        let (header, fragment) = found.ok_or_else(|| Refusal::new(RefusalReason::Unknown, "not here"))?;
        let range = fetch.range.unwrap_or(0..header.fragment_bytes());
        if range.end > header.fragment_bytes() {
            return Err(Refusal::new(RefusalReason::Malformed, "too far"));
        }
        let covered = covering_groups(&range, header.fragment_bytes());
        Ok(Response::Fragment(FragmentReply {
            profile: header.profile,
            length: header.length,
            proof: header.proof.clone(),
            groups: fragment.groups().clone(),
            offset: covered.start,
            bytes: fragment.bytes().slice(covered.start as usize..covered.end as usize),
        }))
    }

    async fn leaves(&self, query: LeavesQuery) -> Result<Response, Refusal> {
        // This one follows no logs: clients have to take the chain's.
        Err(Refusal::new(RefusalReason::Unknown, format!("no leaves of volume {}", query.volume)))
    }
}

#[async_trait]
impl Service for TestMiner {
    async fn admit(&self, from: B256, header: &StageHeader) -> Result<(), Refusal> {
        self.judge(from, header).await
    }

    async fn handle(&self, from: B256, request: Request) -> Response {
        let answer = match request {
            Request::Stage(stage) => self.stage(from, stage).await,
            Request::Sign(sign) => self.sign(sign).await,
            Request::Fetch(fetch) => self.fetch(fetch),
            Request::Leaves(query) => self.leaves(query).await,
            Request::Status(_) => {
                Ok(Response::Status(MinerStatus { miner: self.id, free_bytes: 1, height: 1, volumes: Vec::new() }))
            }
            Request::Disown(_) | Request::Rebuild(_) | Request::Acknowledge(_) => {
                Err(Refusal::new(RefusalReason::Unknown, "nothing is repaired here"))
            }
        };
        answer.unwrap_or_else(Response::from)
    }
}
