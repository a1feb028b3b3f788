//! The configuration's way into a running daemon: notice, settle, read, validate, compare, swap, tell.
//!
//! ```text
//!  inotify ─┐
//!  SIGHUP ──┼─▶ one thread: `settle` says when to look ─▶ `file` looks ─▶ judge ─▶ ArcSwap::store
//!  2 s poll ┘                                                                                 └─▶ the verdict, to all
//! ```
//!
//! Invariants:
//! - One thread reads, validates and swaps, so that readings never race; whatever triggers one only marks the file dirty.
//! - What is in force is swapped as a whole, after everything that could fail.
//! - A bad file changes nothing, and neither does a panic of the validator. Each reading ends with a verdict.
//! - A key that needs a restart keeps its value and holds up no other.

mod boot;
pub mod file;
mod judge;
mod keep;
pub mod settle;

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

pub use self::boot::{Booted, boot};
use self::file::{Chain, Found, Stamp, Watch};
use self::judge::Content;
pub use self::judge::{Judge, Outlets};
use self::settle::{Hash, Held, Look, Next, Notice, Settle, Writer};
use crate::config::flags::Flags;
use crate::config::{self, Config, Facts, Loaded, MAX_BYTES, Outside};
use crate::document::problem::Problems;
use crate::domain::verdict::{ReloadOutcome, Trigger, WatchMode};
use crate::system::logs;
use crate::system::paths::{self, Home, HomeError};

/// How often the file is looked at when nothing tells of a change.
const POLL: Duration = Duration::from_secs(2);

/// A file that changed while a command read it is read again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How often a watch is built anew at once when the chain changes meanwhile; then the poll has its turn.
const REBUILDS: usize = 3;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{why}")]
    Unreadable {
        /// Why, with the path.
        why: String,
    },
    /// It is not safe to use.
    #[error(transparent)]
    Unsafe(#[from] HomeError),
    /// It is not valid.
    #[error("{0}")]
    Invalid(Box<Problems>),
}

impl ConfigError {
    /// Each thing that is wrong, in one line with its place.
    pub(crate) fn each(&self) -> Vec<String> {
        match self {
            ConfigError::Invalid(problems) => problems.lines(),
            other => vec![other.to_string()],
        }
    }
}

/// Reads and validates the configuration of `home`, as a command does; a missing file means all defaults.
pub fn load(home: &Home, flags: &Flags) -> Result<Loaded, ConfigError> {
    load_file(&home.config_file(), flags).map(|(loaded, _)| loaded)
}

/// Reads and validates the configuration in `path`; also what is valid and still will not work.
pub fn load_file(path: &Path, flags: &Flags) -> Result<(Loaded, Vec<String>), ConfigError> {
    validate(path, &read(path)?.0, None, flags)
}

/// The bytes of a configuration, none where there is no file, and whether somebody is writing it.
pub fn read(path: &Path) -> Result<(Vec<u8>, Writer), ConfigError> {
    let mut looks = 0;
    loop {
        looks += 1;
        match file::look(path, MAX_BYTES) {
            Found::Absent => return Ok((Vec::new(), Writer::Nobody)),
            Found::Bytes(bytes, writer) => return Ok((bytes, writer)),
            Found::Unreadable(why) => return Err(ConfigError::Unreadable { why }),
            Found::Torn if looks < 100 => thread::sleep(LOOK_AGAIN),
            Found::Torn => {
                let why = format!("{} changes all the time", path.display());
                return Err(ConfigError::Unreadable { why });
            }
        }
    }
}

/// Validates the bytes of a configuration, also against what this machine says of them.
pub fn validate(
    path: &Path,
    bytes: &[u8],
    in_force: Option<&Config>,
    flags: &Flags,
) -> Result<(Loaded, Vec<String>), ConfigError> {
    let invalid = |problems: Problems| ConfigError::Invalid(problems.into());
    let outside = Outside { claude_bin_env: paths::claude_bin(), flags: flags.clone() };
    let loaded = config::parse(&path.display().to_string(), bytes, &outside).map_err(invalid)?;
    let facts = Facts {
        program_found: paths::find_program(&loaded.config.claude_bin).map(drop),
        log_filter: logs::check(&loaded.config.log),
    };
    let warnings = config::vet(&loaded, in_force, &facts).map_err(invalid)?;
    Ok((loaded, warnings))
}

/// What the reload thread is told.
enum Message {
    Noticed(Notice),
    Leave,
}

/// The reload thread.
pub struct Reloader {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// Asks for a reading, as SIGHUP does.
#[derive(Clone)]
pub struct Asker(Sender<Message>);

impl Asker {
    /// The verdict comes from a reading that begins after this.
    pub fn ask(&self) {
        // A thread that has ended no longer cares.
        drop(self.0.send(Message::Noticed(Notice::Asked)));
    }
}

impl Reloader {
    /// Starts the thread. `judge` begins where the daemon's start left off.
    pub fn start(judge: Judge) -> std::io::Result<Reloader> {
        let (sender, inbox) = mpsc::channel();
        let own = sender.clone();
        let thread =
            thread::Builder::new().name("reload".to_owned()).spawn(move || Actor::new(judge, own).run(&inbox))?;
        Ok(Reloader { sender, thread: Some(thread) })
    }

    /// Who may ask for a reading.
    pub fn asker(&self) -> Asker {
        Asker(self.sender.clone())
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        drop(self.sender.send(Message::Leave));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the reload thread broke down");
        }
    }
}

