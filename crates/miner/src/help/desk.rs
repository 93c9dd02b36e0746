//! Let so many rebuilds for others run at once, those of the worst volumes first.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Requests that wait for a slot.
const WAITING_MAX: usize = 32;
/// Longest wait.
const WAIT: Duration = Duration::from_secs(10);

/// Slots for rebuilds, and who waits for one.
pub(crate) struct Desk {
    slots: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    taken: usize,
    tickets: u64,
    /// By the volume's live members, then in the order of their coming.
    waiting: BTreeMap<(u16, u64), oneshot::Sender<Slot>>,
}

/// A slot that is taken until this is dropped.
pub(crate) struct Slot(Arc<Desk>);

impl Desk {
    pub(crate) fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self { slots, queue: Mutex::default() })
    }

    /// Takes a slot, or waits for one a while; nothing if there is none in time. Volumes with fewer live members come first.
    pub(crate) async fn take(self: &Arc<Self>, live: u16) -> Option<Slot> {
        let (waiter, place) = {
            let mut queue = self.queue.lock();
            if queue.taken < self.slots {
                queue.taken += 1;
                return Some(Slot(self.clone()));
            }
            if self.slots == 0 || queue.waiting.len() >= WAITING_MAX {
                return None;
            }
            queue.tickets += 1;
            let place = (live, queue.tickets);
            let (sender, waiter) = oneshot::channel();
            queue.waiting.insert(place, sender);
            (waiter, place)
        };
        // Whoever stops waiting leaves the queue, also if the peer hangs up.
        let _leave = Leave(self, place);
        tokio::time::timeout(WAIT, waiter).await.ok()?.ok()
    }

    /// Hands a slot that is free to who has waited for it.
    fn pass_on(self: &Arc<Self>) {
        let next = {
            let mut queue = self.queue.lock();
            let next = queue.waiting.pop_first();
            if next.is_none() {
                queue.taken -= 1;
            }
            next
        };
        // If nobody is there any more the slot comes back, and is passed on again as it is dropped.
        if let Some((_, waiter)) = next {
            drop(waiter.send(Slot(self.clone())));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

struct Leave<'a>(&'a Desk, (u16, u64));

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let left = self.0.queue.lock().waiting.remove(&self.1);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_worst_volume_is_served_first() {
        let desk = Desk::new(1);
        let first = desk.take(7).await.expect("it is free");
        let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = tokio::task::JoinSet::new();
        for live in [7, 5, 6] {
            let (desk, order) = (desk.clone(), order.clone());
            tasks.spawn(async move {
                let slot = desk.take(live).await;
                order.send(live).expect("the test listens");
                drop(slot);
            });
        }
        tokio::task::yield_now().await;
        drop(first);
        for expected in [5, 6, 7] {
            assert_eq!(served.recv().await, Some(expected));
        }
        assert_eq!(desk.queue.lock().taken, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_a_slot_is_never_lost() {
        let desk = Desk::new(1);
        let slot = desk.take(7).await.expect("it is free");
        assert!(desk.take(5).await.is_none(), "not in time");
        let given_up = tokio::time::timeout(Duration::from_secs(1), desk.take(5)).await;
        assert!(given_up.is_err());
        assert!(desk.queue.lock().waiting.is_empty());
        drop(slot);
        assert!(desk.take(7).await.is_some());
        assert!(Desk::new(0).take(0).await.is_none(), "who helps nobody says so at once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded() {
        let desk = Desk::new(1);
        let _slot = desk.take(7).await.expect("it is free");
        let waiting: Vec<_> = (0..=WAITING_MAX).map(|_| desk.take(7)).collect();
        let began = tokio::time::Instant::now();
        let mut waiting = futures::stream::FuturesUnordered::from_iter(waiting);
        assert!(futures::StreamExt::next(&mut waiting).await.expect("one is refused").is_none());
        assert_eq!(began.elapsed(), Duration::ZERO, "at once");
    }
}
