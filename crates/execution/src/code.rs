//! Keep analysed code between blocks.

use alloy_primitives::{B256, map::B256Map};
use parking_lot::Mutex;
use revm::state::Bytecode;

/// Code of any block, by its hash, within a limit of memory.
///
/// Finding the jump targets of a contract takes longer than running a short call of it. What a hash stands for never
/// changes, so forks and rollbacks do not matter here.
#[derive(Debug, Default)]
pub(crate) struct CodeCache(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    code: B256Map<Bytecode>,
    bytes: usize,
}

impl CodeCache {
    /// Most bytes of code that are held; the tables beside it add an eighth.
    const BYTES_MAX: usize = 64 << 20;

    pub(crate) fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.0.lock().code.get(hash).cloned()
    }

    /// Holds `code`. At the limit everything goes: the contracts in use come back with the next block.
    pub(crate) fn insert(&self, hash: B256, code: Bytecode) {
        let mut held = self.0.lock();
        if held.bytes.saturating_add(code.len()) > Self::BYTES_MAX {
            *held = Held::default();
        }
        held.bytes += code.len();
        if let Some(old) = held.code.insert(hash, code) {
            held.bytes -= old.len();
        }
    }
}
