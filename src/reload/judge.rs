//! Judges the content of the configuration file: validates it, compares it with the configuration in force,
//! puts the new configuration in force, and publishes the verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::{debug, error, info, warn};

use super::boot_config::BootConfig;
use super::content_hash::ContentHash;
use super::path_chain::FileState;
use super::read_file::FileContent;
use super::recorder::Recorder;
use super::settle::STILL;
use super::validate::{ConfigError, validate};
use crate::config::changes::{self, ReloadPlan};
use crate::config::flags::Flags;
use crate::config::keys::{Key, Value};
use crate::config::{Config, HotConfig, Loaded};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Change, ReloadOutcome, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;
use crate::system::clock;
use crate::system::paths::Home;

/// Puts a log filter in force. `Err`: why the filter cannot be used.
type SetLogFilter = dyn Fn(&str) -> Result<(), String> + Send;

/// The functions of the daemon that a reload calls.
pub struct Callbacks {
    /// Publishes the configuration's state. Called after each verdict and each change of the [`WatchMode`].
    pub publish: Box<dyn Fn(&ConfigView) + Send>,
    /// Puts another log filter in force. Called when a reload changes the key `log`.
    pub set_log_filter: Box<SetLogFilter>,
}

/// A function that validates the bytes of a configuration: [`validate`], or a replacement in a test.
pub(super) type Validate = fn(&Path, &[u8], Option<&Config>, &Flags) -> Result<(Loaded, Vec<String>), ConfigError>;

/// What the reload thread passes to the [`Judge`].
pub(super) enum Content {
    /// The file's bytes; empty: all defaults.
    Bytes(Vec<u8>),
    /// The file cannot be read; the text says why.
    Unreadable(String),
    /// The file is missing or empty, and the user wants the defaults.
    Defaults {
        /// Whether there is an empty file.
        exists: bool,
    },
    /// The content must not be judged yet.
    NotRead(Unread),
}

/// Why the content must not be judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// Programs have the file open for writing: their pids and names, as far as this user may know them.
    OpenForWriting(Vec<(i32, String)>),
    /// The file is on this foreign mount and was changed a moment ago.
    Unsettled(String),
    /// The file is missing or empty.
    Missing,
    /// A link leads to a missing file or folder; the text says which.
    Dangling(String),
}

/// Gives a verdict on each content of the configuration file, and keeps the state between two verdicts.
pub struct Judge {
    home: Home,
    hot: Arc<ArcSwap<HotConfig>>,
    callbacks: Callbacks,
    validate: Validate,
    flags: Flags,
    boot_state: FileState,
    boot_look: Option<ContentHash>,
    view: ConfigView,
    recorder: Recorder,
    /// How many reloads were requested (by SIGHUP).
    requests: u64,
    /// Hash of the file whose values are in force.
    hash_in_force: Option<String>,
    /// Changes in the file that take effect only after a restart of the daemon.
    pending: Vec<Change>,
    /// Former entries of `pending` whose keys have the value in force again, since the last verdict on a
    /// SIGHUP. The next verdict on a SIGHUP reports them again, because the user may not have seen the
    /// verdicts in between.
    restored: Vec<Change>,
    /// The content that was rejected last. Its errors are logged only once.
    rejected: Option<ContentHash>,
}

impl Judge {
    /// Creates a judge. `boot` is the configuration that the daemon started with; `hot` holds its values.
    pub fn new(home: Home, boot: &BootConfig, hot: Arc<ArcSwap<HotConfig>>, callbacks: Callbacks) -> Judge {
        let judge = Judge {
            hash_in_force: boot.verdict.hash_in_force.clone(),
            boot_state: boot.state.clone(),
            boot_look: boot.look,
            view: boot.view(),
            recorder: Recorder::new(&home),
            home,
            hot,
            callbacks,
            validate,
            flags: boot.flags.clone(),
            requests: 0,
            pending: Vec::new(),
            restored: Vec::new(),
            rejected: None,
        };
        if let Some(bytes) = &boot.bytes {
            judge.recorder.record_last_good(bytes);
        }
        judge.recorder.record_verdict(&boot.verdict);
        judge
    }

    /// Replaces the validator.
    #[cfg(test)]
    pub(super) fn with_validator(self, validate: Validate) -> Judge {
        Judge { validate, ..self }
    }

