//! `boi top`: the dashboard. `ui::top` decides and draws; this file passes it the keys, the signals, the data and the
//! results of commands, and carries out what it asks for.

mod data;
mod last_line;
mod running;
mod screen;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::{Position, Rect};
use rustix::process::Signal;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::data::Reader;
use self::screen::Screen;
use super::{CliError, ExitCode, FAILED, USAGE, block_on, printing};
use crate::process::child;
use crate::system::paths::Home;
use crate::system::{clock, failpoint};
use crate::ui::top::{Action, Effect, Message, Model, Show, draw};

/// The time between two drawings of a state that does not change.
const CLOCK: Duration = Duration::from_secs(1);

/// The signals that the dashboard handles.
const SIGNALS: [i32; 7] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH];

/// The time between two signals to a command that has the terminal, when the dashboard has to end.
const END_ROUND: Duration = Duration::from_millis(500);
/// These signals; SIGKILL follows. An interactive shell ignores SIGTERM, but not SIGHUP.
const END_SIGNALS: [Signal; 6] = [Signal::TERM, Signal::HUP, Signal::HUP, Signal::HUP, Signal::HUP, Signal::HUP];

/// Carries out `boi top`.
pub(super) fn top(home: &Home) -> Result<ExitCode, CliError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CliError::new(USAGE, "`boi top` needs a terminal as its standard input and output")
            .hint("`boi status` prints the state once; `boi status --json` prints it for programs"));
    }
    match block_on(Dashboard::run(home)) {
        // The dashboard may find out in any step that its terminal was closed.
        Err(_) if rustix::termios::tcgetattr(io::stdin()).is_err() => Ok(ended_by(SIGHUP)),
        ended => ended,
    }
}

/// How the dashboard goes on after a step.
enum Next {
    Continue,
    End(ExitCode),
}

type Done = (Action, Result<(bool, String), io::Error>);

struct Dashboard {
    model: Model,
    screen: Screen,
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    colors: bool,
    /// The keys; `None` while another program reads them.
    keys: Option<EventStream>,
    signals: Signals,
    done: mpsc::UnboundedSender<Done>,
}

impl Dashboard {
    async fn run(home: &Home) -> Result<ExitCode, CliError> {
        // The signals first, so that none finds the terminal changed and no handler.
        let signals = Signals::new(SIGNALS)?;
        let mut reader = Reader::start(home)?;
        let (done, mut ended) = mpsc::unbounded_channel();
        let screen = Screen::enter()?;
        let backend = CrosstermBackend::new(io::stdout());
        let size = backend.size().map_or((80, 24), |size| (size.width, size.height));
        let mut dashboard = Dashboard {
            model: Model::new(size, clock::now()),
            screen,
            terminal: Terminal::new(backend)?,
            colors: printing::has_colors(),
            keys: Some(EventStream::new()),
            signals,
            done,
        };
        let mut clock = interval(CLOCK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            dashboard.draw()?;
            let keys = dashboard.keys.get_or_insert_default();
            // Cancel-safe: each branch leaves what it has not received.
            let next = tokio::select! {
                signal = dashboard.signals.next() => dashboard.signal(signal.unwrap_or(SIGTERM)),
                event = keys.next() => dashboard.event(event).await,
                message = reader.next() => {
                    let gone = || CliError::new(FAILED, "the thread that reads the queue has ended");
                    dashboard.message(message.ok_or_else(gone)?).await
                }
                Some((action, result)) = ended.recv() => {
                    let (success, line) = result.unwrap_or_else(|error| (false, format!("cannot run {}: {error}", action.name())));
                    reader.hurry();
                    dashboard.message(Message::Done { action, line, success }).await
                }
                _ = clock.tick() => dashboard.message(Message::Time(clock::now())).await,
            };
            match next? {
                Next::Continue => reader.ask(dashboard.model.query()),
                // Dropping the screen restores the terminal.
                Next::End(code) => return Ok(code),
            }
        }
    }

