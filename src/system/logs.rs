//! Where log events go, and the filter that a reload can change.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

use super::files;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the filter of a running log.
#[derive(Clone)]
pub struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    file: Option<PathBuf>,
}

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

/// A log file that is there again after somebody removed it.
struct Kept {
    path: PathBuf,
    log: FileRotate<AppendCount>,
}

impl Kept {
    fn new(path: &Path) -> Kept {
        let log = rotated(path);
        // A log that cannot be closed to others is better than none.
        drop(files::make_private(path));
        Kept { path: path.to_owned(), log }
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Without its folder there is no place for it.
        if !self.path.exists() && self.path.parent().is_some_and(Path::exists) {
            self.log = rotated(&self.path);
        }
        self.log.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }
}

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
    let file = match &target {
        Target::Stderr { .. } => None,
        Target::File(path) => Some(path.clone()),
    };
    let begun = match target {
        Target::Stderr { color } => {
            let ansi = color && std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false)).try_init()
        }
        Target::File(path) => {
            let writer = Mutex::new(Kept::new(&path));
            registry.with(fmt::layer().with_writer(writer).with_ansi(false).with_target(false)).try_init()
        }
    };
    begun.map_err(|error| error.to_string())?;
    Ok(LogFilter { handle, file })
}

impl LogFilter {
    /// The file that the log goes to, if it does.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Puts another filter in force.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.handle.reload(parse(filter)?).map_err(|error| error.to_string())
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
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_log_that_is_removed_comes_back_and_one_that_others_can_read_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o777;
        std::fs::write(&path, "before\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut log = Kept::new(&path);
        assert_eq!(mode(), 0o600);
        log.write_all(b"first\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nfirst\n");
        std::fs::remove_file(&path).unwrap();
        log.write_all(b"second\n").unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode()), ("second\n", 0o600));
        std::fs::remove_dir_all(dir.path()).unwrap();
        log.write_all(b"third\n").unwrap();
        assert!(!dir.path().exists());
    }

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
