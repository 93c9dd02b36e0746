use super::*;
use crate::{
    contract::{self, Mischief, SOON, Shelf},
    message::StatusQuery,
    transport::{FetchError, RequestError},
};

fn pair(shelf: Shelf) -> (MemoryNetwork, MemoryTransport, MemoryTransport, Arc<Shelf>) {
    let network = MemoryNetwork::new();
    let (asker, server) = (network.join(B256::repeat_byte(1)), network.join(B256::repeat_byte(2)));
    let shelf = Arc::new(shelf);
    server.serve(shelf.clone());
    (network, asker, server, shelf)
}

#[tokio::test]
async fn answers_everything() {
    let (_, asker, server, shelf) = pair(Shelf::default());
    contract::answers_everything(&asker, &server.endpoint()).await;
    assert!(shelf.callers.lock().iter().all(|caller| *caller == asker.id()));
}

#[tokio::test]
async fn refuses_in_words() {
    let (_, asker, server, _) = pair(Shelf { closed_volume: Some(12), ..Shelf::default() });
    contract::refuses_in_words(&asker, &server.endpoint()).await;
}

#[tokio::test]
async fn catches_lies() {
    let shelf = |mischief| Shelf { mischief, ..Shelf::default() };
    let (_, asker, server, _) = pair(shelf(Mischief::FlipBit));
    contract::catches_flipped_bits(&asker, &server.endpoint()).await;
    let (_, asker, server, _) = pair(shelf(Mischief::TooMuch));
    contract::catches_too_much(&asker, &server.endpoint()).await;
    let (_, asker, server, _) = pair(shelf(Mischief::WrongKind));
    contract::catches_the_wrong_kind(&asker, &server.endpoint()).await;
}

#[tokio::test(start_paused = true)]
async fn faults_do_what_they_say() {
    let (network, asker, server, shelf) = pair(Shelf::default());
    let to = server.endpoint();
    let segment = contract::put(&asker, &to, 300_000).await.unwrap();
    let status = |deadline| asker.status(&to, StatusQuery::default(), deadline);

    network.set_faults(server.id(), Faults { latency: Duration::from_secs(3), ..Faults::default() });
    assert_eq!(status(Duration::from_secs(2)).await, Err(TransportError::Deadline.into()));
    assert!(status(Duration::from_secs(4)).await.is_ok());

    network.set_faults(server.id(), Faults { behaviour: Behaviour::Stall, ..Faults::default() });
    assert_eq!(status(SOON).await, Err(TransportError::Deadline.into()));

    network.set_behaviour(server.id(), Behaviour::Gone);
    assert!(matches!(status(SOON).await, Err(RequestError::Transport(TransportError::Unreachable(_)))));

    network.set_behaviour(server.id(), Behaviour::Lie);
    assert!(matches!(asker.fetch(&to, contract::third(segment, None), SOON).await, Err(FetchError::Lied(_))));
    let held = shelf.fragments.lock().len();
    contract::put(&asker, &to, 1).await.unwrap();
    assert_eq!(shelf.fragments.lock().len(), held, "a liar says that it staged");

    network.set_behaviour(server.id(), Behaviour::LoseAnswer);
    assert!(matches!(contract::put(&asker, &to, 1).await, Err(RequestError::Transport(TransportError::Broken(_)))));
    assert_eq!(shelf.fragments.lock().len(), held + 1, "the request took effect");
}

#[tokio::test]
async fn strangers_are_unreachable() {
    let (network, asker, server, _) = pair(Shelf::default());
    let stranger = MemoryNetwork::endpoint(B256::repeat_byte(9));
    assert!(asker.status(&stranger, StatusQuery::default(), SOON).await.is_err());
    server.stop();
    assert!(network.join(asker.id()).status(&server.endpoint(), StatusQuery::default(), SOON).await.is_err());
}
