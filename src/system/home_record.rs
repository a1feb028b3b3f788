//! The record that identifies a home: an id, and the path and inode of the home's folder.
//!
//! A copy of a home has the same queue, worktrees, markers and records of processes as the original. A daemon
//! or command that works with a copy would signal processes and remove worktrees of the original. So each
//! home records its path and inode in `state/home.json`, and boi refuses a home that does not match its
//! record until `boi doctor --fix` writes the record again.
//!
//! The device number of the folder is compared only if the path differs and the boot is the same: device
//! numbers change when the machine restarts and when a file system is mounted again.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Durability};
use super::paths::{Home, HomeError};
use super::{clock, untrusted};

/// The largest accepted size of the record, in bytes.
const MAX_RECORD: usize = 64 << 10;

/// The content of `state/home.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// A random id. A copy of the home has the same id as the original.
    id: String,
    /// The canonical path of the home.
    path: String,
    inode: u64,
    device: u64,
    /// The boot in which `device` was read.
    boot: String,
}

/// The result of comparing a home with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Agreement {
    /// There is no record yet.
    Unrecorded,
    /// The record names this home. `current`: the record needs no update.
    Own { current: bool },
    /// The record names a different folder.
    Other {
        recorded: PathBuf,
        /// Whether the original is still at the recorded path.
        original_exists: bool,
    },
}

/// Fails if the home is a copy, or was moved or restored from a backup. A home without a record is accepted.
pub(crate) fn check(home: &Home) -> Result<(), HomeError> {
    match agreement(home)? {
        Agreement::Other { recorded, original_exists } => Err(refusal(home, recorded, original_exists)),
        Agreement::Unrecorded | Agreement::Own { .. } => Ok(()),
    }
}

/// Checks the home as [`check`] does, and writes the record if it is missing, of an earlier boot, or of another
/// device.
pub(crate) fn check_or_record(home: &Home) -> Result<(), HomeError> {
    let id = match agreement(home)? {
        Agreement::Own { current: true } => return Ok(()),
        Agreement::Own { current: false } => read(home)?.map(|record| record.id),
        Agreement::Unrecorded => None,
        Agreement::Other { recorded, original_exists } => return Err(refusal(home, recorded, original_exists)),
    };
    write(home, id)
}

/// Writes the record anew for this home. Fails while the original home is still at the recorded path.
pub(crate) fn adopt(home: &Home) -> Result<(), HomeError> {
    match agreement(home)? {
        Agreement::Other { recorded, original_exists: true } => Err(refusal(home, recorded, true)),
        _ => {
            let id = read(home).ok().flatten().map(|record| record.id);
            write(home, id)
        }
    }
}

fn refusal(home: &Home, recorded: PathBuf, original_exists: bool) -> HomeError {
    let home = home.root().to_owned();
    match original_exists {
        true => HomeError::Copy { home, original: recorded },
        false => HomeError::Moved { home, recorded },
    }
}

fn agreement(home: &Home) -> Result<Agreement, HomeError> {
    let Some(record) = read(home)? else { return Ok(Agreement::Unrecorded) };
    let now = describe(home, record.id.clone())?;
    let recorded = PathBuf::from(&record.path);
    let is_same_device = record.boot != now.boot || record.device == now.device;
    let is_same_place = record.path == now.path || is_same_device && leads_to(&recorded, &now);
    if record.inode == now.inode && is_same_place {
        return Ok(Agreement::Own { current: record == now });
    }
    // If the record names the current path, no other folder can be the original.
    let original_exists = record.path != now.path
        && read(&Home::at(recorded.clone())).ok().flatten().is_some_and(|other| other.id == record.id)
        && !leads_to(&recorded, &now);
    Ok(Agreement::Other { recorded, original_exists })
}

/// Whether `path` leads to the folder that `now` describes.
fn leads_to(path: &Path, now: &Record) -> bool {
    std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (now.device, now.inode))
}

/// Returns the record that describes the home as it is now.
fn describe(home: &Home, id: String) -> Result<Record, HomeError> {
    let error = |source: io::Error| HomeError::Io { path: home.root().to_owned(), source };
    let path = std::fs::canonicalize(home.root()).map_err(error)?;
    let metadata = std::fs::metadata(&path).map_err(error)?;
    Ok(Record {
        version: 1,
        id,
        path: path.to_string_lossy().into_owned(),
        inode: metadata.ino(),
        device: metadata.dev(),
        boot: clock::boot_id().to_owned(),
    })
}

