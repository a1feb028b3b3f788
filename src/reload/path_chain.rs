//! The chain from a path to its file: each symbolic link on the way, then the file or the first missing part.
//!
//! A path alone does not identify a file. Two chains are equal only if all their paths, devices and inodes are equal.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::mounts::{ForeignMount, Mounts};

/// Maximum number of links that are followed, as in the kernel.
const MAX_LINKS: usize = 40;

/// The steps from a path to the file that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathChain {
    /// Each symbolic link on the way, then the file or the missing part.
    hops: Vec<Hop>,
    /// The path at which the file would be created, if only the last part of the path is missing.
    vacancy: Option<PathBuf>,
    /// The file, by its path without links, if it exists.
    file: Option<(PathBuf, Inode)>,
    /// The foreign mount on which the last hop lies. Nothing on that mount was touched.
    foreign: Option<ForeignMount>,
}

/// One step of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    /// The folder that contains the entry, by its path without links.
    folder: PathBuf,
    folder_inode: Option<Inode>,
    path: PathBuf,
    inode: Option<Inode>,
    is_link: bool,
}

/// Device and inode.
type Inode = (u64, u64);

/// The identity and metadata of a file, without its content. Two equal states count as equal content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    chain: PathChain,
    /// Size, mtime, ctime (seconds and nanoseconds each) and mode of the file.
    metadata: Option<(u64, i64, i64, i64, i64, u32)>,
}

impl PathChain {
    /// Follows the absolute path `path` up to the first part on a foreign mount.
    pub(super) fn resolve(path: &Path) -> PathChain {
        PathChain::resolve_within(path, &Mounts::now())
    }

    /// Follows the absolute path `path` to its end. May wait without limit for a foreign file system.
    pub(super) fn resolve_anywhere(path: &Path) -> PathChain {
        PathChain::resolve_within(path, &Mounts::default())
    }

    fn resolve_within(path: &Path, mounts: &Mounts) -> PathChain {
        let end = |hops, vacancy, file, foreign| PathChain { hops, vacancy, file, foreign };
        let mut todo: VecDeque<OsString> = parts(path);
        let (mut at, mut hops, mut links) = (PathBuf::from("/"), Vec::new(), 0);
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            if let Some(mount) = mounts.foreign(&next) {
                hops.push(Hop::new(&at, &next, None));
                return end(hops, None, None, Some(mount));
            }
            match fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_symlink() => {
                    hops.push(Hop::new(&at, &next, Some(&metadata)));
                    links += 1;
                    let Ok(target) = fs::read_link(&next) else { break };
                    if links > MAX_LINKS {
                        break;
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for part in parts(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                Ok(metadata) if metadata.is_dir() && !todo.is_empty() => at = next,
                Ok(metadata) => {
                    hops.push(Hop::new(&at, &next, Some(&metadata)));
                    let file = (!metadata.is_dir() && todo.is_empty()).then(|| (next, inode(&metadata)));
                    return end(hops, None, file, None);
                }
                Err(_) => {
                    hops.push(Hop::new(&at, &next, None));
                    let vacancy = todo.is_empty().then_some(next);
                    return end(hops, vacancy, None, None);
                }
            }
        }
        end(hops, None, None, None)
    }

    /// Returns the folders in which a change can make the path lead to another file.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.hops.iter().map(|hop| hop.folder.as_path())
    }

    /// Returns the paths of the links, and of the file or the missing part.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Path> {
        self.hops.iter().map(|hop| hop.path.as_path())
    }

    /// Returns the file's path without links, if the file exists.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Returns the path at which the file exists or would be created. `None`: a folder on the way is missing,
    /// or the path leads to a folder or into a loop of links.
    pub(super) fn place(&self) -> Option<&Path> {
        self.file().or(self.vacancy.as_deref())
    }

    /// Returns the foreign mount that the path leads to, if it does.
    pub(super) fn foreign(&self) -> Option<&ForeignMount> {
        self.foreign.as_ref()
    }

    /// Returns the last link of the chain and the missing file or folder that it leads to, if it leads to nothing.
    pub(super) fn dangling(&self) -> Option<(&Path, &Path)> {
        let [.., link, missing] = self.hops.as_slice() else { return None };
        let dangles = link.is_link && missing.inode.is_none() && self.foreign.is_none();
        dangles.then_some((&link.path, &missing.path))
    }

    /// Whether `metadata` belongs to the file at the end of the chain.
    pub(super) fn leads_to(&self, metadata: &Metadata) -> bool {
        self.file.as_ref().is_some_and(|(_, found)| *found == inode(metadata))
    }
}

