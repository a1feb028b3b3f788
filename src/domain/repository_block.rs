//! Why the specs of a repository wait although slots are free: the repository's own configuration holds them back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::repository_config::FILE;

/// How many digits of a commit's hash are shown.
const SHOWN_HASH: usize = 10;

/// Where a repository's configuration was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigPlace {
    /// The git directory that all working trees of the repository share: the identity of the repository.
    pub repository: String,
    /// The working tree that the spec names.
    pub path: String,
    /// The base that the spec names.
    pub base: String,
    /// The commit that the base was on.
    pub commit: String,
}

/// A repository's configuration holds its specs back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryBlock {
    /// Where the configuration was read.
    pub place: ConfigPlace,
    /// The reason.
    pub why: BlockedBy,
}

/// How a repository's configuration holds its specs back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockedBy {
    /// The configuration has commands that the user has not trusted.
    Untrusted {
        /// The hash of the commands.
        hash: String,
        /// Whether the user trusted other commands of the repository before.
        changed: bool,
    },
    /// The configuration cannot be used.
    Invalid {
        /// The reason.
        detail: String,
    },
    /// As many specs of the repository run as its configuration allows.
    Full {
        /// The largest number of specs of the repository that run at the same time.
        max_workers: u32,
    },
}

impl RepositoryBlock {
    /// Returns the name of the block in the database.
    pub(crate) fn name(&self) -> &'static str {
        match self.why {
            BlockedBy::Untrusted { .. } => "trust",
            BlockedBy::Invalid { .. } => "repository_config",
            BlockedBy::Full { .. } => "repository_full",
        }
    }

    /// Returns what the user can do about it; `None`: only waiting helps.
    pub(crate) fn next_step(&self) -> Option<String> {
        let ConfigPlace { path, base, .. } = &self.place;
        match self.why {
            BlockedBy::Untrusted { .. } => {
                Some(format!("`boi trust {path} --base {base}` shows the commands and lets boi run them."))
            }
            BlockedBy::Invalid { .. } => Some(format!(
                "Correct the file in a commit on {base}: the spec then starts by itself. `boi config show --repo {path} \
                 --base {base}` checks the file."
            )),
            BlockedBy::Full { .. } => None,
        }
    }
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit: String = self.commit.chars().take(SHOWN_HASH).collect();
        write!(f, "{FILE} of {} at {} (commit {commit})", self.path, self.base)
    }
}

impl fmt::Display for RepositoryBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.why {
            BlockedBy::Untrusted { changed: false, .. } => {
                write!(f, "blocked: {place} has commands that you have not trusted")
            }
            BlockedBy::Untrusted { changed: true, .. } => {
                write!(f, "blocked: the commands in {place} differ from those that you trusted")
            }
            BlockedBy::Invalid { detail } => write!(f, "blocked: {place} cannot be used: {detail}"),
            BlockedBy::Full { max_workers } => {
                write!(f, "waits for another spec of the repository to end: {place} sets max_workers = {max_workers}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(why: BlockedBy) -> RepositoryBlock {
        let place = ConfigPlace {
            repository: "/src/api/.git".into(),
            path: "/src/api".into(),
            base: "main".into(),
            commit: "0123456789abcdef".into(),
        };
        RepositoryBlock { place, why }
    }

    #[test]
    fn a_block_names_the_file_the_reason_and_the_next_step() {
        let untrusted = |changed| block(BlockedBy::Untrusted { hash: "h".into(), changed });
        for (block, words, next) in [
            (
                untrusted(false),
                "blocked: .boi.toml of /src/api at main (commit 0123456789) has commands that you have not trusted",
                Some("`boi trust /src/api --base main` shows the commands and lets boi run them."),
            ),
            (
                untrusted(true),
                "blocked: the commands in .boi.toml of /src/api at main (commit 0123456789) differ from those that you \
                 trusted",
                Some("`boi trust /src/api --base main` shows the commands and lets boi run them."),
            ),
            (
                block(BlockedBy::Invalid { detail: "it is a link".into() }),
                "blocked: .boi.toml of /src/api at main (commit 0123456789) cannot be used: it is a link",
                Some(
                    "Correct the file in a commit on main: the spec then starts by itself. `boi config show --repo \
                     /src/api --base main` checks the file.",
                ),
            ),
            (
                block(BlockedBy::Full { max_workers: 2 }),
                "waits for another spec of the repository to end: .boi.toml of /src/api at main (commit 0123456789) sets \
                 max_workers = 2",
                None,
            ),
        ] {
            assert_eq!((block.to_string().as_str(), block.next_step().as_deref()), (words, next));
        }
    }
}
