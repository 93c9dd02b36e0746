//! Hold a bucket's records in memory, for tests of the rules.

use super::{Key, Record, Stop, View};
use std::collections::BTreeMap;

/// A bucket in memory; content is the bytes themselves.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<Key, Record<Vec<u8>>>);

impl View for Memory {
    type Content = Vec<u8>;

    fn get(&mut self, key: &Key) -> Result<Option<Record<Vec<u8>>>, Stop> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&mut self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Record<Vec<u8>>)>, Stop> {
        if from >= to {
            return Ok(Vec::new());
        }
        let found = self.0.range(from..to).take(limit);
        Ok(found.map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    fn put(&mut self, key: Key, record: Record<Vec<u8>>) -> Result<(), Stop> {
        self.0.insert(key, record);
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), Stop> {
        self.0.remove(key);
        Ok(())
    }

    fn join(&mut self, contents: Vec<Vec<u8>>) -> Result<Vec<u8>, Stop> {
        Ok(contents.concat())
    }
}
