use super::*;

#[test]
fn every_chunk_opens_and_no_other_does() {
    for chunks in [2u64, 3, 5, 16, 48] {
        let mut content = vec![0; chunks as usize * CHUNK_LEN];
        Hasher::new().finalize_xof().fill(&mut content);
        let expected = *blake3::hash(&content).as_bytes();
        let length = content.len() as u64;
        for (chunk, bytes) in content.as_chunks().0.iter().enumerate() {
            let chunk = chunk as u64;
            let siblings = path(&content, chunk);
            assert_eq!(siblings.len(), path_len(length, chunk));
            assert_eq!(root(bytes, chunk, length, &siblings), Some(expected));
            assert_ne!(root(bytes, (chunk + 1) % chunks, length, &siblings), Some(expected));
            assert_eq!(root(bytes, chunk, length, &siblings[1..]), None);
            assert_eq!(root(bytes, chunk, length, &[&siblings[..], &siblings[..1]].concat()), None);
        }
    }
}