    #[cfg(test)]
    pub(super) fn view(&self) -> &ConfigView {
        &self.view
    }

    pub(super) fn path(&self) -> PathBuf {
        self.home.config_file()
    }

    /// Returns the state of the file when the daemon read it at its start.
    pub(super) fn boot_state(&self) -> &FileState {
        &self.boot_state
    }

    /// Returns the hash of the content and state of the file when the daemon read it at its start, if that
    /// content is in force.
    pub(super) fn boot_look(&self) -> Option<ContentHash> {
        self.boot_look
    }

    /// Counts a requested reload. The next verdict answers the request.
    pub(super) fn count_request(&mut self) {
        self.requests += 1;
    }

    /// Publishes how the daemon detects changes of the file from now on, and the reason if it can only poll.
    /// Does nothing if neither has changed.
    pub(super) fn set_watch_mode(&mut self, mode: WatchMode, reason: Option<String>) {
        if (self.view.watch, &self.view.watch_reason) != (mode, &reason) {
            (self.view.watch, self.view.watch_reason) = (mode, reason);
            (self.callbacks.publish)(&self.view);
        }
    }

    /// Publishes since when the daemon has waited for an answer of the file's file system. Does nothing if
    /// that has not changed.
    pub(super) fn set_look_pending(&mut self, since: Option<Timestamp>) {
        if self.view.look_pending_since != since {
            self.view.look_pending_since = since;
            (self.callbacks.publish)(&self.view);
        }
    }

    /// Judges `content`. `since_first_event` returns the time since the first event of this reload.
    pub(super) fn judge(&mut self, content: Content, trigger: Trigger, since_first_event: impl Fn() -> Duration) {
        let mut verdict = Verdict {
            attempt: self.view.verdict.as_ref().map_or(0, |last| last.attempt) + 1,
            answers: self.requests,
            trigger,
            at: clock::now(),
            generation: self.view.generation,
            hash_in_force: self.hash_in_force.clone(),
            ..Verdict::default()
        };
        match &content {
            Content::Bytes(bytes) => self.judge_bytes(bytes, &mut verdict),
            Content::Defaults { exists } => {
                verdict.notes.push(self.defaults_note(*exists));
                self.judge_bytes(&[], &mut verdict);
            }
            Content::Unreadable(why) => {
                let error = ConfigError::Unreadable { why: why.clone() };
                self.reject(&error, ContentHash::of(&[]), &mut verdict);
            }
            Content::NotRead(why) => self.wait(why, &mut verdict),
        }
        verdict.micros = u64::try_from(since_first_event().as_micros()).unwrap_or(u64::MAX);
        let is_good = matches!(verdict.outcome, ReloadOutcome::Applied | ReloadOutcome::Unchanged);
        self.view.generation = verdict.generation;
        self.view.outcome = verdict.outcome;
        if is_good {
            self.view.degraded = false;
            self.view.pending_restart = verdict.pending_restart.iter().map(Change::to_string).collect();
            self.view.warnings.clone_from(&verdict.warnings);
        }
        self.view.errors.clone_from(&verdict.errors);
        if verdict.outcome == ReloadOutcome::Applied {
            self.view.last_applied = Some(verdict.clone());
        }
        self.recorder.record_verdict(&verdict);
        self.view.verdict = Some(verdict);
        (self.callbacks.publish)(&self.view);
        match content {
            Content::Bytes(bytes) if is_good => self.recorder.record_last_good(&bytes),
            Content::Defaults { .. } if is_good => self.recorder.record_last_good(&[]),
            _ => {}
        }
    }

    /// Whether the last verdict may change although the file does not: true if the file was not put in force,
    /// or has warnings. Such a verdict also depends on programs, modes, limits and mounts, whose changes no
    /// event reports.
    pub(super) fn is_provisional(&self) -> bool {
        !self.has_good_outcome() || !self.view.warnings.is_empty()
    }

    /// Whether a verdict on `found` would have the same errors and warnings as the last verdict. Changes and
    /// logs nothing.
    pub(super) fn stands(&self, found: &FileContent) -> bool {
        let verdict = match found {
            FileContent::Bytes(bytes, _) if !is_blank(bytes) => match self.validated(bytes, &self.hot.load().config) {
                Ok((_, warnings)) => (Vec::new(), warnings),
                Err(error) => (error.lines(), self.view.warnings.clone()),
            },
            FileContent::Unreadable(why) => (vec![why.clone()], self.view.warnings.clone()),
            FileContent::Changing => (vec![keeps_changing(&self.path())], self.view.warnings.clone()),
            // `Actor::compare` finds when such a file appears, disappears or gets content.
            FileContent::Bytes(..) | FileContent::Missing | FileContent::Dangling(_) => return true,
        };
        verdict == (self.view.errors.clone(), self.view.warnings.clone())
    }

