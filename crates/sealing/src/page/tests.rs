use super::*;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

fn key(byte: u8) -> PageKey {
    PageKey::from_bytes([byte; 32])
}

proptest! {
    #[test]
    fn any_page_comes_back(page: Vec<u8>, context: Vec<u8>, seed: u64) {
        let sealed = seal_page(&key(1), &context, &page, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(sealed.len(), PAGE_OVERHEAD + page.len());
        prop_assert_eq!(open_page(&key(1), &context, &sealed), Ok(page));
    }
}

#[test]
fn altered_pages_and_other_keys_and_contexts_are_refused() {
    let sealed = seal_page(&key(1), b"root", b"a page", &mut StdRng::seed_from_u64(1));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(open_page(&key(1), b"root", &altered), Err(OpenPageError::Refused), "byte {at}");
    }
    assert_eq!(open_page(&key(2), b"root", &sealed), Err(OpenPageError::Refused));
    assert_eq!(open_page(&key(1), b"leaf", &sealed), Err(OpenPageError::Refused));
}

#[test]
fn truncated_pages_are_refused() {
    let sealed = seal_page(&key(1), b"", b"a page", &mut StdRng::seed_from_u64(1));
    for found in 0..sealed.len() {
        let expected = if found < PAGE_OVERHEAD { OpenPageError::TooShort { found } } else { OpenPageError::Refused };
        assert_eq!(open_page(&key(1), b"", &sealed[..found]), Err(expected));
    }
}

#[test]
fn one_page_sealed_twice_shows_no_likeness() {
    let mut rng = StdRng::seed_from_u64(1);
    let [a, b] = [(); 2].map(|()| seal_page(&key(1), b"", &[0; 64], &mut rng));
    assert_ne!(a[..SALT_LENGTH], b[..SALT_LENGTH]);
    assert_ne!(a[SALT_LENGTH..], b[SALT_LENGTH..]);
}
