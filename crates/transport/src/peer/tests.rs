use super::*;
use crate::{
    contract::{self, Mischief, SOON, Shelf},
    message::{LeavesQuery, RefusalReason, StatusQuery, sample::stage},
    stream::Receive,
    transport::RequestError,
    wire::ALPN,
};
use iroh::{
    EndpointAddr,
    endpoint::{Connection, VarInt},
};
use std::net::Ipv4Addr;

/// By QUIC alone, and over TCP where it is offered.
const WAYS: [bool; 2] = [false, true];

fn by(tcp: bool) -> PeerConfig {
    PeerConfig { tcp, ..PeerConfig::default() }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn bind(key: u8, config: PeerConfig) -> PeerTransport {
    PeerTransport::bind([key; 32], ANY, config).await.unwrap()
}

struct Pair {
    asker: PeerTransport,
    server: PeerTransport,
    shelf: Arc<Shelf>,
    to: Endpoint,
    _serving: Serving,
}

async fn pair(shelf: Shelf, config: PeerConfig) -> Pair {
    let (asker, server) = (bind(1, PeerConfig::default()).await, bind(2, config).await);
    let shelf = Arc::new(shelf);
    let _serving = server.serve(shelf.clone());
    let to = server.local_endpoint().unwrap();
    Pair { asker, server, shelf, to, _serving }
}

#[tokio::test]
async fn answers_everything() {
    for tcp in WAYS {
        let Pair { asker, shelf, to, _serving, .. } = pair(Shelf::default(), by(tcp)).await;
        contract::answers_everything(&asker, &to).await;
        assert!(shelf.callers.lock().iter().all(|caller| *caller == asker.local_id()));
    }
}

#[tokio::test]
async fn refuses_in_words() {
    for tcp in WAYS {
        let shelf = Shelf { closed_volume: Some(12), ..Shelf::default() };
        let Pair { asker, to, _serving, .. } = pair(shelf, by(tcp)).await;
        contract::refuses_in_words(&asker, &to).await;
        contract::refuses_in_words(&asker, &to).await;
    }
}

#[tokio::test]
async fn catches_lies() {
    for tcp in WAYS {
        for (mischief, key) in [(Mischief::FlipBit, 1), (Mischief::TooMuch, 2), (Mischief::WrongKind, 3)] {
            let shelf = Shelf { mischief, ..Shelf::default() };
            let Pair { asker, to, _serving, .. } = pair(shelf, by(tcp)).await;
            match key {
                1 => contract::catches_flipped_bits(&asker, &to).await,
                2 => contract::catches_too_much(&asker, &to).await,
                _ => contract::catches_the_wrong_kind(&asker, &to).await,
            }
        }
    }
}

#[tokio::test]
async fn many_requests_at_a_time_are_answered() {
    for tcp in WAYS {
        let Pair { asker, to, _serving, .. } = pair(Shelf::default(), by(tcp)).await;
        let segment = contract::put(&asker, &to, 8 << 20).await.unwrap();
        let fetches = (0..24u64).map(|i| {
            let (asker, to) = (asker.clone(), to.clone());
            let range = i * 60_000..(i + 1) * 60_000;
            tokio::spawn(async move {
                asker.fetch(&to, contract::third(segment, Some(range)), SOON).await.unwrap().bytes.len()
            })
        });
        for fetch in fetches.collect::<Vec<_>>() {
            assert_eq!(fetch.await.unwrap(), 60_000);
        }
    }
}

#[tokio::test]
async fn tcp_is_used_where_it_is_offered_and_answers() {
    let Pair { asker, server, shelf, to, _serving } = pair(Shelf::default(), by(true)).await;
    assert!(to.takes_tcp());
    contract::put(&asker, &to, 1).await.unwrap();
    assert_eq!((asker.tcp.kept_count(to.id()), asker.quic.connection_count()), (1, 0));
    // Refused unread, the connection ends, and the next request makes another.
    let closed = pair(Shelf { closed_volume: Some(12), ..Shelf::default() }, by(true)).await;
    assert!(contract::put(&closed.asker, &closed.to, 8 << 20).await.is_err());
    assert_eq!(closed.asker.tcp.kept_count(closed.to.id()), 0);
    closed.asker.status(&closed.to, StatusQuery::default(), SOON).await.unwrap();
    assert_eq!(closed.asker.tcp.kept_count(closed.to.id()), 1);
    // The peer restarts without TCP on the port, though its endpoint promises it.
    let port = to.addresses()[0].port();
    drop((_serving, server));
    let mut again = None;
    while again.is_none() {
        again = PeerTransport::bind([2; 32], SocketAddr::new(ANY.ip(), port), PeerConfig::default()).await.ok();
        tokio::task::yield_now().await;
    }
    let again = again.unwrap();
    let _serving = again.serve(shelf);
    asker.status(&to, StatusQuery::default(), SOON).await.unwrap();
    assert_eq!((asker.tcp.suits(&to), asker.quic.connection_count()), (false, 1));
}

#[tokio::test]
async fn over_tcp_too_a_peer_under_another_key_is_not_believed() {
    let Pair { to, _serving, shelf, .. } = pair(Shelf::default(), by(true)).await;
    let asker = bind(5, PeerConfig { connect_timeout: Duration::from_millis(300), ..PeerConfig::default() }).await;
    let impostor = Endpoint::new(asker.local_id(), to.addresses().to_vec(), None).unwrap().with_tcp(true);
    assert!(asker.status(&impostor, StatusQuery::default(), SOON).await.is_err());
    assert!(shelf.callers.lock().is_empty());
}

#[tokio::test]
async fn a_restarted_peer_is_dialled_again() {
    let Pair { asker, server, shelf, to, _serving } = pair(Shelf::default(), PeerConfig::default()).await;
    asker.status(&to, StatusQuery::default(), SOON).await.unwrap();
    drop(_serving);
    server.close().await;
    let again = bind(2, PeerConfig::default()).await;
    let _serving = again.serve(shelf);
    asker.status(&again.local_endpoint().unwrap(), StatusQuery::default(), SOON).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_is_gone_costs_no_more_than_the_deadline() {
    let asker = bind(1, PeerConfig { connect_timeout: Duration::from_millis(100), ..PeerConfig::default() }).await;
    let gone = bind(2, PeerConfig::default()).await;
    let to = gone.local_endpoint().unwrap();
    gone.close().await;
    let failed = asker.status(&to, StatusQuery::default(), SOON).await;
    assert!(matches!(failed, Err(RequestError::Transport(TransportError::Unreachable(_)))), "{failed:?}");
    let impostor = Endpoint::new(B256::repeat_byte(7), to.addresses().to_vec(), None).unwrap();
    assert!(asker.status(&impostor, StatusQuery::default(), SOON).await.is_err());
}

#[tokio::test]
async fn a_peer_under_another_key_is_not_believed() {
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), PeerConfig::default()).await;
    let other = bind(3, PeerConfig::default()).await;
    let impostor = Endpoint::new(other.local_id(), to.addresses().to_vec(), None).unwrap();
    other.close().await;
    assert!(asker.status(&impostor, StatusQuery::default(), SOON).await.is_err());
}

