use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(endpoint) = Endpoint::decode(&bytes) {
            prop_assert_eq!(endpoint.encode(), bytes);
        }
    }
}

#[test]
fn reads_back_what_it_wrote_and_no_prefix_of_it() {
    let addresses = vec!["127.0.0.1:80".parse().unwrap(), "[::1]:9000".parse().unwrap()];
    let endpoint = Endpoint::new(B256::repeat_byte(3), addresses, Some("https://relay.example".into())).unwrap();
    let bytes = endpoint.encode();
    assert_eq!(Endpoint::decode(&bytes).unwrap(), endpoint);
    for end in 0..bytes.len() {
        assert!(Endpoint::decode(&bytes[..end]).is_err());
    }
    assert_eq!(Endpoint::decode(&[bytes, vec![0]].concat()), Err(EndpointError::Malformed));
}

#[test]
fn taking_tcp_is_said_with_the_addresses() {
    let quic = Endpoint::new(B256::repeat_byte(3), vec!["127.0.0.1:80".parse().unwrap()], None).unwrap();
    let both = quic.clone().with_tcp(true);
    assert_eq!(Endpoint::decode(&both.encode()).unwrap(), both);
    assert!(both.takes_tcp() && !quic.takes_tcp() && both != quic);
    let relayed = Endpoint::new(B256::ZERO, vec![], Some("https://relay.example".into())).unwrap().with_tcp(true);
    assert!(!relayed.takes_tcp());
    let mut bytes = relayed.encode();
    bytes[32] = 0x80;
    assert_eq!(Endpoint::decode(&bytes), Err(EndpointError::Malformed));
}

#[test]
fn an_endpoint_nobody_can_reach_is_refused() {
    assert_eq!(Endpoint::new(B256::ZERO, vec![], None), Err(EndpointError::Unreachable));
}