/// Reads the record; `None`: the home or the record does not exist. A record that cannot be parsed counts as missing, so
/// that a power loss or a person who damages it does not lock the user out.
fn read(home: &Home) -> Result<Option<Record>, HomeError> {
    let error = |source: io::Error| HomeError::Io { path: home.home_record(), source };
    let folder = match untrusted::Folder::trusted(&home.root().join("state")) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(error)?,
    };
    match folder.read("home.json", MAX_RECORD) {
        Err(source) if untrusted::is_damaged(&source) => Ok(None),
        read => Ok(read.map_err(error)?.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
    }
}

fn write(home: &Home, id: Option<String>) -> Result<(), HomeError> {
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let record = describe(home, id)?;
    files::write_record(&home.home_record(), &record, Durability::Power)
        .map_err(|source| HomeError::Io { path: home.home_record(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: PathBuf) -> Home {
        let home = Home::at(path);
        home.prepare_records().unwrap();
        home
    }

    fn copy(from: &Home, to: &Path) -> Home {
        let copy = home(to.to_owned());
        std::fs::copy(from.home_record(), copy.home_record()).unwrap();
        copy
    }

    #[test]
    fn a_copy_is_refused_until_the_original_is_gone() {
        let dir = tempfile::TempDir::new().unwrap();
        let original = home(dir.path().join("boi"));
        original.check_identity().unwrap();
        assert!(!original.home_record().exists(), "a check writes nothing");
        original.record_identity().unwrap();
        let recorded = read(&original).unwrap().unwrap();
        check_or_record(&original).unwrap();
        assert_eq!(read(&original).unwrap().unwrap(), recorded, "the record stays as it is");
        let copy = copy(&original, &dir.path().join("copy"));
        for refused in [check(&copy), check_or_record(&copy), adopt(&copy)] {
            assert!(matches!(refused.unwrap_err(), HomeError::Copy { .. }));
        }
        check(&original).unwrap();
        std::fs::rename(original.root(), dir.path().join("aside")).unwrap();
        let refusal = check(&copy).unwrap_err();
        assert!(
            matches!(refusal, HomeError::Moved { .. }) && refusal.to_string().contains("doctor --fix"),
            "{refusal}"
        );
        adopt(&copy).unwrap();
        check_or_record(&copy).unwrap();
        assert_eq!(read(&copy).unwrap().unwrap().id, recorded.id);
    }

    #[test]
    fn a_moved_home_is_adopted_and_a_link_to_a_home_is_the_home() {
        let dir = tempfile::TempDir::new().unwrap();
        let before = home(dir.path().join("boi"));
        check_or_record(&before).unwrap();
        std::os::unix::fs::symlink(before.root(), dir.path().join("alias")).unwrap();
        check(&Home::at(dir.path().join("alias"))).unwrap();
        std::fs::rename(before.root(), dir.path().join("moved")).unwrap();
        let moved = Home::at(dir.path().join("moved"));
        assert!(matches!(check_or_record(&moved).unwrap_err(), HomeError::Moved { .. }));
        // A link at the former path shows that both paths lead to the same folder.
        std::os::unix::fs::symlink(moved.root(), before.root()).unwrap();
        check(&moved).unwrap();
        std::fs::remove_file(before.root()).unwrap();
        adopt(&moved).unwrap();
        check(&moved).unwrap();
    }

    #[test]
    fn the_device_counts_only_for_another_path_within_one_boot_and_a_restored_folder_is_another_one() {
        let dir = tempfile::TempDir::new().unwrap();
        let home = home(dir.path().join("boi"));
        check_or_record(&home).unwrap();
        let own = read(&home).unwrap().unwrap();
        let with = |record: Record| {
            files::write_record(&home.home_record(), &record, Durability::Process).unwrap();
            agreement(&home).unwrap()
        };
        assert_eq!(with(own.clone()), Agreement::Own { current: true });
        let other_device = Record { device: own.device + 1, ..own.clone() };
        assert_eq!(with(other_device.clone()), Agreement::Own { current: false }, "mounted again");
        let alias = dir.path().join("alias");
        std::os::unix::fs::symlink(home.root(), &alias).unwrap();
        let elsewhere = Record { path: alias.to_str().unwrap().into(), ..other_device.clone() };
        assert!(matches!(with(elsewhere), Agreement::Other { original_exists: false, .. }));
        let other_boot = Record { boot: "an earlier boot".into(), ..other_device };
        assert_eq!(with(other_boot.clone()), Agreement::Own { current: false });
        check_or_record(&home).unwrap();
        assert_eq!(read(&home).unwrap().unwrap(), own);
        let restored = Record { inode: own.inode + 1, ..other_boot };
        assert!(matches!(with(restored), Agreement::Other { original_exists: false, .. }));
        adopt(&home).unwrap();
        assert_eq!(read(&home).unwrap().unwrap(), own);
        std::fs::write(home.home_record(), "{\"vers").unwrap();
        check_or_record(&home).unwrap();
    }
}
