//! Make accounts, look at them, send money: `cess account`.

use crate::{
    cli::{AccountCommand, Amount, Globals, format_amount},
    folders, passphrase,
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use anyhow::{Context, Result, ensure};
use client::{
    ChainApi, Sender,
    keys::{keystore_address, new_phrase, save_keystore},
};
use serde::Serialize;
use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
};

/// An element of `cess account list --json`
#[derive(Serialize)]
struct AccountView {
    name: String,
    address: Address,
    /// Absent for a devnet's accounts, whose keys stand in devnet.json.
    keystore: Option<PathBuf>,
}

/// `cess account balance --json`
#[derive(Serialize)]
struct BalanceView {
    address: Address,
    /// Decimal, as JSON's numbers are too small.
    wei: String,
    coins: String,
    nonce: u64,
}

/// `cess account send --json`
#[derive(Serialize)]
struct SentView {
    transaction: B256,
    height: u64,
}

/// Does what `cess account …` says.
pub async fn run(command: AccountCommand, globals: &Globals) -> Result<()> {
    match command {
        AccountCommand::New { name, restore } => new(&name, restore, globals).await,
        AccountCommand::List => list(globals),
        AccountCommand::Balance { address } => balance(address, &Session::open(globals)?).await,
        AccountCommand::Send { to, amount } => send(to, amount, &Session::open(globals)?).await,
    }
}

async fn new(name: &str, restore: bool, globals: &Globals) -> Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    ensure!(plain && !name.is_empty(), "a keystore's name has letters, digits, dots and dashes, unlike `{name}`");
    let path = match &globals.keystore {
        Some(path) => path.clone(),
        None => folders::keystores(globals)?.join(format!("{name}.json")),
    };
    ensure!(!path.exists(), "{} exists already: choose another --name", path.display());
    let words = if restore { passphrase::recovery_words()? } else { new_phrase() };
    let passphrase = passphrase::new(globals)?;
    let (to, secret) = (path.clone(), words.clone());
    let keys = tokio::task::spawn_blocking(move || save_keystore(&to, &secret, &passphrase)).await??;
    let view = AccountView { name: name.into(), address: keys.address(), keystore: Some(path.clone()) };
    if globals.json {
        return print::json(&view);
    }
    print::line(format!("{} in {}", view.address, path.display()))?;
    // A log file is no place for them; the keystore holds them too.
    if !restore && io::stdout().is_terminal() {
        let advice = "Write these words down and keep them where nobody else looks. With them, and only with them, the \
                      account and all it stored can be restored without the keystore:";
        print::line(format!("\n{advice}\n\n  {}\n", words.as_str()))?;
    }
    Ok(())
}

fn list(globals: &Globals) -> Result<()> {
    let mut views = keystores(globals)?;
    // Without a node this lists keystores alone.
    if let Ok(session) = Session::open(globals)
        && let Some(devnet) = session.devnet()
    {
        let accounts = devnet.accounts.iter().enumerate();
        views.extend(accounts.map(|(index, account)| AccountView {
            name: format!("devnet account {index}"),
            address: account.address,
            keystore: None,
        }));
    }
    if globals.json {
        return print::json(&views);
    }
    let mut table = Table::new(["account", "address", "keystore"]);
    for view in views {
        let keystore = view.keystore.map_or("devnet.json".into(), |path| path.display().to_string());
        table.row([view.name, view.address.to_string(), keystore]);
    }
    table.print()
}

/// The keystores in the user's folder; what is none is passed over.
fn keystores(globals: &Globals) -> Result<Vec<AccountView>> {
    let folder = folders::keystores(globals)?;
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut views: Vec<AccountView> = entries
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_stem()?.to_str()?.to_string();
            Some(AccountView { name, address: keystore_address(&path).ok()?, keystore: Some(path) })
        })
        .collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(views)
}

async fn balance(address: Option<Address>, session: &Session) -> Result<()> {
    let address = address.map_or_else(|| session.address(), Ok)?;
    let state = session.chain.account(address).await?;
    let view = BalanceView {
        address,
        wei: state.balance.to_string(),
        coins: format_amount(state.balance),
        nonce: state.nonce,
    };
    if session.json() { print::json(&view) } else { print::line(view.coins) }
}

async fn send(to: Address, amount: Amount, session: &Session) -> Result<()> {
    ensure!(amount.0 > U256::ZERO, "there is nothing to send");
    let sender = Sender::new(session.chain.clone(), session.keys().await?.signer);
    let receipt = sender.send(to, amount.0, Bytes::new()).await?;
    let view = SentView { transaction: receipt.transaction_hash, height: receipt.height };
    if session.json() {
        return print::json(&view);
    }
    print::line(view.transaction.to_string())?;
    print::note(&format!("sent {} to {to}, final in block {}", format_amount(amount.0), view.height))
}
