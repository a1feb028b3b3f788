//! A pseudoterminal, and the program that uses it.

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

use super::support::{Sandbox, wait_for};

pub const ENTER: &str = "\x1b[?1049h";
pub const LEAVE: &str = "\x1b[?1049l";

/// A terminal, and the program that uses it. Dropping it kills the program.
pub struct Terminal {
    pub master: File,
    pub shown: Arc<Mutex<Vec<u8>>>,
    pub before: Termios,
    pub child: Child,
}

impl Terminal {
    /// Starts a program of the sandbox on a terminal of 80x24. `setsid` makes the terminal its controlling terminal.
    pub fn start(sandbox: &Sandbox, program: &[&str]) -> Terminal {
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
    pub fn top(sandbox: &Sandbox) -> Terminal {
        let terminal = Terminal::start(sandbox, &[&sandbox.program.display().to_string(), "top"]);
        terminal.wait_for("NEEDS");
        terminal
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits until `text` was shown since the last call of [`Terminal::press`].
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        wait_for(&format!("{text:?} on the terminal"), || self.shown().contains(text).then_some(()));
    }

    /// Forgets what was shown, and sends keys.
    pub fn press(&mut self, keys: &str) {
        self.shown.lock().expect("no panic").clear();
        self.master.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not been reaped");
    }

    /// Waits until the program has ended, and checks that the terminal is as before.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
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

pub fn resize(terminal: impl std::os::fd::AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

pub fn described(modes: &Termios) -> String {
    format!("{:?} {:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes)
}
