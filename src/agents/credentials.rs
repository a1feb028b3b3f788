//! The files in which agents store the credentials of a login.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file of an agent that changes when the user logs in. A change lets boi try a held agent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The environment variable that contains the path of the agent's folder.
    pub(super) variable: &'static str,
    /// The agent's folder below the user's home, if the variable is unset.
    pub(super) folder: &'static str,
    /// The path of the file below the agent's folder.
    pub(super) file: &'static str,
}

impl Credentials {
    /// Returns the path of the file. `variable` returns the value of an environment variable of the agent.
    pub fn path(&self, home: &Path, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
        let set = variable(self.variable).filter(|value| !value.is_empty());
        set.map_or_else(|| home.join(self.folder), PathBuf::from).join(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_replaces_the_folder_below_the_home() {
        let file = Credentials { variable: "X_HOME", folder: ".x", file: "auth.json" };
        let path = |value: Option<&str>| {
            let at = file.path(Path::new("/h"), |name| value.filter(|_| name == "X_HOME").map(OsString::from));
            at.display().to_string()
        };
        assert_eq!(path(None), "/h/.x/auth.json");
        assert_eq!(path(Some("")), "/h/.x/auth.json");
        assert_eq!(path(Some("/x")), "/x/auth.json");
    }
}
