//! Loads the configuration that a daemon starts with: `config.toml`, or the last good configuration if the
//! file is invalid.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::content_hash::ContentHash;
use super::file_watch::REPORTS_CLOSE;
use super::path_chain::FileState;
use super::read_file::{FileContent, read_once};
use super::settle::{Decision, FileEvent, Observation, Settle, WaitReason};
use super::validate::{ConfigError, validate};
use crate::config::flags::Flags;
use crate::config::{Config, Loaded, MAX_BYTES};
use crate::domain::verdict::{ReloadOutcome, Trigger, Verdict, WatchMode};
use crate::domain::view::ConfigView;
use crate::system::paths::Home;
use crate::system::{clock, files};

/// The configuration that a daemon starts with.
#[derive(Debug, Clone)]
pub struct BootConfig {
    /// The values that the daemon puts in force.
    pub config: Config,
    /// The file's errors, if the last good configuration is used instead of the file.
    pub degraded: Option<String>,
    /// Whether the file is missing or empty, although a last good configuration is recorded.
    pub was_lost: bool,
    pub(super) verdict: Verdict,
    pub(super) flags: Flags,
    pub(super) state: FileState,
    /// The bytes of a valid file, to record as the last good configuration. `None`: the file is invalid,
    /// missing or empty.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads the configuration for the start of a daemon. A missing or empty file means all defaults. If the file is invalid,
/// the last good configuration is used; without one, the file's errors are returned.
pub fn boot(home: &Home, flags: &Flags) -> Result<BootConfig, ConfigError> {
    let started = Instant::now();
    let path = home.config_file();
    let state = FileState::of(&path);
    let read = |bytes: &[u8]| validate(&path, bytes, None, flags);
    let booted = |loaded: Loaded, verdict: Verdict| BootConfig {
        config: loaded.config,
        degraded: None,
        was_lost: false,
        verdict: Verdict {
            attempt: 1,
            trigger: Trigger::Boot,
            at: clock::now(),
            generation: 1,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            ..verdict
        },
        flags: flags.clone(),
        state: state.clone(),
        bytes: None,
    };
    let hex = |bytes: &[u8]| Some(ContentHash::of(bytes).hex());
    let (hash_on_disk, error) = match read_settled(&path) {
        Ok(bytes) => match read(&bytes) {
            Ok((loaded, warnings)) => {
                let (outcome, hash) = (ReloadOutcome::Applied, hex(&bytes));
                let verdict = Verdict {
                    outcome,
                    warnings,
                    hash_on_disk: hash.clone(),
                    hash_in_force: hash,
                    ..Verdict::default()
                };
                return Ok(BootConfig {
                    was_lost: bytes.is_empty() && home.last_good_config().exists(),
                    bytes: (!bytes.is_empty()).then_some(bytes),
                    ..booted(loaded, verdict)
                });
            }
            Err(error) => (hex(&bytes), error),
        },
        Err(why) => (None, ConfigError::Unreadable { why }),
    };
    let Ok(Some(last_good)) = files::read_user_file(&home.last_good_config(), MAX_BYTES) else { return Err(error) };
    let Ok((loaded, warnings)) = read(&last_good) else { return Err(error) };
    let verdict = Verdict {
        outcome: ReloadOutcome::Rejected,
        errors: error.lines(),
        report: Some(error.to_string()),
        warnings,
        hash_on_disk,
        hash_in_force: hex(&last_good),
        ..Verdict::default()
    };
    Ok(BootConfig { degraded: Some(error.to_string()), ..booted(loaded, verdict) })
}

impl BootConfig {
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

/// Waits until no program has the file open for writing, and reads the file. A missing file counts as empty.
/// `Err`: why the file cannot be read.
fn read_settled(path: &Path) -> Result<Vec<u8>, String> {
    let started = Instant::now();
    let mut settle = Settle::new(REPORTS_CLOSE);
    settle.on_event(Duration::ZERO, FileEvent::Unknown);
    loop {
        thread::sleep(settle.due().unwrap_or_default().saturating_sub(started.elapsed()));
        let found = read_once(path, MAX_BYTES);
        let observation = match &found {
            // When a daemon starts, a missing file means all defaults at once. A reload would wait until the
            // file exists again.
            FileContent::Missing => return Ok(Vec::new()),
            FileContent::Bytes(bytes, writer) => Observation::Content(ContentHash::of(bytes), *writer),
            FileContent::Changing => Observation::Changing,
            FileContent::Unreadable(_) => Observation::Unreadable,
        };
        match (settle.on_read(started.elapsed(), observation), found) {
            (Decision::Judge, FileContent::Bytes(bytes, _)) => return Ok(bytes),
            (_, FileContent::Unreadable(why)) => return Err(why),
            (Decision::Report(WaitReason::OpenForWriting), _) => {
                return Err(format!(
                    "cannot read {}: another program keeps the file open for writing; close it in that program",
                    path.display()
                ));
            }
            _ => {}
        }
    }
}
