//! Starts the program's log, and changes its filter when the configuration is reloaded.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::files;
use crate::domain::escape;

/// A handle to the program's log: it changes the filter and returns the log's path.
#[derive(Clone)]
pub(crate) struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    file: Option<PathBuf>,
}

/// Where the log is written.
pub(crate) enum LogOutput {
    /// Standard error.
    Stderr {
        /// Whether to use colour if standard error is a terminal.
        color: bool,
    },
    /// A file that is rotated: at most [`OLD_FILES`] older files of about [`MAX_BYTES`] each are kept beside
    /// it.
    File {
        /// The path of the log.
        path: PathBuf,
        /// A file that exists as long as the home does. While it exists, a removed log and its folder are created again.
        home_mark: PathBuf,
    },
}

/// The log file is rotated when it is larger than this number of bytes.
pub(crate) const MAX_BYTES: usize = 10 << 20;
/// Maximum number of rotated log files that are kept.
pub(crate) const OLD_FILES: usize = 5;

/// A rotated log file. If somebody removes it, the next log line creates it again.
struct ReopeningLog {
    path: PathBuf,
    /// A file that exists as long as the home does: without the home, its log is not created again.
    home_mark: PathBuf,
    log: FileRotate<AppendCount>,
}

impl ReopeningLog {
    fn new(path: &Path, home_mark: &Path) -> ReopeningLog {
        let log = rotated(path);
        // If this fails, other users may be able to read the log, but logging still works.
        files::make_private(path).ok();
        ReopeningLog { path: path.to_owned(), home_mark: home_mark.to_owned(), log }
    }
}

impl Write for ReopeningLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.path.exists() && self.home_mark.exists() {
            // If the folder cannot be created, log lines still go to the removed file.
            if self.path.parent().is_some_and(|folder| files::private_dir(folder).is_ok()) {
                self.log = rotated(&self.path);
            }
        }
        self.log.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }
}

fn rotated(path: &Path) -> FileRotate<AppendCount> {
    let mut private = OpenOptions::new();
    // A log that was removed is created again; a link that something put in its place is not followed.
    private.read(true).create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    FileRotate::new(
        path,
        AppendCount::new(OLD_FILES),
        ContentLimit::BytesSurpassed(MAX_BYTES),
        Compression::None,
        Some(private),
    )
}

/// Starts logging to `output`. `filter` is the tracing filter directive from the configuration.
pub(crate) fn start(output: LogOutput, filter: &str) -> Result<LogFilter, String> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let file = match &output {
        LogOutput::Stderr { .. } => None,
        LogOutput::File { path, .. } => Some(path.clone()),
    };
    // A log event that cannot be written is dropped: the layers would report the failure with a macro that
    // panics.
    let started = match output {
        LogOutput::Stderr { color } => {
            let ansi = color && std::io::stderr().is_terminal();
            let layer = fmt::layer().fmt_fields(escaping_fields()).with_writer(std::io::stderr);
            registry.with(layer.with_ansi(ansi).with_target(false).log_internal_errors(false)).try_init()
        }
        LogOutput::File { path, home_mark } => {
            let writer = Mutex::new(ReopeningLog::new(&path, &home_mark));
            let layer = fmt::layer().fmt_fields(escaping_fields()).with_writer(writer);
            registry.with(layer.with_ansi(false).with_target(false).log_internal_errors(false)).try_init()
        }
    };
    started.map_err(|error| error.to_string())?;
    Ok(LogFilter { handle, file })
}

/// Formats the fields of an event so that no value, such as the output of a program, can look like another event or
/// control a terminal: unsafe characters are made visible, and the further lines of a message are indented.
fn escaping_fields() -> impl for<'writer> fmt::FormatFields<'writer> {
    let write = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let value = format!("{value:?}");
        match (field.name(), writer.has_ansi_escapes()) {
            ("message", _) => write!(writer, "{}", escape::escaped_lines(&value).replace('\n', "\n    ")),
            (name, false) => write!(writer, "{name}={}", escape::escaped(&value)),
            (name, true) => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{}", escape::escaped(&value)),
        }
    };
    fmt::format::debug_fn(write).delimited(" ")
}

impl LogFilter {
    /// Returns the path of the log file; `None`: the log is written to standard error.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Replaces the log filter. `Err`: why the new filter cannot be used.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        self.handle.reload(parse(filter)?).map_err(|error| error.to_string())
    }
}

/// Checks that a log filter is valid. `Err`: why it is not.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("the log filter `{filter}` is not valid: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_removed_log_is_created_again_and_other_users_cannot_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mark) = (dir.path().join("logs/daemon.log"), dir.path().join("daemon.pid"));
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o777;
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        std::fs::write(&mark, "").unwrap();
        std::fs::write(&path, "before\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut log = ReopeningLog::new(&path, &mark);
        assert_eq!(mode(), 0o600);
        log.write_all(b"first\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nfirst\n");
        std::fs::remove_file(&path).unwrap();
        log.write_all(b"second\n").unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode()), ("second\n", 0o600));
        std::fs::remove_dir_all(dir.path().join("logs")).unwrap();
        log.write_all(b"third\n").unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode()), ("third\n", 0o600));
        assert_eq!(std::fs::metadata(dir.path().join("logs")).unwrap().mode() & 0o777, 0o700);
        std::fs::remove_dir_all(dir.path()).unwrap();
        log.write_all(b"fourth\n").unwrap();
        assert!(!dir.path().exists(), "the home was removed on purpose");
    }

    /// The events that `log` writes, as the log has them.
    fn logged(log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        let writer = shared.clone();
        let layer = fmt::layer().fmt_fields(escaping_fields()).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_ansi(false).with_target(false).without_time());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = shared.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_value_can_look_like_another_event_or_control_a_terminal() {
        let forged = "x\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{202e}\u{2028}";
        let shown = "x\\n2026-01-01T00:00:00Z ERROR forged\\u{1b}[2J\\u{202e}\\u{2028}";
        assert_eq!(
            logged(|| tracing::info!(detail = %forged, count = 2, "two words")),
            format!(" INFO two words detail={shown} count=2\n")
        );
        assert_eq!(logged(|| tracing::warn!(detail = "a\nb", "said")), " WARN said detail=\"a\\nb\"\n");
        let message = logged(|| tracing::error!("refused:\n{forged}"));
        assert_eq!(message.lines().filter(|line| !line.starts_with("    ")).collect::<Vec<_>>(), ["ERROR refused:"]);
        assert!(!message.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "{message:?}");
    }

    #[test]
    fn a_full_log_is_rotated_and_stays_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        let mut log = rotated(&path);
        let line = vec![b'x'; 1 << 20];
        for _ in 0..8 * OLD_FILES * (MAX_BYTES >> 20) / 4 {
            log.write_all(&line).unwrap();
            log.write_all(b"\n").unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
        names.sort_by_key(|entry| entry.file_name());
        assert_eq!(names.len(), OLD_FILES + 1, "{names:?}");
        for entry in &names {
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
            assert!(entry.metadata().unwrap().size() <= 2 * MAX_BYTES as u64);
        }
        assert_eq!(names[0].file_name(), "daemon.log");
    }
}
