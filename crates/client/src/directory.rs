//! Know who sits in which volume, without asking the chain each time.

use crate::chain::{ChainApi, ChainError, Network, OpenVolume};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Volumes that are remembered.
const VOLUMES_MAX: usize = 4096;
/// Age up to which a record is not asked for anew, whatever seems wrong with it.
const FRESH: Duration = Duration::from_secs(2);

/// The volumes that were asked for, with their members.
pub(crate) struct Directory {
    chain: Arc<dyn ChainApi>,
    volumes: Mutex<HashMap<u32, (Instant, Arc<OpenVolume>)>>,
}

impl Directory {
    pub(crate) fn new(chain: Arc<dyn ChainApi>) -> Self {
        Self { chain, volumes: Mutex::default() }
    }

    /// The volume as it was last seen.
    pub(crate) async fn volume(&self, id: u32) -> Result<Arc<OpenVolume>, ChainError> {
        let known = self.volumes.lock().get(&id).map(|(_, volume)| volume.clone());
        match known {
            Some(volume) => Ok(volume),
            None => self.refresh(id).await,
        }
    }

    /// The volume again, after a member of `used` did not do what members do. Nothing if `used` is fresh.
    pub(crate) async fn doubt(&self, used: &Arc<OpenVolume>) -> Result<Option<Arc<OpenVolume>>, ChainError> {
        let known = self.volumes.lock().get(&used.id).cloned();
        match known {
            // Somebody else had doubts meanwhile.
            Some((_, known)) if !Arc::ptr_eq(&known, used) => Ok(Some(known)),
            Some((read_at, _)) if read_at.elapsed() < FRESH => Ok(None),
            _ => self.refresh(used.id).await.map(Some),
        }
    }

    /// The volume as the chain has it now.
    pub(crate) async fn refresh(&self, id: u32) -> Result<Arc<OpenVolume>, ChainError> {
        Ok(self.refresh_all(&[id]).await?.remove(0))
    }

    /// Several volumes as the chain has them now.
    pub(crate) async fn refresh_all(&self, ids: &[u32]) -> Result<Vec<Arc<OpenVolume>>, ChainError> {
        let read = Network(&*self.chain).volumes_with_members(ids).await?;
        let read: Vec<_> = read.into_iter().map(Arc::new).collect();
        let mut volumes = self.volumes.lock();
        if volumes.len() + read.len() > VOLUMES_MAX {
            volumes.clear();
        }
        volumes.extend(read.iter().map(|volume| (volume.id, (Instant::now(), volume.clone()))));
        Ok(read)
    }
}
