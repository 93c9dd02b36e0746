//! Wait until a devnet does what it is for: blocks, miners, volumes that take writes.

use super::{
    control::{Reply, Step},
    description::{Description, Kind, Role},
};
use anyhow::{Result, bail};
use client::chain::{ChainApi, Network, RpcChain, RpcOptions, Trust};
use protocol::PUBLIC_POLICY;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep},
};
use types::ChainSpec;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a role that was started alone may take to answer.
const ROLE_PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the whole network; every step is told to `phase`.
pub async fn wait(description: Description, spec: ChainSpec, phase: &watch::Sender<Reply>) -> Result<()> {
    let trust = Arc::new(Trust::new(Arc::new(spec))?);
    let trusting = |url| Ok(node(url)?.with_trust(trust.clone()));
    let validators: Vec<RpcChain> = description.rpc_urls().into_iter().map(trusting).collect::<Result<_>>()?;
    let miners = description.roles.iter().filter(|role| role.kind == Kind::Miner).count() as u64;

    let mut answering = Progress::new("validators answer", validators.len() as u64, phase);
    let mut heights = Vec::new();
    for validator in &validators {
        heights.push(answering.until(|| height(validator)).await?);
        answering.advance(heights.len() as u64);
    }
    // Heights beyond the highest seen are new blocks: the committee agrees, and everybody follows.
    let seen = heights.into_iter().max().unwrap_or_default();
    let mut agreeing = Progress::new("validators agree", validators.len() as u64, phase);
    for (done, validator) in (1..).zip(&validators) {
        agreeing.until(async || height(validator).await.filter(|&height| height > seen)).await?;
        agreeing.advance(done);
    }
    if miners > 0 {
        wait_for_storage(&validators[0], miners, phase).await?;
    }
    let gateways: Vec<&Role> = description.roles.iter().filter(|role| role.kind == Kind::Gateway).collect();
    let mut serving = Progress::new("gateways serve S3", gateways.len() as u64, phase);
    for (done, gateway) in (1..).zip(gateways) {
        serving.until(async || TcpStream::connect(address(gateway)?).await.ok()).await?;
        serving.advance(done);
    }
    Ok(())
}

/// Where a gateway listens.
fn address(gateway: &Role) -> Option<&str> {
    gateway.endpoints.first()?.strip_prefix("http://")
}

async fn wait_for_storage(chain: &RpcChain, miners: u64, phase: &watch::Sender<Reply>) -> Result<()> {
    let mut registering = Progress::new("miners are registered", miners, phase);
    while registering.done < miners {
        let known = registering.done;
        let count = registering
            .until(async || {
                let count = Network(chain).miner_count().await.ok()?;
                Some(u64::from(count)).filter(|&count| count > known)
            })
            .await?;
        registering.advance(count);
    }
    let wanted = u64::from(chain.spec().await?.storage.open_target);
    let mut forming = Progress::new("volumes take writes", wanted, phase);
    while forming.done < wanted {
        let known = forming.done;
        let count = forming
            .until(async || {
                let open = Network(chain).open_volumes(PUBLIC_POLICY).await.ok()?;
                Some(open.len() as u64).filter(|&count| count > known)
            })
            .await?;
        forming.advance(count);
    }
    Ok(())
}

/// Waits until a role that was started alone answers; a validator that does not is no failure of the command.
pub async fn role_answers(role: &Role) -> Result<bool> {
    if role.kind == Kind::Gateway {
        return Ok(listens(role).await);
    }
    let Some(endpoint) = role.endpoints.first().filter(|_| role.kind == Kind::Validator) else { return Ok(true) };
    let validator = node(endpoint)?;
    let deadline = Instant::now() + ROLE_PATIENCE;
    while height(&validator).await.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
    Ok(true)
}

/// Whether a gateway that was started alone listens in time.
async fn listens(role: &Role) -> bool {
    let Some(address) = address(role) else { return false };
    let deadline = Instant::now() + ROLE_PATIENCE;
    while TcpStream::connect(address).await.is_err() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(PAUSE).await;
    }
    true
}

fn node(url: &str) -> Result<RpcChain> {
    let options = RpcOptions { attempts: 1, request_timeout: Duration::from_secs(5), ..Default::default() };
    Ok(RpcChain::with_options(url, options)?)
}

async fn height(node: &RpcChain) -> Option<u64> {
    node.head().await.ok().map(|head| head.height)
}

/// One step of the start, told to whoever watches.
struct Progress<'a> {
    what: &'static str,
    done: u64,
    total: u64,
    phase: &'a watch::Sender<Reply>,
}

impl<'a> Progress<'a> {
    fn new(what: &'static str, total: u64, phase: &'a watch::Sender<Reply>) -> Self {
        let progress = Self { what, done: 0, total, phase };
        progress.tell();
        progress
    }

    fn advance(&mut self, done: u64) {
        self.done = done;
        self.tell();
    }

    fn tell(&self) {
        let step = Step { what: self.what.into(), done: self.done, total: self.total };
        self.phase.send_replace(Reply::Starting(step));
    }

    /// Looks until there is something to see.
    async fn until<T>(&self, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look().await {
                return Ok(seen);
            }
            if Instant::now() >= deadline {
                let (what, done, total) = (self.what, self.done, self.total);
                bail!("only {done} of {total} {what} after {} s: see the roles' logs", PATIENCE.as_secs());
            }
            sleep(PAUSE).await;
        }
    }
}
