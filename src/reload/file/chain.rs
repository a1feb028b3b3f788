//! The way from a path to its file: every folder in which a link, the file, or the first missing part of it lies.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Where a path leads, link by link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Each link, the file, or the part that is missing: its folder (free of links) and its path in it.
    hops: Vec<Hop>,
    /// Where the file is to be made, if only its last part is missing.
    vacancy: Option<PathBuf>,
    /// The file itself, free of links, if it is there.
    file: Option<(PathBuf, Inode)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    folder: PathBuf,
    folder_inode: Option<Inode>,
    path: PathBuf,
    inode: Option<Inode>,
}

type Inode = (u64, u64);

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    chain: Chain,
    data: Option<(u64, i64, i64, i64, i64, u32)>,
}

impl Chain {
    /// Follows `path`, which is absolute.
    pub fn resolve(path: &Path) -> Chain {
        let mut todo: VecDeque<OsString> = parts(path);
        let (mut at, mut hops, mut links) = (PathBuf::from("/"), Vec::new(), 0);
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            match fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_symlink() => {
                    hops.push(Hop::new(&at, &next, Some(&metadata)));
                    links += 1;
                    let Ok(target) = fs::read_link(&next) else { break };
                    if links > MOST_LINKS {
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
                    return Chain { hops, vacancy: None, file };
                }
                Err(_) => {
                    hops.push(Hop::new(&at, &next, None));
                    let vacancy = todo.is_empty().then_some(next);
                    return Chain { hops, vacancy, file: None };
                }
            }
        }
        Chain { hops, vacancy: None, file: None }
    }

    /// The folders in which something may happen to the path.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.hops.iter().map(|hop| hop.folder.as_path())
    }

    /// What in those folders leads to the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Path> {
        self.hops.iter().map(|hop| hop.path.as_path())
    }

    /// The file, free of links, if it is there.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Where the file is, or is to be made; `None`: what leads there is missing.
    pub(super) fn place(&self) -> Option<&Path> {
        self.file().or(self.vacancy.as_deref())
    }

    /// Whether `metadata` is of the file that the chain leads to.
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
        }
    }
}

impl Stamp {
    /// The state of the file that `path` leads to now.
    pub fn of(path: &Path) -> Stamp {
        let chain = Chain::resolve(path);
        let data = chain.file().and_then(|file| fs::metadata(file).ok()).map(|metadata| {
            (
                metadata.size(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
                metadata.mode(),
            )
        });
        Stamp { chain, data }
    }

    /// The way to the file.
    pub fn chain(&self) -> &Chain {
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