impl Hop {
    fn new(folder: &Path, path: &Path, metadata: Option<&Metadata>) -> Hop {
        Hop {
            folder: folder.to_owned(),
            folder_inode: fs::metadata(folder).ok().as_ref().map(inode),
            path: path.to_owned(),
            inode: metadata.map(inode),
            is_link: metadata.is_some_and(Metadata::is_symlink),
        }
    }
}

impl FileState {
    /// Returns the state of the file that `path` leads to now. For a file on a foreign mount, this is the state of the
    /// path up to that mount.
    pub(crate) fn of(path: &Path) -> FileState {
        FileState::at_end_of(PathChain::resolve(path))
    }

    /// Returns the state of the file that `path` leads to now, also of a file on a foreign mount. May wait
    /// without limit for a foreign file system.
    pub(crate) fn anywhere(path: &Path) -> FileState {
        FileState::at_end_of(PathChain::resolve_anywhere(path))
    }

    fn at_end_of(chain: PathChain) -> FileState {
        let metadata = chain.file().and_then(|file| fs::metadata(file).ok()).map(|metadata| {
            (
                metadata.size(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
                metadata.mode(),
            )
        });
        FileState { chain, metadata }
    }

    /// Returns the time since the file's last change, by this machine's clock; `None`: there is no file, or its times
    /// are in the future.
    pub(super) fn age(&self) -> Option<Duration> {
        let (_, mtime, mtime_nanos, ctime, ctime_nanos, _) = self.metadata?;
        let (seconds, nanos) = (mtime, mtime_nanos).max((ctime, ctime_nanos));
        let changed = Duration::new(seconds.try_into().ok()?, nanos.try_into().ok()?);
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + changed).ok()
    }

    /// Returns the chain to the file.
    pub(super) fn chain(&self) -> &PathChain {
        &self.chain
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<String> {
        paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_chain_has_every_link_and_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["a", "b"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        fs::write(root.join("b/file"), "x").unwrap();
        symlink("../b", root.join("a/folder")).unwrap();
        symlink(root.join("a/./folder/../b/file"), root.join("link")).unwrap();
        let chain = PathChain::resolve(&root.join("link"));
        assert_eq!(names(chain.entries()), ["link", "folder", "file"]);
        assert_eq!(chain.folders().collect::<Vec<_>>(), [&root, &root.join("a"), &root.join("b")]);
        assert_eq!((chain.file(), chain.place()), (Some(root.join("b/file").as_path()), chain.file()));
        assert!(chain.leads_to(&fs::metadata(root.join("b/file")).unwrap()));
        assert!(!chain.leads_to(&fs::metadata(&root).unwrap()));
    }

    #[test]
    fn a_chain_ends_at_the_first_missing_part() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        symlink("missing/file", root.join("link")).unwrap();
        // (path, entries of the chain, where the file would be created)
        for (path, entries, place) in [
            ("file", &["file"][..], Some("file")),
            ("folder/file", &["folder"], None),
            ("link", &["link", "missing"], None),
        ] {
            let chain = PathChain::resolve(&root.join(path));
            assert_eq!(names(chain.entries()), entries, "{path}");
            assert_eq!((chain.file(), chain.place()), (None, place.map(|place| root.join(place)).as_deref()), "{path}");
        }
        let of_a_folder = PathChain::resolve(&root);
        assert_eq!((of_a_folder.file(), of_a_folder.place()), (None, None));
    }

    #[test]
    fn a_file_as_a_folder_is_no_file_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("file"), "").unwrap();
        let chain = PathChain::resolve(&root.join("file/below"));
        assert_eq!((names(chain.entries()), chain.file()), (vec!["file".to_owned()], None));
    }

    #[test]
    fn forty_links_are_followed_and_a_loop_ends() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("0"), "").unwrap();
        for link in 1..=41 {
            symlink((link - 1).to_string(), root.join(link.to_string())).unwrap();
        }
        assert!(PathChain::resolve(&root.join("40")).file().is_some());
        assert!(PathChain::resolve(&root.join("41")).file().is_none());
        assert!(fs::metadata(root.join("40")).is_ok() && fs::metadata(root.join("41")).is_err(), "as the kernel does");
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(PathChain::resolve(&root.join("loop")).file(), None);
    }

    #[test]
    fn the_state_of_a_file_changes_with_its_content_mode_and_inode() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let mut seen = vec![FileState::of(&file)];
        let mut changed = |what: &str| {
            let state = FileState::of(&file);
            assert_eq!(state, FileState::of(&file));
            assert!(!seen.contains(&state), "{what}");
            seen.push(state);
        };
        fs::write(&file, "a").unwrap();
        changed("created");
        fs::write(&file, "ab").unwrap();
        changed("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        changed("mode");
        fs::copy(&file, dir.path().join("copy")).unwrap();
        fs::rename(dir.path().join("copy"), &file).unwrap();
        changed("replaced");
    }
}