    fn draw(&mut self) -> Result<(), CliError> {
        let Dashboard { terminal, model, colors, .. } = self;
        terminal.draw(|frame| draw(model, *colors, frame))?;
        failpoint::panic_at("top.drawn");
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<Next, CliError> {
        match self.model.update(message) {
            None => Ok(Next::Continue),
            Some(Effect::Quit) => Ok(Next::End(0)),
            Some(Effect::Interrupt) => Ok(Next::End(ended_by(SIGINT))),
            Some(Effect::Suspend) => {
                // The whole group, as the terminal does it. The signal then comes back to this process.
                rustix::process::kill_current_process_group(Signal::TSTP).ok();
                Ok(Next::Continue)
            }
            Some(Effect::Redraw) => {
                self.clear()?;
                Ok(Next::Continue)
            }
            Some(Effect::Run(action)) => {
                let done = self.done.clone();
                std::thread::Builder::new().name("command".to_owned()).spawn(move || {
                    let result = child::first_line(&action.arguments());
                    // Nobody waits for the result any more if the dashboard has ended.
                    done.send((action, result)).ok();
                })?;
                Ok(Next::Continue)
            }
            Some(Effect::Show(show)) => self.show(&show).await,
        }
    }

    async fn event(&mut self, event: Option<io::Result<Event>>) -> Result<Next, CliError> {
        let message = match event {
            Some(Ok(Event::Key(key))) => Message::Key(key),
            Some(Ok(Event::Paste(text))) => Message::Paste(text),
            Some(Ok(Event::Resize(columns, rows))) => Message::Size(columns, rows),
            Some(Ok(_)) => return Ok(Next::Continue),
            // The terminal is closed.
            Some(Err(_)) | None => return Ok(Next::End(ended_by(SIGHUP))),
        };
        self.message(message).await
    }

    fn signal(&mut self, signal: i32) -> Result<Next, CliError> {
        match signal {
            SIGTSTP => {
                self.leave();
                child::stop();
                self.enter()?;
            }
            // The process may have been stopped by SIGSTOP, and the shell has changed the terminal meanwhile.
            SIGCONT => {
                self.leave();
                self.enter()?;
            }
            SIGWINCH => self.measure(),
            ending => return Ok(Next::End(ended_by(ending))),
        }
        Ok(Next::Continue)
    }

    /// Leaves the terminal to a command, until it has ended.
    async fn show(&mut self, show: &Show) -> Result<Next, CliError> {
        self.leave();
        let shown = self.run_with_terminal(show).await;
        child::reclaim_terminal();
        let next = match shown {
            Ok(Some(code)) => {
                self.screen.restore_modes();
                return Ok(Next::End(code));
            }
            Ok(None) => None,
            Err(error) => {
                let command = show.arguments().join(" ");
                self.model.update(Message::Notice(format!("cannot run `boi {command}`: {error}")))
            }
        };
        debug_assert!(next.is_none(), "a notice has no effect");
        self.enter()?;
        Ok(Next::Continue)
    }

    /// Runs a command with the terminal. Returns the exit code if the dashboard has to end.
    async fn run_with_terminal(&mut self, show: &Show) -> io::Result<Option<ExitCode>> {
        let mut child = child::with_terminal(&show.arguments())?;
        let pid = rustix::process::Pid::from_child(&child);
        let (ended, mut end) = mpsc::unbounded_channel();
        std::thread::Builder::new().name("wait".to_owned()).spawn(move || ended.send(child.wait()))?;
        let mut code = None;
        let mut rounds = interval(END_ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut signals = END_SIGNALS.into_iter();
        let status = loop {
            // Cancel-safe: each branch leaves what it has not received.
            tokio::select! {
                status = end.recv() => break status.unwrap_or_else(|| Err(io::ErrorKind::Other.into()))?,
                Some(signal) = self.signals.next() => match signal {
                    // The terminal has stopped the command too, and the shell continues both.
                    SIGTSTP => child::stop(),
                    SIGTERM | SIGHUP => code = code.or(Some(ended_by(signal))),
                    // Ctrl-C and Ctrl-\ are for the command.
                    _ => {}
                },
                _ = rounds.tick(), if code.is_some() => {
                    child::signal_foreground(pid, signals.next().unwrap_or(Signal::KILL));
                }
            }
        };
        if code.is_none() && (show.is_read() || !status.success()) {
            code = self.wait_for_key().await?;
        }
        Ok(code)
    }

    /// Waits for a key below the output of a command. Returns the exit code if the dashboard has to end.
    async fn wait_for_key(&mut self) -> io::Result<Option<ExitCode>> {
        child::reclaim_terminal();
        if printing::print_line("\n[boi top: press a key to go back]").is_err() {
            return Ok(Some(ended_by(SIGHUP)));
        }
        self.screen.read_keys()?;
        let mut keys = EventStream::new();
        loop {
            // Cancel-safe: each branch leaves what it has not received.
            tokio::select! {
                event = keys.next() => match event {
                    Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => return Ok(None),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(Some(ended_by(SIGHUP))),
                },
                Some(signal) = self.signals.next() => {
                    if matches!(signal, SIGTERM | SIGHUP | SIGINT | SIGQUIT) {
                        return Ok(Some(ended_by(signal)));
                    }
                }
            }
        }
    }

    /// Gives the terminal back as it was.
    fn leave(&mut self) {
        // Dropping the stream ends its thread, so that nothing else reads the keys of another program.
        self.keys = None;
        self.screen.leave();
    }

    fn enter(&mut self) -> Result<(), CliError> {
        self.screen.enter_again()?;
        self.keys = Some(EventStream::new());
        self.measure();
        self.clear()
    }

    /// Clears the screen, so that the next drawing draws every cell. `Terminal::clear` would ask the terminal for the
    /// place of the cursor, and a terminal need not answer.
    fn clear(&mut self) -> Result<(), CliError> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        Ok(())
    }

    fn measure(&mut self) {
        if let Ok(size) = self.terminal.size() {
            let effect = self.model.update(Message::Size(size.width, size.height));
            debug_assert!(effect.is_none(), "a size has no effect");
        }
    }
}

/// The exit code of a program that a signal ended, as shells report it.
fn ended_by(signal: i32) -> ExitCode {
    128 + u8::try_from(signal).unwrap_or(0)
}
