//! Runs the hooks of the configuration: for each hook a task, which delivers one event after another to the
//! hook's command. `decide::hook` decides when; the queue stores the progress.
//!
//! A hook that hangs or fails delays only its own events. When the daemon ends, each hook may still deliver
//! what has happened, for a short time; the next daemon delivers the rest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::handle::Handle;
use crate::config::HookConfig;
use crate::decide::hook::{HookState, Next};
use crate::domain::event::{Event, EventFilter};
use crate::domain::time::Timestamp;
use crate::domain::view::HookView;
use crate::process::bounded;
use crate::process::hook::{self, HookEnd, HookRun};
use crate::process::marker::marker_of_hook;
use crate::queue::QueueError;
use crate::system::paths::Home;
use crate::system::{blocking, clock, failpoint};

/// The most events that a hook reads at once.
const PART: u32 = 64;
/// After how many events that a hook does not get its progress is stored.
const STORE_AFTER: i64 = 1_000;
/// The pause before a failed operation of the queue is repeated.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the hooks of a daemon that ends may deliver what has happened.
const LAST_DELIVERIES: Duration = Duration::from_secs(3);
/// How long a daemon that ends waits for the end of hooks that were told to end.
const ENDS_WITHIN: Duration = Duration::from_secs(6);

/// What the hooks wait for, and how far they are behind.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    reloaded: Notify,
    /// For each hook that has not got all of its events, when the oldest of them happened.
    behind: Mutex<BTreeMap<String, Timestamp>>,
}

impl Hooks {
    /// Tells that a new configuration is in force.
    pub(super) fn reloaded(&self) {
        self.reloaded.notify_one();
    }

    fn behind(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_behind(&self, hook: &str, since: Option<Timestamp>) {
        match since {
            Some(since) => self.behind().insert(hook.to_owned(), since),
            None => self.behind().remove(hook),
        };
    }

    /// Adds to each view how far its hook is behind.
    pub(super) fn complete(&self, views: &mut [HookView]) {
        let behind = self.behind();
        for view in views {
            view.behind_since = behind.get(&view.name).copied().or(view.behind_since);
        }
    }
}

/// A hook of the configuration in force, and its task.
struct Running {
    /// Dropping it ends the task.
    config: watch::Sender<HookConfig>,
    /// Whether a command of the hook must be ended now.
    end: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// Runs the hooks of the configuration in force until `finishing` turns true.
pub(super) async fn run(handle: Handle, home: Home, mut finishing: watch::Receiver<bool>) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    loop {
        let wanted = handle.hot.load().config.hooks.clone();
        let again = match set(&handle, &wanted).await {
            Ok(states) => {
                reconcile(&handle, &home, &finishing, &mut running, wanted, states);
                None
            }
            Err(error) => {
                warn!(%error, "the daemon cannot read the progress of the hooks; it tries again in a second");
                Some(AGAIN)
            }
        };
        // Cancel-safe: all branches only wait.
        tokio::select! {
            () = handle.shared.hooks.reloaded.notified() => {}
            () = sleep(again.unwrap_or_default()), if again.is_some() => {}
            _ = finishing.wait_for(|finishing| *finishing) => break,
        }
    }
    let until = Instant::now() + LAST_DELIVERIES;
    for hook in running.values_mut() {
        if timeout_at(until, &mut hook.task).await.is_err() {
            hook.end.store(true, Ordering::SeqCst);
        }
    }
    let until = Instant::now() + ENDS_WITHIN;
    for (name, hook) in &mut running {
        if !hook.task.is_finished() && timeout_at(until, &mut hook.task).await.is_err() {
            warn!(hook = name, "the command of a hook does not end; it is killed together with the daemon");
        }
    }
}

/// Makes these the hooks of the queue, and returns their states.
async fn set(handle: &Handle, wanted: &[HookConfig]) -> Result<Vec<HookState>, QueueError> {
    let wanted: Vec<_> = wanted.iter().map(|hook| (hook.name.clone(), hook.on.clone())).collect();
    let set = move |queue: &dyn crate::queue::Queue| {
        let known = queue.hooks()?;
        let is_known = |(name, on): &(_, _)| known.iter().any(|known| known.name == *name && known.on == *on);
        if known.len() == wanted.len() && wanted.iter().all(is_known) { Ok(known) } else { queue.set_hooks(wanted) }
    };
    handle.queue(set).await
}

/// Starts and ends tasks so that exactly the wanted hooks have one.
fn reconcile(
    handle: &Handle,
    home: &Home,
    finishing: &watch::Receiver<bool>,
    running: &mut BTreeMap<String, Running>,
    wanted: Vec<HookConfig>,
    states: Vec<HookState>,
) {
    running.retain(|name, hook| {
        let stays = wanted.iter().any(|wanted| wanted.name == *name);
        if !stays {
            hook.end.store(true, Ordering::SeqCst);
            handle.shared.hooks.set_behind(name, None);
        }
        stays
    });
    for hook in wanted {
        if let Some(known) = running.get(&hook.name) {
            known.config.send_if_modified(|config| std::mem::replace(config, hook.clone()) != hook);
            continue;
        }
        let Some(state) = states.iter().find(|state| state.name == hook.name).cloned() else { continue };
        info!(hook = hook.name, cursor = %state.cursor, "the hook gets events");
        let name = hook.name.clone();
        let (config, configs) = watch::channel(hook);
        let end = Arc::new(AtomicBool::new(false));
        let deliveries = Deliveries {
            handle: handle.clone(),
            home: home.clone(),
            marker: marker_of_hook(home.root(), &name),
            config: configs,
            finishing: finishing.clone(),
            end: Arc::clone(&end),
            stored: state.cursor.0,
            state,
            has_run: false,
        };
        let task = tokio::spawn(deliveries.run());
        running.insert(name, Running { config, end, task });
    }
}

/// Whether a hook goes on with its next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    /// The hook was removed, or the daemon is ending.
    Ends,
}

