//! Explains why the system denies access to a path: which file or folder denies it, its owner and mode, and the command
//! that changes that.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Returns the message for a read of `path` that failed with `error`.
pub(crate) fn explain_read(path: &Path, error: &io::Error) -> String {
    let denied = (error.kind() == io::ErrorKind::PermissionDenied).then(|| barrier(path)).flatten();
    let why =
        denied.map_or_else(|| error.to_string(), |(barrier, owner, mode)| refusal(&barrier, owner, mode, own_user()));
    format!("cannot read {}: {why}", path.display())
}

/// Returns the first folder of `path` that this user may not enter, or else the file itself, each with its
/// owner and mode.
fn barrier(path: &Path) -> Option<(PathBuf, u32, u32)> {
    let mut barrier = path.to_owned();
    for folder in path.ancestors().skip(1) {
        if rustix::fs::access(folder, rustix::fs::Access::EXEC_OK) == Err(rustix::io::Errno::ACCESS) {
            barrier = folder.to_owned();
        }
    }
    let file = std::fs::canonicalize(&barrier).unwrap_or(barrier);
    let metadata = std::fs::metadata(&file).ok()?;
    Some((file, metadata.uid(), metadata.mode() & 0o7777))
}

fn refusal(barrier: &Path, owner: u32, mode: u32, own: u32) -> String {
    let needed = if mode_is_of_folder(barrier) { "x" } else { "r" };
    let shown = barrier.display();
    let command =
        if owner == own { format!("chmod u+{needed} '{shown}'") } else { format!("sudo chmod o+{needed} '{shown}'") };
    format!("permission denied by {shown}, which belongs to {} (mode {mode:03o}): run `{command}`", user(owner))
}

fn mode_is_of_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The user of this process.
pub(crate) fn own_user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Returns the name and number of a user, such as `alice (user 1000)`, or `user 1000` if `/etc/passwd` has no
/// name.
pub(crate) fn user(uid: u32) -> String {
    match user_name(uid) {
        Some(name) => format!("{name} (user {uid})"),
        None => format!("user {uid}"),
    }
}

/// The name of a user, or `user 1000` if the user has none in `/etc/passwd`.
pub(crate) fn name_or_number(uid: u32) -> String {
    user_name(uid).unwrap_or_else(|| format!("user {uid}"))
}

/// The name of a user in `/etc/passwd`.
fn user_name(uid: u32) -> Option<String> {
    name_in(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_table_of_users() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 7), None);
    }

    #[test]
    fn a_denied_read_names_the_owner_the_mode_and_the_command() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "").unwrap();
        let own = refusal(&file, 7, 0o200, 7);
        assert!(own.contains("mode 200") && own.contains("run `chmod u+r '"), "{own}");
        let foreign = refusal(dir.path(), 0, 0o700, 7);
        assert!(foreign.contains("root (user 0)") && foreign.contains("run `sudo chmod o+x '"), "{foreign}");
        let other = explain_read(&file, &io::Error::from_raw_os_error(libc::EIO));
        assert!(other.starts_with("cannot read") && other.contains("Input/output error"), "{other}");
    }
}
