//! The paths of boi's home, and the values of environment variables. No other file reads environment
//! variables.
//!
//! Invariant: a home or a configuration that another user owns or can write to is refused, and the error
//! contains the command that corrects its owner or mode.

#![expect(clippy::disallowed_methods, reason = "this file reads the environment")]

use std::env;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use super::home_error::HomeError;
use crate::config::Paths;
use crate::domain::id::SpecId;
use crate::system::logs::LogOutput;
use crate::system::{files, home_record, home_safety};

/// boi's home: `BOI_HOME`, or `~/.boi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    db: PathBuf,
    worktrees: PathBuf,
    logs: PathBuf,
}

/// The environment variable that contains the path of the home.
pub(crate) const HOME: &str = "BOI_HOME";

/// Returns the value of `BOI_HOME` as an absolute path, for a child process with another working directory.
/// `None`: the variable is not set.
pub(crate) fn named_home() -> Option<PathBuf> {
    std::path::absolute(home_variable()?).ok()
}

fn home_variable() -> Option<PathBuf> {
    env::var_os(HOME).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Home {
    /// Returns the home at the path in `BOI_HOME` or, if that is not set, the folder `.boi` in `HOME`.
    pub fn from_environment() -> Result<Home, HomeError> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let (variable, value) = match (home_variable(), variable("HOME")) {
            (Some(home), _) => (HOME, home),
            (None, Some(home)) => ("HOME", home),
            (None, None) => return Err(HomeError::Unknown),
        };
        let absolute = std::path::absolute(&value).map_err(|source| HomeError::Io { path: value.clone(), source })?;
        if value.is_relative() {
            return Err(HomeError::Relative { variable, value, absolute });
        }
        let root = if variable == HOME { absolute } else { absolute.join(".boi") };
        Ok(Home::at(root))
    }

    /// Returns the home at `root`, an absolute path.
    pub fn at(root: PathBuf) -> Home {
        Home { db: root.join("state/boi.db"), worktrees: root.join("worktrees"), logs: root.join("logs"), root }
    }

    /// Returns this home with the paths that a configuration sets. A relative path is relative to the home.
    pub fn with_paths(self, paths: &Paths) -> Home {
        let place = |configured: &Option<PathBuf>, default: PathBuf| match configured {
            Some(path) => self.root.join(expand_tilde(path)),
            None => default,
        };
        Home {
            db: place(&paths.db, self.root.join("state/boi.db")),
            worktrees: place(&paths.worktrees, self.root.join("worktrees")),
            logs: place(&paths.logs, self.root.join("logs")),
            root: self.root,
        }
    }

    /// Creates the missing folders that a daemon needs, with mode 0700. Refuses a home that another user owns
    /// or can write to.
    pub fn prepare(&self) -> Result<(), HomeError> {
        self.prepare_records()?;
        create(&self.worktrees)?;
        self.record_identity()
    }

    /// Fails if this home is a copy of another one, or was moved or restored from a backup. Writes nothing, so that it
    /// works on a full disk too.
    pub fn check_identity(&self) -> Result<(), HomeError> {
        home_record::check(self)
    }

    /// Fails as [`Home::check_identity`] does. A home without a record of its identity gets one.
    pub fn record_identity(&self) -> Result<(), HomeError> {
        home_record::check_or_record(self)
    }

    /// Creates the same folders as [`Home::prepare`], except the folder of the worktrees. For commands that
    /// work without a daemon.
    pub fn prepare_records(&self) -> Result<(), HomeError> {
        self.refuse_anothers_home_directory()?;
        home_safety::check(self)?;
        for folder in [&self.root, &self.root.join("state"), &self.root.join("pids"), &self.attempts(), &self.logs] {
            create(folder)?;
        }
        self.db.parent().map_or(Ok(()), create)?;
        home_safety::check(self)
    }

    /// Refuses a home that another user owns or can write to. Accepts a home that does not exist. Does not
    /// check the configuration: `check_config` does, when the file is read, so that a command that needs no
    /// configuration works even if other users can write to that file.
    pub fn check(&self) -> Result<(), HomeError> {
        home_safety::check_folder(&self.root)
    }

    /// Refuses a queue that another user owns, or can change or replace.
    pub fn check_queue(&self) -> Result<(), HomeError> {
        home_safety::check_queue(self)
    }

    /// Refuses a home if another user owns, can change or can replace a folder or file that boi uses for it,
    /// also one that the configuration or a link places outside the home.
    pub fn check_places(&self) -> Result<(), HomeError> {
        home_safety::check(self)
    }

    /// Refuses to create the home if root runs boi with another user's `HOME`, as with `sudo`: that user
    /// could not use the home afterwards.
    fn refuse_anothers_home_directory(&self) -> Result<(), HomeError> {
        let own = rustix::process::getuid().as_raw();
        let user_home = env::var_os("HOME").map(PathBuf::from).filter(|home| self.root.parent() == Some(home));
        let (true, Some(path)) = (own == 0 && !self.root.exists(), user_home) else { return Ok(()) };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.uid() != 0 => Err(HomeError::Foreign { path, owner: metadata.uid(), own }),
            _ => Ok(()),
        }
    }

    /// The home's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The user's configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The file with the verdict of the last configuration reload, for commands that run while no daemon
    /// runs.
    pub fn reload_record(&self) -> PathBuf {
        self.root.join("state/reload.json")
    }

    /// The record of the commands that the last daemon left running when it ended normally.
    pub(crate) fn left_running(&self) -> PathBuf {
        self.root.join("state/left-running.json")
    }

    /// The file with the last good configuration.
    pub fn last_good_config(&self) -> PathBuf {
        self.root.join("state/last-good.toml")
    }

    /// The file that `boi config set` keeps locked while it changes the configuration.
    pub fn config_lock(&self) -> PathBuf {
        self.root.join("state/config.lock")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("boi.sock")
    }

    /// The file with the daemon's pid. The daemon keeps it locked while it runs.
    pub fn pid_file(&self) -> PathBuf {
        self.root.join("pids/daemon.pid")
    }

    /// The queue's database.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// Whether the database is at its default path.
    pub fn has_default_db(&self) -> bool {
        self.db == self.root.join("state/boi.db")
    }

    /// The file that records the path at which the database was last opened for writing.
    pub fn queue_record(&self) -> PathBuf {
        self.root.join("state/queue-at")
    }

    /// The record of the home's identity.
    pub fn home_record(&self) -> PathBuf {
        self.root.join("state/home.json")
    }

    /// The folder of the logs.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The log of a daemon in the background.
    pub fn log_file(&self) -> PathBuf {
        self.logs.join("daemon.log")
    }

    /// Where a daemon in the background logs.
    pub(crate) fn log_output(&self) -> LogOutput {
        LogOutput::File { path: self.log_file(), home_mark: self.pid_file() }
    }

    /// The folder of all attempts.
    pub fn attempts(&self) -> PathBuf {
        self.root.join("attempts")
    }

    /// The folder of one spec's attempts.
    pub fn spec_attempts(&self, spec: &SpecId) -> PathBuf {
        self.attempts().join(spec.as_str())
    }

    /// The folder of one attempt.
    pub fn attempt(&self, spec: &SpecId, attempt: u32) -> PathBuf {
        self.spec_attempts(spec).join(attempt.to_string())
    }

    /// The folder of one command of an attempt.
    pub fn command(&self, spec: &SpecId, attempt: u32, number: u32) -> PathBuf {
        self.attempt(spec, attempt).join(format!("command-{number}"))
    }

    /// The folder of all worktrees.
    pub fn worktrees(&self) -> &Path {
        &self.worktrees
    }

    /// The folder of a spec's worktree. `recorded`: the path that the queue has recorded for an existing
    /// worktree; it takes precedence, so a change of `paths.worktrees` affects only specs without a worktree.
    pub fn worktree(&self, spec: &SpecId, recorded: Option<&str>) -> PathBuf {
        let default = self.worktrees.join(spec.as_str());
        match recorded {
            // Compared as text, because the record is text and the path may not be valid UTF-8.
            Some(recorded) if recorded != default.to_string_lossy() => PathBuf::from(recorded),
            _ => default,
        }
    }
}

