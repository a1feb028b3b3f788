//! The reload thread: waits for file events, reload requests and the time of the next poll, reads the file
//! when it has settled, and passes the content to the [`Judge`].

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::content_hash::ContentHash;
use super::file_watch::{self, FileWatch};
use super::judge::{Content, Judge, Unread, is_blank, keeps_changing};
use super::look::{self, Look};
use super::mounts::ForeignMount;
use super::path_chain::{FileState, PathChain};
use super::read_file::FileContent;
use super::settle::{Decision, FileEvent, Observation, OpenForWriting, STILL, Settle, WaitReason};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Trigger, WatchMode};
use crate::process::look_process::LookProcess;
use crate::process::procfs;
use crate::system::clock;

/// Interval at which the file's state is compared with its state at the last read, even if no event came.
const POLL: Duration = Duration::from_secs(2);

/// Maximum number of times that a watch is rebuilt because the chain changed while it was built. After that,
/// the next poll rebuilds the watch.
const MAX_REBUILDS: usize = 3;

/// Maximum number of waiting messages that the thread handles before it checks the time again.
const MAX_MESSAGES: usize = 4096;

/// What the reload thread receives.
enum Message {
    Event(FileEvent),
    /// A look in a separate process has ended.
    Looked(Result<Look, String>),
    Stop,
}

/// How long a dropped [`Reloader`] waits for the end of its thread. It does not wait longer for a thread that
/// a file system without an answer blocks.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Why the thread looks at the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To judge its content.
    Reload,
    /// To find changes that no event reports.
    Poll,
}

/// A running look at a file on a foreign mount, in a separate process.
struct PendingLook {
    purpose: Purpose,
    mount: ForeignMount,
    since: Duration,
    began: Timestamp,
    _process: LookProcess,
}

/// The running reload thread. Dropping this value stops the thread.
pub struct Reloader {
    sender: Sender<Message>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// A handle that requests reloads. The daemon uses it when SIGHUP arrives.
#[derive(Clone)]
pub struct ReloadHandle(Sender<Message>);

impl ReloadHandle {
    /// Requests a reload. Its verdict comes from a read that begins after this call.
    pub fn request(&self) {
        // Sending fails only when the thread has ended.
        drop(self.0.send(Message::Event(FileEvent::Requested)));
    }
}

impl Reloader {
    /// Starts the thread.
    pub fn start(judge: Judge) -> std::io::Result<Reloader> {
        let (sender, inbox) = mpsc::channel();
        let (alive, ended) = mpsc::channel();
        let own = sender.clone();
        let run = move || {
            Actor::new(judge, own).run(&inbox);
            drop(alive);
        };
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(run)?;
        Ok(Reloader { sender, ended, thread: Some(thread) })
    }

    /// Returns a handle that requests reloads.
    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle(self.sender.clone())
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        drop(self.sender.send(Message::Stop));
        if self.ended.recv_timeout(ENDS_WITHIN) == Err(RecvTimeoutError::Timeout) {
            warn!(
                "the configuration file's file system does not answer: the daemon no longer waits for its reload thread to end"
            );
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the reload thread panicked: the daemon reloaded no configuration after that");
        }
    }
}

/// The state of the reload thread. Times are durations since `started`.
struct Actor {
    judge: Judge,
    sender: Sender<Message>,
    started: Instant,
    settle: Settle,
    trigger: Trigger,
    /// The watch, and the chain that it watches.
    watch: Option<(FileWatch, PathChain)>,
    /// Whether the watch may have lost events.
    is_lossy: bool,
    /// The reason why the file cannot be watched. It is set when that is logged, so that it is logged only
    /// once.
    unwatchable: Option<String>,
    /// The state of the path when the file was last read; see [`FileState::of`].
    state: FileState,
    /// The hash of what the last look found; `None`: there was no look yet.
    seen: Option<ContentHash>,
    /// The look that has not been answered yet.
    pending: Option<PendingLook>,
    /// When to poll next.
    next_poll: Duration,
}

impl Actor {
    fn new(judge: Judge, sender: Sender<Message>) -> Actor {
        let mut settle = Settle::new(file_watch::REPORTS_CLOSE);
        let seen = judge.boot_look();
        if let Some(seen) = seen {
            settle.note_judged(seen);
        }
        Actor {
            state: judge.boot_state().clone(),
            judge,
            sender,
            started: Instant::now(),
            settle,
            trigger: Trigger::File,
            watch: None,
            is_lossy: false,
            unwatchable: None,
            seen,
            pending: None,
            next_poll: POLL,
        }
    }

