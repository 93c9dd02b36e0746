//! Check audit rounds again: `cess audit`.

use crate::{
    cli::{AuditCommand, AuditVerifyArgs, format_amount},
    network::members::Members,
    print,
    session::Session,
};
use alloy_primitives::{B256, U256};
use anyhow::{Result, bail};
use client::{
    audits::{FaultReview, Finding, OpeningReview, RoundReview},
    chain::Network,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// `cess audit verify --json`
#[derive(Serialize)]
struct RoundView {
    round: u64,
    opened_height: u64,
    beacon_a: BeaconView,
    beacon_b: BeaconView,
    samples: u32,
    committed: usize,
    closed: bool,
    /// Whether nothing contradicts the chain.
    holds: bool,
    openings: Vec<OpeningView>,
    faults: Vec<FaultView>,
}

#[derive(Serialize)]
struct BeaconView {
    beacon: B256,
    #[serde(flatten)]
    finding: FindingView,
}

#[derive(Serialize)]
struct OpeningView {
    sample: u32,
    miner: u32,
    transaction: B256,
    shows: String,
    #[serde(flatten)]
    finding: FindingView,
}

#[derive(Serialize)]
struct FaultView {
    miner: u32,
    name: String,
    sample: u32,
    lot: u32,
    slot: u32,
    chunk: u64,
    entry: u64,
    fine_wei: U256,
    height: u64,
    evidence: Vec<String>,
    #[serde(flatten)]
    finding: FindingView,
}

#[derive(Serialize)]
struct FindingView {
    /// holds, contradicted, unchecked
    finding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Holds => Self { finding: "holds", reason: None },
            Finding::Contradicted(reason) => Self { finding: "contradicted", reason: Some(reason) },
            Finding::Unchecked(reason) => Self { finding: "unchecked", reason: Some(reason) },
        }
    }
}

/// Does what `cess audit …` says.
pub async fn run(command: AuditCommand, session: &Session) -> Result<()> {
    match command {
        AuditCommand::Verify(arguments) => verify(arguments, session).await,
    }
}

async fn verify(arguments: AuditVerifyArgs, session: &Session) -> Result<()> {
    let network = Network(&*session.chain);
    let round = match (arguments.round, arguments.transaction) {
        (Some(round), _) => round,
        (None, Some(hash)) => network.round_of_transaction(hash).await?,
        (None, None) => bail!("name a round with --round, or a transaction"),
    };
    let review = network.review_round(round, arguments.miner, arguments.blocks).await?;
    let view = RoundView::new(review, session).await?;
    if session.json() {
        print::json(&view)?;
    } else {
        view.print()?;
    }
    if view.holds { Ok(()) } else { bail!("the chain's verdict in round {round} does not follow from the evidence") }
}

impl RoundView {
    async fn new(review: RoundReview, session: &Session) -> Result<Self> {
        let failed: BTreeSet<u32> = review.faults.iter().map(|fault| fault.miner).collect();
        let members = Members::of(session, failed).await?;
        let holds = review.holds();
        let [a, b] = review.beacons.map(FindingView::from);
        Ok(Self {
            holds,
            round: review.round,
            opened_height: review.opened_height,
            beacon_a: BeaconView { beacon: review.beacon_a, finding: a },
            beacon_b: BeaconView { beacon: review.beacon_b, finding: b },
            samples: review.samples,
            committed: review.committed,
            closed: review.closed,
            openings: review.openings.into_iter().map(OpeningView::from).collect(),
            faults: review.faults.into_iter().map(|fault| FaultView::new(fault, &members)).collect(),
        })
    }

    fn print(&self) -> Result<()> {
        let count = |kind: &str| self.openings.iter().filter(|opening| opening.finding.finding == kind).count();
        let state = if self.closed { "closed" } else { "not closed yet" };
        let lines = [
            format!("round     {}, {state}; obligations as of height {}", self.round, self.opened_height),
            format!("beacon A  {}", self.beacon_a.sentence()),
            format!("beacon B  {}", self.beacon_b.sentence()),
            format!("samples   {}; {} miners committed", self.samples, self.committed),
            format!(
                "openings  {} checked: {} hold, {} contradicted, {} cannot be checked any more",
                self.openings.len(),
                count("holds"),
                count("contradicted"),
                count("unchecked")
            ),
            format!("faults    {}", self.faults.len()),
        ];
        print::line(lines.join("\n"))?;
        for opening in self.openings.iter().filter(|opening| opening.finding.reason.is_some()) {
            let reason = opening.finding.reason.as_deref().unwrap_or_default();
            let OpeningView { sample, miner, finding, .. } = opening;
            print::line(format!("sample {sample} of miner {miner}: {}: {reason}", finding.finding))?;
        }
        for fault in &self.faults {
            let FaultView { name, miner, sample, fine_wei, finding, .. } = fault;
            let fine = format_amount(*fine_wei);
            print::line(format!(
                "\nfault of {name} (number {miner}) at sample {sample}, fined {fine}: {}",
                finding.finding
            ))?;
            for line in fault.evidence.iter().chain(&finding.reason) {
                print::line(format!("  - {line}"))?;
            }
        }
        Ok(())
    }
}

impl BeaconView {
    fn sentence(&self) -> String {
        let FindingView { finding, reason } = &self.finding;
        let reason = reason.as_ref().map_or("a certified header brought its seed".into(), String::clone);
        format!("{}: {finding}, {reason}", self.beacon)
    }
}

impl From<OpeningReview> for OpeningView {
    fn from(opening: OpeningReview) -> Self {
        let OpeningReview { sample, miner, transaction, shows, finding } = opening;
        Self { sample, miner, transaction, shows, finding: finding.into() }
    }
}

impl FaultView {
    fn new(review: FaultReview, members: &Members) -> Self {
        let FaultReview { miner, fault, evidence, finding } = review;
        Self {
            miner,
            name: members.name(miner),
            sample: fault.sample,
            lot: fault.lot,
            slot: fault.slot,
            chunk: fault.chunk,
            entry: fault.entry,
            fine_wei: fault.fine,
            height: fault.height,
            evidence,
            finding: finding.into(),
        }
    }
}