fn create(folder: &Path) -> Result<(), HomeError> {
    files::private_dir(folder).map_err(|source| HomeError::Io { path: folder.to_owned(), source })
}

/// Returns the root of the home that contains a command's folder. `folder` is a path that [`Home::command`]
/// returned.
pub(crate) fn home_of_command(folder: &Path) -> &Path {
    folder.ancestors().nth(4).unwrap_or(folder)
}

/// Returns the value of `CLAUDE_BIN`, the program of the agent `claude`, if it is set and not empty.
pub(crate) fn claude_bin() -> Option<String> {
    env::var("CLAUDE_BIN").ok().filter(|value| !value.is_empty())
}

/// Returns the value of an environment variable.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

/// Returns the names of all environment variables.
pub(crate) fn variable_names() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name)
}

/// Replaces a leading `~` by the user's home directory (`HOME`).
pub(crate) fn expand_tilde(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

/// Finds the executable file that `program` names: an absolute path, or a name to look up on the PATH. `Err`:
/// why there is none, as the rest of a sentence that begins with the program's name: "is not executable". A
/// relative path is refused: it would name a different file in each working directory, and in a worktree
/// perhaps a file that the agent wrote.
pub(crate) fn find_program(program: &str) -> Result<PathBuf, String> {
    let path = expand_tilde(Path::new(program));
    if path.is_absolute() {
        return match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err("is a directory".to_owned()),
            Ok(metadata) if !is_program(&path, &metadata) => Err("is not executable".to_owned()),
            Ok(_) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("does not exist".to_owned()),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
    }
    if program.contains('/') {
        return Err("is a relative path, which names a different file in each working directory".to_owned());
    }
    let found = places_of_program(program)
        .into_iter()
        .find(|file| std::fs::metadata(file).is_ok_and(|metadata| is_program(file, &metadata)));
    found.ok_or_else(|| "is not a program on the PATH".to_owned())
}

/// Returns the paths at which [`find_program`] looks for a program, in this order.
pub(crate) fn places_of_program(program: &str) -> Vec<PathBuf> {
    let path = expand_tilde(Path::new(program));
    if path.is_absolute() {
        return vec![path];
    }
    let dirs: OsString = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&dirs).filter(|dir| dir.is_absolute()).map(|dir| dir.join(program)).collect()
}