    fn run(mut self, inbox: &Receiver<Message>) {
        // The file may have changed after the boot read it and before the watch began.
        self.rewatch();
        self.compare(Trigger::File);
        loop {
            match inbox.recv_timeout(self.wakes_at().saturating_sub(self.now())) {
                Ok(first) => {
                    for message in std::iter::once(first).chain(inbox.try_iter().take(MAX_MESSAGES)) {
                        match message {
                            Message::Event(event) => self.on_event(event),
                            Message::Looked(look) => self.on_answer(look),
                            Message::Stop => return,
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.next_poll <= self.now() {
                self.next_poll = self.now() + POLL;
                self.poll();
            }
            if self.is_overdue() {
                self.give_up_waiting();
            } else if self.pending.is_none() && self.settle.due().is_some_and(|due| due <= self.now()) {
                self.look(Purpose::Reload);
            }
        }
    }

    /// Returns when the thread must act even if no message comes.
    fn wakes_at(&self) -> Duration {
        let due = match &self.pending {
            // A read that is due waits for the answer, up to the limit.
            Some(pending) if !self.judge.is_look_pending() => Some(pending.since + look::PATIENCE),
            _ => self.settle.due(),
        };
        due.map_or(self.next_poll, |due| due.min(self.next_poll))
    }

    /// Whether a missing answer to a look must be reported: once at the time limit, and again whenever a read
    /// is due after that.
    fn is_overdue(&self) -> bool {
        let Some(pending) = &self.pending else { return false };
        let is_late = pending.since + look::PATIENCE <= self.now();
        is_late && (!self.judge.is_look_pending() || self.settle.due().is_some_and(|due| due <= self.now()))
    }

    /// Makes the verdict that the file system does not answer. A later answer is still used.
    fn give_up_waiting(&mut self) {
        let Some(pending) = &self.pending else { return };
        let (why, began) = (look::unanswered(&self.judge.path(), &pending.mount), pending.began);
        self.judge.set_look_pending(Some(began));
        self.decide(Look::failed(why));
    }

    fn on_answer(&mut self, answer: Result<Look, String>) {
        let Some(pending) = self.pending.take() else { return };
        self.judge.set_look_pending(None);
        let is_late = pending.since + look::PATIENCE <= self.now();
        let look = answer.unwrap_or_else(Look::failed);
        // A late answer may show an old state of the file.
        self.on_look(if is_late { Purpose::Poll } else { pending.purpose }, look);
    }

    fn on_event(&mut self, event: FileEvent) {
        debug!(?event, "the reload thread received an event of the configuration file or a reload request");
        let now = self.now();
        if self.settle.due().is_none() {
            self.trigger = Trigger::File;
        }
        match event {
            FileEvent::Requested => {
                self.judge.count_request();
                self.trigger = Trigger::Signal;
            }
            FileEvent::Unknown => self.is_lossy = true,
            _ => {}
        }
        self.settle.on_event(now, event);
    }

    /// Finds changes of the file that the watch missed.
    fn poll(&mut self) {
        let state = FileState::of(&self.judge.path());
        let is_same = state == self.state;
        if self.keep_watch_on(state.chain()) || !is_same {
            // An event that came before the new watch is lost.
            self.compare(Trigger::Poll);
        }
        let is_idle = self.settle.due().is_none() && self.pending.is_none();
        // If events report every change of the file, and the verdict depends on nothing else, a comparison of
        // states is enough.
        let watched = self.watch.as_ref().is_some_and(|(_, chain)| chain.foreign().is_none());
        if is_idle && (!watched || self.judge.is_provisional()) {
            self.look(Purpose::Poll);
        }
    }

    /// Treats the file as changed if its state differs from the state at the last read.
    fn compare(&mut self, trigger: Trigger) {
        if self.settle.due().is_none() && FileState::of(&self.judge.path()) != self.state {
            self.begin_reload(trigger);
        }
    }

    fn begin_reload(&mut self, trigger: Trigger) {
        self.trigger = trigger;
        self.settle.on_event(self.now(), FileEvent::Unknown);
    }

    /// Looks at the file. On a foreign mount, a separate process does that, and [`Actor::on_answer`] gets the
    /// result.
    fn look(&mut self, purpose: Purpose) {
        let path = self.judge.path();
        let state = FileState::of(&path);
        // The watch must be complete before the read, so that it reports every change after the read.
        self.keep_watch_on(state.chain());
        let foreign = state.chain().foreign().cloned();
        self.state = state;
        let Some(mount) = foreign else { return self.on_look(purpose, Look::here(&path)) };
        let sender = self.sender.clone();
        match Look::begin(&path, move |look| drop(sender.send(Message::Looked(look)))) {
            Ok(process) => {
                let (since, began) = (self.now(), clock::now());
                self.pending = Some(PendingLook { purpose, mount, since, began, _process: process });
            }
            Err(why) => self.on_look(purpose, Look::failed(why)),
        }
    }

    fn on_look(&mut self, purpose: Purpose, look: Look) {
        if self.state.chain().foreign().is_some() {
            self.settle.note_state(self.now(), look.state);
        }
        match purpose {
            Purpose::Reload => self.decide(look),
            Purpose::Poll => {
                let before = self.seen.replace(look.state);
                let is_same = before.is_none_or(|before| before == look.state) && self.judge.stands(&look.found);
                if !is_same && self.settle.due().is_none() {
                    self.begin_reload(Trigger::Poll);
                }
            }
        }
    }

    /// Decides whether the content may be judged now, and passes it to the judge if it may.
    fn decide(&mut self, look: Look) {
        let Look { found, state, .. } = look;
        self.seen = Some(state);
        let observation = match &found {
            FileContent::Missing => Observation::Missing,
            FileContent::Dangling(_) => Observation::Dangling,
            FileContent::Bytes(bytes, writer) if is_blank(bytes) => Observation::Empty(*writer),
            FileContent::Bytes(_, writer @ OpenForWriting::Elsewhere) => Observation::Content(state, *writer),
            FileContent::Bytes(bytes, writer) => Observation::Content(ContentHash::of(bytes), *writer),
            FileContent::Changing => Observation::Changing,
            FileContent::Unreadable(_) => Observation::Unreadable,
        };
        let now = self.now();
        let since = self.settle.first_event_at().unwrap_or(now);
        let decision = self.settle.on_read(now, observation);
        let Some(content) = self.content(decision, found) else { return };
        if matches!(content, Content::Bytes(_)) {
            self.settle.note_judged(state);
        }
        let started = self.started;
        self.judge.judge(content, self.trigger, || started.elapsed().saturating_sub(since));
        self.trigger = Trigger::File;
    }

    /// Returns what to pass to the judge after `decision`; `None`: nothing.
    fn content(&self, decision: Decision, found: FileContent) -> Option<Content> {
        let exists = matches!(found, FileContent::Bytes(..));
        Some(match (decision, found) {
            (Decision::Wait, _) => return None,
            (Decision::Judge, FileContent::Bytes(bytes, _)) => Content::Bytes(bytes),
            (Decision::Judge, FileContent::Unreadable(why)) => Content::Unreadable(why),
            (Decision::Judge, FileContent::Changing) => Content::Unreadable(keeps_changing(&self.judge.path())),
            (Decision::UseDefaults | Decision::Judge, _) => Content::Defaults { exists },
            (Decision::Report(WaitReason::OpenForWriting), _) => {
                Content::NotRead(Unread::OpenForWriting(procfs::writers(&self.judge.path())))
            }
            (Decision::Report(WaitReason::Unsettled), _) => {
                let mount = self.state.chain().foreign().map(ForeignMount::to_string);
                Content::NotRead(Unread::Unsettled(mount.unwrap_or_default()))
            }
            (Decision::Report(WaitReason::Missing), FileContent::Dangling(why)) => {
                Content::NotRead(Unread::Dangling(why))
            }
            // The defaults are in force already, because the file was missing or empty before.
            (Decision::Report(WaitReason::Missing), _) if self.judge.has_defaults_of_no_file() => {
                if self.judge.has_good_outcome() {
                    return None;
                }
                Content::Defaults { exists }
            }
            (Decision::Report(WaitReason::Missing), _) => Content::NotRead(Unread::Missing),
        })
    }

    /// Rebuilds the watch if it does not watch `chain`, or if it may have lost events. Returns whether it did.
    fn keep_watch_on(&mut self, chain: &PathChain) -> bool {
        let watched = self.watch.as_ref().is_some_and(|(_, watched)| watched == chain);
        let rebuilds = !watched || self.is_lossy;
        if rebuilds {
            self.rewatch();
        }
        rebuilds
    }

    /// Builds a watch on the current chain to the file. If that fails, only the poll finds changes.
    fn rewatch(&mut self) {
        let path = self.judge.path();
        let mut chain = PathChain::resolve(&path);
        // The chain may change while the watch is being built.
        for _ in 0..MAX_REBUILDS {
            let sender = self.sender.clone();
            match FileWatch::new(&chain, move |event| drop(sender.send(Message::Event(event)))) {
                Ok(watch) => {
                    self.watch = Some((watch, chain.clone()));
                    (self.is_lossy, self.unwatchable) = (false, None);
                }
                Err(error) => {
                    self.watch = None;
                    let reason = format!("it cannot be watched: {error}");
                    if self.unwatchable.replace(reason).is_none() {
                        warn!(
                            %error,
                            path = %path.display(),
                            "cannot watch the configuration file; the daemon checks it every 2 s instead"
                        );
                    }
                    break;
                }
            }
            let now = PathChain::resolve(&path);
            if now == chain {
                break;
            }
            chain = now;
        }
        let (mode, reason) = match &self.watch {
            None => (WatchMode::Poll, self.unwatchable.clone()),
            Some((_, chain)) => match chain.foreign() {
                None => (file_watch::MODE, None),
                Some(mount) => (WatchMode::Poll, Some(foreign_reason(mount))),
            },
        };
        self.judge.set_watch_mode(mode, reason);
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Why a file on a foreign mount is polled.
fn foreign_reason(mount: &ForeignMount) -> String {
    format!(
        "its file system ({mount}) does not report changes made elsewhere; boi applies the file when it has not changed \
         for {} s",
        STILL.as_secs()
    )
}
