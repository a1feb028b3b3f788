//! Where log events go, and the filter that a reload can change.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the filter of a running log.
#[derive(Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

/// Where log events are written.
pub enum Target {
    /// Standard error, with colour on a terminal unless the user asked for none.
    Stderr {
        /// Whether colour is welcome.
        color: bool,
    },
    /// A file in a folder of logs, kept small: at most [`KEPT`] older ones of [`LARGEST`] bytes each stand beside it.
    File(PathBuf),
}

/// A log file that has grown to this is put aside.
pub const LARGEST: usize = 10 << 20;
/// How many that were put aside are kept.
pub const KEPT: usize = 5;

fn rotated(path: &Path) -> FileRotate<AppendCount> {
    let mut private = OpenOptions::new();
    private.read(true).create(true).append(true).mode(0o600);
    FileRotate::new(
        path,
        AppendCount::new(KEPT),
        ContentLimit::BytesSurpassed(LARGEST),
        Compression::None,
        Some(private),
    )
}

/// Begins logging, with `filter` as the configuration has it.
pub fn begin(target: Target, filter: &str) -> Result<LogFilter, String> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match target {
        Target::Stderr { color } => {
            let ansi = color && std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false)).try_init()
        }
        Target::File(path) => {
            let writer = Mutex::new(rotated(&path));
            registry.with(fmt::layer().with_writer(writer).with_ansi(false).with_target(false)).try_init()
        }
    };
    begun.map_err(|error| error.to_string())?;
    Ok(LogFilter(handle))
}

impl LogFilter {
    /// Puts another filter in force.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.0.reload(parse(filter)?).map_err(|error| error.to_string())
    }
}

/// Whether the subscriber takes a filter.
pub fn check(filter: &str) -> Result<(), String> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("the log filter `{filter}` is not valid: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_log_that_has_grown_is_put_aside_and_stays_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        let mut log = rotated(&path);
        let line = vec![b'x'; 1 << 20];
        for _ in 0..8 * KEPT * (LARGEST >> 20) / 4 {
            log.write_all(&line).unwrap();
            log.write_all(b"\n").unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
        names.sort_by_key(|entry| entry.file_name());
        assert_eq!(names.len(), KEPT + 1, "{names:?}");
        for entry in &names {
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
            assert!(entry.metadata().unwrap().size() <= 2 * LARGEST as u64);
        }
        assert_eq!(names[0].file_name(), "daemon.log");
    }
}
