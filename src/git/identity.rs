//! Tells whether the user has configured an identity for commits, without running git.

use std::path::{Path, PathBuf};

use super::place::Place;
use crate::system::files;
use crate::system::paths::variable;

/// The maximum size of a configuration file that is read, in bytes.
const MAX_CONFIG: usize = 64 * 1024;

/// Whether a configuration file that git reads contains both the user's name and email. `false`: only git can tell.
pub(super) fn is_configured(at: &Place) -> bool {
    std::iter::once(at.common_dir.join("config")).chain(users_files()).any(|file| has_identity(&file))
}

/// The user's own configuration files that git reads.
fn users_files() -> Vec<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(only) = variable("GIT_CONFIG_GLOBAL") {
        return vec![PathBuf::from(only)];
    }
    let home = path("HOME");
    let shared = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let shared = shared.map(|folder| folder.join("git/config"));
    home.map(|home| home.join(".gitconfig")).into_iter().chain(shared).collect()
}

fn has_identity(file: &Path) -> bool {
    let Ok(Some(bytes)) = files::read_user_file(file, MAX_CONFIG) else { return false };
    bytes.len() <= MAX_CONFIG && str::from_utf8(&bytes).is_ok_and(names_identity)
}

/// Whether the section `[user]` has a name and an email. A value that continues on the next line counts as unknown: that
/// line may look like a section.
fn names_identity(config: &str) -> bool {
    let (mut in_user, mut has_name, mut has_email) = (false, false, false);
    for line in config.lines().map(str::trim) {
        if line.ends_with('\\') {
            return false;
        }
        if line.starts_with('[') {
            in_user = line.eq_ignore_ascii_case("[user]");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| in_user) {
            let is_set = value.trim().starts_with(|c: char| c.is_alphanumeric());
            has_name |= is_set && key.trim().eq_ignore_ascii_case("name");
            has_email |= is_set && key.trim().eq_ignore_ascii_case("email");
        }
    }
    has_name && has_email
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_name_and_email_of_the_user_count() {
        assert!(names_identity("[core]\n\tbare = false\n[user]\n\tname = Ä User\n\tEmail=u@example.org\n"));
        assert!(names_identity("[User]\nname = U\n[core]\nx = y\n[user]\nemail = u\n"));
        for other in [
            "",
            "[user]\nname = U\n",
            "[user]\nname = U\nemail =\n",
            "[user]\nname = U\n# email = u\n",
            "[user]\nname = U\n[author]\nemail = u\n",
            "[user \"x\"]\nname = U\nemail = u\n",
            "[core]\nx = \\\n[user]\nname = U\nemail = u\n",
        ] {
            assert!(!names_identity(other), "{other:?}");
        }
    }
}
