//! The configuration that a daemon starts with: what is on disk, or the last good one, loudly.

use std::thread;
use std::time::{Duration, Instant};

use crate::config::flags::Flags;
use crate::config::{Config, Loaded, MAX_BYTES};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{ReloadOutcome, Trigger, Verdict};
use crate::reload::file::{self, Found, Stamp};
use crate::reload::settle::{Held, Look, Next, Notice, Settle};
use crate::system::clock;
use crate::system::paths::Home;

use super::{ConfigError, hash, hex, validate};

/// What a daemon starts with.
#[derive(Debug, Clone)]
pub struct Booted {
    /// The effective values.
    pub config: Config,
    /// Why it is not what is on disk.
    pub degraded: Option<String>,
    /// Whether there is no file, or an empty one, where there was a configuration before.
    pub was_lost: bool,
    pub(super) verdict: Verdict,
    pub(super) flags: Flags,
    pub(super) stamp: Stamp,
    /// What is in force, to be kept as the last good configuration; `None` when it came from there.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads the configuration of `home` as a daemon does at its start. A missing or empty file means all defaults.
pub fn boot(home: &Home, flags: &Flags) -> Result<Booted, ConfigError> {
    let began = Instant::now();
    let path = home.config_file();
    let stamp = Stamp::of(&path);
    let verdict = |outcome, disk: Option<&[u8]>, force: &[u8], errors, warnings, at: Timestamp| Verdict {
        attempt: 1,
        answers: 0,
        trigger: Trigger::Boot,
        outcome,
        at,
        generation: 1,
        hash_on_disk: disk.map(|bytes| hex(&hash(bytes))),
        hash_in_force: Some(hex(&hash(force))),
        changed: Vec::new(),
        pending_restart: Vec::new(),
        errors,
        report: None,
        warnings,
        notes: Vec::new(),
        micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
    };
    let (disk, refusal) = match settled(&path) {
        Ok(bytes) => match read(home, &bytes, flags) {
            Ok((loaded, warnings)) => {
                let verdict = verdict(ReloadOutcome::Applied, Some(&bytes), &bytes, Vec::new(), warnings, clock::now());
                return Ok(Booted {
                    config: loaded.config,
                    degraded: None,
                    verdict,
                    flags: flags.clone(),
                    stamp,
                    was_lost: bytes.is_empty() && home.last_good_config().exists(),
                    bytes: (!bytes.is_empty()).then_some(bytes),
                });
            }
            Err(refusal) => (Some(bytes), refusal),
        },
        Err(why) => (None, ConfigError::Unreadable { why }),
    };
    let Ok(good) = std::fs::read(home.last_good_config()) else { return Err(refusal) };
    let Ok((loaded, warnings)) = read(home, &good, flags) else { return Err(refusal) };
    let errors = refusal.each();
    let verdict = Verdict {
        report: Some(refusal.to_string()),
        ..verdict(ReloadOutcome::Rejected, disk.as_deref(), &good, errors, warnings, clock::now())
    };
    Ok(Booted {
        config: loaded.config,
        degraded: Some(refusal.to_string()),
        was_lost: false,
        verdict,
        flags: flags.clone(),
        stamp,
        bytes: None,
    })
}

fn read(home: &Home, bytes: &[u8], flags: &Flags) -> Result<(Loaded, Vec<String>), ConfigError> {
    validate(&home.config_file(), bytes, None, flags)
}

/// The bytes of a file that nobody is writing.
fn settled(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let began = Instant::now();
    let mut settle = Settle::new(file::closes_are_seen());
    settle.notice(Duration::ZERO, Notice::Doubt);
    loop {
        thread::sleep(settle.due().unwrap_or_default().saturating_sub(began.elapsed()));
        let found = file::look(path, MAX_BYTES);
        let look = match &found {
            // No file is an answer: who starts a daemon without one wants the defaults.
            Found::Absent => return Ok(Vec::new()),
            Found::Bytes(bytes, writer) => Look::Whole(hash(bytes), *writer),
            Found::Torn => Look::Torn,
            Found::Unreadable(_) => Look::Unreadable,
        };
        match (settle.looked(began.elapsed(), look), found) {
            (Next::Judge, Found::Bytes(bytes, _)) => return Ok(bytes),
            (_, Found::Unreadable(why)) => return Err(why),
            (Next::Tell(Held::Writer), _) => {
                return Err(format!("{} is being written, and its writer does not close it", path.display()));
            }
            _ => {}
        }
    }
}
