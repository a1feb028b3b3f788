//! The reload thread: waits for file events, reload requests and the time of the next poll, reads the file
//! when it has settled, and passes the content to the [`Judge`].

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::content_hash::ContentHash;
use super::file_watch::{self, FileWatch};
use super::judge::{Content, Judge};
use super::path_chain::{FileState, PathChain};
use super::read_file::{FileContent, read_once};
use super::settle::{Decision, FileEvent, Observation, Settle, WaitReason};
use crate::config::MAX_BYTES;
use crate::domain::verdict::{ReloadOutcome, Trigger, WatchMode};

/// Interval at which the file's state is compared with its state at the last read, even if no event came.
const POLL: Duration = Duration::from_secs(2);

/// Maximum number of times that a watch is built in a row because the chain changed meanwhile. After that,
/// the next poll rebuilds the watch.
const MAX_REBUILDS: usize = 3;

/// Maximum number of further messages that are handled before the thread checks the time again.
const MAX_MESSAGES: usize = 4096;

/// What the reload thread receives.
enum Message {
    Event(FileEvent),
    Stop,
}

/// The running reload thread. Dropping this value stops the thread.
pub struct Reloader {
    sender: Sender<Message>,
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
        let own = sender.clone();
        let thread =
            thread::Builder::new().name("reload".to_owned()).spawn(move || Actor::new(judge, own).run(&inbox))?;
        Ok(Reloader { sender, thread: Some(thread) })
    }

    /// Returns a handle that requests reloads.
    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle(self.sender.clone())
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        drop(self.sender.send(Message::Stop));
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
    /// Whether the log already says that the file cannot be watched.
    warned: bool,
    /// The state of the file when it was last read.
    state: FileState,
    /// When to poll next.
    next_poll: Duration,
}

impl Actor {
    fn new(judge: Judge, sender: Sender<Message>) -> Actor {
        Actor {
            state: judge.boot_state().clone(),
            judge,
            sender,
            started: Instant::now(),
            settle: Settle::new(file_watch::REPORTS_CLOSE),
            trigger: Trigger::File,
            watch: None,
            is_lossy: false,
            warned: false,
            next_poll: POLL,
        }
    }

    fn run(mut self, inbox: &mpsc::Receiver<Message>) {
        // The file may have changed after the boot read it and before the watch began.
        self.rewatch();
        self.compare(Trigger::File);
        loop {
            let due = self.settle.due().map_or(self.next_poll, |due| due.min(self.next_poll));
            match inbox.recv_timeout(due.saturating_sub(self.now())) {
                Ok(Message::Event(event)) => {
                    self.on_event(event);
                    for message in inbox.try_iter().take(MAX_MESSAGES) {
                        match message {
                            Message::Event(event) => self.on_event(event),
                            Message::Stop => return,
                        }
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.next_poll <= self.now() {
                self.next_poll = self.now() + POLL;
                self.poll();
            }
            if self.settle.due().is_some_and(|due| due <= self.now()) {
                self.read();
            }
        }
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
        self.keep_watch_on(FileState::of(&self.judge.path()).chain());
        self.compare(Trigger::Poll);
    }

    /// Treats the file as changed if its state differs from the state at the last read.
    fn compare(&mut self, trigger: Trigger) {
        if self.settle.due().is_none() && FileState::of(&self.judge.path()) != self.state {
            self.trigger = trigger;
            self.settle.on_event(self.now(), FileEvent::Unknown);
        }
    }

    /// Reads the file, and passes the result to the judge unless [`Settle`] decides to wait.
    fn read(&mut self) {
        let path = self.judge.path();
        let state = FileState::of(&path);
        // The watch must be complete before the read, so that it reports every change after the read.
        self.keep_watch_on(state.chain());
        let found = read_once(&path, MAX_BYTES);
        let observation = match &found {
            FileContent::Missing => Observation::Missing,
            FileContent::Bytes(bytes, writer) if bytes.is_empty() => Observation::Empty(*writer),
            FileContent::Bytes(bytes, writer) => Observation::Content(ContentHash::of(bytes), *writer),
            FileContent::Changing => Observation::Changing,
            FileContent::Unreadable(_) => Observation::Unreadable,
        };
        self.state = state;
        let now = self.now();
        let since = self.settle.first_event_at().unwrap_or(now);
        let content = match (self.settle.on_read(now, observation), found) {
            (Decision::Judge, FileContent::Bytes(bytes, _)) => Content::Bytes(bytes),
            (Decision::Judge, FileContent::Unreadable(why)) => Content::Unreadable(why),
            (Decision::UseDefaults, _) => Content::Bytes(Vec::new()),
            (Decision::Report(WaitReason::OpenForWriting), _) => Content::NotRead(ReloadOutcome::Waiting),
            (Decision::Report(WaitReason::Missing), _) => Content::NotRead(ReloadOutcome::Missing),
            (Decision::Wait | Decision::Judge, _) => return,
        };
        let started = self.started;
        self.judge.judge(content, self.trigger, || started.elapsed().saturating_sub(since));
        self.trigger = Trigger::File;
    }

    /// Rebuilds the watch if it does not watch `chain`, or if it may have lost events.
    fn keep_watch_on(&mut self, chain: &PathChain) {
        let watched = self.watch.as_ref().is_some_and(|(_, watched)| watched == chain);
        if !watched || self.is_lossy {
            self.rewatch();
        }
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
                    (self.is_lossy, self.warned) = (false, false);
                }
                Err(error) => {
                    self.watch = None;
                    if !std::mem::replace(&mut self.warned, true) {
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
        self.judge.set_watch_mode(self.watch.as_ref().map_or(WatchMode::Poll, |(watch, _)| watch.mode()));
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
