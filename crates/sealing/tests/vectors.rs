//! Hold the crate against `vectors/sealing.json`, which other implementations read too.

use sealing::{
    ContentKey, Opener, PageKey, PolicySecret, StorageSeed, WrappedKey, open_object, open_page, seal_object,
    sealed_length, unwrap,
};
use serde::Deserialize;

const VECTORS: &str = include_str!("../../../vectors/sealing.json");

#[derive(Deserialize)]
struct Vectors {
    objects: Vec<Object>,
    bip39_seed: String,
    storage_seed: String,
    keys: Vec<Keys>,
    bucket_names: Vec<BucketName>,
    wrapped_keys: Vec<Wrapped>,
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    plain_seed: String,
    plain_length: usize,
    header: String,
    first_tag: String,
    sealed_length: u64,
    sealed_blake3: String,
}

#[derive(Deserialize)]
struct Keys {
    bucket_id: String,
    generation: u64,
    policy_secret: String,
    policy_public: String,
    page_key: String,
}

#[derive(Deserialize)]
struct BucketName {
    name: String,
    tag: String,
}

#[derive(Deserialize)]
struct Wrapped {
    policy_secret: String,
    context: String,
    content_key: String,
    wrapped: String,
}

#[derive(Deserialize)]
struct Page {
    key: String,
    context: String,
    page: String,
    sealed: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("the vectors are well-formed")
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).expect("hexadecimal")
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().expect("as many bytes as the field has")
}

#[test]
fn sealed_objects_are_pinned() {
    for vector in vectors().objects {
        let mut plain = vec![0; vector.plain_length];
        blake3::Hasher::new().update(vector.plain_seed.as_bytes()).finalize_xof().fill(&mut plain);
        let key = ContentKey::from_bytes(array(&vector.key));
        let sealed = seal_object(&key, &plain).expect("not too long");
        assert_eq!(sealed_length(vector.plain_length as u64), vector.sealed_length);
        assert_eq!(sealed.len() as u64, vector.sealed_length);
        assert_eq!(hex::encode(&sealed[..32]), vector.header);
        let first = Opener::new(&key, &sealed).expect("untouched").layout().chunk_length(0).expect("the first chunk");
        assert_eq!(hex::encode(&sealed[32 + first..][..16]), vector.first_tag);
        assert_eq!(blake3::hash(&sealed).to_string(), vector.sealed_blake3);
        assert!(open_object(&key, sealed).expect("untouched") == plain);
    }
}

#[test]
fn derived_keys_are_pinned() {
    let vectors = vectors();
    let seed = StorageSeed::from_bip39_seed(&array(&vectors.bip39_seed));
    assert_eq!(hex::encode(seed.as_bytes()), vectors.storage_seed);
    for vector in vectors.keys {
        let bucket_id = array(&vector.bucket_id);
        let public = seed.policy_secret(&bucket_id, vector.generation).public();
        let pinned = PolicySecret::from_bytes(&array(&vector.policy_secret)).expect("a scalar");
        assert_eq!(public, pinned.public());
        assert_eq!(hex::encode(public.to_bytes()), vector.policy_public);
        assert_eq!(hex::encode(seed.page_key(&bucket_id, vector.generation).as_bytes()), vector.page_key);
    }
    for vector in vectors.bucket_names {
        assert_eq!(hex::encode(seed.bucket_name_tag(&vector.name)), vector.tag);
    }
}

#[test]
fn wrapped_keys_are_pinned() {
    for vector in vectors().wrapped_keys {
        let policy = PolicySecret::from_bytes(&array(&vector.policy_secret)).expect("a scalar");
        let wrapped = WrappedKey::from_bytes(array(&vector.wrapped));
        let key = unwrap(&policy, &wrapped, &bytes(&vector.context)).expect("made for this key");
        assert_eq!(hex::encode(key.as_bytes()), vector.content_key);
    }
}

#[test]
fn pages_are_pinned() {
    for vector in vectors().pages {
        let key = PageKey::from_bytes(array(&vector.key));
        let page = open_page(&key, &bytes(&vector.context), &bytes(&vector.sealed)).expect("untouched");
        assert_eq!(hex::encode(page), vector.page);
    }
}
