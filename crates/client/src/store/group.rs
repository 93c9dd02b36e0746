//! Commit the changes of many callers in one transaction.

use super::{ChangeError, View};
use crate::{
    Client,
    bucket::Bucket,
    pages::Root,
    progress::Progress,
    update::{Asked, Change, Placement, Update, UpdateError, Updated, unused_in},
    write::{Assembler, Session},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::Instant,
};

/// Changes of one group.
const CHANGES_MAX: usize = 1024;
/// Changes that wait for a group; more wait to be taken.
pub(super) const WAITING_MAX: usize = 4096;
/// Unused segments that updates may leave behind before they are released.
const UNUSED_MAX: usize = 16;

/// The newest root that this process knows.
#[derive(Default)]
pub(super) struct Newest(Mutex<Option<Known>>);

struct Known {
    at: Instant,
    version: u64,
    root: Arc<Root>,
}

impl Newest {
    /// The root, if it was seen within `age_max`; else as `read` finds it. Those who ask meanwhile wait for the answer.
    pub(super) async fn get<E>(
        &self,
        age_max: Duration,
        read: impl Future<Output = Result<(Arc<Root>, u64), E>>,
    ) -> Result<(Arc<Root>, u64), E> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < age_max) {
            return Ok((known.root.clone(), known.version));
        }
        let at = Instant::now();
        let (root, version) = read.await?;
        match &mut *known {
            // Never back: what answered may be behind.
            Some(known) if known.version > version => Ok((known.root.clone(), known.version)),
            known => {
                *known = Some(Known { at, version, root: root.clone() });
                Ok((root, version))
            }
        }
    }

    async fn set(&self, root: Arc<Root>, version: u64) {
        let mut known = self.0.lock().await;
        if known.as_ref().is_none_or(|known| known.version <= version) {
            *known = Some(Known { at: Instant::now(), version, root });
        }
    }
}

/// A change with somebody who waits for it.
pub(super) trait Job: Change {
    /// Tells what became of it.
    fn finish(self: Box<Self>, result: Result<(), UpdateError>);
}

/// A closure with the caller who waits for what it says.
pub(super) struct Waiting<F, T, E> {
    asked: Asked<F, T, E>,
    reply: oneshot::Sender<Result<T, ChangeError<E>>>,
}

impl<F, T, E> Waiting<F, T, E> {
    pub(super) fn new(closure: F) -> (Self, oneshot::Receiver<Result<T, ChangeError<E>>>) {
        let (reply, answer) = oneshot::channel();
        (Self { asked: Asked::new(closure), reply }, answer)
    }
}

impl<F: FnMut(&mut View<'_>) -> Result<T, E> + Send, T: Send, E: Send> Change for Waiting<F, T, E> {
    fn apply(&mut self, view: &mut View<'_>) -> bool {
        self.asked.apply(view)
    }
}

impl<F: FnMut(&mut View<'_>) -> Result<T, E> + Send, T: Send, E: Send> Job for Waiting<F, T, E> {
    fn finish(self: Box<Self>, result: Result<(), UpdateError>) {
        let Self { asked, reply } = *self;
        let answer = match (result, asked.said) {
            (Ok(()), Some(Ok(answer))) => Ok(answer),
            (Ok(()), Some(Err(error))) => Err(ChangeError::Refused(error)),
            (Ok(()), None) => Err(ChangeError::Failed(UpdateError::Closed)),
            (Err(error), _) => Err(ChangeError::Failed(error)),
        };
        // Whoever stopped waiting does not want to know.
        let _ = reply.send(answer);
    }
}

/// Runs the groups of one bucket, one after the other.
pub(super) struct Groups {
    pub(super) client: Client,
    pub(super) bucket: Arc<Bucket>,
    pub(super) session: Arc<Session>,
    pub(super) newest: Arc<Newest>,
    pub(super) waiting: mpsc::Receiver<Box<dyn Job>>,
    /// Held while unused segments are released.
    pub(super) releasing: Arc<Mutex<()>>,
}

impl Groups {
    /// Runs until nobody can ask for a change any more.
    pub(super) async fn run(mut self) {
        let window = self.client.config().store.group_window;
        while let Some(first) = self.waiting.recv().await {
            let mut group = vec![first];
            let closes = Instant::now() + window;
            while group.len() < CHANGES_MAX {
                match tokio::time::timeout_at(closes, self.waiting.recv()).await {
                    Ok(Some(job)) => group.push(job),
                    Ok(None) | Err(_) => break,
                }
            }
            self.commit(group).await;
        }
    }

    async fn commit(&self, group: Vec<Box<dyn Job>>) {
        let mut group = group;
        match self.update(&mut group).await {
            // What one of them is to blame for must not fail the others.
            Err(error) if group.len() > 1 && error.is_about_one() => {
                tracing::debug!(%error, changes = group.len(), "a group fails together; its changes are made one by one");
                for job in group {
                    let mut alone = [job];
                    let result = self.update(&mut alone).await;
                    let [job] = alone;
                    job.finish(result);
                }
            }
            result => group.into_iter().for_each(|job| job.finish(result.clone())),
        }
    }

    async fn update(&self, group: &mut [Box<dyn Job>]) -> Result<(), UpdateError> {
        let progress = Progress::default();
        let memory = self.client.commit_memory().clone();
        let mut assembler = Assembler::new(self.session.clone(), memory, 0, progress.clone(), None);
        let update = Update {
            bucket: &self.bucket,
            assembler: &mut assembler,
            progress: &progress,
            placement: Placement::default(),
            unused: Vec::new(),
        };
        let Updated { root, version } = update.run(group).await?;
        self.release_unused(&root);
        self.newest.set(root, version).await;
        let session = self.session.clone();
        tokio::spawn(async move {
            if let Err(error) = session.allocator.lease_ahead().await {
                tracing::debug!(%error, "no lease could be taken ahead; the next write takes its own");
            }
        });
        Ok(())
    }

    /// Releases in the background what fell out of use, unless that is under way.
    fn release_unused(&self, root: &Root) {
        let unused: Vec<_> = unused_in(&root.page.delta).collect();
        if unused.len() < UNUSED_MAX {
            return;
        }
        let Ok(turn) = self.releasing.clone().try_lock_owned() else { return };
        let client = self.client.clone();
        tokio::spawn(async move {
            if let Err(error) = client.release(unused).await {
                tracing::warn!(%error, "segments out of use were not released; a later update will try again");
            }
            drop(turn);
        });
    }
}
