//! `boi top` on a pseudoterminal: keys, sizes, signals, and that the terminal is as before when it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::support::{Sandbox, lives, pid_in, wait_for};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A terminal, and the program that uses it. Dropping it kills the program.
struct Terminal {
    master: File,
    shown: Arc<Mutex<Vec<u8>>>,
    before: Termios,
    child: Child,
}

impl Terminal {
    /// Starts a program of the sandbox on a terminal of 80x24. `setsid` makes the terminal its controlling terminal.
    fn start(sandbox: &Sandbox, program: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("the name of the terminal");
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let slave = || -> OwnedFd { File::options().read(true).write(true).open(path).expect("the terminal").into() };
        resize(&master, 80, 24);
        let stdin = slave();
        let before = tcgetattr(&stdin).expect("the modes of the terminal");
        let model = sandbox.command(&[]);
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(program).current_dir(sandbox.path(".")).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.envs(model.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        command.stdin(Stdio::from(stdin)).stdout(Stdio::from(slave())).stderr(Stdio::from(slave()));
        let child = command.spawn().expect("setsid of util-linux");
        // The terminal stays open only in the child.
        drop(command);
        let (master, shown) = (File::from(master), Arc::new(Mutex::new(Vec::new())));
        let (mut output, seen) = (master.try_clone().expect("a file"), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Reading fails when no program has the terminal open any more.
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                seen.lock().expect("no panic").extend_from_slice(&chunk[..read]);
            }
        });
        Terminal { master, shown, before, child }
    }

    /// Starts `boi top`, and waits until it shows its lists.
    fn top(sandbox: &Sandbox) -> Terminal {
        let terminal = Terminal::start(sandbox, &[&sandbox.program.display().to_string(), "top"]);
        terminal.wait_for("NEEDS");
        terminal
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits until `text` was shown since the last call of [`Terminal::press`].
    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_for(&format!("{text:?} on the terminal"), || self.shown().contains(text).then_some(()));
    }

    /// Forgets what was shown, and sends keys.
    fn press(&mut self, keys: &str) {
        self.shown.lock().expect("no panic").clear();
        self.master.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not been reaped");
    }

    /// Waits until the program has ended, and checks that the terminal is as before.
    #[track_caller]
    fn end(&mut self) -> ExitStatus {
        let status = wait_for("the end", || self.child.try_wait().expect("a child"));
        let modes = tcgetattr(&self.master).expect("the modes of the terminal");
        assert_eq!(described(&modes), described(&self.before));
        wait_for("the main screen and the cursor", || {
            let shown = self.shown();
            let after = shown.rsplit_once(LEAVE)?.1.to_owned();
            (after.contains("\x1b[?25h") && !after.contains(ENTER) && shown.contains("\x1b[?2004l")).then_some(())
        });
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn resize(terminal: impl std::os::fd::AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

fn described(modes: &Termios) -> String {
    format!("{:?} {:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes)
}

#[test]
fn without_a_terminal_the_other_command_is_named() {
    let sandbox = Sandbox::new("");
    let said = sandbox.boi(&["top"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(said.err.contains("needs a terminal") && said.err.contains("`boi status`"), "{said:?}");
}

#[test]
fn keys_and_sizes_change_the_screen_and_commands_have_the_terminal() {
    let sandbox = Sandbox::new("retry_count = 0");
    let (_, failed) =
        sandbox.run("title = 'Breaks'\nrepo = 'repo'\n[[tasks]]\nid = 'x'\nrun = 'echo it-broke-here; exit 1'");
    let id = failed["id"].as_str().expect("an id");
    let mut top = Terminal::top(&sandbox);
    top.wait_for("Breaks");
    assert!(!top.shown().contains("\x1b[31m"), "NO_COLOR is set: {:?}", top.shown());
    top.press("?");
    top.wait_for("Keys");
    top.press("\x1b");
    top.wait_for("NEEDS");
    top.shown.lock().unwrap().clear();
    resize(&top.master, 100, 40);
    top.wait_for("\x1b[40;");
    // `boi log` writes on the main screen, and a key brings the dashboard back.
    top.press("l");
    top.wait_for("press a key");
    let shown = top.shown();
    assert!(shown.contains(LEAVE) && shown.contains("it-broke-here") && !shown.contains(ENTER), "{shown:?}");
    top.press(" ");
    top.wait_for("NEEDS");
    assert!(top.shown().contains(ENTER));
    // A command without the terminal: the spec is queued again, since no daemon runs.
    top.press("Ry");
    wait_for("the spec is queued", || (sandbox.spec(id)["status"] == "queued").then_some(()));
    top.press("\t\t");
    top.wait_for(">");
    top.press("q");
    assert_eq!(top.end().code(), Some(0));
}

#[test]
fn signals_end_it_and_the_terminal_is_as_before() {
    let sandbox = Sandbox::new("");
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut top = Terminal::top(&sandbox);
        top.signal(signal);
        assert_eq!(top.end().code(), Some(code), "{signal:?}");
    }
    let mut top = Terminal::top(&sandbox);
    top.press("\x03");
    assert_eq!(top.end().code(), Some(130), "Ctrl-C");
}

#[test]
fn a_closed_terminal_ends_it() {
    let sandbox = Sandbox::new("");
    let mut top = Terminal::top(&sandbox);
    top.signal(Signal::STOP);
    let nothing = File::open("/dev/null").expect("/dev/null");
    drop(std::mem::replace(&mut top.master, nothing));
    top.signal(Signal::CONT);
    top.signal(Signal::HUP);
    let status = wait_for("the end", || top.child.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(129));
}

#[test]
fn a_panic_restores_the_terminal_before_its_message() {
    let sandbox = Sandbox::new("");
    let armed = format!("top.drawn={}", sandbox.at("fired"));
    let sandbox = sandbox.with_variables([("BOI_FAILPOINT", armed)]);
    let program = sandbox.program.display().to_string();
    let mut top = Terminal::start(&sandbox, &[&program, "top"]);
    assert_eq!(top.end().code(), Some(101));
    let shown = top.shown();
    let message = shown.rsplit_once(LEAVE).expect("the main screen").1;
    assert!(message.contains("the failpoint top.drawn fires"), "{shown:?}");
}

#[test]
fn a_shell_stops_and_continues_it() {
    let sandbox = Sandbox::new("");
    let program = sandbox.program.display().to_string();
    let mut shell = Terminal::start(&sandbox, &["bash", "--norc", "--noprofile", "--noediting", "-i"]);
    shell.press(&format!("{program} top; echo ended=$?\n"));
    shell.wait_for("NEEDS");
    shell.press("\x1a");
    shell.wait_for("Stopped");
    let shown = shell.shown();
    let (screen, after) = shown.rsplit_once(LEAVE).expect("the main screen");
    assert!(!screen.contains("Stopped") && after.contains("\x1b[?25h"), "{shown:?}");
    let modes = tcgetattr(&shell.master).expect("the modes of the terminal");
    assert_eq!(described(&modes), described(&shell.before), "the shell has the terminal as before");
    shell.press("fg\n");
    shell.wait_for("NEEDS");
    shell.press("q");
    shell.wait_for("bash");
    shell.press("exit\n");
    let ended = wait_for("the end of the shell", || shell.child.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_signal_ends_it_together_with_a_pager_or_a_shell() {
    let sandbox = Sandbox::new("").with_variables([("SHELL", "/bin/bash".to_owned())]);
    let [pager, shell] = ["pager", "shell"].map(|name| sandbox.path(name));
    let waits = format!("cat > /dev/null; echo $$ > {}; echo pager-waits; sleep 600", pager.display());
    sandbox.git("repo", &["config", "core.pager", &waits]);
    let (code, spec) = sandbox.run("title = 'Changes'\nrepo = 'repo'\n[[tasks]]\nrun = 'echo 1 > file'");
    assert_eq!(code, Some(0), "{spec:#}");
    for (keys, pid) in [("\r", pager), ("o", shell)] {
        let mut top = Terminal::top(&sandbox);
        top.wait_for("Changes");
        top.press(keys);
        if keys == "o" {
            top.wait_for("returns");
            top.press(&format!("echo $$ > {}\n", pid.display()));
        }
        let pid = pid_in(&pid);
        top.signal(Signal::TERM);
        let status = wait_for("the end", || top.child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(143), "{keys:?}");
        let modes = tcgetattr(&top.master).expect("the modes of the terminal");
        assert_eq!(described(&modes), described(&top.before));
        wait_for("the end of the program on the terminal", || (!lives(pid)).then_some(()));
    }
}