/// Whether this user may execute the file. A mount option can forbid it too.
fn is_program(path: &Path, metadata: &Metadata) -> bool {
    metadata.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A path that is short enough for a socket address, which can contain about 100 bytes.
#[derive(Debug)]
pub(crate) struct ShortPath {
    path: PathBuf,
    _dir: Option<std::fs::File>,
}

impl ShortPath {
    /// Returns `path` or, if that is too long, a path to the same file through an open descriptor of its
    /// folder.
    pub(crate) fn new(path: &Path) -> io::Result<ShortPath> {
        if path.as_os_str().len() < 100 {
            return Ok(ShortPath { path: path.to_owned(), _dir: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let dir = std::fs::File::open(parent)?;
        let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
        Ok(ShortPath { path: Path::new(&through).join(name), _dir: Some(dir) })
    }

    /// Returns the short path. It is valid until this value is dropped.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Refuses a configuration file that other users can change or replace. `metadata`: the metadata of the open
/// file. Write permission for the group, as with a umask of 002, is accepted if no other user can access the
/// folder.
pub(crate) fn check_config(path: &Path, metadata: &Metadata) -> Result<(), HomeError> {
    let folder = std::fs::canonicalize(path).ok().and_then(|file| file.parent().map(Path::to_owned));
    let around = folder.as_ref().and_then(|folder| std::fs::metadata(folder).ok());
    if let (Some(folder), Some(around)) = (&folder, &around) {
        // In a sticky folder such as /tmp, only the file's owner can replace a file.
        let replaceable = around.mode() & 0o002 != 0 && around.mode() & 0o1000 == 0;
        if replaceable {
            return Err(HomeError::Open { path: folder.clone(), mode: around.mode() & 0o777 });
        }
    }
    let is_private = around.is_some_and(|around| around.mode() & 0o077 == 0);
    match check_config_file(path, metadata) {
        Err(HomeError::Open { mode, .. }) if is_private && mode & 0o002 == 0 => Ok(()),
        result => result,
    }
}

fn check_config_file(path: &Path, metadata: &Metadata) -> Result<(), HomeError> {
    let own = rustix::process::getuid().as_raw();
    let path = path.to_owned();
    // A configuration that root owns is accepted: an administrator may have written it.
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(HomeError::Foreign { path, owner: metadata.uid(), own });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(HomeError::Open { path, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_is_created_private_and_refused_if_other_users_can_write_to_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = dir.path().join("höme with space");
        let home = Home::at(root.clone());
        home.prepare().unwrap();
        for made in ["", "state", "pids", "attempts", "worktrees", "logs"] {
            assert_eq!(fs::metadata(root.join(made)).unwrap().mode() & 0o777, 0o700, "{made}");
        }
        fs::set_permissions(&root, Permissions::from_mode(0o770)).unwrap();
        let refusal = home.prepare().unwrap_err().to_string();
        assert!(refusal.contains("chmod go-w") && refusal.contains("höme with space"), "{refusal}");
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        home.prepare().unwrap();
        fs::write(home.config_file(), "").unwrap();
        let config = home.config_file();
        let verdict = |mode: u32| {
            fs::set_permissions(&config, Permissions::from_mode(mode)).unwrap();
            check_config(&config, &fs::metadata(&config).unwrap()).is_ok()
        };
        assert_eq!(
            [0o600, 0o644, 0o664, 0o666].map(verdict),
            [true, true, false, false],
            "other users can access the folder"
        );
        fs::set_permissions(&root, Permissions::from_mode(0o700)).unwrap();
        assert_eq!([0o664, 0o666].map(verdict), [true, false], "no other user can access the folder");
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::write(open.join("config.toml"), "").unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink(open.join("config.toml"), &config).unwrap();
        assert!(
            check_config(&config, &fs::metadata(&config).unwrap()).is_err(),
            "any user can replace the target of the link"
        );
    }

    #[test]
    fn relative_configured_paths_are_relative_to_the_home() {
        let paths = Paths { db: Some("q/boi.db".into()), worktrees: Some("/fast/trees".into()), logs: None };
        let home = Home::at("/h".into()).with_paths(&paths);
        assert_eq!(home.db(), Path::new("/h/q/boi.db"));
        let spec = "SD979".parse().unwrap();
        assert_eq!(home.worktree(&spec, None), Path::new("/fast/trees/SD979"));
        assert_eq!(home.worktree(&spec, Some("/h/worktrees/SD979")), Path::new("/h/worktrees/SD979"));
        assert_eq!(home.logs(), Path::new("/h/logs"));
    }

    #[test]
    fn a_program_is_found_by_name_or_absolute_path_only() {
        let dir = tempfile::TempDir::new().unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "").unwrap();
        let why = |program: &Path| find_program(program.to_str().unwrap()).unwrap_err();
        assert_eq!(why(&plain), "is not executable");
        assert_eq!(why(dir.path()), "is a directory");
        assert_eq!(why(&dir.path().join("none")), "does not exist");
        assert!(why(&plain.join("below")).starts_with("cannot be read"));
        assert_eq!(why(Path::new("no-such-program-anywhere")), "is not a program on the PATH");
        // The tests run in the package's folder, where these files exist.
        for relative in ["./Cargo.toml", "src/../Cargo.toml", "target/debug/boi"] {
            assert!(why(Path::new(relative)).starts_with("is a relative path"), "{relative}");
        }
        fs::set_permissions(&plain, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(find_program(plain.to_str().unwrap()), Ok(plain));
        assert!(find_program("sh").unwrap().is_absolute());
    }
}
