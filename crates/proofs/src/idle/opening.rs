//! Open one KiB of a unit under its root: a chunk of BLAKE3 and the siblings above it.

use blake3::{
    CHUNK_LEN, Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root},
};

/// The forks on the way from the root over `length` bytes down to chunk `chunk`.
fn turns(length: u64, chunk: u64) -> Vec<Turn> {
    let (mut start, mut length, mut turns) = (0, length, Vec::new());
    while length > CHUNK_LEN as u64 {
        let left = left_subtree_len(length);
        let turn = if chunk * (CHUNK_LEN as u64) < start + left {
            Turn { right: false, sibling: (start + left, length - left) }
        } else {
            Turn { right: true, sibling: (start, left) }
        };
        (start, length) = if turn.right { (start + left, length - left) } else { (start, left) };
        turns.push(turn);
    }
    turns
}

struct Turn {
    /// Whether the way down goes right.
    right: bool,
    /// First byte and length of what it leaves aside.
    sibling: (u64, u64),
}

/// How many siblings chunk `chunk` has in content of `length` bytes.
pub(crate) fn path_len(length: u64, chunk: u64) -> usize {
    turns(length, chunk).len()
}

/// The siblings of chunk `chunk` of `content`, from the chunk up. The content is longer than one chunk.
pub(crate) fn path(content: &[u8], chunk: u64) -> Vec<ChainingValue> {
    let subtree = |(start, length): (u64, u64)| {
        let bytes = &content[start as usize..(start + length) as usize];
        Hasher::new().set_input_offset(start).update(bytes).finalize_non_root()
    };
    turns(content.len() as u64, chunk).iter().rev().map(|turn| subtree(turn.sibling)).collect()
}

/// The root over `bytes` as chunk `chunk` of `length` bytes, or nothing if the path is not as long as that asks.
pub(crate) fn root(bytes: &[u8; CHUNK_LEN], chunk: u64, length: u64, path: &[ChainingValue]) -> Option<[u8; 32]> {
    let turns = turns(length, chunk);
    let (last, below) = path.split_last()?;
    if turns.len() != path.len() || !length.is_multiple_of(CHUNK_LEN as u64) {
        return None;
    }
    let mut value = Hasher::new().set_input_offset(chunk * CHUNK_LEN as u64).update(bytes).finalize_non_root();
    for (turn, sibling) in turns[1..].iter().rev().zip(below) {
        let (left, right) = if turn.right { (sibling, &value) } else { (&value, sibling) };
        value = merge_subtrees_non_root(left, right, Mode::Hash);
    }
    let (left, right) = if turns[0].right { (last, &value) } else { (&value, last) };
    Some(merge_subtrees_root(left, right, Mode::Hash).into())
}

#[cfg(test)]
mod tests;
