//! The files that make a service manager run the daemon: a systemd unit and a launchd agent. They tell the
//! manager not to kill supervisors, which outlive the daemon and are adopted by the next daemon.

use std::path::Path;

use crate::process::cgroup;

/// The values that are inserted into a unit file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitValues<'a> {
    /// The path of the boi program.
    pub(crate) program: &'a Path,
    /// boi's home.
    pub(crate) home: &'a Path,
    /// The user's PATH, in which the daemon finds the agents.
    pub(crate) path: &'a str,
    /// The value of `CLAUDE_BIN`, if it is set.
    pub(crate) claude: Option<&'a str>,
    /// The version of systemd, if it is known.
    pub(crate) systemd: Option<u32>,
}

/// The first version of systemd with `Type=notify-reload`, which waits for the end of a reload.
const NOTIFY_RELOAD: u32 = 253;
/// The first version of systemd with `RestartSteps`, which lengthens the pause between restarts.
const RESTART_STEPS: u32 = 254;

/// Returns the text of the systemd user unit.
pub(crate) fn systemd(values: &UnitValues<'_>) -> String {
    let reloads = values.systemd.is_none_or(|version| version >= NOTIFY_RELOAD);
    let has_steps = values.systemd.is_none_or(|version| version >= RESTART_STEPS);
    let steps = if has_steps { "RestartSteps=10\nRestartMaxDelaySec=10\n" } else { "" };
    let kind = if reloads { "notify-reload" } else { "notify\nExecReload=/bin/kill -HUP $MAINPID" };
    format!(
        "[Unit]
Description=boi: runs fleets of coding agents
Documentation=man:systemd.service(5)
# Restart without a limit: a cause such as a full disk may pass.
StartLimitIntervalSec=0

[Service]
Type={kind}
ExecStart={program} daemon run --background
{home}
Environment={path}
{claude}# SIGTERM leaves the running commands alive; the next daemon adopts them.
KillMode=process
SendSIGKILL=no
# boi makes a cgroup for each command below the daemon's.
Delegate=yes
Environment={delegated}=%n
OOMPolicy=continue
Restart=on-failure
RestartSec=1
{steps}# Exit code 78 means a bad configuration, which a restart does not correct.
RestartPreventExitStatus=78

[Install]
WantedBy=default.target
",
        delegated = cgroup::DELEGATED,
        program = quote(&values.program.display().to_string()),
        home = environment_of_home(values.home),
        path = quote(&format!("PATH={}", values.path)),
        claude = values.claude.map_or_else(String::new, |program| {
            format!("Environment={}\n", quote(&format!("CLAUDE_BIN={program}")))
        }),
    )
}

/// Returns the text of the launchd agent.
pub(crate) fn launchd(values: &UnitValues<'_>) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key><string>boi.daemon</string>
    <key>ProgramArguments</key>
    <array>
        <string>{program}</string><string>daemon</string><string>run</string><string>--background</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
        {home}
        <key>PATH</key><string>{path}</string>{claude}
    </dict>
    <key>RunAtLoad</key><true/>
    <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
    <key>AbandonProcessGroup</key><true/>
</dict>
</plist>
"#,
        program = escape_xml(&values.program.display().to_string()),
        home = launchd_home(values.home),
        path = escape_xml(values.path),
        claude = values.claude.map_or_else(String::new, |program| {
            format!("\n        <key>CLAUDE_BIN</key><string>{}</string>", escape_xml(program))
        }),
    )
}

/// Whether a unit or launchd agent with this text runs the daemon of `home`.
pub(crate) fn serves(text: &str, home: &Path) -> bool {
    let lines = [environment_of_home(home), launchd_home(home)];
    text.lines().any(|found| lines.iter().any(|line| line == found.trim()))
}

/// Whether a unit or launchd agent with this text runs the daemon of another home.
pub(crate) fn serves_another(text: &str, home: &Path) -> bool {
    let names_one = text.contains("BOI_HOME=") || text.contains("<key>BOI_HOME</key>");
    names_one && !serves(text, home)
}

/// Returns whether systemd can execute a program at `path`. systemd refuses some characters even if they are
/// quoted.
pub(crate) fn is_executable_by_systemd(path: &Path) -> bool {
    let refused = |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\');
    path.to_str().is_some_and(|path| !path.contains(refused))
}

fn environment_of_home(home: &Path) -> String {
    format!("Environment={}", quote(&format!("BOI_HOME={}", home.display())))
}

fn launchd_home(home: &Path) -> String {
    format!("<key>BOI_HOME</key><string>{}</string>", escape_xml(&home.display().to_string()))
}

/// Quotes one word of a unit file, and escapes the characters that systemd would expand. A `$` needs no
/// escape in the path of a program or in `Environment=`.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(systemd: Option<u32>) -> UnitValues<'static> {
        UnitValues {
            program: Path::new("/home/me/my bin/boi"),
            home: Path::new("/home/me/100%$1/.boi"),
            path: "/usr/bin:/home/me/\"x\"&",
            claude: Some("/opt/a b/claude"),
            systemd,
        }
    }

    #[test]
    fn a_unit_keeps_supervisors_alive_and_passes_the_environment_on() {
        let text = systemd(&values(Some(255)));
        for line in [
            "Type=notify-reload",
            "KillMode=process",
            "Delegate=yes",
            "Environment=BOI_DELEGATED_CGROUP=%n",
            "OOMPolicy=continue",
            "StartLimitIntervalSec=0",
            "ExecStart=\"/home/me/my bin/boi\" daemon run --background",
            "Environment=\"BOI_HOME=/home/me/100%%$1/.boi\"",
            "Environment=\"PATH=/usr/bin:/home/me/\\\"x\\\"&\"",
            "Environment=\"CLAUDE_BIN=/opt/a b/claude\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
        }
        for text in [&text, &launchd(&values(None))] {
            assert!(serves(text, values(None).home) && !serves(text, Path::new("/home/me/.boi")), "{text}");
        }
        let old = systemd(&values(Some(252)));
        assert!(text.contains("\nRestartMaxDelaySec=10\n") && !old.contains("RestartSteps"), "{old}");
        assert!(old.contains("Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n"), "{old}");
        let none = UnitValues { claude: None, ..values(None) };
        assert!(!systemd(&none).contains("CLAUDE_BIN") && !launchd(&none).contains("CLAUDE_BIN"));
        assert!(launchd(&values(None)).contains("<key>CLAUDE_BIN</key><string>/opt/a b/claude</string>"));
        assert!(launchd(&values(None)).contains("<string>/usr/bin:/home/me/\"x\"&amp;</string>"));
    }

    #[test]
    fn paths_with_quotes_backslashes_or_control_characters_are_refused() {
        for (path, executed) in
            [("/a b/100%/$x/boi", true), ("/a\"b/boi", false), ("/a\\b/boi", false), ("/a\nb", false)]
        {
            assert_eq!(is_executable_by_systemd(Path::new(path)), executed, "{path}");
        }
    }
}
