//! `boi top` on a pseudoterminal: keys, sizes, signals, and that the terminal is as before when it ends.

use std::fs::File;

use rustix::process::Signal;
use rustix::termios::tcgetattr;

use super::support::{self, Sandbox, lives, pid_in, wait_for};

#[path = "../helpers/terminal.rs"]
mod terminal;

use terminal::{ENTER, LEAVE, Terminal, described, resize};

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
