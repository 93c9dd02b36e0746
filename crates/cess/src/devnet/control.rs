//! Talk to a devnet's supervisor through the socket in its folder.
//!
//! # Format
//! One JSON [`Request`] on a line, answered by one JSON [`Reply`] on a line; [`Request::Watch`] by several, the last of
//! which says that the network is ready or has failed.

use super::folder::Folder;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// Longest request or reply.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What a supervisor can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Tell how the start proceeds.
    Watch,
    /// Stop every role and end.
    Stop,
    /// Kill a role at once.
    Kill(String),
    /// Start a role.
    Start(String),
}

/// What a supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The start has come so far.
    Starting(Step),
    /// The network is ready.
    Ready,
    /// It was done; the role's process, if it runs now.
    Done(Option<u32>),
    /// It was not done, and why.
    Failed(String),
}

/// A step of the start, with how much of it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is waited for.
    pub what: String,
    /// How much of it there is.
    pub done: u64,
    /// How much of it there has to be.
    pub total: u64,
}

/// Listens in the folder. Changes to that folder first: a socket's path is limited to 100 bytes or so.
pub fn listen(folder: &Folder) -> Result<UnixListener> {
    enter(folder)?;
    match std::fs::remove_file(Folder::SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(Folder::SOCKET),
    }
    .with_context(|| format!("no socket can be made in {}", folder.path().display()))
}

/// A connection to a supervisor.
pub struct Supervisor(BufReader<UnixStream>);

impl Supervisor {
    /// Connects to the devnet in the folder.
    pub async fn connect(folder: &Folder) -> Result<Self> {
        enter(folder)?;
        let stream = UnixStream::connect(Folder::SOCKET).await;
        let stopped =
            || format!("the devnet in {} is not running (start it with `cess devnet`)", folder.path().display());
        Ok(Self(BufReader::new(stream.with_context(stopped)?)))
    }

    /// Asks for something and waits until it is done.
    pub async fn ask(&mut self, request: &Request) -> Result<Option<u32>> {
        self.send(request).await?;
        match self.reply().await? {
            Reply::Done(pid) => Ok(pid),
            Reply::Failed(reason) => bail!(reason),
            Reply::Starting(_) | Reply::Ready => bail!("the devnet gave an answer that does not fit"),
        }
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &Request) -> Result<()> {
        write_line(self.0.get_mut(), request).await.context("the devnet does not listen any more")
    }

    /// Waits for the next reply.
    pub async fn reply(&mut self) -> Result<Reply> {
        let reply = read_line(&mut self.0).await.context("the devnet's answer cannot be read")?;
        reply.context("the devnet has stopped: see logs/devnet.log in its folder")
    }
}

/// Reads a line; nothing at the end of the stream.
pub async fn read_line<T: for<'a> Deserialize<'a>>(stream: &mut BufReader<UnixStream>) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(io::Error::from)
}

/// Writes a line.
pub async fn write_line<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

fn enter(folder: &Folder) -> Result<()> {
    std::env::set_current_dir(folder.path()).with_context(|| format!("{} cannot be entered", folder.path().display()))
}
