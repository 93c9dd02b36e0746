//! End a role when it is told to, or when the devnet it belongs to is gone.

use crate::devnet::Interrupts;
use anyhow::{Context, Result, bail};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long a role may take to end in order after its devnet is gone.
const ORDERLY_END: Duration = Duration::from_secs(15);
/// How long the process before us may take to let go of the data.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Keeps other processes away from a role's data for as long as it lives.
pub struct DataLock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

impl DataLock {
    /// Takes the folder, created if needed.
    pub fn take(data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("{} cannot be created", data.display()))?;
        match lock_within(&data.join("lock"), LOCK_PATIENCE)? {
            Some(file) => Ok(Self(file)),
            None => bail!("another process uses {}: stop it first", data.display()),
        }
    }
}

/// Locks a file, waiting a little for whoever has it; nothing if they keep it.
pub fn lock_within(path: &Path, patience: Duration) -> Result<Option<File>> {
    let context = || format!("{} cannot be locked", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(path).with_context(context)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Tells when a role has to end.
pub struct Ending {
    supervisor_gone: Option<oneshot::Receiver<()>>,
}

impl Ending {
    /// Watches the supervisor whose lock this is, if there is one.
    pub fn watch(supervisor_lock: Option<PathBuf>) -> Result<Self> {
        let Some(path) = supervisor_lock else { return Ok(Self { supervisor_gone: None }) };
        let file = File::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let (gone, supervisor_gone) = oneshot::channel();
        thread::Builder::new().name("supervisor".into()).spawn(move || {
            // Whether the lock was granted or the file system failed, nobody holds us any more.
            let _ = file.lock_shared();
            drop(file);
            // The role may be ending already.
            let _ = gone.send(());
            thread::sleep(ORDERLY_END);
            std::process::exit(1);
        })?;
        Ok(Self { supervisor_gone: Some(supervisor_gone) })
    }

    /// Waits for a signal or the supervisor's end.
    pub async fn wait(self) {
        let mut interrupts = match Interrupts::new() {
            Ok(interrupts) => interrupts,
            Err(error) => {
                tracing::error!("{error:#}");
                return;
            }
        };
        match self.supervisor_gone {
            None => interrupts.next().await,
            Some(gone) => tokio::select! {
                () = interrupts.next() => {}
                // An error means that the watching thread is gone, which ends the process anyway.
                _ = gone => {}
            },
        }
    }
}