#[tokio::test]
async fn bodies_beyond_the_room_are_put_off() {
    let config = PeerConfig { bytes_in_flight_per_peer_max: 100_000, ..PeerConfig::default() };
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), config).await;
    contract::put(&asker, &to, 1).await.unwrap();
    let refused = contract::put(&asker, &to, 2 << 20).await;
    let busy = |reason| matches!(reason, RefusalReason::Busy { .. });
    assert!(matches!(&refused, Err(RequestError::Refused(r)) if busy(r.reason)), "{refused:?}");
}

#[tokio::test]
async fn fragments_beyond_a_slot_are_refused_unread() {
    let config = PeerConfig { fragment_bytes_max: 100_000, ..PeerConfig::default() };
    let Pair { asker, to, shelf, _serving, .. } = pair(Shelf::default(), config).await;
    let refused = contract::put(&asker, &to, 8 << 20).await;
    assert!(matches!(&refused, Err(RequestError::Refused(r)) if r.reason == RefusalReason::TooLarge), "{refused:?}");
    assert!(shelf.fragments.lock().is_empty());
}

async fn raw_connection(asker: &PeerTransport, to: &Endpoint) -> Connection {
    let id = iroh::EndpointId::from_bytes(&to.id().0).unwrap();
    let address = EndpointAddr::new(id).with_ip_addr(to.addresses()[0]);
    asker.quic.endpoint.connect(address, ALPN).await.unwrap()
}

