//! Which file systems report every change of a file to this kernel, and which do not.
//!
//! A file on a network or FUSE file system can be written where this kernel sees neither the write nor the program that
//! writes: inotify reports nothing, and a lease is granted although the file is open elsewhere. Such a file system can
//! also stop answering for good, and a process with a thread that waits for it cannot end. So the mount table is
//! consulted before a path is touched: reading the table itself never waits for a file system.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The types of file systems that only this kernel can change. All others count as foreign: waiting for a
/// file that could have been read at once costs little, and putting a half-written file in force costs much.
const OWN_TYPES: &[&str] = &[
    "apfs",
    "bcachefs",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hfs",
    "hfsplus",
    "hugetlbfs",
    "iso9660",
    "jffs2",
    "jfs",
    "minix",
    "mqueue",
    "msdos",
    "nilfs2",
    "ntfs",
    "ntfs3",
    "overlay",
    "proc",
    "ramfs",
    "reiserfs",
    "romfs",
    "rootfs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "ubifs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
];

/// A mount of a foreign file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignMount {
    kind: String,
    point: PathBuf,
}

impl fmt::Display for ForeignMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.kind, self.point.display())
    }
}

/// The mounts that matter for a path: each mount point with the type of its file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mounts(Vec<(PathBuf, String)>);

impl Mounts {
    /// The mounts of this process now. Empty where the system has no `/proc`.
    pub(super) fn now() -> Mounts {
        // Files of `/proc` have no length. A buffer of the usual size saves system calls.
        let mut table = Vec::with_capacity(16 << 10);
        let read = std::fs::File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_end(&mut table));
        if read.is_err() {
            table.clear();
        }
        Mounts::parse(&table)
    }

    /// Parses `/proc/self/mountinfo`: the fifth field of a line is the mount point, and the type follows after ` - `.
    fn parse(table: &[u8]) -> Mounts {
        let entry = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let (mount, file_system) = line.split_once(" - ")?;
            let kind = file_system.split(' ').next()?.to_owned();
            Some((PathBuf::from(unescaped(mount.split(' ').nth(4)?)), kind))
        };
        let mounts: Vec<_> = table.split(|byte| *byte == b'\n').filter_map(entry).collect();
        // If no mount is foreign, no path is on a foreign mount, so the table need not be kept.
        let any_is_foreign = mounts.iter().any(|(_, kind)| is_foreign(kind));
        Mounts(if any_is_foreign { mounts } else { Vec::new() })
    }

    /// The foreign mount on which `path` lies, if it lies on one. `path` contains no link and no `..`.
    pub(super) fn foreign(&self, path: &Path) -> Option<ForeignMount> {
        // Of several mounts on one mount point, the last one is visible.
        let covering = self.0.iter().filter(|(point, _)| path.starts_with(point));
        let (point, kind) = covering.max_by_key(|(point, _)| point.as_os_str().len())?;
        is_foreign(kind).then(|| ForeignMount { kind: kind.clone(), point: point.clone() })
    }
}

fn is_foreign(kind: &str) -> bool {
    !OWN_TYPES.contains(&kind)
}

/// Returns the text with its octal escapes, such as `\040` for a space, replaced.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                out.push(code);
                rest = &after[3..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
        23 22 0:21 / /proc rw shared:2 - proc proc rw\n\
        30 22 0:40 / /home/me/net\\040drive rw shared:9 - fuse.sshfs host:/x rw\n\
        31 30 0:41 / /home/me/net\\040drive/own rw - tmpfs tmpfs rw\n\
        32 22 0:42 / /srv rw - nfs4 host:/srv rw\n\
        33 22 0:43 / /srv rw - xfs /dev/b rw\n\
        garbage\n";

    #[test]
    fn a_path_lies_on_the_innermost_and_last_mount() {
        let mounts = Mounts::parse(TABLE);
        let foreign = |path: &str| mounts.foreign(Path::new(path)).map(|mount| mount.to_string());
        let sshfs = Some("fuse.sshfs at /home/me/net drive".to_owned());
        assert_eq!(foreign("/home/me/net drive"), sshfs);
        assert_eq!(foreign("/home/me/net drive/c.toml"), sshfs);
        assert_eq!(foreign("/home/me/net drive/own/c.toml"), None);
        assert_eq!(foreign("/home/me/net drivers"), None);
        assert_eq!(foreign("/srv/c.toml"), None, "another mount hides it");
        assert_eq!(foreign("/etc/c.toml"), None);
    }

    #[test]
    fn a_type_that_is_not_known_to_report_every_change_is_foreign() {
        for kind in [
            "fuse",
            "fuse.bindfs",
            "fuseblk",
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "9p",
            "virtiofs",
            "ceph",
            "afs",
            "lustre",
            "gfs2",
            "vboxsf",
            "drvfs",
            "autofs",
            "ecryptfs",
            "",
            "of a later kernel",
        ] {
            let table = format!("1 0 0:1 / / rw - {kind} x rw\n");
            assert!(Mounts::parse(table.as_bytes()).foreign(Path::new("/c")).is_some(), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "proc", "vfat"] {
            let table = format!("1 0 0:1 / / rw - {kind} x rw\n");
            assert_eq!(Mounts::parse(table.as_bytes()), Mounts::default(), "{kind}");
        }
    }
}
