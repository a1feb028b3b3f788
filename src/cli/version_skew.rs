//! The warning that the daemon and this command are different versions of boi.

use crate::system::output::say;
use std::sync::Once;

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Warns on standard error if the versions differ, at most once in the life of this process.
pub(super) fn warn(daemon_version: &str, pid: u32) {
    static WARNED: Once = Once::new();
    if let Some(warning) = warning(daemon_version, pid) {
        WARNED.call_once(|| say!("{warning}"));
    }
}

fn warning(daemon_version: &str, pid: u32) -> Option<String> {
    (daemon_version != OWN_VERSION).then(|| {
        format!(
            "warning: the daemon (pid {pid}) is boi {daemon_version}, this command is boi {OWN_VERSION}: \
             after `boi daemon restart` both have the same version; running agents continue"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_daemon_of_another_version_is_warned_about() {
        assert_eq!(warning(OWN_VERSION, 7), None);
        let warning = warning("0.0.9", 7).expect("a warning");
        for part in ["(pid 7) is boi 0.0.9", &format!("this command is boi {OWN_VERSION}"), "`boi daemon restart`"] {
            assert!(warning.contains(part), "no `{part}` in {warning}");
        }
    }
}
