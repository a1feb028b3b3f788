//! Runs work that may block, such as an access to a disk, on threads other than those of the runtime.
//!
//! A daemon has a pool for this. A command line has none: there, tokio's pool does the work. The daemon does
//! not use tokio's pool, because tokio wakes the thread that has been idle for the longest time, so that
//! after a busy moment a few calls a second keep every thread alive, and because tokio panics when no thread
//! exists and none can be created.
//!
//! The rules of the pool:
//! - The pool grows while no thread is idle, up to [`MOST_THREADS`]. So work that hangs, such as an access to a
//!   disk without an answer, delays no other work, and the daemon continues to answer.
//! - The thread that became idle last gets the next work. A thread that got none for [`SURPLUS_FOR`] ends.
//! - One idle thread never ends. A daemon that may not create threads still has it, and work that finds no
//!   thread waits until a thread is idle or can be created.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a thread stays idle before it ends, unless it is the only idle one.
const SURPLUS_FOR: Duration = Duration::from_secs(2);
/// The largest number of threads. Further work waits for one of them.
const MOST_THREADS: usize = 512;

/// The pool of this process, if it is a daemon.
static POOL: OnceLock<Arc<Pool>> = OnceLock::new();

/// The work panicked, so it has no result.
#[derive(Debug, thiserror::Error)]
#[error("internal fault (please report it): {0}")]
pub(crate) struct Panicked(String);

impl From<Panicked> for io::Error {
    fn from(panicked: Panicked) -> io::Error {
        io::Error::other(panicked)
    }
}

/// Creates the pool of this process, with its first thread. The work can use `runtime`.
pub(crate) fn start(runtime: &Handle) -> io::Result<()> {
    let pool = Pool::start(MOST_THREADS, SURPLUS_FOR, Some(runtime.clone()))?;
    // Only the first call counts. The thread of a second pool would stay idle.
    drop(POOL.set(pool));
    Ok(())
}

/// Starts `work` on a thread that may block. The returned future waits for its result; the work continues if
/// the future is dropped.
pub(crate) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Panicked>> + Send + 'static {
    let (sender, result) = oneshot::channel();
    let job = move || {
        let done = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(message(panic.as_ref())));
        // Sending fails if nobody waits for the result any more.
        drop(sender.send(done));
    };
    match POOL.get() {
        Some(pool) => pool.submit(Box::new(job)),
        None => drop(tokio::task::spawn_blocking(job)),
    }
    async { result.await.unwrap_or_else(|_| Err(Panicked("the runtime ended before the work".to_owned()))) }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    most_threads: usize,
    surplus_for: Duration,
    runtime: Option<Handle>,
}

#[derive(Default)]
struct State {
    /// The work that no thread has begun, oldest first.
    jobs: VecDeque<Job>,
    /// The idle threads; the last one became idle last.
    idle: Vec<Thread>,
    threads: usize,
}

impl Pool {
    fn start(most_threads: usize, surplus_for: Duration, runtime: Option<Handle>) -> io::Result<Arc<Pool>> {
        let pool = Arc::new(Pool { state: Mutex::default(), most_threads, surplus_for, runtime });
        pool.grow(&mut pool.state())?;
        Ok(pool)
    }

    fn submit(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        if let Some(thread) = state.idle.pop() {
            drop(state);
            thread.unpark();
        } else if state.threads < self.most_threads {
            // If this fails, the work waits for a thread that is busy now, or for the next work.
            drop(self.grow(&mut state));
        }
    }

    /// Creates a thread.
    fn grow(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let pool = Arc::clone(self);
        thread::Builder::new().name("boi-blocking".to_owned()).spawn(move || {
            let _runtime = pool.runtime.as_ref().map(Handle::enter);
            pool.work();
        })?;
        state.threads += 1;
        Ok(())
    }

    /// What a thread of the pool does: work, until there is none for a while.
    fn work(&self) {
        let own = thread::current();
        let is_own = |thread: &Thread| thread.id() == own.id();
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state();
                continue;
            }
            state.idle.push(own.clone());
            let mut limit = Some(self.surplus_for);
            // Whoever submits work removes the thread that it wakes.
            while state.idle.iter().any(is_own) {
                drop(state);
                match limit {
                    Some(limit) => thread::park_timeout(limit),
                    None => thread::park(),
                }
                state = self.state();
                if limit.is_some() && state.idle.len() > 1 && state.idle.iter().any(is_own) {
                    state.idle.retain(|thread| !is_own(thread));
                    state.threads -= 1;
                    return;
                }
                // Threads that become idle later end, as long as this one is idle.
                limit = None;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    fn wait_until(pool: &Pool, is: impl Fn(&State) -> bool) {
        while !is(&pool.state()) {
            thread::yield_now();
        }
    }

    #[tokio::test]
    async fn work_has_a_result_or_panicked() {
        assert_eq!(run(|| 7).await.unwrap(), 7);
        let panicked = run(|| panic!("planted {}", 1)).await.unwrap_err();
        assert_eq!(panicked.to_string(), "internal fault (please report it): planted 1");
        let panicked = run(|| panic!("planted")).await.unwrap_err();
        assert!(panicked.to_string().ends_with(": planted"));
    }

    #[test]
    fn surplus_threads_end_and_one_stays() {
        let pool = Pool::start(MOST_THREADS, Duration::ZERO, None).unwrap();
        let all_run = Arc::new(Barrier::new(9));
        for _ in 0..8 {
            let all_run = Arc::clone(&all_run);
            pool.submit(Box::new(move || {
                all_run.wait();
            }));
        }
        all_run.wait();
        wait_until(&pool, |state| state.threads == 1 && state.idle.len() == 1);
        let (done, answer) = channel();
        pool.submit(Box::new(move || done.send(()).unwrap()));
        answer.recv().unwrap();
    }

    #[test]
    fn hanging_work_delays_no_other_work_and_leaves_an_idle_thread() {
        let pool = Pool::start(MOST_THREADS, Duration::ZERO, None).unwrap();
        let (release, released) = channel::<()>();
        pool.submit(Box::new(move || released.recv().unwrap_err().to_string().clear()));
        let (done, answer) = channel();
        for _ in 0..100 {
            let done = done.clone();
            pool.submit(Box::new(move || done.send(()).unwrap()));
            answer.recv().unwrap();
        }
        wait_until(&pool, |state| state.threads == 2 && state.idle.len() == 1);
        drop(release);
        wait_until(&pool, |state| state.threads == 1 && state.idle.len() == 1);
    }

    #[test]
    fn work_waits_for_a_thread_if_none_can_be_created() {
        let pool = Pool::start(1, Duration::ZERO, None).unwrap();
        let (release, released) = channel::<()>();
        pool.submit(Box::new(move || released.recv().unwrap_err().to_string().clear()));
        let (done, answer) = channel();
        for number in 0..3 {
            let done = done.clone();
            pool.submit(Box::new(move || done.send(number).unwrap()));
        }
        wait_until(&pool, |state| state.jobs.len() == 3);
        drop(release);
        assert_eq!(answer.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
