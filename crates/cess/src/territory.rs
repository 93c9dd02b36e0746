//! Buy space and list it: `cess territory`.

use crate::{
    cli::{Bytes, TerritoryCommand, format_amount, format_bytes},
    print::{self, Table},
    session::Session,
};
use anyhow::Result;
use client::{Territory, user_bytes};
use serde::Serialize;
use types::Profile;

/// A territory as `--json` shows it. Bytes are a user's own; billed bytes count every fragment.
#[derive(Serialize)]
struct TerritoryView {
    id: u64,
    bytes: u64,
    bytes_free: u64,
    billed_bytes_bought: u64,
    billed_bytes_used: u64,
    billed_bytes_leased: u64,
    paid_until_ms: u64,
}

impl TerritoryView {
    fn new(profile: Profile, territory: Territory) -> Self {
        Self {
            id: territory.id,
            bytes: user_bytes(profile, territory.bytes_bought),
            bytes_free: user_bytes(profile, free(&territory)),
            billed_bytes_bought: territory.bytes_bought,
            billed_bytes_used: territory.bytes_used,
            billed_bytes_leased: territory.bytes_leased,
            paid_until_ms: territory.paid_until_ms,
        }
    }
}

/// Billed bytes that nothing uses.
pub fn free(territory: &Territory) -> u64 {
    territory.bytes_bought.saturating_sub(territory.bytes_used)
}

/// Does what `cess territory …` says.
pub async fn run(command: TerritoryCommand, session: &Session) -> Result<()> {
    match command {
        TerritoryCommand::Buy { size, days } => buy(size, days, session).await,
        TerritoryCommand::List => list(session).await,
    }
}

async fn buy(size: Bytes, days: u32, session: &Session) -> Result<()> {
    let client = session.client().await?;
    let price = client.quote_territory(size.0, days).await?;
    let id = client.buy_territory(size.0, days).await?;
    if session.json() {
        let bought = client.list_territories().await?.into_iter().find(|territory| territory.id == id);
        let profile = client.spec().storage.profile;
        return print::json(&bought.map(|territory| TerritoryView::new(profile, territory)));
    }
    print::line(format!("territory {id}"))?;
    print::note(&format!("bought room for {size} and {days} days for {}", format_amount(price)))
}

async fn list(session: &Session) -> Result<()> {
    let client = session.client().await?;
    let profile = client.spec().storage.profile;
    let territories = client.list_territories().await?.into_iter();
    let views: Vec<TerritoryView> = territories.map(|territory| TerritoryView::new(profile, territory)).collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["territory", "size", "free", "paid until"]);
    for view in views {
        let until = print::time(view.paid_until_ms);
        table.row([view.id.to_string(), format_bytes(view.bytes), format_bytes(view.bytes_free), until]);
    }
    table.print()
}
