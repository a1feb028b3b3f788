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
use super::recorder::Recorder;
use super::validate::{ConfigError, validate};
use crate::config::changes::{self, ReloadPlan};
use crate::config::flags::Flags;
use crate::config::{Config, HotConfig, Loaded};
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
    /// The file is not read yet; the outcome is `waiting` or `missing`.
    NotRead(ReloadOutcome),
}

/// Gives a verdict on each content of the configuration file, and keeps the state between two verdicts.
pub struct Judge {
    home: Home,
    hot: Arc<ArcSwap<HotConfig>>,
    callbacks: Callbacks,
    validate: Validate,
    flags: Flags,
    boot_state: FileState,
    view: ConfigView,
    recorder: Recorder,
    /// How many reloads were requested (by SIGHUP).
    requests: u64,
    /// Hash of the file whose values are in force.
    hash_in_force: Option<String>,
    /// Changes in the file that take effect only after a restart of the daemon.
    pending: Vec<Change>,
    /// Former entries of `pending` whose keys got back the value in force since the last verdict on a SIGHUP.
    /// The next verdict on a SIGHUP reports them again, because the user may not have seen the verdicts in
    /// between.
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

    /// Counts a requested reload. The next verdict answers the request.
    pub(super) fn count_request(&mut self) {
        self.requests += 1;
    }

    /// Publishes how the daemon notices changes of the file from now on, if that changed.
    pub(super) fn set_watch_mode(&mut self, mode: WatchMode) {
        if self.view.watch != mode {
            self.view.watch = mode;
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
            Content::Unreadable(why) => {
                let error = ConfigError::Unreadable { why: why.clone() };
                self.reject(&error, ContentHash::of(&[]), &mut verdict);
            }
            Content::NotRead(outcome) => self.wait(*outcome, &mut verdict),
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
        if let (true, Content::Bytes(bytes)) = (is_good, content) {
            self.recorder.record_last_good(&bytes);
        }
    }

    fn judge_bytes(&mut self, bytes: &[u8], verdict: &mut Verdict) {
        let before = self.hot.load_full();
        let path = self.path();
        let hash = ContentHash::of(bytes);
        verdict.hash_on_disk = Some(hash.hex());
        // The validator reads arbitrary text. A panic in the validator must not end the reload thread.
        let validated =
            catch_unwind(AssertUnwindSafe(|| (self.validate)(&path, bytes, Some(&before.config), &self.flags)))
                .unwrap_or_else(|_| {
                    let why = format!("the validator panicked on {}: please report this bug", path.display());
                    Err(ConfigError::Unreadable { why })
                });
        let (loaded, warnings) = match validated {
            Ok(validated) => validated,
            Err(error) => return self.reject(&error, hash, verdict),
        };
        self.rejected = None;
        let ReloadPlan { config, applied, pending_restart } = changes::plan(&before.config, &loaded);
        self.log_news(&warnings, &pending_restart);
        self.hash_in_force = Some(hash.hex());
        verdict.hash_in_force.clone_from(&self.hash_in_force);
        if bytes.is_empty() {
            let note = self.defaults_note();
            info!(reading = verdict.attempt, "configuration: {note}");
            verdict.notes.push(note);
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
    fn defaults_note(&self) -> String {
        let path = self.path();
        let why = match path.exists() {
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
        verdict.errors = why.lines();
        verdict.report = Some(why.to_string());
        let was_logged = self.rejected.replace(content) == Some(content) && verdict.errors == self.view.errors;
        if was_logged {
            debug!(reading = verdict.attempt, "configuration rejected again, for the same errors as before");
        } else {
            let generation = verdict.generation;
            error!("configuration rejected; generation {generation} stays in force:\n{why}");
        }
    }

    fn wait(&mut self, outcome: ReloadOutcome, verdict: &mut Verdict) {
        verdict.outcome = outcome;
        let path = self.path();
        let path = path.display();
        let why = match outcome {
            ReloadOutcome::Waiting => format!(
                "a program keeps {path} open for writing: boi reads the file when the program closes it, or at once after \
                 another `boi daemon reload` (SIGHUP)"
            ),
            _ => format!(
                "{path} is missing or empty: the old configuration stays in force; `boi daemon reload` (SIGHUP) puts the \
                 defaults in force"
            ),
        };
        warn!(reading = verdict.attempt, "configuration: {why}");
        verdict.errors = vec![why];
    }
}
