//! What a reading of the file comes to: validated, compared with what is in force, swapped in, recorded, told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::{debug, error, info, warn};

use super::keep::Keeper;
use super::{Booted, ConfigError, hash, hex, validate};
use crate::config::changes::{self, Plan};
use crate::config::flags::Flags;
use crate::config::{Config, HotConfig, Loaded};
use crate::domain::verdict::{Change, ReloadOutcome, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;
use crate::reload::file::Stamp;
use crate::reload::settle::Hash;
use crate::system::clock;
use crate::system::paths::Home;

/// Puts a log filter in force; `Err`: why it cannot be.
type SetLog = dyn Fn(&str) -> Result<(), String> + Send;

/// What a reading acts on, beside the configuration in force.
pub struct Outlets {
    /// Is told each verdict, right after the swap.
    pub tell: Box<dyn Fn(&ConfigView) + Send>,
    /// Puts another log filter in force.
    pub set_log: Box<SetLog>,
}

/// Validates the bytes of a configuration; the last argument is what is in force.
pub(super) type Validate = fn(&Path, &[u8], Option<&Config>, &Flags) -> Result<(Loaded, Vec<String>), ConfigError>;

/// What a reading gave.
pub(super) enum Content {
    /// The file's bytes; none: all defaults.
    Bytes(Vec<u8>),
    /// It cannot be read: why.
    Unreadable(String),
    /// It does not count: why.
    Held(ReloadOutcome),
}

/// Turns readings into verdicts, one after another.
pub struct Judge {
    home: Home,
    hot: Arc<ArcSwap<HotConfig>>,
    outlets: Outlets,
    validate: Validate,
    flags: Flags,
    stamp: Stamp,
    view: ConfigView,
    keeper: Keeper,
    asked: u64,
    in_force: Option<String>,
    /// What waits for a restart.
    pending: Vec<Change>,
    /// What waited and is as in force again, since a SIGHUP was answered last: who asks then may not have seen it.
    restored: Vec<Change>,
    /// The last content that was rejected, so that it is complained about once.
    rejected: Option<Hash>,
}

impl Judge {
    /// Begins with what the daemon booted with.
    pub fn new(home: Home, booted: &Booted, hot: Arc<ArcSwap<HotConfig>>, outlets: Outlets) -> Judge {
        let judge = Judge {
            in_force: booted.verdict.hash_in_force.clone(),
            stamp: booted.stamp.clone(),
            view: booted.view(),
            keeper: Keeper::new(&home),
            home,
            hot,
            outlets,
            validate,
            flags: booted.flags.clone(),
            asked: 0,
            pending: Vec::new(),
            restored: Vec::new(),
            rejected: None,
        };
        if let Some(bytes) = &booted.bytes {
            judge.keeper.good(bytes);
        }
        judge.keeper.verdict(&booted.verdict);
        judge
    }

    /// The same with another validator.
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

    /// The state of the file at the boot's reading.
    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// A SIGHUP came.
    pub(super) fn asked(&mut self) {
        self.asked += 1;
    }

    /// How changes are noticed from now on.
    pub(super) fn watched(&mut self, mode: WatchMode) {
        if self.view.watch != mode {
            self.view.watch = mode;
            (self.outlets.tell)(&self.view);
        }
    }

    /// Comes to a verdict. `took` says how long ago the first sign of the change was.
    pub(super) fn judge(&mut self, content: Content, trigger: Trigger, took: impl Fn() -> Duration) {
        let mut verdict = Verdict {
            attempt: self.view.verdict.as_ref().map_or(0, |last| last.attempt) + 1,
            answers: self.asked,
            trigger,
            outcome: ReloadOutcome::Unchanged,
            at: clock::now(),
            generation: self.view.generation,
            hash_on_disk: None,
            hash_in_force: self.in_force.clone(),
            changed: Vec::new(),
            pending_restart: Vec::new(),
            errors: Vec::new(),
            report: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            micros: 0,
        };
        match &content {
            Content::Bytes(bytes) => self.read(bytes, &mut verdict),
            Content::Unreadable(why) => {
                self.reject(&ConfigError::Unreadable { why: why.clone() }, hash(&[]), &mut verdict);
            }
            Content::Held(outcome) => self.hold(*outcome, &mut verdict),
        }
        verdict.micros = u64::try_from(took().as_micros()).unwrap_or(u64::MAX);
        self.view.generation = verdict.generation;
        self.view.outcome = verdict.outcome;
        let good = matches!(verdict.outcome, ReloadOutcome::Applied | ReloadOutcome::Unchanged);
        if good {
            self.view.degraded = false;
            self.view.pending_restart = verdict.pending_restart.iter().map(Change::to_string).collect();
            self.view.warnings.clone_from(&verdict.warnings);
        }
        self.view.errors.clone_from(&verdict.errors);
        if verdict.outcome == ReloadOutcome::Applied {
            self.view.last_applied = Some(verdict.clone());
        }
        self.keeper.verdict(&verdict);
        self.view.verdict = Some(verdict);
        (self.outlets.tell)(&self.view);
        if let (true, Content::Bytes(bytes)) = (good, content) {
            self.keeper.good(&bytes);
        }
    }

    fn read(&mut self, bytes: &[u8], verdict: &mut Verdict) {
        let before = self.hot.load_full();
        let path = self.path();
        let on_disk = hash(bytes);
        verdict.hash_on_disk = Some(hex(&on_disk));
        // The validator takes whatever a user writes; should it break down, that is no reason to run without one.
        let validated =
            catch_unwind(AssertUnwindSafe(|| (self.validate)(&path, bytes, Some(&before.config), &self.flags)))
                .unwrap_or_else(|_| {
                    let why = format!("the validator broke down on {}: please report this", path.display());
                    Err(ConfigError::Unreadable { why })
                });
        let (loaded, warnings) = match validated {
            Ok(validated) => validated,
            Err(refusal) => return self.reject(&refusal, on_disk, verdict),
        };
        self.rejected = None;
        let Plan { config, applied, pending_restart } = changes::plan(&before.config, &loaded.config);
        for warning in warnings.iter().filter(|warning| !self.view.warnings.contains(warning)) {
            warn!("configuration: {warning}");
        }
        for pending in
            pending_restart.iter().filter(|pending| !self.view.pending_restart.contains(&pending.to_string()))
        {
            warn!("configuration: pending restart: {pending}");
        }
        self.in_force = Some(hex(&on_disk));
        verdict.hash_in_force.clone_from(&self.in_force);
        if bytes.is_empty() {
            let note = self.defaults();
            info!(attempt = verdict.attempt, "configuration: {note}");
            verdict.notes.push(note);
        }
        verdict.notes.extend(self.restore(&pending_restart, verdict.trigger));
        (verdict.pending_restart, verdict.warnings) = (pending_restart, warnings);
        if applied.is_empty() {
            info!(generation = before.generation, attempt = verdict.attempt, "configuration unchanged");
        } else {
            if config.log != before.config.log
                && let Err(problem) = (self.outlets.set_log)(&config.log)
            {
                warn!(problem, "the log filter stays as it is");
            }
            verdict.generation = before.generation + 1;
            verdict.outcome = ReloadOutcome::Applied;
            self.hot.store(Arc::new(HotConfig { generation: verdict.generation, config }));
            for change in &applied {
                info!(
                    generation = verdict.generation,
                    attempt = verdict.attempt,
                    "configuration: {change}, takes effect: {}",
                    change.takes_effect
                );
            }
            verdict.changed = applied;
        }
    }

    /// What is said when there is nothing to read.
    fn defaults(&self) -> String {
        let path = self.path();
        let why = match path.exists() {
            true => format!("{} is empty", path.display()),
            false => format!("no {}", path.display()),
        };
        let but = if self.flags.shown().is_empty() { "" } else { ", but for what the daemon's command line sets" };
        format!("{why}: the defaults are in force{but}")
    }

    /// Takes down what waits for a restart now; returns what is to be said of what does not wait any more.
    fn restore(&mut self, pending: &[Change], trigger: Trigger) -> Vec<String> {
        let waits = |change: &Change| pending.iter().any(|pending| pending.key == change.key);
        let in_words = |change: &Change| {
            let Change { key, old, .. } = change;
            format!("{key} is {old} again, as in force: it needs no restart any more")
        };
        let before = std::mem::replace(&mut self.pending, pending.to_vec());
        let now: Vec<Change> = before.into_iter().filter(|change| !waits(change)).collect();
        for change in &now {
            info!("configuration: {}", in_words(change));
        }
        self.restored.retain(|change| !waits(change) && now.iter().all(|now| now.key != change.key));
        self.restored.extend(now.iter().cloned());
        match trigger {
            Trigger::Signal => self.restored.drain(..).map(|change| in_words(&change)).collect(),
            _ => now.iter().map(in_words).collect(),
        }
    }

    fn reject(&mut self, refusal: &ConfigError, content: Hash, verdict: &mut Verdict) {
        verdict.outcome = ReloadOutcome::Rejected;
        verdict.errors = refusal.each();
        verdict.report = Some(refusal.to_string());
        let again = self.rejected.replace(content) == Some(content) && verdict.errors == self.view.errors;
        if again {
            debug!(attempt = verdict.attempt, "configuration rejected as before");
        } else {
            let generation = verdict.generation;
            error!("configuration rejected; generation {generation} stays in force:\n{refusal}");
        }
    }

    fn hold(&mut self, outcome: ReloadOutcome, verdict: &mut Verdict) {
        verdict.outcome = outcome;
        let path = self.path();
        let why = match outcome {
            ReloadOutcome::Waiting => format!(
                "{} is being written, and its writer does not close it: boi waits for that; another SIGHUP reads it as it is",
                path.display()
            ),
            _ => format!(
                "{} is missing or empty: what was in force stays; SIGHUP (`boi daemon reload`) puts the defaults in force",
                path.display()
            ),
        };
        warn!(attempt = verdict.attempt, "configuration: {why}");
        verdict.errors = vec![why];
    }
}

impl Booted {
    /// What is valid and still will not work.
    pub fn warnings(&self) -> &[String] {
        &self.verdict.warnings
    }

    /// The view of what the daemon started with.
    pub fn view(&self) -> ConfigView {
        ConfigView {
            generation: 1,
            outcome: self.verdict.outcome,
            watch: WatchMode::Poll,
            pending_restart: Vec::new(),
            errors: self.verdict.errors.clone(),
            warnings: self.verdict.warnings.clone(),
            flags: self.flags.shown(),
            degraded: self.degraded.is_some(),
            verdict: Some(self.verdict.clone()),
            last_applied: Some(self.verdict.clone()),
        }
    }
}
