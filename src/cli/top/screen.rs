//! The terminal while the dashboard uses it. The terminal is restored when the dashboard ends, also by a panic.

use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::{Mutex, Once, PoisonError};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::queue;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// What restores the terminal; `None` while the dashboard does not use it.
static RESTORE: Mutex<Option<Restore>> = Mutex::new(None);
static PANIC_HOOK: Once = Once::new();

struct Restore {
    modes: Termios,
    /// Standard error, which is closed meanwhile, because a message would damage the screen.
    errors: Option<OwnedFd>,
    /// Whether the alternate screen is shown.
    is_shown: bool,
}

/// The terminal while the dashboard uses it. Dropping it restores the terminal.
pub(super) struct Screen {
    modes: Termios,
}

impl Screen {
    /// Shows the alternate screen, and reads keys one by one.
    pub(super) fn enter() -> io::Result<Screen> {
        PANIC_HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        let mut screen = Screen { modes: tcgetattr(io::stdin())? };
        screen.enter_again()?;
        Ok(screen)
    }

    /// Does what [`Screen::enter`] does, after [`Screen::leave`].
    pub(super) fn enter_again(&mut self) -> io::Result<()> {
        self.read_keys()?;
        let mut restore = RESTORE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(restore) = restore.as_mut() {
            restore.is_shown = true;
            if restore.errors.is_none() && io::stderr().is_terminal() {
                restore.errors = silence_errors().ok();
            }
        }
        drop(restore);
        let mut out = io::stdout().lock();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        out.flush()
    }

    /// Reads keys one by one, without the alternate screen.
    pub(super) fn read_keys(&mut self) -> io::Result<()> {
        let mut restore = RESTORE.lock().unwrap_or_else(PoisonError::into_inner);
        if restore.is_none() {
            *restore = Some(Restore { modes: self.modes.clone(), errors: None, is_shown: false });
        }
        drop(restore);
        let mut raw = self.modes.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &raw)?)
    }

    /// Restores the modes of the terminal, which a program that was killed may have changed.
    pub(super) fn restore_modes(&self) {
        tcsetattr(io::stdin(), OptionalActions::Now, &self.modes).ok();
    }

    /// Restores the terminal.
    pub(super) fn leave(&mut self) {
        restore();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal. A step that fails, because the terminal is closed, is left out.
fn restore() {
    let Some(restore) = RESTORE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    if restore.is_shown {
        let mut out = io::stdout().lock();
        queue!(out, DisableBracketedPaste, LeaveAlternateScreen, Show).and_then(|()| out.flush()).ok();
    }
    tcsetattr(io::stdin(), OptionalActions::Now, &restore.modes).ok();
    if let Some(errors) = restore.errors {
        rustix::stdio::dup2_stderr(errors).ok();
    }
}

/// Makes standard error go nowhere; returns what it was.
fn silence_errors() -> io::Result<OwnedFd> {
    let before = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stderr(nowhere)?;
    Ok(before)
}
