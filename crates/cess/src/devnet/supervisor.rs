//! Hold a devnet's processes together: start them in order, report their exits, stop them all.

use super::{
    control::{self, Reply, Request},
    description::{Description, Kind},
    folder::Folder,
    process::{Exit, Process, last_line},
    ready,
};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::BufReader,
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};

/// How long roles of one kind may take to end before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests that wait for the supervisor.
const REQUESTS_MAX: usize = 16;

type Order = (Request, oneshot::Sender<Reply>);

/// Runs the network until somebody stops it. `phase` tells how the start proceeds.
pub async fn run(folder: Folder, description: Description, phase: watch::Sender<Reply>) -> Result<()> {
    let (orders_in, mut orders) = mpsc::channel(REQUESTS_MAX);
    tokio::spawn(accept(control::listen(&folder)?, orders_in, phase.subscribe()));
    let mut interrupts = Interrupts::new()?;
    let mut network = Network::new(folder, description);
    let outcome = network.live(&mut orders, &mut interrupts, &phase).await;
    if let Err(error) = &outcome {
        phase.send_replace(Reply::Failed(format!("{error:#}")));
    }
    network.stop(&mut interrupts).await?;
    outcome
}

/// The running processes and what is written down about them.
struct Network {
    folder: Folder,
    description: Description,
    processes: BTreeMap<String, Process>,
    /// Who asked for a role's end and waits for it.
    kills: BTreeMap<String, Vec<oneshot::Sender<Reply>>>,
    exits_in: mpsc::UnboundedSender<Exit>,
    exits: mpsc::UnboundedReceiver<Exit>,
}

impl Network {
    fn new(folder: Folder, mut description: Description) -> Self {
        let (exits_in, exits) = mpsc::unbounded_channel();
        description.supervisor_pid = Some(std::process::id());
        description.ready = false;
        description.roles.iter_mut().for_each(|role| role.pid = None);
        Self { folder, description, processes: BTreeMap::new(), kills: BTreeMap::new(), exits_in, exits }
    }

    /// From the first process to the request to stop.
    async fn live(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        interrupts: &mut Interrupts,
        phase: &watch::Sender<Reply>,
    ) -> Result<()> {
        let names: Vec<String> = self.description.roles.iter().map(|role| role.name.clone()).collect();
        for name in &names {
            self.start_role(name)?;
        }
        let mut readiness = Box::pin(ready::wait(self.description.clone(), self.folder.spec()?, phase));
        let mut starting = true;
        loop {
            tokio::select! {
                () = interrupts.next() => return Ok(()),
                result = &mut readiness, if starting => {
                    result?;
                    starting = false;
                    self.description.ready = true;
                    self.write()?;
                    phase.send_replace(Reply::Ready);
                }
                Some(exit) = self.exits.recv() => {
                    let wanted = self.kills.contains_key(&exit.name);
                    let complaint = self.note_exit(exit)?;
                    if starting && !wanted {
                        bail!(complaint);
                    }
                    if !wanted {
                        eprintln!("{complaint}");
                    }
                }
                Some((request, reply)) = orders.recv() => {
                    if request == Request::Stop {
                        // Nobody need wait for this answer: the lock tells when we are gone.
                        let _ = reply.send(Reply::Done(None));
                        return Ok(());
                    }
                    self.obey(request, reply);
                }
            }
        }
    }

    fn obey(&mut self, request: Request, reply: oneshot::Sender<Reply>) {
        let answer = match request {
            Request::Kill(name) => match self.processes.get(&name) {
                Some(process) => {
                    process.signal(Signal::KILL);
                    self.kills.entry(name).or_default().push(reply);
                    return;
                }
                None => Reply::Failed(self.not_running(&name)),
            },
            Request::Start(name) => match self.processes.get(&name) {
                Some(process) => Reply::Failed(format!("{name} runs already (process {})", process.pid)),
                None => self
                    .start_role(&name)
                    .map_or_else(|error| Reply::Failed(format!("{error:#}")), |pid| Reply::Done(Some(pid))),
            },
            Request::Stop | Request::Watch => unreachable!("both are answered before"),
        };
        // Whoever asked may have left.
        let _ = reply.send(answer);
    }

    fn start_role(&mut self, name: &str) -> Result<u32> {
        let role = self.description.role(name).with_context(|| self.unknown(name))?;
        let process = Process::start(role, &self.folder, self.exits_in.clone())?;
        let pid = process.pid;
        self.processes.insert(name.into(), process);
        self.set_pid(name, Some(pid))?;
        Ok(pid)
    }

