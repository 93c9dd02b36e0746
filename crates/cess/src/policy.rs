//! Make, list, show, check and widen placement policies: `cess policy`.

use crate::{
    cli::{NumberPage, PolicyCommand, RuleArgs, format_amount, profile_name},
    print::{self, Table},
    session::Session,
};
use alloy_primitives::{Address, FixedBytes, U256};
use anyhow::{Result, anyhow};
use client::{
    ChainError, PolicyError, PolicySummary, Region,
    chain::{ChainApi, Network},
};
use serde::Serialize;
use std::collections::BTreeMap;
use types::{
    Profile,
    abi::{IMiners, IPolicies::Policy, MINERS},
};

/// Miners that are looked at for a hint where there are some.
const HINT_MINERS_MAX: u32 = 5_000;

/// A policy as `--json` shows it. A cap of 0 is none.
#[derive(Serialize)]
struct PolicyView {
    id: u32,
    /// Absent if this program does not know it.
    profile: Option<&'static str>,
    allow: Vec<String>,
    forbid: Vec<String>,
    cap_region: u16,
    cap_network: u16,
    /// Of a private policy: who may be drawn.
    miners: Vec<u32>,
    owner: Address,
    wanted_volumes: u16,
    open_volumes: Vec<u32>,
    /// What keeps a volume from being formed now; only of one policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// `cess policy create --json`, `widen --json`
#[derive(Serialize)]
struct PaidView {
    id: u32,
    /// Wei; nothing for a policy that was there already.
    paid_wei: U256,
    existed: bool,
}

/// `cess policy check --json`
#[derive(Serialize)]
struct CheckView {
    /// Its number, if there is such a policy.
    id: Option<u32>,
    satisfiable: bool,
}

/// Does what `cess policy …` says.
pub async fn run(command: PolicyCommand, session: &Session) -> Result<()> {
    match command {
        PolicyCommand::Create(rule) => create(rule, session).await,
        PolicyCommand::List(page) => list(page, session).await,
        PolicyCommand::Show { policy } => show(policy, session).await,
        PolicyCommand::Check { policy, rule } => check(policy, rule, session).await,
        PolicyCommand::Widen { policy } => widen(policy, session).await,
    }
}

async fn create(rule: RuleArgs, session: &Session) -> Result<()> {
    let rule = asked(rule, session).await?;
    let made = session.client().await?.create_policy(rule).await;
    let made = match made {
        Ok(made) => made,
        Err(error) => return Err(with_hint(error, session).await),
    };
    let view = PaidView { id: made.id, paid_wei: made.paid.unwrap_or_default(), existed: made.paid.is_none() };
    if session.json() {
        return print::json(&view);
    }
    print::line(format!("policy {}", view.id))?;
    let done = match made.paid {
        Some(paid) => format!("made policy {}; its first volume cost {}", made.id, format_amount(paid)),
        None => format!("policy {} says the same: nothing was paid", made.id),
    };
    print::note(&format!("{done}; use it with `cess bucket create NAME --policy {}`", made.id))
}

/// The rule that the arguments ask for.
async fn asked(rule: RuleArgs, session: &Session) -> Result<Policy> {
    let RuleArgs { allow, forbid, cap_region, cap_network, profile, miners } = rule;
    let profile = match profile {
        Some(profile) => profile,
        None => session.chain.spec().await?.storage.profile,
    };
    Ok(Policy {
        profile: profile as u8,
        regionCap: cap_region.unwrap_or_default(),
        networkCap: cap_network.unwrap_or_default(),
        allowed: allow.into_iter().map(Region::code).collect(),
        forbidden: forbid.into_iter().map(Region::code).collect(),
        miners,
    })
}

async fn list(page: NumberPage, session: &Session) -> Result<()> {
    let network = Network(&*session.chain);
    let last = network.policy_count().await?;
    // Policy 0 is there without having been created.
    let first = if page.after == 0 { 0 } else { page.after.saturating_add(1) };
    let end = last.min(first.saturating_add(page.limit - 1));
    let ids: Vec<u32> = (first..=end).collect();
    let views: Vec<PolicyView> = network.policies(&ids).await?.into_iter().map(PolicyView::from).collect();
    if session.json() {
        return print::json(&views);
    }
    let mut table = Table::new(["policy", "profile", "allow", "forbid", "per region", "per network", "volumes", "for"]);
    for view in views {
        let [allow, forbid] = [&view.allow, &view.forbid].map(|list| list.join(","));
        let volumes = format!("{} of {}", view.open_volumes.len(), view.wanted_volumes);
        let (profile, whom) = (view.profile.unwrap_or("unknown").to_string(), view.whom());
        let caps = [view.cap_region, view.cap_network].map(cap);
        let [region, network] = caps;
        let allow = if allow.is_empty() { "anywhere".into() } else { allow };
        let forbid = if forbid.is_empty() { "-".into() } else { forbid };
        table.row([view.id.to_string(), profile, allow, forbid, region, network, volumes, whom]);
    }
    table.print()?;
    if end < last { print::note(&format!("{} more: --after {end}", last - end)) } else { Ok(()) }
}

async fn show(policy: u32, session: &Session) -> Result<()> {
    let network = Network(&*session.chain);
    let mut view = PolicyView::from(network.policy(policy).await?);
    view.missing = match network.check_policy(policy).await {
        Ok(()) => None,
        Err(ChainError::Reverted { data }) => Some(client::account::explain(&data)),
        Err(error) => return Err(error.into()),
    };
    if session.json() {
        return print::json(&view);
    }
    let list = |list: &[String], none: &str| if list.is_empty() { none.to_string() } else { list.join(", ") };
    let volumes: Vec<String> = view.open_volumes.iter().map(u32::to_string).collect();
    let lines = [
        format!("policy       {}, {}", view.id, view.whom()),
        format!("profile      {}", view.profile.unwrap_or("unknown")),
        format!("allowed      {}", list(&view.allow, "anywhere")),
        format!("forbidden    {}", list(&view.forbid, "nowhere")),
        format!("per region   {}", cap(view.cap_region)),
        format!("per network  {}", cap(view.cap_network)),
        format!(
            "volumes      {} open of {} paid for: {}",
            volumes.len(),
            view.wanted_volumes,
            list(&volumes, "none yet")
        ),
        format!("now          {}", view.missing.as_deref().unwrap_or("volumes can be formed")),
    ];
    print::line(lines.join("\n"))
}

async fn check(policy: Option<u32>, rule: RuleArgs, session: &Session) -> Result<()> {
    let network = Network(&*session.chain);
    let checked = match policy {
        Some(policy) => network.check_policy(policy).await.map(|()| Some(policy)),
        None => {
            let rule = asked(rule, session).await?;
            anyhow::ensure!(
                rule.miners.is_empty(),
                "only its creator can ask for a private policy: use `cess policy create`"
            );
            network.check_rule(&rule).await
        }
    };
    let id = match checked {
        Ok(id) => id,
        Err(error) => return Err(with_hint(error.into(), session).await),
    };
    if session.json() {
        return print::json(&CheckView { id, satisfiable: true });
    }
    print::line(match id {
        Some(id) => format!("volumes can be formed under policy {id}"),
        None => "volumes can be formed; there is no such policy yet".into(),
    })
}

async fn widen(policy: u32, session: &Session) -> Result<()> {
    let paid = match session.client().await?.widen_policy(policy).await {
        Ok(paid) => paid,
        Err(error) => return Err(with_hint(error, session).await),
    };
    if session.json() {
        return print::json(&PaidView { id: policy, paid_wei: paid, existed: true });
    }
    print::note(&format!("policy {policy} has one more volume that takes writes, for {}", format_amount(paid)))
}

/// A refusal for want of operators, with where there are some.
async fn with_hint(error: PolicyError, session: &Session) -> anyhow::Error {
    if !error.lacks_operators() {
        return error.into();
    }
    match supply(session).await {
        Ok(Some(supply)) => anyhow!("{error} (operators with free lots: {supply})"),
        // The reason is worth telling without it.
        Ok(None) | Err(_) => error.into(),
    }
}

/// How many operators with free lots each region has; nothing if there are too many miners to look at.
async fn supply(session: &Session) -> Result<Option<String>> {
    let network = Network(&*session.chain);
    let count = network.miner_count().await?;
    if count > HINT_MINERS_MAX {
        return Ok(None);
    }
    let calls: Vec<_> = (1..=count).map(|id| IMiners::minerCall { id }).collect();
    let mut operators: BTreeMap<FixedBytes<6>, usize> = BTreeMap::new();
    for miner in network.read_many(MINERS, &calls).await?.into_iter().filter(|miner| miner.lotsFree > 0) {
        *operators.entry(miner.region).or_default() += 1;
    }
    let mut regions: Vec<_> = operators.into_iter().collect();
    regions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> =
        regions.iter().take(8).map(|(code, count)| format!("{} {count}", Region::from(*code))).collect();
    Ok(Some(if shown.is_empty() { "none".into() } else { shown.join(", ") }))
}

fn cap(cap: u16) -> String {
    if cap == 0 { "no cap".into() } else { format!("at most {cap}") }
}

impl PolicyView {
    fn whom(&self) -> String {
        match (self.id, self.miners.len()) {
            (0, _) => "the chain's own, for everybody".into(),
            (_, 0) => "public".into(),
            (_, count) => format!("private to {}, {count} miners", self.owner),
        }
    }
}

impl From<PolicySummary> for PolicyView {
    fn from(policy: PolicySummary) -> Self {
        let codes = |list: Vec<FixedBytes<6>>| list.into_iter().map(|code| Region::from(code).to_string()).collect();
        let PolicySummary { id, rule, owner, wanted, open_volumes } = policy;
        Self {
            id,
            profile: Profile::from_u8(rule.profile).map(profile_name),
            allow: codes(rule.allowed),
            forbid: codes(rule.forbidden),
            cap_region: rule.regionCap,
            cap_network: rule.networkCap,
            miners: rule.miners,
            owner,
            wanted_volumes: wanted,
            open_volumes,
            missing: None,
        }
    }
}
