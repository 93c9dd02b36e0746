use super::*;
use crate::message::{
    Acknowledge, Disown, Fetch, LeavesQuery, Rebuild, Refusal, RefusalReason, Request, Response, StatusQuery,
    sample::{leaf, reply, reply_range, sign, stage, status},
};
use proptest::prelude::*;

fn split(message: &Message) -> (u8, &[u8]) {
    let (kind, length) = decode_prefix(message.head[..PREFIX_BYTES].try_into().unwrap()).unwrap();
    assert_eq!(message.head.len(), PREFIX_BYTES + length);
    (kind, &message.head[PREFIX_BYTES..])
}

fn requests() -> Vec<(&'static str, Request)> {
    let segment = B256::repeat_byte(5);
    vec![
        ("stage", Request::Stage(stage(300_000))),
        ("sign", Request::Sign(sign(64))),
        ("fetch", Request::Fetch(Fetch { segment, index: 3, range: None })),
        ("fetch_range", Request::Fetch(Fetch { segment, index: 3, range: Some(1..65536) })),
        ("status", Request::Status(StatusQuery { from_volume: 6 })),
        ("leaves", Request::Leaves(LeavesQuery { volume: 1, from: 2, limit: 3 })),
        ("disown", Request::Disown(Disown { volume: 1, index: 2, rebuilt: segment })),
        ("rebuild", Request::Rebuild(Rebuild { volume: 1, index: 2, segment, seat: 3 })),
        ("acknowledge", Request::Acknowledge(Acknowledge { volume: 1, seat: 2, bytes: 3, signature: [4; 96] })),
    ]
}

fn responses() -> Vec<(&'static str, Response)> {
    let busy = RefusalReason::Busy { retry_after_ms: 250 };
    vec![
        ("staged", Response::Staged),
        ("signature", Response::Signature([7; 96])),
        ("fragment", Response::Fragment(reply(262_144))),
        ("fragment_range", Response::Fragment(reply_range(300_000, 20_000..20_001))),
        ("status", Response::Status(status())),
        ("leaves", Response::Leaves(vec![leaf(1), leaf(2)])),
        ("acknowledged", Response::Acknowledged),
        ("refused", Response::Refused(Refusal::new(busy, "later"))),
    ]
}

fn decode_whole_request(message: &Message) -> Request {
    let (kind, header) = split(message);
    match decode_request(kind, header).unwrap() {
        RequestHead::Complete(request) => request,
        RequestHead::Stage(header) => {
            let fragment = message.body.clone().into();
            Request::Stage(crate::message::Stage { header, fragment })
        }
    }
}

fn decode_whole_response(message: &Message) -> Response {
    let (kind, header) = split(message);
    match decode_response(kind, header).unwrap() {
        ResponseHead::Complete(response) => response,
        ResponseHead::Fragment(claim) => {
            let fragment = crate::message::sample::fragment(claim.length, 3).0;
            let whole = crate::message::Fetch { segment: fragment, index: claim.proof.index, range: None };
            let range = claim.offset..claim.offset + claim.byte_count;
            let fetch = crate::message::Fetch { range: Some(range), ..whole };
            Response::Fragment(claim.check(&fetch).unwrap().into_reply(message.body.clone()))
        }
    }
}

#[test]
fn requests_round_trip() {
    for (name, request) in requests() {
        assert_eq!(decode_whole_request(&encode_request(&request).unwrap()), request, "{name}");
    }
}

#[test]
fn responses_round_trip() {
    for (name, response) in responses() {
        assert_eq!(decode_whole_response(&encode_response(&response).unwrap()), response, "{name}");
    }
}

/// What other implementations must produce: headers in full, bodies by their hash.
#[test]
fn bytes_are_pinned() {
    let entry = |(name, message): (&str, Message)| {
        let body = hex::encode(blake3::hash(&message.body).as_bytes());
        serde_json::json!({ "name": name, "head": hex::encode(&message.head), "body_blake3": body })
    };
    let requests = requests().into_iter().map(|(name, request)| (name, encode_request(&request).unwrap()));
    let responses = responses().into_iter().map(|(name, response)| (name, encode_response(&response).unwrap()));
    let found = serde_json::json!({
        "requests": requests.map(entry).collect::<Vec<_>>(),
        "responses": responses.map(entry).collect::<Vec<_>>(),
    });
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/transport.json");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let pinned: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(found, pinned);
}

#[test]
fn every_reason_of_a_refusal_round_trips() {
    for number in 1..=15 {
        let argument = if number == 11 { 60_000 } else { 0 };
        let mut header = vec![number];
        header.extend(u32::to_be_bytes(argument));
        header.extend([2, b'n', b'o']);
        let head = decode_response(255, &header).unwrap();
        let ResponseHead::Complete(response) = head else { panic!("a refusal has no body") };
        assert_eq!(split(&encode_response(&response).unwrap()).1, header);
    }
    assert!(decode_response(255, &[16, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn a_refusal_with_a_long_text_is_cut_at_a_character() {
    let refusal = Refusal::new(RefusalReason::Unknown, "é".repeat(200));
    assert_eq!(refusal.detail.len(), 160);
    encode_response(&Response::Refused(refusal)).unwrap();
}

#[test]
fn claimed_sizes_beyond_the_limits_are_refused() {
    assert!(decode_prefix([1, 255, 255, 255, 255]).is_err());
    let mut sign = split(&encode_request(&Request::Sign(sign(2))).unwrap()).1.to_vec();
    sign[28] = 65;
    assert_eq!(decode_request(2, &sign), Err(WireError("a batch has 1 to 64 segments")));
    let fetch = Fetch { segment: B256::ZERO, index: 0, range: Some(5..5) };
    assert!(encode_request(&Request::Fetch(fetch)).is_err());
    assert!(decode_response(132, &2000u32.to_be_bytes()).is_err());
}

#[test]
fn a_stage_with_a_fragment_of_the_wrong_length_is_not_sent() {
    let mut stage = stage(300_000);
    stage.fragment = stage.fragment.bytes().slice(1..).into();
    assert!(encode_request(&Request::Stage(stage)).is_err());
}

fn mutated(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(valid), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
        |(mut bytes, at, value, cut)| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
                if cut {
                    bytes.truncate(at);
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn hostile_requests_never_panic_and_have_one_encoding(
        header in mutated(requests().iter().map(|(_, r)| split(&encode_request(r).unwrap()).1.to_vec()).collect()),
        kind in 0u8..10,
    ) {
        if let Ok(RequestHead::Complete(request)) = decode_request(kind, &header) {
            let message = encode_request(&request).unwrap();
            prop_assert_eq!(split(&message), (kind, &header[..]));
        }
    }

    #[test]
    fn hostile_responses_never_panic_and_have_one_encoding(
        header in mutated(responses().iter().map(|(_, r)| split(&encode_response(r).unwrap()).1.to_vec()).collect()),
        kind in prop::sample::select(vec![128u8, 129, 130, 131, 132, 133, 134, 255]),
    ) {
        if let Ok(ResponseHead::Complete(response)) = decode_response(kind, &header) {
            let message = encode_response(&response).unwrap();
            prop_assert_eq!(split(&message), (kind, &header[..]));
        }
    }

    #[test]
    fn noise_never_panics(kind in any::<u8>(), header in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_request(kind, &header);
        let _ = decode_response(kind, &header);
    }
}
