//! Commit what concurrent callers ask for in groups, so that they share the syncs.

use crate::{
    books::Books,
    disk::Files,
    index::{Index, Step},
    store::StoreError,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// Requests that share a commit.
const GROUP_MAX: usize = 256;
/// Requests that wait; more callers than this wait with them.
const QUEUE_MAX: usize = 1024;

struct Request {
    steps: Vec<Step>,
    /// Directories whose names must survive before the steps count.
    directory: Option<u64>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The way to the one thread that changes the index.
#[derive(Clone)]
pub(crate) struct Committer(Arc<Running>);

/// The thread, until nobody has anything for it any more.
struct Running {
    /// Always there until this is dropped.
    sender: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    /// Waits until what was asked for is done: who opens the same disk next must find nobody else at the index.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, those who asked have been told.
            drop(thread.join());
        }
    }
}

impl Committer {
    /// Starts the thread; it ends with the last handle.
    pub(crate) fn start(files: Arc<dyn Files>, index: Arc<Index>, books: Arc<Mutex<Books>>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let thread = Thread { files, index, books, failed: None };
        let thread = std::thread::Builder::new().name("store-commit".into()).spawn(move || thread.run(&receiver))?;
        Ok(Self(Arc::new(Running { sender: Some(sender), thread: Some(thread) })))
    }

    /// Does all steps or none, and returns when they survive a crash.
    pub(crate) async fn commit(&self, steps: Vec<Step>, directory: Option<u64>) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let request = Request { steps, directory, done };
        let Some(sender) = self.0.sender.clone() else { return Err(StoreError::Stopped) };
        // The queue is bounded, so that putting into it may block.
        let sent = match sender.try_send(request) {
            Ok(()) => true,
            Err(std::sync::mpsc::TrySendError::Disconnected(_)) => false,
            Err(std::sync::mpsc::TrySendError::Full(request)) => {
                offload::run(move || sender.send(request).is_ok()).await.unwrap_or(false)
            }
        };
        if !sent {
            return Err(StoreError::Stopped);
        }
        offload::answer(answer).await.unwrap_or(Err(StoreError::Stopped))
    }
}

struct Thread {
    files: Arc<dyn Files>,
    index: Arc<Index>,
    books: Arc<Mutex<Books>>,
    /// After a failed sync nobody knows what is on disk: nothing is acknowledged any more.
    failed: Option<StoreError>,
}

impl Thread {
    fn run(mut self, receiver: &Receiver<Request>) {
        while let Ok(first) = receiver.recv() {
            let mut group = vec![first];
            group.extend(receiver.try_iter().take(GROUP_MAX - 1));
            let result = self.commit(&mut group);
            for request in group {
                // A caller that went away does not care.
                drop(request.done.send(result.clone()));
            }
        }
    }

    fn commit(&mut self, group: &mut [Request]) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.commit_group(group);
        if let Err(error) = &result {
            tracing::error!(%error, "the store has stopped");
            self.failed = Some(error.clone());
        }
        result
    }

    fn commit_group(&self, group: &mut [Request]) -> Result<(), StoreError> {
        let directories: BTreeSet<u64> = group.iter().filter_map(|request| request.directory).collect();
        for directory in directories {
            self.files.sync_directory(directory).map_err(|error| StoreError::Disk(error.to_string()))?;
        }
        let steps = group.iter_mut().flat_map(|request| std::mem::take(&mut request.steps)).collect();
        let effects = self.index.commit(steps)?;
        let unused = self.books.lock().apply(&effects);
        for file in unused {
            // If this fails, or is undone by a crash, the next start removes the file.
            if let Err(error) = self.files.remove(file) {
                tracing::warn!(%error, file = file.get(), "a released file stays for now");
            }
        }
        Ok(())
    }
}
