//! Loads the configuration that a daemon starts with: `config.toml`, or the last good configuration if the
//! file is invalid.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::content_hash::ContentHash;
use super::file_watch::REPORTS_CLOSE;
use super::judge::{is_blank, keeps_changing};
use super::look::Look;
use super::path_chain::{FileState, PathChain};
use super::read_file::FileContent;
use super::settle::{Decision, FileEvent, Observation, OpenForWriting, STILL, Settle, WaitReason};
use super::validate::{ConfigError, validate};
use crate::config::flags::Flags;
use crate::config::{Config, Loaded, MAX_BYTES};
use crate::domain::verdict::{ReloadOutcome, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;
use crate::system::paths::Home;
use crate::system::{clock, files};

/// How long a daemon that starts waits for a file that keeps changing.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The configuration that a daemon starts with.
#[derive(Debug, Clone)]
pub struct BootConfig {
    /// The values that the daemon puts in force.
    pub config: Config,
    /// The file's errors, if the last good configuration is used instead of the file.
    pub degraded: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) flags: Flags,
    pub(super) state: FileState,
    /// The hash of the file's content and state when it was read. `None`: the file's content is not in force.
    pub(super) look: Option<ContentHash>,
    /// The bytes of a valid file, to record as the last good configuration. `None`: the file is invalid,
    /// missing or empty.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads the configuration for the start of a daemon. A missing file means all defaults. If the file is
/// invalid, or empty although a last good configuration is recorded, the last good configuration is used. If
/// the file is invalid and none is recorded, this fails with the file's errors.
pub fn boot(home: &Home, flags: &Flags) -> Result<BootConfig, ConfigError> {
    let started = Instant::now();
    let path = home.config_file();
    let state = FileState::of(&path);
    let read = |bytes: &[u8]| validate(&path, bytes, None, flags);
    let booted = |(loaded, warnings): (Loaded, Vec<String>), verdict: Verdict| {
        let mut verdict = Verdict {
            attempt: 1,
            trigger: Trigger::Boot,
            at: clock::now(),
            generation: 1,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            ..verdict
        };
        verdict.warnings.extend(warnings);
        let (flags, state) = (flags.clone(), state.clone());
        BootConfig { config: loaded.config, degraded: None, verdict, flags, state, look: None, bytes: None }
    };
    let hex = |bytes: &[u8]| Some(ContentHash::of(bytes).hex());
    let last_good = || files::read_user_file(&home.last_good_config(), MAX_BYTES).ok().flatten();
    // A blank record means that the user had put the defaults in force. Using it has the same effect as the
    // missing or empty file, so it is ignored.
    let lost = || last_good().filter(|bytes| !is_blank(bytes));
    let in_force = |bytes: &[u8]| Verdict { hash_in_force: hex(bytes), ..Verdict::default() };
    let (hash_on_disk, error) = match read_settled(&path) {
        Found::Content(bytes, look) => match read(&bytes) {
            Ok(valid) => {
                let verdict =
                    Verdict { outcome: ReloadOutcome::Applied, hash_on_disk: hex(&bytes), ..in_force(&bytes) };
                return Ok(BootConfig { look: Some(look), bytes: Some(bytes), ..booted(valid, verdict) });
            }
            Err(error) => (hex(&bytes), error),
        },
        Found::Nothing => {
            let verdict = Verdict { outcome: ReloadOutcome::Applied, hash_on_disk: hex(&[]), ..in_force(&[]) };
            let mut booted = booted(read(&[])?, verdict);
            if lost().is_some() {
                booted.verdict.notes.push(format!(
                    "{} is missing: the defaults are in force; the last good configuration is kept in {}",
                    path.display(),
                    home.last_good_config().display()
                ));
            }
            return Ok(booted);
        }
        Found::Lost(why) => {
            let kept = lost().and_then(|bytes| Some((read(&bytes).ok()?, bytes)));
            let Some((valid, bytes)) = kept else {
                let is_dangling = PathChain::resolve(&path).dangling().is_some();
                let verdict = match is_dangling {
                    true => Verdict {
                        outcome: ReloadOutcome::Missing,
                        errors: vec![format!("{why}: the defaults are in force")],
                        ..in_force(&[])
                    },
                    false => Verdict { outcome: ReloadOutcome::Applied, hash_on_disk: hex(&[]), ..in_force(&[]) },
                };
                return Ok(booted(read(&[])?, verdict));
            };
            let next = match PathChain::resolve(&path).dangling() {
                Some(_) => "create the missing file, or correct the link",
                None => "save the file, or run `boi daemon reload` (SIGHUP) to put the defaults in force",
            };
            let kept = home.last_good_config();
            let error = format!("{why}: the last good configuration, kept in {}, is in force; {next}", kept.display());
            let verdict = Verdict { outcome: ReloadOutcome::Missing, errors: vec![error.clone()], ..in_force(&bytes) };
            return Ok(BootConfig { degraded: Some(error), ..booted(valid, verdict) });
        }
        Found::Unreadable(why) => (None, ConfigError::Unreadable { why }),
    };
    let Some(last_good) = last_good() else { return Err(error) };
    let Ok(valid) = read(&last_good) else { return Err(error) };
    let verdict = Verdict {
        outcome: ReloadOutcome::Rejected,
        errors: error.lines(),
        report: Some(error.to_string()),
        hash_on_disk,
        ..in_force(&last_good)
    };
    Ok(BootConfig { degraded: Some(error.to_string()), ..booted(valid, verdict) })
}

impl BootConfig {
    /// Returns notes about the file for the user, such as that the file is missing although an earlier one
    /// was valid.
    pub fn notes(&self) -> &[String] {
        &self.verdict.notes
    }

    /// Returns warnings about values that are valid but will not work.
    pub fn warnings(&self) -> &[String] {
        &self.verdict.warnings
    }

    /// Returns the state of the configuration when the daemon starts, for `boi status`.
    pub fn view(&self) -> ConfigView {
        ConfigView {
            generation: 1,
            outcome: self.verdict.outcome,
            watch: WatchMode::Poll,
            watch_reason: None,
            look_pending_since: None,
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

/// What a starting daemon finds at the path of the configuration.
enum Found {
    /// A file with content: its bytes, and the hash of its content and state.
    Content(Vec<u8>, ContentHash),
    /// No file.
    Nothing,
    /// An empty file, or a link that leads to no file; the text says which.
    Lost(String),
    /// A file that cannot be read; the text says why.
    Unreadable(String),
}

/// Waits until no program has the file open for writing, and reads it.
fn read_settled(path: &Path) -> Found {
    let started = Instant::now();
    let mut settle = Settle::new(REPORTS_CLOSE);
    settle.on_event(Duration::ZERO, FileEvent::Unknown);
    loop {
        thread::sleep(settle.due().unwrap_or_default().saturating_sub(started.elapsed()));
        let Look { found, state, age } = Look::at(path);
        let now = started.elapsed();
        settle.note_state(now, state);
        if age.is_some_and(|age| age >= STILL) {
            // The file has not changed for `STILL` already, so this start of the daemon need not wait that
            // time again.
            settle.note_judged(state);
        }
        let observation = match &found {
            // At the start, a missing file means all defaults, without waiting for a save in progress.
            FileContent::Missing => return Found::Nothing,
            FileContent::Dangling(why) => return Found::Lost(why.clone()),
            FileContent::Bytes(_, writer @ OpenForWriting::Elsewhere) => Observation::Content(state, *writer),
            FileContent::Bytes(bytes, writer) => Observation::Content(ContentHash::of(bytes), *writer),
            FileContent::Changing => Observation::Changing,
            FileContent::Unreadable(_) => Observation::Unreadable,
        };
        match (settle.on_read(now, observation), found) {
            (Decision::Judge, FileContent::Bytes(bytes, _)) if is_blank(&bytes) => {
                return Found::Lost(format!("{} is empty", path.display()));
            }
            (Decision::Judge, FileContent::Bytes(bytes, _)) => return Found::Content(bytes, state),
            (Decision::Judge, FileContent::Changing) => return Found::Unreadable(keeps_changing(path)),
            (_, FileContent::Unreadable(why)) => return Found::Unreadable(why),
            (Decision::Report(WaitReason::OpenForWriting), _) => {
                let path = path.display();
                return Found::Unreadable(format!("cannot read {path}: a program keeps it open for writing"));
            }
            // A file that changes again and again must not keep the daemon from starting.
            _ if now >= LONGEST_WAIT => return Found::Unreadable(keeps_changing(path)),
            _ => {}
        }
    }
}