    /// Whether the published state says that a look at the file has had no answer.
    pub(super) fn is_look_pending(&self) -> bool {
        self.view.look_pending_since.is_some()
    }

    /// Whether the file on disk is in force.
    pub(super) fn has_good_outcome(&self) -> bool {
        matches!(self.view.outcome, ReloadOutcome::Applied | ReloadOutcome::Unchanged)
    }

    /// Whether the defaults are in force because the file is missing or empty.
    pub(super) fn has_defaults_of_no_file(&self) -> bool {
        self.hash_in_force.as_deref() == Some(&ContentHash::of(&[]).hex())
    }

    fn validated(&self, bytes: &[u8], in_force: &Config) -> Result<(Loaded, Vec<String>), ConfigError> {
        let path = self.path();
        // The validator reads arbitrary text. A panic in the validator must not end the reload thread.
        catch_unwind(AssertUnwindSafe(|| (self.validate)(&path, bytes, Some(in_force), &self.flags))).unwrap_or_else(
            |_| {
                let why = format!("the validator panicked on {}: please report this bug", path.display());
                Err(ConfigError::Unreadable { why })
            },
        )
    }

    fn judge_bytes(&mut self, bytes: &[u8], verdict: &mut Verdict) {
        let before = self.hot.load_full();
        let hash = ContentHash::of(bytes);
        verdict.hash_on_disk = Some(hash.hex());
        let (loaded, warnings) = match self.validated(bytes, &before.config) {
            Ok(validated) => validated,
            Err(error) => return self.reject(&error, hash, verdict),
        };
        self.rejected = None;
        let ReloadPlan { config, applied, pending_restart } = changes::plan(&before.config, &loaded);
        self.log_news(&warnings, &pending_restart);
        self.hash_in_force = Some(hash.hex());
        verdict.hash_in_force.clone_from(&self.hash_in_force);
        let overridden = loaded.overridden().map(|(key, own, flag)| overridden_note(&key, &own, &flag));
        verdict.notes.extend(overridden);
        for note in &verdict.notes {
            info!(reading = verdict.attempt, "configuration: {note}");
        }
        verdict.notes.extend(self.update_pending(&pending_restart, verdict.trigger));
        (verdict.pending_restart, verdict.warnings) = (pending_restart, warnings);
        if applied.is_empty() {
            info!(
                generation = before.generation,
                reading = verdict.attempt,
                "configuration: the file changes no value in force"
            );
        } else {
            self.swap(&before, config, &applied, verdict);
            verdict.changed = applied;
        }
    }

    /// Logs the warnings, and the changes that need a restart, that the verdict on the last valid file did
    /// not have.
    fn log_news(&self, warnings: &[String], pending_restart: &[Change]) {
        for warning in warnings.iter().filter(|warning| !self.view.warnings.contains(warning)) {
            warn!("configuration: {warning}");
        }
        let is_new = |change: &&Change| !self.view.pending_restart.contains(&change.to_string());
        for change in pending_restart.iter().filter(is_new) {
            warn!("configuration: {change} takes effect after a restart of the daemon");
        }
    }

    /// Puts `config` in force as the next generation.
    fn swap(&self, before: &HotConfig, config: Config, applied: &[Change], verdict: &mut Verdict) {
        if config.log != before.config.log
            && let Err(problem) = (self.callbacks.set_log_filter)(&config.log)
        {
            warn!(problem, "cannot change the log filter; the old filter stays in force");
        }
        let generation = before.generation + 1;
        (verdict.generation, verdict.outcome) = (generation, ReloadOutcome::Applied);
        self.hot.store(Arc::new(HotConfig { generation, config }));
        for change in applied {
            let (reading, when) = (verdict.attempt, change.takes_effect);
            info!(generation, reading, "configuration: {change}, takes effect: {when}");
        }
    }

