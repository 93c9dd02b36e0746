//! Make, list and remove buckets: `cess bucket`.

use crate::{
    cli::BucketCommand,
    print::{self, Table},
    session::Session,
    territory,
};
use alloy_primitives::B256;
use anyhow::{Context, Result};
use client::{BucketSummary, Client};
use serde::Serialize;

/// A bucket as `--json` shows it.
#[derive(Serialize)]
struct BucketView {
    name: String,
    id: B256,
    territory: u64,
    policy: u32,
    version: u64,
}

impl From<BucketSummary> for BucketView {
    fn from(bucket: BucketSummary) -> Self {
        let BucketSummary { id, name, territory, policy, version } = bucket;
        Self { name, id, territory, policy, version }
    }
}

/// Does what `cess bucket …` says.
pub async fn run(command: BucketCommand, session: &Session) -> Result<()> {
    match command {
        BucketCommand::Create { name, territory, policy } => create(&name, territory, policy, session).await,
        BucketCommand::List => list(session).await,
        BucketCommand::SetPolicy { name, policy } => {
            session.client().await?.set_bucket_policy(&name, policy).await?;
            print::note(&format!("what is written to {name} from now on is kept under policy {policy}"))
        }
        BucketCommand::Remove { name } => {
            session.client().await?.remove_bucket(&name).await?;
            print::note(&format!("removed bucket {name}"))
        }
    }
}

async fn create(name: &str, territory: Option<u64>, policy: u32, session: &Session) -> Result<()> {
    let client = session.client().await?;
    let territory = match territory {
        Some(territory) => territory,
        None => roomiest(&client).await?,
    };
    let id = client.create_bucket_under(name, territory, policy).await?;
    if session.json() {
        return print::json(&BucketView { name: name.into(), id, territory, policy, version: 0 });
    }
    print::note(&format!("created bucket {name}; territory {territory} pays for what it holds"))
}

/// The territory with the most free space among those that are paid for.
async fn roomiest(client: &Client) -> Result<u64> {
    let now_ms = client.chain().head().await?.timestamp_ms;
    let territories = client.list_territories().await?.into_iter();
    let paid = territories.filter(|territory| territory.paid_until_ms > now_ms);
    let roomiest = paid.max_by_key(territory::free);
    let advice = "this account has no territory: buy one with `cess territory buy --size 10GiB --days 30`";
    Ok(roomiest.context(advice)?.id)
}

/// Lists the account's buckets.
pub async fn list(session: &Session) -> Result<()> {
    let buckets = session.client().await?.list_buckets().await?;
    let views: Vec<BucketView> = buckets.into_iter().map(BucketView::from).collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["bucket", "territory", "policy", "updates"]);
    for view in views {
        let numbers = [view.territory.to_string(), view.policy.to_string(), view.version.to_string()];
        let [territory, policy, version] = numbers;
        table.row([view.name, territory, policy, version]);
    }
    table.print()
}