struct Actor {
    judge: Judge,
    sender: Sender<Message>,
    began: Instant,
    settle: Settle,
    trigger: Trigger,
    /// The watch, and the chain that it was built on.
    watch: Option<(Watch, Chain)>,
    /// Whether the watch may have lost events.
    lossy: bool,
    /// Whether the user was told that there is no watch.
    complained: bool,
    /// The state of the file when it was last looked at.
    stamp: Stamp,
    next_poll: Duration,
}

impl Actor {
    fn new(judge: Judge, sender: Sender<Message>) -> Actor {
        Actor {
            stamp: judge.stamp().clone(),
            judge,
            sender,
            began: Instant::now(),
            settle: Settle::new(file::closes_are_seen()),
            trigger: Trigger::File,
            watch: None,
            lossy: false,
            complained: false,
            next_poll: POLL,
        }
    }

    fn run(mut self, inbox: &mpsc::Receiver<Message>) {
        // Whatever was saved between the boot's reading and the watch is found by comparing.
        self.rewatch();
        self.compare(Trigger::File);
        loop {
            let due = self.settle.due().map_or(self.next_poll, |due| due.min(self.next_poll));
            match inbox.recv_timeout(due.saturating_sub(self.now())) {
                Ok(Message::Noticed(notice)) => {
                    self.noticed(notice);
                    for message in inbox.try_iter().take(4096) {
                        match message {
                            Message::Noticed(notice) => self.noticed(notice),
                            Message::Leave => return,
                        }
                    }
                }
                Ok(Message::Leave) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.next_poll <= self.now() {
                self.next_poll = self.now() + POLL;
                self.poll();
            }
            if self.settle.due().is_some_and(|due| due <= self.now()) {
                self.look();
            }
        }
    }

    fn noticed(&mut self, notice: Notice) {
        debug!(?notice, "configuration file");
        let now = self.now();
        if self.settle.due().is_none() {
            self.trigger = Trigger::File;
        }
        match notice {
            Notice::Asked => {
                self.judge.asked();
                self.trigger = Trigger::Signal;
            }
            Notice::Doubt => self.lossy = true,
            _ => {}
        }
        self.settle.notice(now, notice);
    }

    /// The safety net: whatever the watch missed is found by comparing.
    fn poll(&mut self) {
        self.follow(Stamp::of(&self.judge.path()).chain());
        self.compare(Trigger::Poll);
    }

    fn compare(&mut self, trigger: Trigger) {
        if self.settle.due().is_none() && Stamp::of(&self.judge.path()) != self.stamp {
            self.trigger = trigger;
            self.settle.notice(self.now(), Notice::Doubt);
        }
    }

    fn look(&mut self) {
        let path = self.judge.path();
        let stamp = Stamp::of(&path);
        self.follow(stamp.chain());
        // The watch stands before the file is read: what changes after the reading is noticed.
        let found = file::look(&path, MAX_BYTES);
        let look = match &found {
            Found::Absent => Look::Absent,
            Found::Bytes(bytes, writer) if bytes.is_empty() => Look::Empty(*writer),
            Found::Bytes(bytes, writer) => Look::Whole(hash(bytes), *writer),
            Found::Torn => Look::Torn,
            Found::Unreadable(_) => Look::Unreadable,
        };
        self.stamp = stamp;
        let now = self.now();
        let since = self.settle.since().unwrap_or(now);
        let content = match (self.settle.looked(now, look), found) {
            (Next::Judge, Found::Bytes(bytes, _)) => Content::Bytes(bytes),
            (Next::Judge, Found::Unreadable(why)) => Content::Unreadable(why),
            (Next::Defaults, _) => Content::Bytes(Vec::new()),
            (Next::Tell(Held::Writer), _) => Content::Held(ReloadOutcome::Waiting),
            (Next::Tell(Held::Missing), _) => Content::Held(ReloadOutcome::Missing),
            (Next::Wait | Next::Judge, _) => return,
        };
        let began = self.began;
        self.judge.judge(content, self.trigger, || began.elapsed().saturating_sub(since));
        self.trigger = Trigger::File;
    }

    /// Builds the watch anew when it does not fit `chain` or has lost events.
    fn follow(&mut self, chain: &Chain) {
        let fits = self.watch.as_ref().is_some_and(|(_, watched)| watched == chain);
        if !fits || self.lossy {
            self.rewatch();
        }
    }

    /// Watches the chain as it is now; when that cannot be done, the poll is what is left.
    fn rewatch(&mut self) {
        let path = self.judge.path();
        let mut chain = Chain::resolve(&path);
        // The chain may change while the watch is built.
        for _ in 0..REBUILDS {
            let sender = self.sender.clone();
            match Watch::new(&chain, move |notice| drop(sender.send(Message::Noticed(notice)))) {
                Ok(watch) => {
                    self.watch = Some((watch, chain.clone()));
                    (self.lossy, self.complained) = (false, false);
                }
                Err(error) => {
                    self.watch = None;
                    if !std::mem::replace(&mut self.complained, true) {
                        warn!(%error, "the file system does not tell of changes: the configuration is looked at every 2 s");
                    }
                    break;
                }
            }
            let now = Chain::resolve(&path);
            if now == chain {
                break;
            }
            chain = now;
        }
        self.judge.watched(self.watch.as_ref().map_or(WatchMode::Poll, |(watch, _)| watch.mode()));
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn hash(bytes: &[u8]) -> Hash {
    blake3::hash(bytes).into()
}

fn hex(hash: &Hash) -> String {
    blake3::Hash::from(*hash).to_hex().to_string()
}

#[cfg(test)]
mod daemon_hotreload;