/// Sends bytes as a request and returns the answer's kind and header, or nothing if the peer hung up.
async fn raw(connection: &Connection, bytes: &[u8], finish: bool) -> Option<(u8, Vec<u8>)> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let _ = send.write_all(bytes).await;
    if finish {
        let _ = send.finish();
    }
    let answer = receive.head().await.ok();
    drop(send);
    answer
}

#[tokio::test]
async fn hostile_bytes_are_answered_with_malformed() {
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), PeerConfig::default()).await;
    let connection = raw_connection(&asker, &to).await;
    let status = encode_request(&Request::Status(StatusQuery::default())).unwrap().head;
    let stage = encode_request(&Request::Stage(stage(1))).unwrap();
    let hostile = [
        vec![4, 255, 255, 255, 255],
        vec![77, 0, 0, 0, 0],
        [&status[..], b"more"].concat(),
        status[..7].to_vec(),
        [&stage.head[..], &stage.body[..100]].concat(),
        [&stage.head[..], &stage.body[..], b"more"].concat(),
    ];
    for bytes in hostile {
        let (kind, header) = raw(&connection, &bytes, true).await.unwrap();
        assert_eq!((kind, header[0]), (255, 14), "{} bytes", bytes.len());
    }
    assert!(raw(&connection, &status, true).await.is_some_and(|(kind, _)| kind == 131), "the connection goes on");
}

#[tokio::test]
async fn peers_that_stop_half_way_are_cut_off() {
    let limits = PeerConfig { header_timeout: Duration::from_millis(50), ..PeerConfig::default() };
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), limits).await;
    let connection = raw_connection(&asker, &to).await;
    assert_eq!(raw(&connection, &[4, 0, 0], false).await, None);
    let stage = encode_request(&Request::Stage(stage(1))).unwrap();
    let half = [&stage.head[..], &stage.body[..1000]].concat();
    let limits =
        PeerConfig { header_timeout: Duration::from_millis(50), body_rate_min: 1 << 30, ..PeerConfig::default() };
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), limits).await;
    let connection = raw_connection(&asker, &to).await;
    let (kind, header) = raw(&connection, &half, false).await.unwrap();
    assert_eq!((kind, header[0]), (255, 11), "told to come back");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let config = PeerConfig { connections_per_peer_max: 1, ..PeerConfig::default() };
    let Pair { asker, to, _serving, .. } = pair(Shelf::default(), config).await;
    let first = raw_connection(&asker, &to).await;
    let status = encode_request(&Request::Status(StatusQuery::default())).unwrap().head;
    assert!(raw(&first, &status, true).await.is_some());
    let second = raw_connection(&asker, &to).await;
    second.closed().await;
    assert!(raw(&first, &status, true).await.is_some(), "the first goes on");
    first.close(VarInt::from_u32(0), b"");
}

#[tokio::test]
async fn requests_that_nobody_would_read_are_not_sent() {
    let asker = bind(1, PeerConfig::default()).await;
    let to = asker.local_endpoint().unwrap();
    let sign = crate::message::sample::sign(0);
    let failed = asker.sign(&to, sign, SOON).await;
    assert!(matches!(failed, Err(RequestError::Transport(TransportError::InvalidRequest(_)))), "{failed:?}");
    asker.close().await;
    let failed = asker.leaves(&to, LeavesQuery { volume: 0, from: 0, limit: 1 }, SOON).await;
    assert_eq!(failed, Err(RequestError::Transport(TransportError::Closed)));
}

#[tokio::test]
async fn a_relay_that_is_no_url_is_refused() {
    let config = PeerConfig { relay: Some("not a url".into()), ..PeerConfig::default() };
    assert!(matches!(PeerTransport::bind([1; 32], ANY, config).await, Err(BindError::Relay(_))));
}