/// The deliveries to one hook.
struct Deliveries {
    handle: Handle,
    home: Home,
    marker: String,
    config: watch::Receiver<HookConfig>,
    finishing: watch::Receiver<bool>,
    end: Arc<AtomicBool>,
    state: HookState,
    /// The cursor that the queue has stored.
    stored: i64,
    /// Whether a command of the hook has run in this daemon.
    has_run: bool,
}

impl Deliveries {
    async fn run(mut self) {
        let mut committed = self.handle.queue.committed();
        loop {
            // What is committed before the daemon finishes is in the page that is read afterwards.
            let is_finishing = *self.finishing.borrow();
            committed.borrow_and_update();
            let (after, kinds) = (self.state.cursor, self.config.borrow_and_update().on.clone());
            self.state.on.clone_from(&kinds);
            let filter = EventFilter { specs: Vec::new(), kinds };
            let page = match self.handle.queue.look(move |queue| queue.events(after, &filter, PART)).await {
                Ok(page) => page,
                Err(_) if is_finishing => return,
                Err(_) => {
                    sleep(AGAIN).await;
                    continue;
                }
            };
            for event in page.events {
                if self.deliver(event).await == Goes::Ends {
                    return;
                }
            }
            self.state.pass(page.next);
            if self.state.cursor.0 - self.stored >= STORE_AFTER || is_finishing && page.is_last {
                self.store().await;
            }
            if !page.is_last {
                continue;
            }
            self.handle.shared.hooks.set_behind(&self.state.name, None);
            if is_finishing {
                return;
            }
            // Cancel-safe: all branches only wait.
            tokio::select! {
                changed = committed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                changed = self.config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = self.finishing.wait_for(|finishing| *finishing) => {}
            }
        }
    }

