use super::*;
use crate::index::{
    Content, Part,
    entry::{decode_parts, encode_parts},
};
use alloy_primitives::{B256, Bytes};
use proptest::prelude::*;
use sealing::{WRAPPED_KEY_LENGTH, WrappedKey};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    own: Own,
    leaf: Bytes,
    inner: Bytes,
    root: Bytes,
    empty_root: Bytes,
    parts: Bytes,
    objects: Vec<Object>,
    records: Vec<Object>,
}

#[derive(Deserialize)]
struct Own {
    segment: B256,
    volume: u32,
    segment_bytes: u32,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    etag: u8,
    size: u64,
    modified_ms: u64,
    content_type: String,
    metadata: BTreeMap<String, String>,
    attributes: String,
    kind: String,
}

fn vectors() -> (Vectors, SegmentRef) {
    let text = include_str!("../../../../../vectors/index.json");
    let vectors: Vectors = serde_json::from_str(text).expect("well-formed");
    let Own { segment, volume, segment_bytes } = vectors.own;
    let own = SegmentRef { id: segment, volume, length: segment_bytes };
    (vectors, own)
}

/// Makes what lies in its own segment nameless again, as it is written.
fn nameless(own: SegmentRef) -> impl Fn(&mut Extent) {
    move |extent| {
        if extent.segment == own {
            extent.segment = SegmentRef::OWN;
        }
    }
}

fn hex(text: &str) -> bytes::Bytes {
    alloy_primitives::hex::decode(text).expect("hex").into()
}

#[test]
fn leaves_match_the_vectors() {
    let (vectors, own) = vectors();
    let Page::Leaf(Leaf(mut items)) = Page::decode(&vectors.leaf, 1, own).expect("decodes") else { panic!("a leaf") };
    let of_objects = items.iter().filter(|(key, _)| matches!(key, Key::Object(_)));
    let of_records = items.iter().filter(|(key, _)| matches!(key, Key::Record(_)));
    let objects = vectors.objects.iter().map(|object| (Key::object(&object.key), object));
    let records = vectors.records.iter().map(|record| (Key::record(hex(&record.key)), record));
    for ((key, object), item) in objects.chain(records).zip(of_objects.chain(of_records)) {
        let Value::Object(entry) = &item.1 else { panic!("an entry") };
        assert_eq!(item.0, key);
        assert_eq!((entry.etag, entry.size), (B256::repeat_byte(object.etag), object.size));
        assert_eq!((entry.modified_ms, &entry.content_type), (object.modified_ms, &object.content_type));
        assert_eq!((&entry.metadata, &entry.attributes), (&object.metadata, &hex(&object.attributes)));
        assert_eq!(matches!(entry.content, Content::Parts(_)), object.kind == "parts");
    }
    let usage = Usage { volume: 3, length: 200_000, used: 1 << 33 };
    assert!(items.contains(&(Key::Segment(B256::repeat_byte(0xaa)), Value::Segment(usage))));
    assert_eq!(items.len(), vectors.objects.len() + vectors.records.len() + 2);
    for (_, value) in &mut items {
        if let Value::Object(entry) = value {
            entry.extents_mut().for_each(nameless(own));
        }
    }
    assert_eq!(encode_leaf(&items), vectors.leaf);
}

#[test]
fn inner_pages_match_the_vectors() {
    let (vectors, own) = vectors();
    let Page::Inner(Inner(mut children)) = Page::decode(&vectors.inner, 2, own).expect("decodes") else {
        panic!("an inner page")
    };
    children.iter_mut().map(|(_, extent)| extent).for_each(nameless(own));
    assert_eq!(encode_inner(&children), vectors.inner);
}

#[test]
fn root_pages_match_the_vectors() {
    let (vectors, own) = vectors();
    let mut root = RootPage::decode(&vectors.root, own).expect("decodes");
    let usage = Usage { volume: own.volume, length: own.length, used: 900 };
    assert_eq!(root.delta.remove(&Key::Segment(own.id)), Some(Some(Value::Segment(usage))));
    assert_eq!(root.name, "bucket");
    let (extent, height) = root.tree.as_mut().expect("a tree");
    assert_eq!((*height, extent.segment), (2, own));
    nameless(own)(extent);
    assert_eq!(root.encode(900), vectors.root);
    let empty = RootPage::decode(&vectors.empty_root, own).expect("decodes");
    assert_eq!((empty.tree, empty.delta.len()), (None, 1));
    assert_eq!(RootPage::default().encode(80), vectors.empty_root);
}

#[test]
fn lists_of_parts_match_the_vectors() {
    let (vectors, _) = vectors();
    let parts = decode_parts(&vectors.parts, 70_100).expect("decodes");
    assert_eq!(encode_parts(&parts), vectors.parts);
    assert!(decode_parts(&vectors.parts, 70_101).is_err(), "of another size");
}

#[test]
fn an_object_has_a_part_and_a_record_need_not() {
    let own = SegmentRef { id: B256::repeat_byte(1), volume: 1, length: 1_000 };
    let leaf = |key| Page::decode(&encode_leaf(&[(key, Value::Object(Entry::default()))]), 1, own);
    assert!(leaf(Key::record("a")).is_ok());
    assert!(leaf(Key::object("a")).is_err());
}

