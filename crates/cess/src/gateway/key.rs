//! Make, list and remove access keys: `cess gateway key`.

use super::{access_keys, read};
use crate::{
    cli::{Globals, KeyCommand, KeyCreateArgs, KeyPolicyName},
    print::{self, Table},
};
use anyhow::Result;
use client::Keys;
use gateway::keys::{ACCOUNT_USER, AccessKey, KeyFile, KeyPolicy};
use serde::Serialize;
use std::path::Path;

const DAY_MS: u64 = 24 * 3_600_000;

/// A new key as `--json` shows it.
#[derive(Serialize)]
struct NewKey {
    access_key_id: String,
    secret_access_key: String,
}

/// Does what `cess gateway key …` says.
pub async fn run(command: KeyCommand, globals: &Globals) -> Result<()> {
    let config = match &command {
        KeyCommand::Create(arguments) => arguments.config.clone(),
        KeyCommand::List { config } | KeyCommand::Remove { config, .. } => config.clone(),
    };
    let (file, dir) = read(config, globals)?;
    let keys = access_keys(&dir.join(&file.data), &file.owner.unlock(&dir).await?);
    match command {
        KeyCommand::Create(arguments) => create(arguments, &keys, globals.json),
        KeyCommand::List { .. } => list(&keys, globals.json),
        KeyCommand::Remove { id, .. } => {
            keys.remove(&id)?;
            print::note(&format!("removed access key {id}: the gateway refuses it from now on"))
        }
    }
}

fn create(arguments: KeyCreateArgs, keys: &KeyFile, json: bool) -> Result<()> {
    let user = arguments.user.unwrap_or_else(|| ACCOUNT_USER.into());
    let key = AccessKey {
        id: arguments.id.unwrap_or_default(),
        display_name: arguments.display_name.unwrap_or_else(|| user.clone()),
        user,
        mail: arguments.mail,
        policy: match arguments.policy {
            KeyPolicyName::ReadOnly => KeyPolicy::ReadOnly,
            KeyPolicyName::ReadWrite => KeyPolicy::ReadWrite,
            KeyPolicyName::Admin => KeyPolicy::Admin,
        },
        buckets: arguments.buckets,
        expires_ms: arguments.days.map(|days| gateway::service::now_ms() + u64::from(days) * DAY_MS),
    };
    let secret = arguments.secret_file.map(|path| crate::config::read_text(&path)).transpose()?;
    let secret = secret.map(|text| text.trim().to_string());
    let (key, secret) = keys.create(key, secret)?;
    if json {
        return print::json(&NewKey { access_key_id: key.id, secret_access_key: secret.expose().into() });
    }
    print::line(format!("access key id      {}\nsecret access key  {}", key.id, secret.expose()))?;
    print::note("the secret is shown this once: it is kept sealed")
}

fn list(keys: &KeyFile, json: bool) -> Result<()> {
    let keys = keys.list()?;
    if json {
        return print::json(&keys);
    }
    let mut table = Table::new(["access key id", "user", "policy", "buckets", "expires"]);
    for key in keys {
        let policy = match key.policy {
            KeyPolicy::ReadOnly => "read-only",
            KeyPolicy::ReadWrite => "read-write",
            KeyPolicy::Admin => "admin",
        };
        let buckets = if key.buckets.is_empty() { "all".into() } else { key.buckets.join(" ") };
        let expires = key.expires_ms.map_or("never".into(), print::time);
        table.row([key.id, key.user, policy.into(), buckets, expires]);
    }
    table.print()
}

/// Makes the key of a new devnet's gateway; its id and its secret.
pub fn make_key(data: &Path, owner: &Keys) -> Result<(String, String)> {
    let key = AccessKey {
        id: String::new(),
        user: ACCOUNT_USER.into(),
        display_name: ACCOUNT_USER.into(),
        mail: None,
        policy: KeyPolicy::Admin,
        buckets: Vec::new(),
        expires_ms: None,
    };
    let (key, secret) = access_keys(data, owner).create(key, None)?;
    Ok((key.id, secret.expose().into()))
}
