//! Name the scenarios, and live through one.

mod cheats;
mod faults;
mod identities;
mod malformed;
mod validators;

use crate::{
    Broken, Options, Report,
    net::{Net, ROUND, Setting, places, storage},
};
use std::{fmt, str::FromStr, time::Duration};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Miners die for good, and others join.
    Churn,
    /// Miners lose power, and with it what they had not synced.
    Crashes,
    /// A region is cut off, and comes back.
    Dark,
    /// Links are slow and lose a message in fifty.
    Storm,
    /// A miner drops this part of its fragments, in percent.
    Drop(u8),
    /// A miner commits too late.
    Late,
    /// A miner keeps nothing, and fetches from others what is asked for.
    Borrow,
    /// A miner opens nothing after beacon B.
    Withhold,
    /// An operator has many identities.
    Identities,
    /// A writer stores fragments that are no codeword.
    Malformed,
    /// Validators lose power, and come back.
    Validators,
    /// Nobody's clock is right.
    Clocks,
}

/// All of them.
pub const SCENARIOS: [Scenario; 15] = [
    Scenario::Churn,
    Scenario::Crashes,
    Scenario::Dark,
    Scenario::Storm,
    Scenario::Drop(1),
    Scenario::Drop(5),
    Scenario::Drop(10),
    Scenario::Drop(30),
    Scenario::Late,
    Scenario::Borrow,
    Scenario::Withhold,
    Scenario::Identities,
    Scenario::Malformed,
    Scenario::Validators,
    Scenario::Clocks,
];

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Churn => "churn",
            Self::Crashes => "crashes",
            Self::Dark => "dark",
            Self::Storm => "storm",
            Self::Drop(percent) => return write!(f, "drop-{percent}"),
            Self::Late => "late",
            Self::Borrow => "borrow",
            Self::Withhold => "withhold",
            Self::Identities => "identities",
            Self::Malformed => "malformed",
            Self::Validators => "validators",
            Self::Clocks => "clocks",
        };
        f.write_str(name)
    }
}

/// There is no such scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario {name:?}: choose one of {}", names())]
pub struct UnknownScenario {
    name: String,
}

fn names() -> String {
    SCENARIOS.map(|one| one.to_string()).join(", ")
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        let found = SCENARIOS.into_iter().find(|scenario| scenario.to_string() == name);
        found.ok_or_else(|| UnknownScenario { name: name.into() })
    }
}

pub(crate) async fn run(options: Options) -> Result<Report, Broken> {
    let Options { seed, scenario, hours, chain } = options;
    let setting = Setting { seed, chain };
    let time = Duration::from_secs_f64(hours.max(0.0) * 3600.0);
    let mut notes = Vec::new();
    let net = match scenario {
        Scenario::Churn => faults::churn(setting, time).await?,
        Scenario::Crashes => faults::crashes(setting, time).await?,
        Scenario::Dark => faults::dark(setting, time).await?,
        Scenario::Storm => faults::storm(setting, time).await?,
        Scenario::Drop(percent) => cheats::drop_data(setting, percent, &mut notes).await?,
        Scenario::Late => cheats::late(setting, &mut notes).await?,
        Scenario::Borrow => cheats::borrow(setting, time, &mut notes).await?,
        Scenario::Withhold => cheats::withhold(setting, &mut notes).await?,
        Scenario::Identities => identities::identities(setting, time, &mut notes).await?,
        Scenario::Malformed => malformed::malformed(setting, time, &mut notes).await?,
        Scenario::Validators => validators::crashes(seed, time, &mut notes).await?,
        Scenario::Clocks => validators::clocks(seed, time, &mut notes).await?,
    };
    Ok(report(&net, notes))
}

fn report(net: &Net, notes: Vec<String>) -> Report {
    let watch = &net.watch;
    Report {
        lived: net.age(),
        blocks: watch.height(),
        rounds: watch.rounds,
        objects: net.object_count(),
        refused_puts: net.refused_puts,
        reads: net.reads,
        opened: watch.books.values().map(|books| books.opened).sum(),
        faults: watch.books.values().map(|books| books.faults).sum(),
        drawn: watch.volumes.values().map(|seats| seats.drawn).sum(),
        worst: watch.volumes.values().map(|seats| seats.worst).max().unwrap_or_default(),
        notes,
        digest: watch.digest(),
    }
}

/// A network of so many miners with some objects.
async fn filled(setting: Setting, miners: usize, lots: u32, objects: usize) -> Result<Net, Broken> {
    let mut net = Net::start(setting, storage(), &places(miners, lots)).await?;
    for _ in 0..objects {
        put(&mut net).await?;
    }
    Ok(net)
}

/// Puts an object of any size up to a segment and a half.
async fn put(net: &mut Net) -> Result<(), Broken> {
    let bytes = net.chance.within(1_000..380_000) as usize;
    net.put(bytes).await
}

/// Lets all that is under way come to its end, and looks whether everything is there.
async fn heal(net: &mut Net) -> Result<(), Broken> {
    net.until("volumes heal without a hand", async |net| Ok(net.is_at_rest().await?.then_some(()))).await?;
    net.pass(ROUND).await?;
    net.read_all().await
}
