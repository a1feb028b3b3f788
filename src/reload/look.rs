//! A look at the configuration file: one read of its content, its metadata, and the links and folders of its
//! path.
//!
//! A separate process looks at a file on a foreign mount (see `mounts`), for at most [`PATIENCE`]: see
//! `process::look_process`. No other part of this room touches a path on a foreign mount.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::content_hash::ContentHash;
use super::mounts::ForeignMount;
use super::path_chain::{FileState, PathChain};
use super::read_file::{FileContent, read_once};
use super::settle::OpenForWriting;
use crate::config::MAX_BYTES;
use crate::process::look_process::{LOOK, LookProcess};
use crate::system::paths;

/// How long a foreign file system may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The second argument of the separate process: whether it reads a file or looks up a program.
const FILE: &str = "file";
const PROGRAM: &str = "program";

/// The result of one look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) found: FileContent,
    /// The hash of everything that the look found: the content, or why there is none; metadata, links and
    /// folders.
    pub(super) state: ContentHash,
    /// The time since the last change of the file, by this machine's clock.
    pub(super) age: Option<Duration>,
}

impl Look {
    /// Looks at the file in this process. May wait without bound for a file on a foreign mount.
    pub(super) fn here(path: &Path) -> Look {
        let before = FileState::anywhere(path);
        let found = read_once(path, MAX_BYTES);
        let state = match &found {
            FileContent::Bytes(bytes, writer) => [format!("{before:?} {writer:?}").as_bytes(), bytes].concat(),
            other => format!("{before:?} {other:?}").into_bytes(),
        };
        Look { state: ContentHash::of(&state), found, age: before.age() }
    }

    /// Looks at the file, wherever it is.
    pub(super) fn at(path: &Path) -> Look {
        let chain = PathChain::resolve(path);
        let Some(mount) = chain.foreign() else { return Look::here(path) };
        let (sender, answer) = mpsc::channel();
        let started = Look::begin(path, move |look| drop(sender.send(look)));
        let look = started.and_then(|process| {
            let look = answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(unanswered(path, mount)));
            drop(process);
            look
        });
        look.unwrap_or_else(Look::failed)
    }

    /// Starts a look in a separate process. `done` gets the result, or the reason why there is none.
    pub(super) fn begin(
        path: &Path,
        done: impl FnOnce(Result<Look, String>) + Send + 'static,
    ) -> Result<LookProcess, String> {
        let name = path.display().to_string();
        let started = ask(FILE, path.as_os_str(), move |look: Result<Look, String>| {
            done(look.map(Look::of_foreign_file).map_err(|why| format!("cannot read {name}: {why}")));
        });
        started.map_err(|why| format!("cannot read {}: {why}", path.display()))
    }

    /// Returns the result of a look that failed for the reason `why`.
    pub(super) fn failed(why: String) -> Look {
        let found = FileContent::Unreadable(why);
        Look { state: ContentHash::of(format!("{found:?}").as_bytes()), found, age: None }
    }

    /// Marks the file as possibly open for writing elsewhere: a granted lease says nothing about programs on
    /// other machines.
    fn of_foreign_file(mut self) -> Look {
        if let FileContent::Bytes(_, writer @ (OpenForWriting::No | OpenForWriting::Unknown)) = &mut self.found {
            *writer = OpenForWriting::Elsewhere;
        }
        self
    }
}

/// Returns the foreign mount on which the file at `path` is, if it is on one.
pub(crate) fn foreign_mount_of(path: &Path) -> Option<ForeignMount> {
    PathChain::resolve(path).foreign().cloned()
}

/// Returns the message for a file whose foreign file system does not answer.
pub(super) fn unanswered(path: &Path, mount: &ForeignMount) -> String {
    format!(
        "cannot read {}: its file system ({mount}) has not answered within {} s; check that mount",
        path.display(),
        PATIENCE.as_secs()
    )
}

/// Finds the executable file of a program as `paths::find_program` does. If a folder of the PATH is on a
/// foreign mount, a separate process does the search.
pub(crate) fn find_program(program: &str) -> Result<PathBuf, String> {
    if paths::places_of_program(program).iter().all(|place| PathChain::resolve(place).foreign().is_none()) {
        return paths::find_program(program);
    }
    let (sender, answer) = mpsc::channel();
    let process = ask(PROGRAM, OsStr::new(program), move |found: Result<Result<PathBuf, String>, String>| {
        drop(sender.send(found.and_then(|found| found)));
    })
    .map_err(|why| format!("cannot be looked up: {why}"))?;
    let found = answer.recv_timeout(PATIENCE);
    drop(process);
    found.unwrap_or_else(|_| {
        Err(format!("cannot be looked up: a file system has not answered within {} s", PATIENCE.as_secs()))
    })
}

fn ask<T: DeserializeOwned + 'static>(
    kind: &str,
    subject: &OsStr,
    done: impl FnOnce(Result<T, String>) + Send + 'static,
) -> Result<LookProcess, String> {
    let decode = |printed: std::io::Result<Vec<u8>>| {
        let printed = printed.map_err(|error| error.to_string())?;
        serde_json::from_slice(&printed)
            .map_err(|_| "the process that was started to read it ended without a result".into())
    };
    LookProcess::start(&[OsStr::new(kind), subject], move |printed| done(decode(printed)))
        .map_err(|error| format!("cannot start the process that reads it: {error}"))
}

/// Does the work of the separate process if the program's arguments ask for it: looks, and prints the result.
/// `None`: the arguments ask for something else.
pub fn answer(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.skip(1);
    if arguments.next()? != LOOK {
        return None;
    }
    let (kind, subject) = (arguments.next()?, arguments.next()?);
    let answer = match kind.to_str()? {
        FILE => serde_json::to_vec(&Look::here(Path::new(&subject))),
        PROGRAM => serde_json::to_vec(&paths::find_program(&subject.to_string_lossy())),
        _ => return None,
    };
    let written = answer.map(|answer| std::io::stdout().write_all(&answer));
    Some(if matches!(written, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
