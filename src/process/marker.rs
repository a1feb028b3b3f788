//! Markers: each command has a random value in its environment, which all of its descendants inherit. The
//! marker lets boi find them even if the supervisor has died and the command's records are lost.

use std::path::Path;

use super::identity::identify_living;
use super::procfs;
use crate::domain::command::Identity;

/// The environment variable that holds a command's marker.
pub(crate) const MARKER: &str = "BOI_MARKER";

/// The number of hexadecimal digits of a marker.
pub(super) const LENGTH: usize = 32;

/// Makes a marker that no process carries yet: 128 random bits, in hexadecimal.
pub(crate) fn new_marker() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Returns the marker of the git processes that work for a spec, whose attempts are in the folder `attempts`. It is the
/// same one each time, so a later daemon finds the git processes of a daemon that was killed.
pub(crate) fn marker_of_git(attempts: &Path) -> String {
    blake3::hash(attempts.join("git").as_os_str().as_encoded_bytes()).to_hex()[..LENGTH].to_owned()
}

/// Returns the marker of the processes of a hook of the home `home`. It is the same one each time, so a later
/// daemon finds the processes of a daemon that was killed.
pub(crate) fn marker_of_hook(home: &Path, name: &str) -> String {
    let place = home.join("hooks").join(name);
    blake3::hash(place.as_os_str().as_encoded_bytes()).to_hex()[..LENGTH].to_owned()
}

/// Whether `text` has the form of a marker.
pub(super) fn is_marker(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Finds every living process that carries one of `markers` in its environment. Misses processes whose
/// environment this user may not read.
pub(super) fn processes_with(markers: &[&str]) -> Vec<Identity> {
    let wanted: Vec<String> = markers.iter().map(|marker| format!("{MARKER}={marker}")).collect();
    let carries_one = |pid: i32| {
        let environment = procfs::environment(pid)?;
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| wanted.iter().any(|wanted| variable == wanted.as_bytes())).then_some(())
    };
    living_processes(carries_one).map(|(identity, ())| identity).collect()
}

/// Finds every living process with a marker in its environment, whichever marker it is, and returns each with
/// its marker. Misses processes whose environment this user may not read.
pub(crate) fn all_marked() -> Vec<(Identity, String)> {
    let prefix = format!("{MARKER}=");
    let marker_of = |pid: i32| {
        let environment = procfs::environment(pid)?;
        let mut variables = environment.split(|&byte| byte == 0);
        let marker = variables.find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
        String::from_utf8(marker.to_vec()).ok()
    };
    living_processes(marker_of).collect()
}

/// Returns the living processes for which `read` returns a value, each with that value.
fn living_processes<T>(read: impl Fn(i32) -> Option<T>) -> impl Iterator<Item = (Identity, T)> {
    procfs::pids().filter_map(move |pid| {
        let before = identify_living(pid)?;
        let found = read(pid)?;
        // The identity is checked again, because the pid may have been reused before `found` was read.
        (identify_living(pid).as_ref() == Some(&before)).then_some((before, found))
    })
}