#[test]
fn keys_and_attributes_have_limits() {
    let own = SegmentRef { id: B256::repeat_byte(1), volume: 1, length: 1_000 };
    let leaf =
        |length| Page::decode(&encode_leaf(&[(Key::record(vec![1; length]), Value::Object(Entry::default()))]), 1, own);
    assert!(leaf(RECORD_KEY_BYTES_MAX).is_ok() && leaf(RECORD_KEY_BYTES_MAX + 1).is_err());
    let long = Entry { attributes: vec![0; 8193].into(), ..Entry::default() };
    assert!(Page::decode(&encode_leaf(&[(Key::record("a"), Value::Object(long))]), 1, own).is_err());
}

#[test]
fn claimed_counts_take_no_memory() {
    let mut list = vec![0xff; 4];
    list.extend([0; 8]);
    assert!(decode_parts(&list, 0).is_err());
    let own = SegmentRef { id: B256::repeat_byte(1), volume: 1, length: 1_000 };
    let mut root = RootPage::default().encode(10);
    let at = root.len() - 4;
    root[at..].fill(0xff);
    assert!(RootPage::decode(&root, own).is_err());
}

#[test]
fn a_page_counts_at_its_height_only() {
    let (vectors, own) = vectors();
    for height in [0, 2, 3, 255] {
        assert!(Page::decode(&vectors.leaf, height, own).is_err());
    }
    assert!(Page::decode(&vectors.inner, 1, own).is_err());
    assert!(RootPage::decode(&vectors.leaf, own).is_err());
}

fn extents() -> impl Strategy<Value = Extent> {
    (any::<[u8; 32]>(), any::<u32>(), 1..u32::MAX, any::<(u32, u32)>()).prop_map(|(id, volume, length, (a, b))| {
        let offset = a % length;
        let segment = SegmentRef { id: B256::from(id), volume, length };
        Extent { segment, offset, length: 1 + b % (length - offset) }
    })
}

prop_compose! {
    fn entries()(
        etag in any::<[u8; 32]>(),
        content_type in "[a-z/]{0,40}",
        metadata in prop::collection::btree_map("[a-zä]{0,9}", "[ -~]{0,20}", 0..5),
        attributes in prop::collection::vec(any::<u8>(), 0..100),
        modified_ms in any::<u64>(),
        key in any::<u8>(),
        pieces in prop::collection::vec(extents(), 1..9),
        size in 0..100_000u64,
        in_pieces in any::<bool>(),
    ) -> Entry {
        let sealed = sealing::sealed_length(size) as u32;
        let segment = SegmentRef { length: u32::MAX, ..pieces[0].segment };
        let part = Part {
            generation: modified_ms,
            key: WrappedKey::from_bytes([key; WRAPPED_KEY_LENGTH]),
            plain_length: size,
            extents: vec![Extent { segment, offset: 7, length: sealed }],
        };
        let content = if in_pieces { Content::Pieces(pieces) } else { Content::Parts(vec![part]) };
        Entry { etag: B256::from(etag), size, modified_ms, content_type, metadata, attributes: attributes.into(), content }
    }
}

fn keys() -> impl Strategy<Value = Key> {
    let record = prop::collection::vec(any::<u8>(), 1..40).prop_map(Key::record);
    prop_oneof!["[a-z/]{1,30}".prop_map(Key::object), record]
}

fn leaves() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::btree_map(keys(), entries(), 1..8)
        .prop_map(|items| items.into_iter().map(|(key, entry)| (key, Value::Object(entry))).collect())
}

proptest! {
    #[test]
    fn what_is_written_is_read(items in leaves()) {
        let bytes = encode_leaf(&items);
        let own = SegmentRef { id: B256::repeat_byte(7), volume: 1, length: 1 };
        prop_assert_eq!(Page::decode(&bytes, 1, own).expect("decodes"), Page::Leaf(Leaf(items)));
    }

    #[test]
    fn what_is_read_has_one_encoding(items in leaves(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode_leaf(&items);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let own = SegmentRef { id: B256::repeat_byte(7), volume: 1, length: u32::MAX };
        if let Ok(Page::Leaf(Leaf(mut items))) = Page::decode(&bytes, 1, own) {
            for (_, value) in &mut items {
                if let Value::Object(entry) = value {
                    entry.extents_mut().for_each(nameless(own));
                }
            }
            prop_assert_eq!(encode_leaf(&items), bytes);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..2_000), kind in 1..4u8) {
        let own = SegmentRef { id: B256::repeat_byte(7), volume: 1, length: 1_000 };
        let framed = [&[1, kind], bytes.as_slice()].concat();
        let _ = Page::decode(&framed, 1, own);
        let _ = Page::decode(&framed, 2, own);
        let _ = RootPage::decode(&framed, own);
        let _ = decode_parts(&bytes, 5);
    }

    #[test]
    fn a_cut_page_is_no_page(items in leaves(), at in any::<prop::sample::Index>()) {
        let bytes = encode_leaf(&items);
        let own = SegmentRef { id: B256::repeat_byte(7), volume: 1, length: 1 };
        prop_assert!(Page::decode(&bytes[..at.index(bytes.len())], 1, own).is_err());
    }
}
