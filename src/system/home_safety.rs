//! Checks that no other user can change, replace or read the files and folders that boi uses: the folders of
//! a home, those that a configuration places elsewhere, and the files in them. Links are followed, so the
//! folder that a link leads to is checked.
//!
//! Whoever can change the queue can make boi run any program, and whoever can replace a log by a link can make boi write
//! to any file.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::access;
use super::paths::{Home, HomeError};

/// The uid that the kernel shows for a user of another user namespace.
const OVERFLOW_UID: u32 = 65_534;

/// Refuses a home if another user owns, can change or can replace one of its folders or files. Accepts
/// missing ones.
pub(crate) fn check(home: &Home) -> Result<(), HomeError> {
    let root = home.root();
    for folder in [root, &root.join("state"), &root.join("pids"), &home.attempts(), home.logs(), home.worktrees()] {
        check_folder(folder)?;
    }
    check_queue(home)?;
    let files = [home.log_file(), home.pid_file(), home.home_record(), home.queue_record(), home.last_good_config()];
    files.iter().try_for_each(|file| check_file(file))?;
    // boi opens none of these through a link, so a link is refused.
    for file in [home.log_file(), home.pid_file(), home.attempts()] {
        if file.is_symlink() {
            return Err(HomeError::Link { path: file });
        }
    }
    Ok(())
}

/// Refuses a queue that another user owns, or can change or replace.
pub(crate) fn check_queue(home: &Home) -> Result<(), HomeError> {
    home.db().parent().map_or(Ok(()), check_folder)?;
    for ending in ["", "-wal", "-shm"] {
        let mut path = home.db().as_os_str().to_owned();
        path.push(ending);
        check_file(Path::new(&path))?;
    }
    check_file(&home.db().with_extension("lock"))
}

/// Refuses a folder that another user owns or can write to, or that another user can replace.
pub(crate) fn check_folder(path: &Path) -> Result<(), HomeError> {
    // For a missing folder, the folders around it are checked.
    let real = path.ancestors().find_map(|path| std::fs::canonicalize(path).ok());
    if let Some(metadata) = metadata(path)? {
        check_owned(path, &metadata, true)?;
    }
    let Some(real) = real else { return Ok(()) };
    let exists = std::fs::metadata(path).is_ok();
    for parent in real.ancestors().skip(usize::from(exists)) {
        let Some(metadata) = metadata(parent)? else { continue };
        check_parent(path, parent, &metadata)?;
    }
    Ok(())
}

/// Refuses a file that another user owns or can write to. Accepts anything that is not a regular file:
/// opening it fails later.
fn check_file(path: &Path) -> Result<(), HomeError> {
    let file = metadata(path)?.filter(Metadata::is_file);
    file.map_or(Ok(()), |metadata| check_owned(path, &metadata, false))
}

/// Returns the metadata of the file or folder at `path`, following links; `None`: it does not exist.
fn metadata(path: &Path) -> Result<Option<Metadata>, HomeError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HomeError::Io { path: path.to_owned(), source }),
    }
}

/// Refuses a file or folder that another user owns or can write to.
fn check_owned(path: &Path, metadata: &Metadata, directory: bool) -> Result<(), HomeError> {
    let own = rustix::process::getuid().as_raw();
    let path = path.to_owned();
    if directory && !metadata.is_dir() {
        return Err(HomeError::NotADirectory { path });
    }
    if metadata.uid() != own {
        return Err(HomeError::Foreign { path, owner: metadata.uid(), own });
    }
    let mode = metadata.mode() & 0o777;
    if directory && mode & 0o002 != 0 && metadata.mode() & 0o1000 != 0 {
        return Err(HomeError::Shared { path, mode });
    }
    let is_open = if directory { mode & 0o022 != 0 } else { mode & 0o002 != 0 };
    if is_open { Err(HomeError::Open { path, mode }) } else { Ok(()) }
}

