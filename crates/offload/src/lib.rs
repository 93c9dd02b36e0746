//! Run what takes long where nobody waits for it.
//!
//! Work on disks and on many bytes goes to the threads that tokio keeps for it. A simulation has one thread and a clock
//! of its own: there the same work runs [in place](in_place), so that one seed gives one course of events, and no time
//! passes meanwhile.

use std::{cell::Cell, marker::PhantomData};

thread_local! {
    static IN_PLACE: Cell<usize> = const { Cell::new(0) };
}

/// The work was given up: its thread panicked, or the runtime is going down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work was interrupted")]
pub struct Interrupted;

/// While this lives, work that this thread hands over runs on this thread, at once.
#[must_use]
pub struct InPlace(PhantomData<*const ()>);

/// Makes this thread do its own work: for a runtime of one thread with a simulated clock.
pub fn in_place() -> InPlace {
    IN_PLACE.with(|depth| depth.set(depth.get() + 1));
    InPlace(PhantomData)
}

impl Drop for InPlace {
    fn drop(&mut self) {
        IN_PLACE.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether this thread does its own work: then other threads may work only while it waits for them.
pub fn is_in_place() -> bool {
    IN_PLACE.with(Cell::get) > 0
}

/// Runs what may block where it may.
pub async fn run<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Interrupted> {
    if is_in_place() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Interrupted)
}

/// Waits for what another thread is at. In place nothing else runs meanwhile, and the clock stands still.
pub async fn answer<F: Future>(of_another_thread: F) -> F::Output {
    if is_in_place() {
        return futures::executor::block_on(of_another_thread);
    }
    of_another_thread.await
}

/// Waits within work that was handed over. In place only for what is ready or comes from another thread: nobody else
/// runs meanwhile.
pub fn wait<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, time::Duration};

    #[tokio::test]
    async fn work_runs_elsewhere_unless_in_place() {
        let here = thread::current().id();
        assert_ne!(run(|| thread::current().id()).await, Ok(here));
        let guard = in_place();
        assert_eq!(run(|| thread::current().id()).await, Ok(here));
        drop(guard);
        assert_ne!(run(|| thread::current().id()).await, Ok(here));
    }

    #[tokio::test(start_paused = true)]
    async fn in_place_the_clock_stands_still_while_another_thread_answers() {
        let _guard = in_place();
        let before = tokio::time::Instant::now();
        let timer = tokio::spawn(tokio::time::sleep(Duration::from_secs(60)));
        tokio::task::yield_now().await;
        let (told, answered) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            told.send(7)
        });
        assert_eq!(answer(answered).await, Ok(7));
        assert_eq!(before.elapsed(), Duration::ZERO);
        timer.await.expect("it runs on");
        assert!(other.join().expect("it ends").is_ok());
    }
}