    /// Writes down that a role has ended and says what there is to say about it.
    fn note_exit(&mut self, exit: Exit) -> Result<String> {
        self.processes.remove(&exit.name);
        self.set_pid(&exit.name, None)?;
        for waiting in self.kills.remove(&exit.name).unwrap_or_default() {
            // Whoever asked may have left.
            let _ = waiting.send(Reply::Done(None));
        }
        let name = exit.name;
        let how = exit.status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let log = self.folder.log(&name);
        let said = last_line(&log).map(|line| format!(", saying: {line}")).unwrap_or_default();
        Ok(format!("{name} ended ({how}){said} (log: {}; `cess devnet start {name}` starts it again)", log.display()))
    }

    fn set_pid(&mut self, name: &str, pid: Option<u32>) -> Result<()> {
        for role in self.description.roles.iter_mut().filter(|role| role.name == name) {
            role.pid = pid;
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        self.description.write(self.folder.path())
    }

    fn not_running(&self, name: &str) -> String {
        match self.description.role(name) {
            Some(_) => format!("{name} does not run (start it with `cess devnet start {name}`)"),
            None => self.unknown(name),
        }
    }

    fn unknown(&self, name: &str) -> String {
        format!("there is no role {name}: see `cess devnet status`")
    }

    /// Stops the gateway, then the miners, then the validators they depend on.
    async fn stop(&mut self, interrupts: &mut Interrupts) -> Result<()> {
        self.stop_kind(Kind::Gateway, interrupts).await?;
        self.stop_kind(Kind::Miner, interrupts).await?;
        self.stop_kind(Kind::Validator, interrupts).await?;
        self.description.supervisor_pid = None;
        self.description.ready = false;
        self.write()
    }

    async fn stop_kind(&mut self, kind: Kind, interrupts: &mut Interrupts) -> Result<()> {
        self.signal(kind, Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.runs(kind) {
            tokio::select! {
                exit = timeout_at(deadline, self.exits.recv()) => match exit {
                    Ok(Some(exit)) => { self.note_exit(exit)?; }
                    Ok(None) => unreachable!("we hold a sender"),
                    Err(_) => break,
                },
                () = interrupts.next() => break,
            }
        }
        self.signal(kind, Signal::KILL);
        while self.runs(kind) {
            let exit = self.exits.recv().await.expect("we hold a sender");
            self.note_exit(exit)?;
        }
        Ok(())
    }

    fn running(&self, kind: Kind) -> impl Iterator<Item = &Process> {
        let roles = self.description.roles.iter().filter(move |role| role.kind == kind);
        roles.filter_map(|role| self.processes.get(&role.name))
    }

    fn runs(&self, kind: Kind) -> bool {
        self.running(kind).next().is_some()
    }

    fn signal(&self, kind: Kind, signal: Signal) {
        self.running(kind).for_each(|process| process.signal(signal));
    }
}

/// What tells a program to end: Ctrl-C, `kill`, or a closed terminal.
pub struct Interrupts([tokio::signal::unix::Signal; 3]);

impl Interrupts {
    /// Listens from now on.
    pub fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// Waits for one.
    pub async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

async fn accept(listener: UnixListener, orders: mpsc::Sender<Order>, phase: watch::Receiver<Reply>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, orders.clone(), phase.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "no requests are taken any more");
                return;
            }
        }
    }
}

/// Serves one connection; whatever goes wrong with it is the asker's to notice.
async fn converse(stream: UnixStream, orders: mpsc::Sender<Order>, mut phase: watch::Receiver<Reply>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = control::read_line::<Request>(&mut stream).await {
        if request == Request::Watch {
            if tell_phases(stream.get_mut(), &mut phase).await.is_err() {
                return;
            }
            continue;
        }
        let (reply_in, reply) = oneshot::channel();
        if orders.send((request, reply_in)).await.is_err() {
            return;
        }
        let Ok(reply) = reply.await else { return };
        if control::write_line(stream.get_mut(), &reply).await.is_err() {
            return;
        }
    }
}

async fn tell_phases(stream: &mut UnixStream, phase: &mut watch::Receiver<Reply>) -> std::io::Result<()> {
    loop {
        let reply = phase.borrow_and_update().clone();
        control::write_line(stream, &reply).await?;
        if !matches!(reply, Reply::Starting(_)) || phase.changed().await.is_err() {
            return Ok(());
        }
    }
}