/// Refuses a folder above `path` if another user can replace its entry on the way to `path`.
fn check_parent(path: &Path, parent: &Path, metadata: &Metadata) -> Result<(), HomeError> {
    let own = rustix::process::getuid().as_raw();
    let (path, parent) = (path.to_owned(), parent.to_owned());
    if ![own, 0, OVERFLOW_UID].contains(&metadata.uid()) {
        return Err(HomeError::ForeignParent { path, parent, owner: metadata.uid(), own });
    }
    // In a sticky folder such as /tmp, only the owner of an entry can replace it.
    let replaceable = metadata.mode() & 0o002 != 0 && metadata.mode() & 0o1000 == 0;
    if replaceable {
        return Err(HomeError::OpenParent { path, parent, mode: metadata.mode() & 0o777 });
    }
    Ok(())
}

/// Returns the advice for a path that the user `owner` owns. Root is never advised to change the owner: that
/// would lock the owner out.
pub(super) fn foreign_advice(path: &Path, owner: u32, own: u32) -> String {
    match own {
        0 => format!("run it as {}, without sudo", access::name_or_number(owner)),
        own => format!("run `sudo chown -R {own} '{}'`", path.display()),
    }
}

/// Returns the advice for a folder above a path that the user `owner` owns.
pub(super) fn foreign_parent_advice(owner: u32, own: u32) -> String {
    match own {
        0 => format!("run it as {}, without sudo, or use a folder of your own", access::name_or_number(owner)),
        _ => "use a folder that only you can change".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::config::Paths;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_folder_that_others_can_change_or_replace_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        chmod(&open, 0o777);
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        check(&home).unwrap();
        for folder in ["state", "pids", "attempts", "logs", "worktrees"] {
            let folder = home.root().join(folder);
            chmod(&folder, 0o770);
            assert!(matches!(check(&home).unwrap_err(), HomeError::Open { path, .. } if path == folder));
            chmod(&folder, 0o755);
            check(&home).unwrap();
        }
        let placed = |paths: Paths| check(&Home::at(dir.path().join("boi")).with_paths(&paths));
        let at = |name: &str| -> Option<PathBuf> { Some(open.join(name)) };
        for paths in [
            Paths { db: at("boi.db"), ..Paths::default() },
            Paths { db: at("new/boi.db"), ..Paths::default() },
            Paths { logs: Some(open.clone()), ..Paths::default() },
            Paths { logs: at("logs"), ..Paths::default() },
            Paths { worktrees: at("trees"), ..Paths::default() },
        ] {
            let refusal = placed(paths.clone()).unwrap_err();
            assert!(
                refusal.to_string().contains("777") && refusal.to_string().contains("/open"),
                "{paths:?}: {refusal}"
            );
        }
        chmod(&open, 0o1777);
        placed(Paths { worktrees: at("trees"), ..Paths::default() }).unwrap();
        chmod(&open, 0o777);
        std::fs::rename(home.root().join("state"), open.join("state")).unwrap();
        symlink(open.join("state"), home.root().join("state")).unwrap();
        assert!(matches!(check(&home).unwrap_err(), HomeError::OpenParent { .. }), "through a link");
        chmod(&open, 0o755);
        check(&home).unwrap();
    }

    #[test]
    fn a_log_is_not_written_through_a_link_and_files_that_all_can_write_are_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        for file in [home.log_file(), home.pid_file()] {
            symlink(dir.path().join("elsewhere"), &file).unwrap();
            assert!(matches!(check(&home).unwrap_err(), HomeError::Link { path } if path == file));
            std::fs::remove_file(&file).unwrap();
        }
        std::fs::write(home.db(), "").unwrap();
        chmod(home.db(), 0o666);
        assert!(matches!(check_queue(&home).unwrap_err(), HomeError::Open { .. }));
    }

    #[test]
    fn root_is_told_to_run_boi_as_the_owner() {
        let advice = foreign_advice(Path::new("/home/ann/.boi"), 4_000_000_001, 0);
        assert_eq!(advice, "run it as user 4000000001, without sudo");
        assert!(foreign_advice(Path::new("/x"), 0, 1000).contains("chown"));
    }
}
