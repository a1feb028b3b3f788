//! Repeats checks, on one thread of a daemon. A check that finds nothing wakes no other thread. (A timer of the
//! runtime wakes the runtime's thread up to three times for each wait of some seconds.)

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::blocking;

/// The thread of this process that repeats checks, if the process is a daemon.
static THREAD: OnceLock<Sender<Entry>> = OnceLock::new();

/// A check that is repeated until it finds something, with what it found. Dropping the future ends the check.
pub(crate) type Repeated<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts the thread of this process.
pub(crate) fn start() -> io::Result<()> {
    let (sender, inbox) = channel();
    thread::Builder::new().name("boi-repeat".to_owned()).spawn(move || work(&inbox))?;
    // Only the first call counts. The thread of a second call ends, because its sender is dropped.
    drop(THREAD.set(sender));
    Ok(())
}

/// Repeats `check` after each pause of this length until it finds something. In a process without the thread, the
/// runtime's timer and a thread for each check do the same.
pub(crate) fn until_found<T: Send + 'static>(
    every: Duration,
    mut check: impl FnMut() -> Option<T> + Send + 'static,
) -> Repeated<T> {
    match THREAD.get() {
        Some(thread) => until_found_on(thread, every, check),
        None => Box::pin(async move {
            loop {
                tokio::time::sleep(every).await;
                let once = move || (check(), check);
                match blocking::run(once).await {
                    Ok((Some(found), _)) => return found,
                    Ok((None, again)) => check = again,
                    // The check panicked, so it finds nothing.
                    Err(_) => return std::future::pending().await,
                }
            }
        }),
    }
}

fn until_found_on<T: Send + 'static>(
    thread: &Sender<Entry>,
    every: Duration,
    mut check: impl FnMut() -> Option<T> + Send + 'static,
) -> Repeated<T> {
    let (sender, found) = oneshot::channel();
    let mut sender = Some(sender);
    let has_found = move || {
        let Some(found) = check() else { return false };
        // Sending fails if nobody waits any more.
        if let Some(sender) = sender.take() {
            drop(sender.send(found));
        }
        true
    };
    let state = Arc::new(Mutex::new(State::Pausing(Box::new(has_found))));
    // Sending fails only if the thread has ended, which it does not.
    drop(thread.send(Entry { due: Instant::now() + every, every, state: Arc::clone(&state) }));
    // Made here, because a future that is dropped before its first poll must end the check too.
    let ended = EndOnDrop(state);
    Box::pin(async move {
        let _ended = ended;
        match found.await {
            Ok(found) => found,
            // The check panicked, so it finds nothing.
            Err(_) => std::future::pending().await,
        }
    })
}

/// Returns whether the check found something.
type Check = Box<dyn FnMut() -> bool + Send>;

enum State {
    /// The check waits for its next run.
    Pausing(Check),
    /// The check runs now. Nobody waits for its end, since it may hang.
    Running,
    /// The check found something, or nobody waits for it any more.
    Ended,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a check, and drops what it owns, when nobody waits for it any more.
struct EndOnDrop(Arc<Mutex<State>>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let _check = std::mem::replace(&mut *lock(&self.0), State::Ended);
    }
}

struct Entry {
    due: Instant,
    every: Duration,
    state: Arc<Mutex<State>>,
}

impl Entry {
    /// Runs the check if it is due. Returns whether it goes on.
    fn goes_on(&mut self, now: Instant) -> bool {
        if self.due > now {
            return !matches!(*lock(&self.state), State::Ended);
        }
        let before = std::mem::replace(&mut *lock(&self.state), State::Running);
        let State::Pausing(mut check) = before else {
            *lock(&self.state) = State::Ended;
            return false;
        };
        let has_ended = catch_unwind(AssertUnwindSafe(&mut check)).unwrap_or(true);
        self.due = Instant::now() + self.every;
        let mut state = lock(&self.state);
        let goes_on = !has_ended && matches!(*state, State::Running);
        *state = if goes_on { State::Pausing(check) } else { State::Ended };
        goes_on
    }
}

fn work(inbox: &Receiver<Entry>) {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let received = match entries.iter().map(|entry| entry.due).min() {
            None => inbox.recv().map_err(RecvTimeoutError::from),
            Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match received {
            Ok(entry) => entries.push(entry),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        entries.retain_mut(|entry| entry.goes_on(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> Sender<Entry> {
        let (sender, inbox) = channel();
        thread::spawn(move || work(&inbox));
        sender
    }

    #[tokio::test]
    async fn a_check_is_repeated_until_it_finds_something() {
        let thread = thread();
        let mut times = 0;
        let third = move || {
            times += 1;
            (times == 3).then_some(times)
        };
        assert_eq!(until_found_on(&thread, Duration::from_millis(1), third).await, 3);
        assert_eq!(until_found(Duration::from_millis(1), third).await, 3);
    }

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_is_dropped_and_others_go_on() {
        let thread = thread();
        let owned = Arc::new(());
        let check = {
            let owned = Arc::clone(&owned);
            move || -> Option<()> {
                assert_eq!(*owned, ());
                None
            }
        };
        let unwanted = until_found_on(&thread, Duration::from_secs(3600), check);
        assert_eq!(Arc::strong_count(&owned), 2);
        drop(unwanted);
        assert_eq!(Arc::strong_count(&owned), 1);
        let panicking = until_found_on(&thread, Duration::ZERO, || -> Option<()> { panic!("planted") });
        assert_eq!(until_found_on(&thread, Duration::ZERO, || Some(7)).await, 7);
        drop(panicking);
        assert_eq!(until_found_on(&thread, Duration::ZERO, || Some(8)).await, 8);
    }
}
