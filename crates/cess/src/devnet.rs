//! Run a whole network on this machine: `cess devnet`.

mod accounts;
mod control;
mod description;
mod folder;
mod genesis;
mod ports;
mod process;
mod ready;
mod supervisor;
mod watching;

pub use description::{Description, Kind, write_whole};
pub use folder::Folder;
pub use supervisor::Interrupts;

use crate::{
    cli::{DevnetArgs, DevnetCommand, Globals},
    print::{self, Table},
    supervised::lock_within,
};
use anyhow::{Context, Result, bail, ensure};
use control::{Reply, Request, Step, Supervisor};
use genesis::Size;
use std::{fs::File, time::Duration};
use tokio::sync::watch;

/// Validators and miners of a devnet unless asked otherwise.
const VALIDATORS: u32 = 4;
/// Time between two audit rounds of a new network, if none is asked for.
const AUDIT_ROUND_S: u32 = 60;
const MINERS: u32 = 12;
/// Regions that miners declare, if none are asked for.
const REGIONS: [&str; 4] = ["DE", "FR", "US", "JP"];
/// Networks that they declare, if no other number is asked for.
const NETWORKS: u16 = 3;
/// Most roles of a kind: a machine has only so many ports.
const ROLES_MAX: u32 = 256;
/// How long the last roles of a devnet that died may take to let go.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How long a devnet may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Does what `cess devnet …` says.
pub async fn run(arguments: DevnetArgs, globals: &Globals) -> Result<()> {
    match &arguments.command {
        None => start(&arguments, globals).await,
        Some(DevnetCommand::Status) => status(&Folder::of_running(globals)?, globals.json),
        Some(DevnetCommand::Stop) => stop(&Folder::of_running(globals)?).await,
        Some(DevnetCommand::Kill { role }) => kill(&Folder::of_running(globals)?, role).await,
        Some(DevnetCommand::Start { role }) => start_role(&Folder::of_running(globals)?, role).await,
    }
}

async fn start(arguments: &DevnetArgs, globals: &Globals) -> Result<()> {
    let folder = Folder::to_start(globals)?;
    let lock = lock(&folder)?;
    let description = prepare(&folder, arguments)?;
    folder.remember()?;
    if arguments.detach {
        drop(lock);
        return watching::detach(&folder, globals.json).await;
    }
    if arguments.background {
        // The terminal that started us may be closed.
        rustix::process::setsid().context("the terminal cannot be left")?;
    }
    let (phase, phases) = watch::channel(Reply::Starting(Step { what: "processes run".into(), done: 0, total: 1 }));
    let json = globals.json;
    let shown =
        if arguments.background { None } else { Some(tokio::spawn(watching::show(folder.clone(), phases, json))) };
    let outcome = supervisor::run(folder, description, phase).await;
    if let Some(shown) = shown {
        shown.await.context("the display failed")??;
    }
    drop(lock);
    outcome
}

/// Only one process at a time works in the folder.
fn lock(folder: &Folder) -> Result<File> {
    let path = folder.path().display();
    let locked = lock_within(&folder.lock(), LOCK_PATIENCE)?;
    locked.with_context(|| format!("the devnet in {path} runs already (`cess devnet status` shows it)"))
}

/// Makes the network that is asked for, or finds the one that is there.
fn prepare(folder: &Folder, arguments: &DevnetArgs) -> Result<Description> {
    if arguments.fresh {
        folder.clear()?;
    }
    if folder.is_devnet() {
        let description = Description::read(folder.path())?;
        check_size(&description, Kind::Validator, arguments.validators)?;
        check_size(&description, Kind::Miner, arguments.miners)?;
        return Ok(description);
    }
    let audit_round_s = arguments.audit_round.unwrap_or(AUDIT_ROUND_S);
    let validators = size(arguments.validators.unwrap_or(VALIDATORS), 1)?;
    let miners = arguments.miners.unwrap_or(MINERS);
    let members = u32::from(types::spec::StorageSpec::devnet().profile.total());
    ensure!(miners == 0 || miners >= members, "{miners} miners form no volume: that takes {members} (or none at all)");
    // What an interrupted attempt has left is no network.
    folder.clear()?;
    let regions = match arguments.regions.as_slice() {
        [] => REGIONS.iter().map(|code| code.parse()).collect::<Result<Vec<_>, _>>()?,
        asked => asked.to_vec(),
    };
    let networks = arguments.networks.unwrap_or(NETWORKS);
    let miners = size(miners, 0)?;
    genesis::create(folder, Size { validators, miners, audit_round_s, regions: &regions, networks })
}

fn size(count: u32, min: u32) -> Result<u16> {
    ensure!((min..=ROLES_MAX).contains(&count), "a devnet has {min} to {ROLES_MAX} of each role, not {count}");
    Ok(u16::try_from(count).expect("it is at most 256"))
}

fn check_size(description: &Description, kind: Kind, asked: Option<u32>) -> Result<()> {
    let there = description.roles.iter().filter(|role| role.kind == kind).count();
    match asked {
        Some(asked) if asked as usize != there => {
            bail!("this devnet has {there} {}s, not {asked}: add --fresh to delete it and start a new one", kind.verb())
        }
        _ => Ok(()),
    }
}

fn status(folder: &Folder, json: bool) -> Result<()> {
    let mut description = Description::read(folder.path())?;
    // Whoever gets the lock knows that nobody runs, whatever the last supervisor wrote before it died.
    if lock_within(&folder.lock(), Duration::ZERO)?.is_some() {
        description.supervisor_pid = None;
        description.ready = false;
        description.roles.iter_mut().for_each(|role| role.pid = None);
    }
    if json {
        return print::json(&description);
    }
    let state = match (description.supervisor_pid, description.ready) {
        (None, _) => "stopped",
        (Some(_), false) => "starting",
        (Some(_), true) => "running",
    };
    print::line(format!("{} is {state}, RPC {}", folder.path().display(), description.rpc_url))?;
    let mut table = Table::new(["role", "process", "endpoints"]);
    for role in &description.roles {
        let pid = role.pid.map_or("stopped".into(), |pid| pid.to_string());
        table.row([role.name.clone(), pid, role.endpoints.join(" ")]);
    }
    table.print()
}

async fn stop(folder: &Folder) -> Result<()> {
    Supervisor::connect(folder).await?.ask(&Request::Stop).await?;
    let path = folder.lock();
    let stopped = tokio::task::spawn_blocking(move || lock_within(&path, STOP_PATIENCE)).await?;
    ensure!(stopped?.is_some(), "the devnet still runs after {} s: see logs/devnet.log", STOP_PATIENCE.as_secs());
    print::note("the devnet has stopped; `cess devnet` goes on where it was")
}

async fn kill(folder: &Folder, role: &str) -> Result<()> {
    Supervisor::connect(folder).await?.ask(&Request::Kill(role.into())).await?;
    print::note(&format!("{role} is dead; `cess devnet start {role}` brings it back"))
}

async fn start_role(folder: &Folder, name: &str) -> Result<()> {
    let pid = Supervisor::connect(folder).await?.ask(&Request::Start(name.into())).await?;
    let description = Description::read(folder.path())?;
    let role = description.role(name).with_context(|| format!("{name} is not in devnet.json any more"))?;
    ensure!(
        ready::role_answers(role).await?,
        "{name} was started but does not answer: see {}",
        folder.log(name).display()
    );
    print::note(&format!("{name} runs{}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()))
}
