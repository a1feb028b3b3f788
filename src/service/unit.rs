//! The texts by which a service manager runs the daemon. Its workers are not the manager's to kill: they outlive the
//! daemon, and the next one takes them over.

use std::path::Path;

use crate::process::cgroup;

/// What the texts are made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// This program.
    pub program: &'a Path,
    /// boi's home.
    pub home: &'a Path,
    /// The user's PATH, on which agents are found.
    pub path: &'a str,
    /// The agent's program, where the environment names one.
    pub claude: Option<&'a str>,
    /// The version of systemd, where it is known.
    pub systemd: Option<u32>,
}

/// From this version on, systemd waits for the end of a reload.
const NOTIFY_RELOAD: u32 = 253;
/// From this version on, systemd can wait longer from one restart to the next.
const RESTART_STEPS: u32 = 254;

/// A systemd user unit.
pub fn systemd(facts: &Facts<'_>) -> String {
    let reloads = facts.systemd.is_none_or(|version| version >= NOTIFY_RELOAD);
    let is_slowed = facts.systemd.is_none_or(|version| version >= RESTART_STEPS);
    let steps = if is_slowed { "RestartSteps=10\nRestartMaxDelaySec=10\n" } else { "" };
    let kind = if reloads { "notify-reload" } else { "notify\nExecReload=/bin/kill -HUP $MAINPID" };
    format!(
        "[Unit]
Description=boi: runs fleets of coding agents
Documentation=man:systemd.service(5)
# What ends it may pass, such as a full disk: it is started again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type={kind}
ExecStart={program} daemon run --background
{home}
Environment={path}
{claude}# SIGTERM leaves workers running; the next daemon takes them over.
KillMode=process
SendSIGKILL=no
# Each command has a cgroup of its own below the daemon's.
Delegate=yes
Environment={delegated}=%n
OOMPolicy=continue
Restart=on-failure
RestartSec=1
{steps}# A configuration that is bad at the start does not get better by trying again.
RestartPreventExitStatus=78

[Install]
WantedBy=default.target
",
        delegated = cgroup::DELEGATED,
        program = word(&facts.program.display().to_string()),
        home = environment_of_home(facts.home),
        path = word(&format!("PATH={}", facts.path)),
        claude = facts.claude.map_or_else(String::new, |program| {
            format!("Environment={}\n", word(&format!("CLAUDE_BIN={program}")))
        }),
    )
}

/// A launchd agent.
pub fn launchd(facts: &Facts<'_>) -> String {
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
        program = xml(&facts.program.display().to_string()),
        home = launchd_home(facts.home),
        path = xml(facts.path),
        claude = facts.claude.map_or_else(String::new, |program| {
            format!("\n        <key>CLAUDE_BIN</key><string>{}</string>", xml(program))
        }),
    )
}

/// Whether the text of a unit, or of a launchd agent, runs the daemon of `home`.
pub fn serves(text: &str, home: &Path) -> bool {
    let lines = [environment_of_home(home), launchd_home(home)];
    text.lines().any(|found| lines.iter().any(|line| line == found.trim()))
}

/// Whether it runs the daemon of another home.
pub fn serves_another(text: &str, home: &Path) -> bool {
    let names_one = text.contains("BOI_HOME=") || text.contains("<key>BOI_HOME</key>");
    names_one && !serves(text, home)
}

/// Whether systemd would execute a program at `path`; it refuses some characters, however they are written.
pub fn is_executable_by_systemd(path: &Path) -> bool {
    let refused = |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\');
    path.to_str().is_some_and(|path| !path.contains(refused))
}

fn environment_of_home(home: &Path) -> String {
    format!("Environment={}", word(&format!("BOI_HOME={}", home.display())))
}

fn launchd_home(home: &Path) -> String {
    format!("<key>BOI_HOME</key><string>{}</string>", xml(&home.display().to_string()))
}

/// One word of a unit file: quoted, with what systemd would expand made plain. A `$` is plain, in the path of a program
/// and in the environment.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(systemd: Option<u32>) -> Facts<'static> {
        Facts {
            program: Path::new("/home/me/my bin/boi"),
            home: Path::new("/home/me/100%$1/.boi"),
            path: "/usr/bin:/home/me/\"x\"&",
            claude: Some("/opt/a b/claude"),
            systemd,
        }
    }

    #[test]
    fn workers_are_not_the_managers_to_kill() {
        let text = systemd(&facts(Some(255)));
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
        for text in [&text, &launchd(&facts(None))] {
            assert!(serves(text, facts(None).home) && !serves(text, Path::new("/home/me/.boi")), "{text}");
        }
        let old = systemd(&facts(Some(252)));
        assert!(text.contains("\nRestartMaxDelaySec=10\n") && !old.contains("RestartSteps"), "{old}");
        assert!(old.contains("Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n"), "{old}");
        let none = Facts { claude: None, ..facts(None) };
        assert!(!systemd(&none).contains("CLAUDE_BIN") && !launchd(&none).contains("CLAUDE_BIN"));
        assert!(launchd(&facts(None)).contains("<key>CLAUDE_BIN</key><string>/opt/a b/claude</string>"));
        assert!(launchd(&facts(None)).contains("<string>/usr/bin:/home/me/\"x\"&amp;</string>"));
    }

    #[test]
    fn some_paths_are_not_executed_by_systemd() {
        for (path, executed) in
            [("/a b/100%/$x/boi", true), ("/a\"b/boi", false), ("/a\\b/boi", false), ("/a\nb", false)]
        {
            assert_eq!(is_executable_by_systemd(Path::new(path)), executed, "{path}");
        }
    }
}