    /// Returns the note that the defaults are in force because the file is missing or empty.
    fn defaults_note(&self, exists: bool) -> String {
        let path = self.path();
        let why = match exists {
            true => format!("{} is empty", path.display()),
            false => format!("{} does not exist", path.display()),
        };
        let except = if self.flags.shown().is_empty() { "" } else { ", except for values of the command line" };
        format!("{why}: the defaults are in force{except}")
    }

    /// Stores the changes that need a restart now. Returns a note for each key that no longer needs a
    /// restart.
    fn update_pending(&mut self, pending: &[Change], trigger: Trigger) -> Vec<String> {
        let is_pending = |change: &Change| pending.iter().any(|pending| pending.key == change.key);
        let note = |change: &Change| {
            let Change { key, old, .. } = change;
            format!("{key} is {old} again, the value in force: it no longer needs a restart")
        };
        let before = std::mem::replace(&mut self.pending, pending.to_vec());
        let restored: Vec<Change> = before.into_iter().filter(|change| !is_pending(change)).collect();
        for change in &restored {
            info!("configuration: {}", note(change));
        }
        self.restored.retain(|change| !is_pending(change) && restored.iter().all(|newer| newer.key != change.key));
        self.restored.extend(restored.iter().cloned());
        match trigger {
            Trigger::Signal => self.restored.drain(..).map(|change| note(&change)).collect(),
            _ => restored.iter().map(note).collect(),
        }
    }

    fn reject(&mut self, why: &ConfigError, content: ContentHash, verdict: &mut Verdict) {
        verdict.outcome = ReloadOutcome::Rejected;
        verdict.notes.clear();
        verdict.errors = why.lines();
        verdict.report = Some(why.to_string());
        let was_logged = self.rejected.replace(content) == Some(content) && verdict.errors == self.view.errors;
        if was_logged {
            debug!(
                reading = verdict.attempt,
                "the daemon rejected the configuration file again, for the same errors as before"
            );
        } else {
            let generation = verdict.generation;
            error!("configuration rejected; generation {generation} stays in force:\n{why}");
        }
    }

    fn wait(&mut self, why: &Unread, verdict: &mut Verdict) {
        verdict.outcome = match why {
            Unread::OpenForWriting(_) | Unread::Unsettled(_) => ReloadOutcome::Waiting,
            Unread::Missing | Unread::Dangling(_) => ReloadOutcome::Missing,
        };
        let why = waiting_reason(&self.path(), why);
        warn!(reading = verdict.attempt, "configuration: {why}");
        verdict.errors = vec![why];
    }
}

/// Whether a file with these bytes contains only white space, as a full disk or an interrupted save can leave
/// it.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii().is_empty()
}

/// Returns the message for a file that could not be read, because it changed during each read.
pub(super) fn keeps_changing(path: &Path) -> String {
    format!(
        "cannot read {}: it keeps changing, or its size differs from the number of bytes that it contains",
        path.display()
    )
}

/// Returns the note that a value of the file has no effect, because the daemon's command line sets the same
/// key.
fn overridden_note(key: &Key, own: &Value, flag: &Value) -> String {
    format!("{} = {own} is overridden by the daemon's command line: {flag}", key.name)
}

fn waiting_reason(path: &Path, why: &Unread) -> String {
    let path = path.display();
    match why {
        Unread::OpenForWriting(writers) => {
            let name = |(pid, name): &(i32, String)| format!("{name} (pid {pid})");
            let who = match writers.as_slice() {
                [] => "a program keeps".to_owned(),
                [one] => format!("{} keeps", name(one)),
                several => format!("{} keep", several.iter().map(name).collect::<Vec<_>>().join(", ")),
            };
            format!(
                "{who} {path} open for writing: boi reads the file when it is closed, or at once after another \
                 `boi daemon reload` (SIGHUP)"
            )
        }
        Unread::Unsettled(mount) => format!(
            "{path} was changed less than {} s ago on a file system ({mount}) that does not report when a save is \
             complete: boi applies the file when it has not changed for {} s, or at once after another \
             `boi daemon reload` (SIGHUP)",
            STILL.as_secs(),
            STILL.as_secs()
        ),
        Unread::Missing => format!(
            "{path} is missing or empty: the old configuration stays in force; `boi daemon reload` (SIGHUP) puts the \
             defaults in force"
        ),
        Unread::Dangling(why) => {
            format!("{why}: the old configuration stays in force; create the missing file, or correct the link {path}")
        }
    }
}