    /// Delivers one event, or skips it.
    async fn deliver(&mut self, event: Event) -> Goes {
        let cursor = event.cursor;
        self.handle.shared.hooks.set_behind(&self.state.name, Some(event.at));
        loop {
            // The retention may have removed the event meanwhile.
            if cursor <= self.state.cursor {
                return Goes::On;
            }
            match self.state.next(cursor, clock::now()) {
                Next::Skip => {
                    warn!(hook = self.state.name, %cursor, kind = event.what.kind_name(), "the delivery of an event to a hook failed for a day; the event is skipped");
                    self.state.skip(cursor);
                    self.store().await;
                    self.handle.shared.changed();
                    return Goes::On;
                }
                Next::Wait(until) => {
                    if self.wait(until).await == Goes::Ends {
                        return Goes::Ends;
                    }
                }
                Next::Deliver => match self.run_command(&event).await {
                    HookEnd::Ordered => return Goes::Ends,
                    HookEnd::Succeeded(output) => {
                        debug!(hook = self.state.name, %cursor, output, "an event was delivered to a hook");
                        failpoint::hit("hook.delivered");
                        let failed_before = self.state.failing.is_some();
                        self.state.delivered(cursor);
                        self.store().await;
                        if failed_before {
                            self.handle.shared.changed();
                        }
                        return Goes::On;
                    }
                    HookEnd::Failed(error) => {
                        warn!(hook = self.state.name, %cursor, kind = event.what.kind_name(), error, "the command of a hook failed; boi delivers the event again after a pause of at most 10 min");
                        self.state.failed(cursor, event.what.kind_name(), error, clock::now());
                        self.store().await;
                        self.handle.shared.changed();
                    }
                },
            }
        }
    }

    /// Waits until the next delivery of a failing event. Changed settings are tried at once.
    async fn wait(&mut self, until: Timestamp) -> Goes {
        let wait = Duration::from_millis(u64::try_from(until.millis_since(clock::now())).unwrap_or(0));
        // Cancel-safe: all branches only wait.
        tokio::select! {
            () = sleep(wait) => Goes::On,
            changed = self.config.changed() => match changed {
                Ok(()) => {
                    self.state.hurry(clock::now());
                    Goes::On
                }
                Err(_) => Goes::Ends,
            },
            _ = self.finishing.wait_for(|finishing| *finishing) => Goes::Ends,
        }
    }

    async fn run_command(&mut self, event: &Event) -> HookEnd {
        let HookConfig { name, command, timeout_seconds, .. } = self.config.borrow_and_update().clone();
        let mut input = serde_json::to_vec(event).unwrap_or_default();
        input.push(b'\n');
        let variables = [
            ("BOI_HOME", self.home.root().display().to_string()),
            ("BOI_HOOK", name),
            ("BOI_EVENT", event.what.kind_name().to_owned()),
        ];
        let (marker, end, folder) = (self.marker.clone(), Arc::clone(&self.end), self.home.root().to_owned());
        let is_first = !std::mem::replace(&mut self.has_run, true);
        let run = move || {
            if is_first {
                // A daemon that was killed may have left the command of this hook.
                bounded::end_marked(&marker);
            }
            hook::run(&HookRun {
                command: &command,
                folder: &folder,
                input: &input,
                variables: &variables,
                marker: &marker,
                within: Duration::from_secs(timeout_seconds.into()),
                is_ordered_to_end: &|| end.load(Ordering::SeqCst),
            })
        };
        blocking::run(run).await.unwrap_or_else(|panicked| HookEnd::Failed(panicked.to_string()))
    }

    /// Stores the progress. If the retention has overtaken the hook meanwhile, takes over what it stored.
    async fn store(&mut self) {
        let state = self.state.clone();
        let store = move |queue: &dyn crate::queue::Queue| {
            if queue.record_hook(&state)? {
                return Ok(None);
            }
            Ok(queue.hooks()?.into_iter().find(|stored| stored.name == state.name))
        };
        match self.handle.queue.look(store).await {
            Ok(overtaken) => {
                if let Some(stored) = overtaken {
                    self.state = stored;
                }
                self.stored = self.state.cursor.0;
            }
            Err(error) => {
                warn!(hook = self.state.name, %error, "the queue cannot store the progress of a hook; the next daemon would deliver these events again");
            }
        }
    }
}
