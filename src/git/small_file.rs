//! Reads and writes the small files by which git links worktrees and repositories. An agent can replace each of
//! them: a symbolic link is not followed, a pipe does not block, and a large file is not read.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::git_error::GitError;

/// The largest size of a file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a small regular file; `None`: the file is missing, is something else, or cannot be read.
pub(super) fn read(file: &Path) -> Option<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut open = OpenOptions::new().read(true).custom_flags(flags).open(file).ok()?;
    if !open.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_BYTES) {
        return None;
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut open).take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Reads a small regular file as text; `None`: the file cannot be read or is not UTF-8.
pub(super) fn read_text(file: &Path) -> Option<String> {
    String::from_utf8(read(file)?).ok()
}

/// Reads the path that a file contains; `None`: the file cannot be read or is empty.
pub(super) fn read_path(file: &Path) -> Option<PathBuf> {
    read_path_after(file, b"")
}

/// Reads the path that a file contains after `prefix`; `None`: the file cannot be read, has another content, or
/// names no path.
pub(super) fn read_path_after(file: &Path, prefix: &[u8]) -> Option<PathBuf> {
    let bytes = read(file)?;
    let path = bytes.strip_prefix(prefix)?;
    let path = PathBuf::from(OsStr::from_bytes(path.strip_suffix(b"\n").unwrap_or(path)));
    // A power loss may have emptied the file.
    (!path.as_os_str().is_empty()).then_some(path)
}

/// Replaces whatever is at the path, which may be a symbolic link or a pipe, by a new file.
pub(super) fn replace(file: &Path, content: &[u8]) -> Result<(), GitError> {
    let write = || {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).open(file)?.write_all(content)
    };
    write().map_err(GitError::io("cannot write", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_regular_file_is_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "gitdir: /a b\n").unwrap();
        assert_eq!(read_path_after(&at("file"), b"gitdir: "), Some("/a b".into()));
        assert_eq!(read_path_after(&at("file"), b"other: "), None);
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::fs::write(at("large"), vec![b'x'; 70_000]).unwrap();
        for name in ["link", "pipe", "zero", "large", "missing", "."] {
            assert_eq!(read(&at(name)), None, "{name}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link_or_into_a_pipe() {
        let dir = tempfile::TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("mine"), "mine").unwrap();
        std::os::unix::fs::symlink(at("mine"), at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        for name in ["link", "pipe", "new"] {
            replace(&at(name), b"text").unwrap();
            assert_eq!(read(&at(name)).unwrap(), b"text");
        }
        assert_eq!(std::fs::read(at("mine")).unwrap(), b"mine");
    }
}
